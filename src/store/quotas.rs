//! What was sent lately, as quotas count it. Settled outbox rows and invitations stay longer than any window.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::clock::Timestamp;
use crate::config::Quota;
use crate::error::{Error, Reason, Result};
use crate::model::{EmailAddress, InvitationId, WorkspaceId};

use super::Write;
use super::entity::{invitation, outbox};
use super::error::refused;
use super::outbox::{KIND_INVITATION, KIND_PASSWORD_RESET};

use invitation::Column as I;
use outbox::Column as O;

impl Write {
    /// Lets only one transaction at a time count what an address was sent, whichever workspace it is of. Comes after the
    /// lock on the workspace and before that on a user.
    pub async fn lock_recipient(&mut self, recipient: &EmailAddress) -> Result<()> {
        self.lock_name("recipient", recipient.as_str()).await
    }

    /// Refuses one more invitation of a workspace over its quota. What the operator hands over does not count.
    pub async fn require_workspace_quota(&self, workspace: WorkspaceId, quota: Quota) -> Result<()> {
        let sent = invitation::Entity::find()
            .filter(I::WorkspaceId.eq(workspace.uuid()))
            .filter(I::DeliveryState.is_not_null());
        self.require_quota(sent, I::CreatedAt, quota).await
    }

    /// Refuses one more e-mail of an invitation over its quota.
    pub async fn require_sending_quota(&self, invitation: InvitationId, quota: Quota) -> Result<()> {
        let sent = outbox::Entity::find().filter(O::InvitationId.eq(invitation.uuid()));
        self.require_quota(sent, O::CreatedAt, quota).await
    }

    /// Refuses to send an invitation again over its quota, which does not count the first sending.
    pub async fn require_resend_quota(&self, invitation: InvitationId, quota: Quota) -> Result<()> {
        let sent = outbox::Entity::find().filter(O::InvitationId.eq(invitation.uuid())).filter(O::Issue.gt(1));
        self.require_quota(sent, O::CreatedAt, quota).await
    }

    /// Refuses one more invitation to an address over its quota, whichever workspace sends it. The recipient is locked. Password resets do not
    /// count here: anybody can ask for them, and could keep an address from being invited.
    pub async fn require_recipient_quota(&self, recipient: &EmailAddress, quota: Quota) -> Result<()> {
        let sent =
            outbox::Entity::find().filter(O::Recipient.eq(recipient.as_str())).filter(O::Kind.eq(KIND_INVITATION));
        self.require_quota(sent, O::CreatedAt, quota).await
    }

    /// Refuses one more e-mail to an address over its quota, whatever it is about.
    pub async fn require_mailbox_quota(&self, recipient: &EmailAddress, quota: Quota) -> Result<()> {
        let sent = outbox::Entity::find().filter(O::Recipient.eq(recipient.as_str()));
        self.require_quota(sent, O::CreatedAt, quota).await
    }

    /// Refuses one more password reset for an address over its quota.
    pub async fn require_reset_quota(&self, recipient: &EmailAddress, quota: Quota) -> Result<()> {
        let asked =
            outbox::Entity::find().filter(O::Recipient.eq(recipient.as_str())).filter(O::Kind.eq(KIND_PASSWORD_RESET));
        self.require_quota(asked, O::CreatedAt, quota).await
    }

    /// The quota is used up as long as the event that is `most` events ago lies within the window; when it leaves, one
    /// more may be.
    async fn require_quota<E: EntityTrait>(&self, events: Select<E>, time: E::Column, quota: Quota) -> Result<()> {
        let Some(back) = quota.most.checked_sub(1) else {
            return Ok(());
        };
        let now = self.op.now;
        let limiting: Option<i64> = events
            .select_only()
            .column(time)
            .filter(time.gt(now.minus(quota.window).as_micros()))
            .order_by_desc(time)
            .offset(back)
            .limit(1)
            .into_tuple()
            .one(&self.txn)
            .await
            .map_err(refused)?;
        match limiting {
            None => Ok(()),
            Some(at) => {
                let free = Timestamp::from_micros(at).plus(quota.window);
                let error =
                    Error::new(Reason::QuotaExceeded).with("quota", quota.name).with("limit", quota.most.to_string());
                Err(error.retry_after(free.since(now)))
            }
        }
    }
}
