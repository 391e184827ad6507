//! What the contract says of the members of one workspace when one operation comes after the other.

use rolecall::model::Role;

pub const PEOPLE: usize = 4;

/// Everybody's role, `None` once their membership has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State(pub [Option<Role>; PEOPLE]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Change(usize, Role),
    Remove(usize),
    Leave,
    /// Another service asks what somebody is.
    Look(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub by: usize,
    pub act: Act,
}

impl State {
    fn owners(&self) -> usize {
        self.0.iter().filter(|role| **role == Some(Role::Owner)).count()
    }

    /// What an operation answers, and what it leaves.
    pub fn after(mut self, Operation { by, act }: Operation) -> (Self, &'static str) {
        if let Act::Look(whom) = act {
            return (self, self.0[whom].map_or("NOT_A_MEMBER", Role::name));
        }
        let Some(role) = self.0[by] else {
            return (self, "SESSION_ENDED");
        };
        let (whom, wanted) = match act {
            Act::Change(whom, wanted) => (whom, Some(wanted)),
            Act::Remove(whom) => (whom, None),
            Act::Leave | Act::Look(_) => (by, None),
        };
        if act != Act::Leave {
            if role < Role::Admin {
                return (self, "ROLE_TOO_LOW");
            }
            if role < Role::Owner && [wanted, self.0[whom]].contains(&Some(Role::Owner)) {
                return (self, "OWNER_REQUIRED");
            }
        }
        let Some(before) = self.0[whom] else {
            return (self, "USER_REMOVED");
        };
        if wanted != Some(before) {
            if before == Role::Owner && self.owners() == 1 {
                return (self, "LAST_OWNER");
            }
            self.0[whom] = wanted;
        }
        (self, "OK")
    }
}
