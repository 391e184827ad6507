//! Reads the fields of requests. Everything that is wrong with a request is found before it is refused.

use prost_types::Timestamp as PbTimestamp;
use secrecy::SecretString;
use uuid::Uuid;

use crate::authz::Permission;
use crate::clock::Timestamp;
use crate::error::{Error, FieldReason, FieldViolation, Result, Violations};
use crate::model::{
    AuditAction, EmailAddress, InvitationState, ListId, Name, PageRequest, Role, page_size, parse_uuid,
};

/// Longest text to search for, in bytes: no address is longer.
const MAX_QUERY_BYTES: usize = 254;
/// Longest password that is looked at, in bytes. 128 code points after NFC can be many more before it.
const MAX_PASSWORD_BYTES: usize = 4 * 4 * 128;

type Checked<T> = std::result::Result<T, FieldViolation>;

pub fn required(field: impl Into<String>, what: &str) -> FieldViolation {
    FieldViolation::new(field, FieldReason::Required, what)
}

pub fn uuid(field: &str, text: &str) -> Checked<Uuid> {
    if text.is_empty() {
        return Err(required(field, "must be a UUID"));
    }
    parse_uuid(text).ok_or_else(|| FieldViolation::new(field, FieldReason::Malformed, "must be a UUID"))
}

/// An id where empty means that there is none.
pub fn optional_uuid(field: &str, text: &str) -> Checked<Option<Uuid>> {
    if text.is_empty() { Ok(None) } else { uuid(field, text).map(Some) }
}

const AUDIT_ACTIONS: &str = "must be a value of AuditAction other than AUDIT_ACTION_UNSPECIFIED";
const INVITATION_STATES: &str = "must be a value of InvitationState other than INVITATION_STATE_UNSPECIFIED";
const PERMISSIONS: &str = "must be a value of Permission other than PERMISSION_UNSPECIFIED";
const ROLES: &str = "must be ROLE_AGENT, ROLE_MANAGER, ROLE_ADMIN or ROLE_OWNER";

pub fn role(field: &str, number: i32) -> Checked<Role> {
    match Role::from_number(number) {
        Some(role) => Ok(role),
        None if number == 0 => Err(required(field, ROLES)),
        None => Err(FieldViolation::new(field, FieldReason::UnknownValue, ROLES)),
    }
}

pub fn permission(field: &str, number: i32) -> Checked<Permission> {
    match Permission::from_number(number) {
        Some(permission) => Ok(permission),
        None if number == 0 => Err(required(field, PERMISSIONS)),
        None => Err(FieldViolation::new(field, FieldReason::UnknownValue, PERMISSIONS)),
    }
}

/// The values of a repeated enum field, each once; a bad one is named by its place.
///
/// It is a set. Were repetitions kept, a request could make a query as large as itself, whose parts nest so deep that
/// the stack overflows and the process dies.
fn each<T: PartialEq>(
    violations: &mut Violations,
    field: &str,
    numbers: &[i32],
    text: &str,
    read: impl Fn(i32) -> Option<T>,
) -> Vec<T> {
    let mut values = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        match read(*number) {
            Some(value) if values.contains(&value) => {}
            Some(value) => values.push(value),
            None => violations.add(FieldViolation::new(format!("{field}[{index}]"), FieldReason::UnknownValue, text)),
        }
    }
    values
}

pub fn roles(violations: &mut Violations, field: &str, numbers: &[i32]) -> Vec<Role> {
    each(violations, field, numbers, ROLES, Role::from_number)
}

pub fn invitation_states(violations: &mut Violations, field: &str, numbers: &[i32]) -> Vec<InvitationState> {
    each(violations, field, numbers, INVITATION_STATES, |number| match number {
        1 => Some(InvitationState::Pending),
        2 => Some(InvitationState::Expired),
        3 => Some(InvitationState::Accepted),
        4 => Some(InvitationState::Canceled),
        _ => None,
    })
}

pub fn audit_actions(violations: &mut Violations, field: &str, numbers: &[i32]) -> Vec<AuditAction> {
    each(violations, field, numbers, AUDIT_ACTIONS, AuditAction::from_number)
}

pub fn email(field: &str, text: &str) -> Checked<EmailAddress> {
    EmailAddress::parse(field, text)
}

/// A name that may stay as it is but has to be given.
pub fn changed_name(field: &str, text: Option<&str>) -> Checked<Name> {
    match text {
        Some(text) => Name::parse(field, text),
        None => Err(required(field, "must be set: there is nothing to change")),
    }
}

/// A password that is held against a stored one. What a new one has to be is the policy's business.
pub fn password(field: &str, text: String) -> Checked<SecretString> {
    if text.is_empty() {
        return Err(required(field, "must be given"));
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(FieldViolation::new(field, FieldReason::PasswordTooLong, "must have at most 128 characters"));
    }
    Ok(SecretString::from(text))
}

pub fn query(text: &str) -> Checked<String> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(FieldViolation::new("query", FieldReason::TooLong, "must be at most 254 bytes long"));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldViolation::new(
            "query",
            FieldReason::ForbiddenCharacter,
            "must not contain control characters",
        ));
    }
    Ok(text.to_owned())
}

/// A moment, if it is given and one that can be.
pub fn moment(field: &str, value: Option<PbTimestamp>) -> Checked<Option<Timestamp>> {
    /// The first second of the year 1 and the last of the year 9999, as `google.protobuf.Timestamp` has it.
    const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    let Some(value) = value else {
        return Ok(None);
    };
    if !SECONDS.contains(&value.seconds) || !(0..1_000_000_000).contains(&value.nanos) {
        return Err(FieldViolation::new(field, FieldReason::OutOfRange, "must be a time from the year 1 to 9999"));
    }
    Ok(Some(Timestamp::from_micros(value.seconds * 1_000_000 + i64::from(value.nanos) / 1_000)))
}

/// Which page of which list. The token is held against the list only if nothing else is wrong.
pub fn page(mut violations: Violations, list: &ListId, size: i32, token: &str) -> Result<PageRequest> {
    let size = violations.take(page_size(size));
    violations.finish()?;
    let size = size.ok_or_else(|| Error::internal("a page without a size"))?;
    Ok(PageRequest { size, after: list.position(token)? })
}

/// The values of checks that all went well.
///
/// # Errors
/// `FIELD_INVALID` with every violation, if there is any.
pub fn all<T>(violations: Violations, values: Option<T>) -> Result<T> {
    violations.finish()?;
    values.ok_or_else(|| Error::internal("a check that failed without saying so"))
}
