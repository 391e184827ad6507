//! Password resets: which account a mailed link opens.
//!
//! An account counts its issues. Making an e-mail with a link starts a new one, and so does setting a password: links of
//! an earlier issue are dead from that moment, and what was asked for before it is not mailed any more.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::error::{Reason, Result};
use crate::model::{EmailAddress, UserId};

use super::entity::{password_reset, user};
use super::error::{corrupt, refused};
use super::users::nearest;
use super::{Store, Write};

impl Store {
    /// The user whose password a reset token with this hash may set at `now`.
    ///
    /// # Errors
    /// `RESET_NOT_FOUND` if it was never issued, is superseded, used or expired: one answer.
    pub async fn reset_link(&self, token: TokenHash, now: Timestamp) -> Result<UserId> {
        find(self.reader(), token, now).await
    }
}

impl Write {
    /// As [`Store::reset_link`], as of this transaction.
    pub async fn reset_link(&self, token: TokenHash) -> Result<UserId> {
        find(&self.txn, token, self.op.now).await
    }

    /// The newest issue of an account's resets.
    pub async fn reset_issue(&self, user: UserId) -> Result<i32> {
        issue_of(&self.txn, user).await
    }

    /// The account of an address, and the newest issue of its resets. It reads as much whether there is one or not, see
    /// [`nearest`].
    pub async fn reset_issue_by_email(&self, email: &EmailAddress) -> Result<Option<(UserId, i32)>> {
        let row: Option<(uuid::Uuid, String, i32)> = user::Entity::find()
            .select_only()
            .columns([user::Column::Id, user::Column::Email, user::Column::ResetIssue])
            .filter(Expr::col(user::Column::Email).eq(nearest(email)))
            .into_tuple()
            .one(&self.txn)
            .await
            .map_err(refused)?;
        let found = row.filter(|(_, found, _)| found == email.as_str());
        Ok(found.map(|(id, _, issue)| (UserId::new(id), issue)))
    }

    /// Starts a new issue, so that every earlier link is dead. The user's row is locked.
    pub async fn start_reset_issue(&mut self, user: UserId) -> Result<i32> {
        user::Entity::update_many()
            .col_expr(user::Column::ResetIssue, ExprTrait::add(Expr::col(user::Column::ResetIssue), 1))
            .filter(user::Column::Id.eq(user.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        self.reset_issue(user).await
    }

    /// Adds a link to an issue.
    pub async fn insert_reset_link(
        &mut self,
        token: TokenHash,
        user: UserId,
        issue: i32,
        expires: Timestamp,
    ) -> Result<()> {
        let row = password_reset::ActiveModel {
            token_hash: Set(token.to_vec()),
            user_id: Set(user.uuid()),
            issue: Set(issue),
            created_at: Set(self.op.now.as_micros()),
            expires_at: Set(expires.as_micros()),
        };
        password_reset::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Takes back a link that certainly reached nobody.
    pub async fn delete_reset_link(&mut self, token: TokenHash) -> Result<()> {
        password_reset::Entity::delete_many()
            .filter(password_reset::Column::TokenHash.eq(token.to_vec()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

async fn find<C: ConnectionTrait>(db: &C, token: TokenHash, now: Timestamp) -> Result<UserId> {
    let link = password_reset::Entity::find_by_id(token.to_vec()).one(db).await.map_err(refused)?;
    let link = link.ok_or(Reason::ResetNotFound)?;
    let user = UserId::new(link.user_id);
    let newest = issue_of(db, user).await?;
    if link.issue != newest || now >= Timestamp::from_micros(link.expires_at) {
        return Err(Reason::ResetNotFound.into());
    }
    Ok(user)
}

async fn issue_of<C: ConnectionTrait>(db: &C, user: UserId) -> Result<i32> {
    let issue: Option<i32> = user::Entity::find_by_id(user.uuid())
        .select_only()
        .column(user::Column::ResetIssue)
        .into_tuple()
        .one(db)
        .await
        .map_err(refused)?;
    issue.ok_or_else(|| corrupt("a password reset of nobody"))
}
