//! Keys that belong to the data: made at first need, kept with it, the same for every replica.

use sea_orm::{ActiveValue::Set, EntityTrait};

use crate::crypto::{new_key, new_uuid};
use crate::error::Result;

use super::entity::secret;
use super::error::refused;
use super::{Store, Write};

impl Store {
    pub async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let row = secret::Entity::find_by_id(name).one(self.reader()).await.map_err(refused)?;
        Ok(row.map(|row| row.value))
    }
}

/// Random, since what could be compressed takes no room.
const TRIAL_KEYS: usize = 2_000;

impl Write {
    /// Adds a secret of 64 KB and takes it away: where a table cannot grow, this fails.
    pub(super) async fn try_secret(&mut self) -> Result<()> {
        let name = format!("trial-{}", new_uuid(self.op.now));
        let value: Vec<u8> = (0..TRIAL_KEYS).flat_map(|_| new_key()).collect();
        self.insert_secret(&name, &value).await?;
        secret::Entity::delete_by_id(name).exec(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// `CONFLICT` if there is one of that name: somebody else was first, and theirs is the one.
    pub async fn insert_secret(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let row = secret::ActiveModel { name: Set(name.to_owned()), value: Set(value.to_vec()) };
        secret::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}
