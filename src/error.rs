//! The one error type, in two halves.
//!
//! The public half says why a call was refused: a [`Reason`] of the contract, a sentence, metadata, and the fields at
//! fault. The internal half is the cause. Printing an [`Error`] shows the public half only, so that no log line,
//! status or panic carries SQL, hosts or paths; whoever wants the cause asks for [`Error::cause`] and logs it once.

use std::fmt;
use std::time::Duration;

include!(concat!(env!("OUT_DIR"), "/reasons.rs"));

/// What every fallible operation of Rolecall answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Most bad fields that one error names. An error travels in the trailers, which clients bound, commonly to 8 KiB; one that
/// is larger never reaches its caller.
pub const MAX_VIOLATIONS: usize = 32;
/// Most bad fields that the sentence of an error names; the violations are what programs read.
const MAX_VIOLATIONS_IN_TEXT: usize = 8;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A refusal or a failure.
pub struct Error(Box<Parts>);

struct Parts {
    reason: Reason,
    metadata: Vec<(&'static str, String)>,
    fields: Vec<FieldViolation>,
    retry_after: Option<Duration>,
    given_up: bool,
    cause: Option<Cause>,
}

/// One bad field of a request: which, why in a word for programs, why in a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, as in the proto: `owner_email`, `checks[2].user_id`.
    pub field: String,
    pub reason: FieldReason,
    pub text: String,
}

impl FieldViolation {
    pub fn new(field: impl Into<String>, reason: FieldReason, text: impl Into<String>) -> Self {
        Self { field: field.into(), reason, text: text.into() }
    }
}

impl Error {
    pub fn new(reason: Reason) -> Self {
        Self(Box::new(Parts {
            reason,
            metadata: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
            given_up: false,
            cause: None,
        }))
    }

    /// This error, known to have been met again and again: whoever is outside of that does not begin anew.
    pub fn given_up(mut self) -> Self {
        self.0.given_up = true;
        self
    }

    /// Whether what failed was tried again until there was no time for more.
    pub fn is_given_up(&self) -> bool {
        self.0.given_up
    }

    /// `FIELD_INVALID` with every bad field at once, up to [`MAX_VIOLATIONS`].
    pub fn fields(mut fields: Vec<FieldViolation>) -> Self {
        fields.truncate(MAX_VIOLATIONS);
        let mut error = Self::new(Reason::FieldInvalid);
        error.0.fields = fields;
        error
    }

    /// `FIELD_INVALID` for a single field.
    pub fn field(field: impl Into<String>, reason: FieldReason, text: impl Into<String>) -> Self {
        Self::fields(vec![FieldViolation::new(field, reason, text)])
    }

    /// A failure of our own. The caller learns nothing but that; the cause goes to the log.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(Reason::Internal).caused_by(cause)
    }

    /// `WORKSPACE_REQUIRED`, which names the metadata that is missing as its field.
    pub fn workspace_required() -> Self {
        let text = "must be sent as metadata, with the id of the workspace to act in";
        Self::new(Reason::WorkspaceRequired).with_field(FieldViolation::new(
            "rolecall-workspace-id",
            FieldReason::Required,
            text,
        ))
    }

    /// Adds metadata that a client may act on. `key` is lowerCamelCase.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// Adds a bad field to an error of any reason (such as `PAGE_TOKEN_INVALID`).
    pub fn with_field(mut self, violation: FieldViolation) -> Self {
        self.0.fields.push(violation);
        self
    }

    /// Says when it makes sense to try again.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Keeps what went wrong underneath, for the log only.
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same refusal for somebody else who was refused by the same failure.
    pub fn for_another(&self) -> Self {
        let mut error = Self::new(self.0.reason);
        error.0.retry_after = self.0.retry_after;
        error.0.cause = self.0.cause.as_ref().map(|cause| cause.to_string().into());
        error
    }

    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.0.metadata
    }

    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.fields
    }

    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason.text())?;
        for (index, violation) in self.0.fields.iter().enumerate().take(MAX_VIOLATIONS_IN_TEXT) {
            let lead = if index == 0 { ": " } else { "; " };
            write!(f, "{lead}{} {}", violation.field, violation.text)?;
        }
        if self.0.fields.len() > MAX_VIOLATIONS_IN_TEXT {
            f.write_str("; and more")?;
        }
        for (index, (key, value)) in self.0.metadata.iter().enumerate() {
            write!(f, "{}{key} {value}", if index == 0 { " (" } else { ", " })?;
        }
        if self.0.metadata.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.reason.as_str())
    }
}

impl std::error::Error for Error {}

impl Reason {
    /// The sentence that goes with the reason. One place, so that a refusal reads the same wherever it is made, and so
    /// that two refusals that must not be told apart cannot differ in their wording.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::CredentialMissing => {
                "this method needs a credential: send the metadata authorization: Bearer <token>"
            }
            Reason::SessionEnded => "the session has ended or never existed; sign in again",
            Reason::ServiceKeyInvalid => "the service key is unknown, revoked or expired",
            Reason::InvalidCredentials => "the e-mail address or the password is wrong",
            Reason::RoleTooLow => "your role in this workspace is too low for this",
            Reason::ScopeMissing => "this needs a service key that carries the scope",
            Reason::SessionRequired => "this needs a person's session; a service key cannot do it",
            Reason::OwnerRequired => "only an Owner may do this",
            Reason::NotAMember => "you are not a member of that workspace",
            Reason::PasswordWrong => "the password is wrong",
            Reason::UserNotFound => "there is no such user in this workspace",
            Reason::InvitationNotFound => "there is no such invitation",
            Reason::SessionNotFound => "you have no such session",
            Reason::WorkspaceNotFound => "there is no such workspace",
            Reason::ResetNotFound => "the reset link is unknown, used, superseded or expired; request a new one",
            Reason::AlreadyMember => "someone with this address is a member of the workspace already",
            Reason::InvitationPending => "an invitation for this address is pending already; resend or cancel that one",
            Reason::LastOwner => "the workspace would be left without an Owner; make somebody else an Owner first",
            Reason::UserRemoved => "the user has been removed from this workspace",
            Reason::ReauthenticationRequired => {
                "this needs the password given within the last 10 minutes; call Reauthenticate and try again"
            }
            Reason::WorkspaceMismatch => "the credential belongs to another workspace than rolecall-workspace-id says",
            Reason::WorkspaceFounded => "the workspace has had an Owner; its people send invitations now",
            Reason::InvitationExpired => "the invitation has expired; ask for it to be sent again",
            Reason::InvitationCanceled => "the invitation was canceled",
            Reason::InvitationAccepted => "the invitation has been accepted; sign in instead",
            Reason::InvitationSuperseded => "a newer link was sent; use the latest e-mail",
            Reason::InviterNotEntitled => "whoever sent the invitation may no longer invite to this role",
            Reason::FieldInvalid => "the request has invalid fields",
            Reason::PageTokenInvalid => "the page token is malformed or belongs to another list",
            Reason::WorkspaceRequired => "the call names no workspace",
            Reason::RequestIdReused => "this request_id was used for another request within the last 24 hours",
            Reason::TooManyAttempts => "too many attempts; wait before trying again",
            Reason::QuotaExceeded => "a quota is used up; wait before trying again",
            Reason::Overloaded => "the server has too much to do right now; try again shortly",
            Reason::Conflict => "a concurrent change won; try again",
            Reason::DatabaseUnavailable => "the database cannot be reached right now; try again shortly",
            Reason::Deadline => "the deadline passed before the call was done",
            Reason::MethodUnknown => "there is no such method",
            Reason::MessageTooLarge => "the message is too large",
            Reason::MessageMalformed => "the message cannot be decoded",
            Reason::Internal => "something went wrong on our side",
        }
    }
}

/// Collects every bad field of one request, so that a caller mends them all in one go.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Keeps what an error can name, so that a bad request does not grow into a worse one.
    pub fn add(&mut self, violation: FieldViolation) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(violation);
        }
    }

    /// Keeps the violation of a failed check, or hands out the value of a good one.
    pub fn take<T>(&mut self, checked: std::result::Result<T, FieldViolation>) -> Option<T> {
        checked.map_err(|violation| self.add(violation)).ok()
    }

    /// Refuses with all that was collected, if anything was.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::fields(self.0)) }
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
