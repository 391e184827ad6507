//! The one statement on PostgreSQL. Its arrays are of any length, so there is one for each selection of kinds of questions,
//! prepared once for each connection. (It could be one for all: a kind that is not asked about costs the server time.)
//!
//! The arrays are selected instead of named, so that the planner does not see how long they are. Where it does, it finds
//! a plan for the very ones of a small batch a little better than the one for all, and plans each time anew, which takes
//! several times as long as finding the rows.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, Type};
use tokio::time::timeout;

use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::{UserId, WorkspaceId};
use crate::store::error::{corrupt, out_of_reach, refused_by_driver};

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Found, KeyRow, Question, SessionRow, parts, role};

/// Kinds of questions, as bits.
const SESSIONS: usize = 1;
const KEYS: usize = 2;
const MEMBERSHIPS: usize = 4;
const WORKSPACES: usize = 8;

/// The statement about each selection of kinds, by its bits.
static STATEMENTS: LazyLock<[String; 16]> = LazyLock::new(|| std::array::from_fn(statement));

fn kinds(inquiry: &Inquiry) -> usize {
    [
        (SESSIONS, inquiry.sessions.is_empty()),
        (KEYS, inquiry.keys.is_empty()),
        (MEMBERSHIPS, inquiry.memberships.is_empty()),
        (WORKSPACES, inquiry.workspaces.is_empty()),
    ]
    .iter()
    .filter(|(_, none)| !none)
    .fold(0, |kinds, (kind, _)| kinds | kind)
}

fn statement(kinds: usize) -> String {
    let mut lists = 0;
    let mut list = |kind: &str| {
        lists += 1;
        format!("(SELECT ${lists})::{kind}[]")
    };
    let mut selected = Vec::new();
    if kinds & SESSIONS != 0 {
        selected.push(format!("{}= ANY({})", parts::SESSIONS, list("bytea")));
    }
    if kinds & KEYS != 0 {
        selected.push(format!("{}= ANY({})", parts::KEYS, list("bytea")));
    }
    if kinds & MEMBERSHIPS != 0 {
        selected.push(format!(
            "{}unnest({}, {}) AS asked(workspace_id, user_id) JOIN membership m ON m.workspace_id = asked.workspace_id \
             AND m.user_id = asked.user_id WHERE m.removed_at IS NULL",
            parts::MEMBERSHIPS,
            list("uuid"),
            list("uuid"),
        ));
    }
    if kinds & WORKSPACES != 0 {
        selected.push(format!("{}= ANY({})", parts::WORKSPACES, list("uuid")));
    }
    selected.join(" UNION ALL ")
}

pub(in crate::store) struct PostgresSource {
    pub(in crate::store) pool: PgPool,
    /// How long a statement may take. The server ends it before that, unless it cannot be heard any more.
    pub(in crate::store) patience: Duration,
}

struct PostgresLine {
    connection: PoolConnection<Postgres>,
    patience: Duration,
}

#[async_trait]
impl Source for PostgresSource {
    async fn connect(&self) -> Result<Box<dyn Line>> {
        let connection = self.pool.acquire().await.map_err(refused_by_driver)?;
        Ok(Box::new(PostgresLine { connection, patience: self.patience }))
    }

    async fn close(&self) {
        // The pool is that of all readers, and closed with them.
    }
}

#[async_trait]
impl Line for PostgresLine {
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings> {
        let hashes = |hashes: &[TokenHash]| hashes.iter().map(|hash| *hash.as_bytes()).collect::<Vec<_>>();
        let kinds = kinds(inquiry);
        let Some(sql) = STATEMENTS.get(kinds).filter(|_| kinds != 0) else {
            return Ok(Findings::new());
        };
        let mut statement = sqlx::query(AssertSqlSafe(sql.as_str()));
        for list in [&inquiry.sessions, &inquiry.keys] {
            if !list.is_empty() {
                statement = statement.bind(hashes(list));
            }
        }
        if !inquiry.memberships.is_empty() {
            let (workspaces, users): (Vec<_>, Vec<_>) =
                inquiry.memberships.iter().map(|(workspace, user)| (workspace.uuid(), user.uuid())).unzip();
            statement = statement.bind(workspaces).bind(users);
        }
        if !inquiry.workspaces.is_empty() {
            statement = statement.bind(inquiry.workspaces.iter().map(|workspace| workspace.uuid()).collect::<Vec<_>>());
        }
        let statement = statement.fetch_all(&mut *self.connection);
        let rows = timeout(self.patience, statement).await.map_err(out_of_reach)?.map_err(refused_by_driver)?;
        rows.iter().map(read).collect()
    }
}

/// The question that a row answers, and what it says.
fn read(row: &PgRow) -> Result<(Question, Found)> {
    let hash = || column::<&[u8]>(row, 1)?.try_into().map(TokenHash::from_bytes).map_err(|_| corrupt("a hash"));
    match column::<i32>(row, 0)? {
        1 => {
            let session = SessionRow {
                id: column(row, 2)?,
                sign_in_id: column(row, 3)?,
                user_id: column(row, 4)?,
                workspace_id: column(row, 5)?,
                role: column(row, 6)?,
                signed_out: column(row, 8)?,
                expires_at: column(row, 9)?,
                last_used_at: column(row, 10)?,
                authenticated_at: column(row, 11)?,
            };
            Ok((Question::Session(hash()?), session.found()?))
        }
        2 => {
            let key = KeyRow {
                id: column(row, 2)?,
                workspace_id: column(row, 5)?,
                scopes: column(row, 6)?,
                revoked: column(row, 7)?,
                expires_at: column(row, 9)?,
                name: column(row, 12)?,
            };
            Ok((Question::ServiceKey(hash()?), key.found()?))
        }
        3 => {
            let membership = (WorkspaceId::new(column(row, 5)?), UserId::new(column(row, 4)?));
            Ok((Question::Membership(membership.0, membership.1), Found::Membership(role(column(row, 6)?)?)))
        }
        _ => Ok((Question::Workspace(WorkspaceId::new(column(row, 5)?)), Found::Workspace)),
    }
}

fn column<'r, T>(row: &'r PgRow, index: usize) -> Result<T>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(index).map_err(refused_by_driver)
}
