//! The read behind every call and every check: what a token, a key or a user is worth right now.
//!
//! Questions that wait at the same moment are answered together ([`desk`]), whatever they ask about: by one statement on
//! PostgreSQL, by one read transaction on SQLite. Each answer comes from one state of the database that is current at some
//! moment after its question arrived: the statement is sent, or the transaction begun, after the questions that it is for
//! were taken from the queue or had come alone, on a connection that is in no transaction. Nothing is remembered between
//! questions.

mod desk;
mod figures;
mod inquiry;
mod postgres;
mod settled;
mod sqlite;

use uuid::Uuid;

use crate::authz::{KeyCaller, ServiceScope, SessionCaller};
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::{Role, ServiceKeyId, SessionId, SessionLifetime, SignInId, UserId, WorkspaceId};

use super::error::corrupt;
use super::{Store, memberships};

pub(super) use desk::Desk;
pub use figures::{AccessFigures, Histogram};
pub(super) use postgres::PostgresSource;
pub(super) use settled::{live_key, live_session};
pub(super) use sqlite::SqliteSource;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The session whose token has this hash. It has the role of the membership that it stands on, which the database sees
    /// to, and ends with it.
    Session(TokenHash),
    /// The service key with this hash.
    ServiceKey(TokenHash),
    /// An active membership.
    Membership(WorkspaceId, UserId),
    /// Whether the workspace exists.
    Workspace(WorkspaceId),
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    Nothing,
    Session(FoundSession),
    ServiceKey(FoundKey),
    Membership(Role),
    Workspace,
}

/// A session, whatever has become of it.
#[derive(Clone, Debug)]
pub enum FoundSession {
    /// Neither its end nor that of its membership has been recorded; time may have ended it.
    Begun(SessionCaller),
    SignedOut,
    Ended,
}

/// A service key, whatever has become of it.
#[derive(Clone, Debug)]
pub struct FoundKey {
    caller: KeyCaller,
    revoked: bool,
    expire_time: Option<Timestamp>,
}

/// What a session token stands for.
#[derive(Clone, Debug)]
pub enum SessionState {
    Live(SessionCaller),
    /// Ended by its own sign-out.
    SignedOut,
    /// Ended in any other way, or never begun.
    Ended,
}

/// What a service key stands for.
#[derive(Clone, Debug)]
pub enum KeyState {
    Live(KeyCaller),
    Invalid,
}

impl Found {
    /// What a session is worth at `now`, if it is one.
    pub fn session(self, lifetime: SessionLifetime, now: Timestamp) -> SessionState {
        match self {
            Found::Session(FoundSession::Begun(caller))
                if now < caller.last_used_time.plus(lifetime.idle) && now < caller.expire_time =>
            {
                SessionState::Live(caller)
            }
            Found::Session(FoundSession::SignedOut) => SessionState::SignedOut,
            _ => SessionState::Ended,
        }
    }

    /// What a service key is worth at `now`, if it is one.
    pub fn service_key(self, now: Timestamp) -> KeyState {
        match self {
            Found::ServiceKey(key) if !key.revoked && key.expire_time.is_none_or(|end| now < end) => {
                KeyState::Live(key.caller)
            }
            _ => KeyState::Invalid,
        }
    }

    /// The role of a membership, if it is one.
    pub fn role(&self) -> Option<Role> {
        match self {
            Found::Membership(role) => Some(*role),
            _ => None,
        }
    }

    pub fn is_something(&self) -> bool {
        !matches!(self, Found::Nothing)
    }
}

impl Store {
    /// Answers questions that belong together, in their order and by one statement.
    ///
    /// # Errors
    /// `OVERLOADED` if too many wait, `DATABASE_UNAVAILABLE`, `CONFLICT`. Trouble is never an answer.
    pub async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Found>> {
        self.0.desk.ask(questions).await
    }

    async fn ask_one(&self, question: Question) -> Result<Found> {
        Ok(self.ask(vec![question]).await?.pop().unwrap_or(Found::Nothing))
    }

    /// What the session token with this hash is worth at `now`.
    pub async fn session_state(
        &self,
        token: TokenHash,
        lifetime: SessionLifetime,
        now: Timestamp,
    ) -> Result<SessionState> {
        Ok(self.ask_one(Question::Session(token)).await?.session(lifetime, now))
    }

    /// What the service key with this hash is worth at `now`.
    pub async fn key_state(&self, key: TokenHash, now: Timestamp) -> Result<KeyState> {
        Ok(self.ask_one(Question::ServiceKey(key)).await?.service_key(now))
    }

    /// The role that a user has in a workspace, if any.
    pub async fn role_of(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        Ok(self.ask_one(Question::Membership(workspace, user)).await?.role())
    }

    /// How access was asked about so far.
    pub fn access_figures(&self) -> AccessFigures {
        self.0.desk.figures()
    }
}

/// What both databases say of a session. It was found by the beginning of its token's hash: it answers the question about
/// `token`, its own, which may be another than was asked.
struct SessionRow {
    token: TokenHash,
    id: Uuid,
    sign_in_id: Uuid,
    user_id: Uuid,
    workspace_id: Uuid,
    /// None once the session, or its membership, has ended.
    role: Option<i32>,
    signed_out: bool,
    expires_at: i64,
    last_used_at: i64,
    authenticated_at: i64,
}

/// What both databases say of a service key.
struct KeyRow {
    id: Uuid,
    workspace_id: Option<Uuid>,
    scopes: i32,
    revoked: bool,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    name: String,
}

/// What is selected about each kind of question, with the same columns, so that it can be one statement. What is sought is
/// added.
mod parts {
    pub(super) const SESSIONS: &str = "SELECT 1 AS kind, s.token_hash, s.id, s.sign_in_id, s.user_id, s.workspace_id, \
        s.role + 0 AS number, FALSE AS revoked, s.signed_out, s.expires_at, s.last_used_at, \
        s.authenticated_at, NULL AS name FROM session s WHERE s.token_key ";
    pub(super) const KEYS: &str = "SELECT 2 AS kind, k.key_hash AS token_hash, k.id, NULL AS sign_in_id, \
        NULL AS user_id, k.workspace_id, k.scopes AS number, k.revoked_at IS NOT NULL AS revoked, FALSE AS signed_out, \
        k.expires_at, k.last_used_at, NULL AS authenticated_at, k.name FROM service_key k WHERE k.key_hash ";
    pub(super) const MEMBERSHIPS: &str = "SELECT 3 AS kind, NULL AS token_hash, NULL AS id, NULL AS sign_in_id, m.user_id, \
        m.workspace_id, m.role + 0 AS number, FALSE AS revoked, FALSE AS signed_out, NULL AS expires_at, \
        NULL AS last_used_at, NULL AS authenticated_at, NULL AS name FROM ";
    pub(super) const WORKSPACES: &str = "SELECT 4 AS kind, NULL AS token_hash, NULL AS id, NULL AS sign_in_id, \
        NULL AS user_id, w.id AS workspace_id, 0 AS number, FALSE AS revoked, FALSE AS signed_out, NULL AS expires_at, \
        NULL AS last_used_at, NULL AS authenticated_at, NULL AS name FROM workspace w WHERE w.id ";
}

impl SessionRow {
    fn found(self) -> Result<Found> {
        let Some(number) = self.role else {
            return Ok(Found::Session(if self.signed_out { FoundSession::SignedOut } else { FoundSession::Ended }));
        };
        let caller = SessionCaller {
            token_key: self.token.key(),
            session_id: SessionId::new(self.id),
            sign_in_id: SignInId::new(self.sign_in_id),
            user_id: UserId::new(self.user_id),
            workspace_id: WorkspaceId::new(self.workspace_id),
            role: role(number)?,
            authenticate_time: Timestamp::from_micros(self.authenticated_at),
            expire_time: Timestamp::from_micros(self.expires_at),
            last_used_time: Timestamp::from_micros(self.last_used_at),
        };
        Ok(Found::Session(FoundSession::Begun(caller)))
    }
}

impl KeyRow {
    fn found(self) -> Result<Found> {
        let bound_to = self.workspace_id.map(WorkspaceId::new);
        let caller = KeyCaller {
            key_id: ServiceKeyId::new(self.id),
            name: self.name,
            scopes: scopes_of(self.scopes)?,
            bound_to,
            workspace: bound_to,
            last_used_time: self.last_used_at.map(Timestamp::from_micros),
        };
        let expire_time = self.expires_at.map(Timestamp::from_micros);
        Ok(Found::ServiceKey(FoundKey { caller, revoked: self.revoked, expire_time }))
    }
}

fn role(number: i32) -> Result<Role> {
    memberships::role(i16::try_from(number).map_err(|_| corrupt("a role"))?)
}

/// Scopes are stored as bits: bit n stands for the scope with number n.
pub(super) fn scope_bits(scopes: &[ServiceScope]) -> i32 {
    scopes.iter().fold(0, |bits, scope| bits | 1 << scope.number())
}

pub(super) fn scopes_of(bits: i32) -> Result<Vec<ServiceScope>> {
    let scopes: Vec<ServiceScope> =
        ServiceScope::ALL.iter().copied().filter(|scope| bits & (1 << scope.number()) != 0).collect();
    if scope_bits(&scopes) == bits { Ok(scopes) } else { Err(corrupt("a service scope")) }
}
