//! A client that takes people through an invitation: invited, mailed, joined, and then removed or signed out.

use std::path::PathBuf;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::load::{Calls, InvitationIs, Known, Lost, Mailbox, Seen};
use crate::races::{accept, create, request_id};
use crate::support::{As, PASSWORD, hex};

pub struct Host {
    pub owner: String,
    pub number: u64,
    pub folder: PathBuf,
    pub mailbox: Mailbox,
    pub guests: Vec<Guest>,
}

pub struct Guest {
    email: String,
    request_id: String,
    stage: Stage,
    invitation_id: String,
    user_id: String,
    /// The session that accepting began, once it is known.
    session: Option<(String, Known<bool>)>,
    /// Whether the membership stands.
    member: Known<bool>,
}

#[derive(Clone, Debug)]
enum Stage {
    Inviting,
    Waiting,
    Accepting(String),
    Removing,
    SigningOut(String),
    Done,
}

impl Host {
    pub async fn step(&mut self, calls: &Calls, server: &As) -> Result<(), Lost> {
        let count = self.guests.len() as u64;
        let caller = server.with(&self.owner);
        let guest = match self.guests.last_mut() {
            Some(guest) if !matches!(guest.stage, Stage::Done) => guest,
            _ => {
                self.guests.push(Guest::new(self.number, count));
                return Ok(());
            }
        };
        guest.stage = match guest.stage.clone() {
            Stage::Inviting => {
                let request = create(&guest.email, Role::Agent, &guest.request_id);
                let created = calls.must(caller.invitations().create_invitation(request)).await?;
                guest.invitation_id = created.invitation.unwrap().invitation_id;
                Stage::Waiting
            }
            Stage::Waiting => match self.mailbox.token_for(&self.folder, &guest.email) {
                Some(token) => {
                    guest.member.ask(true);
                    Stage::Accepting(token)
                }
                None => {
                    let request = v1::GetInvitationRequest { invitation_id: guest.invitation_id.clone() };
                    calls.must(caller.invitations().get_invitation(request)).await?;
                    Stage::Waiting
                }
            },
            Stage::Accepting(token) => {
                let nobody = server.invitations();
                let accepted = calls.must({ nobody }.accept_invitation(accept(&token, PASSWORD))).await?;
                guest.user_id = accepted.user.unwrap().user_id;
                guest.member.answered();
                guest.session = Some((accepted.session.unwrap().session_id, Known::new(true)));
                if count.is_multiple_of(2) { Stage::Removing } else { Stage::SigningOut(accepted.session_token) }
            }
            Stage::Removing => {
                guest.member.ask(false);
                let request = v1::RemoveUserRequest { user_id: guest.user_id.clone() };
                if let Err(refused) = calls.make(caller.users().remove_user(request)).await? {
                    assert_eq!(refused.reason(), "USER_REMOVED", "which means done");
                }
                guest.member.answered();
                Stage::Done
            }
            Stage::SigningOut(token) => {
                let (_, live) = guest.session.as_mut().unwrap();
                live.ask(false);
                calls.must(server.with(&token).sessions().sign_out(v1::SignOutRequest {})).await?;
                live.answered();
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
        Ok(())
    }

    /// An e-mail that was on its way when the server was killed comes when its lease has run out, which nobody waits for.
    pub fn wait_no_longer(&mut self) {
        if let Some(guest) = self.guests.last_mut()
            && matches!(guest.stage, Stage::Waiting)
        {
            guest.stage = Stage::Done;
        }
    }

    pub fn joined(&self) -> usize {
        self.guests.iter().filter(|guest| guest.session.is_some()).count()
    }

    pub fn check(&self, seen: &Seen) {
        for guest in &self.guests {
            guest.check(seen);
        }
    }
}

impl Guest {
    fn new(host: u64, count: u64) -> Self {
        Self {
            email: format!("guest-{host}-{count}@acme.example"),
            request_id: request_id(host * 1_000_000 + count),
            stage: Stage::Inviting,
            invitation_id: String::new(),
            user_id: String::new(),
            session: None,
            member: Known::new(false),
        }
    }

    fn check(&self, seen: &Seen) {
        let email = &self.email;
        let member = seen.members.get(email);
        self.member.check(email, Some(&member.is_some_and(|(_, active)| *active)));
        if let Some((session, live)) = &self.session {
            assert_eq!(member.map(|(user, _)| user.clone()), Some(hex(&self.user_id)), "{email} is somebody else");
            let is_live = seen.sessions[&hex(session)];
            let may_have_been_removed = !self.member.told() || self.member.asked() == Some(&false);
            if may_have_been_removed {
                assert!(!is_live || *self.member.told(), "{email} was removed and has a session");
            } else {
                live.check(email, Some(&is_live));
            }
        }
        let invitation = seen.invitations.get(email).map_or(InvitationIs::Absent, |(_, state)| *state);
        let joined = member.is_some();
        let as_it_must = match invitation {
            InvitationIs::Absent => !joined && matches!(self.stage, Stage::Inviting),
            InvitationIs::Open => !joined,
            InvitationIs::Accepted => joined,
            InvitationIs::Canceled => false,
        };
        assert!(as_it_must, "{email}: {invitation:?}, joined: {joined}, at {:?}", self.stage);
    }
}
