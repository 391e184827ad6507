//! People in a workspace: who they are, which role they have, and how they go.

use crate::authz::{Caller, Op};
use crate::error::{Reason, Result};
use crate::model::{
    AuditAction, AuditRecord, Invitation, Member, Name, Page, PageRequest, Role, RoleChange, UserId, WorkspaceId,
    decide_leaving, decide_removal, decide_role_change,
};
use crate::store::{MemberFilter, MembershipChange, Write};

use super::{App, MemberChange};

/// How much of a member the caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Full,
    /// Id, display name, role and state.
    Colleague,
}

/// A member, and how much of it the caller may see.
#[derive(Clone, Debug)]
pub struct UserView {
    pub member: Member,
    pub visibility: Visibility,
}

impl App {
    pub async fn list_users(&self, op: &Op, filter: &MemberFilter, page: &PageRequest) -> Result<Page<Member>> {
        let workspace = self.workspace_to_read(op).await?;
        self.store().members(workspace, filter, page).await
    }

    pub async fn get_user(&self, op: &Op, user: UserId) -> Result<UserView> {
        let workspace = self.workspace_to_read(op).await?;
        let member = self.store().member(workspace, user).await?;
        Ok(view(op, member))
    }

    /// The members among `users`, in the order asked, each once.
    pub async fn batch_get_users(&self, op: &Op, users: &[UserId]) -> Result<Vec<UserView>> {
        let workspace = self.workspace_to_read(op).await?;
        let mut found = self.store().members_among(workspace, users).await?;
        let place = |member: &Member| users.iter().position(|user| *user == member.user_id);
        found.sort_by_key(place);
        Ok(found.into_iter().map(|member| view(op, member)).collect())
    }

    /// Changes the caller's own display name, in all workspaces.
    pub async fn update_profile(&self, op: &Op, name: &Name) -> Result<Member> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        tx.lock_user(caller.user_id).await?;
        let before = tx.member(caller.workspace_id, caller.user_id).await?;
        if before.display_name == *name {
            return Ok(before);
        }
        tx.rename_account(caller.user_id, name).await?;
        tx.rename_memberships(caller.user_id, &before.email, name).await?;
        let record = AuditRecord::new(AuditAction::ProfileUpdated)
            .user(caller.user_id)
            .detail("name", name.as_str())
            .detail("previousName", before.display_name.as_str());
        tx.audit(caller.workspace_id, record).await?;
        let after = tx.member(caller.workspace_id, caller.user_id).await?;
        tx.commit().await?;
        Ok(after)
    }

    pub async fn change_user_role(&self, op: &Op, user: UserId, role: Role) -> Result<MemberChange> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        let workspace = tx.workspace(caller.workspace_id).await?;
        let target = tx.member(workspace.workspace_id, user).await?;
        let role = match decide_role_change(caller.role, &target, role, workspace.owner_count)? {
            RoleChange::To(role) => role,
            RoleChange::Unchanged => {
                return Ok(MemberChange { member: target, ended_sessions: 0, canceled_invitations: Vec::new() });
            }
        };
        if role == Role::Owner || target.role == Role::Owner {
            caller.require_fresh(op.now)?;
        }
        // The user's sessions take the role on.
        tx.lock_user(user).await?;
        let change = MembershipChange::Role(role);
        tx.change_membership(workspace.workspace_id, user, Some(&target), change).await?;
        let record = AuditRecord::new(AuditAction::UserRoleChanged)
            .user(user)
            .detail("role", role.name())
            .detail("previousRole", target.role.name());
        tx.audit(workspace.workspace_id, record).await?;
        let canceled_invitations = cancel_unsendable(&mut tx, workspace.workspace_id, user, Some(role)).await?;
        let member = tx.member(workspace.workspace_id, user).await?;
        tx.commit().await?;
        Ok(MemberChange { member, ended_sessions: 0, canceled_invitations })
    }

    pub async fn remove_user(&self, op: &Op, user: UserId) -> Result<MemberChange> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        let workspace = tx.workspace(caller.workspace_id).await?;
        let target = tx.member(workspace.workspace_id, user).await?;
        decide_removal(caller.role, &target, workspace.owner_count)?;
        if target.role == Role::Owner {
            caller.require_fresh(op.now)?;
        }
        let change = self.end_membership(&mut tx, &target, AuditAction::UserRemoved).await?;
        tx.commit().await?;
        Ok(change)
    }

    pub async fn leave_workspace(&self, op: &Op) -> Result<MemberChange> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        let workspace = tx.workspace(caller.workspace_id).await?;
        let member = tx.member(workspace.workspace_id, caller.user_id).await?;
        decide_leaving(&member, workspace.owner_count)?;
        if member.role == Role::Owner {
            caller.require_fresh(op.now)?;
        }
        let change = self.end_membership(&mut tx, &member, AuditAction::UserLeft).await?;
        tx.commit().await?;
        Ok(change)
    }

    /// Ends a membership that may be ended: its sessions in this workspace and its open invitations go with it.
    async fn end_membership(&self, tx: &mut Write, target: &Member, action: AuditAction) -> Result<MemberChange> {
        let (workspace, user) = (target.workspace_id, target.user_id);
        tx.lock_user(user).await?;
        let ended_sessions = tx.end_sessions_in(workspace, user, self.lifetime()).await?;
        tx.change_membership(workspace, user, Some(target), MembershipChange::End).await?;
        let record = AuditRecord::new(action)
            .user(user)
            .detail("email", target.email.as_str())
            .detail("previousRole", target.role.name())
            .detail("sessionCount", ended_sessions.to_string());
        tx.audit(workspace, record).await?;
        let canceled_invitations = cancel_unsendable(tx, workspace, user, None).await?;
        let member = tx.member(workspace, user).await?;
        Ok(MemberChange { member, ended_sessions, canceled_invitations })
    }
}

/// Cancels the pending and expired invitations that a user sent and, with `role`, could not send any more.
async fn cancel_unsendable(
    tx: &mut Write,
    workspace: WorkspaceId,
    sender: UserId,
    role: Option<Role>,
) -> Result<Vec<Invitation>> {
    let mut canceled = Vec::new();
    for invitation in tx.open_invitations_by(workspace, sender).await? {
        if invitation.require_inviter_entitled(role).is_ok() {
            continue;
        }
        tx.cancel_invitation(invitation.invitation_id, false).await?;
        tx.audit(workspace, super::invitations::canceled(&invitation, "SENDER_NOT_ENTITLED")).await?;
        canceled.push(tx.invitation(workspace, invitation.invitation_id).await?);
    }
    Ok(canceled)
}

/// Admins, services and the person itself see everything; colleagues see whom they work with.
fn view(op: &Op, member: Member) -> UserView {
    let full = match &op.caller {
        Caller::Session(session) => session.role >= Role::Admin || op.is_by(member.user_id),
        Caller::ServiceKey(_) => true,
        Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => false,
    };
    UserView { member, visibility: if full { Visibility::Full } else { Visibility::Colleague } }
}

/// The refusal of someone who is not a member, the same whether the workspace exists or not.
pub(super) fn not_a_member() -> crate::error::Error {
    Reason::NotAMember.into()
}
