//! The counters of guesses. They are kept here, so that neither a restart nor another replica begins anew.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::ThrottleCounter;

use super::Write;
use super::entity::throttle;
use super::error::refused;

use throttle::Column as T;

/// What a counter counts, hashed with the installation's key.
pub type ThrottleKey = [u8; 32];

impl Write {
    pub async fn throttle_counter(&self, key: &ThrottleKey) -> Result<Option<ThrottleCounter>> {
        let row = throttle::Entity::find_by_id(key.to_vec()).one(&self.txn).await.map_err(refused)?;
        Ok(row.map(|row| ThrottleCounter {
            count: row.count,
            window_start: Timestamp::from_micros(row.window_start),
            blocked_until: Timestamp::from_micros(row.blocked_until),
            expire_time: Timestamp::from_micros(row.expires_at),
        }))
    }

    pub async fn set_throttle_counter(&mut self, key: &ThrottleKey, counter: &ThrottleCounter) -> Result<()> {
        let row = throttle::ActiveModel {
            key: Set(key.to_vec()),
            count: Set(counter.count),
            window_start: Set(counter.window_start.as_micros()),
            blocked_until: Set(counter.blocked_until.as_micros()),
            expires_at: Set(counter.expire_time.as_micros()),
        };
        let replace = OnConflict::column(T::Key)
            .update_columns([T::Count, T::WindowStart, T::BlockedUntil, T::ExpiresAt])
            .to_owned();
        throttle::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Takes one attempt back.
    pub async fn uncount_attempt(&mut self, key: &ThrottleKey) -> Result<()> {
        throttle::Entity::update_many()
            .col_expr(T::Count, ExprTrait::sub(Expr::col(T::Count), 1))
            .col_expr(T::BlockedUntil, Expr::value(0_i64))
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
