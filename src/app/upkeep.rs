//! What has to be done now and then: recording what was used, and sweeping what has served its purpose.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::authz::SessionCaller;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId};
use crate::store::{SessionUse, SweepKind, SweepLimits};

use super::{App, retrying};

/// A session whose recorded use is younger is not marked again. With twice the seconds until marks are recorded, for a row
/// that somebody else holds the first time, what is recorded stays right to within a minute.
const RECENT: Duration = Duration::from_secs(30);
/// Ids that one statement names at the most: each transaction makes readers of SQLite look anew at all they have seen,
/// and other changes wait for it.
const TOUCH_BATCH: usize = 2_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of one kind that one transaction sweeps: few enough that nobody waits for it.
const SWEEP_BATCH: u64 = 500;

/// Which sessions and keys were used since the last time it was recorded, and when last.
#[derive(Default)]
pub(super) struct Touches(Mutex<Touched>);

#[derive(Default)]
struct Touched {
    sessions: HashMap<SessionId, SessionUse>,
    keys: HashMap<ServiceKeyId, Timestamp>,
}

impl Touches {
    pub(super) fn session(&self, session: &SessionCaller, at: Timestamp) {
        if at >= session.last_used_time.plus(RECENT) {
            let used =
                SessionUse { session: session.session_id, workspace: session.workspace_id, user: session.user_id, at };
            self.touched().keep_session(used);
        }
    }

    pub(super) fn service_key(&self, id: ServiceKeyId, at: Timestamp) {
        self.touched().keep_key(id, at);
    }

    fn take(&self) -> Touched {
        std::mem::take(&mut self.touched())
    }

    /// Keeps what could not be recorded for the next time.
    fn put_back(&self, sessions: impl IntoIterator<Item = SessionUse>, keys: &[(ServiceKeyId, Timestamp)]) {
        let mut touched = self.touched();
        for used in sessions {
            touched.keep_session(used);
        }
        for (id, at) in keys {
            touched.keep_key(*id, *at);
        }
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Touched {
    fn keep_session(&mut self, used: SessionUse) {
        self.sessions.entry(used.session).and_modify(|known| known.at = known.at.max(used.at)).or_insert(used);
    }

    fn keep_key(&mut self, id: ServiceKeyId, at: Timestamp) {
        self.keys.entry(id).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }
}

impl App {
    /// Records when sessions and keys were used last, batch by batch. Called every few seconds, so what is recorded is
    /// right to within a minute. What cannot be recorded is kept for the next time; a crash loses no more than that.
    pub async fn record_use(&self) -> Result<()> {
        let touched = self.0.touches.take();
        let mut sessions: Vec<_> = touched.sessions.into_values().collect();
        // Neighbours stand on the same pages.
        sessions.sort_unstable();
        let keys: Vec<_> = touched.keys.into_iter().collect();
        let mut outcome = Ok(());
        for batch in sessions.chunks(TOUCH_BATCH) {
            if outcome.is_ok() {
                outcome = self.record(batch, &[]).await.map(|held| {
                    self.0.touches.put_back(batch.iter().filter(|used| held.contains(&used.session)).copied(), &[]);
                });
            }
            if outcome.is_err() {
                self.0.touches.put_back(batch.iter().copied(), &[]);
            }
        }
        for batch in keys.chunks(TOUCH_BATCH) {
            if outcome.is_ok() {
                outcome = self.record(&[], batch).await.map(drop);
            }
            if outcome.is_err() {
                self.0.touches.put_back([], batch);
            }
        }
        outcome
    }

    /// Answers the sessions that somebody else holds, which are not marked.
    async fn record(&self, sessions: &[SessionUse], keys: &[(ServiceKeyId, Timestamp)]) -> Result<Vec<SessionId>> {
        let op = self.system_op();
        retrying(op.deadline, || async {
            let mut tx = self.store().write_unscoped(&op).await?;
            let held = if sessions.is_empty() { Vec::new() } else { tx.touch_sessions(sessions).await? };
            if !keys.is_empty() {
                tx.touch_service_keys(keys).await?;
            }
            tx.commit().await?;
            Ok(held)
        })
        .await
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
