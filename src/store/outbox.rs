//! The outbox: e-mails that wait to be sent.
//!
//! A row says which invitation to mail and holds no token. Use cases only insert rows (touching one that a worker holds
//! would wait for it, or deadlock). A worker claims a row with a lease, mints a link in a transaction that locks the
//! workspace first, sends with no transaction open, and settles under its lease.

use sea_orm::sea_query::{Cond, Condition, Expr};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::new_uuid;
use crate::error::{Error, Result};
use crate::model::{InvitationId, OutboxId, WorkspaceId};

use super::entity::outbox;
use super::error::refused;
use super::{Store, Write};

use outbox::Column as O;

/// An e-mail that a worker has claimed.
#[derive(Clone, Debug)]
pub struct LeasedEmail {
    pub outbox_id: OutboxId,
    pub workspace_id: WorkspaceId,
    pub invitation_id: InvitationId,
    pub issue: i32,
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
    /// The ids of e-mails that are due at `now`, oldest first.
    pub async fn due_emails(&self, now: Timestamp, limit: u64) -> Result<Vec<(OutboxId, WorkspaceId)>> {
        let rows: Vec<(Uuid, Uuid)> = outbox::Entity::find()
            .select_only()
            .columns([O::Id, O::WorkspaceId])
            .filter(due(now))
            .order_by_asc(O::NextAttemptAt)
            .limit(limit)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(refused)?;
        Ok(rows.into_iter().map(|(id, workspace)| (OutboxId::new(id), WorkspaceId::new(workspace))).collect())
    }

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
    /// Queues the e-mail of an issue of an invitation.
    pub async fn enqueue_invitation_email(
        &mut self,
        workspace: WorkspaceId,
        invitation: InvitationId,
        issue: i32,
    ) -> Result<()> {
        let now = self.op.now;
        let row = outbox::ActiveModel {
            id: Set(new_uuid(now)),
            workspace_id: Set(workspace.uuid()),
            invitation_id: Set(invitation.uuid()),
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

    /// Claims an e-mail until `until`, unless it is settled, claimed by another worker, or not due any more.
    pub async fn lease_email(&mut self, id: OutboxId, until: Timestamp) -> Result<Option<LeasedEmail>> {
        let lease_id = new_uuid(self.op.now);
        let claimed = outbox::Entity::update_many()
            .col_expr(O::LeaseId, Expr::value(lease_id))
            .col_expr(O::LeasedUntil, Expr::value(until.as_micros()))
            .filter(O::Id.eq(id.uuid()))
            .filter(due(self.op.now))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        if claimed.rows_affected == 0 {
            return Ok(None);
        }
        let row = outbox::Entity::find_by_id(id.uuid()).one(&self.txn).await.map_err(refused)?;
        let row = row.ok_or_else(|| Error::internal("a claimed e-mail is gone"))?;
        Ok(Some(LeasedEmail {
            outbox_id: id,
            workspace_id: WorkspaceId::new(row.workspace_id),
            invitation_id: InvitationId::new(row.invitation_id),
            issue: row.issue,
            lease_id,
            attempt_count: row.attempt_count,
            create_time: Timestamp::from_micros(row.created_at),
        }))
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

fn due(now: Timestamp) -> Condition {
    let free = Cond::any().add(O::LeasedUntil.is_null()).add(O::LeasedUntil.lte(now.as_micros()));
    Cond::all().add(O::SettledAt.is_null()).add(O::NextAttemptAt.lte(now.as_micros())).add(free)
}
