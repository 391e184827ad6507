//! The one statement on PostgreSQL. Its arrays are of any length, so it is prepared once for each connection.
//!
//! The arrays are selected instead of named, so that the planner does not see how long they are. Where it does, it finds
//! a plan for the very ones of a small batch a little better than the one for all, and plans each time anew, which takes
//! several times as long as finding the rows.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Postgres, Row as _};
use tokio::time::timeout;

use crate::error::Result;
use crate::store::error::{out_of_reach, refused_by_driver};

use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{Row, parts};

static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{}= ANY((SELECT $1)::bytea[]) UNION ALL {}= ANY((SELECT $2)::bytea[]) UNION ALL \
         {}unnest((SELECT $3)::uuid[], (SELECT $4)::uuid[]) AS asked(workspace_id, user_id) JOIN membership m \
         ON m.workspace_id = asked.workspace_id AND m.user_id = asked.user_id WHERE m.removed_at IS NULL UNION ALL \
         {}= ANY((SELECT $5)::uuid[])",
        parts::SESSIONS,
        parts::KEYS,
        parts::MEMBERSHIPS,
        parts::WORKSPACES,
    )
});

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
        let hashes =
            |hashes: &[crate::crypto::TokenHash]| hashes.iter().map(|hash| *hash.as_bytes()).collect::<Vec<_>>();
        let statement = sqlx::query(AssertSqlSafe(STATEMENT.as_str()))
            .bind(hashes(&inquiry.sessions))
            .bind(hashes(&inquiry.keys))
            .bind(inquiry.memberships.iter().map(|(workspace, _)| workspace.uuid()).collect::<Vec<_>>())
            .bind(inquiry.memberships.iter().map(|(_, user)| user.uuid()).collect::<Vec<_>>())
            .bind(inquiry.workspaces.iter().map(|workspace| workspace.uuid()).collect::<Vec<_>>())
            .fetch_all(&mut *self.connection);
        let rows = timeout(self.patience, statement).await.map_err(out_of_reach)?.map_err(refused_by_driver)?;
        rows.iter().map(|row| read(row).map_err(refused_by_driver)?.answer()).collect()
    }
}

fn read(row: &PgRow) -> Result<Row, sqlx::Error> {
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
