//! The contract's world in memory: what there is, who may call, and the questions that the rules ask.

use std::collections::BTreeMap;

use rolecall::grpc::pb::v1::{AuditAction, Role};

use super::action::{By, Naming, Password, Pick};

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const DAY: i64 = 24 * 60 * MINUTE;

/// Two passwords, so that accounts differ: who set up an account with the one is wrong with the other.
pub const PASSWORDS: [&str; 2] = ["violet kettle orbit 77 lamp", "seven grumpy teapots & a ladder"];

/// A refusal: the reason and the metadata that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    pub reason: &'static str,
    pub metadata: BTreeMap<String, String>,
}

pub type Answer<T = Vec<String>> = Result<T, No>;

pub fn no<T>(reason: &'static str) -> Answer<T> {
    Err(No { reason, metadata: BTreeMap::new() })
}

pub fn no_with<T>(reason: &'static str, metadata: &[(&str, &str)]) -> Answer<T> {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Err(No { reason, metadata })
}

/// What a call made, as the service calls it. The model cannot guess ids and tokens; it is told them.
#[derive(Clone, Debug, Default)]
pub struct Made {
    pub workspace: String,
    pub invitation: String,
    pub user: String,
    pub session: String,
    pub sign_in: String,
    pub token: String,
}

#[derive(Debug)]
pub struct Workspace {
    pub id: String,
    pub name: String,
    /// It has had an Owner.
    pub founded: bool,
}

#[derive(Debug)]
pub struct Account {
    pub id: String,
    pub email: usize,
    pub name: String,
    pub password: usize,
}

#[derive(Debug)]
pub struct Member {
    pub workspace: usize,
    pub person: usize,
    pub role: Role,
    /// As the person is called now, or was when the membership ended.
    pub name: String,
    pub joined: i64,
    pub removed: Option<i64>,
    pub signed_in: i64,
}

#[derive(Debug)]
pub struct Invitation {
    pub id: String,
    pub workspace: usize,
    pub email: usize,
    pub role: Role,
    pub sender: Option<usize>,
    pub created: i64,
    pub expires: i64,
    pub accepted: Option<(i64, usize)>,
    pub canceled: bool,
    /// By one for the same address that took its place.
    pub replaced: bool,
    pub issue: u32,
    pub founding: bool,
    /// `None` if the operator handed it over, else whether the e-mail has left.
    pub sent: Option<bool>,
}

#[derive(Debug)]
pub struct Link {
    pub token: String,
    pub invitation: usize,
    pub issue: u32,
}

#[derive(Debug)]
pub struct SignIn {
    pub id: String,
    /// When the password was given last.
    pub proved: i64,
    pub expires: i64,
}

#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub token: String,
    pub sign_in: usize,
    pub person: usize,
    pub workspace: usize,
    pub created: i64,
    pub used: i64,
    pub ended: bool,
    /// What ended it was a sign-out.
    pub signed_out: bool,
}

#[derive(Debug)]
pub struct Key {
    pub token: String,
    pub scopes: Vec<&'static str>,
    pub workspace: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Workspace(usize),
    Key(usize),
}

/// A `request_id` that is remembered.
#[derive(Debug)]
pub struct Request {
    pub owner: Owner,
    pub method: &'static str,
    pub id: usize,
    pub fields: Vec<i64>,
    pub made: usize,
    pub at: i64,
}

#[derive(Debug, Default)]
pub struct Model {
    pub now: i64,
    pub workspaces: Vec<Workspace>,
    pub people: Vec<Account>,
    pub members: Vec<Member>,
    pub invitations: Vec<Invitation>,
    pub links: Vec<Link>,
    pub sign_ins: Vec<SignIn>,
    pub sessions: Vec<Session>,
    pub keys: Vec<Key>,
    pub requests: Vec<Request>,
    pub audit: BTreeMap<(usize, AuditAction), i64>,
}

/// Who calls, once it is worked out.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    Nobody,
    Stranger,
    BadKey,
    Key(usize),
    Session(usize),
}

/// A caller that was let in.
#[derive(Clone, Copy, Debug)]
pub enum Actor {
    Session(usize),
    Key { key: usize, place: Place },
}

/// The workspace that a service key acts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Unsaid,
    Unknown,
    At(usize),
}

impl Model {
    pub fn caller(&self, by: By) -> Caller {
        let among = |sessions: Vec<usize>, pick: usize| match Pick::Some(pick).of(sessions.len()) {
            Some(index) => Caller::Session(sessions[index]),
            None => Caller::Nobody,
        };
        let live = || (0..self.sessions.len()).filter(|session| self.is_live(*session));
        match by {
            By::Nobody => Caller::Nobody,
            By::Stranger => Caller::Stranger,
            By::BadKey => Caller::BadKey,
            By::Key(pick) => Caller::Key(pick % self.keys.len()),
            By::Any(pick) => pick.of(self.sessions.len()).map_or(Caller::Stranger, Caller::Session),
            By::Live(pick) => among(live().collect(), pick),
            By::Strong(pick) => among(live().filter(|s| self.role_of_session(*s) >= Role::Admin).collect(), pick),
            By::Exactly(session) => Caller::Session(session),
        }
    }

    pub fn named(&self, naming: Naming) -> Place {
        match naming {
            Naming::Nothing => Place::Unsaid,
            Naming::Unknown => Place::Unknown,
            Naming::Workspace(pick) => Place::At(pick % self.workspaces.len()),
        }
    }

    pub fn is_live(&self, session: usize) -> bool {
        let session = &self.sessions[session];
        !session.ended && self.now < self.sign_ins[session.sign_in].expires && self.now < session.used + DAY
    }

    /// Use that is not half a minute younger than what is recorded is not recorded.
    pub fn note_use(&mut self, session: usize) {
        if self.now >= self.sessions[session].used + 30 * SECOND {
            self.sessions[session].used = self.now;
        }
    }

    /// The role that a session's person has in its workspace.
    pub fn role_of_session(&self, session: usize) -> Role {
        let session = &self.sessions[session];
        self.role(session.workspace, session.person).unwrap_or(Role::Unspecified)
    }

    pub fn member(&self, workspace: usize, person: usize) -> Option<usize> {
        self.members.iter().position(|member| member.workspace == workspace && member.person == person)
    }

    /// The role of an active member.
    pub fn role(&self, workspace: usize, person: usize) -> Option<Role> {
        let member = &self.members[self.member(workspace, person)?];
        member.removed.is_none().then_some(member.role)
    }

    pub fn owners(&self, workspace: usize) -> usize {
        let is_owner =
            |member: &&Member| member.workspace == workspace && member.removed.is_none() && member.role == Role::Owner;
        self.members.iter().filter(is_owner).count()
    }

    pub fn account(&self, email: usize) -> Option<usize> {
        self.people.iter().position(|person| person.email == email)
    }

    /// The password that somebody types: theirs, or one that is not.
    pub fn typed(&self, person: Option<usize>, password: Password) -> usize {
        let right = person.map_or(0, |person| self.people[person].password);
        if password == Password::Right { right } else { 1 - right }
    }

    pub fn note(&mut self, workspace: usize, action: AuditAction) {
        *self.audit.entry((workspace, action)).or_default() += 1;
    }

    /// Sections 1 and 2: the credential, then the rule of the method, then the workspace that the metadata names.
    pub fn admit(
        &mut self,
        caller: Caller,
        named: Place,
        minimum: Option<Role>,
        scope: Option<&'static str>,
    ) -> Answer<Actor> {
        match caller {
            Caller::Nobody => no("CREDENTIAL_MISSING"),
            Caller::Stranger => no("SESSION_ENDED"),
            Caller::BadKey => no("SERVICE_KEY_INVALID"),
            Caller::Session(session) => {
                if !self.is_live(session) {
                    return no("SESSION_ENDED");
                }
                let (role, workspace) = (self.role_of_session(session), self.sessions[session].workspace);
                let refusal = match minimum {
                    Some(minimum) if role >= minimum => None,
                    Some(minimum) => {
                        let roles = [("requiredRole", word(minimum)), ("actualRole", word(role))];
                        Some(no_with("ROLE_TOO_LOW", &roles))
                    }
                    None => Some(no_with("SCOPE_MISSING", &[("requiredScope", scope.unwrap_or_default())])),
                };
                if let Some(refusal) = refusal {
                    self.note(workspace, AuditAction::AccessRefused);
                    return refusal;
                }
                match named {
                    Place::At(named) if named != workspace => return no("WORKSPACE_MISMATCH"),
                    Place::Unknown => return no("WORKSPACE_MISMATCH"),
                    Place::Unsaid | Place::At(_) => {}
                }
                // Use is an accepted call.
                self.note_use(session);
                Ok(Actor::Session(session))
            }
            Caller::Key(key) => {
                match scope {
                    Some(scope) => self.require_scope(key, scope)?,
                    None => return self.refuse_key(key, no("SESSION_REQUIRED")),
                }
                let place = match (named, self.keys[key].workspace) {
                    (Place::Unsaid, Some(bound)) => Place::At(bound),
                    (named, None) => named,
                    (Place::At(named), Some(bound)) if named == bound => Place::At(bound),
                    _ => return no("WORKSPACE_NOT_FOUND"),
                };
                Ok(Actor::Key { key, place })
            }
        }
    }

    /// As [`Model::admit`], of a method that only sessions may call.
    pub fn admit_session(&mut self, caller: Caller, named: Place, minimum: Role) -> Answer<usize> {
        match self.admit(caller, named, Some(minimum), None)? {
            Actor::Session(session) => Ok(session),
            Actor::Key { .. } => unreachable!("no scope was named"),
        }
    }

    pub fn require_scope(&mut self, key: usize, scope: &'static str) -> Answer<()> {
        if self.keys[key].scopes.contains(&scope) {
            return Ok(());
        }
        self.refuse_key(key, no_with("SCOPE_MISSING", &[("requiredScope", scope)]))
    }

    /// A refusal of a key that is bound to a workspace is recorded there.
    pub fn refuse_key<T>(&mut self, key: usize, refusal: Answer<T>) -> Answer<T> {
        if let Some(workspace) = self.keys[key].workspace {
            self.note(workspace, AuditAction::AccessRefused);
        }
        refusal
    }

    /// Only an Owner grants OWNER, and only an Owner touches what is an Owner's.
    pub fn require_owner(&mut self, session: usize) -> Answer<()> {
        if self.role_of_session(session) == Role::Owner {
            return Ok(());
        }
        self.note(self.sessions[session].workspace, AuditAction::AccessRefused);
        no("OWNER_REQUIRED")
    }

    pub fn require_fresh(&self, session: usize) -> Answer<()> {
        let proved = self.sign_ins[self.sessions[session].sign_in].proved;
        if self.now < proved + 10 * MINUTE { Ok(()) } else { no("REAUTHENTICATION_REQUIRED") }
    }

    pub fn require_workspace(place: Place) -> Answer<usize> {
        match place {
            Place::Unsaid => no("WORKSPACE_REQUIRED"),
            Place::Unknown => no("WORKSPACE_NOT_FOUND"),
            Place::At(workspace) => Ok(workspace),
        }
    }

    /// What a remembered request made.
    pub fn recall(
        &self,
        owner: Owner,
        method: &'static str,
        id: Option<usize>,
        fields: &[i64],
    ) -> Answer<Option<usize>> {
        let same = |r: &&Request| r.owner == owner && r.method == method && Some(r.id) == id && self.now < r.at + DAY;
        match self.requests.iter().find(same) {
            None => Ok(None),
            Some(request) if request.fields == fields => Ok(Some(request.made)),
            Some(_) => no("REQUEST_ID_REUSED"),
        }
    }

    pub fn remember(&mut self, owner: Owner, method: &'static str, id: Option<usize>, fields: Vec<i64>, made: usize) {
        let Some(id) = id else { return };
        self.requests.retain(|r| (r.owner, r.method, r.id) != (owner, method, id));
        self.requests.push(Request { owner, method, id, fields, made, at: self.now });
    }
}

/// A role that exists.
pub fn role(number: i32) -> Answer<Role> {
    match Role::try_from(number) {
        Ok(Role::Unspecified) | Err(_) => no("FIELD_INVALID"),
        Ok(role) => Ok(role),
    }
}

/// As the metadata writes it.
pub fn word(role: Role) -> &'static str {
    role.as_str_name().trim_start_matches("ROLE_")
}
