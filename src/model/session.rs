//! Sessions: a sign-in in one workspace.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;

use super::{Role, SessionId, SignInId, UserId, WorkspaceId};

/// Longest user agent that is kept, in bytes; the rest is cut.
pub const MAX_USER_AGENT_BYTES: usize = 256;
/// How long a password counts as just given.
pub const FRESH_AUTHENTICATION: Duration = Duration::from_secs(10 * 60);
/// The most live sessions of one user; beginning one more ends the oldest.
pub const MAX_SESSIONS_PER_USER: u64 = 100;
/// For so long it is not certain that time has ended a session that looks like it: it may have been used in its last minute by
/// a call that is still in work, or whose use is not written down yet.
pub const END_IN_DOUBT: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub struct Session {
    pub session_id: SessionId,
    pub sign_in_id: SignInId,
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub create_time: Timestamp,
    pub last_used_time: Timestamp,
    /// When it ends in any case, however much it is used.
    pub expire_time: Timestamp,
    /// When the password was given last in this sign-in.
    pub authenticate_time: Timestamp,
    pub peer: Peer,
}

/// What a session is found by: the first eight bytes of its token's hash. It proves nothing. Another token can have the
/// same, if only by a chance of 1 in 2⁶⁴ for each pair, so whoever finds a session by it compares the hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey(i64);

impl TokenKey {
    /// As the database has it.
    pub fn number(self) -> i64 {
        self.0
    }

    /// A key that was stored, or is to be.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetime {
    /// Without use.
    pub idle: Duration,
    /// After the sign-in, in any case.
    pub absolute: Duration,
}

/// Where a call comes from, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub address: Option<IpAddr>,
    /// Cut to [`MAX_USER_AGENT_BYTES`]; empty if the client sent none.
    pub user_agent: String,
}

/// A workspace as one of its members sees it.
#[derive(Clone, Debug)]
pub struct WorkspaceMembership {
    pub workspace_id: WorkspaceId,
    pub workspace_name: super::Name,
    pub role: Role,
}

/// Cuts `text` to at most `max` bytes without splitting a character, and drops control characters.
pub fn bounded_text(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().filter(|c| !c.is_control()).collect()
}
