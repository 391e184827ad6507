//! What is known of one call, from its arrival to its answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::app::{App, Foreseen, Refusal};
use crate::authz::{Caller, Op, Rule};
use crate::clock::{Deadline, Timestamp, deadline_in};
use crate::error::{Error, Reason, Result};
use crate::model::Peer;

use super::status;

/// One call. The outermost layer makes it and puts it into the request's extensions; the layers below fill it in.
#[derive(Clone)]
pub struct Call(Arc<Facts>);

struct Facts {
    app: App,
    request_id: Uuid,
    now: Timestamp,
    /// The path as it was asked for.
    path: String,
    peer: OnceLock<Peer>,
    rule: OnceLock<&'static Rule>,
    caller: OnceLock<Caller>,
    foreseen: OnceLock<Foreseen>,
    op: OnceLock<Op>,
    reason: OnceLock<Reason>,
    /// The call's place among those in work, given back when nobody works on it any more.
    place: OnceLock<OwnedSemaphorePermit>,
    deadline: OnceLock<Deadline>,
}

/// What a call may take if no layer has said.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

impl Call {
    pub fn new(app: App, request_id: Uuid, now: Timestamp, path: &str) -> Self {
        Self(Arc::new(Facts {
            app,
            request_id,
            now,
            path: path.to_owned(),
            peer: OnceLock::new(),
            rule: OnceLock::new(),
            caller: OnceLock::new(),
            foreseen: OnceLock::new(),
            op: OnceLock::new(),
            reason: OnceLock::new(),
            place: OnceLock::new(),
            deadline: OnceLock::new(),
        }))
    }

    pub fn app(&self) -> &App {
        &self.0.app
    }

    pub fn request_id(&self) -> Uuid {
        self.0.request_id
    }

    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    pub fn path(&self) -> &str {
        &self.0.path
    }

    pub fn reason(&self) -> Option<Reason> {
        self.0.reason.get().copied()
    }

    /// Says why the call was refused, where the transport did. What is said first stands.
    pub fn note_reason(&self, reason: Reason) {
        let _ = self.0.reason.set(reason);
    }

    pub fn caller(&self) -> Option<&Caller> {
        self.0.caller.get()
    }

    pub fn rule(&self) -> Option<&'static Rule> {
        self.0.rule.get().copied()
    }

    /// Keeps the call's place for as long as anybody holds the call.
    pub fn hold(&self, place: OwnedSemaphorePermit) {
        let _ = self.0.place.set(place);
    }

    pub fn set_deadline(&self, deadline: Deadline) {
        let _ = self.0.deadline.set(deadline);
    }

    pub fn set_peer(&self, peer: Peer) {
        let _ = self.0.peer.set(peer);
    }

    /// Says whose call it is and which rule it goes by. Set once; what is set first stands.
    pub fn set_caller(&self, rule: &'static Rule, caller: Caller) {
        let _ = self.0.rule.set(rule);
        let _ = self.0.caller.set(caller);
    }

    /// Keeps what was found out about a subject together with the caller.
    pub fn foresee(&self, foreseen: Option<Foreseen>) {
        if let Some(foreseen) = foreseen {
            let _ = self.0.foreseen.set(foreseen);
        }
    }

    pub fn foreseen(&self) -> Option<&Foreseen> {
        self.0.foreseen.get()
    }

    /// Admits the call: from now on there is an operation.
    pub fn admit(&self, caller: Caller) {
        self.0.app.note_use(&caller, self.0.now);
        let _ = self.0.op.set(Op {
            request_id: self.0.request_id,
            caller,
            rule: self.rule(),
            now: self.0.now,
            deadline: self.0.deadline.get().copied().unwrap_or_else(|| deadline_in(DEFAULT_LIMIT)),
            peer: self.peer(),
        });
    }

    fn peer(&self) -> Peer {
        self.0.peer.get().cloned().unwrap_or_default()
    }

    /// The status of a refused call. What went wrong underneath goes to the log here and nowhere else; a refusal for
    /// lack of a right goes to the audit log.
    pub fn refuse(&self, error: &Error) -> Status {
        self.note_reason(error.reason());
        if let Some(cause) = error.cause() {
            let (request_id, reason) = (self.0.request_id, error.reason().as_str());
            tracing::warn!(%request_id, method = self.0.path, reason, %cause, "a call failed");
        }
        self.note_refusal(error);
        status::of(error, self.0.request_id)
    }

    fn note_refusal(&self, error: &Error) {
        let audited = matches!(
            error.reason(),
            Reason::RoleTooLow | Reason::ScopeMissing | Reason::SessionRequired | Reason::OwnerRequired
        );
        let Some(caller) = self.caller().filter(|_| audited) else {
            return;
        };
        let (Ok(workspace), Some(rule)) = (caller.workspace(), self.rule()) else {
            return;
        };
        self.0.app.note_refusal(Refusal {
            workspace,
            actor: caller.actor(),
            method: format!("{}.{}", rule.service, rule.method),
            reason: error.reason(),
            details: error.metadata().to_vec(),
            peer: self.peer(),
        });
    }
}

/// A call that was admitted, with its operation. What a service method works with.
pub struct Admitted {
    pub call: Call,
    pub op: Arc<Op>,
}

impl Admitted {
    /// Takes a request apart. That the operation is there is the layers' promise; without it nothing is done.
    pub fn open<M>(request: Request<M>) -> std::result::Result<(Self, M), Status> {
        let call = request.extensions().get::<Call>().cloned();
        let op = call.as_ref().and_then(|call| call.0.op.get().cloned());
        match (call, op) {
            (Some(call), Some(op)) => Ok((Self { call, op: Arc::new(op) }, request.into_inner())),
            _ => Err(status::of(&Error::internal("a call that was never admitted"), Uuid::nil())),
        }
    }

    /// The answer to the call.
    pub fn answer<R>(&self, outcome: Result<R>) -> std::result::Result<Response<R>, Status> {
        outcome.map(Response::new).map_err(|error| self.call.refuse(&error))
    }
}
