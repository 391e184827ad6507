//! Everything that a database holds, so that "nothing changed" can be said of all of it.

use std::collections::BTreeMap;
use std::path::Path;

use rolecall::model::AuditAction;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Column, Row, ValueRef};

/// The rows of every table, each as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, Vec<String>>);

impl Dump {
    /// Reads a database file that a server may be using.
    ///
    /// Left out is what a call that changes nothing may leave behind: when a session or a key was last used, and the audit
    /// log's events of refusals.
    pub async fn of(database: &Path) -> Self {
        let options =
            SqliteConnectOptions::new().filename(database).create_if_missing(false).pragma("query_only", "ON");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'").fetch_all(&pool).await.unwrap();
        let mut tables = BTreeMap::new();
        for name in names {
            let rows = rows(&pool, &name).await;
            tables.insert(name, rows);
        }
        pool.close().await;
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

async fn rows(pool: &SqlitePool, table: &str) -> Vec<String> {
    let select = format!("SELECT * FROM \"{table}\"");
    let rows = sqlx::query(sqlx::AssertSqlSafe(select)).fetch_all(pool).await.unwrap();
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
        let refusal = format!("action={} ", AuditAction::AccessRefused.number());
        if table != "audit_event" || !line.contains(&refusal) {
            lines.push(line);
        }
    }
    lines.sort();
    lines
}
