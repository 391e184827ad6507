//! Marks what was used as used.
//!
//! It never waits for anybody and nobody waits for it for long: rows that are locked are skipped, and marked another
//! time. Whoever holds one may be waiting for another that this has taken.

use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::{
    Expr, ExprTrait, IntoIden, IntoValueTuple, LockBehavior, LockType, Query, TableRef, UpdateStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId};

use super::Write;
use super::entity::{membership, service_key, session};
use super::error::refused;

impl Write {
    /// Marks sessions, and the memberships that they stand on, as used, each at its time. Later marks stand. Answers the
    /// sessions that somebody else holds.
    pub async fn touch_sessions(&mut self, used: &[(SessionId, Timestamp)]) -> Result<Vec<SessionId>> {
        use session::Column as S;
        let times: BTreeMap<Uuid, i64> = used.iter().map(|(id, at)| (id.uuid(), at.as_micros())).collect();
        let among = S::Id.is_in(times.keys().copied());
        let free: Vec<(Uuid, Uuid, Uuid, i64)> = session::Entity::find()
            .select_only()
            .columns([S::Id, S::WorkspaceId, S::UserId, S::LastUsedAt])
            .filter(among.clone())
            .order_by_asc(S::Id)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        let mut sessions = Vec::new();
        let mut memberships = BTreeMap::<(Uuid, Uuid), i64>::new();
        for (id, workspace, user, before) in &free {
            let Some(at) = times.get(id) else { continue };
            let seen = memberships.entry((*workspace, *user)).or_insert(*at);
            *seen = Ord::max(*seen, *at);
            if at > before {
                sessions.push((*id, *at));
            }
        }
        if !sessions.is_empty() {
            let mark = Query::update()
                .table(session::Entity)
                .value(S::LastUsedAt, listed(Column::Second))
                .from(list(sessions))
                .and_where(Expr::col((session::Entity, S::Id)).eq(listed(Column::First)))
                .take();
            self.mark(&mark).await?;
        }
        self.touch_memberships(memberships).await?;

        if free.len() == times.len() {
            return Ok(Vec::new());
        }
        let free: HashSet<Uuid> = free.into_iter().map(|(id, ..)| id).collect();
        let there: Vec<Uuid> = session::Entity::find()
            .select_only()
            .column(S::Id)
            .filter(among)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        Ok(there.into_iter().filter(|id| !free.contains(id)).map(SessionId::new).collect())
    }

    async fn touch_memberships(&mut self, mut times: BTreeMap<(Uuid, Uuid), i64>) -> Result<()> {
        use membership::Column as M;
        if times.is_empty() {
            return Ok(());
        }
        let column = |column: M| Expr::col((membership::Entity, column));
        let same =
            || column(M::WorkspaceId).eq(listed(Column::First)).and(column(M::UserId).eq(listed(Column::Second)));
        let lines = |times: &BTreeMap<(Uuid, Uuid), i64>| {
            list(times.iter().map(|((workspace, user), at)| (*workspace, *user, *at)).collect())
        };
        let free = Query::select()
            .expr(column(M::WorkspaceId))
            .expr(column(M::UserId))
            .from(membership::Entity)
            .from(lines(&times))
            .and_where(same())
            .and_where(column(M::LastSeenAt).is_null().or(column(M::LastSeenAt).lt(listed(Column::Third))))
            .lock_with_tables_behavior(LockType::Update, [membership::Entity], LockBehavior::SkipLocked)
            .take();
        let mut earlier = HashSet::new();
        for row in self.txn.query_all(&free).await.map_err(refused)? {
            let id = (row.try_get_by_index(0).map_err(refused)?, row.try_get_by_index(1).map_err(refused)?);
            earlier.insert(id);
        }
        times.retain(|id, _| earlier.contains(id));
        if times.is_empty() {
            return Ok(());
        }
        let mark = Query::update()
            .table(membership::Entity)
            .value(M::LastSeenAt, listed(Column::Third))
            .from(lines(&times))
            .and_where(same())
            .take();
        self.mark(&mark).await
    }

    async fn mark(&mut self, mark: &UpdateStatement) -> Result<()> {
        self.txn.execute(mark).await.map_err(refused)?;
        Ok(())
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
        self.mark(&mark).await
    }
}

const USED: &str = "used";

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
