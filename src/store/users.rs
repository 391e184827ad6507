//! People's accounts, across all workspaces.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::error::{Error, Result};
use crate::model::{Account, EmailAddress, Name, PasswordHash, UserId};

use super::entity::user;
use super::error::refused;
use super::{Store, Write};

impl Store {
    /// The account of an address. Only what proves the address or a password may ask.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        by_email(self.reader(), email).await
    }

    pub async fn account(&self, id: UserId) -> Result<Account> {
        by_id(self.reader(), id).await
    }
}

impl Write {
    /// As [`Store::account_by_email`], as of this transaction.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        by_email(&self.txn, email).await
    }

    pub async fn account(&self, id: UserId) -> Result<Account> {
        by_id(&self.txn, id).await
    }

    pub async fn insert_account(&mut self, account: &Account) -> Result<()> {
        let row = user::ActiveModel {
            id: Set(account.user_id.uuid()),
            email: Set(account.email.as_str().to_owned()),
            display_name: Set(account.display_name.as_str().to_owned()),
            password_hash: Set(account.password_hash.as_str().to_owned()),
            revision: Set(1),
            created_at: Set(self.op.now.as_micros()),
            reset_issue: Set(0),
        };
        user::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        Ok(())
    }

    /// Replaces the password's hash.
    pub async fn set_password(&mut self, id: UserId, hash: &PasswordHash) -> Result<()> {
        user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(hash.as_str()))
            .filter(user::Column::Id.eq(id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    /// Renames the account; the memberships' copies are renamed by [`Write::rename_memberships`].
    pub async fn rename_account(&mut self, id: UserId, name: &Name) -> Result<()> {
        user::Entity::update_many()
            .col_expr(user::Column::DisplayName, Expr::value(name.as_str()))
            .filter(user::Column::Id.eq(id.uuid()))
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

async fn by_email<C: ConnectionTrait>(db: &C, email: &EmailAddress) -> Result<Option<Account>> {
    let query = user::Entity::find().filter(user::Column::Email.eq(email.as_str()));
    Ok(query.one(db).await.map_err(refused)?.map(from_row))
}

async fn by_id<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Account> {
    let row = user::Entity::find_by_id(id.uuid()).one(db).await.map_err(refused)?;
    row.map(from_row).ok_or_else(|| Error::internal("a member without an account"))
}

fn from_row(row: user::Model) -> Account {
    Account {
        user_id: UserId::new(row.id),
        email: EmailAddress::from_stored(row.email),
        display_name: Name::from_stored(row.display_name),
        password_hash: PasswordHash::from_stored(row.password_hash),
    }
}
