//! The caller as it is inside a write transaction, read again after the locks.

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use crate::authz::{KeyCaller, SessionCaller};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId, SignInId, TokenKey, UserId, WorkspaceId};

use crate::store::entity::{membership, service_key, session};
use crate::store::error::{corrupt, refused};
use crate::store::memberships;

use super::scopes_of;

/// The session as it is inside a transaction, if it is live. The idle time-out was judged when the call came in; the call
/// itself is use.
pub(in crate::store) async fn live_session<C: ConnectionTrait>(
    db: &C,
    key: TokenKey,
    now: Timestamp,
) -> Result<Option<SessionCaller>> {
    let query = session_query().and_where(session_column(session::Column::TokenKey).eq(key.number())).take();
    match SessionRow::one(db, &query).await? {
        Some(row) => row.live(now),
        None => Ok(None),
    }
}

/// The key as it is inside a transaction, if it is good.
pub(in crate::store) async fn live_key<C: ConnectionTrait>(
    db: &C,
    id: ServiceKeyId,
    now: Timestamp,
) -> Result<Option<KeyCaller>> {
    let query = key_query().and_where(Expr::col(service_key::Column::Id).eq(id.uuid())).take();
    one_key(db, &query, now).await
}

#[derive(FromQueryResult)]
struct SessionRow {
    token_key: i64,
    id: uuid::Uuid,
    sign_in_id: uuid::Uuid,
    user_id: uuid::Uuid,
    workspace_id: uuid::Uuid,
    expires_at: i64,
    authenticated_at: i64,
    last_used_at: i64,
    ended_at: Option<i64>,
    role: Option<i16>,
    role_of_membership: i16,
    removed_at: Option<i64>,
}

impl SessionRow {
    async fn one<C: ConnectionTrait>(db: &C, query: &SelectStatement) -> Result<Option<Self>> {
        let row: Option<QueryResult> = db.query_one(query).await.map_err(refused)?;
        row.map(|row| Self::from_query_result(&row, "").map_err(refused)).transpose()
    }

    fn live(self, now: Timestamp) -> Result<Option<SessionCaller>> {
        let expire_time = Timestamp::from_micros(self.expires_at);
        let Some(role) =
            self.role.filter(|_| self.ended_at.is_none() && self.removed_at.is_none() && now < expire_time)
        else {
            return Ok(None);
        };
        if role != self.role_of_membership {
            return Err(corrupt("the role of a session"));
        }
        Ok(Some(SessionCaller {
            token_key: TokenKey::from_number(self.token_key),
            session_id: SessionId::new(self.id),
            sign_in_id: SignInId::new(self.sign_in_id),
            user_id: UserId::new(self.user_id),
            workspace_id: WorkspaceId::new(self.workspace_id),
            role: memberships::role(role)?,
            authenticate_time: Timestamp::from_micros(self.authenticated_at),
            expire_time,
            last_used_time: Timestamp::from_micros(self.last_used_at),
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
            [S::TokenKey, S::Id, S::SignInId, S::UserId, S::WorkspaceId, S::ExpiresAt].map(|c| (session::Entity, c)),
        )
        .columns([S::AuthenticatedAt, S::LastUsedAt, S::EndedAt, S::Role].map(|c| (session::Entity, c)))
        .column((membership::Entity, membership::Column::RemovedAt))
        .expr_as(Expr::col((membership::Entity, membership::Column::Role)), "role_of_membership")
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
        .columns([K::Id, K::Name, K::Scopes, K::WorkspaceId, K::ExpiresAt, K::RevokedAt, K::LastUsedAt])
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
        last_used_at: Option<i64>,
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
        last_used_time: row.last_used_at.map(Timestamp::from_micros),
    }))
}
