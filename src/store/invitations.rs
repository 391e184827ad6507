//! Invitations.

use sea_orm::sea_query::{Cond, Condition, Expr};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::clock::Timestamp;
use crate::error::{Reason, Result};
use crate::model::{
    Delivery, DeliveryState, EmailAddress, INVITATION_LIFETIME, Invitation, InvitationId, InvitationState, Page,
    PageRequest, Position, Role, UserId, WorkspaceId,
};

use super::entity::invitation;
use super::error::{corrupt, refused};
use super::memberships::role;
use super::{Store, Write, keyset};

use invitation::Column as I;

/// An invitation to create.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub invitation_id: InvitationId,
    pub workspace_id: WorkspaceId,
    pub email: EmailAddress,
    pub role: Role,
    pub invited_by: Option<UserId>,
    pub founding: bool,
    /// Whether it goes out by e-mail; the operator hands its links over instead.
    pub by_email: bool,
}

/// Which invitations to list. No states means those that were sent and not yet accepted.
#[derive(Clone, Debug, Default)]
pub struct InvitationFilter {
    pub states: Vec<InvitationState>,
}

impl Store {
    /// Invitations, newest first.
    pub async fn invitations(
        &self,
        workspace: WorkspaceId,
        filter: &InvitationFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Invitation>> {
        let states = match filter.states.as_slice() {
            [] => &[InvitationState::Pending, InvitationState::Expired],
            states => states,
        };
        let wanted = states.iter().fold(Cond::any(), |any, state| any.add(in_state(*state, now)));
        let mut query = invitation::Entity::find().filter(I::WorkspaceId.eq(workspace.uuid())).filter(wanted);
        if let Some(Position { number, id, .. }) = &page.after {
            query = query.filter(keyset::before([I::CreatedAt, I::Id], (*number, *id)));
        }
        let rows = query
            .order_by_desc(I::CreatedAt)
            .order_by_desc(I::Id)
            .limit(page.size + 1)
            .all(self.reader())
            .await
            .map_err(refused)?;
        let invitations = rows.into_iter().map(from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(invitations, page.size, |invitation| {
            Position::at_time(invitation.create_time, invitation.invitation_id.uuid())
        }))
    }

    pub async fn invitation(&self, workspace: WorkspaceId, id: InvitationId) -> Result<Invitation> {
        find(self.reader(), workspace, id).await
    }
}

impl Write {
    pub async fn invitation(&self, workspace: WorkspaceId, id: InvitationId) -> Result<Invitation> {
        find(&self.txn, workspace, id).await
    }

    /// The invitation for an address that was neither accepted nor canceled, if any. There is at most one.
    pub async fn open_invitation_for(
        &self,
        workspace: WorkspaceId,
        email: &EmailAddress,
    ) -> Result<Option<Invitation>> {
        let row = invitation::Entity::find()
            .filter(I::WorkspaceId.eq(workspace.uuid()))
            .filter(I::Email.eq(email.as_str()))
            .filter(open())
            .one(&self.txn)
            .await
            .map_err(refused)?;
        row.map(from_row).transpose()
    }

    /// The invitations that a user sent and that were neither accepted nor canceled, expired ones included.
    pub async fn open_invitations_by(&self, workspace: WorkspaceId, sender: UserId) -> Result<Vec<Invitation>> {
        let rows = invitation::Entity::find()
            .filter(I::WorkspaceId.eq(workspace.uuid()))
            .filter(I::InvitedBy.eq(sender.uuid()))
            .filter(open())
            .order_by_desc(I::CreatedAt)
            .order_by_desc(I::Id)
            .all(&self.txn)
            .await
            .map_err(refused)?;
        rows.into_iter().map(from_row).collect()
    }

    /// The founding invitation of a workspace.
    pub async fn founding_invitation(&self, workspace: WorkspaceId) -> Result<Invitation> {
        let row = invitation::Entity::find()
            .filter(I::WorkspaceId.eq(workspace.uuid()))
            .filter(I::Founding.eq(true))
            .order_by_asc(I::CreatedAt)
            .one(&self.txn)
            .await
            .map_err(refused)?;
        from_row(row.ok_or_else(|| corrupt("a workspace without a founding invitation"))?)
    }

    pub async fn insert_invitation(&mut self, new: &NewInvitation) -> Result<()> {
        let now = self.op.now;
        let row = invitation::ActiveModel {
            id: Set(new.invitation_id.uuid()),
            workspace_id: Set(new.workspace_id.uuid()),
            email: Set(new.email.as_str().to_owned()),
            role: Set(new.role.number() as i16),
            issue: Set(1),
            invited_by: Set(new.invited_by.map(UserId::uuid)),
            created_at: Set(now.as_micros()),
            expires_at: Set(now.plus(INVITATION_LIFETIME).as_micros()),
            accepted_at: Set(None),
            accepted_by: Set(None),
            canceled_at: Set(None),
            replaced: Set(false),
            founding: Set(new.founding),
            delivery_state: Set(new.by_email.then_some(DeliveryState::Queued.number() as i16)),
            attempt_count: Set(0),
            last_attempt_at: Set(None),
            last_error: Set(String::new()),
        };
        invitation::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Starts a new issue: the lifetime begins anew, earlier links are superseded, `sender` answers for it from now on.
    pub async fn reissue_invitation(
        &mut self,
        invitation: &Invitation,
        sender: Option<UserId>,
        by_email: bool,
    ) -> Result<()> {
        let delivery = by_email.then_some(DeliveryState::Queued.number() as i16);
        invitation::Entity::update_many()
            .col_expr(I::Issue, Expr::value(invitation.issue + 1))
            .col_expr(I::InvitedBy, Expr::value(sender.map(UserId::uuid)))
            .col_expr(I::ExpiresAt, Expr::value(self.op.now.plus(INVITATION_LIFETIME).as_micros()))
            .col_expr(I::DeliveryState, Expr::value(delivery))
            .col_expr(I::AttemptCount, Expr::value(0))
            .col_expr(I::LastAttemptAt, Expr::value(None::<i64>))
            .col_expr(I::LastError, Expr::value(""))
            .filter(I::Id.eq(invitation.invitation_id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Cancels an invitation. `replaced` says that a newer one takes its place.
    pub async fn cancel_invitation(&mut self, id: InvitationId, replaced: bool) -> Result<()> {
        invitation::Entity::update_many()
            .col_expr(I::CanceledAt, Expr::value(self.op.now.as_micros()))
            .col_expr(I::Replaced, Expr::value(replaced))
            .filter(I::Id.eq(id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    pub async fn accept_invitation(&mut self, id: InvitationId, user: UserId) -> Result<()> {
        invitation::Entity::update_many()
            .col_expr(I::AcceptedAt, Expr::value(self.op.now.as_micros()))
            .col_expr(I::AcceptedBy, Expr::value(user.uuid()))
            .filter(I::Id.eq(id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Records what became of the e-mail of an issue, unless a newer issue has been started.
    pub async fn set_delivery(&mut self, id: InvitationId, issue: i32, delivery: &Delivery) -> Result<()> {
        invitation::Entity::update_many()
            .col_expr(I::DeliveryState, Expr::value(delivery.state.number() as i16))
            .col_expr(I::AttemptCount, Expr::value(delivery.attempt_count))
            .col_expr(I::LastAttemptAt, Expr::value(delivery.last_attempt_time.map(Timestamp::as_micros)))
            .col_expr(I::LastError, Expr::value(delivery.last_error.as_str()))
            .filter(I::Id.eq(id.uuid()))
            .filter(I::Issue.eq(issue))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

async fn find<C: ConnectionTrait>(db: &C, workspace: WorkspaceId, id: InvitationId) -> Result<Invitation> {
    let row = invitation::Entity::find_by_id(id.uuid())
        .filter(I::WorkspaceId.eq(workspace.uuid()))
        .one(db)
        .await
        .map_err(refused)?;
    from_row(row.ok_or(Reason::InvitationNotFound)?)
}

fn open() -> Condition {
    Cond::all().add(I::AcceptedAt.is_null()).add(I::CanceledAt.is_null())
}

/// [`Invitation::state`] as a condition.
fn in_state(state: InvitationState, now: Timestamp) -> Condition {
    match state {
        InvitationState::Pending => open().add(I::ExpiresAt.gt(now.as_micros())),
        InvitationState::Expired => open().add(I::ExpiresAt.lte(now.as_micros())),
        InvitationState::Accepted => Cond::all().add(I::AcceptedAt.is_not_null()),
        InvitationState::Canceled => Cond::all().add(I::AcceptedAt.is_null()).add(I::CanceledAt.is_not_null()),
    }
}

pub(super) fn from_row(row: invitation::Model) -> Result<Invitation> {
    let delivery = match row.delivery_state {
        None => None,
        Some(state) => Some(Delivery {
            state: DeliveryState::from_number(i32::from(state)).ok_or_else(|| corrupt("a delivery state"))?,
            attempt_count: row.attempt_count,
            last_attempt_time: row.last_attempt_at.map(Timestamp::from_micros),
            last_error: row.last_error,
        }),
    };
    Ok(Invitation {
        invitation_id: InvitationId::new(row.id),
        workspace_id: WorkspaceId::new(row.workspace_id),
        email: EmailAddress::from_stored(row.email),
        role: role(row.role)?,
        issue: row.issue,
        invited_by: row.invited_by.map(UserId::new),
        create_time: Timestamp::from_micros(row.created_at),
        expire_time: Timestamp::from_micros(row.expires_at),
        accept_time: row.accepted_at.map(Timestamp::from_micros),
        accepted_by: row.accepted_by.map(UserId::new),
        cancel_time: row.canceled_at.map(Timestamp::from_micros),
        replaced: row.replaced,
        founding: row.founding,
        delivery,
    })
}
