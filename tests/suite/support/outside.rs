//! The database file seen from outside the service, as another program would see it.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::World;

/// A connection that does not belong to the service.
pub struct Outside(SqliteConnection);

impl World {
    pub async fn outside(&self) -> Outside {
        let options = SqliteConnectOptions::new().filename(self.database());
        Outside(SqliteConnection::connect_with(&options).await.unwrap())
    }
}

impl Outside {
    /// Runs statements. Answers how many rows changed.
    pub async fn run(&mut self, sql: &str) -> u64 {
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await.unwrap().rows_affected()
    }

    /// The one number that a query answers.
    pub async fn number(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.0).await.unwrap()
    }

    /// Takes the only write lock and keeps it until `run("COMMIT")`, or until this is dropped.
    pub async fn lock(&mut self) {
        self.run("BEGIN IMMEDIATE").await;
    }
}

/// An id as it stands in the database.
pub fn blob(id: &str) -> String {
    format!("x'{}'", id.replace('-', ""))
}
