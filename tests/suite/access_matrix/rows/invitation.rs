use prost::Message;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{Row, row};
use crate::access_matrix::stage::{Sent, Stage, UNKNOWN_V7, password};

const PENDING: &str = "pending as AGENT";
const PENDING_OWNER: &str = "pending as OWNER";
const EXPIRED: &str = "expired";
const CANCELED: &str = "canceled";
const ACCEPTED: &str = "accepted";
const UNKNOWN: &str = "an unknown id";
const FOREIGN: &str = "one of Gamma";
const FOUNDING: &str = "founding, in Omega";
const HANDED_OVER: &str = "handed over, in Omega";

/// A kind of link, and its token on the stage.
type Link = (&'static str, fn(&Stage) -> &str);

/// Every kind of invitation. Omega has not had an Owner yet.
const TARGETS: [&str; 9] =
    [PENDING, PENDING_OWNER, EXPIRED, CANCELED, ACCEPTED, UNKNOWN, FOREIGN, FOUNDING, HANDED_OVER];

pub fn rows() -> Vec<Row> {
    let mut rows = create();
    rows.push(row("InvitationService.ListInvitations", "", |_, _| v1::ListInvitationsRequest::default()));
    for target in TARGETS {
        rows.push(about(target, "InvitationService.GetInvitation", |invitation_id| v1::GetInvitationRequest {
            invitation_id,
        }));
        rows.push(about(target, "InvitationService.ResendInvitation", |invitation_id| v1::ResendInvitationRequest {
            invitation_id,
            ..Default::default()
        }));
        rows.push(about(target, "InvitationService.CancelInvitation", |invitation_id| v1::CancelInvitationRequest {
            invitation_id,
        }));
    }
    rows.extend(preview());
    rows.extend(accept());
    rows
}

fn about<M: Message + 'static>(target: &'static str, method: &'static str, message: fn(String) -> M) -> Row {
    let row = row(method, target, move |stage, _| message(id_of(stage, target).to_owned()));
    if [FOUNDING, HANDED_OVER].contains(&target) { row.in_unfounded() } else { row }
}

fn id_of<'a>(stage: &'a Stage, target: &str) -> &'a str {
    let sent: &Sent = match target {
        PENDING => &stage.pending,
        PENDING_OWNER => &stage.pending_owner,
        EXPIRED => &stage.expired,
        CANCELED => &stage.canceled,
        ACCEPTED => &stage.accepted,
        FOREIGN => &stage.foreign,
        FOUNDING => &stage.founding,
        HANDED_OVER => &stage.handed_over,
        _ => return UNKNOWN_V7,
    };
    &sent.id
}

fn create() -> Vec<Row> {
    [
        ("a new address as AGENT", "brand-new@new.example", Role::Agent),
        ("a new address as ADMIN", "brand-new@new.example", Role::Admin),
        ("a new address as OWNER", "brand-new@new.example", Role::Owner),
        ("a member as AGENT", "target-agent@acme.example", Role::Agent),
        ("a member as OWNER", "target-agent@acme.example", Role::Owner),
        ("an invited address", "pending@new.example", Role::Agent),
        ("an address of an expired one", "late@new.example", Role::Agent),
        ("someone removed", "gone@acme.example", Role::Agent),
        ("a member of Delta", "owner@delta.example", Role::Agent),
    ]
    .into_iter()
    .map(|(target, email, role)| {
        row("InvitationService.CreateInvitation", target, move |_, _| v1::CreateInvitationRequest {
            email: email.into(),
            role: role.number(),
            ..Default::default()
        })
    })
    .collect()
}

fn preview() -> Vec<Row> {
    let links: [Link; 4] = [
        ("a live link", |stage| &stage.pending.token),
        ("a canceled one's link", |stage| &stage.canceled.token),
        ("an expired one's link", |stage| &stage.expired.token),
        ("a token never issued", |_| "rci_0000000000000000000000000000000000000000000"),
    ];
    let note: fn(&[u8]) -> String = |bytes| {
        let preview = v1::PreviewInvitationResponse::decode(bytes).unwrap();
        let open = if preview.email.is_empty() { "" } else { ", with the offer" };
        format!("{}{open}", preview.state().as_str_name().trim_start_matches("INVITATION_STATE_"))
    };
    let message = |token: &str| v1::PreviewInvitationRequest { invitation_token: token.into() };
    links
        .into_iter()
        .map(|(target, token)| {
            row("InvitationService.PreviewInvitation", target, move |stage, _| message(token(stage))).with_note(note)
        })
        .collect()
}

fn accept() -> Vec<Row> {
    let by = |target: &'static str, token: fn(&Stage) -> &str, password: fn() -> String| {
        row("InvitationService.AcceptInvitation", target, move |stage, _| v1::AcceptInvitationRequest {
            invitation_token: token(stage).into(),
            display_name: "Nadia New".into(),
            password: password(),
        })
    };
    let wrong = || "some other long password 9".to_owned();
    vec![
        by("a live link", |stage| &stage.pending.token, password),
        by("a live link for an account", |stage| &stage.pending_known.token, password),
        by("… by a wrong password", |stage| &stage.pending_known.token, wrong),
        by("an accepted one's link", |stage| &stage.accepted.token, password),
        by("… by a wrong password", |stage| &stage.accepted.token, wrong),
        by("a canceled one's link", |stage| &stage.canceled.token, password),
        by("an expired one's link", |stage| &stage.expired.token, password),
        by("a token never issued", |_| "rci_0000000000000000000000000000000000000000000", password),
    ]
}
