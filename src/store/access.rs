//! The read behind every call and every check: what a token or a user is worth right now.
//!
//! Each answer is one statement on an autocommit connection, so it comes from one state of the database that is current
//! at some moment after the question arrived. Nothing is remembered between questions.

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use crate::authz::{KeyCaller, ServiceScope, SessionCaller};
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::{Role, ServiceKeyId, SessionId, SessionLifetime, SignInId, UserId, WorkspaceId};

use super::entity::{membership, service_key, session};
use super::error::{corrupt, refused};
use super::{Store, memberships};

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

impl Store {
    /// What the session token with this hash is worth at `now`.
    pub async fn session_state(
        &self,
        token: TokenHash,
        lifetime: SessionLifetime,
        now: Timestamp,
    ) -> Result<SessionState> {
        self.0.dialect.require_present()?;
        let query = session_query().and_where(session_column(session::Column::TokenHash).eq(token.to_vec())).take();
        let Some(row) = SessionRow::one(self.reader(), &query).await? else {
            return Ok(SessionState::Ended);
        };
        if row.signed_out {
            return Ok(SessionState::SignedOut);
        }
        let idle = now >= Timestamp::from_micros(row.last_used_at).plus(lifetime.idle);
        if idle { Ok(SessionState::Ended) } else { Ok(row.live(now)?.map_or(SessionState::Ended, SessionState::Live)) }
    }

    /// The role that a user has in a workspace, if any.
    pub async fn role_of(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        memberships::active_role(self.reader(), workspace, user).await
    }

    /// What the service key with this hash is worth at `now`.
    pub async fn key_state(&self, key: TokenHash, now: Timestamp) -> Result<KeyState> {
        self.0.dialect.require_present()?;
        let query = key_query().and_where(Expr::col(service_key::Column::KeyHash).eq(key.to_vec())).take();
        Ok(one_key(self.reader(), &query, now).await?.map_or(KeyState::Invalid, KeyState::Live))
    }
}

/// The session as it is inside a transaction, if it is live. The idle time-out was judged when the call came in; the call
/// itself is use.
pub(super) async fn live_session<C: ConnectionTrait>(
    db: &C,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<SessionCaller>> {
    let query = session_query().and_where(session_column(session::Column::Id).eq(id.uuid())).take();
    match SessionRow::one(db, &query).await? {
        Some(row) => row.live(now),
        None => Ok(None),
    }
}

/// The key as it is inside a transaction, if it is good.
pub(super) async fn live_key<C: ConnectionTrait>(
    db: &C,
    id: ServiceKeyId,
    now: Timestamp,
) -> Result<Option<KeyCaller>> {
    let query = key_query().and_where(Expr::col(service_key::Column::Id).eq(id.uuid())).take();
    one_key(db, &query, now).await
}

#[derive(FromQueryResult)]
struct SessionRow {
    id: uuid::Uuid,
    sign_in_id: uuid::Uuid,
    user_id: uuid::Uuid,
    workspace_id: uuid::Uuid,
    expires_at: i64,
    last_used_at: i64,
    authenticated_at: i64,
    ended_at: Option<i64>,
    signed_out: bool,
    role: i16,
    removed_at: Option<i64>,
}

impl SessionRow {
    async fn one<C: ConnectionTrait>(db: &C, query: &SelectStatement) -> Result<Option<Self>> {
        let row: Option<QueryResult> = db.query_one(query).await.map_err(refused)?;
        row.map(|row| Self::from_query_result(&row, "").map_err(refused)).transpose()
    }

    fn live(self, now: Timestamp) -> Result<Option<SessionCaller>> {
        let expire_time = Timestamp::from_micros(self.expires_at);
        if self.ended_at.is_some() || self.removed_at.is_some() || now >= expire_time {
            return Ok(None);
        }
        Ok(Some(SessionCaller {
            session_id: SessionId::new(self.id),
            sign_in_id: SignInId::new(self.sign_in_id),
            user_id: UserId::new(self.user_id),
            workspace_id: WorkspaceId::new(self.workspace_id),
            role: memberships::role(self.role)?,
            authenticate_time: Timestamp::from_micros(self.authenticated_at),
            expire_time,
        }))
    }
}

fn session_column(column: session::Column) -> Expr {
    Expr::col((session::Entity, column))
}

/// The session together with the membership that it stands on, in one statement: two would be two moments.
fn session_query() -> SelectStatement {
    use session::Column as S;
    Query::select()
        .columns(
            [S::Id, S::SignInId, S::UserId, S::WorkspaceId, S::ExpiresAt, S::LastUsedAt].map(|c| (session::Entity, c)),
        )
        .columns([S::AuthenticatedAt, S::EndedAt, S::SignedOut].map(|c| (session::Entity, c)))
        .columns([membership::Column::Role, membership::Column::RemovedAt].map(|c| (membership::Entity, c)))
        .from(session::Entity)
        .join(
            JoinType::InnerJoin,
            membership::Entity,
            Expr::col((membership::Entity, membership::Column::WorkspaceId))
                .equals((session::Entity, S::WorkspaceId))
                .and(Expr::col((membership::Entity, membership::Column::UserId)).equals((session::Entity, S::UserId))),
        )
        .take()
}

fn key_query() -> SelectStatement {
    use service_key::Column as K;
    Query::select()
        .columns([K::Id, K::Name, K::Scopes, K::WorkspaceId, K::ExpiresAt, K::RevokedAt])
        .from(service_key::Entity)
        .take()
}

async fn one_key<C: ConnectionTrait>(db: &C, query: &SelectStatement, now: Timestamp) -> Result<Option<KeyCaller>> {
    #[derive(FromQueryResult)]
    struct KeyRow {
        id: uuid::Uuid,
        name: String,
        scopes: i32,
        workspace_id: Option<uuid::Uuid>,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
    }
    let Some(row) = db.query_one(query).await.map_err(refused)? else {
        return Ok(None);
    };
    let row = KeyRow::from_query_result(&row, "").map_err(refused)?;
    let expired = row.expires_at.is_some_and(|at| now >= Timestamp::from_micros(at));
    if row.revoked_at.is_some() || expired {
        return Ok(None);
    }
    let bound_to = row.workspace_id.map(WorkspaceId::new);
    Ok(Some(KeyCaller {
        key_id: ServiceKeyId::new(row.id),
        name: row.name,
        scopes: scopes_of(row.scopes)?,
        bound_to,
        workspace: bound_to,
    }))
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
