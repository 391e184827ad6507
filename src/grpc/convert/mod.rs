//! Messages to the types of `model` and back.

pub mod fields;
mod messages;

pub use messages::{access_answer, audit_event, invitation, membership, preview, session, user, user_view, workspace};
