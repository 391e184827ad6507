//! Service keys: the credentials of other internal services.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::authz::ServiceScope;
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::{ServiceKeyId, WorkspaceId};

use super::access::{scope_bits, scopes_of};
use super::entity::service_key;
use super::error::refused;
use super::{Store, Write};

use service_key::Column as K;

/// A key to create.
#[derive(Clone, Debug)]
pub struct NewServiceKey {
    pub key_id: ServiceKeyId,
    pub name: String,
    pub token: TokenHash,
    pub scopes: Vec<ServiceScope>,
    pub workspace: Option<WorkspaceId>,
    pub expire_time: Option<Timestamp>,
}

/// A key as the operator sees it. The key itself was printed once and is not known any more.
#[derive(Clone, Debug)]
pub struct ServiceKey {
    pub key_id: ServiceKeyId,
    pub name: String,
    pub scopes: Vec<ServiceScope>,
    pub workspace: Option<WorkspaceId>,
    pub create_time: Timestamp,
    pub expire_time: Option<Timestamp>,
    pub revoke_time: Option<Timestamp>,
    pub last_used_time: Option<Timestamp>,
}

impl Store {
    /// All keys by name, revoked and expired ones included.
    pub async fn service_keys(&self) -> Result<Vec<ServiceKey>> {
        let rows = service_key::Entity::find().order_by_asc(K::Name).all(self.reader()).await.map_err(refused)?;
        rows.into_iter().map(from_row).collect()
    }
}

impl Write {
    /// Adds a key. Answers whether its name was free: names are never used again.
    pub async fn insert_service_key(&mut self, new: &NewServiceKey) -> Result<bool> {
        let row = service_key::ActiveModel {
            id: Set(new.key_id.uuid()),
            name: Set(new.name.clone()),
            key_hash: Set(new.token.to_vec()),
            scopes: Set(scope_bits(&new.scopes)),
            workspace_id: Set(new.workspace.map(WorkspaceId::uuid)),
            created_at: Set(self.op.now.as_micros()),
            expires_at: Set(new.expire_time.map(Timestamp::as_micros)),
            revoked_at: Set(None),
            last_used_at: Set(None),
        };
        // An error would end the transaction on PostgreSQL, and with it the question which of the two was violated.
        let taken = OnConflict::column(K::Name).do_nothing().to_owned();
        let inserted = service_key::Entity::insert(row).on_conflict(taken).exec_without_returning(&self.txn).await;
        match inserted {
            Ok(rows) => Ok(rows > 0),
            Err(DbErr::RecordNotInserted) => Ok(false),
            Err(error) => Err(refused(error)),
        }
    }

    pub async fn service_key_named(&self, name: &str) -> Result<Option<ServiceKey>> {
        let row = service_key::Entity::find().filter(K::Name.eq(name)).one(&self.txn).await.map_err(refused)?;
        row.map(from_row).transpose()
    }

    /// Revokes a key. The time of a first revocation stands.
    pub async fn revoke_service_key(&mut self, id: ServiceKeyId) -> Result<()> {
        service_key::Entity::update_many()
            .col_expr(K::RevokedAt, Expr::value(self.op.now.as_micros()))
            .filter(K::Id.eq(id.uuid()))
            .filter(K::RevokedAt.is_null())
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

fn from_row(row: service_key::Model) -> Result<ServiceKey> {
    Ok(ServiceKey {
        key_id: ServiceKeyId::new(row.id),
        name: row.name,
        scopes: scopes_of(row.scopes)?,
        workspace: row.workspace_id.map(WorkspaceId::new),
        create_time: Timestamp::from_micros(row.created_at),
        expire_time: row.expires_at.map(Timestamp::from_micros),
        revoke_time: row.revoked_at.map(Timestamp::from_micros),
        last_used_time: row.last_used_at.map(Timestamp::from_micros),
    })
}
