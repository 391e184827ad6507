//! What is thrown at a field, by what the field is, and what has to come back.

use prost_types::field_descriptor_proto::Type;
use rolecall::grpc::pb::v1;
use tonic::Code;

use super::cast::Cast;
use super::texts::{emails, invitation_tokens, names, new_passwords, passwords, reset_tokens, tokens};
use crate::support::Field;

/// What a field of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PageSize,
    PageToken,
    Query,
    Flag,
    /// An id that has to be there, and the refusal when there is nothing behind it; `OK` if it is none.
    Id(Code, &'static str),
    /// An id that may be left out.
    OptionalId(Code, &'static str),
    /// An id of the client's own making.
    RequestId,
    /// 1 to 100 ids.
    Ids,
    /// 1 to 100 checks.
    Checks,
    Name,
    /// A name that may be left out, but not when there is nothing else to change.
    OptionalName,
    Email,
    /// An enum value that has to be one of 1 to n.
    Enum(i64),
    /// Enum values as a filter, each one of 1 to n.
    Enums(i64),
    InvitationToken,
    ResetToken,
    /// A session token that somebody asks about.
    SubjectToken,
    /// A password that is held against a stored one, and the refusal of a wrong one.
    Password(Code, &'static str),
    /// A password that is about to be set, and the address of the person whose it will be.
    NewPassword(&'static str),
    Moment,
    /// Taken and not looked at.
    Ignored,
}

/// What has to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// FIELD_INVALID for this field and nothing else: what follows its name, and the violation's reason.
    Field(&'static str, &'static str),
    Refused(Code, &'static str),
    /// As with an id that was never given to anything, byte for byte.
    Nobody(Code, &'static str),
    /// The message cannot be decoded.
    Undecodable,
    /// Nothing is wrong with it.
    Fine,
    /// A check that answers: this session has ended.
    Denied,
}

use Expect::{Denied, Fine, Nobody, Refused, Undecodable};

pub struct Case {
    pub what: &'static str,
    /// The field as it is sent. It comes after a good one, and the last one counts.
    pub wire: Vec<u8>,
    /// Whether the message has nothing else in it.
    pub alone: bool,
    pub expect: Expect,
}

pub(super) fn case(what: &'static str, wire: Vec<u8>, expect: Expect) -> Case {
    Case { what, wire, alone: false, expect }
}

/// Just over what any text may have, and near the end of what a message may have.
pub(super) const HUGE: usize = 60_000;

/// All that is thrown at a field.
pub fn cases(field: &Field, kind: Kind, cast: &Cast) -> Vec<Case> {
    let mut all = match kind {
        Kind::PageSize => numbers(field, &[(-1, bad("OUT_OF_RANGE")), (i64::from(i32::MIN), bad("OUT_OF_RANGE"))])
            .chain(numbers(field, &[(i64::from(i32::MAX), Fine), (201, Fine), (0, Fine)]))
            .collect(),
        Kind::PageToken => page_tokens(field),
        Kind::Query => queries(field),
        Kind::Flag => numbers(field, &[(1, Fine), (0, Fine), (7, Fine)]).collect(),
        Kind::Id(code, reason) => {
            let mut all = vec![case("empty", field.bytes(b""), bad("REQUIRED"))];
            all.extend(ids(field, code, reason, cast));
            all
        }
        Kind::OptionalId(code, reason) => {
            let mut all = ids(field, code, reason, cast);
            all.push(case("empty", field.bytes(b""), Fine));
            all
        }
        Kind::RequestId => {
            let mut all = ids(field, Code::Ok, "", cast);
            all.retain(|case| case.expect != Fine);
            all
        }
        Kind::Ids => batch_of_ids(field, cast),
        Kind::Checks => batch_of_checks(field, cast),
        Kind::Name => names(field),
        Kind::OptionalName => {
            let mut all = names(field);
            all.push(Case { alone: true, ..case("unset", Vec::new(), bad("REQUIRED")) });
            all
        }
        Kind::Email => emails(field),
        Kind::Enum(last) => numbers(field, &[(0, bad("REQUIRED")), (last + 1, bad("UNKNOWN_VALUE"))])
            .chain(numbers(field, &[(-1, bad("UNKNOWN_VALUE")), (i64::from(i32::MAX), bad("UNKNOWN_VALUE"))]))
            .collect(),
        Kind::Enums(last) => enums(field, last),
        Kind::InvitationToken => invitation_tokens(field, cast),
        Kind::ResetToken => reset_tokens(field, cast),
        Kind::SubjectToken => {
            let dead = tokens(field, &cast.session_token, "rcs_", &cast.invitation_token, Denied);
            dead.into_iter().chain([case("empty", field.bytes(b""), Denied)]).collect()
        }
        Kind::Password(code, reason) => passwords(field, code, reason),
        Kind::NewPassword(address) => new_passwords(field, address),
        Kind::Moment => moments(field),
        Kind::Ignored => vec![
            case("garbage", field.bytes(b"'; DROP TABLE session; --"), Fine),
            case("a token of another kind", field.bytes(cast.session_token.as_bytes()), Fine),
            case("a token of nothing", field.bytes(format!("rcd_{}", "A".repeat(43)).as_bytes()), Fine),
            case("huge", field.bytes(&[b'a'; HUGE]), Fine),
        ],
    };
    all.extend(undecodable(field));
    all
}

pub(super) fn bad(reason: &'static str) -> Expect {
    Expect::Field("", reason)
}

fn numbers<'a>(field: &'a Field, values: &'a [(i64, Expect)]) -> impl Iterator<Item = Case> + use<> {
    let made: Vec<Case> =
        values.iter().map(|(value, expect)| case("a number", field.number(*value), expect.clone())).collect();
    made.into_iter()
}

pub(super) fn texts(field: &Field, values: &[(&'static str, &str, Expect)]) -> Vec<Case> {
    values.iter().map(|(what, text, expect)| case(what, field.bytes(text.as_bytes()), expect.clone())).collect()
}

/// Bytes that are no value of the field's type at all.
fn undecodable(field: &Field) -> Vec<Case> {
    let wires = match field.kind {
        Type::String => vec![
            ("a number for a text", field.number(5)),
            ("a lone surrogate", field.bytes(b"ada\xed\xa0\x80")),
            ("a byte that UTF-8 has not", field.bytes(b"\xff")),
            ("an overlong NUL", field.bytes(b"\xc0\x80")),
            ("a cut character", field.bytes(b"Zo\xc3")),
            ("beyond Unicode", field.bytes(b"\xf4\x90\x80\x80")),
        ],
        Type::Message => vec![("garbage for a message", field.bytes(b"\xff\xff")), ("a number", field.number(1))],
        _ if field.repeated => vec![("a cut number", field.bytes(b"\x80"))],
        _ => vec![("a text for a number", field.bytes(b"x"))],
    };
    wires.into_iter().map(|(what, wire)| case(what, wire, Undecodable)).collect()
}

fn page_tokens(field: &Field) -> Vec<Case> {
    let invalid = Refused(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let huge = "A".repeat(HUGE);
    let values = ["x", "====", "2", "'; DROP TABLE user_account; --", "\0", "\u{202e}", " ", forged, &huge];
    values.into_iter().map(|text| case("a forged page token", field.bytes(text.as_bytes()), invalid.clone())).collect()
}

fn queries(field: &Field) -> Vec<Case> {
    let (long, huge) = ("q".repeat(255), "q".repeat(HUGE));
    texts(
        field,
        &[
            ("a NUL", "a\0", bad("FORBIDDEN_CHARACTER")),
            ("a line end", "a\nb", bad("FORBIDDEN_CHARACTER")),
            ("an escape", "\u{1b}[2J", bad("FORBIDDEN_CHARACTER")),
            ("one byte too long", &long, bad("TOO_LONG")),
            ("huge", &huge, bad("TOO_LONG")),
            ("wildcards", "%_\\", Fine),
            ("SQL", "' OR 1=1 --", Fine),
            ("an override", "\u{202e}", Fine),
            ("as long as may be", &long[..254], Fine),
        ],
    )
}

/// Ids that are none, and ids of nothing.
fn ids(field: &Field, code: Code, reason: &'static str, cast: &Cast) -> Vec<Case> {
    let huge = "0".repeat(HUGE);
    let mut all = texts(
        field,
        &[
            ("no id", "x", bad("MALFORMED")),
            ("a number", "1", bad("MALFORMED")),
            ("braces", "{018f0000-0000-7000-8000-000000000001}", bad("MALFORMED")),
            ("a URN", "urn:uuid:018f0000-0000-7000-8000-000000000001", bad("MALFORMED")),
            ("without hyphens", "018f0000000070008000000000000001", bad("MALFORMED")),
            ("shifted hyphens", "018f000-00000-7000-8000-000000000001", bad("MALFORMED")),
            ("a space after it", "018f0000-0000-7000-8000-000000000001 ", bad("MALFORMED")),
            ("a digit short", "018f0000-0000-7000-8000-00000000000", bad("MALFORMED")),
            ("a letter that is no digit", "018f0000-0000-7000-8000-00000000000g", bad("MALFORMED")),
            ("a NUL", "018f0000-0000-7000-8000-00000000000\0", bad("MALFORMED")),
            ("full-width digits", "\u{ff10}18f0000-0000-7000-8000-0000000000", bad("MALFORMED")),
            ("SQL", "' OR '1'='1", bad("MALFORMED")),
            ("huge", &huge, bad("MALFORMED")),
        ],
    );
    let nobody = if code == Code::Ok { Fine } else { Nobody(code, reason) };
    all.extend(texts(
        field,
        &[
            ("the nil id", "00000000-0000-0000-0000-000000000000", nobody.clone()),
            ("the largest id", "ffffffff-ffff-ffff-ffff-ffffffffffff", nobody.clone()),
            ("a v4 of nothing", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", nobody.clone()),
            ("a v7 of nothing", "018f0000-0000-7000-8000-000000000001", nobody.clone()),
            ("another workspace's", cast.foreign_id(&field.name), nobody.clone()),
            ("another workspace's in capitals", &cast.foreign_id(&field.name).to_uppercase(), nobody),
        ],
    ));
    all
}

fn batch_of_ids(field: &Field, cast: &Cast) -> Vec<Case> {
    let one = |text: &str| field.bytes(text.as_bytes());
    let many = |count: usize| one(&cast.owner.user_id).repeat(count);
    let after = |text: &str| [many(1), one(text)].concat();
    let alone = |what, wire, expect| Case { alone: true, ..case(what, wire, expect) };
    vec![
        alone("none", Vec::new(), bad("REQUIRED")),
        alone("101", many(101), bad("TOO_LONG")),
        alone("1,500", many(1_500), bad("TOO_LONG")),
        alone("100", many(100), Fine),
        alone("the same twice", many(2), Fine),
        alone("one of nothing", after("00000000-0000-0000-0000-000000000000"), Fine),
        alone("another workspace's", after(cast.foreign_id("user_id")), Fine),
        alone("100 bad ones", one("x").repeat(100), Refused(Code::InvalidArgument, "FIELD_INVALID")),
        alone("an empty one", after(""), Expect::Field("[1]", "REQUIRED")),
        alone("no id", after("x"), Expect::Field("[1]", "MALFORMED")),
        alone("huge", after(&"0".repeat(HUGE)), Expect::Field("[1]", "MALFORMED")),
    ]
}

fn batch_of_checks(field: &Field, cast: &Cast) -> Vec<Case> {
    use prost::Message;
    use v1::check_access_request::{Requirement, Subject};
    let check = |subject: Option<Subject>, requirement: Option<Requirement>| {
        field.bytes(&v1::CheckAccessRequest { subject, requirement }.encode_to_vec())
    };
    let token = || Some(Subject::SessionToken(cast.session_token.clone()));
    let may = |number| Some(Requirement::Permission(number));
    let good = || check(token(), may(1));
    let after = |bad: Vec<u8>| [good(), bad].concat();
    let alone = |what, wire, expect| Case { alone: true, ..case(what, wire, expect) };
    let user = |id: &str| Some(Subject::UserId(id.to_owned()));
    vec![
        alone("none", Vec::new(), bad("REQUIRED")),
        alone("101", good().repeat(101), bad("TOO_LONG")),
        alone("1,000", good().repeat(1_000), bad("TOO_LONG")),
        alone("100", good().repeat(100), Fine),
        alone("no subject", after(check(None, may(1))), Expect::Field("[1].subject", "REQUIRED")),
        alone("no requirement", after(check(token(), None)), Expect::Field("[1].requirement", "REQUIRED")),
        alone("an unset permission", after(check(token(), may(0))), Expect::Field("[1].permission", "REQUIRED")),
        alone(
            "an unknown permission",
            after(check(token(), may(99))),
            Expect::Field("[1].permission", "UNKNOWN_VALUE"),
        ),
        alone(
            "an unknown role",
            after(check(token(), Some(Requirement::MinimumRole(5)))),
            Expect::Field("[1].minimum_role", "UNKNOWN_VALUE"),
        ),
        alone(
            "100 unknown roles",
            check(token(), Some(Requirement::MinimumRole(5))).repeat(100),
            Refused(Code::InvalidArgument, "FIELD_INVALID"),
        ),
        alone("100 bad ones", check(None, None).repeat(100), Refused(Code::InvalidArgument, "FIELD_INVALID")),
        alone("no id", after(check(user("x"), may(1))), Expect::Field("[1].user_id", "MALFORMED")),
    ]
}

fn enums(field: &Field, last: i64) -> Vec<Case> {
    // All values over and over, in the one-byte-a-value form, near the end of what a message may have.
    let over_and_over: Vec<u8> = (1..=last).cycle().take(HUGE).map(|value| u8::try_from(value).unwrap()).collect();
    vec![
        case("an unset value", field.number(0), Expect::Field("[0]", "UNKNOWN_VALUE")),
        case("an unknown value", field.number(last + 1), Expect::Field("[0]", "UNKNOWN_VALUE")),
        case("a negative value", field.number(-1), Expect::Field("[0]", "UNKNOWN_VALUE")),
        case("one bad value", [field.number(1), field.number(99)].concat(), Expect::Field("[1]", "UNKNOWN_VALUE")),
        case("the same value twice", field.number(1).repeat(2), Fine),
        case("60,000 unknown values", field.bytes(&[99; HUGE]), Refused(Code::InvalidArgument, "FIELD_INVALID")),
        case("60,000 values", field.bytes(&over_and_over), Fine),
    ]
}

fn moments(field: &Field) -> Vec<Case> {
    use prost::Message;
    let at = |seconds, nanos| field.bytes(&prost_types::Timestamp { seconds, nanos }.encode_to_vec());
    vec![
        case("before the year 1", at(-62_135_596_801, 0), bad("OUT_OF_RANGE")),
        case("after the year 9999", at(253_402_300_800, 0), bad("OUT_OF_RANGE")),
        case("the largest number", at(i64::MAX, 0), bad("OUT_OF_RANGE")),
        case("the smallest number", at(i64::MIN, i32::MIN), bad("OUT_OF_RANGE")),
        case("negative nanoseconds", at(0, -1), bad("OUT_OF_RANGE")),
        case("a second of nanoseconds", at(0, 1_000_000_000), bad("OUT_OF_RANGE")),
        case("the first moment", at(-62_135_596_800, 0), Fine),
        case("the last moment", at(253_402_300_799, 999_999_999), Fine),
        case("the epoch", field.bytes(b""), Fine),
    ]
}
