//! The counters of guesses. They are kept here, so that neither a restart nor another replica begins anew.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Value};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::model::ThrottleCounter;

use super::Write;
use super::entity::throttle;
use super::error::refused;

use throttle::Column as T;

/// What a counter counts, hashed with the installation's key.
pub type ThrottleKey = [u8; 32];

impl Write {
    /// The counters of these keys, in their order, which nobody else changes from here to the end of the transaction. One
    /// that did not exist is made first, already expired: what is not there cannot be locked, and attempts side by side
    /// would each find nothing. They are locked in the order of `keys`, which has to be the same everywhere.
    pub async fn lock_throttle_counters(&mut self, keys: &[ThrottleKey]) -> Result<Vec<ThrottleCounter>> {
        let mut fresh = Query::insert().into_table(throttle::Entity).columns(COLUMNS).returning_all().take();
        for key in keys {
            let row = [key.to_vec().into(), 0.into(), 0_i64.into(), 0_i64.into(), 0_i64.into()];
            fresh.values(row.map(Expr::value::<Value>)).map_err(Error::internal)?;
        }
        let keep = OnConflict::column(T::Key).value(T::Count, Expr::col((throttle::Entity, T::Count))).to_owned();
        let rows = self.txn.query_all(fresh.on_conflict(keep)).await.map_err(refused)?;
        let rows: Result<Vec<_>> =
            rows.iter().map(|row| throttle::Model::from_query_result(row, "").map_err(refused)).collect();
        let rows = rows?;
        let counter = |key: &ThrottleKey| {
            let row = rows.iter().find(|row| row.key == key);
            row.map(counter_of).ok_or_else(|| Error::internal("a counter that was locked is gone"))
        };
        keys.iter().map(counter).collect()
    }

    /// Sets counters that are locked.
    pub async fn set_throttle_counters(&mut self, counters: &[(ThrottleKey, ThrottleCounter)]) -> Result<()> {
        let rows = counters.iter().map(|(key, counter)| throttle::ActiveModel {
            key: Set(key.to_vec()),
            count: Set(counter.count),
            window_start: Set(counter.window_start.as_micros()),
            blocked_until: Set(counter.blocked_until.as_micros()),
            expires_at: Set(counter.expire_time.as_micros()),
        });
        let anew = OnConflict::column(T::Key)
            .update_columns([T::Count, T::WindowStart, T::BlockedUntil, T::ExpiresAt])
            .to_owned();
        throttle::Entity::insert_many(rows)
            .on_conflict(anew)
            .exec_without_returning(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Takes one attempt back, and the wait that it brought, unless another attempt has brought another one since.
    pub async fn uncount_attempt(&mut self, key: &ThrottleKey, blocked_until: Timestamp) -> Result<()> {
        let own = Expr::col(T::BlockedUntil).eq(blocked_until.as_micros());
        throttle::Entity::update_many()
            .col_expr(T::Count, ExprTrait::sub(Expr::col(T::Count), 1))
            .col_expr(T::BlockedUntil, Expr::case(own, 0_i64).finally(Expr::col(T::BlockedUntil)).into())
            .filter(T::Key.eq(key.to_vec()))
            .filter(T::Count.gt(0))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Forgets a counter.
    pub async fn clear_throttle_counter(&mut self, key: &ThrottleKey) -> Result<()> {
        throttle::Entity::delete_many().filter(T::Key.eq(key.to_vec())).exec(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}

const COLUMNS: [T; 5] = [T::Key, T::Count, T::WindowStart, T::BlockedUntil, T::ExpiresAt];

fn counter_of(row: &throttle::Model) -> ThrottleCounter {
    ThrottleCounter {
        count: row.count,
        window_start: Timestamp::from_micros(row.window_start),
        blocked_until: Timestamp::from_micros(row.blocked_until),
        expire_time: Timestamp::from_micros(row.expires_at),
    }
}

/// The row that stands for a name of some kind. It is swept like any counter.
pub(super) fn name_key(kind: &'static str, name: &str) -> ThrottleKey {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update([0]);
    hash.update(name);
    hash.finalize().into()
}
