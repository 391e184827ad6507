//! Whose turn it is in this process.
//!
//! The lock on a workspace is the database's. Whoever waits for it there holds a connection meanwhile, and ten that wait
//! for one busy workspace would keep everybody else out. So those of one process wait here first, with nothing in hand.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout_at;

use crate::clock::Deadline;
use crate::error::{Reason, Result};
use crate::model::WorkspaceId;

/// More than there are connections; two workspaces that share one wait for each other now and then.
const SHARDS: usize = 256;

pub(super) struct Turns(Vec<Arc<Mutex<()>>>);

/// A turn, for as long as it is held.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Default for Turns {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits for a turn with a workspace.
    ///
    /// # Errors
    /// `CONFLICT` if it does not come in time.
    pub(super) async fn take(&self, workspace: WorkspaceId, deadline: Deadline) -> Result<Option<Turn>> {
        // The last bytes of an id are random.
        let shard = usize::from(workspace.uuid().as_bytes()[15]);
        let Some(turn) = self.0.get(shard) else { return Ok(None) };
        match timeout_at(deadline, Arc::clone(turn).lock_owned()).await {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => Err(Reason::Conflict.into()),
        }
    }
}
