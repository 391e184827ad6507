//! Marks what was used as used.
//!
//! It never waits for anybody and nobody waits for it for long: rows that are locked are skipped, and marked another
//! time. Whoever holds one may be waiting for another that this has taken.

use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::{CaseStatement, Cond, Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
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
        let mut sessions = BTreeMap::new();
        let mut memberships = BTreeMap::<(Uuid, Uuid), i64>::new();
        for (id, workspace, user, before) in &free {
            let Some(at) = times.get(id) else { continue };
            let seen = memberships.entry((*workspace, *user)).or_insert(*at);
            *seen = Ord::max(*seen, *at);
            if at > before {
                sessions.insert(*id, *at);
            }
        }
        if !sessions.is_empty() {
            let time_of = case(&sessions, |id| S::Id.eq(*id));
            let marked = session::Entity::update_many()
                .col_expr(S::LastUsedAt, time_of)
                .filter(S::Id.is_in(sessions.keys().copied()));
            marked.exec(&self.txn).await.map_err(refused)?;
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
        let key = |(workspace, user): &(Uuid, Uuid)| M::WorkspaceId.eq(*workspace).and(M::UserId.eq(*user));
        let any = times.keys().fold(Cond::any(), |any, id| any.add(key(id)));
        let free: Vec<(Uuid, Uuid, Option<i64>)> = membership::Entity::find()
            .select_only()
            .columns([M::WorkspaceId, M::UserId, M::LastSeenAt])
            .filter(any)
            .order_by_asc(M::WorkspaceId)
            .order_by_asc(M::UserId)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        let before: BTreeMap<(Uuid, Uuid), Option<i64>> =
            free.into_iter().map(|(workspace, user, seen)| ((workspace, user), seen)).collect();
        times.retain(|id, at| before.get(id).is_some_and(|seen| seen.is_none_or(|seen| *at > seen)));
        if times.is_empty() {
            return Ok(());
        }
        let any = times.keys().fold(Cond::any(), |any, id| any.add(key(id)));
        let marked = membership::Entity::update_many().col_expr(M::LastSeenAt, case(&times, key)).filter(any);
        marked.exec(&self.txn).await.map_err(refused)?;
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
        let keys: BTreeMap<Uuid, i64> = free.into_iter().filter_map(later).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let marked = service_key::Entity::update_many()
            .col_expr(K::LastUsedAt, case(&keys, |id| K::Id.eq(*id)))
            .filter(K::Id.is_in(keys.keys().copied()));
        marked.exec(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}

/// The time that belongs to a row.
fn case<I>(times: &BTreeMap<I, i64>, is: impl Fn(&I) -> Expr) -> Expr {
    let case = times.iter().fold(CaseStatement::new(), |case, (id, at)| case.case(is(id), Expr::value(*at)));
    case.into()
}
