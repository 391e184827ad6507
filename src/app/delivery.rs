//! What the outbox's worker needs: the next e-mail with a link in it, and what became of it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;
use uuid::Uuid;

use crate::authz::Op;
use crate::clock::Timestamp;
use crate::crypto::{TokenHash, TokenKind, random_fraction};
use crate::error::{Error, Reason, Result};
use crate::mail::render::{self, InvitationEmail, PasswordResetEmail, Rendered, RoleWords};
use crate::mail::{Email, SendError, SendErrorKind};
use crate::model::{Delivery, DeliveryState, EmailAddress, InvitationId, InvitationState, Role, UserId, WorkspaceId};
use crate::store::{EmailSubject, LeasedEmail, Settlement, Write};

use super::passwords::RESET_LIFETIME;
use super::{App, retrying};

/// How long a claimed e-mail is ours. Longer than [`SEND_LIMIT`], so that nobody takes over what is still being sent.
const LEASE: Duration = Duration::from_secs(120);
/// How long one attempt may take as a whole.
pub const SEND_LIMIT: Duration = Duration::from_secs(60);
/// How often it is tried to record what became of an e-mail while the database is away, about as long as a lease may last.
const SETTLEMENTS: u32 = 30;
const SETTLEMENT_PAUSE: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(60 * 60);

/// An e-mail that is ours to send now.
pub struct OutgoingEmail {
    pub email: Email,
    lease: LeasedEmail,
    link: TokenHash,
    /// No attempt is made from then on.
    give_up: Timestamp,
}

/// How an attempt ended.
pub type DeliveryOutcome = std::result::Result<(), SendError>;

/// An e-mail with its link, before it is addressed.
struct Minted {
    to: EmailAddress,
    rendered: Rendered,
    link: TokenHash,
    give_up: Timestamp,
}

impl App {
    /// Claims e-mails that are due, `most` of them.
    pub async fn claim_emails(&self, most: usize) -> Result<Vec<LeasedEmail>> {
        let op = self.system_op();
        let claim = || async {
            let mut tx = self.store().write_unscoped(&op).await?;
            let leased = tx.lease_emails(most as u64, op.now.plus(LEASE)).await?;
            if !leased.is_empty() {
                tx.commit().await?;
            }
            Ok(leased)
        };
        retrying(op.deadline, claim).await
    }

    /// How long until the next e-mail is due, if any waits.
    pub async fn next_email_in(&self) -> Result<Option<Duration>> {
        let op = self.system_op();
        let due = retrying(op.deadline, || self.store().next_email_due()).await?;
        Ok(due.map(|due| due.since(op.now)))
    }

    /// Mints the link of a claimed e-mail. `None` if another worker has taken it over, or it is not worth sending any more.
    pub async fn mint_email(&self, lease: &LeasedEmail) -> Result<Option<OutgoingEmail>> {
        let op = self.system_op();
        retrying(op.deadline, || self.mint(&op, lease)).await
    }

    async fn mint(&self, op: &Op, lease: &LeasedEmail) -> Result<Option<OutgoingEmail>> {
        let mut tx = self.write_about(op, lease).await?;
        let now = op.now;
        // What waited for so long that it could not be sent within its lease is left to another.
        if !tx.holds_lease(lease, self.now().plus(SEND_LIMIT)).await? {
            return Ok(None);
        }
        let minted = match lease.subject {
            EmailSubject::Invitation { workspace, invitation, .. } => {
                self.mint_invitation(&mut tx, lease, workspace, invitation).await?
            }
            EmailSubject::PasswordReset { user, issue } => self.mint_reset(&mut tx, lease, user, issue).await?,
        };
        let Some(minted) = minted else {
            tx.settle_email(lease, false, Settlement::Done).await?;
            tx.commit().await?;
            return Ok(None);
        };
        tx.commit().await?;
        let email = Email {
            to: minted.to.as_str().to_owned(),
            subject: minted.rendered.subject,
            text: minted.rendered.text,
            html: minted.rendered.html,
            message_id: self.message_id(lease.lease_id),
            date: now.to_date_time(),
        };
        Ok(Some(OutgoingEmail { email, lease: lease.clone(), link: minted.link, give_up: minted.give_up }))
    }

    /// Records what became of an e-mail.
    pub async fn settle_email(&self, sent: &OutgoingEmail, outcome: &DeliveryOutcome) -> Result<()> {
        for _ in 1..SETTLEMENTS {
            let op = self.system_op();
            match retrying(op.deadline, || self.settle_sent(&op, sent, outcome)).await {
                // It was sent: as long as the lease is ours it is worth a lot that nobody sends it again.
                Err(error) if error.reason() == Reason::DatabaseUnavailable => sleep(SETTLEMENT_PAUSE).await,
                settled => return settled,
            }
        }
        let op = self.system_op();
        retrying(op.deadline, || self.settle_sent(&op, sent, outcome)).await
    }

    async fn settle_sent(&self, op: &Op, sent: &OutgoingEmail, outcome: &DeliveryOutcome) -> Result<()> {
        let lease = &sent.lease;
        let mut tx = self.write_about(op, lease).await?;
        let now = op.now;
        let (settlement, state, error) = match outcome {
            Ok(()) => (Settlement::Done, DeliveryState::Sent, ""),
            Err(error) if error.permanent => (Settlement::Done, DeliveryState::Failed, error.public.as_str()),
            Err(error) => match retry_at(now, lease.attempt_count, sent.give_up) {
                Some(at) => (Settlement::RetryAt(at), DeliveryState::Queued, error.public.as_str()),
                None => (Settlement::Done, DeliveryState::Failed, error.public.as_str()),
            },
        };
        if !tx.settle_email(lease, true, settlement).await? {
            // The lease ran out and another worker took over: what it says counts.
            return Ok(());
        }
        let reached_nobody = matches!(outcome, Err(error) if error.kind == SendErrorKind::Definite);
        match lease.subject {
            EmailSubject::Invitation { invitation, issue, .. } => {
                if reached_nobody {
                    tx.delete_invitation_link(sent.link).await?;
                }
                tx.set_delivery(invitation, issue, &attempted(state, lease, now, error)).await?;
            }
            EmailSubject::PasswordReset { .. } if reached_nobody => tx.delete_reset_link(sent.link).await?,
            EmailSubject::PasswordReset { .. } => {}
        }
        tx.commit().await
    }

    /// The link of an invitation, and the e-mail around it. `None` if it has been resent, canceled or accepted, or ran
    /// out before it could be sent.
    async fn mint_invitation(
        &self,
        tx: &mut Write,
        lease: &LeasedEmail,
        workspace: WorkspaceId,
        id: InvitationId,
    ) -> Result<Option<Minted>> {
        let now = tx.op().now;
        let invitation = tx.invitation(workspace, id).await?;
        let EmailSubject::Invitation { issue, .. } = lease.subject else {
            return Err(Error::internal("an e-mail about something else"));
        };
        if invitation.supersedes(issue) {
            return Ok(None);
        }
        match invitation.state(now) {
            InvitationState::Pending => {}
            InvitationState::Expired => {
                let expired = Delivery {
                    state: DeliveryState::Failed,
                    attempt_count: lease.attempt_count,
                    last_attempt_time: invitation.delivery.as_ref().and_then(|earlier| earlier.last_attempt_time),
                    last_error: "it expired before it could be sent".to_owned(),
                };
                tx.set_delivery(id, issue, &expired).await?;
                return Ok(None);
            }
            InvitationState::Accepted | InvitationState::Canceled => return Ok(None),
        }
        let token = TokenKind::Invitation.mint();
        tx.insert_invitation_link(token.hash, id, issue).await?;
        let workspace_name = tx.workspace(workspace).await?.name;
        let inviter = match invitation.invited_by {
            Some(inviter) => Some(tx.member(workspace, inviter).await?.display_name),
            None => None,
        };
        let link = self.setup_link(&token.text);
        let rendered = render::invitation(&InvitationEmail {
            workspace_name: workspace_name.as_str(),
            inviter_name: inviter.as_ref().map(|name| name.as_str()),
            role: words_for(invitation.role),
            link: &link,
            expires: invitation.expire_time.to_date_time(),
            account_exists: tx.account_by_email(&invitation.email).await?.is_some(),
        })
        .map_err(Error::internal)?;
        Ok(Some(Minted { to: invitation.email, rendered, link: token.hash, give_up: invitation.expire_time }))
    }

    /// The link of a password reset, and the e-mail around it; links before it are dead. `None` if another was mailed or the
    /// password was set since this one was asked for, or whoever asked has given up waiting.
    async fn mint_reset(
        &self,
        tx: &mut Write,
        lease: &LeasedEmail,
        user: Option<UserId>,
        issue: i32,
    ) -> Result<Option<Minted>> {
        let (Some(user), now) = (user, tx.op().now) else {
            return Ok(None);
        };
        let give_up = lease.create_time.plus(RESET_LIFETIME);
        let account = tx.lock_account(user).await?;
        if tx.reset_issue(user).await? != issue || now >= give_up {
            return Ok(None);
        }
        let issue = tx.start_reset_issue(user).await?;
        tx.set_email_issue(lease, issue).await?;
        let token = TokenKind::PasswordReset.mint();
        let expires = now.plus(RESET_LIFETIME);
        tx.insert_reset_link(token.hash, user, issue, expires).await?;
        let link = self.0.links.reset_link(token.text.expose_secret());
        let email = PasswordResetEmail { email: account.email.as_str(), link: &link, expires: expires.to_date_time() };
        let rendered = render::password_reset(&email).map_err(Error::internal)?;
        Ok(Some(Minted { to: account.email, rendered, link: token.hash, give_up }))
    }

    /// A transaction about an e-mail, which locks the workspace first if it belongs to one.
    async fn write_about(&self, op: &Op, lease: &LeasedEmail) -> Result<Write> {
        match lease.subject.workspace() {
            Some(workspace) => self.store().write_in(op, workspace).await,
            None => self.store().write_unscoped(op).await,
        }
    }

    pub(super) fn setup_link(&self, token: &SecretString) -> String {
        self.0.links.setup_link(token.expose_secret())
    }

    fn message_id(&self, lease: Uuid) -> String {
        format!("<{lease}@{}>", self.0.mail_domain)
    }
}

/// The delivery after one more attempt, now.
fn attempted(state: DeliveryState, lease: &LeasedEmail, now: Timestamp, error: &str) -> Delivery {
    Delivery {
        state,
        attempt_count: lease.attempt_count + 1,
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
