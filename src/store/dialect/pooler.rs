//! What stands between us and PostgreSQL.
//!
//! A pooler that gives each transaction whichever connection is free is told apart by the process that serves us: it
//! changes. If it does not carry prepared statements from one to the next (PgBouncer before 1.21, or with
//! `max_prepared_statements = 0`), a client gets *another statement's answer*, without an error. So it is tried before
//! anything else is done, and refused.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row, raw_sql};

use super::{OpenError, driver_text};

/// How often it is tried: a pooler with several connections may hand out the same one twice.
const ROUNDS: i64 = 6;

const REFUSED: &str = "the pooler before PostgreSQL hands out other statements' answers: it pools by transaction and does not \
    carry prepared statements (PgBouncer before 1.21, or with max_prepared_statements = 0). Pool by session, or use a \
    newer one";

/// Whether a pooler gives each transaction another connection.
///
/// # Errors
/// If it does and cannot be worked with.
pub(super) async fn detect(options: &PgConnectOptions) -> Result<bool, OpenError> {
    let failed = |error: sqlx::Error| OpenError::new(format!("PostgreSQL cannot be used: {}", driver_text(&error)));
    let mut one = PgConnection::connect_with(options).await.map_err(failed)?;
    let mut other = PgConnection::connect_with(options).await.map_err(failed)?;
    let mut pooled = false;
    for _ in 0..ROUNDS {
        pooled = pooled || changes(&mut one, &mut other).await.map_err(failed)?;
    }
    let works = !pooled || carries_statements(&mut one, &mut other).await;
    for connection in [one, other] {
        // Nothing depends on a polite end.
        let _ = connection.close().await;
    }
    if works { Ok(pooled) } else { Err(OpenError::new(REFUSED)) }
}

/// Whether a connection's process is taken by another connection, or changes, while that one is in a transaction.
async fn changes(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let before = process(one).await?;
    raw_sql("BEGIN").execute(&mut *other).await?;
    let taken = process(other).await? == before;
    // Had it been taken, this could wait for it for ever.
    let changed = taken || process(one).await? != before;
    raw_sql("COMMIT").execute(&mut *other).await?;
    Ok(changed)
}

async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// Whether statements prepared on two connections, which the driver gives the same names, answer for themselves.
async fn carries_statements(one: &mut PgConnection, other: &mut PgConnection) -> bool {
    for round in 0..ROUNDS {
        let right = ask_one(one, round).await && ask_other(other, round).await;
        if !right || raw_sql("BEGIN").execute(&mut *other).await.is_err() {
            return false;
        }
        let right = ask_other(other, round).await;
        if raw_sql("COMMIT").execute(&mut *other).await.is_err() || !right || !ask_one(one, round).await {
            return false;
        }
    }
    true
}

async fn ask_one(connection: &mut PgConnection, number: i64) -> bool {
    let answer: Result<i64, _> = sqlx::query_scalar("SELECT $1::int8 * 2").bind(number).fetch_one(connection).await;
    answer.is_ok_and(|answer| answer == number * 2)
}

async fn ask_other(connection: &mut PgConnection, number: i64) -> bool {
    let answer: Result<i64, _> = sqlx::query_scalar("SELECT $1::int8 * 2 + 1").bind(number).fetch_one(connection).await;
    answer.is_ok_and(|answer| answer == number * 2 + 1)
}
