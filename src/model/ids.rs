//! Identifiers. Each kind is a type of its own, so that a workspace is never passed where a user belongs.

use std::fmt;
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

id! {
    /// A workspace (UUIDv7).
    WorkspaceId,
    /// A person (UUIDv4: a v7 would tell when the person joined somewhere else).
    UserId,
    /// An invitation (UUIDv7). It stays the same when the invitation is sent again.
    InvitationId,
    /// A sign-in in one workspace (UUIDv7).
    SessionId,
    /// One proof of a password (UUIDv7), which may have sessions in several workspaces.
    SignInId,
    /// An entry of the audit log (UUIDv7).
    AuditEventId,
    /// The credential of another internal service (UUIDv7).
    ServiceKeyId,
    /// An e-mail that waits to be sent (UUIDv7).
    OutboxId,
}

/// Reads an id as clients write it: the hyphenated form, in any case, and nothing else.
///
/// `Uuid::parse_str` would also take braces, URNs and bare hexadecimal; one spelling keeps logs and look-ups simple.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return None;
    }
    Uuid::try_parse(text).ok()
}
