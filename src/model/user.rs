//! People and their memberships, and the rules that protect them. Pure: every path that changes or ends a membership
//! asks here, so that no path can have rules of its own.

use std::fmt;

use crate::clock::Timestamp;
use crate::error::{Reason, Result};

use super::{EmailAddress, Name, Role, UserId, WorkspaceId};

/// One person's account, across all workspaces.
#[derive(Clone, Debug)]
pub struct Account {
    pub user_id: UserId,
    pub email: EmailAddress,
    pub display_name: Name,
    pub password_hash: PasswordHash,
}

/// A password's hash in PHC form, as it is stored. No `Debug` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Whether a membership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    Active,
    Removed,
}

/// A person as a member of one workspace. A removed one keeps the name and address that it ended with.
#[derive(Clone, Debug)]
pub struct Member {
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub email: EmailAddress,
    pub display_name: Name,
    pub role: Role,
    pub state: UserState,
    pub join_time: Timestamp,
    pub remove_time: Option<Timestamp>,
    pub last_seen_time: Option<Timestamp>,
}

impl Member {
    fn is_active_owner(&self) -> bool {
        self.state == UserState::Active && self.role == Role::Owner
    }
}

/// What a role change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// The user has that role already.
    Unchanged,
    To(Role),
}

/// Decides whether someone with `actor` may give `target` the role `wanted`.
///
/// `owner_count` is the number of active Owners. Right comes before state: `OWNER_REQUIRED`, then `USER_REMOVED`, then
/// `LAST_OWNER`.
pub fn decide_role_change(actor: Role, target: &Member, wanted: Role, owner_count: i64) -> Result<RoleChange> {
    require_may_manage(actor, wanted)?;
    require_may_manage_member(actor, target)?;
    if target.state == UserState::Removed {
        return Err(Reason::UserRemoved.into());
    }
    if target.role == wanted {
        return Ok(RoleChange::Unchanged);
    }
    require_another_owner(target, owner_count)?;
    Ok(RoleChange::To(wanted))
}

/// Decides whether someone with `actor` may end `target`'s membership.
pub fn decide_removal(actor: Role, target: &Member, owner_count: i64) -> Result<()> {
    require_may_manage_member(actor, target)?;
    decide_leaving(target, owner_count)
}

/// Decides whether `member` may end its own membership: anybody may, but for the last Owner.
pub fn decide_leaving(member: &Member, owner_count: i64) -> Result<()> {
    if member.state == UserState::Removed {
        return Err(Reason::UserRemoved.into());
    }
    require_another_owner(member, owner_count)
}

/// Refuses with `OWNER_REQUIRED` unless `actor` may grant `granted` or invite to it.
pub fn require_may_manage(actor: Role, granted: Role) -> Result<()> {
    if actor.may_manage(granted) { Ok(()) } else { Err(Reason::OwnerRequired.into()) }
}

/// A removed Owner is nobody's Owner any more: whoever manages people learns that the user is removed.
fn require_may_manage_member(actor: Role, target: &Member) -> Result<()> {
    if target.is_active_owner() { require_may_manage(actor, Role::Owner) } else { Ok(()) }
}

fn require_another_owner(member: &Member, owner_count: i64) -> Result<()> {
    if member.is_active_owner() && owner_count <= 1 { Err(Reason::LastOwner.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn member(role: Role, state: UserState) -> Member {
        Member {
            workspace_id: WorkspaceId::new(Uuid::nil()),
            user_id: UserId::new(Uuid::nil()),
            email: EmailAddress::from_stored("ada@example.com".into()),
            display_name: Name::from_stored("Ada".into()),
            role,
            state,
            join_time: Timestamp::from_micros(0),
            remove_time: None,
            last_seen_time: None,
        }
    }

    fn reason<T: std::fmt::Debug>(result: Result<T>) -> Reason {
        result.expect_err("a refusal").reason()
    }

    #[test]
    fn only_an_owner_touches_owners() {
        let owner = member(Role::Owner, UserState::Active);
        assert_eq!(reason(decide_role_change(Role::Admin, &owner, Role::Agent, 2)), Reason::OwnerRequired);
        assert_eq!(reason(decide_removal(Role::Admin, &owner, 2)), Reason::OwnerRequired);
        let agent = member(Role::Agent, UserState::Active);
        assert_eq!(reason(decide_role_change(Role::Admin, &agent, Role::Owner, 2)), Reason::OwnerRequired);
        assert_eq!(decide_role_change(Role::Admin, &agent, Role::Admin, 2).unwrap(), RoleChange::To(Role::Admin));
        assert_eq!(decide_role_change(Role::Owner, &owner, Role::Agent, 2).unwrap(), RoleChange::To(Role::Agent));
    }

    #[test]
    fn the_last_owner_stays() {
        let owner = member(Role::Owner, UserState::Active);
        assert_eq!(reason(decide_role_change(Role::Owner, &owner, Role::Admin, 1)), Reason::LastOwner);
        assert_eq!(reason(decide_removal(Role::Owner, &owner, 1)), Reason::LastOwner);
        assert_eq!(reason(decide_leaving(&owner, 1)), Reason::LastOwner);
        assert!(decide_leaving(&owner, 2).is_ok());
        assert_eq!(decide_role_change(Role::Owner, &owner, Role::Owner, 1).unwrap(), RoleChange::Unchanged);
    }

    #[test]
    fn a_removed_user_is_not_changed_again() {
        for role in Role::ALL {
            let gone = member(role, UserState::Removed);
            assert_eq!(reason(decide_role_change(Role::Admin, &gone, Role::Agent, 1)), Reason::UserRemoved);
            assert_eq!(reason(decide_removal(Role::Admin, &gone, 1)), Reason::UserRemoved);
        }
    }
}
