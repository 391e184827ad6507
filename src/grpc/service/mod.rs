//! The services, one thin file each: parse, call the use case, convert the answer.

mod access;
mod audit;
mod invitation;
mod password;
mod session;
mod user;
mod workspace;

use std::future::Future;
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tonic::{Response, Status};
use tracing::Instrument;

use crate::app::{App, retrying};
use crate::authz::Op;
use crate::error::{Error, Result};

use super::call::Admitted;

/// What a method answers with.
type Answer<T> = std::result::Result<Response<T>, Status>;

/// All services of the contract.
#[derive(Clone)]
pub struct Api {
    app: App,
    tasks: TaskTracker,
}

impl Api {
    pub fn new(app: App, tasks: TaskTracker) -> Self {
        Self { app, tasks }
    }

    /// Runs a use case that changes something, as a task of its own: once begun it is finished, whatever becomes of the
    /// client, the deadline and the server, and a transaction is never torn down halfway. A conflict runs it again.
    async fn change<T, F, R>(&self, admitted: &Admitted, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(App, Arc<Op>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
    {
        let (app, op) = (self.app.clone(), Arc::clone(&admitted.op));
        let call = admitted.call.clone();
        let task = async move {
            let outcome = retrying(op.deadline, || act(app.clone(), Arc::clone(&op))).await;
            app.note_change(&outcome);
            // The call's place among those in work is given back when this is done, and not before.
            drop(call);
            outcome
        };
        let task = task.instrument(tracing::Span::current());
        self.tasks.spawn(task).await.map_err(Error::internal)?
    }
}
