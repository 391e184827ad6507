//! Devices that have signed in before.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::UserId;

use super::entity::known_device;
use super::error::refused;
use super::{Store, Write, inserted};

use known_device::Column as D;

/// Devices of one user that are remembered; those that signed in longest ago are forgotten.
const MAX_DEVICES: u64 = 20;

impl Store {
    /// Whether the device with this token has signed in as this user before.
    pub async fn is_known_device(&self, token: TokenHash, user: UserId, now: Timestamp) -> Result<bool> {
        is_known(self.reader(), token, user, now).await
    }
}

async fn is_known<C: ConnectionTrait>(db: &C, token: TokenHash, user: UserId, now: Timestamp) -> Result<bool> {
    let row = known_device::Entity::find_by_id(token.to_vec()).one(db).await.map_err(refused)?;
    Ok(row.is_some_and(|row| row.user_id == user.uuid() && now < Timestamp::from_micros(row.expires_at)))
}

impl Write {
    /// As [`Store::is_known_device`], as of this transaction.
    pub async fn is_known_device(&self, token: TokenHash, user: UserId) -> Result<bool> {
        is_known(&self.txn, token, user, self.op.now).await
    }

    /// Remembers a device until `expires`. The user's row is locked, or was made by this transaction.
    pub async fn insert_known_device(&mut self, token: TokenHash, user: UserId, expires: Timestamp) -> Result<()> {
        let row = known_device::ActiveModel {
            token_hash: Set(token.to_vec()),
            user_id: Set(user.uuid()),
            created_at: Set(self.op.now.as_micros()),
            expires_at: Set(expires.as_micros()),
        };
        let others = known_device::Entity::find()
            .select_only()
            .column_as(D::TokenHash.count(), "others")
            .filter(D::UserId.eq(user.uuid()));
        let [others] = inserted(&self.txn, known_device::Entity::insert(row), [others]).await.map_err(refused)?;
        if others < MAX_DEVICES {
            return Ok(());
        }
        let surplus: Vec<Vec<u8>> = known_device::Entity::find()
            .select_only()
            .column(D::TokenHash)
            .filter(D::UserId.eq(user.uuid()))
            .order_by_desc(D::ExpiresAt)
            .order_by_desc(D::TokenHash)
            .offset(MAX_DEVICES)
            .limit(MAX_DEVICES)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        if !surplus.is_empty() {
            let forget = known_device::Entity::delete_many().filter(D::TokenHash.is_in(surplus));
            forget.exec(&self.txn).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Remembers a known device for longer.
    pub async fn extend_known_device(&mut self, token: TokenHash, expires: Timestamp) -> Result<()> {
        known_device::Entity::update_many()
            .col_expr(D::ExpiresAt, Expr::value(expires.as_micros()))
            .filter(D::TokenHash.eq(token.to_vec()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}
