//! Everything that a database holds, so that "nothing changed" can be said of all of it.

use std::collections::BTreeMap;

use rolecall::model::AuditAction;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Column, Row, ValueRef};

use super::Database;
use super::database::Pool;

/// The rows of every table, each as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, Vec<String>>);

impl Dump {
    /// Reads a database that a server may be using.
    ///
    /// Left out is what a call that changes nothing may leave behind: when a session or a key was last used, and the audit
    /// log's events of refusals.
    pub async fn of(database: &Database) -> Self {
        let names = database.tables().await;
        let mut tables = match database.pool() {
            Pool::Sqlite(pool) => sqlite_rows(pool, &names).await,
            Pool::Postgres(pool) => postgres_rows(pool, &names).await,
        };
        tables.values_mut().for_each(|rows| rows.sort());
        Self(tables)
    }

    /// What this has and `before` has not, and the other way round.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let lines = |dump: &Self| -> Vec<String> {
            dump.0.iter().flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table}: {row}"))).collect()
        };
        let (old, new) = (lines(before), lines(self));
        let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
        let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
        gone.chain(come).collect()
    }
}

/// What is not a refusal in the audit log.
fn select(what: &str, table: &str) -> String {
    let lasting = match table {
        "audit_event" => format!(" WHERE action <> {}", AuditAction::AccessRefused.number()),
        _ => String::new(),
    };
    format!("SELECT {what} FROM \"{table}\" AS row{lasting}")
}

/// In one statement: on a server each one more is a journey more.
async fn postgres_rows(pool: &PgPool, tables: &[String]) -> BTreeMap<String, Vec<String>> {
    let rows = |table: &String| {
        select(&format!("'{table}', CAST(to_jsonb(row) - 'last_used_at' - 'last_seen_at' AS text)"), table)
    };
    let all: Vec<String> = tables.iter().map(rows).collect();
    let mut found: BTreeMap<String, Vec<String>> = tables.iter().map(|table| (table.clone(), Vec::new())).collect();
    if !all.is_empty() {
        let all = AssertSqlSafe(all.join(" UNION ALL "));
        for (table, row) in sqlx::query_as::<_, (String, String)>(all).fetch_all(pool).await.unwrap() {
            found.get_mut(&table).unwrap().push(row);
        }
    }
    found
}

async fn sqlite_rows(pool: &SqlitePool, tables: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for table in tables {
        found.insert(table.clone(), rows_of(pool, table).await);
    }
    found
}

async fn rows_of(pool: &SqlitePool, table: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(select("*", table))).fetch_all(pool).await.unwrap();
    let mut lines = Vec::new();
    for row in rows {
        let mut line = String::new();
        for (index, column) in row.columns().iter().enumerate() {
            if column.name() == "last_used_at" || column.name() == "last_seen_at" {
                continue;
            }
            let raw = row.try_get_raw(index).unwrap();
            let value = if raw.is_null() {
                "NULL".to_owned()
            } else if let Ok(number) = row.try_get_unchecked::<i64, _>(index)
                && raw.type_info().to_string() != "TEXT"
                && raw.type_info().to_string() != "BLOB"
            {
                number.to_string()
            } else if raw.type_info().to_string() == "TEXT" {
                format!("{:?}", row.try_get_unchecked::<String, _>(index).unwrap())
            } else {
                format!("{:02x?}", row.try_get_unchecked::<Vec<u8>, _>(index).unwrap())
            };
            line.push_str(&format!("{}={value} ", column.name()));
        }
        lines.push(line);
    }
    lines
}
