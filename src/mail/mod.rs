//! E-mail: what it says (`render`) and how it leaves (`transport`).
//!
//! What must stay true:
//! - An e-mail carries a live token. It goes to its recipient and nowhere else: not into a log, an error or a file
//!   that others can read. `Email` has no `Debug` for that reason.
//! - `Mailer::send` is over within the limit that it is given, whatever the other side does. The worker's lease is
//!   longer than that limit; an e-mail that outlived its lease would be sent twice.
//! - A failure says whether the e-mail may have left all the same. Only after `SendErrorKind::Definite` may the
//!   worker forget the token's hash: after `Unknown` somebody may be holding the link.
//! - What a workspace or a person is called never stops an e-mail and never shapes its headers. Names are validated
//!   where they come in; `text` is the second lock.

use std::error::Error;
use std::time::Duration;

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

pub mod render;

mod message;
mod text;
mod transport;

use transport::Transport;

/// One e-mail, ready to leave.
pub struct Email {
    /// A plain ASCII `local@domain`, validated where it came in.
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// `<uuid@domain>`, the angle brackets included; for the domain see `Mailer::domain`.
    pub message_id: String,
    pub date: OffsetDateTime,
}

/// Sends e-mails by the way that `--mail-url` names, from the address that `--mail-from` names.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

impl Mailer {
    /// Touches neither the network nor the disk.
    pub fn from_url(url: &SecretString, from: &str) -> Result<Mailer, MailConfigError> {
        Ok(Mailer { from: message::sender(from)?, transport: Transport::from_url(url.expose_secret())? })
    }

    /// Fails early where that is possible: makes the folder of `file:` and tries to write in it. A mail server is
    /// not asked, since it may well be down while Rolecall starts, and the outbox waits for it.
    pub async fn check(&self) -> Result<(), MailConfigError> {
        self.transport.check().await
    }

    /// Sends within `limit`, all in all.
    pub async fn send(&self, email: &Email, limit: Duration) -> Result<(), SendError> {
        let message = message::build(&self.from, email)?;
        self.transport.send(email, &message, limit).await
    }

    /// The domain of the sender's address: the right-hand side of a message id.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }
}

/// A setting that cannot work: one line, naming the flag. It never repeats any part of a mail server's URL, because
/// in a malformed one the password may stand anywhere.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MailConfigError(String);

/// Whether the e-mail may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// It certainly was not accepted.
    Definite,
    /// It was handed over, and no answer came: it may have been accepted.
    Unknown,
}

/// Why an e-mail was not (or may not have been) sent. Printing it shows the public half; `source` is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{public}")]
pub struct SendError {
    pub kind: SendErrorKind,
    /// Trying again is of no use: the server answered 5xx to this recipient or this message. A 5xx to anything
    /// before them (greeting, sign-in, sender) is the operator's to mend and says nothing about the e-mail.
    pub permanent: bool,
    /// Fit for an admin: no credentials, addresses, host names or paths; one line of at most 200 characters.
    pub public: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl SendError {
    fn new(kind: SendErrorKind, public: impl Into<String>) -> Self {
        SendError { kind, permanent: false, public: public.into(), source: None }
    }

    fn permanent(self, permanent: bool) -> Self {
        SendError { permanent, ..self }
    }

    fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SendError { source: Some(source.into()), ..self }
    }
}
