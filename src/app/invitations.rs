//! Invitations, from the side of those who send them.

use uuid::Uuid;

use crate::authz::{Caller, Op};
use crate::crypto::{TokenHash, new_uuid};
use crate::error::{Error, Reason, Result};
use crate::model::{
    AuditAction, AuditRecord, EmailAddress, Invitation, InvitationId, InvitationOffer, InvitationPreview,
    InvitationState, Page, PageRequest, Role, UserId, WorkspaceId, require_may_manage,
};
use crate::store::{EmailSubject, InvitationFilter, NewInvitation, RequestKey, Write};

use super::App;

/// What to send.
#[derive(Clone, Debug)]
pub struct CreateInvitation {
    pub email: EmailAddress,
    pub role: Role,
    pub request_id: Option<Uuid>,
}

impl App {
    pub async fn list_invitations(
        &self,
        op: &Op,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<Invitation>> {
        self.store().invitations(op.caller.workspace()?, filter, op.now, page).await
    }

    pub async fn get_invitation(&self, op: &Op, id: InvitationId) -> Result<Invitation> {
        self.store().invitation(op.caller.workspace()?, id).await
    }

    pub async fn create_invitation(&self, op: &Op, command: &CreateInvitation) -> Result<Invitation> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        let workspace = caller.workspace_id;
        require_may_manage(caller.role, command.role)?;
        let request = command.request_id.map(|id| {
            let fields = [command.email.as_str(), command.role.name()];
            RequestKey::new(workspace.uuid(), "CreateInvitation", id, &fields)
        });
        if let Some(done) = recall(&tx, request.as_ref()).await? {
            return tx.invitation(workspace, InvitationId::new(done)).await;
        }
        for quota in self.0.quotas.of_workspace() {
            tx.require_workspace_quota(workspace, quota).await?;
        }
        tx.lock_recipient(&command.email).await?;
        tx.require_recipient_quota(&command.email, self.0.quotas.of_recipient()).await?;
        self.make_room_for(&mut tx, workspace, &command.email).await?;
        if command.role == Role::Owner {
            caller.require_fresh(op.now)?;
        }
        let new = NewInvitation {
            invitation_id: InvitationId::new(new_uuid(op.now)),
            workspace_id: workspace,
            email: command.email.clone(),
            role: command.role,
            invited_by: Some(caller.user_id),
            founding: false,
            by_email: true,
        };
        let invitation = self.insert_mailed_invitation(&mut tx, &new).await?;
        if let Some(request) = &request {
            tx.remember_request(request, invitation.invitation_id.uuid()).await?;
        }
        tx.commit().await?;
        self.wake_outbox();
        Ok(invitation)
    }

    pub async fn resend_invitation(&self, op: &Op, id: InvitationId, request_id: Option<Uuid>) -> Result<Invitation> {
        let mut tx = self.store().write(op).await?;
        let workspace = op.caller.workspace()?;
        let invitation = tx.invitation(workspace, id).await?;
        let sender = require_may_resend(&tx, &invitation)?;
        let request = request_id.map(|request_id| {
            let owner = match &op.caller {
                Caller::ServiceKey(key) => key.key_id.uuid(),
                _ => workspace.uuid(),
            };
            RequestKey::new(owner, "ResendInvitation", request_id, &[&id.to_string()])
        });
        if recall(&tx, request.as_ref()).await?.is_some() {
            return Ok(invitation);
        }
        if sender.is_none() && tx.workspace(workspace).await?.found_time.is_some() {
            return Err(Reason::WorkspaceFounded.into());
        }
        invitation.require_resendable(op.now)?;
        tx.require_sending_quota(id, self.0.quotas.between_sendings()).await?;
        tx.require_resend_quota(id, self.0.quotas.of_resends()).await?;
        tx.lock_recipient(&invitation.email).await?;
        tx.require_recipient_quota(&invitation.email, self.0.quotas.of_recipient()).await?;
        if let Caller::Session(caller) = &tx.op().caller
            && invitation.role == Role::Owner
        {
            caller.require_fresh(op.now)?;
        }
        tx.reissue_invitation(&invitation, sender, true).await?;
        let subject = EmailSubject::Invitation { workspace, invitation: id, issue: invitation.issue + 1 };
        tx.enqueue_email(&invitation.email, subject).await?;
        tx.audit(workspace, record(AuditAction::InvitationResent, &invitation)).await?;
        if let Some(request) = &request {
            tx.remember_request(request, id.uuid()).await?;
        }
        let resent = tx.invitation(workspace, id).await?;
        tx.commit().await?;
        self.wake_outbox();
        Ok(resent)
    }

    pub async fn cancel_invitation(&self, op: &Op, id: InvitationId) -> Result<Invitation> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        let invitation = tx.invitation(caller.workspace_id, id).await?;
        require_may_manage(caller.role, invitation.role)?;
        match invitation.state(op.now) {
            InvitationState::Canceled => return Ok(invitation),
            InvitationState::Accepted => return Err(Reason::InvitationAccepted.into()),
            InvitationState::Pending | InvitationState::Expired => {}
        }
        tx.cancel_invitation(id, false).await?;
        tx.audit(caller.workspace_id, canceled(&invitation, "REQUESTED")).await?;
        let after = tx.invitation(caller.workspace_id, id).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// What the holder of a link may see. It changes nothing: mail scanners open links.
    pub async fn preview_invitation(&self, op: &Op, token: TokenHash) -> Result<InvitationPreview> {
        let link = self.store().invitation_link(token).await?;
        let invitation = link.invitation;
        let workspace = self.store().workspace(invitation.workspace_id).await?;
        let superseded = invitation.supersedes(link.issue);
        let state = invitation.state(op.now);
        let offer = if state == InvitationState::Pending && !superseded {
            let inviter_display_name = match invitation.invited_by {
                Some(inviter) => Some(self.store().member(invitation.workspace_id, inviter).await?.display_name),
                None => None,
            };
            let account_exists = self.store().account_by_email(&invitation.email).await?.is_some();
            Some(InvitationOffer {
                inviter_display_name,
                email: invitation.email,
                role: invitation.role,
                account_exists,
            })
        } else {
            None
        };
        Ok(InvitationPreview {
            workspace_name: workspace.name,
            state,
            superseded,
            expire_time: invitation.expire_time,
            offer,
        })
    }

    /// Refuses if the address cannot be invited, and takes an expired invitation for it out of the way.
    pub(super) async fn make_room_for(
        &self,
        tx: &mut Write,
        workspace: WorkspaceId,
        email: &EmailAddress,
    ) -> Result<()> {
        if tx.active_member_by_email(workspace, email).await?.is_some() {
            return Err(Reason::AlreadyMember.into());
        }
        let Some(open) = tx.open_invitation_for(workspace, email).await? else {
            return Ok(());
        };
        if open.state(tx.op().now) == InvitationState::Pending {
            return Err(Error::new(Reason::InvitationPending).with("invitationId", open.invitation_id.to_string()));
        }
        replace(tx, &open).await
    }

    /// Adds an invitation together with its audit event and its outbox row.
    pub(super) async fn insert_mailed_invitation(&self, tx: &mut Write, new: &NewInvitation) -> Result<Invitation> {
        tx.insert_invitation(new).await?;
        let invitation = tx.invitation(new.workspace_id, new.invitation_id).await?;
        let (workspace, issue) = (new.workspace_id, invitation.issue);
        let subject = EmailSubject::Invitation { workspace, invitation: new.invitation_id, issue };
        tx.enqueue_email(&new.email, subject).await?;
        tx.audit(new.workspace_id, record(AuditAction::InvitationCreated, &invitation)).await?;
        Ok(invitation)
    }
}

/// Who answers for the invitation once it is resent: the person who does it, or nobody if a service key does.
fn require_may_resend(tx: &Write, invitation: &Invitation) -> Result<Option<UserId>> {
    match &tx.op().caller {
        Caller::Session(caller) => {
            require_may_manage(caller.role, invitation.role)?;
            Ok(Some(caller.user_id))
        }
        Caller::ServiceKey(_) => {
            if !invitation.founding {
                return Err(Reason::SessionRequired.into());
            }
            Ok(None)
        }
        Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => {
            Err(Error::internal("a caller that cannot resend"))
        }
    }
}

/// Cancels an open invitation because another takes its place.
pub(super) async fn replace(tx: &mut Write, open: &Invitation) -> Result<()> {
    tx.cancel_invitation(open.invitation_id, true).await?;
    tx.audit(open.workspace_id, canceled(open, "REPLACED")).await
}

/// What an earlier request with the same id made.
pub(super) async fn recall(tx: &Write, request: Option<&RequestKey>) -> Result<Option<Uuid>> {
    match request {
        Some(request) => tx.recall_request(request).await,
        None => Ok(None),
    }
}

/// The audit record of something that happened to an invitation.
pub(super) fn record(action: AuditAction, invitation: &Invitation) -> AuditRecord {
    AuditRecord::new(action)
        .invitation(invitation.invitation_id)
        .detail("email", invitation.email.as_str())
        .detail("role", invitation.role.name())
}

pub(super) fn canceled(invitation: &Invitation, reason: &str) -> AuditRecord {
    record(AuditAction::InvitationCanceled, invitation).detail("reason", reason)
}
