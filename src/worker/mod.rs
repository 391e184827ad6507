//! The background work: sending e-mail, and housekeeping.

pub mod outbox;
pub mod upkeep;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::mail::Mailer;

/// The background work of one process.
pub struct Workers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    pub fn start(app: &App, mailer: Mailer) -> Self {
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(outbox::run(app.clone(), Arc::new(mailer), stop.clone())),
            tokio::spawn(upkeep::run(app.clone(), stop.clone())),
        ];
        Self { stop, tasks }
    }

    /// Finishes what is in work and stops.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker died");
            }
        }
    }
}
