//! Housekeeping: what has served its purpose goes, in bounded batches, and what was used is marked as used.
//!
//! Users, memberships and invitations stay for ever, audit events for as long as is configured.

use std::time::Duration;

use sea_orm::sea_query::{Cond, Condition, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{ServiceKeyId, SessionId, SessionLifetime};

use super::Write;
use super::entity::{
    audit_event, invitation, invitation_token, known_device, membership, outbox, password_reset, request_record,
    service_key, session, throttle,
};
use super::error::refused;
use super::requests::REQUEST_MEMORY;

/// How long things stay after they have served their purpose, and how many rows of each kind go at once.
#[derive(Clone, Copy, Debug)]
pub struct SweepLimits {
    pub lifetime: SessionLifetime,
    /// Ended sessions: as long as a repeated `RevokeSession` or `SignOut` is recognised.
    pub ended_sessions: Duration,
    /// Links of invitations that were accepted, canceled, superseded or have expired: as long as they say how they died.
    pub dead_links: Duration,
    /// Settled outbox rows.
    pub settled_emails: Duration,
    pub audit_events: Duration,
    pub batch: u64,
}

impl Write {
    /// Deletes one batch of everything that is due. Answers how many rows went, by kind; fewer than a batch of each
    /// means that nothing more is due.
    pub async fn sweep(&mut self, limits: &SweepLimits) -> Result<Vec<(&'static str, u64)>> {
        let now = self.op.now;
        let before = |keep: Duration| now.minus(keep).as_micros();
        let links = dead_links(before(limits.dead_links)).limit(limits.batch).take();
        let emails = Query::select()
            .column(outbox::Column::Id)
            .from(outbox::Entity)
            .and_where(outbox::Column::SettledAt.lt(before(limits.settled_emails)))
            .limit(limits.batch)
            .take();
        let resets = Query::select()
            .column(password_reset::Column::TokenHash)
            .from(password_reset::Entity)
            .and_where(password_reset::Column::ExpiresAt.lt(now.as_micros()))
            .limit(limits.batch)
            .take();
        let devices = Query::select()
            .column(known_device::Column::TokenHash)
            .from(known_device::Entity)
            .and_where(known_device::Column::ExpiresAt.lt(now.as_micros()))
            .limit(limits.batch)
            .take();
        let counters = Query::select()
            .column(throttle::Column::Key)
            .from(throttle::Entity)
            .and_where(throttle::Column::ExpiresAt.lt(now.as_micros()))
            .limit(limits.batch)
            .take();
        let events = Query::select()
            .column(audit_event::Column::Id)
            .from(audit_event::Entity)
            .and_where(audit_event::Column::OccurredAt.lt(before(limits.audit_events)))
            .limit(limits.batch)
            .take();
        Ok(vec![
            ("sessions", self.sweep_sessions(limits).await?),
            ("links", self.delete::<invitation_token::Entity>(invitation_token::Column::TokenHash, links).await?),
            ("resets", self.delete::<password_reset::Entity>(password_reset::Column::TokenHash, resets).await?),
            ("devices", self.delete::<known_device::Entity>(known_device::Column::TokenHash, devices).await?),
            ("counters", self.delete::<throttle::Entity>(throttle::Column::Key, counters).await?),
            ("emails", self.delete::<outbox::Entity>(outbox::Column::Id, emails).await?),
            ("audit events", self.delete::<audit_event::Entity>(audit_event::Column::Id, events).await?),
            ("requests", self.forget_requests(before(REQUEST_MEMORY), limits.batch).await?),
        ])
    }

    /// Sessions that were ended, that expired, and that died of disuse. They are three statements since each has an
    /// index of its own; joined by OR, all sessions would be read.
    async fn sweep_sessions(&mut self, limits: &SweepLimits) -> Result<u64> {
        use session::Column as S;
        let end = self.op.now.minus(limits.ended_sessions);
        let unused = end.minus(limits.lifetime.idle);
        let mut swept = 0;
        for (time, before) in [(S::EndedAt, end), (S::ExpiresAt, end), (S::LastUsedAt, unused)] {
            let which = Query::select()
                .column(S::Id)
                .from(session::Entity)
                .and_where(time.lt(before.as_micros()))
                .limit(limits.batch)
                .take();
            swept += self.delete::<session::Entity>(S::Id, which).await?;
        }
        Ok(swept)
    }

    async fn delete<E: EntityTrait>(&mut self, id: E::Column, which: SelectStatement) -> Result<u64> {
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
            .take();
        let key = Expr::tuple([R::OwnerId, R::Method, R::RequestId].map(Expr::col));
        let delete = Query::delete().from_table(request_record::Entity).and_where(key.in_subquery(which)).take();
        Ok(self.txn.execute(&delete).await.map_err(refused)?.rows_affected())
    }

    /// Marks sessions, and the memberships that they stand on, as used at `at`. Later marks stand.
    pub async fn touch_sessions(&mut self, sessions: &[SessionId], at: Timestamp) -> Result<()> {
        use membership::Column as M;
        use session::Column as S;
        let which: Condition = Cond::all().add(S::Id.is_in(sessions.iter().map(|id| id.uuid())));
        session::Entity::update_many()
            .col_expr(S::LastUsedAt, Expr::value(at.as_micros()))
            .filter(which.clone())
            .filter(S::LastUsedAt.lt(at.as_micros()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        let used = Query::select().columns([S::WorkspaceId, S::UserId]).from(session::Entity).cond_where(which).take();
        membership::Entity::update_many()
            .col_expr(M::LastSeenAt, Expr::value(at.as_micros()))
            .filter(Expr::tuple([Expr::col(M::WorkspaceId), Expr::col(M::UserId)]).in_subquery(used))
            .filter(Cond::any().add(M::LastSeenAt.is_null()).add(M::LastSeenAt.lt(at.as_micros())))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Marks service keys as used at `at`. Later marks stand.
    pub async fn touch_service_keys(&mut self, keys: &[ServiceKeyId], at: Timestamp) -> Result<()> {
        use service_key::Column as K;
        service_key::Entity::update_many()
            .col_expr(K::LastUsedAt, Expr::value(at.as_micros()))
            .filter(K::Id.is_in(keys.iter().map(|id| id.uuid())))
            .filter(Cond::any().add(K::LastUsedAt.is_null()).add(K::LastUsedAt.lt(at.as_micros())))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
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
        .take()
}
