//! The counters of guesses. They are kept here, so that neither a restart nor another replica begins anew.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
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
    /// The counter, which nobody else changes from here to the end of the transaction. One that did not exist is made
    /// first, already expired: what is not there cannot be locked, and attempts side by side would each find nothing.
    /// Several are locked in the order of [`ThrottleKind`](crate::model::ThrottleKind).
    pub async fn lock_throttle_counter(&mut self, key: &ThrottleKey) -> Result<ThrottleCounter> {
        let fresh = throttle::ActiveModel {
            key: Set(key.to_vec()),
            count: Set(0),
            window_start: Set(0),
            blocked_until: Set(0),
            expires_at: Set(0),
        };
        let keep = OnConflict::column(T::Key).value(T::Count, Expr::col((throttle::Entity, T::Count))).to_owned();
        throttle::Entity::insert(fresh).on_conflict(keep).exec_without_returning(&self.txn).await.map_err(refused)?;
        let row = throttle::Entity::find_by_id(key.to_vec()).one(&self.txn).await.map_err(refused)?;
        let row = row.ok_or_else(|| Error::internal("a counter that was locked is gone"))?;
        Ok(ThrottleCounter {
            count: row.count,
            window_start: Timestamp::from_micros(row.window_start),
            blocked_until: Timestamp::from_micros(row.blocked_until),
            expire_time: Timestamp::from_micros(row.expires_at),
        })
    }

    /// Sets a counter that is locked.
    pub async fn set_throttle_counter(&mut self, key: &ThrottleKey, counter: &ThrottleCounter) -> Result<()> {
        throttle::Entity::update_many()
            .col_expr(T::Count, Expr::value(counter.count))
            .col_expr(T::WindowStart, Expr::value(counter.window_start.as_micros()))
            .col_expr(T::BlockedUntil, Expr::value(counter.blocked_until.as_micros()))
            .col_expr(T::ExpiresAt, Expr::value(counter.expire_time.as_micros()))
            .filter(T::Key.eq(key.to_vec()))
            .exec(&self.txn)
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

/// The row that stands for a name of some kind. It is swept like any counter.
pub(super) fn name_key(kind: &'static str, name: &str) -> ThrottleKey {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update([0]);
    hash.update(name);
    hash.finalize().into()
}
