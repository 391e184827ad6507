//! What the outbox's worker needs: the next e-mail with a link in it, and what became of it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::{TokenHash, TokenKind, random_fraction};
use crate::error::{Error, Result};
use crate::mail::render::{self, InvitationEmail, RoleWords};
use crate::mail::{Email, SendError, SendErrorKind};
use crate::model::{Delivery, DeliveryState, InvitationState, OutboxId, Role, WorkspaceId};
use crate::store::{LeasedEmail, Settlement};

use super::App;

/// How long a claimed e-mail is ours. Longer than [`SEND_LIMIT`], so that nobody takes over what is still being sent.
const LEASE: Duration = Duration::from_secs(120);
/// How long one attempt may take as a whole.
pub const SEND_LIMIT: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(60 * 60);

/// An e-mail that is ours to send now.
pub struct OutgoingEmail {
    pub email: Email,
    lease: LeasedEmail,
    link: TokenHash,
    expire_time: Timestamp,
}

/// How an attempt ended.
pub type DeliveryOutcome = std::result::Result<(), SendError>;

impl App {
    /// The e-mails that are due.
    pub async fn due_emails(&self, limit: u64) -> Result<Vec<(OutboxId, WorkspaceId)>> {
        self.store().due_emails(self.now(), limit).await
    }

    /// How long until the next e-mail is due, if any waits.
    pub async fn next_email_in(&self) -> Result<Option<Duration>> {
        let now = self.now();
        Ok(self.store().next_email_due().await?.map(|due| due.since(now)))
    }

    /// Claims an e-mail and mints its link. `None` if it is claimed or settled already, or is not worth sending any more.
    pub async fn claim_email(&self, id: OutboxId, workspace: WorkspaceId) -> Result<Option<OutgoingEmail>> {
        let op = self.system_op();
        let mut tx = self.store().write_in(&op, workspace).await?;
        let Some(lease) = tx.lease_email(id, op.now.plus(LEASE)).await? else {
            return Ok(None);
        };
        let invitation = tx.invitation(workspace, lease.invitation_id).await?;
        if invitation.supersedes(lease.issue) || invitation.state(op.now) != InvitationState::Pending {
            if invitation.state(op.now) == InvitationState::Expired && !invitation.supersedes(lease.issue) {
                let expired =
                    delivery(DeliveryState::Failed, &lease, false, op.now, "it expired before it could be sent");
                tx.set_delivery(lease.invitation_id, lease.issue, &expired).await?;
            }
            tx.settle_email(&lease, false, Settlement::Done).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let token = TokenKind::Invitation.mint();
        tx.insert_invitation_link(token.hash, invitation.invitation_id, lease.issue).await?;
        let workspace_name = tx.workspace(workspace).await?.name;
        let inviter = match invitation.invited_by {
            Some(inviter) => Some(tx.member(workspace, inviter).await?.display_name),
            None => None,
        };
        let account_exists = tx.account_by_email(&invitation.email).await?.is_some();
        let link = self.setup_link(&token.text);
        let rendered = render::invitation(&InvitationEmail {
            workspace_name: workspace_name.as_str(),
            inviter_name: inviter.as_ref().map(|name| name.as_str()),
            role: words_for(invitation.role),
            link: &link,
            expires: invitation.expire_time.to_date_time(),
            account_exists,
        })
        .map_err(Error::internal)?;
        tx.commit().await?;
        let email = Email {
            to: invitation.email.as_str().to_owned(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            message_id: self.message_id(lease.lease_id),
            date: op.now.to_date_time(),
        };
        Ok(Some(OutgoingEmail { email, lease, link: token.hash, expire_time: invitation.expire_time }))
    }

    /// Records what became of an e-mail.
    pub async fn settle_email(&self, sent: &OutgoingEmail, outcome: &DeliveryOutcome) -> Result<()> {
        let op = self.system_op();
        let lease = &sent.lease;
        let mut tx = self.store().write_in(&op, lease.workspace_id).await?;
        let (settlement, state, error) = match outcome {
            Ok(()) => (Settlement::Done, DeliveryState::Sent, ""),
            Err(error) if error.permanent => (Settlement::Done, DeliveryState::Failed, error.public.as_str()),
            Err(error) => match retry_at(op.now, lease.attempt_count, sent.expire_time) {
                Some(at) => (Settlement::RetryAt(at), DeliveryState::Queued, error.public.as_str()),
                None => (Settlement::Done, DeliveryState::Failed, error.public.as_str()),
            },
        };
        if !tx.settle_email(lease, true, settlement).await? {
            // The lease ran out and another worker took over: what it says counts.
            return Ok(());
        }
        if matches!(outcome, Err(error) if error.kind == SendErrorKind::Definite) {
            tx.delete_invitation_link(sent.link).await?;
        }
        tx.set_delivery(lease.invitation_id, lease.issue, &delivery(state, lease, true, op.now, error)).await?;
        tx.commit().await
    }

    pub(super) fn setup_link(&self, token: &SecretString) -> String {
        self.0.links.setup_link(token.expose_secret())
    }

    fn message_id(&self, lease: Uuid) -> String {
        format!("<{lease}@{}>", self.0.mail_domain)
    }
}

fn delivery(state: DeliveryState, lease: &LeasedEmail, attempted: bool, now: Timestamp, error: &str) -> Delivery {
    Delivery {
        state,
        attempt_count: lease.attempt_count + i32::from(attempted),
        last_attempt_time: Some(now),
        last_error: error.to_owned(),
    }
}

/// When to try again after `attempts` earlier ones: twice as long each time, up to an hour, with jitter, and only while
/// the invitation lives.
fn retry_at(now: Timestamp, attempts: i32, expire_time: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(16);
    let pause = (FIRST_RETRY * 2_u32.pow(doublings)).min(LONGEST_RETRY);
    let at = now.plus(pause.mul_f64(0.75 + 0.5 * random_fraction()));
    (at < expire_time).then_some(at)
}

/// How the e-mail speaks of a role.
fn words_for(role: Role) -> RoleWords {
    match role {
        Role::Agent => RoleWords::AGENT,
        Role::Manager => RoleWords::MANAGER,
        Role::Admin => RoleWords::ADMIN,
        Role::Owner => RoleWords::OWNER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_end_with_the_invitation() {
        let now = Timestamp::from_micros(0);
        let end = now.plus(Duration::from_secs(7 * 24 * 60 * 60));
        for (attempts, seconds) in [(0, 5.0), (1, 10.0), (5, 160.0), (9, 2_560.0), (10, 3_600.0), (40, 3_600.0)] {
            let pause = retry_at(now, attempts, end).unwrap().since(now).as_secs_f64();
            assert!((seconds * 0.75..seconds * 1.25 + 0.001).contains(&pause), "{attempts}: {pause}");
        }
        assert_eq!(retry_at(end, 3, end), None);
    }
}
