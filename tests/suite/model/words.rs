//! What is worth comparing in an answer, in words: once from the model, once from the service.

use prost_types::Timestamp;
use rolecall::clock;
use rolecall::grpc::pb::v1::{self, DeliveryState, DenialReason, InvitationState, Role, UserState};

use super::action::EMAILS;
use super::state::Model;

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

type Accepted<'a> = (Option<i64>, &'a str);

fn say_invitation(
    (id, email, role, state): (&str, &str, Role, InvitationState),
    sender: &str,
    (created, expires): (Option<i64>, Option<i64>),
    accepted: Accepted<'_>,
    delivery: Option<(DeliveryState, i32)>,
) -> String {
    format!(
        "invitation {id} of {email} as {role:?} is {state:?}, sent by {sender:?}, created {created:?}, \
         until {expires:?}, accepted {accepted:?}, delivery {delivery:?}"
    )
}

pub fn invitation(model: &Model, index: usize) -> String {
    let it = &model.invitations[index];
    let person = |person: usize| model.people[person].id.as_str();
    let accepted = it.accepted.map_or((None, ""), |(at, by)| (Some(at), person(by)));
    let delivery = it.sent.map(|sent| if sent { (DeliveryState::Sent, 1) } else { (DeliveryState::Queued, 0) });
    let state = model.invitation_state(index);
    let times = (Some(it.created), Some(it.expires));
    say_invitation((&it.id, EMAILS[it.email], it.role, state), it.sender.map_or("", person), times, accepted, delivery)
}

pub fn said_invitation(it: &v1::Invitation) -> String {
    let accepted = (micros(it.accept_time), it.accepted_by_user_id.as_str());
    let delivery = it.delivery.as_ref().map(|delivery| (delivery.state(), delivery.attempt_count));
    let times = (micros(it.create_time), micros(it.expire_time));
    let it_is = (it.invitation_id.as_str(), it.email.as_str(), it.role(), it.state());
    say_invitation(it_is, &it.invited_by_user_id, times, accepted, delivery)
}

/// As the store knows it.
pub fn stored_invitation(it: &rolecall::model::Invitation, now: clock::Timestamp) -> String {
    let role = Role::try_from(it.role.number()).unwrap();
    let state = match it.state(now) {
        rolecall::model::InvitationState::Pending => InvitationState::Pending,
        rolecall::model::InvitationState::Expired => InvitationState::Expired,
        rolecall::model::InvitationState::Accepted => InvitationState::Accepted,
        rolecall::model::InvitationState::Canceled => InvitationState::Canceled,
    };
    let (id, sender, by) = (it.invitation_id.to_string(), it.invited_by, it.accepted_by);
    let person = |person: Option<rolecall::model::UserId>| person.map(|id| id.to_string()).unwrap_or_default();
    let delivery = it
        .delivery
        .as_ref()
        .map(|delivery| (DeliveryState::try_from(delivery.state.number()).unwrap(), delivery.attempt_count));
    let times = (Some(it.create_time.as_micros()), Some(it.expire_time.as_micros()));
    let accepted = (it.accept_time.map(clock::Timestamp::as_micros), person(by));
    let accepted = (accepted.0, accepted.1.as_str());
    say_invitation((&id, it.email.as_str(), role, state), &person(sender), times, accepted, delivery)
}

fn say_user(
    (id, email, name): (&str, &str, &str),
    (role, state): (Role, UserState),
    (joined, removed): (Option<i64>, Option<i64>),
) -> String {
    format!("user {id} {email:?} {name:?} is {role:?}, {state:?}, joined {joined:?}, removed {removed:?}")
}

/// `full`: as Admins, services and the person itself see it.
pub fn user(model: &Model, index: usize, full: bool) -> String {
    let it = &model.members[index];
    let person = &model.people[it.person];
    let standing = (it.role, model.user_state(index));
    if full {
        say_user((&person.id, EMAILS[person.email], &it.name), standing, (Some(it.joined), it.removed))
    } else {
        say_user((&person.id, "", &it.name), standing, (None, None))
    }
}

pub fn said_user(it: &v1::User) -> String {
    let times = (micros(it.join_time), micros(it.remove_time));
    say_user((&it.user_id, &it.email, &it.display_name), (it.role(), it.state()), times)
}

fn say_session(
    (id, sign_in): (&str, &str),
    (user, workspace): (&str, &str),
    (created, expires): (Option<i64>, Option<i64>),
    current: bool,
) -> String {
    format!(
        "session {id} of sign-in {sign_in} of {user} in {workspace}, created {created:?}, until {expires:?}, \
         current {current}"
    )
}

pub fn session(model: &Model, index: usize, current: bool) -> String {
    let it = &model.sessions[index];
    let sign_in = &model.sign_ins[it.sign_in];
    let whose = (model.people[it.person].id.as_str(), model.workspaces[it.workspace].id.as_str());
    say_session((&it.id, &sign_in.id), whose, (Some(it.created), Some(sign_in.expires)), current)
}

pub fn said_session(it: &v1::Session) -> String {
    let times = (micros(it.create_time), micros(it.expire_time));
    say_session((&it.session_id, &it.sign_in_id), (&it.user_id, &it.workspace_id), times, it.current)
}

pub fn workspace(model: &Model, index: usize) -> String {
    format!("workspace {} {:?}", model.workspaces[index].id, model.workspaces[index].name)
}

pub fn said_workspace(it: &v1::Workspace) -> String {
    format!("workspace {} {:?}", it.workspace_id, it.name)
}

pub fn membership(model: &Model, workspace: usize, person: usize) -> String {
    let role = model.role(workspace, person).unwrap_or(Role::Unspecified);
    format!("{role:?} in {} {:?}", model.workspaces[workspace].id, model.workspaces[workspace].name)
}

pub fn said_membership(it: &v1::WorkspaceMembership) -> String {
    format!("{:?} in {} {:?}", it.role(), it.workspace_id, it.workspace_name)
}

pub fn verdict(
    (allowed, reason, lowest): (bool, DenialReason, Role),
    (user, workspace, role): (&str, &str, Role),
) -> String {
    format!("allowed {allowed} {reason:?} {lowest:?}: {user:?} in {workspace:?} as {role:?}")
}

pub fn said_verdict(it: &v1::CheckAccessResponse) -> String {
    assert_eq!(it.allowed, it.denial.is_none(), "{it:?}");
    let denial = it.denial.unwrap_or_default();
    verdict((it.allowed, denial.reason(), denial.lowest_sufficient_role()), (&it.user_id, &it.workspace_id, it.role()))
}

pub fn said_preview(it: &v1::PreviewInvitationResponse) -> Vec<String> {
    let until = micros(it.expire_time).unwrap_or_default();
    vec![
        it.workspace_name.clone(),
        format!("{:?} superseded {} until {until}", it.state(), it.superseded),
        format!("{:?} invites {} as {:?}, account {}", it.inviter_display_name, it.email, it.role(), it.account_exists),
    ]
}
