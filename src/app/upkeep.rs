//! What has to be done now and then: recording what was used, and sweeping what has served its purpose.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::authz::{KeyCaller, SessionCaller};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::model::{ServiceKeyId, TokenKey};
use crate::store::{SweepKind, SweepLimits, Write};

use super::{App, retrying};

/// Use is not recorded where what is recorded is younger. With twice the seconds until use is recorded, for a row that
/// somebody else holds the first time, what is recorded stays right to within a minute.
const RECENT: Duration = Duration::from_secs(30);
/// Ids that one statement names at the most: each transaction makes readers of SQLite look anew at all they have seen,
/// and other changes wait for it.
const TOUCH_BATCH: usize = 2_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of one kind that one transaction sweeps: few enough that nobody waits for it.
const SWEEP_BATCH: u64 = 500;

/// What was used since the last time it was recorded, and when last.
#[derive(Default)]
pub(super) struct Touches(Mutex<Touched>);

#[derive(Default)]
struct Touched {
    sessions: HashMap<TokenKey, Timestamp>,
    keys: HashMap<ServiceKeyId, Timestamp>,
}

/// Times of what was used, each once, in the order of its table.
struct Used {
    sessions: Vec<(TokenKey, Timestamp)>,
    keys: Vec<(ServiceKeyId, Timestamp)>,
}

impl Touches {
    pub(super) fn session(&self, session: &SessionCaller, at: Timestamp) {
        if is_due(Some(session.last_used_time), at) {
            keep_later(&mut self.touched().sessions, session.token_key, at);
        }
    }

    pub(super) fn service_key(&self, key: &KeyCaller, at: Timestamp) {
        if is_due(key.last_used_time, at) {
            keep_later(&mut self.touched().keys, key.key_id, at);
        }
    }

    fn take(&self) -> Touched {
        std::mem::take(&mut self.touched())
    }

    /// Keeps what could not be recorded for the next time. There may be much of it, and each call has a look in here.
    fn put_back<K: Copy>(&self, left: &[(K, Timestamp)], keep: impl Fn(&mut Touched, K, Timestamp)) {
        for some in left.chunks(TOUCH_BATCH) {
            let mut touched = self.touched();
            for (id, at) in some {
                keep(&mut touched, *id, *at);
            }
        }
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Touched {
    fn used(self) -> Used {
        Used { sessions: in_order(self.sessions), keys: in_order(self.keys) }
    }
}

fn is_due(recorded: Option<Timestamp>, at: Timestamp) -> bool {
    recorded.is_none_or(|recorded| at >= recorded.plus(RECENT))
}

fn keep_later<K: Eq + Hash>(times: &mut HashMap<K, Timestamp>, key: K, at: Timestamp) {
    times.entry(key).and_modify(|known| *known = at.max(*known)).or_insert(at);
}

fn in_order<K: Ord>(times: impl IntoIterator<Item = (K, Timestamp)>) -> Vec<(K, Timestamp)> {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    times
}

impl App {
    /// Records when sessions and keys were used last, batch by batch. Called every few seconds, so what is
    /// recorded is right to within a minute. What cannot be recorded, since somebody else holds it or something fails, is
    /// kept for the next time; a crash loses no more than that.
    pub async fn record_use(&self) -> Result<()> {
        let touched = self.0.touches.take();
        // There may be many, and calls go on meanwhile.
        let used = tokio::task::spawn_blocking(move || touched.used()).await.map_err(Error::internal)?;
        let mut outcome = Ok(());
        // Keys are few, and not to wait for all sessions.
        let touch = async |tx: &mut Write, some: &_| tx.touch_service_keys(some, RECENT).await;
        let left = self.record(&mut outcome, used.keys, touch).await;
        self.0.touches.put_back(&left, |kept, id, at| keep_later(&mut kept.keys, id, at));
        let touch = async |tx: &mut Write, some: &_| tx.touch_sessions(some, RECENT).await;
        let left = self.record(&mut outcome, used.sessions, touch).await;
        self.0.touches.put_back(&left, |kept, id, at| keep_later(&mut kept.sessions, id, at));
        outcome
    }

    /// Has `touch` mark what was used, until that fails, or not at all if something has failed before. It answers what
    /// somebody else holds; this does what is not marked.
    async fn record<K: Copy + PartialEq>(
        &self,
        outcome: &mut Result<()>,
        used: Vec<(K, Timestamp)>,
        touch: impl AsyncFn(&mut Write, &[(K, Timestamp)]) -> Result<Vec<K>>,
    ) -> Vec<(K, Timestamp)> {
        if outcome.is_err() {
            return used;
        }
        let mut left = Vec::new();
        for (number, batch) in used.chunks(TOUCH_BATCH).enumerate() {
            let op = self.system_op();
            let mark = || async {
                let mut tx = self.store().write_unscoped(&op).await?;
                let held = touch(&mut tx, batch).await?;
                tx.commit().await?;
                Ok(held)
            };
            match retrying(op.deadline, mark).await {
                Ok(held) => left.extend(batch.iter().filter(|(id, _)| held.contains(id))),
                Err(error) => {
                    left.extend(&used[number * TOUCH_BATCH..]);
                    *outcome = Err(error);
                    break;
                }
            }
        }
        left
    }

    /// Sweeps everything that is due, batch by batch. Answers how many rows went, by kind.
    pub async fn sweep(&self) -> Result<Vec<(&'static str, u64)>> {
        let limits = SweepLimits {
            ended_sessions: 7 * DAY,
            dead_links: 30 * DAY,
            settled_emails: 7 * DAY,
            audit_events: self.0.audit_retention,
            batch: SWEEP_BATCH,
        };
        let mut total: Vec<(&'static str, u64)> = Vec::new();
        for kind in SweepKind::ALL {
            let rows = self.sweep_kind(kind, &limits).await?;
            match total.iter_mut().find(|(known, _)| *known == kind.name()) {
                Some((_, sum)) => *sum += rows,
                None => total.push((kind.name(), rows)),
            }
        }
        Ok(total)
    }

    async fn sweep_kind(&self, kind: SweepKind, limits: &SweepLimits) -> Result<u64> {
        let mut total = 0;
        loop {
            let op = self.system_op();
            let sweep = || async {
                let mut tx = self.store().write_unscoped(&op).await?;
                let swept = tx.sweep(kind, limits).await?;
                tx.commit().await?;
                Ok(swept)
            };
            let swept = retrying(op.deadline, sweep).await?;
            total += swept;
            if swept < limits.batch {
                return Ok(total);
            }
        }
    }
}
