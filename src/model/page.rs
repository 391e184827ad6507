//! Paging: keyset positions, so that a list stays stable while rows come and go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, FieldReason, FieldViolation, Reason};

use super::WorkspaceId;

/// Rows a page when the request says nothing.
pub const DEFAULT_PAGE_SIZE: u64 = 50;
/// The most rows a page, whatever the request says.
pub const MAX_PAGE_SIZE: u64 = 200;
/// Longest page token that is looked at, in bytes. Ours are shorter: a position is an address or a moment and an id.
const MAX_TOKEN_BYTES: usize = 1_024;
const TAG_BYTES: usize = 16;

/// Reads `page_size`.
pub fn page_size(requested: i32) -> Result<u64, FieldViolation> {
    match u64::try_from(requested) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(FieldViolation::new("page_size", FieldReason::OutOfRange, "must not be negative")),
    }
}

/// Which list a page token belongs to: the kind of list, whose it is, and every filter that shapes it.
///
/// A token is a position and a checksum over this and the position. The checksum is no secret: a position only says
/// where to go on in a list that the caller may read anyway. It keeps a token from being used by mistake where it
/// would skip or repeat rows.
#[derive(Clone, Debug)]
pub struct ListId(Sha256);

impl ListId {
    pub fn new(kind: &str, workspace: Option<WorkspaceId>) -> Self {
        let list = Self(Sha256::new()).filter(kind.as_bytes());
        match workspace {
            Some(id) => list.filter(id.uuid().as_bytes()),
            None => list.filter(b""),
        }
    }

    /// Adds something that shapes the list. Lengths go in too, so that neighbours cannot run together.
    pub fn filter(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    fn tag(&self, position: &[u8]) -> [u8; TAG_BYTES] {
        let digest = self.clone().filter(position).0.finalize();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&digest[..TAG_BYTES]);
        tag
    }

    /// The token that goes on after `position`.
    pub fn token(&self, position: &Position) -> String {
        let position = position.encode();
        let mut bytes = self.tag(&position).to_vec();
        bytes.extend_from_slice(&position);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads `page_token`; empty means the first page.
    pub fn position(&self, token: &str) -> Result<Option<Position>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        self.decode(token).map(Some).map_err(|reason| {
            Error::new(Reason::PageTokenInvalid).with_field(FieldViolation::new(
                "page_token",
                reason,
                "must be the next_page_token of the same list with the same filters",
            ))
        })
    }

    /// The position, or whether the token is none or belongs elsewhere.
    fn decode(&self, token: &str) -> Result<Position, FieldReason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(FieldReason::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| FieldReason::Malformed)?;
        let (tag, position) = bytes.split_at_checked(TAG_BYTES).ok_or(FieldReason::Malformed)?;
        if tag != self.tag(position) {
            return Err(FieldReason::NotAllowed);
        }
        Position::decode(position).ok_or(FieldReason::Malformed)
    }
}

/// The sort key of the last row of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first sort key, if it is a number (a moment).
    pub number: i64,
    /// The first sort key, if it is text (an address).
    pub text: String,
    /// The last sort key, which makes the position unique.
    pub id: uuid::Uuid,
}

impl Position {
    pub fn at_time(time: crate::clock::Timestamp, id: uuid::Uuid) -> Self {
        Self { number: time.as_micros(), text: String::new(), id }
    }

    pub fn at_text(text: &str, id: uuid::Uuid) -> Self {
        Self { number: 0, text: text.to_owned(), id }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.number.to_le_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (id, text) = rest.split_first_chunk::<16>()?;
        Some(Self {
            number: i64::from_le_bytes(*number),
            // Anybody can compute the checksum, and PostgreSQL takes no NUL.
            text: String::from_utf8(text.to_vec()).ok().filter(|text| !text.contains(char::is_control))?,
            id: uuid::Uuid::from_bytes(*id),
        })
    }
}

/// One page of a list: what was asked for, already checked.
#[derive(Clone, Debug)]
pub struct PageRequest {
    pub size: u64,
    pub after: Option<Position>,
}

/// Rows, and where to go on if there are more.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// Makes a page of at most `size` rows out of up to `size + 1` rows; the one too many says that there are more.
    pub fn cut(mut rows: Vec<T>, size: u64, position: impl Fn(&T) -> Position) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next = if more { rows.last().map(position) } else { None };
        Self { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_token_belongs_to_one_list() {
        let workspace = WorkspaceId::new(Uuid::from_u128(1));
        let other = WorkspaceId::new(Uuid::from_u128(2));
        let list = ListId::new("users", Some(workspace)).filter(b"ada");
        let position = Position::at_text("ada@example.com", Uuid::from_u128(7));
        let token = list.token(&position);
        assert_eq!(list.position(&token).unwrap(), Some(position));
        for foreign in [
            ListId::new("users", Some(other)).filter(b"ada"),
            ListId::new("users", Some(workspace)).filter(b"bob"),
            ListId::new("invitations", Some(workspace)).filter(b"ada"),
            ListId::new("users", Some(workspace)).filter(b"ad").filter(b"a"),
        ] {
            assert_eq!(foreign.position(&token).unwrap_err().reason(), Reason::PageTokenInvalid);
        }
    }

    #[test]
    fn a_token_that_was_touched_is_refused() {
        let list = ListId::new("users", None);
        let token = list.token(&Position::at_text("ada@example.com", Uuid::from_u128(7)));
        for index in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[index] = if touched[index] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert!(list.position(&touched).is_err(), "{touched}");
        }
        for text in ["x", "====", &token[1..], &format!("{token}A"), &"A".repeat(5_000)] {
            assert!(list.position(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(page_size(0), Ok(50));
        assert_eq!(page_size(1), Ok(1));
        assert_eq!(page_size(201), Ok(200));
        assert!(page_size(-1).is_err());
    }
}
