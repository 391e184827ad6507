//! The links of invitations: which invitation, and which issue of it, a token opens.

use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::crypto::TokenHash;
use crate::error::{Reason, Result};
use crate::model::{Invitation, InvitationId};

use super::entity::{invitation, invitation_token};
use super::error::{corrupt, refused};
use super::invitations::from_row;
use super::{Store, Write};

/// A link that exists.
#[derive(Clone, Debug)]
pub struct InvitationLink {
    pub invitation: Invitation,
    /// The issue that the link was made for.
    pub issue: i32,
}

impl Store {
    /// What the invitation token with this hash opens.
    ///
    /// # Errors
    /// `INVITATION_NOT_FOUND` if it was never issued.
    pub async fn invitation_link(&self, token: TokenHash) -> Result<InvitationLink> {
        find(self.reader(), token).await
    }
}

impl Write {
    /// As [`Store::invitation_link`], as of this transaction.
    pub async fn invitation_link(&self, token: TokenHash) -> Result<InvitationLink> {
        find(&self.txn, token).await
    }

    /// Adds a link to an issue of an invitation. All links of the newest issue work.
    pub async fn insert_invitation_link(
        &mut self,
        token: TokenHash,
        invitation: InvitationId,
        issue: i32,
    ) -> Result<()> {
        let row = invitation_token::ActiveModel {
            token_hash: Set(token.to_vec()),
            invitation_id: Set(invitation.uuid()),
            issue: Set(issue),
            created_at: Set(self.op.now.as_micros()),
        };
        invitation_token::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Takes back a link that certainly reached nobody.
    pub async fn delete_invitation_link(&mut self, token: TokenHash) -> Result<()> {
        invitation_token::Entity::delete_many()
            .filter(invitation_token::Column::TokenHash.eq(token.to_vec()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

async fn find<C: ConnectionTrait>(db: &C, token: TokenHash) -> Result<InvitationLink> {
    let link = invitation_token::Entity::find_by_id(token.to_vec()).one(db).await.map_err(refused)?;
    let link = link.ok_or(Reason::InvitationNotFound)?;
    let row = invitation::Entity::find_by_id(link.invitation_id).one(db).await.map_err(refused)?;
    let invitation = from_row(row.ok_or_else(|| corrupt("a link to no invitation"))?)?;
    Ok(InvitationLink { invitation, issue: link.issue })
}
