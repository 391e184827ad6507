//! What only someone at the command line can do: found a workspace without e-mail, let an Owner back in, and make keys.

use secrecy::SecretString;

use crate::authz::{Caller, Op, ServiceScope};
use crate::clock::Timestamp;
use crate::crypto::{TokenKind, new_uuid};
use crate::error::{Error, FieldReason, Reason, Result};
use crate::model::{
    AuditAction, AuditRecord, EmailAddress, InvitationId, Name, Role, ServiceKeyId, Workspace, WorkspaceId,
};
use crate::store::{NewInvitation, NewServiceKey, ServiceKey, Write};

use super::invitations::replace;
use super::workspaces::{founding, insert_workspace};
use super::{App, retrying};

/// An invitation whose link the operator hands over: they vouch for the address instead of an e-mail.
#[derive(Debug)]
pub struct HandedOverInvitation {
    pub workspace_id: WorkspaceId,
    pub invitation_id: InvitationId,
    pub token: SecretString,
    pub link: SecretString,
}

/// What came of founding a workspace.
#[derive(Debug)]
pub enum Bootstrapped {
    Founded {
        invitation: HandedOverInvitation,
        /// A workspace that had the same name already: names need not be unique.
        namesake: Option<WorkspaceId>,
    },
    /// There is one of that name, and nothing was done.
    Present(WorkspaceId),
}

impl Bootstrapped {
    /// The invitation of the workspace's first Owner, if it was founded now.
    pub fn invitation(self) -> Option<HandedOverInvitation> {
        match self {
            Self::Founded { invitation, .. } => Some(invitation),
            Self::Present(_) => None,
        }
    }
}

/// A service key to make.
#[derive(Clone, Debug)]
pub struct CreateServiceKey {
    pub name: String,
    pub scopes: Vec<ServiceScope>,
    pub workspace: Option<WorkspaceId>,
    pub expire_time: Option<Timestamp>,
}

impl App {
    /// Founds a workspace. With `if_absent`, does nothing if there is one of that name.
    pub async fn bootstrap(&self, name: &Name, owner: &EmailAddress, if_absent: bool) -> Result<Bootstrapped> {
        let op = self.operator_op();
        retrying(op.deadline, || self.found(&op, name, owner, if_absent)).await
    }

    async fn found(&self, op: &Op, name: &Name, owner: &EmailAddress, if_absent: bool) -> Result<Bootstrapped> {
        let mut tx = self.store().write_unscoped(op).await?;
        // Two at once find nothing, both.
        tx.lock_name("workspace", name.as_str()).await?;
        let namesake = tx.workspace_named(name).await?;
        if let Some(there) = namesake.filter(|_| if_absent) {
            return Ok(Bootstrapped::Present(there));
        }
        let workspace = insert_workspace(&mut tx, name).await?;
        let invitation = founding(op, workspace, owner, false);
        let handed_over = self.hand_over(&mut tx, &invitation).await?;
        tx.commit().await?;
        Ok(Bootstrapped::Founded { invitation: handed_over, namesake })
    }

    /// Up to `limit` workspaces in the order of their ids, which is about that of their founding: those after `after`.
    pub async fn workspaces(
        &self,
        named: Option<&Name>,
        after: Option<WorkspaceId>,
        limit: u64,
    ) -> Result<Vec<Workspace>> {
        self.store().workspaces(named, after, limit).await
    }

    /// Invites an Owner to a workspace that exists. An open invitation for the address is replaced.
    pub async fn invite_owner(&self, workspace: WorkspaceId, owner: &EmailAddress) -> Result<HandedOverInvitation> {
        let op = self.operator_op();
        retrying(op.deadline, || self.invite_owner_once(&op, workspace, owner)).await
    }

    async fn invite_owner_once(
        &self,
        op: &Op,
        workspace: WorkspaceId,
        owner: &EmailAddress,
    ) -> Result<HandedOverInvitation> {
        let mut tx = self.store().write_in(op, workspace).await?;
        if tx.active_member_by_email(workspace, owner).await?.is_some() {
            return Err(Reason::AlreadyMember.into());
        }
        if let Some(open) = tx.open_invitation_for(workspace, owner).await? {
            replace(&mut tx, &open).await?;
        }
        let invitation = NewInvitation {
            invitation_id: InvitationId::new(new_uuid(op.now)),
            workspace_id: workspace,
            email: owner.clone(),
            role: Role::Owner,
            invited_by: None,
            founding: false,
            by_email: false,
        };
        let handed_over = self.hand_over(&mut tx, &invitation).await?;
        tx.commit().await?;
        Ok(handed_over)
    }

    /// Makes a service key and answers it, once.
    pub async fn create_service_key(&self, command: &CreateServiceKey) -> Result<SecretString> {
        let op = self.operator_op();
        retrying(op.deadline, || self.create_service_key_once(&op, command)).await
    }

    async fn create_service_key_once(&self, op: &Op, command: &CreateServiceKey) -> Result<SecretString> {
        let mut tx = match command.workspace {
            Some(workspace) => self.store().write_in(op, workspace).await?,
            None => self.store().write_unscoped(op).await?,
        };
        let token = TokenKind::ServiceKey.mint();
        let key = NewServiceKey {
            key_id: ServiceKeyId::new(new_uuid(op.now)),
            name: command.name.clone(),
            token: token.hash,
            scopes: command.scopes.clone(),
            workspace: command.workspace,
            expire_time: command.expire_time,
        };
        if !tx.insert_service_key(&key).await? {
            let text = "has been used already; a revoked key's name is not used again either";
            return Err(Error::field("name", FieldReason::NotAllowed, text));
        }
        if let Some(workspace) = command.workspace {
            let scopes: Vec<&str> = command.scopes.iter().map(|scope| scope.name()).collect();
            let record = AuditRecord::new(AuditAction::ServiceKeyCreated)
                .detail("name", command.name.as_str())
                .detail("scopes", scopes.join(","));
            tx.audit(workspace, record).await?;
        }
        tx.commit().await?;
        Ok(token.text)
    }

    /// All service keys, without the keys.
    pub async fn service_keys(&self) -> Result<Vec<ServiceKey>> {
        self.store().service_keys().await
    }

    /// Revokes a service key at once. Answers whether there is one of that name.
    pub async fn revoke_service_key(&self, name: &str) -> Result<bool> {
        let op = self.operator_op();
        retrying(op.deadline, || self.revoke_service_key_once(&op, name)).await
    }

    async fn revoke_service_key_once(&self, op: &Op, name: &str) -> Result<bool> {
        let mut tx = self.store().write_unscoped(op).await?;
        let Some(key) = tx.service_key_named(name).await? else {
            return Ok(false);
        };
        if key.revoke_time.is_some() {
            return Ok(true);
        }
        tx.revoke_service_key(key.key_id).await?;
        if let Some(workspace) = key.workspace {
            tx.audit(workspace, AuditRecord::new(AuditAction::ServiceKeyRevoked).detail("name", name)).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Adds an invitation that no e-mail is sent for, and the link that is handed over instead.
    async fn hand_over(&self, tx: &mut Write, invitation: &NewInvitation) -> Result<HandedOverInvitation> {
        tx.insert_invitation(invitation).await?;
        let token = TokenKind::Invitation.mint();
        tx.insert_invitation_link(token.hash, invitation.invitation_id, 1).await?;
        let record = AuditRecord::new(AuditAction::OwnerInvited)
            .invitation(invitation.invitation_id)
            .detail("email", invitation.email.as_str());
        tx.audit(invitation.workspace_id, record).await?;
        Ok(HandedOverInvitation {
            workspace_id: invitation.workspace_id,
            invitation_id: invitation.invitation_id,
            link: SecretString::from(self.setup_link(&token.text)),
            token: token.text,
        })
    }

    fn operator_op(&self) -> Op {
        let now = self.now();
        Op::internal(Caller::Operator, new_uuid(now), now)
    }
}
