//! The reads on SQLite, by a driver that works where it is called (rusqlite). The driver of the rest of the store has a
//! thread for each connection, and to hand a question there and each row back takes several times as long as to find it.
//!
//! The file is read on the spot, so a batch holds up one thread of the runtime for as long as it is read: what is in
//! memory in microseconds, what is not as long as the disk takes. The others go on meanwhile.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Params, Row};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::Level;
use uuid::Uuid;

use crate::crypto::TokenHash;
use crate::error::{Error, Result};
use crate::store::dialect::SqliteFile;
use crate::store::error::{is_busy, out_of_reach, refused_by_sqlite};

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Found, KeyRow, Question, SessionRow, parts, role};

/// How much of the file is read as memory, in bytes: each change empties a connection's own cache. It is as much as SQLite
/// was built to take, which `.cargo/config.toml` says; 2 GiB where nobody says it.
const MAPPED: i64 = 1 << 40;
/// Readers wait for nobody but who opens or closes the file or mends it after a crash. This is how often they look.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// What is logged of a statement, as by the other driver.
const LOG: &str = "sqlx::query";

static SESSION: LazyLock<String> = LazyLock::new(|| format!("{}= ?1", parts::SESSIONS));
static KEY: LazyLock<String> = LazyLock::new(|| format!("{}= ?1", parts::KEYS));
static MEMBERSHIP: LazyLock<String> = LazyLock::new(|| {
    format!("{}membership m WHERE m.workspace_id = ?1 AND m.user_id = ?2 AND m.removed_at IS NULL", parts::MEMBERSHIPS)
});
static WORKSPACE: LazyLock<String> = LazyLock::new(|| format!("{}= ?1", parts::WORKSPACES));

/// Connections that only read, opened when they are needed.
pub(in crate::store) struct SqliteSource(Arc<Readers>);

struct Readers {
    file: Arc<SqliteFile>,
    idle: Mutex<Vec<Connection>>,
    /// Who has one may use a connection.
    places: Semaphore,
    most: u32,
    busy_timeout: Duration,
}

/// It has a connection only while it reads: who asks alone may have one in between.
struct SqliteLine(Arc<Readers>);

impl SqliteSource {
    /// At most so many connections at once. The first is opened here, so that what keeps it from working is known at start.
    pub(in crate::store) fn new(file: Arc<SqliteFile>, most: usize, busy_timeout: Duration) -> rusqlite::Result<Self> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let places = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        let idle = Mutex::new(vec![open(&file)?]);
        Ok(Self(Arc::new(Readers { file, idle, places: Semaphore::new(places), most, busy_timeout })))
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn connect(&self) -> Result<Box<dyn Line>> {
        Ok(Box::new(SqliteLine(Arc::clone(&self.0))))
    }

    fn on_the_spot(&self, questions: &[Question]) -> Option<Result<Findings>> {
        let _place = self.0.places.try_acquire().ok()?;
        match self.0.find(&Inquiry::of(questions.iter())) {
            Err(trouble) if trouble.passes() => None,
            outcome => Some(outcome.map_err(Error::from)),
        }
    }

    async fn close(&self) {
        // Who reads has a place, and gives the connection back before it.
        let all = self.0.places.acquire_many(self.0.most).await;
        self.0.places.close();
        self.0.idle().clear();
        drop(all);
    }
}

#[async_trait]
impl Line for SqliteLine {
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings> {
        let _place = self.0.places.acquire().await.map_err(out_of_reach)?;
        let begin = Instant::now();
        loop {
            match self.0.find(inquiry) {
                Err(trouble) if trouble.passes() && begin.elapsed() < self.0.busy_timeout => {}
                outcome => return outcome.map_err(Error::from),
            }
            sleep(BUSY_PAUSE).await;
        }
    }
}

impl Readers {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers by a connection of those that are idle, or else by a new one. Whoever calls this has a place.
    fn find(&self, inquiry: &Inquiry) -> Result<Findings, Trouble> {
        let known = self.idle().pop();
        let mut connection = known.map_or_else(|| open(&self.file), Ok)?;
        self.file.require_present()?;
        let outcome = read(&mut connection, inquiry);
        // Neither a panic nor a file that was exchanged leaves its connection to others, nor is one in a transaction left.
        if outcome.as_ref().err().is_none_or(Trouble::passes) && connection.is_autocommit() {
            self.idle().push(connection);
        }
        outcome
    }
}

fn open(file: &SqliteFile) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    // A thread of the runtime would sleep.
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update_and_check(None, "mmap_size", MAPPED, |_| Ok(()))?;
    Ok(connection)
}

/// Why nothing was found out.
enum Trouble {
    Sqlite(rusqlite::Error),
    /// The file is gone, or a row cannot be what we wrote.
    Other(Error),
}

impl Trouble {
    /// Whether somebody has the file to itself, as who opens or mends it has for a moment.
    fn passes(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_busy(error))
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Sqlite(error) => refused_by_sqlite(error),
            Trouble::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Answers everything from one state of the database: several statements are one transaction, whose state is that at the
/// first of them.
fn read(connection: &mut Connection, inquiry: &Inquiry) -> Result<Findings, Trouble> {
    if inquiry.len() == 1 {
        return find(connection, inquiry);
    }
    let transaction = connection.transaction()?;
    let findings = find(&transaction, inquiry)?;
    transaction.finish()?;
    Ok(findings)
}

fn find(connection: &Connection, inquiry: &Inquiry) -> Result<Findings, Trouble> {
    let mut findings = Findings::with_capacity(inquiry.len());
    if !inquiry.sessions.is_empty() {
        let mut statement = prepare(connection, &SESSION)?;
        for hash in &inquiry.sessions {
            if let Some(row) = one(&mut statement, [hash.key().number()], session)? {
                findings.insert(Question::Session(row.token), row.found()?);
            }
        }
    }
    if !inquiry.keys.is_empty() {
        let mut statement = prepare(connection, &KEY)?;
        for hash in &inquiry.keys {
            if let Some(row) = one(&mut statement, [hash.as_bytes()], key)? {
                findings.insert(Question::ServiceKey(*hash), row.found()?);
            }
        }
    }
    if !inquiry.memberships.is_empty() {
        let mut statement = prepare(connection, &MEMBERSHIP)?;
        for (workspace, user) in &inquiry.memberships {
            let ids = [workspace.uuid().into_bytes(), user.uuid().into_bytes()];
            if let Some(number) = one(&mut statement, ids, |row| row.get(6))? {
                findings.insert(Question::Membership(*workspace, *user), Found::Membership(role(number)?));
            }
        }
    }
    if !inquiry.workspaces.is_empty() {
        let mut statement = prepare(connection, &WORKSPACE)?;
        for workspace in &inquiry.workspaces {
            if one(&mut statement, [workspace.uuid().into_bytes()], |_| Ok(()))?.is_some() {
                findings.insert(Question::Workspace(*workspace), Found::Workspace);
            }
        }
    }
    Ok(findings)
}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    tracing::event!(target: LOG, Level::DEBUG, "db.statement" = sql);
    connection.prepare_cached(sql)
}

/// The row that there is, if any: what is asked for is unique.
fn one<T>(
    statement: &mut CachedStatement<'_>,
    sought: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    statement.query_row(sought, read).optional()
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        token: TokenHash::from_bytes(row.get(1)?),
        id: id(row, 2)?,
        sign_in_id: id(row, 3)?,
        user_id: id(row, 4)?,
        workspace_id: id(row, 5)?,
        role: row.get(6)?,
        signed_out: row.get(8)?,
        expires_at: row.get(9)?,
        last_used_at: row.get(10)?,
        authenticated_at: row.get(11)?,
    })
}

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        id: id(row, 2)?,
        workspace_id: row.get::<_, Option<[u8; 16]>>(5)?.map(Uuid::from_bytes),
        scopes: row.get(6)?,
        revoked: row.get(7)?,
        expires_at: row.get(9)?,
        last_used_at: row.get(10)?,
        name: row.get(12)?,
    })
}

fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    row.get(index).map(Uuid::from_bytes)
}

#[cfg(test)]
mod tests;
