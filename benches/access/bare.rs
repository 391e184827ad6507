//! A read of one session by its key with a driver and nothing around it.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::{Place, Result, seed};

const READS: u64 = 3_000;
const SQLITE: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_key = ?";
const POSTGRES: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_key = $1";

/// The median in microseconds, by each driver that Rolecall uses there, first the one that checks use.
pub async fn read(place: &Place) -> Result<Vec<(&'static str, f64)>> {
    let keys: Vec<i64> = (0..READS).map(|number| key(number, place.sessions)).collect();
    let mut times = Vec::with_capacity(keys.len());
    if place.cluster.is_some() {
        let mut connection = PgConnection::connect(&place.url).await?;
        for key in &keys {
            let begin = Instant::now();
            sqlx::query(POSTGRES).bind(key).fetch_one(&mut connection).await?;
            times.push(begin.elapsed());
        }
        return Ok(vec![("sqlx", median(times))]);
    }
    let mut handed_over = Vec::with_capacity(keys.len());
    let mut connection = SqliteConnection::connect(&place.url).await?;
    for key in &keys {
        let begin = Instant::now();
        sqlx::query(SQLITE).bind(key).fetch_one(&mut connection).await?;
        handed_over.push(begin.elapsed());
    }
    let connection = rusqlite::Connection::open(place.file())?;
    for key in &keys {
        let begin = Instant::now();
        let mut statement = connection.prepare_cached(SQLITE)?;
        statement.query_row([key], |row| row.get::<_, [u8; 16]>(0))?;
        times.push(begin.elapsed());
    }
    Ok(vec![("rusqlite", median(times)), ("sqlx", median(handed_over))])
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn key(number: u64, sessions: u64) -> i64 {
    seed::hash(number.wrapping_mul(0x9e37_79b9) % sessions).key().number()
}
