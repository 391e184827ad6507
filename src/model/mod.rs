//! What things are, and the rules that need nothing but them. Pure: no I/O, no ORM, no protobuf.

mod audit;
mod email;
mod ids;
mod invitation;
mod name;
mod page;
mod role;
mod session;
mod throttle;
mod user;
mod workspace;

pub use audit::{AuditAction, AuditActor, AuditEvent, AuditFilter, AuditRecord};
pub use email::EmailAddress;
pub use ids::{
    AuditEventId, InvitationId, OutboxId, ServiceKeyId, SessionId, SignInId, UserId, WorkspaceId, parse_uuid,
};
pub use invitation::{
    ACCEPT_RETRY_WINDOW, Delivery, DeliveryState, INVITATION_LIFETIME, Invitation, InvitationOffer, InvitationPreview,
    InvitationState,
};
pub use name::{MAX_NAME_CHARS, Name, fold_for_search};
pub use page::{ListId, Page, PageRequest, Position, page_size};
pub use role::Role;
pub use session::{
    END_IN_DOUBT, FRESH_AUTHENTICATION, MAX_SESSIONS_PER_USER, MAX_USER_AGENT_BYTES, Peer, Session, SessionLifetime,
    TokenKey, WorkspaceMembership, bounded_text,
};
pub use throttle::{ThrottleCounter, ThrottleKind, network_of};
pub use user::{
    Account, Member, PasswordHash, RoleChange, UserState, decide_leaving, decide_removal, decide_role_change,
    require_may_manage,
};
pub use workspace::Workspace;
