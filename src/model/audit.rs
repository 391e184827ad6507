//! The audit log's entries.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

use super::{AuditEventId, InvitationId, UserId};

include!(concat!(env!("OUT_DIR"), "/audit_actions.rs"));

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditActor {
    User(UserId),
    /// A service key, by name.
    ServiceKey(String),
    /// Someone at the command line.
    Operator,
    /// Rolecall itself.
    System,
}

#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub event_id: AuditEventId,
    pub action: AuditAction,
    pub actor: AuditActor,
    pub target_user: Option<UserId>,
    pub target_invitation: Option<InvitationId>,
    pub time: Timestamp,
    /// The client's address, empty if unknown.
    pub client_address: String,
    pub details: BTreeMap<String, String>,
    /// 1, but for refusals, which are counted over a minute.
    pub repeat_count: i32,
}

/// What is about to be recorded; the store adds who, when and from where.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    pub action: AuditAction,
    pub target_user: Option<UserId>,
    pub target_invitation: Option<InvitationId>,
    pub details: BTreeMap<String, String>,
}

impl AuditRecord {
    pub fn new(action: AuditAction) -> Self {
        Self { action, target_user: None, target_invitation: None, details: BTreeMap::new() }
    }

    pub fn user(mut self, user: UserId) -> Self {
        self.target_user = Some(user);
        self
    }

    pub fn invitation(mut self, invitation: InvitationId) -> Self {
        self.target_invitation = Some(invitation);
        self
    }

    /// Adds a detail. Keys are those that the proto documents for the action.
    pub fn detail(mut self, key: &str, value: impl Into<String>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Empty means every action.
    pub actions: Vec<AuditAction>,
    pub actor_user: Option<UserId>,
    pub target_user: Option<UserId>,
    /// Included.
    pub start: Option<Timestamp>,
    /// Not included.
    pub end: Option<Timestamp>,
}
