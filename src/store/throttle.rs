//! The counters of guesses. They are kept here, so that neither a restart nor another replica begins anew.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, InsertStatement, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, FromQueryResult, Value};
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
        let keep = OnConflict::column(T::Key).value(T::Count, Expr::col((throttle::Entity, T::Count))).to_owned();
        let made = fresh(keys)?.on_conflict(keep).returning(Query::returning().columns(COLUMNS)).take();
        let rows = self.txn.query_all(&made).await.map_err(refused)?;
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

    /// Settles counters, by one statement, and locks them in their order as it does.
    pub async fn settle_throttle_counters(&mut self, settled: &[(ThrottleKey, Settled)]) -> Result<()> {
        if settled.is_empty() {
            return Ok(());
        }
        let column = |column: T| Expr::col((throttle::Entity, column));
        let forgotten = settled.iter().filter(|(_, settled)| *settled == Settled::Forgotten);
        let forgotten = column(T::Key).is_in(forgotten.map(|(key, _)| key.to_vec()));
        // Another attempt may have brought another wait since.
        let own_wait = settled.iter().fold(Cond::any(), |any, (key, settled)| match settled {
            Settled::Uncounted { blocked_until } => {
                any.add(column(T::Key).eq(key.to_vec()).and(column(T::BlockedUntil).eq(blocked_until.as_micros())))
            }
            Settled::Forgotten => any,
        });
        let nothing_if = |case: Cond, kept: Expr| Expr::case(case, 0_i64).finally(kept);
        let gone = || Cond::any().add(forgotten.clone());
        let uncounted = ExprTrait::sub(column(T::Count), 1);
        let change = OnConflict::column(T::Key)
            .value(T::Count, nothing_if(gone().add(column(T::Count).lt(1)), uncounted))
            .value(T::WindowStart, nothing_if(gone(), column(T::WindowStart)))
            .value(T::BlockedUntil, nothing_if(gone().add(own_wait), column(T::BlockedUntil)))
            .value(T::ExpiresAt, nothing_if(gone(), column(T::ExpiresAt)))
            .to_owned();
        let rows = fresh(settled.iter().map(|(key, _)| key))?.on_conflict(change).take();
        self.txn.execute(&rows).await.map_err(refused)?;
        Ok(())
    }
}

/// What becomes of a counter when the outcome of an attempt is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It begins anew with the next attempt.
    Forgotten,
    /// The attempt is taken back, and the wait that it brought.
    Uncounted { blocked_until: Timestamp },
}

const COLUMNS: [T; 5] = [T::Key, T::Count, T::WindowStart, T::BlockedUntil, T::ExpiresAt];

/// Adds counters that have expired already, in the order of `keys`, which is that in which rows are locked.
fn fresh<'k>(keys: impl IntoIterator<Item = &'k ThrottleKey>) -> Result<InsertStatement> {
    let mut fresh = Query::insert().into_table(throttle::Entity).columns(COLUMNS).take();
    for key in keys {
        let row = [key.to_vec().into(), 0_i32.into(), 0_i64.into(), 0_i64.into(), 0_i64.into()];
        fresh.values(row.map(Expr::value::<Value>)).map_err(Error::internal)?;
    }
    Ok(fresh)
}

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
