//! The only place that makes a `Status`.
//!
//! Every error carries `google.rpc.ErrorInfo`; those about fields carry `BadRequest`, those that pass carry `RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};
use uuid::Uuid;

use crate::crypto::random_fraction;
use crate::error::{Error, Reason};

const DOMAIN: &str = "rolecall";
/// When to try again where the error itself does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
/// When to try again where there is too much to do: each at a time of its own, up to this long after, since those who are
/// refused together would come back together.
const SPREAD_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// The status that stands for `error`. The cause stays behind.
pub fn of(error: &Error, request_id: Uuid) -> Status {
    let code = code_of(error.reason());
    let mut metadata: HashMap<String, String> =
        error.metadata().iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let mut text = error.to_string();
    if error.reason() == Reason::Internal {
        text = format!("{text}; the log has more under this id (requestId {request_id})");
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
        details.set_retry_info(Some(error.retry_delay().unwrap_or_else(|| default_retry(error.reason()))));
    }
    Status::with_error_details(code, text, details)
}

fn default_retry(reason: Reason) -> Duration {
    let (soonest, latest) = SPREAD_RETRY;
    match reason {
        Reason::Overloaded => soonest + (latest - soonest).mul_f64(random_fraction()),
        _ => DEFAULT_RETRY,
    }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn retry_of(reason: Reason) -> Option<Duration> {
        of(&reason.into(), Uuid::nil()).get_error_details().retry_info().and_then(|info| info.retry_delay)
    }

    #[test]
    fn who_is_refused_for_too_much_work_is_told_a_time_of_their_own_within_a_second() {
        let told: HashSet<_> = (0..100).map(|_| retry_of(Reason::Overloaded).unwrap()).collect();
        assert!(told.len() > 90, "{told:?}");
        assert!(told.iter().all(|delay| (SPREAD_RETRY.0..=SPREAD_RETRY.1).contains(delay)), "{told:?}");
        assert_eq!(retry_of(Reason::DatabaseUnavailable), Some(DEFAULT_RETRY));
        assert_eq!(retry_of(Reason::FieldInvalid), None);
    }
}
