//! The rules of all methods and the lowest role of all permissions, generated from the options in the protos, which are
//! the only place where they are written.

use crate::model::Role;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `/rolecall.v1.UserService/ListUsers`
    pub path: &'static str,
    /// `UserService`
    pub service: &'static str,
    /// `ListUsers`
    pub method: &'static str,
    /// No credential is needed, and none is looked at.
    pub anyone: bool,
    /// A session with at least this role may call it.
    pub minimum_role: Option<Role>,
    /// A service key with this scope may call it.
    pub service_scope: Option<ServiceScope>,
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// The rule of the method at `path`, if there is such a method.
pub fn rule_of(path: &str) -> Option<&'static Rule> {
    RULES.binary_search_by(|rule| rule.path.cmp(path)).ok().map(|index| &RULES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_by_its_path_and_nothing_else_is() {
        for rule in RULES {
            assert_eq!(rule_of(rule.path), Some(rule));
            assert!(rule.anyone || rule.minimum_role.is_some() || rule.service_scope.is_some(), "{rule:?}");
        }
        assert_eq!(rule_of("/rolecall.v1.UserService/DropUsers"), None);
        assert_eq!(rule_of(""), None);
    }
}
