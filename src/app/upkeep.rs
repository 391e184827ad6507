//! What has to be done now and then: recording what was used, and sweeping what has served its purpose.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId};
use crate::store::{SweepKind, SweepLimits};

use super::{App, retrying};

/// Ids that one statement names at the most.
const TOUCH_BATCH: usize = 500;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of one kind that one transaction sweeps: few enough that nobody waits for it.
const SWEEP_BATCH: u64 = 500;

/// Which sessions and keys were used since the last time it was recorded.
#[derive(Default)]
pub(super) struct Touches(Mutex<Touched>);

#[derive(Default)]
struct Touched {
    sessions: HashSet<SessionId>,
    keys: HashSet<ServiceKeyId>,
    latest: Option<Timestamp>,
}

impl Touches {
    pub(super) fn session(&self, id: SessionId, at: Timestamp) {
        let mut touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        touched.sessions.insert(id);
        touched.latest = touched.latest.max(Some(at));
    }

    pub(super) fn service_key(&self, id: ServiceKeyId, at: Timestamp) {
        let mut touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        touched.keys.insert(id);
        touched.latest = touched.latest.max(Some(at));
    }

    fn take(&self) -> Touched {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl App {
    /// Records the use of sessions and keys since the last time, as of the latest use among them. Called every few
    /// seconds, so what is recorded is right to within a minute; what a failure or a crash loses is no more than that.
    pub async fn record_use(&self) -> Result<()> {
        let touched = self.0.touches.take();
        let Some(at) = touched.latest else {
            return Ok(());
        };
        let sessions: Vec<_> = touched.sessions.into_iter().map(|id| (id, at)).collect();
        for batch in sessions.chunks(TOUCH_BATCH) {
            let mut tx = self.store().write_unscoped(&self.system_op()).await?;
            tx.touch_sessions(batch).await?;
            tx.commit().await?;
        }
        let keys: Vec<_> = touched.keys.into_iter().map(|id| (id, at)).collect();
        for batch in keys.chunks(TOUCH_BATCH) {
            let mut tx = self.store().write_unscoped(&self.system_op()).await?;
            tx.touch_service_keys(batch).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Sweeps everything that is due, batch by batch. Answers how many rows went, by kind.
    pub async fn sweep(&self) -> Result<Vec<(&'static str, u64)>> {
        let limits = SweepLimits {
            lifetime: self.lifetime(),
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
