//! The only place that makes a `Status`.
//!
//! Every error carries `google.rpc.ErrorInfo`; those about fields carry `BadRequest`, those that pass carry `RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};
use uuid::Uuid;

use crate::error::{Error, Reason};

const DOMAIN: &str = "rolecall";
/// When to try again where the error itself does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// The status that stands for `error`. The cause stays behind.
pub fn of(error: &Error, request_id: Uuid) -> Status {
    let code = code_of(error.reason());
    let mut metadata: HashMap<String, String> =
        error.metadata().iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    if error.reason() == Reason::Internal {
        metadata.insert("requestId".to_owned(), request_id.to_string());
    }
    let mut details = ErrorDetails::with_error_info(error.reason().as_str(), DOMAIN, metadata);
    if !error.violations().is_empty() {
        let violations: Vec<FieldViolation> = error
            .violations()
            .iter()
            .map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.text.clone(),
                reason: violation.reason.as_str().to_owned(),
                localized_message: None,
            })
            .collect();
        details.set_bad_request(violations);
    }
    if matches!(code, Code::ResourceExhausted | Code::Unavailable) {
        details.set_retry_info(Some(error.retry_delay().unwrap_or(DEFAULT_RETRY)));
    }
    Status::with_error_details(code, error.to_string(), details)
}

/// As [`of`], for an error that the transport made: it keeps its code and its text and gets the form of ours.
pub fn of_transport(code: Code, message: &str, reason: Reason) -> Status {
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

/// The code of each reason, as in the contract's table. Without a wildcard, so that a new reason does not compile until
/// somebody has thought about it.
pub const fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::CredentialMissing | Reason::SessionEnded | Reason::ServiceKeyInvalid | Reason::InvalidCredentials => {
            Code::Unauthenticated
        }
        Reason::RoleTooLow
        | Reason::ScopeMissing
        | Reason::SessionRequired
        | Reason::OwnerRequired
        | Reason::NotAMember
        | Reason::PasswordWrong => Code::PermissionDenied,
        Reason::UserNotFound
        | Reason::InvitationNotFound
        | Reason::SessionNotFound
        | Reason::WorkspaceNotFound
        | Reason::ResetNotFound => Code::NotFound,
        Reason::AlreadyMember | Reason::InvitationPending => Code::AlreadyExists,
        Reason::LastOwner
        | Reason::UserRemoved
        | Reason::ReauthenticationRequired
        | Reason::WorkspaceMismatch
        | Reason::WorkspaceFounded
        | Reason::InvitationExpired
        | Reason::InvitationCanceled
        | Reason::InvitationAccepted
        | Reason::InvitationSuperseded
        | Reason::InviterNotEntitled => Code::FailedPrecondition,
        Reason::FieldInvalid | Reason::PageTokenInvalid | Reason::WorkspaceRequired | Reason::RequestIdReused => {
            Code::InvalidArgument
        }
        Reason::TooManyAttempts | Reason::QuotaExceeded | Reason::Overloaded => Code::ResourceExhausted,
        Reason::Conflict => Code::Aborted,
        Reason::DatabaseUnavailable => Code::Unavailable,
        Reason::Deadline => Code::DeadlineExceeded,
        Reason::MethodUnknown => Code::Unimplemented,
        Reason::MessageTooLarge => Code::OutOfRange,
        Reason::MessageMalformed | Reason::Internal => Code::Internal,
    }
}
