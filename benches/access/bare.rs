//! A read of one session by its hash with a driver and nothing around it.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::{Place, Result};

const READS: u64 = 3_000;
const SQLITE: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_hash = ?";
const POSTGRES: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_hash = $1";

/// The median in microseconds, by each driver that Rolecall uses there, first the one that checks use.
pub async fn read(place: &Place) -> Result<Vec<(&'static str, f64)>> {
    let hashes: Vec<Vec<u8>> = (0..READS).map(|number| hash(number, place.sessions)).collect();
    let mut times = Vec::with_capacity(hashes.len());
    if place.cluster.is_some() {
        let mut connection = PgConnection::connect(&place.url).await?;
        for hash in &hashes {
            let begin = Instant::now();
            sqlx::query(POSTGRES).bind(hash).fetch_one(&mut connection).await?;
            times.push(begin.elapsed());
        }
        return Ok(vec![("sqlx", median(times))]);
    }
    let mut handed_over = Vec::with_capacity(hashes.len());
    let mut connection = SqliteConnection::connect(&place.url).await?;
    for hash in &hashes {
        let begin = Instant::now();
        sqlx::query(SQLITE).bind(hash).fetch_one(&mut connection).await?;
        handed_over.push(begin.elapsed());
    }
    let connection = rusqlite::Connection::open(place.file())?;
    for hash in &hashes {
        let begin = Instant::now();
        let mut statement = connection.prepare_cached(SQLITE)?;
        statement.query_row([hash], |row| row.get::<_, [u8; 16]>(0))?;
        times.push(begin.elapsed());
    }
    Ok(vec![("rusqlite", median(times)), ("sqlx", median(handed_over))])
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn hash(number: u64, sessions: u64) -> Vec<u8> {
    let mut secret = [0; 32];
    secret[24..].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9) % sessions).to_be_bytes());
    let mut hash = Sha256::new();
    hash.update("rcs_");
    hash.update(secret);
    hash.finalize().to_vec()
}
