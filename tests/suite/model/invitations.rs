//! The contract's InvitationService and CreateWorkspace.

use rolecall::grpc::pb::v1::{AuditAction, InvitationState, Role};

use super::action::{NAMES, Password, Pick};
use super::state::{
    Account, Actor, Answer, Caller, DAY, Invitation, Made, Member, Model, Owner, Place, Workspace, no, no_with, role,
};
use super::words;

impl Model {
    pub fn invitation_state(&self, invitation: usize) -> InvitationState {
        let invitation = &self.invitations[invitation];
        match (invitation.accepted, invitation.canceled) {
            (Some(_), _) => InvitationState::Accepted,
            (None, true) => InvitationState::Canceled,
            (None, false) if self.now >= invitation.expires => InvitationState::Expired,
            (None, false) => InvitationState::Pending,
        }
    }

    fn is_open(&self, invitation: usize) -> bool {
        matches!(self.invitation_state(invitation), InvitationState::Pending | InvitationState::Expired)
    }

    /// An invitation of this workspace.
    fn invitation_in(&self, workspace: usize, pick: Pick) -> Answer<usize> {
        match pick.of(self.invitations.len()) {
            Some(index) if self.invitations[index].workspace == workspace => Ok(index),
            _ => no("INVITATION_NOT_FOUND"),
        }
    }

    fn add_invitation(&mut self, workspace: usize, email: usize, role: Role, sender: Option<usize>, made: &Made) {
        self.invitations.push(Invitation {
            id: made.invitation.clone(),
            workspace,
            email,
            role,
            sender,
            created: self.now,
            expires: self.now + 7 * DAY,
            accepted: None,
            canceled: false,
            replaced: false,
            issue: 1,
            founding: false,
            sent: Some(false),
        });
    }

    pub fn create_invitation(
        &mut self,
        caller: Caller,
        named: Place,
        (email, number, request): (usize, i32, Option<usize>),
        made: &Made,
    ) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let role = role(number)?;
        let (workspace, sender) = (self.sessions[session].workspace, self.sessions[session].person);
        if role == Role::Owner {
            self.require_owner(session)?;
        }
        let fields = vec![email as i64, i64::from(number)];
        if let Some(index) = self.recall(Owner::Workspace(workspace), "CreateInvitation", request, &fields)? {
            return Ok(vec![words::invitation(self, index)]);
        }
        if self.account(email).is_some_and(|person| self.role(workspace, person).is_some()) {
            return no("ALREADY_MEMBER");
        }
        let open = (0..self.invitations.len()).find(|index| {
            let invitation = &self.invitations[*index];
            invitation.workspace == workspace && invitation.email == email && self.is_open(*index)
        });
        if let Some(open) = open
            && self.invitation_state(open) == InvitationState::Pending
        {
            return no_with("INVITATION_PENDING", &[("invitationId", &self.invitations[open].id)]);
        }
        if role == Role::Owner {
            self.require_fresh(session)?;
        }
        if let Some(expired) = open {
            self.invitations[expired].canceled = true;
            self.invitations[expired].replaced = true;
            self.note(workspace, AuditAction::InvitationCanceled);
        }
        self.add_invitation(workspace, email, role, Some(sender), made);
        self.note(workspace, AuditAction::InvitationCreated);
        let index = self.invitations.len() - 1;
        self.remember(Owner::Workspace(workspace), "CreateInvitation", request, fields, index);
        Ok(vec![words::invitation(self, index)])
    }

    pub fn resend_invitation(&mut self, caller: Caller, named: Place, pick: Pick, request: Option<usize>) -> Answer {
        let actor = self.admit(caller, named, Some(Role::Admin), Some("PROVISION_WORKSPACES"))?;
        let (workspace, owner) = match actor {
            Actor::Session(session) => {
                let workspace = self.sessions[session].workspace;
                (workspace, Owner::Workspace(workspace))
            }
            Actor::Key { key, place } => (Self::require_workspace(place)?, Owner::Key(key)),
        };
        let index = self.invitation_in(workspace, pick)?;
        match actor {
            Actor::Session(session) if self.invitations[index].role == Role::Owner => self.require_owner(session)?,
            Actor::Key { key, .. } if !self.invitations[index].founding => {
                return self.refuse_key(key, no("SESSION_REQUIRED"));
            }
            _ => {}
        }
        let fields = vec![index as i64];
        if self.recall(owner, "ResendInvitation", request, &fields)?.is_some() {
            return Ok(vec![words::invitation(self, index)]);
        }
        if matches!(actor, Actor::Key { .. }) && self.workspaces[workspace].founded {
            return no("WORKSPACE_FOUNDED");
        }
        match self.invitation_state(index) {
            InvitationState::Accepted => return no("INVITATION_ACCEPTED"),
            InvitationState::Canceled => return no("INVITATION_CANCELED"),
            _ => {}
        }
        let sender = match actor {
            Actor::Session(session) => {
                if self.invitations[index].role == Role::Owner {
                    self.require_fresh(session)?;
                }
                Some(self.sessions[session].person)
            }
            Actor::Key { .. } => None,
        };
        let now = self.now;
        let invitation = &mut self.invitations[index];
        invitation.sender = sender;
        invitation.expires = now + 7 * DAY;
        invitation.issue += 1;
        invitation.sent = Some(false);
        self.note(workspace, AuditAction::InvitationResent);
        self.remember(owner, "ResendInvitation", request, fields, index);
        Ok(vec![words::invitation(self, index)])
    }

    pub fn cancel_invitation(&mut self, caller: Caller, named: Place, pick: Pick) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let workspace = self.sessions[session].workspace;
        let index = self.invitation_in(workspace, pick)?;
        if self.invitations[index].role == Role::Owner {
            self.require_owner(session)?;
        }
        match self.invitation_state(index) {
            InvitationState::Accepted => return no("INVITATION_ACCEPTED"),
            InvitationState::Canceled => {}
            _ => {
                self.invitations[index].canceled = true;
                self.note(workspace, AuditAction::InvitationCanceled);
            }
        }
        Ok(vec![words::invitation(self, index)])
    }

    /// Cancels what a sender may no longer send. Their role is `None` once they are gone.
    pub fn cancel_unsendable(&mut self, workspace: usize, sender: usize, role: Option<Role>) -> Vec<String> {
        let mut canceled = Vec::new();
        for index in 0..self.invitations.len() {
            let invitation = &self.invitations[index];
            let needed = if invitation.role == Role::Owner { Role::Owner } else { Role::Admin };
            let theirs = invitation.workspace == workspace && invitation.sender == Some(sender);
            if theirs && self.is_open(index) && role.is_none_or(|role| role < needed) {
                self.invitations[index].canceled = true;
                self.note(workspace, AuditAction::InvitationCanceled);
                canceled.push(words::invitation(self, index));
            }
        }
        canceled.sort();
        canceled
    }

    pub fn get_invitation(&mut self, caller: Caller, named: Place, pick: Pick) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let index = self.invitation_in(self.sessions[session].workspace, pick)?;
        Ok(vec![words::invitation(self, index)])
    }

    pub fn list_invitations(&mut self, caller: Caller, named: Place, states: &[i32]) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        if states.contains(&0) {
            return no("FIELD_INVALID");
        }
        let workspace = self.sessions[session].workspace;
        let wanted = |index: &usize| {
            let state = self.invitation_state(*index);
            let listed = if states.is_empty() { self.is_open(*index) } else { states.contains(&(state as i32)) };
            self.invitations[*index].workspace == workspace && listed
        };
        Ok((0..self.invitations.len()).rev().filter(wanted).map(|index| words::invitation(self, index)).collect())
    }

    /// Whether a newer link was sent, for this invitation or in its place.
    fn is_superseded(&self, link: usize) -> bool {
        let link = &self.links[link];
        let invitation = &self.invitations[link.invitation];
        invitation.replaced || link.issue != invitation.issue
    }

    pub fn preview_invitation(&self, pick: Pick) -> Answer {
        let Some(link) = pick.of(self.links.len()) else {
            return no("INVITATION_NOT_FOUND");
        };
        let index = self.links[link].invitation;
        let (state, superseded) = (self.invitation_state(index), self.is_superseded(link));
        let invitation = &self.invitations[index];
        let mut said = vec![
            self.workspaces[invitation.workspace].name.clone(),
            format!("{state:?} superseded {superseded} until {}", invitation.expires),
        ];
        if state == InvitationState::Pending && !superseded {
            let sender = invitation.sender.map_or("", |sender| self.people[sender].name.as_str());
            let known = self.account(invitation.email).is_some();
            let email = super::action::EMAILS[invitation.email];
            said.push(format!("{sender:?} invites {email} as {:?}, account {known}", invitation.role));
        } else {
            said.push(format!("{:?} invites  as {:?}, account false", "", Role::Unspecified));
        }
        Ok(said)
    }

    pub fn accept_invitation(&mut self, pick: Pick, name: usize, password: Password, made: &Made) -> Answer {
        let Some(link) = pick.of(self.links.len()) else {
            return no("INVITATION_NOT_FOUND");
        };
        let index = self.links[link].invitation;
        let (workspace, email) = (self.invitations[index].workspace, self.invitations[index].email);
        let account = self.account(email);
        let right = account.is_none() || password == Password::Right;
        if self.is_superseded(link) {
            return no("INVITATION_SUPERSEDED");
        }
        match self.invitation_state(index) {
            InvitationState::Expired => return no("INVITATION_EXPIRED"),
            InvitationState::Canceled => return no("INVITATION_CANCELED"),
            InvitationState::Accepted => {
                let Some((at, person)) = self.invitations[index].accepted else { unreachable!() };
                let stands = self.role(workspace, person).is_some();
                if !(right && stands && self.now < at + DAY) {
                    return no("INVITATION_ACCEPTED");
                }
                self.note(workspace, AuditAction::SignedIn);
                return Ok(self.begin_sign_in(person, workspace, made));
            }
            _ => {}
        }
        if !right {
            return no("INVALID_CREDENTIALS");
        }
        let person = account.unwrap_or_else(|| {
            let typed = self.typed(None, password);
            let name = NAMES[name].trim().to_owned();
            self.people.push(Account { id: made.user.clone(), email, name, password: typed });
            self.people.len() - 1
        });
        self.join(workspace, person, self.invitations[index].role);
        self.invitations[index].accepted = Some((self.now, person));
        self.note(workspace, AuditAction::InvitationAccepted);
        Ok(self.begin_sign_in(person, workspace, made))
    }

    fn join(&mut self, workspace: usize, person: usize, role: Role) {
        let known = self.member(workspace, person);
        let (name, joined) = (self.people[person].name.clone(), self.now);
        let member = Member { workspace, person, role, name, joined, removed: None, signed_in: self.now };
        match known {
            Some(index) => self.members[index] = member,
            None => self.members.push(member),
        }
        self.workspaces[workspace].founded |= role == Role::Owner;
    }

    pub fn create_workspace(
        &mut self,
        caller: Caller,
        named: Place,
        (name, email, request): (usize, usize, Option<usize>),
        made: &Made,
    ) -> Answer {
        let actor = self.admit(caller, named, None, Some("PROVISION_WORKSPACES"))?;
        let Actor::Key { key, .. } = actor else { unreachable!("no session may call") };
        if self.keys[key].workspace.is_some() {
            return self.refuse_key(key, no_with("SCOPE_MISSING", &[("requiredScope", "PROVISION_WORKSPACES")]));
        }
        let fields = vec![name as i64, email as i64];
        let index = match self.recall(Owner::Key(key), "CreateWorkspace", request, &fields)? {
            Some(index) => index,
            None => {
                let name = NAMES[name].trim().to_owned();
                self.workspaces.push(Workspace { id: made.workspace.clone(), name, founded: false });
                let index = self.workspaces.len() - 1;
                self.add_invitation(index, email, Role::Owner, None, made);
                self.invitations.last_mut().expect("it was added").founding = true;
                self.note(index, AuditAction::WorkspaceCreated);
                self.note(index, AuditAction::InvitationCreated);
                self.remember(Owner::Key(key), "CreateWorkspace", request, fields, index);
                index
            }
        };
        let founding =
            self.invitations.iter().position(|invitation| invitation.workspace == index).expect("it has one");
        Ok(vec![words::workspace(self, index), words::invitation(self, founding)])
    }
}
