//! Workspaces: how they come to be, and their names.

use uuid::Uuid;

use crate::authz::{Caller, Op, ServiceScope, gate};
use crate::crypto::new_uuid;
use crate::error::{Error, Result};
use crate::model::{
    AuditAction, AuditRecord, EmailAddress, Invitation, InvitationId, Name, Page, PageRequest, Role, Workspace,
    WorkspaceId, WorkspaceMembership,
};
use crate::store::{NewInvitation, RequestKey, Write};

use super::App;
use super::invitations::recall;

/// A workspace to create, and who is to be its first Owner.
#[derive(Clone, Debug)]
pub struct CreateWorkspace {
    pub name: Name,
    pub owner_email: EmailAddress,
    pub request_id: Option<Uuid>,
}

impl App {
    /// Creates a workspace and invites its founding Owner by e-mail.
    pub async fn create_workspace(&self, op: &Op, command: &CreateWorkspace) -> Result<(Workspace, Invitation)> {
        let mut tx = self.store().write_unscoped(op).await?;
        let Caller::ServiceKey(key) = &tx.op().caller else {
            return Err(Error::internal("a caller that cannot create workspaces"));
        };
        // A key that is bound to one workspace has no right over others, new ones included.
        gate::require_scope(key.bound_to.is_none(), ServiceScope::ProvisionWorkspaces)?;
        let request = command.request_id.map(|id| {
            let fields = [command.name.as_str(), command.owner_email.as_str()];
            RequestKey::new(key.key_id.uuid(), "CreateWorkspace", id, &fields)
        });
        if let Some(id) = command.request_id {
            // The same request may be in work elsewhere: what it uses up, such as a quota, does not refuse this one.
            tx.lock_name("request", &id.to_string()).await?;
        }
        if let Some(done) = recall(&tx, request.as_ref()).await? {
            let id = WorkspaceId::new(done);
            return Ok((tx.workspace(id).await?, tx.founding_invitation(id).await?));
        }
        tx.lock_recipient(&command.owner_email).await?;
        tx.require_recipient_quota(&command.owner_email, self.0.quotas.of_recipient()).await?;
        let id = insert_workspace(&mut tx, &command.name).await?;
        let invitation = self.insert_mailed_invitation(&mut tx, &founding(op, id, &command.owner_email, true)).await?;
        if let Some(request) = &request {
            tx.remember_request(request, id.uuid()).await?;
        }
        let workspace = tx.workspace(id).await?;
        tx.commit().await?;
        self.wake_outbox();
        Ok((workspace, invitation))
    }

    pub async fn get_workspace(&self, op: &Op) -> Result<Workspace> {
        self.store().workspace(op.caller.workspace()?).await
    }

    /// The caller's own workspaces.
    pub async fn list_workspaces(&self, op: &Op, page: &PageRequest) -> Result<Page<WorkspaceMembership>> {
        self.store().memberships_of(op.caller.session()?.user_id, page).await
    }

    pub async fn rename_workspace(&self, op: &Op, name: &Name) -> Result<Workspace> {
        let mut tx = self.store().write(op).await?;
        let id = op.caller.workspace()?;
        let before = tx.workspace(id).await?;
        if before.name == *name {
            return Ok(before);
        }
        tx.rename_workspace(id, name).await?;
        let record = AuditRecord::new(AuditAction::WorkspaceRenamed)
            .detail("name", name.as_str())
            .detail("previousName", before.name.as_str());
        tx.audit(id, record).await?;
        let after = tx.workspace(id).await?;
        tx.commit().await?;
        Ok(after)
    }
}

/// Adds a workspace and its audit event.
pub(super) async fn insert_workspace(tx: &mut Write, name: &Name) -> Result<WorkspaceId> {
    let id = WorkspaceId::new(new_uuid(tx.op().now));
    tx.insert_workspace(id, name).await?;
    tx.audit(id, AuditRecord::new(AuditAction::WorkspaceCreated).detail("name", name.as_str())).await?;
    Ok(id)
}

/// The invitation of a new workspace's first Owner.
pub(super) fn founding(op: &Op, workspace: WorkspaceId, email: &EmailAddress, by_email: bool) -> NewInvitation {
    NewInvitation {
        invitation_id: InvitationId::new(new_uuid(op.now)),
        workspace_id: workspace,
        email: email.clone(),
        role: Role::Owner,
        invited_by: None,
        founding: true,
        by_email,
    }
}
