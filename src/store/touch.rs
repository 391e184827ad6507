//! Marks what was used as used.
//!
//! What was marked a short time before is not marked again: it may have been listed since whoever saw its use had read the
//! older mark, and after a transaction that changes nothing SQLite's readers go on with the file as they have mapped it.
//!
//! It never waits for anybody and nobody waits for it for long: rows that are locked are skipped, and marked another
//! time. Whoever holds one may be waiting for another that this has taken.

use std::time::Duration;

use sea_orm::sea_query::{
    Expr, ExprTrait, IntoIden, IntoValueTuple, JoinType, LockBehavior, LockType, Query, TableRef, ValueTuple,
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryResult, TryGetable};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, TokenKey};

use super::Write;
use super::entity::{service_key, session};
use super::error::refused;

impl Write {
    /// Marks sessions as used, each at its time, unless they are marked at a time that is later, or less than `apart` earlier.
    /// Answers those that somebody else holds.
    pub async fn touch_sessions(&mut self, used: &[(TokenKey, Timestamp)], apart: Duration) -> Result<Vec<TokenKey>> {
        use session::Column as S;
        let lines = used.iter().map(|(key, at)| (key.number(), at.as_micros()).into_value_tuple()).collect();
        let held = self.touch(session::Entity, S::TokenKey, S::LastUsedAt, lines, apart).await?;
        held.iter().map(|row| Ok(TokenKey::from_number(column(row, 0)?))).collect()
    }

    /// Marks service keys as used, like sessions.
    pub async fn touch_service_keys(
        &mut self,
        used: &[(ServiceKeyId, Timestamp)],
        apart: Duration,
    ) -> Result<Vec<ServiceKeyId>> {
        use service_key::Column as K;
        let lines = used.iter().map(|(id, at)| (id.uuid(), at.as_micros()).into_value_tuple()).collect();
        let held = self.touch(service_key::Entity, K::Id, K::LastUsedAt, lines, apart).await?;
        held.iter().map(|row| Ok(ServiceKeyId::new(column(row, 0)?))).collect()
    }

    /// Sets `time` of the rows with these keys, each of which is listed once and followed by its time, where that is so much
    /// later. Answers the keys of those that somebody else holds.
    async fn touch<E: EntityTrait + Copy>(
        &mut self,
        table: E,
        key: E::Column,
        time: E::Column,
        lines: Vec<ValueTuple>,
        apart: Duration,
    ) -> Result<Vec<QueryResult>> {
        let column = |column: E::Column| Expr::col((table, column));
        let count = lines.len() as u64;
        let used = TableRef::ValuesList(lines, USED.into_iden());
        let apart = i64::try_from(apart.as_micros()).unwrap_or(i64::MAX);
        let earlier = Query::select()
            .column((table, key))
            .from(used)
            .join(JoinType::InnerJoin, table, column(key).eq(listed(1)))
            .and_where(column(time).is_null().or(column(time).lte(listed(2).sub(apart))))
            .take();
        let free = earlier
            .clone()
            .expr_as(listed(2), AT)
            .lock_with_tables_behavior(LockType::Update, [table], LockBehavior::SkipLocked)
            .take();
        let mark = Query::update()
            .table(table)
            .value(time, Expr::col((FREE, AT)))
            .from(TableRef::SubQuery(Box::new(free), FREE.into_iden()))
            .and_where(column(key).equals((FREE, key)))
            .take();
        let marked = self.txn.execute(&mark).await.map_err(refused)?.rows_affected();
        if marked == count {
            return Ok(Vec::new());
        }
        self.txn.query_all(&earlier).await.map_err(refused)
    }
}

const USED: &str = "used";
/// The rows that nobody else holds.
const FREE: &str = "free";
const AT: &str = "at";

/// A column of the list of what was used, by its place from 1 and under the name that both databases give it.
fn listed(place: usize) -> Expr {
    Expr::col((USED, format!("column{place}")))
}

fn column<T: TryGetable>(row: &QueryResult, index: usize) -> Result<T> {
    row.try_get_by_index(index).map_err(refused)
}
