//! Mail as its reader gets it.

use std::path::Path;

use mailparse::{MailHeaderMap, parse_mail};

#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Mail {
    /// The mail in a folder, oldest first.
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let Ok(files) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        // The clock may stand still: the order of writing is the order of sending.
        paths.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
        paths.iter().map(|path| Self::parse(&std::fs::read(path).unwrap())).collect()
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let mail = parse_mail(bytes).unwrap();
        let part = |kind: &str| {
            let part = mail.parts().find(|part| part.ctype.mimetype == kind).unwrap();
            part.get_body().unwrap().replace("\r\n", "\n")
        };
        Self {
            to: mail.headers.get_first_value("To").unwrap(),
            subject: mail.headers.get_first_value("Subject").unwrap(),
            text: part("text/plain"),
            html: part("text/html"),
        }
    }

    /// The token of an invitation's link.
    pub fn token(&self) -> String {
        token_in(&self.text)
    }

    /// The token of a password reset's link.
    pub fn reset_token(&self) -> String {
        reset_token_in(&self.text)
    }
}

/// The token of the invitation's link in an e-mail's text.
pub fn token_in(text: &str) -> String {
    token_of("rci_", text)
}

/// The token of the password reset's link in an e-mail's text.
pub fn reset_token_in(text: &str) -> String {
    token_of("rcp_", text)
}

fn token_of(prefix: &str, text: &str) -> String {
    let start = text.find(prefix).unwrap();
    text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
}
