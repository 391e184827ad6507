//! Which requests were done already: `request_id`, remembered so that a retry has one effect.

use std::time::Duration;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, FieldReason, FieldViolation, Reason, Result};

use super::Write;
use super::entity::request_record;
use super::error::refused;

/// How long a request is remembered.
pub(super) const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which request of whom, and what it asked for.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// The caller's workspace, or the service key.
    pub owner: Uuid,
    pub method: &'static str,
    pub request_id: Uuid,
    fingerprint: [u8; 32],
}

impl RequestKey {
    /// `fields` are the request's fields in their canonical form.
    pub fn new(owner: Uuid, method: &'static str, request_id: Uuid, fields: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for field in fields {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        Self { owner, method, request_id, fingerprint: hash.finalize().into() }
    }

    fn primary_key(&self) -> (Uuid, String, Uuid) {
        (self.owner, self.method.to_owned(), self.request_id)
    }
}

impl Write {
    /// The resource that an earlier request with this id made, if there was one in the last 24 hours.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED` if it asked for something else.
    pub async fn recall_request(&self, key: &RequestKey) -> Result<Option<Uuid>> {
        let row = request_record::Entity::find_by_id(key.primary_key()).one(&self.txn).await.map_err(refused)?;
        match row {
            Some(row) if row.created_at <= self.op.now.minus(REQUEST_MEMORY).as_micros() => Ok(None),
            Some(row) if row.fingerprint == key.fingerprint => Ok(Some(row.resource_id)),
            Some(_) => Err(Error::new(Reason::RequestIdReused).with_field(FieldViolation::new(
                "request_id",
                FieldReason::NotAllowed,
                "was used for a request with other fields",
            ))),
            None => Ok(None),
        }
    }

    /// Remembers that this request made `resource`.
    pub async fn remember_request(&mut self, key: &RequestKey, resource: Uuid) -> Result<()> {
        // One that is older than a day is forgotten, but may not be swept yet. A younger one is somebody else's who was
        // quicker: it stands, and the insertion fails.
        request_record::Entity::delete_many()
            .filter(request_record::Column::OwnerId.eq(key.owner))
            .filter(request_record::Column::Method.eq(key.method))
            .filter(request_record::Column::RequestId.eq(key.request_id))
            .filter(request_record::Column::CreatedAt.lte(self.op.now.minus(REQUEST_MEMORY).as_micros()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        let row = request_record::ActiveModel {
            owner_id: Set(key.owner),
            method: Set(key.method.to_owned()),
            request_id: Set(key.request_id),
            fingerprint: Set(key.fingerprint.to_vec()),
            resource_id: Set(resource),
            created_at: Set(self.op.now.as_micros()),
        };
        request_record::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}
