//! Who makes a call.

use crate::clock::Timestamp;
use crate::error::{Error, Reason, Result};
use crate::model::{
    AuditActor, FRESH_AUTHENTICATION, Role, ServiceKeyId, SessionId, SignInId, TokenKey, UserId, WorkspaceId,
};

use super::ServiceScope;

/// Who makes a call, as the credential says.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody in particular, on a method that is open to anyone.
    Anyone,
    Session(SessionCaller),
    /// A session that its own sign-out ended, signing out again. It may do nothing else.
    SignedOut,
    ServiceKey(KeyCaller),
    /// Someone at the command line.
    Operator,
    /// Rolecall itself, in the background.
    System,
}

/// A person, signed in to one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCaller {
    pub token_key: TokenKey,
    pub session_id: SessionId,
    pub sign_in_id: SignInId,
    pub user_id: UserId,
    pub workspace_id: WorkspaceId,
    pub role: Role,
    /// When the password was given last in this sign-in.
    pub authenticate_time: Timestamp,
    /// When the session ends in any case.
    pub expire_time: Timestamp,
    /// When it was used last, as far as that is recorded.
    pub last_used_time: Timestamp,
}

impl SessionCaller {
    /// Refuses unless the password was given within the last 10 minutes.
    pub fn require_fresh(&self, now: Timestamp) -> Result<()> {
        if now < self.authenticate_time.plus(FRESH_AUTHENTICATION) {
            Ok(())
        } else {
            Err(Reason::ReauthenticationRequired.into())
        }
    }
}

/// Another internal service.
#[derive(Clone, Debug)]
pub struct KeyCaller {
    pub key_id: ServiceKeyId,
    pub name: String,
    pub scopes: Vec<ServiceScope>,
    /// The only workspace that the key may act in, if it is bound to one.
    pub bound_to: Option<WorkspaceId>,
    /// The workspace that the call names, or else the one that the key is bound to.
    pub workspace: Option<WorkspaceId>,
    /// When it was used last, as far as that is recorded.
    pub last_used_time: Option<Timestamp>,
}

impl KeyCaller {
    pub fn has(&self, scope: ServiceScope) -> bool {
        self.scopes.contains(&scope)
    }
}

impl Caller {
    /// The workspace to act in.
    ///
    /// # Errors
    /// `WORKSPACE_REQUIRED` for a service key that names none. For callers that have no workspace at all this is a bug of
    /// ours, since the methods open to them name theirs otherwise.
    pub fn workspace(&self) -> Result<WorkspaceId> {
        match self {
            Caller::Session(session) => Ok(session.workspace_id),
            Caller::ServiceKey(key) => key.workspace.ok_or_else(Error::workspace_required),
            Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => {
                Err(Error::internal("a caller without a workspace where one is needed"))
            }
        }
    }

    /// The session of a caller whose rule admits sessions only.
    pub fn session(&self) -> Result<&SessionCaller> {
        match self {
            Caller::Session(session) => Ok(session),
            Caller::ServiceKey(_) => Err(Reason::SessionRequired.into()),
            Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => {
                Err(Error::internal("a caller without a session where one is needed"))
            }
        }
    }

    /// As the audit log names it.
    pub fn actor(&self) -> AuditActor {
        match self {
            Caller::Session(session) => AuditActor::User(session.user_id),
            Caller::ServiceKey(key) => AuditActor::ServiceKey(key.name.clone()),
            Caller::Operator => AuditActor::Operator,
            Caller::Anyone | Caller::SignedOut | Caller::System => AuditActor::System,
        }
    }
}
