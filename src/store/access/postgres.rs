//! The one statement on PostgreSQL. Its arrays are of any length, so there is one for each selection of kinds of questions,
//! prepared once for each connection. (It could be one for all: a kind that is not asked about costs the server time.)
//! Where there is one question of each kind at the most, as when nobody else asks, there is one without arrays, which takes
//! the server 10 to 15 µs less.
//!
//! The arrays are selected instead of named, so that the planner does not see how long they are. Where it does, it finds
//! a plan for the very ones of a small batch a little better than the one for all, and plans each time anew, which takes
//! several times as long as finding the rows.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgHasArrayType, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Decode, Encode, Postgres, Row as _, Type};
use tokio::time::timeout;

use crate::crypto::TokenHash;
use crate::error::{Error, Result};
use crate::model::{UserId, WorkspaceId};
use crate::store::error::{corrupt, out_of_reach, refused_by_driver};

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Found, KeyRow, Question, SessionRow, parts, role};

/// Kinds of questions, as bits.
const SESSIONS: usize = 1;
const KEYS: usize = 2;
const MEMBERSHIPS: usize = 4;
const WORKSPACES: usize = 8;

/// The statement about each selection of kinds, by its bits: about any number of each, and about one of each.
static STATEMENTS: LazyLock<[[String; 16]; 2]> =
    LazyLock::new(|| [Asked::Many, Asked::One].map(|asked| std::array::from_fn(|kinds| statement(kinds, asked))));

/// How much is asked about each kind that something is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Many,
    One,
}

impl Asked {
    fn by(inquiry: &Inquiry) -> Self {
        let counts = [inquiry.sessions.len(), inquiry.keys.len(), inquiry.memberships.len(), inquiry.workspaces.len()];
        if counts.iter().all(|count| *count <= 1) { Self::One } else { Self::Many }
    }
}

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

fn statement(kinds: usize, asked: Asked) -> String {
    let mut places = 0;
    let mut place = || {
        places += 1;
        format!("${places}")
    };
    let mut selected = Vec::new();
    let sought = |part: &str, place: String, kind: &str| match asked {
        Asked::Many => format!("{part}= ANY((SELECT {place})::{kind}[])"),
        Asked::One => format!("{part}= {place}"),
    };
    if kinds & SESSIONS != 0 {
        selected.push(sought(parts::SESSIONS, place(), "bigint"));
    }
    if kinds & KEYS != 0 {
        selected.push(sought(parts::KEYS, place(), "bytea"));
    }
    if kinds & MEMBERSHIPS != 0 {
        let [workspace, user] = [(); 2].map(|()| place());
        selected.push(match asked {
            Asked::Many => format!(
                "{}unnest((SELECT {workspace})::uuid[], (SELECT {user})::uuid[]) AS asked(workspace_id, user_id) \
                 JOIN membership m ON m.workspace_id = asked.workspace_id AND m.user_id = asked.user_id \
                 WHERE m.removed_at IS NULL",
                parts::MEMBERSHIPS,
            ),
            Asked::One => format!(
                "{}membership m WHERE m.workspace_id = {workspace} AND m.user_id = {user} AND m.removed_at IS NULL",
                parts::MEMBERSHIPS,
            ),
        });
    }
    if kinds & WORKSPACES != 0 {
        selected.push(sought(parts::WORKSPACES, place(), "uuid"));
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
        let (kinds, asked) = (kinds(inquiry), Asked::by(inquiry));
        let Some(sql) = STATEMENTS[asked as usize].get(kinds).filter(|_| kinds != 0) else {
            return Ok(Findings::new());
        };
        let mut sought = Sought { asked, query: sqlx::query(AssertSqlSafe(sql.as_str())) };
        sought.bind(inquiry.sessions.iter().map(|hash| hash.key().number()))?;
        sought.bind(inquiry.keys.iter().map(|hash| *hash.as_bytes()))?;
        sought.bind(inquiry.memberships.iter().map(|(workspace, _)| workspace.uuid()))?;
        sought.bind(inquiry.memberships.iter().map(|(_, user)| user.uuid()))?;
        sought.bind(inquiry.workspaces.iter().map(|workspace| workspace.uuid()))?;
        let statement = sought.query;
        let statement = statement.fetch_all(&mut *self.connection);
        let rows = timeout(self.patience, statement).await.map_err(out_of_reach)?.map_err(refused_by_driver)?;
        rows.iter().map(read).collect()
    }
}

/// A statement, and what is asked of it.
struct Sought<'q> {
    asked: Asked,
    query: Query<'q, Postgres, PgArguments>,
}

impl<'q> Sought<'q> {
    /// Adds what is sought of one kind, unless that is nothing.
    fn bind<T>(&mut self, mut these: impl ExactSizeIterator<Item = T>) -> Result<()>
    where
        T: Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + 'q,
    {
        let bound = match self.asked {
            Asked::Many if these.len() == 0 => Ok(()),
            Asked::Many => self.query.try_bind(these.collect::<Vec<_>>()),
            Asked::One => these.next().map_or(Ok(()), |this| self.query.try_bind(this)),
        };
        bound.map_err(|error| Error::internal(error.to_string()))
    }
}

/// The question that a row answers, and what it says.
fn read(row: &PgRow) -> Result<(Question, Found)> {
    let hash = || column::<&[u8]>(row, 1)?.try_into().map(TokenHash::from_bytes).map_err(|_| corrupt("a hash"));
    match column::<i32>(row, 0)? {
        1 => {
            let session = SessionRow {
                token: hash()?,
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
            Ok((Question::Session(session.token), session.found()?))
        }
        2 => {
            let key = KeyRow {
                id: column(row, 2)?,
                workspace_id: column(row, 5)?,
                scopes: column(row, 6)?,
                revoked: column(row, 7)?,
                expires_at: column(row, 9)?,
                last_used_at: column(row, 10)?,
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
