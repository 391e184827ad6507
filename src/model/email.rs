//! E-mail addresses: one plain `local@domain`, canonical from the first moment.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::error::{FieldReason, FieldViolation};

/// Longest address in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets; RFC 3696 erratum 1690).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Longest part before the `@` in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// An address in its canonical form: lower case, ASCII, international domains as A-labels.
///
/// Two addresses are the same person's exactly if their canonical forms are equal; plus-tags stay distinct. Because the
/// form is plain ASCII, every database compares it alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads the address that stands in `field` of a request.
    pub fn parse(field: &str, text: &str) -> Result<Self, FieldViolation> {
        let bad = |reason, why: &str| FieldViolation::new(field, reason, why);
        if text.is_empty() {
            return Err(bad(FieldReason::Required, "must be an e-mail address"));
        }
        if text.len() > MAX_EMAIL_BYTES {
            return Err(bad(FieldReason::TooLong, "must be at most 254 bytes long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(bad(FieldReason::ForbiddenCharacter, "must not contain spaces or control characters"));
        }
        let malformed = |why: &str| bad(FieldReason::Malformed, why);
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(malformed("must have the form local@domain"));
        };
        let local = canonical_local(local).map_err(malformed)?;
        let domain = canonical_domain(domain).map_err(malformed)?;
        let address = format!("{local}@{domain}");
        if address.len() > MAX_EMAIL_BYTES {
            return Err(bad(FieldReason::TooLong, "must be at most 254 bytes long with its domain in ASCII form"));
        }
        Ok(Self(address))
    }

    /// An address that was canonical when it was stored.
    pub fn from_stored(canonical: String) -> Self {
        Self(canonical)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses are personal data: `Debug`, which is what ends up in logs, shows none.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

fn canonical_local(local: &str) -> Result<String, &'static str> {
    /// `atext` of RFC 5322, 3.2.3, which is what needs no quotes.
    fn is_atext(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
    }
    if local.is_empty() || local.len() > MAX_LOCAL_BYTES {
        return Err("must have 1 to 64 characters before the @");
    }
    if !local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
        return Err("must have only ASCII letters, digits and unquoted punctuation before the @");
    }
    Ok(local.to_ascii_lowercase())
}

fn canonical_domain(domain: &str) -> Result<String, &'static str> {
    const NOT_A_DOMAIN: &str = "must have a domain such as example.com after the @";
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| NOT_A_DOMAIN)?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let is_plain = |label: &&str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if labels.len() < 2 || labels.iter().any(|label| label.is_empty()) || !labels.iter().all(is_plain) {
        return Err(NOT_A_DOMAIN);
    }
    if labels.last().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit())) {
        return Err(NOT_A_DOMAIN);
    }
    // IDNA folds look-alikes (full-width letters, the Kelvin sign, the long s) into plain ASCII. An address that needs
    // such folding was not typed by its owner, and what a person reads must be what is stored.
    let (unicode, read_back) = idna::domain_to_unicode(&ascii);
    let folds_to_ascii = |c: char| !c.is_ascii() && c.to_lowercase().nfc().all(|folded| folded.is_ascii());
    let as_typed = unicode == domain.to_lowercase().nfc().collect::<String>() || ascii == domain.to_ascii_lowercase();
    if read_back.is_err() || !as_typed || domain.chars().any(folds_to_ascii) {
        return Err("must not have look-alike characters after the @");
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, FieldReason> {
        EmailAddress::parse("email", text).map(|e| e.0).map_err(|v| v.reason)
    }

    #[test]
    fn an_address_is_canonical_once_parsed() {
        assert_eq!(parse("Ada.Lovelace+Tag@Example.COM").as_deref(), Ok("ada.lovelace+tag@example.com"));
        assert_eq!(parse("ada@bücher.example").as_deref(), Ok("ada@xn--bcher-kva.example"));
        assert_eq!(parse("ada@XN--BCHER-KVA.example").as_deref(), Ok("ada@xn--bcher-kva.example"));
        assert_eq!(parse("o'hara@sub.example.org").as_deref(), Ok("o'hara@sub.example.org"));
    }

    #[test]
    fn what_is_not_one_plain_address_is_refused() {
        for text in [
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a@b@example.com",
            "ada@example..com",
            "ada@.example.com",
            "ada@example.com.",
            ".ada@example.com",
            "ada.@example.com",
            "a..da@example.com",
            "\"ada\"@example.com",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@-example.com",
            "ada@exa_mple.com",
            "Ada <ada@example.com>",
            "ada@example.com,bob@example.com",
            "ada(comment)@example.com",
            "\u{131}da@example.com",
            "ada@xn--.com",
            "ada@\u{ff45}xample.com",
            "ada@e\u{212a}ample.com",
            "ada@example\u{3002}com",
            "ada@\u{17f}hop.example",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted as {:?}", parse(text));
        }
    }

    #[test]
    fn the_reason_says_what_is_wrong() {
        assert_eq!(parse(""), Err(FieldReason::Required));
        assert_eq!(parse(" ada@example.com"), Err(FieldReason::ForbiddenCharacter));
        assert_eq!(parse("ada\0@example.com"), Err(FieldReason::ForbiddenCharacter));
        assert_eq!(parse("ada@example.com\r\nBcc: x@example.com"), Err(FieldReason::ForbiddenCharacter));
        assert_eq!(parse(&format!("{}@example.com", "a".repeat(64))).map(|e| e.len()), Ok(76));
        assert_eq!(parse(&format!("{}@example.com", "a".repeat(65))), Err(FieldReason::Malformed));
        assert_eq!(parse(&format!("a@{}.com", "b".repeat(260))), Err(FieldReason::TooLong));
    }
}
