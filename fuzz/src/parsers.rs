//! What reads text that anybody may send: it never panics, and what it takes has one spelling.

use rolecall::crypto::TokenKind;
use rolecall::model::{EmailAddress, ListId, MAX_NAME_CHARS, Name, Position, fold_for_search, parse_uuid};

const KINDS: [TokenKind; 5] = [
    TokenKind::Session,
    TokenKind::Invitation,
    TokenKind::PasswordReset,
    TokenKind::ServiceKey,
    TokenKind::KnownDevice,
];

/// A text, of whatever can be read of the bytes.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

pub fn tokens(data: &[u8]) {
    let text = text(data);
    let taken: Vec<TokenKind> = KINDS.into_iter().filter(|kind| kind.parse(&text).is_some()).collect();
    assert!(taken.len() <= 1, "{text:?} is of more than one kind");
    if let [kind] = taken[..] {
        assert_eq!(text.len(), 47);
        // Another last character is other bytes, or none at all.
        for last in ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']) {
            let other = format!("{}{last}", &text[..46]);
            assert!(other == text || kind.parse(&other) != kind.parse(&text), "{text:?} has another spelling");
        }
    }
    if let Some(id) = parse_uuid(&text) {
        assert_eq!(id.hyphenated().to_string(), text.to_ascii_lowercase());
    }
}

pub fn texts(data: &[u8]) {
    let text = text(data);
    if let Ok(address) = EmailAddress::parse("email", &text) {
        let canonical = address.as_str();
        assert!(canonical.len() <= 254 && canonical.bytes().all(|b| b.is_ascii_graphic()), "{canonical:?}");
        assert_eq!(canonical.matches('@').count(), 1, "{canonical:?}");
        assert!(!canonical.contains([',', ';', '<', '>', '"', '\\', '(', ')', ':']), "{canonical:?}");
        let again = EmailAddress::parse("email", canonical).expect("what is canonical is an address");
        assert_eq!(again.as_str(), canonical);
    }
    if let Ok(name) = Name::parse("name", &text) {
        let count = name.as_str().chars().count();
        assert!((1..=MAX_NAME_CHARS).contains(&count), "{name:?}");
        assert!(!name.as_str().chars().any(char::is_control), "{name:?}");
        let again = Name::parse("name", name.as_str()).expect("what is a name once is one again");
        assert_eq!(again.as_str(), name.as_str());
    }
    fold_for_search(&text);
}

pub fn page_tokens(data: &[u8]) {
    let list = ListId::new("users", None);
    if let Ok(Some(position)) = list.position(&text(data)) {
        assert_eq!(list.token(&position), text(data), "a position has one token");
    }
    // The checksum is no secret: what has a good one is no better for it.
    let (number, rest) = data.split_at(data.len().min(8));
    let mut first = [0; 8];
    first[..number.len()].copy_from_slice(number);
    let position = Position::at_text(&text(rest), Default::default());
    let position = Position { number: i64::from_le_bytes(first), ..position };
    let token = list.token(&position);
    match list.position(&token) {
        Ok(Some(read)) => assert_eq!(read, position),
        Ok(None) => panic!("a token is not nothing"),
        Err(_) => assert!(position.text.contains(char::is_control) || token.len() > 1_024, "{position:?}"),
    }
    let other = ListId::new("users", None).filter(b"x");
    assert!(other.position(&token).is_err(), "a token of another list");
}
