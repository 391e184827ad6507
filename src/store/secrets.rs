//! Keys that belong to the data: made at first need, kept with it, the same for every replica.

use sea_orm::{ActiveValue::Set, EntityTrait};

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

impl Write {
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
