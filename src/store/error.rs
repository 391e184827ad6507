//! What the database's errors mean to a caller, told by their codes: messages differ between databases and versions.

use std::time::Duration;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use crate::error::{Error, Reason};

/// When to try again after the database could not be reached.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// Why the database could not be opened, in one line for the operator. It never carries a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

impl OpenError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What a code of SQLite or PostgreSQL stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Unique,
    Check,
    Retry,
    Unavailable,
    Other,
}

/// PostgreSQL's classes for a server that cannot be had: connection, password or role, resources, shutdown or time,
/// trouble of the machine.
const AWAY: [&str; 5] = ["08", "28", "53", "57", "58"];

/// SQLite's extended result codes are decimal, PostgreSQL's SQLSTATEs have five characters, so one list serves both.
fn classify(code: &str) -> Class {
    match code {
        // SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
        "23505" | "1555" | "2067" => Class::Unique,
        // SQLITE_CONSTRAINT_CHECK
        "23514" | "275" => Class::Check,
        // serialization_failure, deadlock_detected, lock_not_available; SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL (a reader
        // lost too many races to begin), SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT
        "40001" | "40P01" | "55P03" | "5" | "6" | "15" | "261" | "517" => Class::Retry,
        // SQLITE_READONLY, IOERR, FULL, CANTOPEN; read_only_sql_transaction, idle_in_transaction_session_timeout,
        // statement_completion_unknown, invalid_catalog_name
        "8" | "10" | "13" | "14" | "25006" | "25P03" | "40003" | "3D000" => Class::Unavailable,
        code if code.len() == 5 && AWAY.iter().any(|class| code.starts_with(class)) => Class::Unavailable,
        // Extended codes keep the primary one in their low byte.
        code => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(8 | 10 | 13 | 14) if code.len() < 5 => Class::Unavailable,
            Ok(5 | 6) if code.len() < 5 => Class::Retry,
            _ => Class::Other,
        },
    }
}

fn class_of(error: &DbErr) -> Class {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => Class::Unavailable,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => class_of_driver(error),
        _ => Class::Other,
    }
}

fn class_of_driver(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(Class::Other, |code| classify(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => Class::Unavailable,
        _ => Class::Other,
    }
}

/// The answer to a call whose query failed.
pub(super) fn refused(error: DbErr) -> Error {
    match class_of(&error) {
        Class::Unavailable => Error::new(Reason::DatabaseUnavailable).retry_after(RETRY_UNAVAILABLE).caused_by(error),
        // A unique violation that nobody expected is a race that another transaction won; the retry finds its row.
        Class::Retry | Class::Unique => Error::new(Reason::Conflict).caused_by(error),
        Class::Check | Class::Other => Error::internal(error),
    }
}

/// As [`refused`], of the driver's own error.
pub(super) fn refused_by_driver(error: sqlx::Error) -> Error {
    refused(DbErr::Query(RuntimeErr::SqlxError(error.into())))
}

/// As [`refused`], of the driver that reads SQLite on the spot.
pub(super) fn refused_by_sqlite(error: rusqlite::Error) -> Error {
    match class_of_sqlite(&error) {
        Class::Unavailable => out_of_reach(error),
        Class::Retry => Error::new(Reason::Conflict).caused_by(error),
        Class::Unique | Class::Check | Class::Other => Error::internal(error),
    }
}

/// Whether somebody has SQLite's file for himself for now.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    class_of_sqlite(error) == Class::Retry
}

fn class_of_sqlite(error: &rusqlite::Error) -> Class {
    error.sqlite_error().map_or(Class::Other, |error| classify(&error.extended_code.to_string()))
}

/// The answer to a call whose statement was waited for in vain.
pub(super) fn out_of_reach(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Reason::DatabaseUnavailable).retry_after(RETRY_UNAVAILABLE).caused_by(cause)
}

/// As [`refused`], of a commit: unless the database itself says that it did not happen, nobody knows.
pub(super) fn refused_at_commit(error: DbErr) -> Error {
    match class_of(&error) {
        Class::Other => Error::new(Reason::DatabaseUnavailable).retry_after(RETRY_UNAVAILABLE).caused_by(error),
        _ => refused(error),
    }
}

/// As [`refused`], where the one check that can fail is the one on the number of Owners.
pub(super) fn refused_by_owner_count(error: DbErr) -> Error {
    match class_of(&error) {
        Class::Check => Error::new(Reason::LastOwner).caused_by(error),
        _ => refused(error),
    }
}

/// Whether somebody else was quicker, so that the same done again will find it done or succeed. PostgreSQL has names of
/// its own for that where tables are made.
pub(super) fn is_lost_race(error: &DbErr) -> bool {
    let code = match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(error) => error.code().map(std::borrow::Cow::into_owned),
            _ => None,
        },
        _ => None,
    };
    // duplicate_table; duplicate_object, of the type that comes with a table
    matches!(class_of(error), Class::Retry | Class::Unique) || matches!(code.as_deref(), Some("42P07" | "42710"))
}

/// A row that cannot be what we wrote.
pub(super) fn corrupt(what: &'static str) -> Error {
    Error::internal(format!("the database holds {what} that Rolecall did not write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, class) in [
            ("23505", Class::Unique),
            ("2067", Class::Unique),
            ("1555", Class::Unique),
            ("23514", Class::Check),
            ("275", Class::Check),
            ("40001", Class::Retry),
            ("40P01", Class::Retry),
            ("5", Class::Retry),
            ("15", Class::Retry),
            ("517", Class::Retry),
            ("773", Class::Retry),
            ("13", Class::Unavailable),
            ("266", Class::Unavailable),
            ("778", Class::Unavailable),
            ("1032", Class::Unavailable),
            ("08006", Class::Unavailable),
            ("57P01", Class::Unavailable),
            ("53300", Class::Unavailable),
            ("28P01", Class::Unavailable),
            ("25P03", Class::Unavailable),
            ("787", Class::Other),
            ("23503", Class::Other),
            ("42601", Class::Other),
        ] {
            assert_eq!(classify(code), class, "{code}");
        }
    }
}
