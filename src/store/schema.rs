//! Brings the schema up to date, and says whether it is.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use super::Store;
use super::error::OpenError;
use super::migration::Migrator;

/// How the schema stands to this binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    Current,
    /// These migrations are missing.
    Behind(Vec<String>),
    /// These migrations are not known to this binary: the database belongs to a newer one.
    Ahead(Vec<String>),
}

impl Store {
    /// Whether the schema is the one that this binary works with. Changes nothing.
    pub async fn schema_state(&self) -> Result<SchemaState, OpenError> {
        schema_state(self.reader()).await
    }

    /// Applies the migrations that are missing, all or none. Any number of processes may do so at once: the transaction
    /// takes the write lock before it looks, so one migrates and the others find it done.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        let failed =
            |error: sea_orm::DbErr| OpenError::new(format!("the schema cannot be brought up to date: {error}"));
        let txn = self.0.writer.begin_with_options(self.0.dialect.transaction()).await.map_err(failed)?;
        match schema_state(&txn).await? {
            SchemaState::Current => Ok(Vec::new()),
            SchemaState::Ahead(unknown) => Err(ahead(&unknown)),
            SchemaState::Behind(missing) => {
                Migrator::up(&txn, None).await.map_err(failed)?;
                txn.commit().await.map_err(failed)?;
                Ok(missing)
            }
        }
    }
}

impl SchemaState {
    /// Refuses unless the binary can work with the schema as it is.
    pub fn require_current(&self) -> Result<(), OpenError> {
        match self {
            SchemaState::Current => Ok(()),
            SchemaState::Behind(missing) => Err(OpenError::new(format!(
                "the database's schema is old ({} missing); run `rolecall migrate`",
                missing.join(", ")
            ))),
            SchemaState::Ahead(unknown) => Err(ahead(unknown)),
        }
    }
}

fn ahead(unknown: &[String]) -> OpenError {
    OpenError::new(format!(
        "the database belongs to a newer version of Rolecall (it has {}); use that version",
        unknown.join(", ")
    ))
}

async fn schema_state<C: ConnectionTrait>(db: &C) -> Result<SchemaState, OpenError> {
    let failed = |error: sea_orm::DbErr| OpenError::new(format!("the database's schema cannot be read: {error}"));
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    // Of a new database, which has no table of migrations yet, all are pending. SeaORM fails here for a migration that it
    // does not know; what the table says tells that from a database that cannot be read.
    let pending = Migrator::get_pending_migrations_read_only(db).await.ok();
    if pending.is_some_and(|pending| pending.len() == known.len()) {
        return Ok(SchemaState::Behind(known));
    }
    let applied: BTreeSet<String> =
        Migrator::get_migration_models(db).await.map_err(failed)?.into_iter().map(|row| row.version).collect();
    let unknown: Vec<String> = applied.iter().filter(|name| !known.contains(name)).cloned().collect();
    let missing: Vec<String> = known.into_iter().filter(|name| !applied.contains(name)).collect();
    Ok(match (unknown.is_empty(), missing.is_empty()) {
        (false, _) => SchemaState::Ahead(unknown),
        (true, false) => SchemaState::Behind(missing),
        (true, true) => SchemaState::Current,
    })
}
