//! The four roles and what stands above what.

/// What a member may do in a workspace. The order is the meaning: a higher role can do everything that a lower one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Agent,
    Manager,
    Admin,
    Owner,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Agent, Role::Manager, Role::Admin, Role::Owner];

    /// The number that stands for the role in the protocol and in the database.
    pub const fn number(self) -> i32 {
        match self {
            Role::Agent => 1,
            Role::Manager => 2,
            Role::Admin => 3,
            Role::Owner => 4,
        }
    }

    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Role::Agent),
            2 => Some(Role::Manager),
            3 => Some(Role::Admin),
            4 => Some(Role::Owner),
            _ => None,
        }
    }

    /// The name as in the protocol, without its prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Agent => "AGENT",
            Role::Manager => "MANAGER",
            Role::Admin => "ADMIN",
            Role::Owner => "OWNER",
        }
    }

    /// Whether someone with this role may grant `granted`, or change, remove or invite someone who has it:
    /// Owners are the business of Owners, everybody else is the business of Admins too.
    pub const fn may_manage(self, granted: Role) -> bool {
        match granted {
            Role::Owner => matches!(self, Role::Owner),
            Role::Agent | Role::Manager | Role::Admin => matches!(self, Role::Admin | Role::Owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_owner_manages_owners_and_nobody_below_admin_manages_anybody() {
        for actor in Role::ALL {
            for granted in Role::ALL {
                let expected = actor == Role::Owner || (actor == Role::Admin && granted != Role::Owner);
                assert_eq!(actor.may_manage(granted), expected, "{actor:?} manages {granted:?}");
            }
        }
    }

    #[test]
    fn numbers_name_roles_both_ways() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(role.number()), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(Role::from_number(5), None);
    }
}
