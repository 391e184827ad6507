//! A read of one session by its hash with the same driver and nothing around it.

use std::time::Instant;

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::{Place, Result};

const READS: u64 = 3_000;
const SQLITE: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_hash = ?";
const POSTGRES: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_hash = $1";

/// The median in microseconds.
pub async fn read(place: &Place) -> Result<f64> {
    let mut times = Vec::new();
    if place.cluster.is_some() {
        let mut connection = PgConnection::connect(&place.url).await?;
        for number in 0..READS {
            let hash = hash(number, place.sessions);
            let begin = Instant::now();
            sqlx::query(POSTGRES).bind(hash).fetch_one(&mut connection).await?;
            times.push(begin.elapsed());
        }
    } else {
        let mut connection = SqliteConnection::connect(&place.url).await?;
        for number in 0..READS {
            let hash = hash(number, place.sessions);
            let begin = Instant::now();
            sqlx::query(SQLITE).bind(hash).fetch_one(&mut connection).await?;
            times.push(begin.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6))
}

fn hash(number: u64, sessions: u64) -> Vec<u8> {
    let mut secret = [0; 32];
    secret[24..].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9) % sessions).to_be_bytes());
    let mut hash = Sha256::new();
    hash.update("rcs_");
    hash.update(secret);
    hash.finalize().to_vec()
}
