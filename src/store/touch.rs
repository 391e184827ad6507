//! Marks what was used as used.
//!
//! It never waits for anybody and nobody waits for it for long: rows that are locked are skipped, and marked another
//! time. Whoever holds one may be waiting for another that this has taken.

use std::collections::BTreeMap;

use sea_orm::sea_query::{
    Expr, ExprTrait, IntoIden, IntoValueTuple, JoinType, LockBehavior, LockType, Query, TableRef, UpdateStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId, UserId, WorkspaceId};

use super::Write;
use super::entity::{membership, service_key, session};
use super::error::refused;

/// When a session was used, and the membership that it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionUse {
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub user: UserId,
    pub at: Timestamp,
}

impl Write {
    /// Marks sessions, and the memberships that they stand on, as used, each at its time. Later marks stand. Answers the
    /// sessions that somebody else holds.
    pub async fn touch_sessions(&mut self, used: &[SessionUse]) -> Result<Vec<SessionId>> {
        use session::Column as S;
        let (mut sessions, mut memberships) = (BTreeMap::new(), BTreeMap::new());
        for used in used {
            let at = used.at.as_micros();
            keep_later(&mut sessions, used.session.uuid(), at);
            keep_later(&mut memberships, (used.workspace.uuid(), used.user.uuid()), at);
        }
        let column = |column: S| Expr::col((session::Entity, column));
        let earlier = || {
            Query::select()
                .expr(column(S::Id))
                .from(list(sessions.iter().map(|(id, at)| (*id, *at)).collect()))
                .join(JoinType::InnerJoin, session::Entity, column(S::Id).eq(listed(Column::First)))
                .and_where(column(S::LastUsedAt).lt(listed(Column::Second)))
                .take()
        };
        let free = earlier()
            .expr_as(listed(Column::Second), AT)
            .lock_with_tables_behavior(LockType::Update, [session::Entity], LockBehavior::SkipLocked)
            .take();
        let mark = Query::update()
            .table(session::Entity)
            .value(S::LastUsedAt, Expr::col((FREE, AT)))
            .from(TableRef::SubQuery(Box::new(free), FREE.into_iden()))
            .and_where(column(S::Id).equals((FREE, S::Id)))
            .take();
        let marked = self.mark(&mark).await?;
        self.touch_memberships(&memberships).await?;
        if marked == sessions.len() as u64 {
            return Ok(Vec::new());
        }
        let held = self.txn.query_all(&earlier()).await.map_err(refused)?;
        held.iter().map(|row| Ok(SessionId::new(row.try_get_by_index(0).map_err(refused)?))).collect()
    }

    async fn touch_memberships(&mut self, used: &BTreeMap<(Uuid, Uuid), i64>) -> Result<()> {
        use membership::Column as M;
        let column = |column: M| Expr::col((membership::Entity, column));
        let listed_one =
            column(M::WorkspaceId).eq(listed(Column::First)).and(column(M::UserId).eq(listed(Column::Second)));
        let free = Query::select()
            .columns([(membership::Entity, M::WorkspaceId), (membership::Entity, M::UserId)])
            .expr_as(listed(Column::Third), AT)
            .from(list(used.iter().map(|((workspace, user), at)| (*workspace, *user, *at)).collect()))
            .join(JoinType::InnerJoin, membership::Entity, listed_one)
            .and_where(column(M::LastSeenAt).is_null().or(column(M::LastSeenAt).lt(listed(Column::Third))))
            .lock_with_tables_behavior(LockType::Update, [membership::Entity], LockBehavior::SkipLocked)
            .take();
        let same =
            column(M::WorkspaceId).equals((FREE, M::WorkspaceId)).and(column(M::UserId).equals((FREE, M::UserId)));
        let mark = Query::update()
            .table(membership::Entity)
            .value(M::LastSeenAt, Expr::col((FREE, AT)))
            .from(TableRef::SubQuery(Box::new(free), FREE.into_iden()))
            .and_where(same)
            .take();
        self.mark(&mark).await?;
        Ok(())
    }

    /// Answers how many rows it marked.
    async fn mark(&mut self, mark: &UpdateStatement) -> Result<u64> {
        Ok(self.txn.execute(mark).await.map_err(refused)?.rows_affected())
    }

    /// Marks service keys as used, each at its time. Later marks stand. Those that somebody else holds are left out:
    /// they are used again soon, or were just revoked.
    pub async fn touch_service_keys(&mut self, used: &[(ServiceKeyId, Timestamp)]) -> Result<()> {
        use service_key::Column as K;
        let times: BTreeMap<Uuid, i64> = used.iter().map(|(id, at)| (id.uuid(), at.as_micros())).collect();
        let free: Vec<(Uuid, Option<i64>)> = service_key::Entity::find()
            .select_only()
            .columns([K::Id, K::LastUsedAt])
            .filter(K::Id.is_in(times.keys().copied()))
            .order_by_asc(K::Id)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        let later = |(id, before): (Uuid, Option<i64>)| {
            let at = *times.get(&id)?;
            before.is_none_or(|before| at > before).then_some((id, at))
        };
        let keys: Vec<(Uuid, i64)> = free.into_iter().filter_map(later).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mark = Query::update()
            .table(service_key::Entity)
            .value(K::LastUsedAt, listed(Column::Second))
            .from(list(keys))
            .and_where(Expr::col((service_key::Entity, K::Id)).eq(listed(Column::First)))
            .take();
        self.mark(&mark).await?;
        Ok(())
    }
}

const USED: &str = "used";
/// The rows that nobody else holds.
const FREE: &str = "free";
const AT: &str = "at";

fn keep_later<K: Ord>(times: &mut BTreeMap<K, i64>, key: K, at: i64) {
    times.entry(key).and_modify(|known| *known = Ord::max(*known, at)).or_insert(at);
}

/// The columns of a list, under the names that both databases give them.
enum Column {
    First,
    Second,
    Third,
}

fn listed(column: Column) -> Expr {
    let name = match column {
        Column::First => "column1",
        Column::Second => "column2",
        Column::Third => "column3",
    };
    Expr::col((USED, name))
}

/// What was used, as a table: each row is found by its key, however many there are.
fn list(lines: Vec<impl IntoValueTuple>) -> TableRef {
    TableRef::ValuesList(lines.into_iter().map(IntoValueTuple::into_value_tuple).collect(), USED.into_iden())
}
