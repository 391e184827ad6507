//! Changing a password, by the present one or by a mailed link.
//!
//! A new password ends every other sign-in and every open reset link: whoever knew the old one is out.

use std::time::Duration;

use secrecy::SecretString;

use crate::authz::Op;
use crate::crypto::TokenHash;
use crate::error::{FieldViolation, Reason, Result};
use crate::model::{Account, AuditAction, AuditActor, AuditRecord, EmailAddress, PasswordHash, UserId};
use crate::store::{EmailSubject, Write};

use super::App;
use super::sessions::SignedIn;
use super::throttle::{Guess, count_reset};

/// How long a reset link is good, and how long its e-mail is worth sending.
pub(super) const RESET_LIFETIME: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Debug)]
pub struct ChangePassword {
    pub current: SecretString,
    pub new: SecretString,
}

#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// `None`: it was malformed, so it was never issued.
    pub token: Option<TokenHash>,
    pub new: SecretString,
}

impl App {
    /// Replaces the caller's password. Their sign-in goes on and counts as fresh, since the password was just given.
    pub async fn change_password(&self, op: &Op, command: &ChangePassword) -> Result<()> {
        let caller = op.caller.session()?;
        let account = self.store().account(caller.user_id).await?;
        let passwords = &self.0.passwords;
        passwords.check_new("new_password", command.new.clone(), personal(&account)).await?;
        let guess = Guess::of_session(caller);
        let place = passwords.reserve()?;
        let check = passwords.verify(&place, command.current.clone(), Some(account.password_hash.clone()));
        if !self.guess(op, guess, check).await? {
            return Err(Reason::PasswordWrong.into());
        }
        drop(place);
        let hash = passwords.hash(command.new.clone()).await?;

        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        // Changed meanwhile, or hashed anew by a sign-in: looked at again from the start.
        if tx.lock_account(caller.user_id).await?.password_hash != account.password_hash {
            return Err(Reason::Conflict.into());
        }
        set_password(&mut tx, caller.user_id, &hash).await?;
        let ended = tx.end_other_sign_ins(caller.user_id, caller.sign_in_id, self.lifetime()).await?;
        tx.refresh_sign_in(caller.user_id, caller.sign_in_id).await?;
        let record = AuditRecord::new(AuditAction::PasswordChanged)
            .user(caller.user_id)
            .detail("sessionCount", ended.to_string());
        tx.audit(caller.workspace_id, record).await?;
        tx.commit().await
    }

    /// What is wrong with a new password, for a call that is refused for its present one already.
    pub async fn bad_new_password(&self, op: &Op, new: SecretString) -> Result<Vec<FieldViolation>> {
        let account = self.store().account(op.caller.session()?.user_id).await?;
        match self.0.passwords.check_new("new_password", new, personal(&account)).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.reason() == Reason::FieldInvalid => Ok(error.violations().to_vec()),
            Err(error) => Err(error),
        }
    }

    /// Mails a reset link if the address has an account and the quotas allow. The statements, the rows and the commit are
    /// the same if it has none: whatever only an account needs is done when the e-mail is made, after the answer.
    /// What is over a quota changes nothing and does not count, or asking without end would shut out the person whose
    /// address it is.
    pub async fn request_password_reset(&self, op: &Op, email: &EmailAddress) -> Result<()> {
        let network = self.reset_counter(op).await?;
        let mut tx = self.store().write_unscoped(op).await?;
        if let Some(network) = &network
            && !count_reset(&mut tx, network).await?
        {
            return Ok(());
        }
        tx.lock_recipient(email).await?;
        if !self.reset_quota_allows(&tx, email).await? {
            return Ok(());
        }
        let subject = match tx.reset_issue_by_email(email).await? {
            Some((user, issue)) => EmailSubject::PasswordReset { user: Some(user), issue },
            None => EmailSubject::PasswordReset { user: None, issue: 0 },
        };
        tx.enqueue_email(email, subject).await?;
        tx.commit().await?;
        self.wake_outbox();
        Ok(())
    }

    async fn reset_quota_allows(&self, tx: &Write, email: &EmailAddress) -> Result<bool> {
        let quotas = &self.0.quotas;
        let mut allowed = tx.require_reset_quota(email, quotas.of_resets()).await;
        if allowed.is_ok() {
            allowed = tx.require_mailbox_quota(email, quotas.of_recipient()).await;
        }
        match allowed {
            Ok(()) => Ok(true),
            Err(error) if error.reason() == Reason::QuotaExceeded => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets a new password by a mailed link and signs in. `None` without a membership: there is nowhere to sign in to.
    pub async fn reset_password(&self, op: &Op, command: &ResetPassword) -> Result<Option<SignedIn>> {
        let passwords = &self.0.passwords;
        let found = match command.token {
            Some(token) => self.store().reset_link(token, op.now).await.map(|user| (token, user)),
            None => Err(Reason::ResetNotFound.into()),
        };
        let (token, user) = match found {
            Ok(found) => found,
            Err(error) => {
                // Fields come before existence: a password that will not do is said first. Whoever has no link can have
                // that looked at as well, in the places of the pool and no others.
                passwords.check_new("new_password", command.new.clone(), Vec::new()).await?;
                return Err(error);
            }
        };
        let account = self.store().account(user).await?;
        let hash = passwords.hash_new("new_password", command.new.clone(), personal(&account)).await?;

        let workspace = self.store().default_workspace_of(user).await?;
        let mut tx = match workspace {
            Some(workspace) => self.store().write_in(op, workspace).await?,
            None => self.store().write_unscoped(op).await?,
        };
        tx.lock_user(user).await?;
        // Used, superseded or expired meanwhile: the link is dead.
        if tx.reset_link(token).await? != user {
            return Err(Reason::ResetNotFound.into());
        }
        // Removed from there, or joined somewhere, meanwhile: the whole use case decides anew.
        if tx.default_workspace_of(user).await? != workspace {
            return Err(Reason::Conflict.into());
        }
        set_password(&mut tx, user, &hash).await?;
        let ended = tx.end_all_sessions(user, self.lifetime()).await?;
        let signed_in = match workspace {
            Some(workspace) => {
                let mut signed_in = self.begin_session_of_new_sign_in(&mut tx, &account, workspace).await?;
                signed_in.device_token = Some(self.remember_device(&mut tx, user, None).await?);
                let record =
                    AuditRecord::new(AuditAction::PasswordReset).user(user).detail("sessionCount", ended.to_string());
                tx.audit_as(workspace, AuditActor::User(user), record, 1).await?;
                Some(signed_in)
            }
            None => None,
        };
        tx.commit().await?;
        Ok(signed_in)
    }
}

/// Sets the password, which ends every open reset link.
async fn set_password(tx: &mut Write, user: UserId, hash: &PasswordHash) -> Result<()> {
    tx.set_password(user, hash).await?;
    tx.start_reset_issue(user).await?;
    Ok(())
}

/// What the password must not be made of.
fn personal(account: &Account) -> Vec<String> {
    vec![account.email.as_str().to_owned(), account.display_name.as_str().to_owned()]
}
