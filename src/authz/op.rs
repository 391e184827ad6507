//! What travels with every operation.

use std::time::Duration;

use uuid::Uuid;

use super::{Caller, Rule};
use crate::clock::{Deadline, Timestamp, deadline_in};
use crate::model::{Peer, UserId};

/// One operation: who does it, by which right, when, from where. `now` is read once, so that everything an operation
/// does happens at one moment.
#[derive(Clone, Debug)]
pub struct Op {
    pub request_id: Uuid,
    pub caller: Caller,
    /// The method's rule, which the store holds against the caller once more inside each write transaction. `None` for
    /// the operator and for background work.
    pub rule: Option<&'static Rule>,
    pub now: Timestamp,
    /// Until when it is tried again if a concurrent change wins against it.
    pub deadline: Deadline,
    pub peer: Peer,
}

/// How long an operation may take that nobody waits for.
const INTERNAL_LIMIT: Duration = Duration::from_secs(30);

impl Op {
    /// An operation of Rolecall itself or of someone at its command line.
    pub fn internal(caller: Caller, request_id: Uuid, now: Timestamp) -> Self {
        let deadline = deadline_in(INTERNAL_LIMIT);
        Self { request_id, caller, rule: None, now, deadline, peer: Peer::default() }
    }

    /// Whether the caller is this user.
    pub fn is_by(&self, user: UserId) -> bool {
        matches!(&self.caller, Caller::Session(session) if session.user_id == user)
    }
}
