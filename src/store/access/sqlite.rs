//! The one statement on SQLite. Only the kinds that are asked about are in it, and lists are filled up to a few lengths,
//! so that a few prepared statements serve all batches.
//!
//! The driver runs statements on a thread of its own and hands over each row by itself, which takes longer than finding
//! it. So all rows come as the lines of one text.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _, Sqlite};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::dialect::SqliteFile;
use crate::store::error::{corrupt, refused_by_driver};

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Row, parts};

pub(in crate::store) struct SqliteSource {
    /// For nothing else.
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

    async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Line for SqliteLine {
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings> {
        self.file.require_present()?;
        let sql = statement(inquiry);
        let row = bind(sqlx::query(AssertSqlSafe(sql)), inquiry).fetch_one(&mut *self.connection);
        let text: Option<String> = row.await.and_then(|row| row.try_get(0)).map_err(refused_by_driver)?;
        text.iter().flat_map(|text| text.lines()).map(|line| read(line)?.answer()).collect()
    }
}

/// The length that a list of `count` is filled up to.
fn filled(count: usize) -> usize {
    match count {
        0 | 1 => count,
        2..=64 => count.next_multiple_of(8),
        65..=256 => count.next_multiple_of(32),
        count => count.next_multiple_of(256),
    }
}

/// Makes a line of a row: its columns with bars in between, what is not a number in hexadecimal, and nothing for NULL.
const LINES: &str = "SELECT group_concat(concat_ws('|', kind, hex(token_hash), hex(id), hex(sign_in_id), hex(user_id), \
    hex(workspace_id), number, ended, signed_out, coalesce(expires_at, ''), coalesce(last_used_at, ''), \
    coalesce(authenticated_at, ''), hex(name)), char(10)) FROM (";

fn statement(inquiry: &Inquiry) -> String {
    let memberships = format!("{}(VALUES ", parts::MEMBERSHIPS);
    let sought = ") AS asked CROSS JOIN membership m ON m.workspace_id = asked.column1 AND m.user_id = asked.column2 \
        WHERE m.removed_at IS NULL";
    let among = |part: &str| format!("{part}IN (");
    let mut sql = String::with_capacity(4_096);
    sql.push_str(LINES);
    for (count, begin, one, end) in [
        (inquiry.sessions.len(), among(parts::SESSIONS), "?", ")"),
        (inquiry.keys.len(), among(parts::KEYS), "?", ")"),
        // Joined: for a list of pairs SQLite would read the whole table.
        (inquiry.memberships.len(), memberships, "(?,?)", sought),
        (inquiry.workspaces.len(), among(parts::WORKSPACES), "?", ")"),
    ] {
        if count == 0 {
            continue;
        }
        let between = if sql.len() == LINES.len() { "" } else { " UNION ALL " };
        let _ = write!(sql, "{between}{begin}{one}");
        for _ in 1..filled(count) {
            sql.push(',');
            sql.push_str(one);
        }
        sql.push_str(end);
    }
    sql.push(')');
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

fn read(line: &str) -> Result<Row> {
    let mut columns = line.split('|');
    let mut next = || columns.next().ok_or_else(|| corrupt("a row about access"));
    Ok(Row {
        kind: number(next()?)?.ok_or_else(|| corrupt("a row about access"))?,
        hash: bytes(next()?)?,
        id: id(next()?)?,
        sign_in_id: id(next()?)?,
        user_id: id(next()?)?,
        workspace_id: id(next()?)?,
        number: number(next()?)?,
        ended: next()? != "0",
        signed_out: next()? != "0",
        expires_at: number(next()?)?,
        last_used_at: number(next()?)?,
        authenticated_at: number(next()?)?,
        name: bytes(next()?)?.map(String::from_utf8).transpose().map_err(Error::internal)?,
    })
}

fn number<T: FromStr>(text: &str) -> Result<Option<T>> {
    let read = |text: &str| text.parse().map_err(|_| corrupt("a number"));
    (!text.is_empty()).then(|| read(text)).transpose()
}

fn id(text: &str) -> Result<Option<Uuid>> {
    (!text.is_empty()).then(|| Uuid::try_parse(text)).transpose().map_err(Error::internal)
}

fn bytes(text: &str) -> Result<Option<Vec<u8>>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let read = || text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    (!text.is_empty()).then(|| read().ok_or_else(|| corrupt("a value in hexadecimal"))).transpose()
}
