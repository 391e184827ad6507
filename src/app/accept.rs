//! Accepting an invitation: an account if the address has none, a membership and a session, all or nothing.

use secrecy::SecretString;

use crate::authz::Op;
use crate::crypto::{TokenHash, new_user_id};
use crate::error::{Error, FieldViolation, Reason, Result};
use crate::model::{Account, AuditAction, AuditActor, AuditRecord, Invitation, Member, Name, UserState};
use crate::store::{InvitationLink, MembershipChange, Write};

use super::App;
use super::sessions::SignedIn;
use super::throttle::Guess;

/// Who accepts what.
#[derive(Clone, Debug)]
pub struct AcceptInvitation {
    pub token: TokenHash,
    /// As it was sent, since an existing account has a name and this is ignored then.
    pub display_name: String,
    pub password: SecretString,
}

/// A session, begun by accepting.
pub type Accepted = SignedIn;

/// Whose account it will be.
enum Who {
    /// The address has an account, and the password is its own.
    Existing(Account),
    /// The address has none yet.
    New(Account),
}

impl App {
    pub async fn accept_invitation(&self, op: &Op, command: &AcceptInvitation) -> Result<Accepted> {
        let link = self.store().invitation_link(command.token).await?;
        let account = self.store().account_by_email(&link.invitation.email).await?;
        let who = match account {
            Some(account) => {
                // Read again, after the account: it may have come through this very link just now, and then a wrong
                // password is answered as on any used link.
                let link = self.store().invitation_link(command.token).await?;
                self.prove_existing(op, &link, account, command).await?
            }
            None => self.prepare_new(op, &link, command).await?,
        };

        let mut tx = self.store().write_in(op, link.invitation.workspace_id).await?;
        let link = tx.invitation_link(command.token).await?;
        let invitation = &link.invitation;
        let account = self.settle_account(&mut tx, who).await?;
        let member = tx.find_member(invitation.workspace_id, account.user_id).await?;
        if invitation.accepted_by == Some(account.user_id) && repeat_stands(op, &link, member.as_ref()) {
            let mut signed_in = self.begin_sign_in(&mut tx, &account, invitation.workspace_id).await?;
            signed_in.device_token = Some(self.remember_device(&mut tx, account.user_id, None).await?);
            tx.commit().await?;
            return Ok(signed_in);
        }
        invitation.require_acceptable(link.issue, op.now)?;
        self.require_entitled(&tx, invitation).await?;
        if member.as_ref().is_some_and(|member| member.state == UserState::Active) {
            return Err(Reason::AlreadyMember.into());
        }
        let join = MembershipChange::Join { account: &account, role: invitation.role };
        tx.change_membership(invitation.workspace_id, account.user_id, member.as_ref(), join).await?;
        tx.accept_invitation(invitation.invitation_id, account.user_id).await?;
        let record = super::invitations::record(AuditAction::InvitationAccepted, invitation).user(account.user_id);
        let actor = AuditActor::User(account.user_id);
        tx.audit_as(invitation.workspace_id, actor, record, 1).await?;
        let mut signed_in = self.begin_session_of_new_sign_in(&mut tx, &account, invitation.workspace_id).await?;
        signed_in.device_token = Some(self.remember_device(&mut tx, account.user_id, None).await?);
        tx.commit().await?;
        Ok(signed_in)
    }

    /// All bad fields of an accept whose password cannot be one. The name counts only where it would be used.
    pub async fn bad_fields_of_accept(
        &self,
        token: Option<TokenHash>,
        display_name: &str,
        password: FieldViolation,
    ) -> Result<Vec<FieldViolation>> {
        let Some(token) = token else {
            return Ok(vec![password]);
        };
        let email = match self.store().invitation_link(token).await {
            Ok(link) => link.invitation.email,
            Err(error) if error.reason() == Reason::InvitationNotFound => return Ok(vec![password]),
            Err(error) => return Err(error),
        };
        let name = match self.store().account_by_email(&email).await? {
            Some(_) => None,
            None => Name::parse("display_name", display_name).err(),
        };
        Ok(name.into_iter().chain([password]).collect())
    }

    /// The password must be the account's. A dead link is refused before it is looked at, except a used one that may be
    /// used again: there a wrong password is not told from a link that is used up.
    async fn prove_existing(
        &self,
        op: &Op,
        link: &InvitationLink,
        account: Account,
        command: &AcceptInvitation,
    ) -> Result<Who> {
        let repeated = link.invitation.accept_may_be_repeated(link.issue, op.now);
        if !repeated {
            link.invitation.require_acceptable(link.issue, op.now)?;
        }
        let hash = account.password_hash.clone();
        let guess = Guess::Stranger { email: &account.email, user: account.user_id, device: None };
        let place = self.0.passwords.reserve()?;
        if self.guess(op, guess, self.0.passwords.verify(&place, command.password.clone(), Some(hash))).await? {
            return Ok(Who::Existing(account));
        }
        Err(if repeated { Reason::InvitationAccepted.into() } else { Reason::InvalidCredentials.into() })
    }

    /// Fields come before states: a name or a password that will not do is said first.
    async fn prepare_new(&self, op: &Op, link: &InvitationLink, command: &AcceptInvitation) -> Result<Who> {
        let email = &link.invitation.email;
        let name = Name::parse("display_name", &command.display_name);
        let personal = vec![email.as_str().to_owned(), command.display_name.clone()];
        let acceptable = link.invitation.require_acceptable(link.issue, op.now);
        let display_name = match name {
            Ok(name) if acceptable.is_ok() => name,
            name => return Err(self.why_not(command, personal, name.err(), acceptable.err()).await),
        };
        let password_hash = self.0.passwords.hash_new("password", command.password.clone(), personal).await?;
        Ok(Who::New(Account { user_id: new_user_id(), email: email.clone(), display_name, password_hash }))
    }

    /// The refusal of an accept with a bad name or a dead link: all bad fields, the password's included, else how the
    /// link died. No hash is made for it.
    async fn why_not(
        &self,
        command: &AcceptInvitation,
        personal: Vec<String>,
        name: Option<FieldViolation>,
        dead: Option<Error>,
    ) -> Error {
        let mut violations = Vec::from_iter(name);
        match self.0.passwords.check_new("password", command.password.clone(), personal).await {
            Err(error) if error.reason() == Reason::FieldInvalid => violations.extend_from_slice(error.violations()),
            Err(error) => return error,
            Ok(()) => {}
        }
        match dead {
            Some(dead) if violations.is_empty() => dead,
            _ => Error::fields(violations),
        }
    }

    /// Locks an existing account and sees that it is still the one that was looked at; makes a new one.
    async fn settle_account(&self, tx: &mut Write, who: Who) -> Result<Account> {
        match who {
            Who::Existing(account) => {
                let now = tx.lock_account(account.user_id).await?;
                if now.password_hash == account.password_hash {
                    Ok(now)
                } else {
                    Err(Reason::InvalidCredentials.into())
                }
            }
            Who::New(account) => match tx.account_by_email(&account.email).await? {
                // Somebody with this address has set up an account meanwhile: the whole use case decides anew.
                Some(_) => Err(Reason::Conflict.into()),
                None => {
                    tx.insert_account(&account).await?;
                    Ok(account)
                }
            },
        }
    }

    /// The second lock on the sender's right; that the invitation was canceled when the right went is the first.
    async fn require_entitled(&self, tx: &Write, invitation: &Invitation) -> Result<()> {
        let role = match invitation.invited_by {
            Some(inviter) => tx.role_of(invitation.workspace_id, inviter).await?,
            None => None,
        };
        invitation.require_inviter_entitled(role)
    }
}

/// Whether an accept is a repetition of the one that succeeded, whose membership still stands.
fn repeat_stands(op: &Op, link: &InvitationLink, member: Option<&Member>) -> bool {
    link.invitation.accept_may_be_repeated(link.issue, op.now)
        && member.is_some_and(|member| member.state == UserState::Active)
}

/// The record of a sign-in.
pub(super) fn signed_in_record(signed_in: &SignedIn) -> AuditRecord {
    AuditRecord::new(AuditAction::SignedIn)
        .user(signed_in.member.user_id)
        .detail("sessionId", signed_in.session.session_id.to_string())
}
