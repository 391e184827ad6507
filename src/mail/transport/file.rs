//! One `.eml` file an e-mail, for development, tests and systems that have a pick-up folder.
//!
//! A file holds a live link: it is born with mode 0600 (a `chmod` afterwards would leave a moment) in a folder that is
//! made with mode 0700. A folder that was there before keeps its mode: it may be shared on purpose, or be `/tmp`.
//! A file appears whole or not at all: it is written under a hidden name, synced, then renamed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::Message;
use time::UtcOffset;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::{Email, MailConfigError, SendError, SendErrorKind};

const ID_MAX: usize = 128;

pub(in super::super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Folder(path)
    }

    pub(super) async fn check(&self) -> Result<(), MailConfigError> {
        let folder = self.0.clone();
        let checked = spawn_blocking(move || {
            make(&folder)?;
            let probe = folder.join(format!(".write-check-{}", std::process::id()));
            write_new(&probe, b"")?;
            fs::remove_file(probe)
        });
        checked.await.map_err(io::Error::from).flatten().map_err(|error| {
            MailConfigError(format!("--mail-url: cannot write into the folder {}: {error}", self.0.display()))
        })
    }

    pub(super) async fn send(&self, email: &Email, message: &Message, limit: Duration) -> Result<(), SendError> {
        let (folder, name, content) = (self.0.clone(), file_name(email), message.formatted());
        match timeout(limit, spawn_blocking(move || deliver(&folder, &name, &content))).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(unknown().because(panicked)),
            Err(late) => Err(unknown().because(late)),
        }
    }
}

fn unknown() -> SendError {
    SendError::new(SendErrorKind::Unknown, "writing the e-mail's file was not finished; it may be there")
}

fn deliver(folder: &Path, name: &str, content: &[u8]) -> Result<(), SendError> {
    let hidden = folder.join(format!(".{name}.tmp"));
    let written =
        make(folder).and_then(|()| write_new(&hidden, content)).and_then(|()| fs::rename(&hidden, folder.join(name)));
    if let Err(error) = written {
        // Nothing more can be done about a leftover than to try: the next attempt under this name clears it.
        let _ = fs::remove_file(&hidden);
        return Err(SendError::new(SendErrorKind::Definite, "the e-mail's file could not be written").because(error));
    }
    // The new name is in the folder, and the folder is what has to reach the disk.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unknown().because(error))
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// `create_new` follows no link that somebody has put there, and never keeps another file's mode.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Sorts by time. Of the message id only what is harmless in a file name: no `/`, and no leading dot since the time
/// comes first.
fn file_name(email: &Email) -> String {
    let date = email.date.checked_to_offset(UtcOffset::UTC).unwrap_or(email.date);
    let id: String = email
        .message_id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '@'))
        .take(ID_MAX)
        .collect();
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:06}Z-{id}.eml",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        date.microsecond()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::SecretString;
    use time::OffsetDateTime;

    use super::super::super::Mailer;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn mailer(folder: &Path) -> Mailer {
        let url = SecretString::from(format!("file:{}", folder.display()));
        Mailer::from_url(&url, "Rolecall <no-reply@localhost>").unwrap()
    }

    fn email() -> Email {
        Email {
            to: "maya@example.com".into(),
            subject: "Zoë invited you".into(),
            text: "Hello\n\nhttps://app.example.com/setup#token=rci_abc\n".into(),
            html: "<p>Hello</p>".into(),
            message_id: "<0199-ab@localhost>".into(),
            date: OffsetDateTime::from_unix_timestamp_nanos(1_772_875_800_000_042_000)
                .unwrap()
                .to_offset(UtcOffset::from_hms(2, 0, 0).unwrap()),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn an_e_mail_is_one_private_file_in_a_private_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data/mail");
        mailer(&folder).send(&email(), LIMIT).await.unwrap();

        assert_eq!(names(&folder), ["20260307T093000.000042Z-0199-ab@localhost.eml"]);
        let file = folder.join(&names(&folder)[0]);
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn the_file_is_a_multipart_message_with_text_before_html() {
        let root = tempfile::tempdir().unwrap();
        mailer(root.path()).send(&email(), LIMIT).await.unwrap();

        let content = fs::read_to_string(root.path().join(&names(root.path())[0])).unwrap();
        let (head, body) = content.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nTo: maya@example.com\r\n") && head.contains("Subject: =?utf-8?b?"), "{head}");
        let boundary = head.split_once("boundary=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
        let parts: Vec<_> = body.split(&format!("--{boundary}")).collect();
        assert_eq!((parts.len(), parts[3].trim()), (4, "--"), "{body}");
        assert!(
            parts[1].contains("Content-Type: text/plain; charset=utf-8\r\n") && parts[1].contains("#token=rci_abc")
        );
        assert!(parts[2].contains("Content-Type: text/html; charset=utf-8\r\n") && parts[2].contains("<p>Hello</p>"));
    }

    #[tokio::test]
    async fn a_leftover_of_a_crash_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let name = file_name(&email());
        fs::write(root.path().join(format!(".{name}.tmp")), "half").unwrap();
        mailer(root.path()).send(&email(), LIMIT).await.unwrap();
        assert_eq!(names(root.path()), std::slice::from_ref(&name));
        assert_eq!(mode(&root.path().join(name)), 0o600);
    }

    #[tokio::test]
    async fn a_message_id_cannot_leave_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mail");
        mailer(&folder).send(&Email { message_id: "<../../x/\u{0}é>".into(), ..email() }, LIMIT).await.unwrap();
        assert_eq!(names(&folder), ["20260307T093000.000042Z-....x.eml"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_found_at_the_start() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mail");
        mailer(&folder).check().await.unwrap();
        assert_eq!((mode(&folder), names(&folder).len()), (0o700, 0));

        let blocked = root.path().join("blocked");
        fs::write(&blocked, "a file, not a folder").unwrap();
        let line = mailer(&blocked).check().await.unwrap_err().to_string();
        assert!(line.starts_with("--mail-url: cannot write into the folder ") && !line.contains('\n'), "{line}");

        let error = mailer(&blocked).send(&email(), LIMIT).await.unwrap_err();
        assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, false));
        assert_eq!(error.public, "the e-mail's file could not be written");
        assert!(std::error::Error::source(&error).is_some());
    }
}
