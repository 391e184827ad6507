//! Workspaces.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    UpdateMany,
};

use crate::error::{Reason, Result};
use crate::model::{Name, Workspace, WorkspaceId};

use super::entity::workspace;
use super::error::refused;
use super::{Store, Write};

impl Store {
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Workspace> {
        find(self.reader(), id).await
    }

    /// Up to `limit` workspaces after `after` in the order of their ids; those of a name, or all.
    pub async fn workspaces(
        &self,
        named: Option<&Name>,
        after: Option<WorkspaceId>,
        limit: u64,
    ) -> Result<Vec<Workspace>> {
        use workspace::Column as W;
        let rows = workspace::Entity::find()
            .apply_if(named, |query, name| query.filter(W::Name.eq(name.as_str())))
            .apply_if(after, |query, id| query.filter(W::Id.gt(id.uuid())))
            .order_by_asc(W::Id)
            .limit(limit)
            .all(self.reader())
            .await
            .map_err(refused)?;
        Ok(rows.into_iter().map(from_row).collect())
    }
}

impl Write {
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Workspace> {
        match &self.workspace {
            Some(locked) if locked.workspace_id == id => Ok(locked.clone()),
            _ => find(&self.txn, id).await,
        }
    }

    /// The oldest workspace of that name, as of this transaction.
    pub async fn workspace_named(&self, name: &Name) -> Result<Option<WorkspaceId>> {
        use workspace::Column as W;
        let query = workspace::Entity::find().filter(W::Name.eq(name.as_str())).order_by_asc(W::CreatedAt);
        Ok(query.one(&self.txn).await.map_err(refused)?.map(|row| WorkspaceId::new(row.id)))
    }

    /// Creates a workspace without members.
    pub async fn insert_workspace(&mut self, id: WorkspaceId, name: &Name) -> Result<()> {
        let row = workspace::ActiveModel {
            id: Set(id.uuid()),
            name: Set(name.as_str().to_owned()),
            revision: Set(1),
            created_at: Set(self.op.now.as_micros()),
            founded_at: Set(None),
            owner_count: Set(0),
        };
        workspace::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    pub async fn rename_workspace(&mut self, id: WorkspaceId, name: &Name) -> Result<()> {
        self.workspace = None;
        workspace::Entity::update_many()
            .col_expr(workspace::Column::Name, Expr::value(name.as_str()))
            .filter(workspace::Column::Id.eq(id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

async fn find<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Workspace> {
    found(workspace::Entity::find_by_id(id.uuid()).one(db).await.map_err(refused)?)
}

/// The workspace in the row of one that may not exist.
pub(super) fn found(row: Option<workspace::Model>) -> Result<Workspace> {
    Ok(from_row(row.ok_or(Reason::WorkspaceNotFound)?))
}

/// What locks a workspace's row.
pub(super) fn locking(id: WorkspaceId) -> UpdateMany<workspace::Entity> {
    use workspace::Column as W;
    workspace::Entity::update_many().col_expr(W::Revision, Expr::col(W::Revision).add(1)).filter(W::Id.eq(id.uuid()))
}

fn from_row(row: workspace::Model) -> Workspace {
    Workspace {
        workspace_id: WorkspaceId::new(row.id),
        name: Name::from_stored(row.name),
        create_time: crate::clock::Timestamp::from_micros(row.created_at),
        found_time: row.founded_at.map(crate::clock::Timestamp::from_micros),
        owner_count: row.owner_count,
    }
}
