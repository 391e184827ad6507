//! The database looked at past the service, in words that both kinds understand: those of SQLite which PostgreSQL does not
//! have are functions there (`postgres/sql.rs`).

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, FromRow};

use super::invariants::INVARIANTS;
use super::place::Place;
use super::postgres::DAMAGE;

/// A connection of its own to a database.
pub struct Database(Pool);

#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Database {
    pub async fn open(place: &Place) -> Self {
        Self::at(&place.own_url()).await
    }

    /// As [`Database::open`], by URL; on PostgreSQL the superuser's.
    pub async fn at(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(20));
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
            return Self(Pool::Sqlite(pool));
        }
        let options: PgConnectOptions = url.parse().unwrap();
        // What looks on must not be what a transaction of the service fails of.
        let options =
            options.options([("search_path", "public,tests"), ("default_transaction_isolation", "read committed")]);
        Self(Pool::Postgres(PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap()))
    }

    pub async fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let sql = AssertSqlSafe(self.spoken(sql));
        match &self.0 {
            Pool::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
            Pool::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
        }
    }

    /// The first column of each row, which is text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.rows::<(String,)>(sql).await.into_iter().map(|(text,)| text).collect()
    }

    /// The only value of the only row, whatever width it has.
    pub async fn number(&self, sql: &str) -> i64 {
        let wide = format!("WITH answer (number) AS ({sql}) SELECT CAST(number AS bigint) FROM answer");
        let (number,) = self.rows::<(i64,)>(&wide).await.pop().unwrap();
        number
    }

    /// Runs a statement. Answers how many rows changed.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(self.spoken(sql));
        Ok(match &self.0 {
            Pool::Sqlite(pool) => sqlx::query(sql).execute(pool).await?.rows_affected(),
            Pool::Postgres(pool) => sqlx::query(sql).execute(pool).await?.rows_affected(),
        })
    }

    /// As [`Database::execute`], of a statement that must go well.
    pub async fn run(&self, sql: &str) -> u64 {
        self.execute(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// Runs what each kind of database says in its own way.
    pub async fn run_either(&self, sqlite: &str, postgres: &str) {
        match &self.0 {
            Pool::Sqlite(_) => self.run(sqlite).await,
            Pool::Postgres(pool) => {
                sqlx::raw_sql(AssertSqlSafe(postgres.to_owned())).execute(pool).await.unwrap().rows_affected()
            }
        };
    }

    /// Lets nobody else write until `run("COMMIT")`, or until this is closed.
    pub async fn lock(&self) {
        let tables: Vec<String> = self.tables().await.iter().map(|table| format!("\"{table}\"")).collect();
        let all = format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
        self.run_either("BEGIN IMMEDIATE", &all).await;
    }

    /// The names of all tables.
    pub async fn tables(&self) -> Vec<String> {
        match &self.0 {
            Pool::Sqlite(_) => self.texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").await,
            Pool::Postgres(_) => {
                let tables = "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
                self.texts(tables).await
            }
        }
    }

    /// Everything that the schema is made of, in no more words than it takes to tell two apart.
    pub async fn schema(&self) -> Vec<String> {
        match &self.0 {
            Pool::Sqlite(_) => self.texts("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name").await,
            Pool::Postgres(_) => self.texts(SCHEMA).await,
        }
    }

    /// What stands on the disk of it, in files.
    pub async fn bytes(&self) -> Vec<u8> {
        let files = match &self.0 {
            Pool::Sqlite(_) => {
                let file = self.texts("SELECT file FROM pragma_database_list WHERE name = 'main'").await.remove(0);
                vec![format!("{file}-wal"), file]
            }
            Pool::Postgres(_) => {
                self.run("CHECKPOINT").await;
                let files = "SELECT current_setting('data_directory') || '/' || pg_relation_filepath(oid) FROM pg_class
                    WHERE relnamespace = CAST('public' AS regnamespace) OR relname LIKE 'pg_toast%'";
                self.rows::<(Option<String>,)>(files).await.into_iter().filter_map(|(file,)| file).collect()
            }
        };
        files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
    }

    /// Takes foreign keys and checks away, for this connection or for good.
    pub async fn lift_constraints(&self) {
        match &self.0 {
            Pool::Sqlite(_) => {
                for pragma in ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"] {
                    self.run(pragma).await;
                }
            }
            Pool::Postgres(_) => {
                self.run("SET session_replication_role = replica").await;
                let checks = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', CAST(conrelid AS regclass), conname)
                              FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0";
                for drop in self.texts(checks).await {
                    self.run(&drop).await;
                }
            }
        }
    }

    /// Which of [`INVARIANTS`] do not hold, and for which rows.
    pub async fn broken(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut broken = Vec::new();
        for (sentence, exceptions) in INVARIANTS {
            let exceptions = self.texts(exceptions).await;
            if !exceptions.is_empty() {
                broken.push((sentence, exceptions));
            }
        }
        broken
    }

    /// Nothing half done, nothing out of step, nothing damaged.
    pub async fn assert_whole(&self) {
        assert_eq!(self.broken().await, []);
        match &self.0 {
            Pool::Sqlite(_) => assert_eq!(self.texts("PRAGMA integrity_check").await, ["ok"]),
            Pool::Postgres(_) => assert_eq!(self.texts(DAMAGE).await, [""; 0]),
        }
    }

    pub async fn close(self) {
        match self.0 {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0
    }

    /// `{written}` is what rows are sorted by in the order in which they came to be. On PostgreSQL it is that of the commits,
    /// and within one that of the statements.
    fn spoken(&self, sql: &str) -> String {
        sql.replace(
            "{written}",
            match &self.0 {
                Pool::Sqlite(_) => "rowid",
                Pool::Postgres(_) => "(pg_xact_commit_timestamp(xmin), CAST(CAST(cmin AS text) AS integer), ctid)",
            },
        )
    }
}

/// Columns, constraints and indexes, and which migrations made them.
const SCHEMA: &str = "
SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT format('%s: %s', CAST(conrelid AS regclass), pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = CAST('public' AS regnamespace)
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1";

/// What an id looks like in SQL: `hex(id)`.
pub fn hex(uuid: &str) -> String {
    uuid.replace('-', "").to_ascii_uppercase()
}
