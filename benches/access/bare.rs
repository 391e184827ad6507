//! A read of one session by its key, with the driver that checks use and nothing around it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::OpenFlags;
use sqlx::{Connection, PgConnection};

use crate::{Result, seed};

const SQLITE: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_key = ?";
const POSTGRES: &str = "SELECT id, user_id, workspace_id, expires_at FROM session WHERE token_key = $1";
/// As the service maps the file.
const MAPPED: i64 = 1 << 40;

/// A connection that reads one session after the other, anywhere in the table.
pub struct Reader {
    driver: Driver,
    sessions: u64,
    next: AtomicU64,
}

enum Driver {
    Sqlite(Mutex<rusqlite::Connection>),
    Postgres(tokio::sync::Mutex<PgConnection>),
}

impl Reader {
    pub async fn open(url: &str, sessions: u64) -> Result<Self> {
        let driver = match url.strip_prefix("sqlite://") {
            Some(path) => Driver::Sqlite(Mutex::new(open(Path::new(path))?)),
            None => Driver::Postgres(tokio::sync::Mutex::new(PgConnection::connect(url).await?)),
        };
        Ok(Self { driver, sessions, next: AtomicU64::new(0) })
    }

    /// The key of the session that is next.
    pub fn key(&self) -> i64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        seed::hash(number % self.sessions).key().number()
    }

    pub async fn read(&self, key: i64) -> Result<()> {
        match &self.driver {
            Driver::Sqlite(connection) => {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                connection.prepare_cached(SQLITE)?.query_row([key], |row| row.get::<_, [u8; 16]>(0))?;
            }
            Driver::Postgres(connection) => {
                sqlx::query(POSTGRES).bind(key).fetch_one(&mut *connection.lock().await).await?;
            }
        }
        Ok(())
    }

    /// Reads for so long, where services do, on a thread that sees itself what comes in. Answers how many microseconds each
    /// read took.
    pub async fn read_for(self: &Arc<Self>, time: Duration) -> Result<Vec<f64>> {
        let reader = Arc::clone(self);
        let reading = async move {
            let end = Instant::now() + time;
            let mut times = Vec::new();
            while times.is_empty() || Instant::now() < end {
                let key = reader.key();
                let begin = Instant::now();
                reader.read(key).await?;
                times.push(begin.elapsed().as_secs_f64() * 1e6);
            }
            Ok(times)
        };
        tokio::spawn(reading).await?
    }
}

fn open(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update_and_check(None, "mmap_size", MAPPED, |_| Ok(()))?;
    Ok(connection)
}
