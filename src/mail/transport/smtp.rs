//! One SMTP conversation an e-mail, step by step, over a connection of its own.
//!
//! The steps are taken one by one, since lettre's transport cannot tell a connection that broke at RCPT (certainly
//! not accepted) from one that broke after the message (perhaps accepted), and the worker must know.
//! No pool: a server may drop an idle connection at any moment, and the e-mail that finds out is a failed send. At
//! the rate of invitations a connection each costs nothing.
//! lettre's own time limit is per operation and would let a server that sends a byte a second go on for ever; here one
//! limit surrounds the whole conversation.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::super::text::{one_line, without_internals};
use super::super::{MailConfigError, SendError, SendErrorKind};
use super::url::{Security, Server};

const PUBLIC_MAX: usize = 200;
const FAREWELL: Duration = Duration::from_secs(2);

pub(in super::super) struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello_name: ClientId,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    SignIn,
    Sender,
    Recipient,
    /// DATA: may I send the message?
    Ask,
    /// The message itself, from its first byte to the server's word on it.
    HandOver,
}

impl Smtp {
    pub(super) fn new(server: Server) -> Result<Self, MailConfigError> {
        let parameters = || {
            TlsParameters::new(server.host.clone())
                .map_err(|error| MailConfigError(format!("--mail-url: TLS cannot be set up: {error}")))
        };
        let tls = match server.security {
            Security::Plain => Tls::None,
            Security::Opportunistic => Tls::Opportunistic(parameters()?),
            Security::Required => Tls::Required(parameters()?),
            Security::Wrapped => Tls::Wrapper(parameters()?),
        };
        Ok(Smtp {
            tls,
            host: server.host,
            port: server.port,
            credentials: server.credentials,
            hello_name: server.hello_name.map(ClientId::Domain).unwrap_or_default(),
        })
    }

    pub(super) async fn send(&self, message: &Message, limit: Duration) -> Result<(), SendError> {
        let handing_over = AtomicBool::new(false);
        match timeout(limit, self.converse(message, limit, &handing_over)).await {
            Ok(result) => result,
            Err(late) if handing_over.load(Ordering::Relaxed) => Err(SendError::new(
                SendErrorKind::Unknown,
                "the mail server did not confirm the message in time; it may have accepted it",
            )
            .because(late)),
            Err(late) => {
                Err(SendError::new(SendErrorKind::Definite, "the mail server did not answer in time").because(late))
            }
        }
    }

    async fn converse(&self, message: &Message, limit: Duration, handing_over: &AtomicBool) -> Result<(), SendError> {
        let mut connection = self.connect(limit).await.map_err(|error| failure(Step::Connect, error))?;
        let result = self.deliver(&mut connection, message, handing_over).await;
        // QUIT is a courtesy: its answer changes nothing, so nobody waits for it.
        tokio::spawn(async move { timeout(FAREWELL, connection.abort()).await });
        result
    }

    async fn connect(&self, limit: Duration) -> Result<AsyncSmtpConnection, smtp::Error> {
        let wrapper = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        // A host may have several addresses: one that swallows packets must leave time for the next.
        let per_address = limit / 3;
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(per_address), &self.hello_name, wrapper, None).await?;
        match &self.tls {
            // Without STARTTLS on offer, `Required` fails in here, before anything is said in the clear.
            Tls::Required(parameters) => connection.starttls(parameters.clone(), &self.hello_name).await?,
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello_name).await?;
            }
            _ => {}
        }
        Ok(connection)
    }

    async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
        handing_over: &AtomicBool,
    ) -> Result<(), SendError> {
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(|error| failure(Step::SignIn, error))?;
        }
        let envelope = message.envelope();
        let sender = Mail::new(envelope.from().cloned(), vec![]);
        connection.command(sender).await.map_err(|error| failure(Step::Sender, error))?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), vec![]);
            connection.command(recipient).await.map_err(|error| failure(Step::Recipient, error))?;
        }
        let go_ahead = connection.command(Data).await.map_err(|error| failure(Step::Ask, error))?;
        // Any other "yes" is a leftover answer to something else. Going on would take the next leftover for the
        // server's word on the message.
        if !go_ahead.has_code(354) {
            return Err(SendError::new(SendErrorKind::Definite, "the mail server does not follow the protocol"));
        }
        handing_over.store(true, Ordering::Relaxed);
        connection.message(&message.formatted()).await.map_err(|error| failure(Step::HandOver, error))?;
        Ok(())
    }
}

/// What became of the e-mail, and what an admin may read about it. What the server said is repeated only where it
/// speaks about the recipient or the message; about connection and sign-in it would describe the operator's set-up.
fn failure(step: Step, error: smtp::Error) -> SendError {
    let Some(code) = error.status() else {
        return unanswered(step, error);
    };
    let (refused, about_this_email) = match step {
        Step::Connect => ("the connection", false),
        Step::SignIn => ("the sign-in", false),
        Step::Sender => ("the sender", false),
        Step::Recipient => ("the recipient", true),
        Step::Ask | Step::HandOver => ("the message", true),
    };
    let said = match error.source() {
        Some(said) if about_this_email => without_internals(&said.to_string()),
        _ => String::new(),
    };
    let public = one_line(&format!("the mail server refused {refused}: {code} {said}"), PUBLIC_MAX);
    SendError::new(SendErrorKind::Definite, public).permanent(about_this_email && error.is_permanent()).because(error)
}

/// The connection failed or broke, or what came was no answer.
fn unanswered(step: Step, error: smtp::Error) -> SendError {
    let (kind, public) = match step {
        Step::Connect if error.is_client() => (SendErrorKind::Definite, "the mail server does not offer TLS"),
        Step::Connect => (SendErrorKind::Definite, "the mail server cannot be reached"),
        Step::SignIn if error.is_client() => (SendErrorKind::Definite, "the mail server offers no way to sign in"),
        Step::SignIn | Step::Sender | Step::Recipient | Step::Ask => {
            (SendErrorKind::Definite, "the connection to the mail server broke")
        }
        Step::HandOver => (
            SendErrorKind::Unknown,
            "the connection to the mail server broke before it confirmed the message; it may have accepted it",
        ),
    };
    SendError::new(kind, public).because(error)
}

#[cfg(test)]
mod tests;
