//! What use cases answer, as messages.

use prost_types::Timestamp as PbTimestamp;

use crate::app::{AccessDenial, AccessVerdict, UserView, Visibility};
use crate::clock::Timestamp;
use crate::grpc::pb::v1;
use crate::model::{
    AuditActor, AuditEvent, DeliveryState, Invitation, InvitationPreview, InvitationState, Member, Role, Session,
    SessionId, UserState, Workspace, WorkspaceMembership,
};

fn moment(time: Timestamp) -> Option<PbTimestamp> {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    Some(PbTimestamp { seconds: micros.div_euclid(1_000_000), nanos })
}

fn maybe_moment(time: Option<Timestamp>) -> Option<PbTimestamp> {
    time.and_then(moment)
}

fn role(role: Role) -> i32 {
    role.number()
}

fn invitation_state(state: InvitationState) -> i32 {
    let state = match state {
        InvitationState::Pending => v1::InvitationState::Pending,
        InvitationState::Expired => v1::InvitationState::Expired,
        InvitationState::Accepted => v1::InvitationState::Accepted,
        InvitationState::Canceled => v1::InvitationState::Canceled,
    };
    state.into()
}

pub fn user(member: Member) -> v1::User {
    let state = match member.state {
        UserState::Active => v1::UserState::Active,
        UserState::Removed => v1::UserState::Removed,
    };
    v1::User {
        user_id: member.user_id.to_string(),
        email: member.email.as_str().to_owned(),
        display_name: member.display_name.as_str().to_owned(),
        role: role(member.role),
        state: state.into(),
        join_time: moment(member.join_time),
        remove_time: maybe_moment(member.remove_time),
        last_seen_time: maybe_moment(member.last_seen_time),
    }
}

pub fn user_view(view: UserView) -> v1::User {
    let full = user(view.member);
    match view.visibility {
        Visibility::Full => full,
        Visibility::Colleague => v1::User {
            user_id: full.user_id,
            display_name: full.display_name,
            role: full.role,
            state: full.state,
            ..v1::User::default()
        },
    }
}

/// An invitation as it stands at `now`.
pub fn invitation(invitation: Invitation, now: Timestamp) -> v1::Invitation {
    let state = invitation_state(invitation.state(now));
    let delivery = invitation.delivery.map(|delivery| {
        let state = match delivery.state {
            DeliveryState::Queued => v1::DeliveryState::Queued,
            DeliveryState::Sent => v1::DeliveryState::Sent,
            DeliveryState::Failed => v1::DeliveryState::Failed,
        };
        v1::InvitationDelivery {
            state: state.into(),
            attempt_count: delivery.attempt_count,
            last_attempt_time: maybe_moment(delivery.last_attempt_time),
            last_error: delivery.last_error,
        }
    });
    v1::Invitation {
        invitation_id: invitation.invitation_id.to_string(),
        email: invitation.email.as_str().to_owned(),
        role: role(invitation.role),
        state,
        invited_by_user_id: invitation.invited_by.map(|id| id.to_string()).unwrap_or_default(),
        create_time: moment(invitation.create_time),
        expire_time: moment(invitation.expire_time),
        accept_time: maybe_moment(invitation.accept_time),
        accepted_by_user_id: invitation.accepted_by.map(|id| id.to_string()).unwrap_or_default(),
        delivery,
    }
}

pub fn preview(preview: InvitationPreview) -> v1::PreviewInvitationResponse {
    let mut message = v1::PreviewInvitationResponse {
        workspace_name: preview.workspace_name.as_str().to_owned(),
        state: invitation_state(preview.state),
        superseded: preview.superseded,
        expire_time: moment(preview.expire_time),
        ..v1::PreviewInvitationResponse::default()
    };
    if let Some(offer) = preview.offer {
        message.inviter_display_name = offer.inviter_display_name.map(|name| name.to_string()).unwrap_or_default();
        message.email = offer.email.as_str().to_owned();
        message.role = role(offer.role);
        message.account_exists = offer.account_exists;
    }
    message
}

/// A session; `current` is the one that asks or that has just begun.
pub fn session(session: Session, current: SessionId) -> v1::Session {
    v1::Session {
        session_id: session.session_id.to_string(),
        sign_in_id: session.sign_in_id.to_string(),
        workspace_id: session.workspace_id.to_string(),
        user_id: session.user_id.to_string(),
        create_time: moment(session.create_time),
        last_used_time: moment(session.last_used_time),
        expire_time: moment(session.expire_time),
        user_agent: session.peer.user_agent,
        client_address: session.peer.address.map(|address| address.to_string()).unwrap_or_default(),
        current: session.session_id == current,
    }
}

pub fn workspace(workspace: Workspace) -> v1::Workspace {
    v1::Workspace {
        workspace_id: workspace.workspace_id.to_string(),
        name: workspace.name.as_str().to_owned(),
        create_time: moment(workspace.create_time),
    }
}

pub fn membership(membership: WorkspaceMembership) -> v1::WorkspaceMembership {
    v1::WorkspaceMembership {
        workspace_id: membership.workspace_id.to_string(),
        workspace_name: membership.workspace_name.as_str().to_owned(),
        role: role(membership.role),
    }
}

/// A denial names nobody where the contract says that it names nobody.
pub fn access_answer(verdict: AccessVerdict) -> v1::CheckAccessResponse {
    let denied = |reason: v1::DenialReason, lowest: Option<Role>| v1::CheckAccessResponse {
        denial: Some(v1::AccessDenial { reason: reason.into(), lowest_sufficient_role: lowest.map_or(0, role) }),
        ..v1::CheckAccessResponse::default()
    };
    match verdict {
        AccessVerdict::Allowed { user, workspace, role: held } => v1::CheckAccessResponse {
            allowed: true,
            denial: None,
            user_id: user.to_string(),
            workspace_id: workspace.to_string(),
            role: role(held),
        },
        AccessVerdict::Denied(AccessDenial::SessionEnded) => denied(v1::DenialReason::SessionEnded, None),
        AccessVerdict::Denied(AccessDenial::WrongWorkspace) => denied(v1::DenialReason::WrongWorkspace, None),
        AccessVerdict::Denied(AccessDenial::NotAMember { user, workspace }) => v1::CheckAccessResponse {
            user_id: user.to_string(),
            workspace_id: workspace.to_string(),
            ..denied(v1::DenialReason::NotAMember, None)
        },
        AccessVerdict::Denied(AccessDenial::RoleTooLow { user, workspace, role: held, lowest_sufficient }) => {
            v1::CheckAccessResponse {
                user_id: user.to_string(),
                workspace_id: workspace.to_string(),
                role: role(held),
                ..denied(v1::DenialReason::RoleTooLow, Some(lowest_sufficient))
            }
        }
    }
}

pub fn audit_event(event: AuditEvent) -> v1::AuditEvent {
    use v1::audit_actor::Kind;
    let actor = match event.actor {
        AuditActor::User(user) => Kind::UserId(user.to_string()),
        AuditActor::ServiceKey(name) => Kind::ServiceKeyName(name),
        AuditActor::Operator => Kind::Operator(true),
        AuditActor::System => Kind::System(true),
    };
    v1::AuditEvent {
        event_id: event.event_id.to_string(),
        action: event.action.number(),
        actor: Some(v1::AuditActor { kind: Some(actor) }),
        target_user_id: event.target_user.map(|id| id.to_string()).unwrap_or_default(),
        target_invitation_id: event.target_invitation.map(|id| id.to_string()).unwrap_or_default(),
        time: moment(event.time),
        client_address: event.client_address,
        details: event.details.into_iter().collect(),
        repeat_count: event.repeat_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_and_the_protocol_number_roles_and_deliveries_alike() {
        for role in Role::ALL {
            let expected = format!("ROLE_{}", role.name());
            assert_eq!(v1::Role::try_from(role.number()).unwrap().as_str_name(), expected);
        }
        for (state, name) in [(1, "QUEUED"), (2, "SENT"), (3, "FAILED")] {
            let modelled = format!("{:?}", DeliveryState::from_number(state).unwrap()).to_uppercase();
            assert_eq!(modelled, name);
            let sent = v1::DeliveryState::try_from(state).unwrap();
            assert_eq!(sent.as_str_name(), format!("DELIVERY_STATE_{name}"));
        }
    }

    #[test]
    fn times_before_the_epoch_keep_positive_nanoseconds() {
        let sent = moment(Timestamp::from_micros(-1)).unwrap();
        assert_eq!((sent.seconds, sent.nanos), (-1, 999_999_000));
    }
}
