//! The audit log. Events are added in the transaction of what they record and never changed.

use std::collections::BTreeMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::new_uuid;
use crate::error::{Error, Result};
use crate::model::{
    AuditAction, AuditActor, AuditEvent, AuditEventId, AuditFilter, AuditRecord, InvitationId, Page, PageRequest,
    Position, UserId, WorkspaceId,
};

use super::entity::audit_event;
use super::error::{corrupt, refused};
use super::{Store, Write, keyset};

use audit_event::Column as A;

const ACTOR_USER: i16 = 1;
const ACTOR_SERVICE_KEY: i16 = 2;
const ACTOR_OPERATOR: i16 = 3;
const ACTOR_SYSTEM: i16 = 4;

impl Store {
    /// Events, newest first.
    pub async fn audit_events(
        &self,
        workspace: WorkspaceId,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEvent>> {
        let mut query = audit_event::Entity::find().filter(A::WorkspaceId.eq(workspace.uuid()));
        if !filter.actions.is_empty() {
            query = query.filter(A::Action.is_in(filter.actions.iter().map(|action| action.number())));
        }
        if let Some(actor) = filter.actor_user {
            query = query.filter(A::ActorUserId.eq(actor.uuid()));
        }
        if let Some(target) = filter.target_user {
            query = query.filter(A::TargetUserId.eq(target.uuid()));
        }
        if let Some(start) = filter.start {
            query = query.filter(A::OccurredAt.gte(start.as_micros()));
        }
        // One upper bound: of two, SQLite seeks to either. No event is before the nil id of its moment.
        let end = filter.end.map(|end| (end.as_micros(), Uuid::nil()));
        let position = page.after.as_ref().map(|position| (position.number, position.id));
        if let Some(bound) = end.into_iter().chain(position).min() {
            query = query.filter(keyset::before([A::OccurredAt, A::Id], bound));
        }
        let rows = query
            .order_by_desc(A::OccurredAt)
            .order_by_desc(A::Id)
            .limit(page.size + 1)
            .all(self.reader())
            .await
            .map_err(refused)?;
        let events = rows.into_iter().map(from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(events, page.size, |event| Position::at_time(event.time, event.event_id.uuid())))
    }
}

impl Write {
    /// Records what this transaction does, as done by the operation's caller.
    pub async fn audit(&mut self, workspace: WorkspaceId, record: AuditRecord) -> Result<()> {
        let actor = self.op.caller.actor();
        self.audit_as(workspace, actor, record, 1).await
    }

    /// As [`Write::audit`], for an actor whom the caller proved to be (by a password), or for counted refusals.
    pub async fn audit_as(
        &mut self,
        workspace: WorkspaceId,
        actor: AuditActor,
        record: AuditRecord,
        repeat_count: i32,
    ) -> Result<()> {
        let (kind, user, name) = match actor {
            AuditActor::User(user) => (ACTOR_USER, Some(user.uuid()), None),
            AuditActor::ServiceKey(name) => (ACTOR_SERVICE_KEY, None, Some(name)),
            AuditActor::Operator => (ACTOR_OPERATOR, None, None),
            AuditActor::System => (ACTOR_SYSTEM, None, None),
        };
        let row = audit_event::ActiveModel {
            id: Set(new_uuid(self.op.now)),
            workspace_id: Set(workspace.uuid()),
            action: Set(record.action.number() as i16),
            actor_kind: Set(kind),
            actor_user_id: Set(user),
            actor_name: Set(name),
            target_user_id: Set(record.target_user.map(UserId::uuid)),
            target_invitation_id: Set(record.target_invitation.map(InvitationId::uuid)),
            occurred_at: Set(self.op.now.as_micros()),
            client_address: Set(self.op.peer.address.map(|address| address.to_string()).unwrap_or_default()),
            details: Set(serde_json::to_string(&record.details).map_err(Error::internal)?),
            repeat_count: Set(repeat_count),
        };
        audit_event::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}

fn from_row(row: audit_event::Model) -> Result<AuditEvent> {
    let actor = match (row.actor_kind, row.actor_user_id, row.actor_name) {
        (ACTOR_USER, Some(user), _) => AuditActor::User(UserId::new(user)),
        (ACTOR_SERVICE_KEY, _, Some(name)) => AuditActor::ServiceKey(name),
        (ACTOR_OPERATOR, ..) => AuditActor::Operator,
        (ACTOR_SYSTEM, ..) => AuditActor::System,
        _ => return Err(corrupt("an audit actor")),
    };
    let details: BTreeMap<String, String> = serde_json::from_str(&row.details).map_err(Error::internal)?;
    Ok(AuditEvent {
        event_id: AuditEventId::new(row.id),
        action: AuditAction::from_number(i32::from(row.action)).ok_or_else(|| corrupt("an audit action"))?,
        actor,
        target_user: row.target_user_id.map(UserId::new),
        target_invitation: row.target_invitation_id.map(InvitationId::new),
        time: Timestamp::from_micros(row.occurred_at),
        client_address: row.client_address,
        details,
        repeat_count: row.repeat_count,
    })
}
