//! Signing in and out.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::authz::{Caller, Op, Permission};
use crate::crypto::{MintedToken, TokenKind, new_user_id, new_uuid};
use crate::error::{Reason, Result};
use crate::model::{
    Account, AuditAction, AuditActor, AuditRecord, EmailAddress, Member, Page, PageRequest, PasswordHash, Session,
    SessionId, SignInId, UserId, UserState, WorkspaceId, WorkspaceMembership,
};
use crate::store::{NewSession, Write};

use super::accept::signed_in_record;
use super::throttle::{Guess, Guessed};
use super::users::not_a_member;
use super::{App, retrying};

/// How long a device is remembered after it signed in.
const DEVICE_MEMORY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Who signs in where.
#[derive(Clone, Debug)]
pub struct SignIn {
    pub email: EmailAddress,
    pub password: SecretString,
    /// `None`: the workspace signed in to last, else the one joined first.
    pub workspace: Option<WorkspaceId>,
    /// The token that an earlier sign-in on this device was answered with.
    pub device_token: Option<SecretString>,
}

/// A session that has just begun, with the only copy of its token.
#[derive(Debug)]
pub struct SignedIn {
    pub token: SecretString,
    pub session: Session,
    pub member: Member,
    pub workspace: WorkspaceMembership,
    /// Where a device is remembered: its token, for the next sign-in.
    pub device_token: Option<SecretString>,
}

/// Who the caller is, and what they may do here.
#[derive(Clone, Debug)]
pub struct CurrentSession {
    pub session: Session,
    pub member: Member,
    pub workspace: WorkspaceMembership,
    pub permissions: Vec<Permission>,
}

impl App {
    /// Signs in. A wrong password, an unknown address and an account without any membership are one answer, after the
    /// same work.
    pub async fn sign_in(&self, op: &Op, command: &SignIn) -> Result<SignedIn> {
        // First of all: who finds the pool full costs the database nothing.
        let place = self.0.passwords.reserve()?;
        let (account, default) = self.store().sign_in_subject(&command.email).await?.unzip();
        let default = default.flatten();
        // Where there is no account, what belongs to it is looked up all the same, of somebody who does not exist.
        let user = account.as_ref().map_or_else(new_user_id, |account| account.user_id);
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let device = command.device_token.as_ref();
        let guess = Guess::Stranger {
            email: &command.email,
            user,
            device: device.and_then(|token| TokenKind::KnownDevice.parse(token.expose_secret())),
        };
        // The password of an account without a membership is as wrong as any other, for the counters too.
        let check = async {
            let right = self.0.passwords.verify(&place, command.password.clone(), hash).await?;
            Ok(right && default.is_some())
        };
        let guessed = self.guess_unsettled(op, guess, check).await?;
        let right = account.zip(default).filter(|_| guessed.is_right());
        let (account, default) = right.ok_or(Reason::InvalidCredentials)?;
        let upgraded = match self.0.passwords.is_outdated(&account.password_hash) {
            // Where it fails, the next sign-in does it.
            true => self.0.passwords.hash_in(&place, command.password.clone()).await.ok(),
            false => None,
        };
        drop(place);
        let entry = async |unsettled: Option<&Guessed<'_>>| {
            self.enter(op, command, &account, upgraded.as_ref(), default, unsettled).await
        };
        let failure = match entry(Some(&guessed)).await {
            Ok(Some((tx, signed_in))) => match tx.commit().await {
                Ok(()) => return Ok(signed_in),
                // It may have been done, and then the guess is settled. A second time would be somebody else's failure.
                Err(error) if error.reason() == Reason::DatabaseUnavailable => return Err(error),
                Err(error) => Some(error),
            },
            Ok(None) => None,
            Err(error) => Some(error),
        };
        // What comes to nothing settles nothing, and the password was right all the same.
        if let Err(error) = self.settle_guess(op, &guessed).await {
            tracing::debug!(%error, "a right password stays counted as a wrong one");
        }
        drop(guessed);
        match failure {
            // Where transactions are serializable, somebody else of the same network or workspace is enough for that. It is
            // no reason to count and to hash again.
            Some(error) if error.reason() == Reason::Conflict => {
                let again = async || match entry(None).await? {
                    Some((tx, signed_in)) => tx.commit().await.map(|()| Some(signed_in)),
                    None => Ok(None),
                };
                retrying(op.deadline, again).await?.ok_or_else(|| Reason::Conflict.into())
            }
            Some(error) => Err(error),
            None => Err(Reason::Conflict.into()),
        }
    }

    /// Begins a session of somebody whose password was right, up to the commit, and settles what is yet to be settled.
    /// Answers nothing if what it was told does not hold any more, and has to be found out from the start: the password is
    /// another, or was hashed anew by a sign-in beside this one, or the workspace that was not named is not theirs.
    async fn enter(
        &self,
        op: &Op,
        command: &SignIn,
        account: &Account,
        upgraded: Option<&PasswordHash>,
        default: WorkspaceId,
        unsettled: Option<&Guessed<'_>>,
    ) -> Result<Option<(Write, SignedIn)>> {
        let workspace = match command.workspace {
            // Asked before the lock, which would tell an unknown workspace from a foreign one.
            Some(named) if self.store().role_of(named, account.user_id).await?.is_none() => return Err(not_a_member()),
            Some(named) => named,
            None => default,
        };
        let mut tx = self.store().write_in(op, workspace).await?;
        if tx.lock_account(account.user_id).await?.password_hash != account.password_hash {
            return Ok(None);
        }
        if let Some(hash) = upgraded {
            tx.set_password(account.user_id, hash).await?;
        }
        let mut signed_in = match self.begin_sign_in(&mut tx, account, workspace).await {
            Err(error) if error.reason() == Reason::NotAMember && command.workspace.is_none() => return Ok(None),
            signed_in => signed_in?,
        };
        let device = command.device_token.as_ref();
        signed_in.device_token = Some(self.remember_device(&mut tx, account.user_id, device).await?);
        if let Some(guessed) = unsettled {
            guessed.settle(&mut tx).await?;
        }
        Ok(Some((tx, signed_in)))
    }

    /// Remembers the device for 90 days more: the one that it says it is, if that is known, else a new one.
    pub(super) async fn remember_device(
        &self,
        tx: &mut Write,
        user: UserId,
        presented: Option<&SecretString>,
    ) -> Result<SecretString> {
        let now = tx.op().now;
        let expires = now.plus(DEVICE_MEMORY);
        if let Some(token) = presented
            && let Some(hash) = TokenKind::KnownDevice.parse(token.expose_secret())
            && tx.is_known_device(hash, user).await?
        {
            tx.extend_known_device(hash, expires).await?;
            return Ok(token.clone());
        }
        let token = TokenKind::KnownDevice.mint();
        tx.insert_known_device(token.hash, user, expires).await?;
        Ok(token.text)
    }

    /// Begins one more session of the caller's sign-in, in another workspace of theirs.
    pub async fn switch_workspace(&self, op: &Op, target: WorkspaceId) -> Result<SignedIn> {
        let caller = op.caller.session()?;
        if self.store().role_of(target, caller.user_id).await?.is_none() {
            return Err(not_a_member());
        }
        let mut tx = self.store().write_in(op, target).await?;
        // Whatever ends the session waits for that lock, or was before it.
        tx.lock_user(caller.user_id).await?;
        let caller = tx.op().caller.session()?.clone();
        let token = TokenKind::Session.mint();
        let session = Session {
            session_id: SessionId::new(new_uuid(op.now)),
            sign_in_id: caller.sign_in_id,
            workspace_id: target,
            user_id: caller.user_id,
            create_time: op.now,
            last_used_time: op.now,
            expire_time: caller.expire_time,
            authenticate_time: caller.authenticate_time,
            peer: op.peer.clone(),
        };
        let member = tx.find_member(target, caller.user_id).await?;
        let switched = self.begin(&mut tx, member, session, token).await?;
        let record = AuditRecord::new(AuditAction::WorkspaceSwitched)
            .user(caller.user_id)
            .detail("sessionId", switched.session.session_id.to_string());
        tx.audit(target, record).await?;
        tx.commit().await?;
        Ok(switched)
    }

    pub async fn current_session(&self, op: &Op) -> Result<CurrentSession> {
        let caller = op.caller.session()?;
        let session = self.store().session(caller.session_id).await?;
        let member = self.store().member(caller.workspace_id, caller.user_id).await?;
        let workspace = self.store().workspace(caller.workspace_id).await?;
        let granted = |permission: &Permission| permission.lowest_role() <= caller.role;
        Ok(CurrentSession {
            session,
            member,
            workspace: WorkspaceMembership {
                workspace_id: workspace.workspace_id,
                workspace_name: workspace.name,
                role: caller.role,
            },
            permissions: Permission::ALL.iter().copied().filter(granted).collect(),
        })
    }

    pub async fn list_sessions(&self, op: &Op, page: &PageRequest) -> Result<Page<Session>> {
        let caller = op.caller.session()?;
        self.store().live_sessions_of(caller.user_id, self.lifetime(), op.now, page).await
    }

    /// Ends one of the caller's own sign-ins, by any of its sessions. That it has ended already is no error.
    pub async fn revoke_session(&self, op: &Op, id: SessionId) -> Result<()> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        tx.lock_user(caller.user_id).await?;
        let session = tx.session_of(caller.user_id, id).await?;
        let ended = tx.end_sign_in(caller.user_id, session.sign_in_id, self.lifetime(), false).await?;
        if ended > 0 {
            let record = AuditRecord::new(AuditAction::SessionRevoked)
                .user(caller.user_id)
                .detail("sessionId", id.to_string())
                .detail("sessionCount", ended.to_string());
            tx.audit(caller.workspace_id, record).await?;
        }
        tx.commit().await
    }

    /// Ends all other sign-ins of the caller. Answers how many live sessions ended.
    pub async fn revoke_other_sessions(&self, op: &Op) -> Result<u64> {
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        tx.lock_user(caller.user_id).await?;
        let ended = tx.end_other_sign_ins(caller.user_id, caller.sign_in_id, self.lifetime()).await?;
        if ended > 0 {
            let record = AuditRecord::new(AuditAction::OtherSessionsRevoked)
                .user(caller.user_id)
                .detail("sessionCount", ended.to_string());
            tx.audit(caller.workspace_id, record).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends every session of the caller's sign-in. Signing out twice is signing out.
    pub async fn sign_out(&self, op: &Op) -> Result<()> {
        if matches!(op.caller, Caller::SignedOut) {
            return Ok(());
        }
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        tx.lock_user(caller.user_id).await?;
        let ended = tx.end_sign_in(caller.user_id, caller.sign_in_id, self.lifetime(), true).await?;
        let record =
            AuditRecord::new(AuditAction::SignedOut).user(caller.user_id).detail("sessionCount", ended.to_string());
        tx.audit(caller.workspace_id, record).await?;
        tx.commit().await
    }

    /// Takes the password once more, so that the gravest acts are open for the next 10 minutes.
    pub async fn reauthenticate(&self, op: &Op, password: SecretString) -> Result<()> {
        let caller = op.caller.session()?;
        let account = self.store().account(caller.user_id).await?;
        let hash = account.password_hash;
        let guess = Guess::of_session(caller);
        let place = self.0.passwords.reserve()?;
        if !self.guess(op, guess, self.0.passwords.verify(&place, password, Some(hash.clone()))).await? {
            return Err(Reason::PasswordWrong.into());
        }
        drop(place);
        let mut tx = self.store().write(op).await?;
        let caller = tx.op().caller.session()?.clone();
        // Changed meanwhile, or hashed anew by a sign-in: looked at again from the start.
        if tx.lock_account(caller.user_id).await?.password_hash != hash {
            return Err(Reason::Conflict.into());
        }
        tx.refresh_sign_in(caller.user_id, caller.sign_in_id).await?;
        tx.audit(caller.workspace_id, AuditRecord::new(AuditAction::Reauthenticated).user(caller.user_id)).await?;
        tx.commit().await
    }

    /// Begins a session of a new sign-in and records it.
    pub(super) async fn begin_sign_in(
        &self,
        tx: &mut Write,
        account: &Account,
        workspace: WorkspaceId,
    ) -> Result<SignedIn> {
        let signed_in = self.begin_session_of_new_sign_in(tx, account, workspace).await?;
        let actor = AuditActor::User(account.user_id);
        tx.audit_as(workspace, actor, signed_in_record(&signed_in), 1).await?;
        Ok(signed_in)
    }

    /// Begins a session of a new sign-in. The user's row is locked, or was made by this transaction.
    pub(super) async fn begin_session_of_new_sign_in(
        &self,
        tx: &mut Write,
        account: &Account,
        workspace: WorkspaceId,
    ) -> Result<SignedIn> {
        let op = tx.op();
        let (now, peer) = (op.now, op.peer.clone());
        let session = Session {
            session_id: SessionId::new(new_uuid(now)),
            sign_in_id: SignInId::new(new_uuid(now)),
            workspace_id: workspace,
            user_id: account.user_id,
            create_time: now,
            last_used_time: now,
            expire_time: now.plus(self.lifetime().absolute),
            authenticate_time: now,
            peer,
        };
        let member = tx.note_sign_in(workspace, account.user_id).await?;
        self.begin(tx, member, session, TokenKind::Session.mint()).await
    }

    /// Begins a member's session under the user's lock.
    ///
    /// # Errors
    /// `NOT_A_MEMBER`: or no longer.
    async fn begin(
        &self,
        tx: &mut Write,
        member: Option<Member>,
        session: Session,
        token: MintedToken,
    ) -> Result<SignedIn> {
        let mut member = member.filter(|member| member.state == UserState::Active).ok_or_else(not_a_member)?;
        member.last_seen_time = member.last_seen_time.max(Some(session.last_used_time));
        let new = NewSession { session: session.clone(), role: member.role, token: token.hash };
        tx.insert_session(&new, self.lifetime()).await?;
        let workspace = tx.workspace(session.workspace_id).await?;
        let workspace = WorkspaceMembership {
            workspace_id: workspace.workspace_id,
            workspace_name: workspace.name,
            role: member.role,
        };
        Ok(SignedIn { token: token.text, session, member, workspace, device_token: None })
    }
}
