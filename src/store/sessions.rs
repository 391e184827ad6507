//! Sessions. They are ended by a mark and swept later, so that ending one twice is known to be that.

use std::time::Duration;

use sea_orm::sea_query::{Cond, Condition, Expr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};

use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::{Error, Reason, Result};
use crate::model::{
    END_IN_DOUBT, MAX_SESSIONS_PER_USER, Page, PageRequest, Peer, Position, Role, Session, SessionId, SessionLifetime,
    SignInId, UserId, WorkspaceId,
};

use super::entity::session;
use super::error::refused;
use super::{Store, Write, inserted, keyset, memberships};

use session::Column as S;

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub session: Session,
    /// That of the membership, which the database sees to as well.
    pub role: Role,
    pub token: TokenHash,
}

impl Store {
    /// A user's own live sessions in all workspaces, newest first.
    pub async fn live_sessions_of(
        &self,
        user: UserId,
        lifetime: SessionLifetime,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Session>> {
        let mut query = session::Entity::find().filter(S::UserId.eq(user.uuid())).filter(live(lifetime, now));
        if let Some(Position { number, id, .. }) = &page.after {
            query = query.filter(keyset::before([S::CreatedAt, S::Id], (*number, *id)));
        }
        let rows = query
            .order_by_desc(S::CreatedAt)
            .order_by_desc(S::Id)
            .limit(page.size + 1)
            .all(self.reader())
            .await
            .map_err(refused)?;
        let sessions = rows.into_iter().map(from_row).collect();
        Ok(Page::cut(sessions, page.size, |session: &Session| {
            Position::at_time(session.create_time, session.session_id.uuid())
        }))
    }

    pub async fn session(&self, id: SessionId) -> Result<Session> {
        find(self.reader(), id).await
    }
}

impl Write {
    /// Begins a session. The user's row is locked. If the user then has more than the most sessions, the oldest end. Those
    /// that time ended some while ago are marked as ended, so that not many more than the most are not.
    pub async fn insert_session(&mut self, new: &NewSession, lifetime: SessionLifetime) -> Result<()> {
        let session = &new.session;
        let row = session::ActiveModel {
            token_key: Set(new.token.key().number()),
            id: Set(session.session_id.uuid()),
            token_hash: Set(new.token.to_vec()),
            sign_in_id: Set(session.sign_in_id.uuid()),
            user_id: Set(session.user_id.uuid()),
            workspace_id: Set(session.workspace_id.uuid()),
            created_at: Set(session.create_time.as_micros()),
            last_used_at: Set(session.last_used_time.as_micros()),
            expires_at: Set(session.expire_time.as_micros()),
            authenticated_at: Set(session.authenticate_time.as_micros()),
            role: Set(Some(memberships::number(new.role))),
            ended_at: Set(None),
            signed_out: Set(false),
            user_agent: Set(session.peer.user_agent.clone()),
            client_address: Set(session.peer.address.map(|address| address.to_string()).unwrap_or_default()),
        };
        let unended = Cond::all().add(S::UserId.eq(session.user_id.uuid())).add(S::Role.is_not_null());
        let count = || session::Entity::find().select_only().column_as(S::Id.count(), "count").filter(unended.clone());
        let dead = live(lifetime, self.op.now.minus(END_IN_DOUBT)).not();
        let counts = [count().filter(live(lifetime, self.op.now)), count().filter(dead.clone())];
        let inserted = inserted(&self.txn, session::Entity::insert(row), counts).await;
        let [live, long_dead] = inserted.map_err(|error| match error.sql_err() {
            // The membership has another role by now, or has ended.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::new(Reason::Conflict).caused_by(error),
            _ => refused(error),
        })?;
        if live >= MAX_SESSIONS_PER_USER {
            self.end_surplus_sessions(session.user_id, lifetime).await?;
        }
        if long_dead > 0 { self.mark_dead(unended.add(dead)).await } else { Ok(()) }
    }

    async fn end_surplus_sessions(&mut self, user: UserId, lifetime: SessionLifetime) -> Result<()> {
        let surplus: Vec<uuid::Uuid> = session::Entity::find()
            .select_only()
            .column(S::Id)
            .filter(S::UserId.eq(user.uuid()))
            .filter(live(lifetime, self.op.now))
            .order_by_desc(S::CreatedAt)
            .order_by_desc(S::Id)
            .offset(MAX_SESSIONS_PER_USER)
            .limit(MAX_SESSIONS_PER_USER)
            .into_tuple()
            .all(&self.txn)
            .await
            .map_err(refused)?;
        if !surplus.is_empty() {
            self.end(Cond::all().add(S::Id.is_in(surplus)), false).await?;
        }
        Ok(())
    }

    /// One of a user's own sessions, live or ended.
    pub async fn session_of(&self, user: UserId, id: SessionId) -> Result<Session> {
        let session = find(&self.txn, id).await?;
        if session.user_id == user { Ok(session) } else { Err(Reason::SessionNotFound.into()) }
    }

    /// Ends a member's sessions in one workspace. Answers how many were live.
    pub async fn end_sessions_in(
        &mut self,
        workspace: WorkspaceId,
        user: UserId,
        lifetime: SessionLifetime,
    ) -> Result<u64> {
        let which = Cond::all().add(S::WorkspaceId.eq(workspace.uuid())).add(S::UserId.eq(user.uuid()));
        self.end_counting_live(which, lifetime, false).await
    }

    /// Ends every session of a sign-in. `by_sign_out` says that the sign-in did it itself.
    pub async fn end_sign_in(
        &mut self,
        user: UserId,
        sign_in: SignInId,
        lifetime: SessionLifetime,
        by_sign_out: bool,
    ) -> Result<u64> {
        let which = Cond::all().add(S::UserId.eq(user.uuid())).add(S::SignInId.eq(sign_in.uuid()));
        self.end_counting_live(which, lifetime, by_sign_out).await
    }

    /// Ends all sign-ins of a user but one, in all workspaces.
    pub async fn end_other_sign_ins(&mut self, user: UserId, keep: SignInId, lifetime: SessionLifetime) -> Result<u64> {
        let which = Cond::all().add(S::UserId.eq(user.uuid())).add(S::SignInId.ne(keep.uuid()));
        self.end_counting_live(which, lifetime, false).await
    }

    /// Ends all sessions of a user, in all workspaces.
    pub async fn end_all_sessions(&mut self, user: UserId, lifetime: SessionLifetime) -> Result<u64> {
        self.end_counting_live(Cond::all().add(S::UserId.eq(user.uuid())), lifetime, false).await
    }

    /// Notes that the password of a sign-in was given again.
    pub async fn refresh_sign_in(&mut self, user: UserId, sign_in: SignInId) -> Result<()> {
        session::Entity::update_many()
            .col_expr(S::AuthenticatedAt, Expr::value(self.op.now.as_micros()))
            .filter(S::UserId.eq(user.uuid()))
            .filter(S::SignInId.eq(sign_in.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Those that time has ended already are marked as well; they do not count, and nobody signed them out.
    async fn end_counting_live(
        &mut self,
        which: Condition,
        lifetime: SessionLifetime,
        by_sign_out: bool,
    ) -> Result<u64> {
        let ended = self.end(which.clone().add(live(lifetime, self.op.now)), by_sign_out).await?;
        self.mark_dead(which).await?;
        Ok(ended)
    }

    /// Marks what time has ended, so that no other setting or clock can revive it. Of what ends at the same moment by
    /// somebody's will it comes first.
    async fn mark_dead(&mut self, which: Condition) -> Result<()> {
        let end = self.op.now.minus(Duration::from_micros(1));
        let marked = self.end_at(end, which, false).await?;
        tracing::debug!(marked, "sessions that time had ended are marked");
        Ok(())
    }

    async fn end(&mut self, which: Condition, by_sign_out: bool) -> Result<u64> {
        self.end_at(self.op.now, which, by_sign_out).await
    }

    async fn end_at(&mut self, end: Timestamp, which: Condition, by_sign_out: bool) -> Result<u64> {
        let ended = session::Entity::update_many()
            .col_expr(S::EndedAt, Expr::value(end.as_micros()))
            .col_expr(S::Role, Expr::value(None::<i16>))
            .col_expr(S::SignedOut, Expr::value(by_sign_out))
            .filter(which)
            .filter(S::Role.is_not_null())
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(ended.rows_affected)
    }
}

async fn find<C: ConnectionTrait>(db: &C, id: SessionId) -> Result<Session> {
    let row = session::Entity::find().filter(S::Id.eq(id.uuid())).one(db).await.map_err(refused)?;
    Ok(from_row(row.ok_or(Reason::SessionNotFound)?))
}

/// What a session has to be to count as live at `now`.
fn live(lifetime: SessionLifetime, now: Timestamp) -> Condition {
    Cond::all()
        .add(S::Role.is_not_null())
        .add(S::ExpiresAt.gt(now.as_micros()))
        .add(S::LastUsedAt.gt(now.minus(lifetime.idle).as_micros()))
}

fn from_row(row: session::Model) -> Session {
    Session {
        session_id: SessionId::new(row.id),
        sign_in_id: SignInId::new(row.sign_in_id),
        workspace_id: WorkspaceId::new(row.workspace_id),
        user_id: UserId::new(row.user_id),
        create_time: Timestamp::from_micros(row.created_at),
        last_used_time: Timestamp::from_micros(row.last_used_at),
        expire_time: Timestamp::from_micros(row.expires_at),
        authenticate_time: Timestamp::from_micros(row.authenticated_at),
        peer: Peer { address: row.client_address.parse().ok(), user_agent: row.user_agent },
    }
}
