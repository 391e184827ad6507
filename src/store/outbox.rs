//! The outbox: e-mails that wait to be sent.
//!
//! A row says what to mail and holds no token. Use cases only insert rows (touching one that a worker holds would wait
//! for it, or deadlock). A worker claims rows with leases, skipping those that another is claiming; mints a link in a
//! transaction that locks what the e-mail is about first and sees that the lease still stands; sends with no transaction
//! open; and settles under its lease.

use sea_orm::sea_query::{Cond, Condition, Expr, LockBehavior, LockType};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::new_uuid;
use crate::error::Result;
use crate::model::{EmailAddress, InvitationId, OutboxId, UserId, WorkspaceId};

use super::entity::outbox;
use super::error::{corrupt, refused};
use super::{Store, Write};

use outbox::Column as O;

pub(super) const KIND_INVITATION: i16 = 1;
pub(super) const KIND_PASSWORD_RESET: i16 = 2;

/// What an e-mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailSubject {
    /// An issue of an invitation.
    Invitation { workspace: WorkspaceId, invitation: InvitationId, issue: i32 },
    /// A password reset, with the newest issue of the account's resets when it was asked for or last mailed. `None`: the
    /// address has no account, and nothing is sent.
    PasswordReset { user: Option<UserId>, issue: i32 },
}

impl EmailSubject {
    /// The workspace that the e-mail belongs to, if any.
    pub fn workspace(self) -> Option<WorkspaceId> {
        match self {
            EmailSubject::Invitation { workspace, .. } => Some(workspace),
            EmailSubject::PasswordReset { .. } => None,
        }
    }
}

/// An e-mail that a worker has claimed.
#[derive(Clone, Debug)]
pub struct LeasedEmail {
    pub outbox_id: OutboxId,
    pub subject: EmailSubject,
    pub lease_id: Uuid,
    /// Attempts before this one.
    pub attempt_count: i32,
    pub create_time: Timestamp,
}

/// What becomes of a claimed e-mail.
#[derive(Clone, Copy, Debug)]
pub enum Settlement {
    /// Nothing more is to be done about it.
    Done,
    /// It is tried again, not before then.
    RetryAt(Timestamp),
}

impl Store {
    /// When the next e-mail is due, if any waits.
    pub async fn next_email_due(&self) -> Result<Option<Timestamp>> {
        let row: Option<(i64, Option<i64>)> = outbox::Entity::find()
            .select_only()
            .columns([O::NextAttemptAt, O::LeasedUntil])
            .filter(O::SettledAt.is_null())
            .order_by_asc(O::NextAttemptAt)
            .into_tuple()
            .one(self.reader())
            .await
            .map_err(refused)?;
        Ok(row.map(|(next, leased)| Timestamp::from_micros(leased.map_or(next, |until| until.max(next)))))
    }
}

impl Write {
    /// Queues an e-mail. One that nobody is to get waits like any other until a worker has looked at it, so that neither
    /// the row nor the work tells.
    pub async fn enqueue_email(&mut self, recipient: &EmailAddress, subject: EmailSubject) -> Result<()> {
        let now = self.op.now;
        let (kind, workspace, invitation, user, issue) = match subject {
            EmailSubject::Invitation { workspace, invitation, issue } => {
                (KIND_INVITATION, Some(workspace.uuid()), Some(invitation.uuid()), None, issue)
            }
            EmailSubject::PasswordReset { user, issue } => {
                (KIND_PASSWORD_RESET, None, None, user.map(UserId::uuid), issue)
            }
        };
        let row = outbox::ActiveModel {
            id: Set(new_uuid(now)),
            kind: Set(kind),
            recipient: Set(recipient.as_str().to_owned()),
            workspace_id: Set(workspace),
            invitation_id: Set(invitation),
            user_id: Set(user),
            issue: Set(issue),
            created_at: Set(now.as_micros()),
            next_attempt_at: Set(now.as_micros()),
            attempt_count: Set(0),
            lease_id: Set(None),
            leased_until: Set(None),
            settled_at: Set(None),
        };
        outbox::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Claims e-mails that are due until `until`, oldest first, but for those that another worker is claiming now.
    pub async fn lease_emails(&mut self, most: u64, until: Timestamp) -> Result<Vec<LeasedEmail>> {
        let rows = outbox::Entity::find()
            .filter(due(self.op.now))
            // What the next release may mail about is for its own workers.
            .filter(O::Kind.is_in([KIND_INVITATION, KIND_PASSWORD_RESET]))
            .order_by_asc(O::NextAttemptAt)
            .limit(most)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(&self.txn)
            .await
            .map_err(refused)?;
        let mut leased = Vec::with_capacity(rows.len());
        for row in rows {
            let lease_id = new_uuid(self.op.now);
            outbox::Entity::update_many()
                .col_expr(O::LeaseId, Expr::value(lease_id))
                .col_expr(O::LeasedUntil, Expr::value(until.as_micros()))
                .filter(O::Id.eq(row.id))
                .exec(&self.txn)
                .await
                .map_err(refused)?;
            leased.push(LeasedEmail {
                outbox_id: OutboxId::new(row.id),
                subject: subject_of(&row)?,
                lease_id,
                attempt_count: row.attempt_count,
                create_time: Timestamp::from_micros(row.created_at),
            });
        }
        Ok(leased)
    }

    /// Whether an e-mail is claimed by this lease until then at least. Its row is not locked: whoever holds the lease
    /// settles it.
    pub async fn holds_lease(&self, email: &LeasedEmail, until: Timestamp) -> Result<bool> {
        let row = outbox::Entity::find()
            .filter(O::Id.eq(email.outbox_id.uuid()))
            .filter(O::LeaseId.eq(email.lease_id))
            .filter(O::LeasedUntil.gt(until.as_micros()))
            .one(&self.txn)
            .await
            .map_err(refused)?;
        Ok(row.is_some())
    }

    /// Writes down the issue of a claimed e-mail's newest link.
    pub async fn set_email_issue(&mut self, email: &LeasedEmail, issue: i32) -> Result<()> {
        outbox::Entity::update_many()
            .col_expr(O::Issue, Expr::value(issue))
            .filter(O::Id.eq(email.outbox_id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Settles a claimed e-mail. Answers whether the lease was still ours; if not, somebody else answers for it now.
    pub async fn settle_email(&mut self, email: &LeasedEmail, attempted: bool, settlement: Settlement) -> Result<bool> {
        let (settled_at, next_attempt_at) = match settlement {
            Settlement::Done => (Some(self.op.now.as_micros()), self.op.now.as_micros()),
            Settlement::RetryAt(at) => (None, at.as_micros()),
        };
        let settled = outbox::Entity::update_many()
            .col_expr(O::SettledAt, Expr::value(settled_at))
            .col_expr(O::NextAttemptAt, Expr::value(next_attempt_at))
            .col_expr(O::AttemptCount, Expr::value(email.attempt_count + i32::from(attempted)))
            .col_expr(O::LeaseId, Expr::value(None::<Uuid>))
            .col_expr(O::LeasedUntil, Expr::value(None::<i64>))
            .filter(O::Id.eq(email.outbox_id.uuid()))
            .filter(O::LeaseId.eq(email.lease_id))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(settled.rows_affected > 0)
    }
}

fn subject_of(row: &outbox::Model) -> Result<EmailSubject> {
    match (row.kind, row.workspace_id, row.invitation_id) {
        (KIND_INVITATION, Some(workspace), Some(invitation)) => Ok(EmailSubject::Invitation {
            workspace: WorkspaceId::new(workspace),
            invitation: InvitationId::new(invitation),
            issue: row.issue,
        }),
        (KIND_PASSWORD_RESET, ..) => {
            Ok(EmailSubject::PasswordReset { user: row.user_id.map(UserId::new), issue: row.issue })
        }
        _ => Err(corrupt("an e-mail")),
    }
}

fn due(now: Timestamp) -> Condition {
    let free = Cond::any().add(O::LeasedUntil.is_null()).add(O::LeasedUntil.lte(now.as_micros()));
    Cond::all().add(O::SettledAt.is_null()).add(O::NextAttemptAt.lte(now.as_micros())).add(free)
}
