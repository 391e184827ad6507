//! What differs between databases, but for the schema (`migration`).

mod pooler;
mod postgres;
mod primary;
mod sqlite;

use std::sync::Arc;

use sea_orm::{DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr};

use crate::config::{DatabaseConfig, DatabaseTarget};
use crate::error::Error;

use super::OpenError;
use super::access::Desk;

pub(super) use sqlite::SqliteFile;

/// The kind of database and what is known of it.
pub(super) enum Dialect {
    Sqlite(Arc<SqliteFile>),
    Postgres(postgres::Postgres),
}

/// An open database: what is special about it, what makes changes, and what only reads.
pub(super) struct Opened {
    pub(super) dialect: Dialect,
    pub(super) writer: DatabaseConnection,
    pub(super) reader: DatabaseConnection,
    /// Where access is asked about, by connections of the reader.
    pub(super) desk: Arc<Desk>,
}

impl Dialect {
    /// Begins a transaction on the writer. Not to be canceled from outside: see [`super::Store`].
    pub(super) async fn begin(&self, writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        match self {
            Dialect::Sqlite(_) => sqlite::begin(writer).await,
            Dialect::Postgres(postgres) => postgres.begin(writer).await,
        }
    }

    /// Takes off the limits that are meant for what serves requests: a migration may take its time.
    pub(super) async fn unlimit(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        match self {
            Dialect::Sqlite(_) => Ok(()),
            Dialect::Postgres(_) => postgres::unlimit(txn).await,
        }
    }

    /// Refuses if the database has gone away in a way that the driver would not notice: an open file that was deleted or
    /// replaced still takes writes, and everything that it acknowledged would be lost.
    pub(super) fn require_present(&self) -> Result<(), Error> {
        match self {
            Dialect::Sqlite(file) => file.require_present(),
            Dialect::Postgres(_) => Ok(()),
        }
    }
}

/// How a column of text says that it is ordered by its bytes, as SQLite's are by themselves: everybody pages through
/// the same order, whatever the server's language.
pub(super) fn byte_order(backend: DatabaseBackend) -> Option<&'static str> {
    match backend {
        DatabaseBackend::Postgres => Some("COLLATE \"C\""),
        _ => None,
    }
}

/// Opens what the configuration names.
pub(super) async fn open(config: &DatabaseConfig) -> Result<Opened, OpenError> {
    match config.target().map_err(|e| OpenError::new(e.to_string()))? {
        DatabaseTarget::Sqlite(path) => sqlite::open(&path, config).await,
        DatabaseTarget::Postgres(urls) => postgres::open(&urls, config).await,
    }
}

/// The database's own words, without the driver's wrapping.
fn driver_text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}
