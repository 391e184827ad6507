//! Invitations: an offer of a membership, and what its links are worth at a given moment.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, Reason, Result};

use super::{EmailAddress, InvitationId, Name, Role, UserId, WorkspaceId};

/// How long an invitation can be accepted after it was sent, or sent again.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long an accept may be repeated by whoever accepted, since the first answer can be lost on its way.
pub const ACCEPT_RETRY_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an invitation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvitationState {
    Pending,
    Expired,
    Accepted,
    Canceled,
}

/// What became of the newest e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Queued,
    Sent,
    Failed,
}

impl DeliveryState {
    /// The number that stands for the state in the protocol and in the database.
    pub const fn number(self) -> i32 {
        match self {
            DeliveryState::Queued => 1,
            DeliveryState::Sent => 2,
            DeliveryState::Failed => 3,
        }
    }

    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(DeliveryState::Queued),
            2 => Some(DeliveryState::Sent),
            3 => Some(DeliveryState::Failed),
            _ => None,
        }
    }
}

/// The delivery of the newest e-mail of an invitation.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub state: DeliveryState,
    pub attempt_count: i32,
    pub last_attempt_time: Option<Timestamp>,
    /// Fit for an admin: no credentials, no internals. Empty when the last attempt succeeded or none was made.
    pub last_error: String,
}

#[derive(Clone, Debug)]
pub struct Invitation {
    pub invitation_id: InvitationId,
    pub workspace_id: WorkspaceId,
    pub email: EmailAddress,
    pub role: Role,
    /// Counts the sendings. Links of an earlier issue are superseded.
    pub issue: i32,
    /// Who sent it last; `None` for the operator and for service keys, whose right stands.
    pub invited_by: Option<UserId>,
    pub create_time: Timestamp,
    pub expire_time: Timestamp,
    pub accept_time: Option<Timestamp>,
    pub accepted_by: Option<UserId>,
    pub cancel_time: Option<Timestamp>,
    /// Canceled because a newer invitation for the address took its place.
    pub replaced: bool,
    /// Made together with the workspace, for its first Owner.
    pub founding: bool,
    pub delivery: Option<Delivery>,
}

impl Invitation {
    /// The state at `now`. Expiry is this comparison and nothing else: at `expire_time` and after, it is expired.
    pub fn state(&self, now: Timestamp) -> InvitationState {
        if self.accept_time.is_some() {
            InvitationState::Accepted
        } else if self.cancel_time.is_some() {
            InvitationState::Canceled
        } else if now >= self.expire_time {
            InvitationState::Expired
        } else {
            InvitationState::Pending
        }
    }

    /// Whether a link of `issue` has been overtaken by a newer one, be it of this invitation or of the one in its place.
    pub fn supersedes(&self, issue: i32) -> bool {
        self.replaced || issue != self.issue
    }

    /// Refuses unless a link of `issue` can be accepted at `now`, saying how it died.
    pub fn require_acceptable(&self, issue: i32, now: Timestamp) -> Result<()> {
        if self.supersedes(issue) {
            return Err(Reason::InvitationSuperseded.into());
        }
        match self.state(now) {
            InvitationState::Pending => Ok(()),
            InvitationState::Expired => Err(Reason::InvitationExpired.into()),
            InvitationState::Accepted => Err(Reason::InvitationAccepted.into()),
            InvitationState::Canceled => Err(Reason::InvitationCanceled.into()),
        }
    }

    /// Whether a repeated accept through a link of `issue` may still be answered at `now`.
    pub fn accept_may_be_repeated(&self, issue: i32, now: Timestamp) -> bool {
        !self.supersedes(issue) && self.accept_time.is_some_and(|at| now < at.plus(ACCEPT_RETRY_WINDOW))
    }

    /// Refuses unless the invitation can be sent again at `now`.
    pub fn require_resendable(&self, now: Timestamp) -> Result<()> {
        match self.state(now) {
            InvitationState::Pending | InvitationState::Expired => Ok(()),
            InvitationState::Accepted => Err(Reason::InvitationAccepted.into()),
            InvitationState::Canceled => Err(Reason::InvitationCanceled.into()),
        }
    }

    /// Refuses unless the inviter, whose standing is `inviter` (`None` if not a member any more), could still send it.
    pub fn require_inviter_entitled(&self, inviter: Option<Role>) -> Result<()> {
        let entitled = self.invited_by.is_none() || inviter.is_some_and(|role| role.may_manage(self.role));
        if entitled { Ok(()) } else { Err(Error::new(Reason::InviterNotEntitled)) }
    }
}

/// What the holder of a link may see of it.
#[derive(Clone, Debug)]
pub struct InvitationPreview {
    pub workspace_name: Name,
    pub state: InvitationState,
    pub superseded: bool,
    pub expire_time: Timestamp,
    /// Only for the newest link of a pending invitation.
    pub offer: Option<InvitationOffer>,
}

#[derive(Clone, Debug)]
pub struct InvitationOffer {
    /// `None` when the operator or a service sent it.
    pub inviter_display_name: Option<Name>,
    pub email: EmailAddress,
    pub role: Role,
    pub account_exists: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn invitation() -> Invitation {
        Invitation {
            invitation_id: InvitationId::new(Uuid::nil()),
            workspace_id: WorkspaceId::new(Uuid::nil()),
            email: EmailAddress::from_stored("ada@example.com".into()),
            role: Role::Admin,
            issue: 2,
            invited_by: Some(UserId::new(Uuid::nil())),
            create_time: Timestamp::from_micros(0),
            expire_time: Timestamp::from_micros(1_000),
            accept_time: None,
            accepted_by: None,
            cancel_time: None,
            replaced: false,
            founding: false,
            delivery: None,
        }
    }

    #[test]
    fn it_expires_at_the_very_moment() {
        let invitation = invitation();
        assert_eq!(invitation.state(Timestamp::from_micros(999)), InvitationState::Pending);
        assert_eq!(invitation.state(Timestamp::from_micros(1_000)), InvitationState::Expired);
    }

    #[test]
    fn an_earlier_link_is_superseded_whatever_happened_later() {
        let now = Timestamp::from_micros(1);
        let mut invitation = invitation();
        assert!(invitation.require_acceptable(2, now).is_ok());
        assert_eq!(invitation.require_acceptable(1, now).unwrap_err().reason(), Reason::InvitationSuperseded);
        invitation.accept_time = Some(now);
        assert_eq!(invitation.require_acceptable(1, now).unwrap_err().reason(), Reason::InvitationSuperseded);
        assert_eq!(invitation.require_acceptable(2, now).unwrap_err().reason(), Reason::InvitationAccepted);
    }

    #[test]
    fn an_accept_may_be_repeated_for_a_day() {
        let mut invitation = invitation();
        let at = Timestamp::from_micros(5);
        invitation.accept_time = Some(at);
        let end = at.plus(ACCEPT_RETRY_WINDOW);
        assert!(invitation.accept_may_be_repeated(2, Timestamp::from_micros(end.as_micros() - 1)));
        assert!(!invitation.accept_may_be_repeated(2, end));
        assert!(!invitation.accept_may_be_repeated(1, at));
    }

    #[test]
    fn it_lives_as_long_as_its_sender_could_send_it() {
        let mut invitation = invitation();
        assert!(invitation.require_inviter_entitled(Some(Role::Admin)).is_ok());
        assert!(invitation.require_inviter_entitled(Some(Role::Manager)).is_err());
        assert!(invitation.require_inviter_entitled(None).is_err());
        invitation.role = Role::Owner;
        assert!(invitation.require_inviter_entitled(Some(Role::Admin)).is_err());
        invitation.invited_by = None;
        assert!(invitation.require_inviter_entitled(None).is_ok());
    }
}
