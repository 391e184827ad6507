//! Memberships: who belongs to a workspace, with which role.

use sea_orm::sea_query::{Cond, Condition, Expr, ExprTrait, LikeExpr, Order, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};

use crate::clock::Timestamp;
use crate::error::{Reason, Result};
use crate::model::{
    Account, EmailAddress, Member, Name, Page, PageRequest, Position, Role, UserId, UserState, WorkspaceId,
    WorkspaceMembership, fold_for_search,
};

use super::entity::{membership, workspace};
use super::error::{corrupt, refused, refused_by_owner_count};
use super::last_use::{MemberRow, with_latest_use};
use super::{Store, Write, keyset, updated};

use membership::Column as M;

/// Which members to list.
#[derive(Clone, Debug, Default)]
pub struct MemberFilter {
    /// Empty means every role.
    pub roles: Vec<Role>,
    /// A part of the name or the address, literally, in any case. Empty means all.
    pub query: String,
    pub include_removed: bool,
}

impl Store {
    /// Members by address.
    pub async fn members(
        &self,
        workspace: WorkspaceId,
        filter: &MemberFilter,
        page: &PageRequest,
    ) -> Result<Page<Member>> {
        let mut query = with_latest_use().filter(M::WorkspaceId.eq(workspace.uuid()));
        if !filter.include_removed {
            query = query.filter(M::RemovedAt.is_null());
        }
        if !filter.roles.is_empty() {
            query = query.filter(M::Role.is_in(filter.roles.iter().map(|role| role.number())));
        }
        if !filter.query.is_empty() {
            let pattern = LikeExpr::new(format!("%{}%", escape_like(&fold_for_search(&filter.query)))).escape('\\');
            query = query.filter(Expr::col(M::SearchText).like(pattern));
        }
        if let Some(Position { text, id, .. }) = &page.after {
            query = query.filter(keyset::after([M::Email, M::UserId], (text.as_str(), *id)));
        }
        let rows = query
            .order_by_asc(M::Email)
            .order_by_asc(M::UserId)
            .limit(page.size + 1)
            .into_model::<MemberRow>()
            .all(self.reader())
            .await
            .map_err(refused)?;
        let members = rows.into_iter().map(MemberRow::member).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(members, page.size, |member| Position::at_text(member.email.as_str(), member.user_id.uuid())))
    }

    /// A member, active or removed.
    pub async fn member(&self, workspace: WorkspaceId, user: UserId) -> Result<Member> {
        find(self.reader(), workspace, user).await?.ok_or_else(|| Reason::UserNotFound.into())
    }

    /// The members among `users`, active or removed, in no particular order.
    pub async fn members_among(&self, workspace: WorkspaceId, users: &[UserId]) -> Result<Vec<Member>> {
        let rows = with_latest_use()
            .filter(M::WorkspaceId.eq(workspace.uuid()))
            .filter(M::UserId.is_in(users.iter().map(|user| user.uuid())))
            .into_model::<MemberRow>()
            .all(self.reader())
            .await
            .map_err(refused)?;
        rows.into_iter().map(MemberRow::member).collect()
    }

    /// A user's own active memberships, in the order of joining.
    pub async fn memberships_of(&self, user: UserId, page: &PageRequest) -> Result<Page<WorkspaceMembership>> {
        let mut query = of_user(user).find_also_related(workspace::Entity);
        if let Some(Position { number, id, .. }) = &page.after {
            query = query.filter(keyset::after([M::JoinedAt, M::WorkspaceId], (*number, *id)));
        }
        let rows = query
            .order_by_asc(M::JoinedAt)
            .order_by_asc(M::WorkspaceId)
            .limit(page.size + 1)
            .all(self.reader())
            .await
            .map_err(refused)?;
        let page = Page::cut(rows, page.size, |(row, _)| {
            Position::at_time(Timestamp::from_micros(row.joined_at), row.workspace_id)
        });
        let mut found = Vec::with_capacity(page.rows.len());
        for (row, workspace) in page.rows {
            let workspace = workspace.ok_or_else(|| corrupt("a membership of no workspace"))?;
            found.push(WorkspaceMembership {
                workspace_id: WorkspaceId::new(row.workspace_id),
                workspace_name: Name::from_stored(workspace.name),
                role: role(row.role)?,
            });
        }
        Ok(Page { rows: found, next: page.next })
    }

    /// Where a sign-in that names no workspace goes: the workspace signed in to last, else the one joined first.
    pub async fn default_workspace_of(&self, user: UserId) -> Result<Option<WorkspaceId>> {
        default_workspace(self.reader(), user).await
    }
}

/// A change of one membership.
pub enum MembershipChange<'a> {
    /// Begins it, for the first time or again.
    Join {
        account: &'a Account,
        role: Role,
    },
    Role(Role),
    End,
}

impl Write {
    /// As [`Store::member`], as of this transaction.
    pub async fn member(&self, workspace: WorkspaceId, user: UserId) -> Result<Member> {
        self.find_member(workspace, user).await?.ok_or_else(|| Reason::UserNotFound.into())
    }

    pub async fn find_member(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Member>> {
        find(&self.txn, workspace, user).await
    }

    /// The role that a user has in a workspace, if any.
    pub async fn role_of(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        active_role(&self.txn, workspace, user).await
    }

    /// The active member with this address, if any.
    pub async fn active_member_by_email(&self, workspace: WorkspaceId, email: &EmailAddress) -> Result<Option<Member>> {
        let row = with_latest_use()
            .filter(M::WorkspaceId.eq(workspace.uuid()))
            .filter(M::Email.eq(email.as_str()))
            .filter(M::RemovedAt.is_null())
            .into_model::<MemberRow>()
            .one(&self.txn)
            .await
            .map_err(refused)?;
        row.map(MemberRow::member).transpose()
    }

    /// As [`Store::default_workspace_of`], as of this transaction.
    pub async fn default_workspace_of(&self, user: UserId) -> Result<Option<WorkspaceId>> {
        default_workspace(&self.txn, user).await
    }

    /// Begins, changes or ends a membership and keeps the number of Owners in step. Every write of a membership's role
    /// or state goes through here, so that the database's own check on that number can be relied on.
    ///
    /// # Errors
    /// `LAST_OWNER` if the database refuses to be left without an Owner.
    pub async fn change_membership(
        &mut self,
        workspace: WorkspaceId,
        user: UserId,
        before: Option<&Member>,
        change: MembershipChange<'_>,
    ) -> Result<()> {
        let role_before = before.filter(|member| member.state == UserState::Active).map(|member| member.role);
        let role_after = match &change {
            MembershipChange::Join { role, .. } | MembershipChange::Role(role) => Some(*role),
            MembershipChange::End => None,
        };
        let owners = |role: Option<Role>| i64::from(role == Some(Role::Owner));
        self.add_owners(workspace, owners(role_after) - owners(role_before)).await?;
        match change {
            MembershipChange::Join { account, role } => self.join(workspace, before.is_some(), account, role).await,
            MembershipChange::Role(role) => {
                self.update_membership(workspace, user, M::Role, Expr::value(number(role))).await
            }
            MembershipChange::End => {
                let now = self.op.now.as_micros();
                self.update_membership(workspace, user, M::RemovedAt, Expr::value(now)).await
            }
        }
    }

    /// The net change of the number of Owners, in one statement, under the check of the table.
    async fn add_owners(&mut self, workspace: WorkspaceId, change: i64) -> Result<()> {
        use workspace::Column as W;
        if change == 0 {
            return Ok(());
        }
        self.workspace = None;
        let mut update = workspace::Entity::update_many()
            .col_expr(W::OwnerCount, ExprTrait::add(Expr::col(W::OwnerCount), change))
            .filter(W::Id.eq(workspace.uuid()));
        if change > 0 {
            update = update.col_expr(W::FoundedAt, Expr::col(W::FoundedAt).if_null(self.op.now.as_micros()));
        }
        update.exec(&self.txn).await.map_err(refused_by_owner_count)?;
        Ok(())
    }

    async fn join(&mut self, workspace: WorkspaceId, again: bool, account: &Account, role: Role) -> Result<()> {
        let row = membership::ActiveModel {
            workspace_id: Set(workspace.uuid()),
            user_id: Set(account.user_id.uuid()),
            role: Set(number(role)),
            email: Set(account.email.as_str().to_owned()),
            display_name: Set(account.display_name.as_str().to_owned()),
            search_text: Set(search_text(&account.email, &account.display_name)),
            joined_at: Set(self.op.now.as_micros()),
            removed_at: Set(None),
            last_seen_at: Set(None),
            last_sign_in_at: Set(None),
        };
        if again {
            membership::Entity::update(row).exec(&self.txn).await.map_err(refused)?;
        } else {
            membership::Entity::insert(row).exec_without_returning(&self.txn).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Remembers that the member signed in here last. Answers the member, active or removed, if there is one.
    pub async fn note_sign_in(&mut self, workspace: WorkspaceId, user: UserId) -> Result<Option<Member>> {
        let note = updating(workspace, user, M::LastSignInAt, Expr::value(self.op.now.as_micros()));
        let row = updated(&self.txn, note).await?;
        row.map(|membership| MemberRow::without_sessions(membership).member()).transpose()
    }

    /// Renames the copies in a user's active memberships; ended ones keep the name that they ended with.
    pub async fn rename_memberships(&mut self, user: UserId, email: &EmailAddress, name: &Name) -> Result<()> {
        membership::Entity::update_many()
            .col_expr(M::DisplayName, Expr::value(name.as_str()))
            .col_expr(M::SearchText, Expr::value(search_text(email, name)))
            .filter(M::UserId.eq(user.uuid()))
            .filter(M::RemovedAt.is_null())
            .exec(&self.txn)
            .await
            .map_err(refused)?;
        Ok(())
    }

    async fn update_membership(&mut self, workspace: WorkspaceId, user: UserId, column: M, value: Expr) -> Result<()> {
        updating(workspace, user, column, value).exec(&self.txn).await.map_err(refused)?;
        Ok(())
    }
}

fn updating(workspace: WorkspaceId, user: UserId, column: M, value: Expr) -> UpdateMany<membership::Entity> {
    membership::Entity::update_many().col_expr(column, value).filter(key(workspace, user))
}

pub(super) async fn active_role<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Role>> {
    let found: Option<i16> = membership::Entity::find()
        .select_only()
        .column(M::Role)
        .filter(key(workspace, user))
        .filter(M::RemovedAt.is_null())
        .into_tuple()
        .one(db)
        .await
        .map_err(refused)?;
    found.map(role).transpose()
}

async fn default_workspace<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<WorkspaceId>> {
    let row = db.query_one(&default_workspace_query(Expr::value(user.uuid()))).await.map_err(refused)?;
    row.map(|row| row.try_get_by_index(0).map(WorkspaceId::new).map_err(refused)).transpose()
}

/// The id of the workspace that a user's sign-in goes to.
pub(super) fn default_workspace_query(user: Expr) -> SelectStatement {
    let column = |column: M| Expr::col((membership::Entity, column));
    Query::select()
        .expr(column(M::WorkspaceId))
        .from(membership::Entity)
        .and_where(column(M::UserId).eq(user))
        .and_where(column(M::RemovedAt).is_null())
        .order_by_expr(column(M::LastSignInAt).if_null(-1), Order::Desc)
        .order_by((membership::Entity, M::JoinedAt), Order::Asc)
        .order_by((membership::Entity, M::WorkspaceId), Order::Asc)
        .limit(1)
        .take()
}

async fn find<C: ConnectionTrait>(db: &C, workspace: WorkspaceId, user: UserId) -> Result<Option<Member>> {
    let query = with_latest_use().filter(key(workspace, user)).into_model::<MemberRow>();
    query.one(db).await.map_err(refused)?.map(MemberRow::member).transpose()
}

fn key(workspace: WorkspaceId, user: UserId) -> Condition {
    Cond::all().add(M::WorkspaceId.eq(workspace.uuid())).add(M::UserId.eq(user.uuid()))
}

fn of_user(user: UserId) -> sea_orm::Select<membership::Entity> {
    membership::Entity::find().filter(M::UserId.eq(user.uuid())).filter(M::RemovedAt.is_null())
}

pub(super) fn number(role: Role) -> i16 {
    // Roles are numbered 1 to 4.
    role.number() as i16
}

/// The role with this number in the database.
pub(super) fn role(number: i16) -> Result<Role> {
    Role::from_number(i32::from(number)).ok_or_else(|| corrupt("a role"))
}

/// Folded here, so that every database finds the same. The line feed keeps a query from matching across the two.
fn search_text(email: &EmailAddress, name: &Name) -> String {
    format!("{}\n{}", email.as_str(), fold_for_search(name.as_str()))
}

/// Makes the wildcards of LIKE mean themselves.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
