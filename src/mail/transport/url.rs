//! `--mail-url`, read strictly. The meaning of the SMTP forms (ports, `tls=`, a path as EHLO name) is that of lettre's
//! `from_url`, which cannot be used: it hands out a finished transport where `smtp` needs the parts, keeps malformed
//! escapes as they are, and puts what it could not read into its errors.
//!
//! No error here contains any part of the URL: a password with an unescaped `/`, `@` or `:` shifts every boundary.

use std::path::PathBuf;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::{SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};

use super::super::MailConfigError;

pub(super) enum Target {
    Folder(PathBuf),
    Server(Server),
}

pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// `smtp://`
    Plain,
    /// `smtp://…?tls=opportunistic`: STARTTLS if offered. Whoever sits in between can take the offer away.
    Opportunistic,
    /// `smtp://…?tls=required`: STARTTLS or nothing.
    Required,
    /// `smtps://`: TLS from the first byte.
    Wrapped,
}

pub(super) fn parse(url: &str) -> Result<Target, MailConfigError> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(unknown_scheme());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => folder(rest).map(Target::Folder),
        "smtp" => server(rest, false).map(Target::Server),
        "smtps" => server(rest, true).map(Target::Server),
        _ => Err(unknown_scheme()),
    }
}

fn unknown_scheme() -> MailConfigError {
    wrong("must begin with file:, smtp:// or smtps://")
}

fn wrong(what: &str) -> MailConfigError {
    MailConfigError(format!("--mail-url {what}"))
}

/// `file:DIR` (relative or absolute) or `file:///DIR`.
fn folder(rest: &str) -> Result<PathBuf, MailConfigError> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(wrong("names a host: write file:DIR or file:///DIR")),
    };
    let path = decode(path)?;
    if path.is_empty() || path.contains('\0') {
        return Err(wrong("names no folder: write file:DIR"));
    }
    Ok(path.into())
}

fn server(rest: &str, wrapped: bool) -> Result<Server, MailConfigError> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(unknown_scheme());
    };
    if rest.contains('#') {
        return Err(wrong("contains a #; in a user or password write %23"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    let security = security(query, wrapped)?;
    let (host, port) = host_and_port(address)?;
    Ok(Server {
        host,
        port: match (port, security) {
            (Some(port), _) => port,
            (None, Security::Plain) => SMTP_PORT,
            (None, Security::Opportunistic | Security::Required) => SUBMISSION_PORT,
            (None, Security::Wrapped) => SUBMISSIONS_PORT,
        },
        security,
        credentials: user.map(credentials).transpose()?,
        hello_name: hello_name(path)?,
    })
}

fn security(query: &str, wrapped: bool) -> Result<Security, MailConfigError> {
    match (wrapped, query) {
        (true, "") => Ok(Security::Wrapped),
        (true, _) => Err(wrong("takes no ? after smtps://")),
        (false, "") => Ok(Security::Plain),
        (false, "tls=opportunistic") => Ok(Security::Opportunistic),
        (false, "tls=required") => Ok(Security::Required),
        (false, _) => {
            Err(wrong("takes only ?tls=required or ?tls=opportunistic after smtp://; in a password write %3F"))
        }
    }
}

fn host_and_port(address: &str) -> Result<(String, Option<u16>), MailConfigError> {
    let (host, port) = match address.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, port)) if v6.parse::<std::net::Ipv6Addr>().is_ok() => {
            (v6, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        Some(_) => return Err(wrong("has no valid IPv6 address between [ and ]")),
        None => match address.split_once(':') {
            Some((host, port)) => (checked_name(host)?, Some(port)),
            None => (checked_name(address)?, Some("")),
        },
    };
    let port = match port {
        Some("") => None,
        Some(digits) => match digits.parse() {
            Ok(0) | Err(_) => return Err(bad_port()),
            Ok(port) => Some(port),
        },
        None => return Err(bad_port()),
    };
    Ok((host.to_owned(), port))
}

fn bad_port() -> MailConfigError {
    wrong("has no valid port after the host; a / or @ in a user or password is written %2F or %40")
}

fn checked_name(name: &str) -> Result<&str, MailConfigError> {
    match name {
        "" => Err(wrong("names no mail server: write smtp://HOST or smtps://HOST")),
        _ if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) => Ok(name),
        _ => Err(wrong("has no valid host name; international names are written in their xn-- form")),
    }
}

fn credentials(user: &str) -> Result<Credentials, MailConfigError> {
    match user.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Credentials::new(decode(user)?, decode(password)?))
        }
        _ => Err(wrong("needs both a user and a password before the @")),
    }
}

fn hello_name(path: &str) -> Result<Option<String>, MailConfigError> {
    match path.trim_matches('/') {
        "" => Ok(None),
        name => match checked_name(name) {
            Ok(name) => Ok(Some(name.to_owned())),
            Err(_) => {
                Err(wrong("has a path that is not a name to say in EHLO; a / in a user or password is written %2F"))
            }
        },
    }
}

fn decode(escaped: &str) -> Result<String, MailConfigError> {
    let malformed = || wrong("has a malformed percent escape; a % itself is written %25");
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return Err(malformed());
        };
        let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(malformed());
        };
        bytes.push(high * 16 + low);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn server(url: &str) -> Server {
        match parse(url) {
            Ok(Target::Server(server)) => server,
            Ok(Target::Folder(_)) => panic!("{url} is a folder"),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    #[test]
    fn a_folder_is_relative_or_absolute() {
        for (url, path) in [
            ("file:rolecall-data/mail", "rolecall-data/mail"),
            ("file:/var/mail", "/var/mail"),
            ("file:///var/my%20mail", "/var/my mail"),
            ("FILE:./m", "./m"),
        ] {
            match parse(url) {
                Ok(Target::Folder(found)) => assert_eq!(found, Path::new(path), "{url}"),
                _ => panic!("{url}"),
            }
        }
    }

    #[test]
    fn a_server_url_means_what_it_means_to_lettre() {
        for (url, host, port, security) in [
            ("smtp://localhost", "localhost", 25, Security::Plain),
            ("smtp://localhost:1025/", "localhost", 1025, Security::Plain),
            ("smtp://mail.example.com?tls=required", "mail.example.com", 587, Security::Required),
            ("smtp://mail.example.com?tls=opportunistic", "mail.example.com", 587, Security::Opportunistic),
            ("smtps://mail.example.com", "mail.example.com", 465, Security::Wrapped),
            ("SMTPS://[::1]:2465", "::1", 2465, Security::Wrapped),
            ("smtp://[::1]", "::1", 25, Security::Plain),
        ] {
            let server = server(url);
            assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security), "{url}");
            assert!(server.credentials.is_none() && server.hello_name.is_none(), "{url}");
        }
        let full = server("smtp://us%40er:p%3A%2F%40%25ss@mail.example.com/me.example.com?tls=required");
        assert_eq!(full.credentials, Some(Credentials::new("us@er".into(), "p:/@%ss".into())));
        assert_eq!(full.hello_name.as_deref(), Some("me.example.com"));
        assert_eq!(server("smtp://u:p:q@r@h").credentials, Some(Credentials::new("u".into(), "p:q@r".into())));
    }

    #[test]
    fn what_cannot_work_is_refused_in_one_line_that_keeps_the_password() {
        for url in [
            "",
            "hunter2",
            "hunter2:hunter2@mail.example.com",
            "http://user:hunter2@mail.example.com",
            "smtp:user:hunter2@mail.example.com",
            "smtp://",
            "smtp://user:hunter2@",
            "smtp://user:hunter2@:25",
            "smtp://user:hunter2@mail.example.com:0",
            "smtp://user:hunter2@mail.example.com:65536",
            "smtp://user:hunter2@mail.example.com:port",
            "smtp://user:hunter2@[::1",
            "smtp://user:hunter2@[hunter2]:25",
            "smtp://user:hunter2@[::1]25",
            "smtp://user:hunter2@mail example.com",
            "smtp://user:hunter2@mail.example.com\r\n",
            "smtp://user:hunter2@bücher.example",
            "smtp://user:hunter2/@mail.example.com",
            "smtp://user:hunter2#@mail.example.com",
            "smtp://user:hunter2?@mail.example.com",
            "smtp://user:hunter2%@mail.example.com",
            "smtp://user:hunter2%4@mail.example.com",
            "smtp://user:hunter2%zz@mail.example.com",
            "smtp://user:hunter2%ff@mail.example.com",
            "smtp://user:hunter2%é@mail.example.com",
            "smtp://hunter2@mail.example.com",
            "smtp://:hunter2@mail.example.com",
            "smtp://hunter2:@mail.example.com",
            "smtp://user:hunter2@mail.example.com?tls=no",
            "smtp://user:hunter2@mail.example.com?password=hunter2",
            "smtps://user:hunter2@mail.example.com?tls=required",
            "smtp://user:hunter2@mail.example.com/a b",
            "file:",
            "file://",
            "file://hunter2/mail",
            "file:hunter2%2",
            "file:hunter2%00",
        ] {
            let Err(error) = parse(url) else { panic!("{url} was taken") };
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("hunter2") && !shown.contains("example"), "{url}: {shown}");
            }
            let line = error.to_string();
            assert!(line.starts_with("--mail-url ") && !line.contains('\n'), "{url}: {line}");
        }
    }
}
