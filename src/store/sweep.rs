//! Housekeeping: what has served its purpose goes, in bounded batches.
//!
//! Users, memberships and invitations stay for ever, audit events for as long as is configured.

use std::time::Duration;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, LockBehavior, LockType, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::error::Result;

use super::Write;
use super::entity::{
    audit_event, invitation, invitation_token, known_device, membership, outbox, password_reset, request_record,
    session, throttle,
};
use super::error::refused;
use super::last_use::stands_on_membership;
use super::requests::REQUEST_MEMORY;

/// How long things stay after they have served their purpose, and how many rows of each kind go at once.
#[derive(Clone, Copy, Debug)]
pub struct SweepLimits {
    /// Ended sessions: as long as a repeated `RevokeSession` or `SignOut` is recognised.
    pub ended_sessions: Duration,
    /// Links of invitations that were accepted, canceled, superseded or have expired: as long as they say how they died.
    pub dead_links: Duration,
    /// Settled outbox rows.
    pub settled_emails: Duration,
    pub audit_events: Duration,
    pub batch: u64,
}

/// What is swept, one kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepKind {
    EndedSessions,
    /// Those that died of disuse too, and whose user did not come back since: they end at the latest when they expire. (An
    /// index of when such were used last would have to be changed whenever one is.)
    ExpiredSessions,
    Links,
    Resets,
    Devices,
    Counters,
    Emails,
    AuditEvents,
    Requests,
}

impl SweepKind {
    pub const ALL: [Self; 9] = [
        Self::EndedSessions,
        Self::ExpiredSessions,
        Self::Links,
        Self::Resets,
        Self::Devices,
        Self::Counters,
        Self::Emails,
        Self::AuditEvents,
        Self::Requests,
    ];

    /// What went, for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndedSessions | Self::ExpiredSessions => "sessions",
            Self::Links => "links",
            Self::Resets => "resets",
            Self::Devices => "devices",
            Self::Counters => "counters",
            Self::Emails => "emails",
            Self::AuditEvents => "audit events",
            Self::Requests => "requests",
        }
    }
}

impl Write {
    /// Deletes one batch of what is due of a kind, but for rows that somebody else holds. Answers how many went; fewer
    /// than a batch means that nothing more is due.
    pub async fn sweep(&mut self, kind: SweepKind, limits: &SweepLimits) -> Result<u64> {
        use audit_event::Column as A;
        use invitation_token::Column as L;
        use known_device::Column as D;
        use outbox::Column as O;
        use password_reset::Column as R;
        use session::Column as S;
        let now = self.op.now;
        let before = |keep: Duration| now.minus(keep).as_micros();
        let ended = before(limits.ended_sessions);
        let batch = limits.batch;
        match kind {
            SweepKind::EndedSessions => self.sweep_sessions(S::EndedAt, ended, batch).await,
            SweepKind::ExpiredSessions => self.sweep_sessions(S::ExpiresAt, ended, batch).await,
            SweepKind::Links => {
                let which = dead_links(before(limits.dead_links)).limit(batch).take();
                self.delete_those::<invitation_token::Entity>(L::TokenHash, which).await
            }
            SweepKind::Resets => {
                self.delete::<password_reset::Entity>(R::TokenHash, R::ExpiresAt.lt(now.as_micros()), batch).await
            }
            SweepKind::Devices => {
                self.delete::<known_device::Entity>(D::TokenHash, D::ExpiresAt.lt(now.as_micros()), batch).await
            }
            SweepKind::Counters => {
                use throttle::Column as T;
                self.delete::<throttle::Entity>(T::Key, T::ExpiresAt.lt(now.as_micros()), batch).await
            }
            SweepKind::Emails => {
                let settled = before(limits.settled_emails);
                self.delete::<outbox::Entity>(O::Id, O::SettledAt.lt(settled), batch).await
            }
            SweepKind::AuditEvents => {
                let old = before(limits.audit_events);
                self.delete::<audit_event::Entity>(A::Id, A::OccurredAt.lt(old), batch).await
            }
            SweepKind::Requests => self.forget_requests(before(REQUEST_MEMORY), batch).await,
        }
    }

    async fn delete<E: EntityTrait>(&mut self, id: E::Column, due: Expr, batch: u64) -> Result<u64> {
        let which = Query::select()
            .column(id)
            .from(E::default())
            .and_where(due)
            .limit(batch)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        self.delete_those::<E>(id, which).await
    }

    /// Their memberships keep what is known of their last use, so those are locked with them.
    async fn sweep_sessions(&mut self, end: session::Column, before: i64, batch: u64) -> Result<u64> {
        use session::Column as S;
        let which = Query::select()
            .column((session::Entity, S::TokenKey))
            .from(session::Entity)
            .inner_join(membership::Entity, stands_on_membership())
            .and_where(Expr::col((session::Entity, end)).lt(before))
            .limit(batch)
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
            .take();
        let rows = self.txn.query_all(&which).await.map_err(refused)?;
        let keys = rows.iter().map(|row| row.try_get_by_index(0)).collect::<std::result::Result<Vec<i64>, _>>();
        let keys = keys.map_err(refused)?;
        if !keys.is_empty() {
            self.keep_latest_use(&keys).await?;
            session::Entity::delete_many()
                .filter(S::TokenKey.is_in(keys.iter().copied()))
                .exec(&self.txn)
                .await
                .map_err(refused)?;
        }
        Ok(keys.len() as u64)
    }

    async fn delete_those<E: EntityTrait>(&mut self, id: E::Column, which: SelectStatement) -> Result<u64> {
        let deleted = E::delete_many().filter(id.in_subquery(which)).exec(&self.txn).await.map_err(refused)?;
        Ok(deleted.rows_affected)
    }

    /// As the others, by a key of three columns.
    async fn forget_requests(&mut self, before: i64, batch: u64) -> Result<u64> {
        use request_record::Column as R;
        let which = Query::select()
            .columns([R::OwnerId, R::Method, R::RequestId])
            .from(request_record::Entity)
            .and_where(R::CreatedAt.lt(before))
            .limit(batch)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let key = Expr::tuple([R::OwnerId, R::Method, R::RequestId].map(Expr::col));
        let delete = Query::delete().from_table(request_record::Entity).and_where(key.in_subquery(which)).take();
        Ok(self.txn.execute(&delete).await.map_err(refused)?.rows_affected())
    }
}

/// Links whose invitation was accepted, canceled, or ran out before then, or which were superseded. All are older than
/// that, since only what is pending gets a link; saying so lets an index find the few that come into question.
fn dead_links(before: i64) -> SelectStatement {
    use invitation::Column as I;
    use invitation_token::Column as T;
    let of_invitation = |column: I| Expr::col((invitation::Entity, column));
    let of_link = |column: T| Expr::col((invitation_token::Entity, column));
    Query::select()
        .column((invitation_token::Entity, T::TokenHash))
        .from(invitation_token::Entity)
        .inner_join(invitation::Entity, of_link(T::InvitationId).equals((invitation::Entity, I::Id)))
        .and_where(of_link(T::CreatedAt).lt(before))
        .cond_where(
            Cond::any()
                .add(of_invitation(I::AcceptedAt).lt(before))
                .add(of_invitation(I::CanceledAt).lt(before))
                .add(of_invitation(I::ExpiresAt).lt(before))
                .add(of_link(T::Issue).ne(of_invitation(I::Issue))),
        )
        .lock_with_tables_behavior(LockType::Update, [invitation_token::Entity], LockBehavior::SkipLocked)
        .take()
}
