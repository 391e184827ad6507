//! Which host of a cluster is its primary.
//!
//! The hosts are asked every second. Of several that say that they are primaries the one with the newest timeline is
//! meant: it was promoted last. When it is another one than before, new connections go there and those to the old one
//! are not used again. Nobody goes back to an older timeline, not even while the newest does not answer. That is quick,
//! not strict: until the old primary is fenced, it may still answer somebody.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{Connection, Row, raw_sql};
use tokio::time::{Instant, sleep, timeout};

/// How often the hosts are asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one of them may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Empty on a stand-by; on a primary a name that begins with its timeline in eight hexadecimal digits.
const TIMELINE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END";

/// The hosts, and which of them is the primary as far as is known.
pub(super) struct Cluster {
    hosts: Vec<PgConnectOptions>,
    primary: AtomicUsize,
    /// The newest timeline that was ever seen.
    newest: AtomicU32,
    /// When the primary became another one.
    moved: Mutex<Option<Instant>>,
}

impl Cluster {
    pub(super) fn new(hosts: Vec<PgConnectOptions>) -> Self {
        Self { hosts, primary: AtomicUsize::new(0), newest: AtomicU32::new(0), moved: Mutex::new(None) }
    }

    pub(super) fn has_several(&self) -> bool {
        self.hosts.len() > 1
    }

    /// How to connect to the primary.
    pub(super) fn primary(&self) -> Option<&PgConnectOptions> {
        self.hosts.get(self.primary.load(Ordering::SeqCst))
    }

    /// Whether a connection of this age may have been made to a host that is not the primary any more: it counts its age
    /// from when it was ready, and was begun up to `patience` before.
    pub(super) fn has_moved_since(&self, age: Duration, patience: Duration) -> bool {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.is_some_and(|moved| age + patience >= moved.elapsed())
    }

    /// Refuses a new connection that leads to an older timeline than the newest.
    pub(super) async fn require_newest(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match read_timeline(connection).await? {
            Some(timeline) if timeline >= self.newest.load(Ordering::SeqCst) => Ok(()),
            _ => Err(std::io::Error::other("the server is not the primary any more").into()),
        }
    }

    /// Looks for the primary until it is found, at most for `patience`.
    pub(super) async fn find(&self, patience: Duration) {
        let search = async {
            let mut probes = self.probes();
            while self.look(&mut probes).await.is_none() {
                sleep(INTERVAL / 4).await;
            }
        };
        let _ = timeout(patience, search).await;
    }

    /// Follows the primary, for ever.
    pub(super) async fn follow(self: Arc<Self>, pools: Vec<PgPool>) {
        let mut probes = self.probes();
        loop {
            if let Some(options) = self.look(&mut probes).await {
                for pool in &pools {
                    pool.set_connect_options(options.clone());
                }
            }
            sleep(INTERVAL).await;
        }
    }

    /// Asks all hosts. Answers the primary if there is one.
    async fn look(&self, probes: &mut [Probe]) -> Option<&PgConnectOptions> {
        let timelines = join_all(probes.iter_mut().map(Probe::timeline)).await;
        let current = self.primary.load(Ordering::SeqCst);
        let known = self.newest.load(Ordering::SeqCst);
        let (timeline, _, host) = timelines
            .into_iter()
            .enumerate()
            .filter_map(|(host, timeline)| Some((timeline?, host == current, host)))
            .filter(|(timeline, is_current, _)| *timeline > known || (*timeline == known && *is_current))
            .max()?;
        self.newest.store(timeline, Ordering::SeqCst);
        if self.primary.swap(host, Ordering::SeqCst) != host {
            *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            tracing::warn!(
                host = self.hosts.get(host).map(PgConnectOptions::get_host),
                "the primary is another host now"
            );
        }
        self.hosts.get(host)
    }

    fn probes(&self) -> Vec<Probe> {
        self.hosts.iter().map(|options| Probe { options: options.clone(), connection: None }).collect()
    }
}

/// A connection to one host that only asks what the host is.
struct Probe {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Probe {
    /// The host's timeline, if it is a primary and answers.
    async fn timeline(&mut self) -> Option<u32> {
        let kept = self.connection.take();
        let ask = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let timeline = read_timeline(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, timeline))
        };
        let (connection, timeline) = timeout(PATIENCE, ask).await.ok()?.ok()?;
        self.connection = Some(connection);
        timeline
    }
}

/// The timeline of the server behind a connection; none if it is a stand-by.
async fn read_timeline(connection: &mut PgConnection) -> Result<Option<u32>, sqlx::Error> {
    let name: String = raw_sql(TIMELINE).fetch_one(connection).await?.try_get(0)?;
    Ok(name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()))
}
