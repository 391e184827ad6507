//! SQLite: a file, one writer, and readers that see what was committed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::config::DatabaseConfig;
use crate::error::Error;

use crate::store::access::{Desk, SqliteSource};
use crate::store::error::out_of_reach;

use super::{Dialect, OpenError, Opened, driver_text};

/// Older versions can lose a commit when a checkpoint meets a reset of the log (fixed in 3.51.3).
const MIN_SQLITE_VERSION: (u32, u32, u32) = (3, 51, 3);
/// Rolecall's mark in the file's header ("RCAL"), so that another program's database is not taken for ours.
const APPLICATION_ID: i32 = 0x5243_414c;
/// How long a statement waits for another process's lock, such as that of `rolecall bootstrap`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest queue for the one writer.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
/// What the writer keeps of the file, in KiB as SQLite counts them: recording use goes through many pages.
const WRITER_CACHE: &str = "-32768";
/// Statements about access at once.
const CLERKS: usize = 1;

/// The file that was opened, by what the file system knows of it.
pub(in crate::store) struct SqliteFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// A write transaction takes the write lock at once: one that begins as a reader and becomes a writer later can fail in
/// the middle.
pub(super) async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    writer.begin_with_options(immediate).await
}

impl SqliteFile {
    /// The file that is there now.
    pub(in crate::store) fn at(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::store) fn require_present(&self) -> Result<(), Error> {
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(out_of_reach("the database file was replaced")),
            Err(error) => Err(out_of_reach(error)),
        }
    }
}

pub(super) async fn open(path: &Path, config: &DatabaseConfig) -> Result<Opened, OpenError> {
    let at_path = |error: &dyn std::fmt::Display| {
        OpenError::new(format!("the database {} cannot be opened: {error}", path.display()))
    };
    create_private(path).map_err(|e| at_path(&e))?;
    // SeaORM's own options would write the URL into a trace span; the pools are sqlx's, and wrapped.
    let plain = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    let options =
        plain.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).foreign_keys(true);
    let pool = |options: SqliteConnectOptions, size: u32| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options)
    };
    // Before the mode of the log is set, which writes: another program's file stays as it is.
    let look = pool(plain, 1).await.map_err(|e| at_path(&driver_text(&e)))?;
    let ours = require_ours(&look).await;
    look.close().await;
    ours.map_err(|e| at_path(&e))?;
    let writer =
        pool(options.clone().pragma("cache_size", WRITER_CACHE), 1).await.map_err(|e| at_path(&driver_text(&e)))?;
    put_mark(&writer).await.map_err(|e| at_path(&e))?;
    let read_only = options.pragma("query_only", "ON");
    let clerks = config.access_statements.unwrap_or(CLERKS);
    let reader = pool(read_only, READERS).await.map_err(|e| at_path(&driver_text(&e)))?;
    let file = Arc::new(SqliteFile::at(path).map_err(|e| at_path(&e))?);
    let source = SqliteSource::new(Arc::clone(&file), clerks, BUSY_TIMEOUT).map_err(|e| at_path(&e))?;
    let desk = Desk::new(Box::new(source), clerks, config.access_batch);
    Ok(Opened { dialect: Dialect::Sqlite(file), writer: writer.into(), reader: reader.into(), desk })
}

/// Creates the file with mode 0600 in a folder with mode 0700 where they are missing. SQLite gives the log files the
/// database file's mode, so this decides for all of them.
fn create_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Refuses a library that is too old, another program's file, and a file that is damaged.
async fn require_ours(pool: &SqlitePool) -> Result<(), String> {
    let version: String = scalar(pool, "SELECT sqlite_version()").await?;
    if parse_version(&version).is_none_or(|version| version < MIN_SQLITE_VERSION) {
        let (major, minor, patch) = MIN_SQLITE_VERSION;
        return Err(format!("SQLite {version} is too old, {major}.{minor}.{patch} is needed"));
    }
    let tables: i64 = scalar(pool, "SELECT count(*) FROM sqlite_schema").await?;
    let mark: i32 = scalar(pool, "PRAGMA application_id").await?;
    if mark != APPLICATION_ID && (tables != 0 || mark != 0) {
        return Err("it is not a Rolecall database".into());
    }
    Ok(())
}

/// Marks a new file as ours.
async fn put_mark(pool: &SqlitePool) -> Result<(), String> {
    let mark: i32 = scalar(pool, "PRAGMA application_id").await?;
    if mark != APPLICATION_ID {
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
        sqlx::query(sqlx::AssertSqlSafe(mark)).execute(pool).await.map_err(|e| driver_text(&e))?;
    }
    Ok(())
}

async fn scalar<T>(pool: &SqlitePool, sql: &'static str) -> Result<T, String>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(pool).await.map_err(|e| driver_text(&e))
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(u32::from_str);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}
