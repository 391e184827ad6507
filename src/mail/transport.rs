//! How an e-mail leaves: by SMTP, or into a folder.

mod file;
mod smtp;
mod url;

use std::time::Duration;

use lettre::Message;

use super::{Email, MailConfigError, SendError};
use file::Folder;
use smtp::Smtp;
use url::Target;

pub(super) enum Transport {
    File(Folder),
    Smtp(Smtp),
}

impl Transport {
    pub(super) fn from_url(url: &str) -> Result<Self, MailConfigError> {
        Ok(match url::parse(url)? {
            Target::Folder(path) => Transport::File(Folder::new(path)),
            Target::Server(server) => Transport::Smtp(Smtp::new(server)?),
        })
    }

    pub(super) async fn check(&self) -> Result<(), MailConfigError> {
        match self {
            Transport::File(folder) => folder.check().await,
            Transport::Smtp(_) => Ok(()),
        }
    }

    pub(super) async fn send(&self, email: &Email, message: &Message, limit: Duration) -> Result<(), SendError> {
        match self {
            Transport::File(folder) => folder.send(email, message, limit).await,
            Transport::Smtp(smtp) => smtp.send(message, limit).await,
        }
    }
}
