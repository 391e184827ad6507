//! The contract's UserService, SessionService, AccessService and UpdateWorkspace.

use rolecall::grpc::pb::v1::{AuditAction, DenialReason, Role, UserState};

use super::action::{NAMES, Password, Pick, Requirement, Subject};
use super::state::{Actor, Answer, Caller, DAY, Made, Model, Place, Session, SignIn, no, role};
use super::words;

impl Model {
    /// Somebody who is or was a member of this workspace.
    fn member_in(&self, workspace: usize, pick: Pick) -> Answer<usize> {
        match pick.of(self.people.len()).and_then(|person| self.member(workspace, person)) {
            Some(member) => Ok(member),
            None => no("USER_NOT_FOUND"),
        }
    }

    pub fn list_users(&mut self, caller: Caller, named: Place, include_removed: bool) -> Answer {
        let actor = self.admit(caller, named, Some(Role::Admin), Some("READ_USERS"))?;
        let workspace = self.workspace_of(actor)?;
        let listed = |member: &&usize| {
            let member = &self.members[**member];
            member.workspace == workspace && (include_removed || member.removed.is_none())
        };
        let all: Vec<usize> = (0..self.members.len()).collect();
        let mut members: Vec<usize> = all.iter().filter(listed).copied().collect();
        members.sort_by_key(|member| super::action::EMAILS[self.people[self.members[*member].person].email]);
        Ok(members.into_iter().map(|member| words::user(self, member, true)).collect())
    }

    fn workspace_of(&self, actor: Actor) -> Answer<usize> {
        match actor {
            Actor::Session(session) => Ok(self.sessions[session].workspace),
            Actor::Key { place, .. } => Self::require_workspace(place),
        }
    }

    pub fn get_user(&mut self, caller: Caller, named: Place, pick: Pick) -> Answer {
        let actor = self.admit(caller, named, Some(Role::Agent), Some("READ_USERS"))?;
        let workspace = self.workspace_of(actor)?;
        let member = self.member_in(workspace, pick)?;
        let full = match actor {
            Actor::Session(session) => {
                self.role_of_session(session) >= Role::Admin
                    || self.sessions[session].person == self.members[member].person
            }
            Actor::Key { .. } => true,
        };
        Ok(vec![words::user(self, member, full)])
    }

    pub fn change_user_role(&mut self, caller: Caller, named: Place, pick: Pick, number: i32) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let wanted = role(number)?;
        let workspace = self.sessions[session].workspace;
        let target = self.member_in(workspace, pick)?;
        let (person, before) = (self.members[target].person, self.members[target].role);
        let removed = self.members[target].removed.is_some();
        let is_owner = before == Role::Owner && !removed;
        if wanted == Role::Owner || is_owner {
            self.require_owner(session)?;
        }
        if removed {
            return no("USER_REMOVED");
        }
        if wanted == before {
            return Ok(vec![words::user(self, target, true)]);
        }
        if is_owner && self.owners(workspace) == 1 {
            return no("LAST_OWNER");
        }
        if wanted == Role::Owner || is_owner {
            self.require_fresh(session)?;
        }
        self.members[target].role = wanted;
        self.note(workspace, AuditAction::UserRoleChanged);
        let mut said = vec![words::user(self, target, true)];
        said.extend(self.cancel_unsendable(workspace, person, Some(wanted)));
        Ok(said)
    }

    pub fn remove_user(&mut self, caller: Caller, named: Place, pick: Pick) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let target = self.member_in(self.sessions[session].workspace, pick)?;
        if self.members[target].role == Role::Owner && self.members[target].removed.is_none() {
            self.require_owner(session)?;
        }
        let ended = self.end_membership(session, target, AuditAction::UserRemoved)?;
        let mut said = vec![words::user(self, target, true)];
        said.extend(ended);
        Ok(said)
    }

    pub fn leave_workspace(&mut self, caller: Caller, named: Place) -> Answer {
        let session = self.admit_session(caller, named, Role::Agent)?;
        let (workspace, person) = (self.sessions[session].workspace, self.sessions[session].person);
        let target = self.member(workspace, person).expect("a session stands on a membership");
        self.end_membership(session, target, AuditAction::UserLeft)
    }

    fn end_membership(&mut self, session: usize, target: usize, action: AuditAction) -> Answer {
        let (workspace, person) = (self.members[target].workspace, self.members[target].person);
        if self.members[target].removed.is_some() {
            return no("USER_REMOVED");
        }
        if self.members[target].role == Role::Owner {
            if self.owners(workspace) == 1 {
                return no("LAST_OWNER");
            }
            self.require_fresh(session)?;
        }
        let ended = self.end_sessions(false, |session| session.workspace == workspace && session.person == person);
        self.members[target].removed = Some(self.now);
        self.note(workspace, action);
        let mut said = vec![format!("{ended} sessions ended")];
        said.extend(self.cancel_unsendable(workspace, person, None));
        Ok(said)
    }

    pub fn update_profile(&mut self, caller: Caller, named: Place, name: Option<usize>) -> Answer {
        let session = self.admit_session(caller, named, Role::Agent)?;
        let Some(name) = name.map(|name| NAMES[name].trim().to_owned()) else {
            return no("FIELD_INVALID");
        };
        let (workspace, person) = (self.sessions[session].workspace, self.sessions[session].person);
        if self.people[person].name != name {
            self.people[person].name.clone_from(&name);
            for member in self.members.iter_mut().filter(|m| m.person == person && m.removed.is_none()) {
                member.name.clone_from(&name);
            }
            self.note(workspace, AuditAction::ProfileUpdated);
        }
        let member = self.member(workspace, person).expect("a session stands on a membership");
        Ok(vec![words::user(self, member, true)])
    }

    pub fn update_workspace(&mut self, caller: Caller, named: Place, name: Option<usize>) -> Answer {
        let session = self.admit_session(caller, named, Role::Admin)?;
        let Some(name) = name.map(|name| NAMES[name].trim().to_owned()) else {
            return no("FIELD_INVALID");
        };
        let workspace = self.sessions[session].workspace;
        if self.workspaces[workspace].name != name {
            self.workspaces[workspace].name = name;
            self.note(workspace, AuditAction::WorkspaceRenamed);
        }
        Ok(vec![words::workspace(self, workspace)])
    }

    pub fn sign_in(&mut self, (email, password, workspace): (usize, Password, Option<Pick>), made: &Made) -> Answer {
        let Some(person) = self.account(email).filter(|_| password == Password::Right) else {
            return no("INVALID_CREDENTIALS");
        };
        let mine = self.members.iter().filter(|member| member.person == person && member.removed.is_none());
        // The one signed in to last. Whoever joins signs in by that, so this is never a tie.
        let Some(last) = mine.max_by_key(|member| member.signed_in).map(|member| member.workspace) else {
            return no("INVALID_CREDENTIALS");
        };
        let workspace = match workspace {
            None => last,
            Some(pick) => match pick.of(self.workspaces.len()) {
                Some(workspace) if self.role(workspace, person).is_some() => workspace,
                _ => return no("NOT_A_MEMBER"),
            },
        };
        self.note(workspace, AuditAction::SignedIn);
        let mut said = self.begin_sign_in(person, workspace, made);
        said.push(words::membership(self, workspace, person));
        Ok(said)
    }

    pub fn begin_sign_in(&mut self, person: usize, workspace: usize, made: &Made) -> Vec<String> {
        let sign_in = SignIn { id: made.sign_in.clone(), proved: self.now, expires: self.now + 14 * DAY };
        self.sign_ins.push(sign_in);
        let member = self.member(workspace, person).expect("whoever signs in is a member");
        self.members[member].signed_in = self.now;
        let session = self.begin_session(self.sign_ins.len() - 1, person, workspace, made);
        vec![session, words::user(self, member, true)]
    }

    fn begin_session(&mut self, sign_in: usize, person: usize, workspace: usize, made: &Made) -> String {
        self.sessions.push(Session {
            id: made.session.clone(),
            token: made.token.clone(),
            sign_in,
            person,
            workspace,
            created: self.now,
            used: self.now,
            ended: false,
            signed_out: false,
        });
        words::session(self, self.sessions.len() - 1, true)
    }

    /// Ends sessions. Answers how many were live.
    fn end_sessions(&mut self, signed_out: bool, which: impl Fn(&Session) -> bool) -> usize {
        let mut live = 0;
        for index in 0..self.sessions.len() {
            if which(&self.sessions[index]) && !self.sessions[index].ended {
                let was_live = self.is_live(index);
                live += usize::from(was_live);
                self.sessions[index].ended = true;
                self.sessions[index].signed_out = signed_out && was_live;
            }
        }
        live
    }

    pub fn switch_workspace(&mut self, caller: Caller, named: Place, pick: Pick, made: &Made) -> Answer {
        let session = self.admit_session(caller, named, Role::Agent)?;
        let (person, sign_in) = (self.sessions[session].person, self.sessions[session].sign_in);
        let Some(workspace) = pick.of(self.workspaces.len()).filter(|w| self.role(*w, person).is_some()) else {
            return no("NOT_A_MEMBER");
        };
        self.note(workspace, AuditAction::WorkspaceSwitched);
        Ok(vec![self.begin_session(sign_in, person, workspace, made)])
    }

    pub fn get_session(&mut self, caller: Caller, named: Place) -> Answer {
        let session = self.admit_session(caller, named, Role::Agent)?;
        let (workspace, person) = (self.sessions[session].workspace, self.sessions[session].person);
        let member = self.member(workspace, person).expect("a session stands on a membership");
        let role = self.role_of_session(session);
        let permissions: Vec<i32> = (1..=14).filter(|number| granted_to(*number) <= Some(role)).collect();
        Ok(vec![
            words::session(self, session, true),
            words::user(self, member, true),
            words::membership(self, workspace, person),
            format!("{permissions:?}"),
        ])
    }

    pub fn list_sessions(&mut self, caller: Caller, named: Place) -> Answer {
        let current = self.admit_session(caller, named, Role::Agent)?;
        let person = self.sessions[current].person;
        let mine = |session: &usize| self.sessions[*session].person == person && self.is_live(*session);
        let said = |session: usize| words::session(self, session, session == current);
        Ok((0..self.sessions.len()).rev().filter(mine).map(said).collect())
    }

    pub fn revoke_session(&mut self, caller: Caller, named: Place, pick: Pick) -> Answer {
        let current = self.admit_session(caller, named, Role::Agent)?;
        let (workspace, person) = (self.sessions[current].workspace, self.sessions[current].person);
        let target = pick.of(self.sessions.len()).map(|session| &self.sessions[session]);
        let Some(sign_in) = target.filter(|target| target.person == person).map(|target| target.sign_in) else {
            return no("SESSION_NOT_FOUND");
        };
        if self.end_sessions(false, |session| session.sign_in == sign_in) > 0 {
            self.note(workspace, AuditAction::SessionRevoked);
        }
        Ok(Vec::new())
    }

    pub fn revoke_other_sessions(&mut self, caller: Caller, named: Place) -> Answer {
        let current = self.admit_session(caller, named, Role::Agent)?;
        let Session { workspace, person, sign_in, .. } = self.sessions[current];
        let ended = self.end_sessions(false, |session| session.person == person && session.sign_in != sign_in);
        if ended > 0 {
            self.note(workspace, AuditAction::OtherSessionsRevoked);
        }
        Ok(vec![format!("{ended} sessions ended")])
    }

    pub fn sign_out(&mut self, caller: Caller, named: Place) -> Answer {
        if let Caller::Session(session) = caller
            && self.sessions[session].signed_out
        {
            return Ok(Vec::new());
        }
        let current = self.admit_session(caller, named, Role::Agent)?;
        let Session { workspace, sign_in, .. } = self.sessions[current];
        self.end_sessions(true, |session| session.sign_in == sign_in);
        self.note(workspace, AuditAction::SignedOut);
        Ok(Vec::new())
    }

    pub fn reauthenticate(&mut self, caller: Caller, named: Place, password: Password) -> Answer {
        let session = self.admit_session(caller, named, Role::Agent)?;
        if password == Password::Wrong {
            return no("PASSWORD_WRONG");
        }
        let Session { workspace, sign_in, .. } = self.sessions[session];
        self.sign_ins[sign_in].proved = self.now;
        self.note(workspace, AuditAction::Reauthenticated);
        Ok(Vec::new())
    }

    pub fn check_access(&mut self, caller: Caller, named: Place, subject: Subject, requirement: Requirement) -> Answer {
        let actor = self.admit(caller, named, Some(Role::Agent), Some("CHECK_ACCESS"))?;
        let needed = match requirement {
            Requirement::Unset => return no("FIELD_INVALID"),
            Requirement::Role(number) => role(number)?,
            Requirement::Permission(number) => match granted_to(number) {
                Some(role) => role,
                None => return no("FIELD_INVALID"),
            },
        };
        match (actor, subject) {
            (Actor::Session(session), Subject::Unset) => {
                let Session { workspace, person, .. } = self.sessions[session];
                Ok(self.verdict(workspace, person, needed))
            }
            (Actor::Key { place, .. }, Subject::Token(pick)) => {
                let live = pick.of(self.sessions.len()).filter(|session| self.is_live(*session));
                let Some(session) = live else {
                    return Ok(denied(DenialReason::SessionEnded));
                };
                self.note_use(session);
                let Session { workspace, person, .. } = self.sessions[session];
                if place != Place::Unsaid && place != Place::At(workspace) {
                    return Ok(denied(DenialReason::WrongWorkspace));
                }
                Ok(self.verdict(workspace, person, needed))
            }
            (Actor::Key { key, place }, Subject::Person(pick)) => {
                if place == Place::Unsaid {
                    return no("WORKSPACE_REQUIRED");
                }
                self.require_scope(key, "CHECK_USER_ACCESS")?;
                let workspace = Self::require_workspace(place)?;
                match pick.of(self.people.len()) {
                    Some(person) => Ok(self.verdict(workspace, person, needed)),
                    None => Ok(vec![words::verdict(
                        (false, DenialReason::NotAMember, Role::Unspecified),
                        (super::action::UNKNOWN, &self.workspaces[workspace].id, Role::Unspecified),
                    )]),
                }
            }
            (Actor::Session(_), _) | (Actor::Key { .. }, Subject::Unset) => no("FIELD_INVALID"),
        }
    }

    fn verdict(&self, workspace: usize, person: usize, needed: Role) -> Vec<String> {
        let (user, place) = (self.people[person].id.as_str(), self.workspaces[workspace].id.as_str());
        let (answer, role) = match self.role(workspace, person) {
            None => ((false, DenialReason::NotAMember, Role::Unspecified), Role::Unspecified),
            Some(role) if role >= needed => ((true, DenialReason::Unspecified, Role::Unspecified), role),
            Some(role) => ((false, DenialReason::RoleTooLow, needed), role),
        };
        vec![words::verdict(answer, (user, place, role))]
    }

    /// Active or removed, for the comparison of states.
    pub fn user_state(&self, member: usize) -> UserState {
        if self.members[member].removed.is_some() { UserState::Removed } else { UserState::Active }
    }
}

fn denied(reason: DenialReason) -> Vec<String> {
    vec![words::verdict((false, reason, Role::Unspecified), ("", "", Role::Unspecified))]
}

/// Section 2: the lowest role that has a permission.
fn granted_to(permission: i32) -> Option<Role> {
    match permission {
        1..=3 => Some(Role::Agent),
        4..=6 => Some(Role::Manager),
        7..=12 => Some(Role::Admin),
        13..=14 => Some(Role::Owner),
        _ => None,
    }
}
