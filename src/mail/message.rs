//! From an `Email` to the bytes of RFC 5322: multipart/alternative, all of it ASCII on the wire, so that no server
//! has to offer 8BITMIME or SMTPUTF8.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentTransferEncoding, ContentType, Date, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::text::one_line;
use super::{Email, MailConfigError, SendError, SendErrorKind};

const SUBJECT_MAX: usize = 250;
/// RFC 5322, without the line end.
const LINE_MAX: usize = 998;
/// 9999-12-31T23:59:59Z. lettre panics on a date outside of 1970 to 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Parses `--mail-from`.
pub(super) fn sender(from: &str) -> Result<Mailbox, MailConfigError> {
    let malformed = || {
        MailConfigError(
            "--mail-from must be one address with an ASCII domain, such as no-reply@example.com or Rolecall <no-reply@example.com>"
                .into(),
        )
    };
    let from = from.trim();
    if from.chars().any(char::is_control) {
        return Err(malformed());
    }
    let parsed: Mailbox = from.parse().map_err(|_| malformed())?;
    // lettre stops reading after the first address and ignores the rest.
    let bare = parsed.email.as_ref();
    let whole = from == bare || from.ends_with(&format!("<{bare}>"));
    if !whole || !is_plain(bare) {
        return Err(malformed());
    }
    let name = parsed.name.map(|name| one_line(&name, SUBJECT_MAX)).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, parsed.email))
}

pub(super) fn build(from: &Mailbox, email: &Email) -> Result<Message, SendError> {
    let unusable = || SendError::new(SendErrorKind::Definite, "the address cannot be written to").permanent(true);
    if !is_plain(&email.to) {
        return Err(unusable());
    }
    let to: Address = email.to.parse().map_err(|error| unusable().because(error))?;

    Message::builder()
        .from(from.clone())
        .to(to.into())
        .subject(subject(&email.subject))
        .message_id(Some(one_line(&email.message_id, SUBJECT_MAX)))
        .header(date(email))
        // No out-of-office answers, please (RFC 3834).
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
        .multipart(
            MultiPart::alternative()
                .singlepart(text_part(&email.text))
                .singlepart(SinglePart::html(email.html.clone())),
        )
        .map_err(|error| SendError::new(SendErrorKind::Definite, "the e-mail could not be put together").because(error))
}

/// Left as it is wherever RFC 5322 allows. lettre alone would encode it as quoted-printable for a line above 76
/// characters, and the link in a `.eml` file could not be copied.
fn text_part(text: &str) -> SinglePart {
    let as_it_is =
        text.is_ascii() && !text.contains(['\r', '\0']) && text.split('\n').all(|line| line.len() <= LINE_MAX);
    let body = if as_it_is {
        let lines = text.replace('\n', "\r\n").into_bytes();
        Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text.to_owned())
    };
    SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body)
}

/// `=?` opens an encoded word: a name spelled like one would be decoded by the reader's mail program, into characters
/// that `one_line` never saw. It is broken up last, since what `one_line` takes out may have stood in the middle of it.
fn subject(raw: &str) -> String {
    one_line(raw, SUBJECT_MAX).replace("=?", "= ?")
}

fn date(email: &Email) -> Date {
    let seconds = email.date.unix_timestamp().clamp(0, LAST_SECOND).unsigned_abs();
    Date::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Nothing in it can end an SMTP command or a header, or needs more than ASCII.
fn is_plain(address: &str) -> bool {
    address.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

    use super::*;

    fn email() -> Email {
        Email {
            to: "maya@example.com".into(),
            subject: "Hello".into(),
            text: "Hello".into(),
            html: "<p>Hello</p>".into(),
            message_id: "<0199@example.com>".into(),
            date: OffsetDateTime::from_unix_timestamp_nanos(1_772_875_800_500_000_000).unwrap(),
        }
    }

    fn formatted(email: &Email) -> String {
        let from = sender("Rolecall <no-reply@localhost>").unwrap();
        String::from_utf8(build(&from, email).unwrap().formatted()).unwrap()
    }

    fn headers(email: &Email) -> Vec<String> {
        let all = formatted(email);
        let (head, _) = all.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn the_headers_are_those_of_an_automatic_e_mail() {
        let headers = headers(&email());
        for expected in [
            "From: \"Rolecall\" <no-reply@localhost>",
            "To: maya@example.com",
            "Subject: Hello",
            "Message-ID: <0199@example.com>",
            "Date: Sat, 07 Mar 2026 09:30:00 +0000",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            let bare = expected.replace('"', "");
            assert!(headers.iter().any(|h| h == expected || *h == bare), "{expected} is not among {headers:#?}");
        }
        assert!(headers.iter().any(|h| h.starts_with("Content-Type: multipart/alternative")), "{headers:#?}");
    }

    #[test]
    fn a_subject_cannot_add_a_header_or_smuggle_an_encoded_word() {
        let subject = "Acme\r\nBcc: eve@example.com\u{202e} =\u{202e}?utf-8?q?=0D?=".to_owned();
        let headers = headers(&Email { subject, ..email() });
        assert!(headers.iter().any(|h| h == "Subject: Acme Bcc: eve@example.com = ?utf-8?q?=0D?="), "{headers:#?}");
        assert!(!headers.iter().any(|h| h.starts_with("Bcc")), "{headers:#?}");
    }

    #[test]
    fn a_subject_beyond_ascii_is_encoded() {
        let all = formatted(&Email { subject: "Zoë lädt dich ein".into(), ..email() });
        assert!(all.is_ascii());
        assert!(all.contains("Subject: =?utf-8?b?"), "{all}");
    }

    #[test]
    fn no_string_stops_an_e_mail_or_leaves_ascii() {
        let long = "x".repeat(5_000);
        let wide = "家".repeat(5_000);
        for odd in ["", " ", "\u{0}", "\r\n.\r\n", "\u{feff}", "=?", "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿", "ﷺ\u{202e}", "\"<>,;:@\\", &long, &wide]
        {
            let odd = odd.to_owned();
            let all = formatted(&Email {
                subject: odd.clone(),
                text: odd.clone(),
                html: odd.clone(),
                message_id: odd,
                ..email()
            });
            assert!(all.is_ascii());
            // RFC 5322: no line above 998 characters, no bare line end.
            assert!(all.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "{all}");
        }
    }

    #[test]
    fn a_long_link_in_the_text_stays_whole() {
        let link = format!("https://app.example.com/setup?lang=en#token={}", "x".repeat(900));
        let text = format!("Hello\n\n{link}\n");
        assert!(formatted(&Email { text, ..email() }).contains(&format!("\r\n\r\n{link}\r\n")));
    }

    #[test]
    fn no_date_stops_an_e_mail() {
        let zone = |hours| UtcOffset::from_hms(hours, 0, 0).unwrap();
        for date in [
            PrimitiveDateTime::MIN.assume_offset(zone(23)),
            OffsetDateTime::UNIX_EPOCH - Duration::from_secs(1),
            PrimitiveDateTime::MAX.assume_offset(zone(-23)),
        ] {
            formatted(&Email { date, ..email() });
        }
    }

    #[test]
    fn an_address_that_is_not_plain_is_refused_for_good() {
        let from = sender("no-reply@localhost").unwrap();
        for to in [
            "",
            "maya",
            "maya@exa mple.com",
            "a@b.c>\r\nRCPT TO:<d@e.f",
            "\"a b\"@example.com",
            "ü@example.com",
            "a@b.c,d@e.f",
        ] {
            let error = build(&from, &Email { to: to.into(), ..email() }).unwrap_err();
            assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, true), "{to}");
            assert_eq!(error.to_string(), "the address cannot be written to");
        }
    }

    #[test]
    fn the_sender_is_one_address_with_or_without_a_name() {
        for (from, name) in [
            ("no-reply@localhost", None),
            ("Rolecall <no-reply@localhost>", Some("Rolecall")),
            (" \"Role, call\" <no-reply@localhost> ", Some("Role, call")),
            ("Rôlecall <no-reply@localhost>", Some("Rôlecall")),
        ] {
            let sender = sender(from).unwrap_or_else(|error| panic!("{from}: {error}"));
            assert_eq!((sender.name.as_deref(), sender.email.as_ref()), (name, "no-reply@localhost"), "{from}");
        }
        for from in
            ["", "Rolecall", "a@b.c, d@e.f", "A <a@b.c> B", "a@b.c\r\nBcc: d@e.f", "A <ü@b.c>", "a@bücher.example"]
        {
            let error = sender(from).expect_err(from).to_string();
            assert!(error.starts_with("--mail-from ") && !error.contains('\n'), "{error}");
        }
    }
}
