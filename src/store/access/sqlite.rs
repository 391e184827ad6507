//! The one statement on SQLite. Only the kinds that are asked about are in it, and lists are filled up to a few lengths,
//! so that a few prepared statements serve all batches.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite};

use crate::error::Result;
use crate::store::dialect::SqliteFile;
use crate::store::error::refused_by_driver;

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Row, parts};

pub(in crate::store) struct SqliteSource {
    pub(in crate::store) pool: SqlitePool,
    pub(in crate::store) file: Arc<SqliteFile>,
}

struct SqliteLine {
    connection: PoolConnection<Sqlite>,
    file: Arc<SqliteFile>,
}

#[async_trait]
impl Source for SqliteSource {
    async fn connect(&self) -> Result<Box<dyn Line>> {
        let connection = self.pool.acquire().await.map_err(refused_by_driver)?;
        Ok(Box::new(SqliteLine { connection, file: Arc::clone(&self.file) }))
    }
}

#[async_trait]
impl Line for SqliteLine {
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings> {
        self.file.require_present()?;
        let sql = statement(inquiry);
        let rows = bind(sqlx::query(AssertSqlSafe(sql)), inquiry).fetch_all(&mut *self.connection);
        let rows = rows.await.map_err(refused_by_driver)?;
        rows.iter().map(|row| read(row).map_err(refused_by_driver)?.answer()).collect()
    }
}

/// The length that a list of `count` is filled up to.
fn filled(count: usize) -> usize {
    match count {
        0 | 1 => count,
        2..=8 => 8,
        9..=32 => 32,
        33..=128 => 128,
        count => count.next_multiple_of(256),
    }
}

fn statement(inquiry: &Inquiry) -> String {
    let memberships = format!("{}WHERE m.removed_at IS NULL AND (m.workspace_id, m.user_id) ", parts::MEMBERSHIPS);
    let mut sql = String::with_capacity(2_048);
    for (count, part, lead, one) in [
        (inquiry.sessions.len(), parts::SESSIONS, "", "?"),
        (inquiry.keys.len(), parts::KEYS, "", "?"),
        (inquiry.memberships.len(), &memberships, "VALUES ", "(?,?)"),
        (inquiry.workspaces.len(), parts::WORKSPACES, "", "?"),
    ] {
        if count == 0 {
            continue;
        }
        let between = if sql.is_empty() { "" } else { " UNION ALL " };
        let _ = write!(sql, "{between}{part}IN ({lead}{one}");
        for _ in 1..filled(count) {
            sql.push(',');
            sql.push_str(one);
        }
        sql.push(')');
    }
    sql
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Binds the lists, in the order of [`statement`]. The last one of each fills it up.
fn bind<'q>(mut query: Bound<'q>, inquiry: &'q Inquiry) -> Bound<'q> {
    for hashes in [&inquiry.sessions, &inquiry.keys] {
        for hash in up(hashes) {
            query = query.bind(hash.as_bytes().as_slice());
        }
    }
    for (workspace, user) in up(&inquiry.memberships) {
        query = query.bind(workspace.uuid()).bind(user.uuid());
    }
    for workspace in up(&inquiry.workspaces) {
        query = query.bind(workspace.uuid());
    }
    query
}

fn up<T>(list: &[T]) -> impl Iterator<Item = &T> {
    let fill = filled(list.len()) - list.len();
    list.iter().chain(list.last().into_iter().cycle().take(fill))
}

fn read(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        kind: row.try_get(0)?,
        hash: row.try_get(1)?,
        id: row.try_get(2)?,
        sign_in_id: row.try_get(3)?,
        user_id: row.try_get(4)?,
        workspace_id: row.try_get(5)?,
        number: row.try_get(6)?,
        ended: row.try_get(7)?,
        signed_out: row.try_get(8)?,
        expires_at: row.try_get(9)?,
        last_used_at: row.try_get(10)?,
        authenticated_at: row.try_get(11)?,
        name: row.try_get(12)?,
    })
}
