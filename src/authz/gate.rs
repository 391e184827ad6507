//! Holds a method's rule against a caller. The authorization layer does so before a message is decoded, and the store
//! does so again inside each write transaction, against what the database says by then.

use crate::error::{Error, Reason, Result};
use crate::model::Role;

use super::{Caller, Rule, ServiceScope};

/// Refuses unless `rule` admits `caller`.
///
/// # Errors
/// `ROLE_TOO_LOW`, `SCOPE_MISSING` or `SESSION_REQUIRED` (contract, section 2).
pub fn admit(rule: &Rule, caller: &Caller) -> Result<()> {
    if rule.anyone {
        return Ok(());
    }
    match caller {
        Caller::Session(session) => match (rule.minimum_role, rule.service_scope) {
            (Some(minimum), _) => require_role(minimum, session.role),
            (None, Some(scope)) => Err(scope_missing(scope)),
            (None, None) => Err(Error::internal("a rule that admits nobody")),
        },
        Caller::ServiceKey(key) => match rule.service_scope {
            Some(scope) => require_scope(key.has(scope), scope),
            None => Err(Reason::SessionRequired.into()),
        },
        Caller::SignedOut => Ok(()),
        Caller::Anyone => Err(Reason::CredentialMissing.into()),
        Caller::Operator | Caller::System => Ok(()),
    }
}

/// Refuses with `SCOPE_MISSING` unless the caller `has` the scope.
pub fn require_scope(has: bool, scope: ServiceScope) -> Result<()> {
    if has { Ok(()) } else { Err(scope_missing(scope)) }
}

fn require_role(minimum: Role, actual: Role) -> Result<()> {
    if actual >= minimum {
        return Ok(());
    }
    Err(Error::new(Reason::RoleTooLow).with("requiredRole", minimum.name()).with("actualRole", actual.name()))
}

fn scope_missing(scope: ServiceScope) -> Error {
    Error::new(Reason::ScopeMissing).with("requiredScope", scope.name())
}
