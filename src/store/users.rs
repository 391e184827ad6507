//! People's accounts, across all workspaces.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, UpdateMany};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::{Account, EmailAddress, Name, PasswordHash, UserId, WorkspaceId};

use super::entity::user;
use super::error::refused;
use super::memberships::default_workspace_query;
use super::{Store, Write};

impl Store {
    /// The account of an address. Only what proves the address or a password may ask.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        by_email(self.reader(), email).await
    }

    /// What a sign-in with an address is about: the account, and the workspace that it goes to if none is named.
    ///
    /// It reads as much whether there is such an account or not, see [`nearest`].
    pub async fn sign_in_subject(&self, email: &EmailAddress) -> Result<Option<(Account, Option<WorkspaceId>)>> {
        use user::Column as U;
        let query = Query::select()
            .columns([U::Id, U::Email, U::DisplayName, U::PasswordHash].map(|column| (user::Entity, column)))
            .expr_as(Expr::from(default_workspace_query(Expr::col((user::Entity, U::Id)))), "workspace_id")
            .from(user::Entity)
            .and_where(Expr::col((user::Entity, U::Email)).eq(nearest(email)))
            .take();
        let Some(row) = self.reader().query_one(&query).await.map_err(refused)? else {
            return Ok(None);
        };
        let (account, workspace) = SubjectRow::from_query_result(&row, "").map_err(refused)?.subject();
        Ok((account.email == *email).then_some((account, workspace)))
    }

    pub async fn account(&self, id: UserId) -> Result<Account> {
        account_of(user::Entity::find_by_id(id.uuid()).one(self.reader()).await.map_err(refused)?)
    }
}

impl Write {
    /// As [`Store::account_by_email`], as of this transaction.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        by_email(&self.txn, email).await
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

#[derive(FromQueryResult)]
struct SubjectRow {
    id: Uuid,
    email: String,
    display_name: String,
    password_hash: String,
    workspace_id: Option<Uuid>,
}

impl SubjectRow {
    fn subject(self) -> (Account, Option<WorkspaceId>) {
        let account = Account {
            user_id: UserId::new(self.id),
            email: EmailAddress::from_stored(self.email),
            display_name: Name::from_stored(self.display_name),
            password_hash: PasswordHash::from_stored(self.password_hash),
        };
        (account, self.workspace_id.map(WorkspaceId::new))
    }
}

/// An address that has an account, or the next one that has, after the last the first.
///
/// What is asked by strangers reads that account and forgets it if it is another's. To read nothing for an unknown address
/// would take less time, by enough for a clock to tell who has an account. Past the last address the first is looked for
/// too: that can tell where the last one is in the order, and not who has an account.
pub(super) fn nearest(email: &EmailAddress) -> Expr {
    use user::Column as U;
    // Not by order and limit: PostgreSQL expects an unknown limit to be a tenth of the rows, here of all accounts, and rather
    // plans the statement anew each time than for any limit, which takes longer than to find the rows.
    let first = || Query::select().expr(Func::min(Expr::col(U::Email))).from(user::Entity).take();
    let next = first().and_where(Expr::col(U::Email).gte(email.as_str())).take();
    Func::coalesce([Expr::from(next), Expr::from(first())]).into()
}

async fn by_email<C: ConnectionTrait>(db: &C, email: &EmailAddress) -> Result<Option<Account>> {
    let query = user::Entity::find().filter(user::Column::Email.eq(email.as_str()));
    Ok(query.one(db).await.map_err(refused)?.map(from_row))
}

/// The account in the row of somebody who has one.
pub(super) fn account_of(row: Option<user::Model>) -> Result<Account> {
    row.map(from_row).ok_or_else(|| Error::internal("a member without an account"))
}

/// What locks a user's row.
pub(super) fn locking(id: UserId) -> UpdateMany<user::Entity> {
    use user::Column as U;
    user::Entity::update_many().col_expr(U::Revision, Expr::col(U::Revision).add(1)).filter(U::Id.eq(id.uuid()))
}

fn from_row(row: user::Model) -> Account {
    Account {
        user_id: UserId::new(row.id),
        email: EmailAddress::from_stored(row.email),
        display_name: Name::from_stored(row.display_name),
        password_hash: PasswordHash::from_stored(row.password_hash),
    }
}
