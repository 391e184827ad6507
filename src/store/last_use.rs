//! When a member was seen last. It is not written down with each use of a session: that would be a second row, and an index
//! to find it by. It follows from the member's sessions, and the membership keeps what those knew that are swept.

use sea_orm::sea_query::{Cond, Condition, Expr, ExprTrait, IntoIden, Order, Query, TableRef};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryResult, QuerySelect, Select};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{EmailAddress, Member, Name, UserId, UserState, WorkspaceId};

use super::entity::{membership, session};
use super::error::refused;
use super::{Write, memberships};

use membership::Column as M;
use session::Column as S;

/// Of the sessions of a member that ended so many are looked at, those that ended last.
const MOST_ENDED: u64 = 100;

const USED: &str = "used";
const USED_AT: &str = "used_at";
const ENDED: &str = "ended";
const ENDED_USED_AT: &str = "ended_used_at";

impl Write {
    /// Keeps with the memberships when these sessions were used last, before they go.
    pub(super) async fn keep_latest_use(&mut self, sessions: &[i64]) -> Result<()> {
        let column = |column: M| Expr::col((membership::Entity, column));
        let used = Query::select()
            .columns([S::WorkspaceId, S::UserId])
            .expr_as(Expr::col(S::LastUsedAt).max(), USED_AT)
            .from(session::Entity)
            .and_where(Expr::col(S::TokenKey).is_in(sessions.iter().copied()))
            .group_by_columns([S::WorkspaceId, S::UserId])
            .take();
        let keep = Query::update()
            .table(membership::Entity)
            .value(M::LastSeenAt, Expr::col((USED, USED_AT)))
            .from(TableRef::SubQuery(Box::new(used), USED.into_iden()))
            .and_where(column(M::WorkspaceId).equals((USED, S::WorkspaceId)))
            .and_where(column(M::UserId).equals((USED, S::UserId)))
            .and_where(column(M::LastSeenAt).is_null().or(column(M::LastSeenAt).lt(Expr::col((USED, USED_AT)))))
            .take();
        self.txn.execute(&keep).await.map_err(refused)?;
        Ok(())
    }
}

/// Memberships, each with when a session on it was used last.
///
/// However many sessions there are, few are looked at: those that are not marked as ended, of which a user has
/// not many more than [`crate::model::MAX_SESSIONS_PER_USER`], and those that ended last. So of a hundred that end without use
/// after the one that was used last, none may know it.
pub(super) fn with_latest_use() -> Select<membership::Entity> {
    let of_session = |column: S| Expr::col((session::Entity, column));
    let standing = Query::select()
        .expr(of_session(S::LastUsedAt).max())
        .from(session::Entity)
        .cond_where(stands_on_membership())
        .and_where(of_session(S::Role).is_not_null())
        .take();
    let ended_last = Query::select()
        .column((session::Entity, S::LastUsedAt))
        .from(session::Entity)
        .cond_where(stands_on_membership())
        .and_where(of_session(S::EndedAt).is_not_null())
        .order_by((session::Entity, S::EndedAt), Order::Desc)
        .limit(MOST_ENDED)
        .take();
    let ended = Query::select()
        .expr(Expr::col((ENDED, S::LastUsedAt)).max())
        .from(TableRef::SubQuery(Box::new(ended_last), ENDED.into_iden()))
        .take();
    membership::Entity::find().expr_as(Expr::from(standing), USED_AT).expr_as(Expr::from(ended), ENDED_USED_AT)
}

/// What joins a session with its membership.
pub(super) fn stands_on_membership() -> Condition {
    let pair =
        |session: S, membership: M| Expr::col((session::Entity, session)).equals((membership::Entity, membership));
    Cond::all().add(pair(S::WorkspaceId, M::WorkspaceId)).add(pair(S::UserId, M::UserId))
}

/// A membership, and when sessions on it that have not ended, and that have, were used last. What was known of those that
/// are gone is in its row.
pub(super) struct MemberRow {
    membership: membership::Model,
    used: [Option<i64>; 2],
}

impl FromQueryResult for MemberRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let membership = membership::Model::from_query_result(row, prefix)?;
        Ok(Self { membership, used: [row.try_get(prefix, USED_AT)?, row.try_get(prefix, ENDED_USED_AT)?] })
    }
}

impl MemberRow {
    /// A member whose sessions are not looked at.
    pub(super) fn without_sessions(membership: membership::Model) -> Self {
        Self { membership, used: [None; 2] }
    }

    pub(super) fn member(self) -> Result<Member> {
        let row = self.membership;
        Ok(Member {
            workspace_id: WorkspaceId::new(row.workspace_id),
            user_id: UserId::new(row.user_id),
            email: EmailAddress::from_stored(row.email),
            display_name: Name::from_stored(row.display_name),
            role: memberships::role(row.role)?,
            state: if row.removed_at.is_some() { UserState::Removed } else { UserState::Active },
            join_time: Timestamp::from_micros(row.joined_at),
            remove_time: row.removed_at.map(Timestamp::from_micros),
            last_seen_time: self.used.into_iter().fold(row.last_seen_at, Ord::max).map(Timestamp::from_micros),
        })
    }
}
