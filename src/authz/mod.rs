//! Who may do what: the rules that the protos declare, the callers that they are held against, and the gate between.
//! Pure: no I/O.

mod caller;
pub mod gate;
mod op;
mod rules;

pub use caller::{Caller, KeyCaller, SessionCaller};
pub use op::Op;
pub use rules::{Permission, RULES, Rule, ServiceScope, rule_of};
