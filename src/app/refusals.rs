//! Refusals for lack of a right go to the audit log, outside the call and bounded: at most one event a minute for each
//! caller, method and reason, with a count.
//!
//! The first refusal is written at once. Those of the following minute are counted and written as one event at its end.
//! Counts of a minute that is not over are lost in a crash; they are no acknowledged change.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::authz::Op;
use crate::clock::Timestamp;
use crate::error::{Reason, Result};
use crate::model::{AuditAction, AuditActor, AuditRecord, Peer, WorkspaceId};

use super::{App, retrying};

const WINDOW: Duration = Duration::from_secs(60);
/// Callers × methods × reasons that are counted at once. Beyond that refusals are only logged.
const MAX_COUNTED: usize = 10_000;

/// Someone was refused for lack of a right.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub workspace: WorkspaceId,
    pub actor: AuditActor,
    /// `UserService.RemoveUser`
    pub method: String,
    pub reason: Reason,
    /// What the error's metadata says of roles and scopes.
    pub details: Vec<(&'static str, String)>,
    pub peer: Peer,
}

#[derive(Default)]
pub(super) struct Refusals {
    windows: Mutex<HashMap<Key, Window>>,
    changed: Notify,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    workspace: WorkspaceId,
    actor: String,
    method: String,
    reason: Reason,
}

struct Window {
    start: Timestamp,
    /// Not written yet.
    pending: i32,
    /// Whether what is pending may be written before the window ends: true of its first refusal only.
    first: bool,
    refusal: Refusal,
}

impl App {
    /// Counts a refusal; [`App::record_refusals`] writes it.
    pub fn note_refusal(&self, refusal: Refusal) {
        self.0.refusals.note(refusal, self.now());
    }

    /// Completes when a refusal was noted that can be written at once.
    pub async fn refusal_noted(&self) {
        self.0.refusals.changed.notified().await;
    }

    /// Writes the refusals that are due. With `all`, those whose minute is not over too: the process is about to end.
    pub async fn record_refusals(&self, all: bool) -> Result<()> {
        let mut outcome = Ok(());
        for (refusal, count) in self.0.refusals.due(self.now(), all) {
            let mut op = self.system_op();
            op.peer = refusal.peer.clone();
            if let Err(error) = retrying(op.deadline, || self.record_refusal(&op, &refusal, count)).await {
                // It is counted with the next ones.
                self.0.refusals.put_back(refusal, count, self.now());
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn record_refusal(&self, op: &Op, refusal: &Refusal, count: i32) -> Result<()> {
        let mut tx = self.store().write_in(op, refusal.workspace).await?;
        let mut record = AuditRecord::new(AuditAction::AccessRefused)
            .detail("method", refusal.method.as_str())
            .detail("reason", refusal.reason.as_str());
        for (key, value) in &refusal.details {
            record = record.detail(key, value.as_str());
        }
        tx.audit_as(refusal.workspace, refusal.actor.clone(), record, count).await?;
        tx.commit().await
    }
}

impl Refusals {
    /// Counts again what could not be written.
    fn put_back(&self, refusal: Refusal, count: i32, now: Timestamp) {
        for _ in 0..count {
            self.note(refusal.clone(), now);
        }
    }

    fn note(&self, refusal: Refusal, now: Timestamp) {
        let key = Key {
            workspace: refusal.workspace,
            actor: format!("{:?}", refusal.actor),
            method: refusal.method.clone(),
            reason: refusal.reason,
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let full = windows.len() >= MAX_COUNTED;
        match windows.entry(key) {
            Entry::Occupied(mut window) => window.get_mut().pending = window.get().pending.saturating_add(1),
            Entry::Vacant(_) if full => tracing::warn!(method = refusal.method, "too many different refusals to audit"),
            Entry::Vacant(place) => {
                place.insert(Window { start: now, pending: 1, first: true, refusal });
                self.changed.notify_one();
            }
        }
    }

    /// Takes what is to be written now, and forgets the windows that are over and quiet.
    fn due(&self, now: Timestamp, all: bool) -> Vec<(Refusal, i32)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        windows.retain(|_, window| {
            let over = now >= window.start.plus(WINDOW);
            if window.pending > 0 && (window.first || over || all) {
                due.push((window.refusal.clone(), window.pending));
                window.pending = 0;
                if over {
                    window.start = now;
                }
                window.first = false;
                return true;
            }
            !over
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_most_different_refusals_are_counted_at_once() {
        let (refusals, now) = (Refusals::default(), Timestamp::from_micros(0));
        let refusal = |number: usize| Refusal {
            workspace: WorkspaceId::new(uuid::Uuid::nil()),
            actor: AuditActor::System,
            method: format!("Service.Method{number}"),
            reason: Reason::RoleTooLow,
            details: Vec::new(),
            peer: Peer::default(),
        };
        for number in 0..=MAX_COUNTED {
            refusals.note(refusal(number), now);
        }
        refusals.note(refusal(0), now);
        let due = refusals.due(now, false);
        let counted: i32 = due.iter().map(|(_, count)| count).sum();
        assert_eq!((due.len(), counted), (MAX_COUNTED, 1 + MAX_COUNTED as i32));
    }
}
