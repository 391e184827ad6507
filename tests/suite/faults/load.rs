//! Clients that change things without a pause, and remember what they were told and what they only asked for.
//!
//! Each has people and addresses of its own, so that it knows what must be there. A call whose answer is lost is made
//! again when there is a server again: that it may be is part of the contract.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tokio::sync::Semaphore;
use tonic::transport::Endpoint;
use tonic::{Code, Response, Status};

use super::guests::Host;
use crate::races::{change_role, create, request_id};
use crate::support::{As, Database, Dice, Refused, hex};

/// The answer to a call never came: it may have happened or not.
#[derive(Debug)]
pub struct Lost;

/// The calls of all clients.
pub struct Calls {
    in_flight: AtomicUsize,
    answered: Semaphore,
    stop: AtomicBool,
    lost: Mutex<BTreeMap<String, usize>>,
}

impl Calls {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            answered: Semaphore::new(0),
            stop: AtomicBool::new(false),
            lost: Mutex::default(),
        })
    }

    /// Makes a call. A refusal by the service is an answer; everything else is a loss.
    pub async fn make<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<T, Refused>, Lost> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = call.await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        match answer {
            Ok(response) => {
                self.answered.add_permits(1);
                Ok(Ok(response.into_inner()))
            }
            Err(status)
                if status.details().is_empty()
                    || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) =>
            {
                *self.lost.lock().unwrap().entry(how(&status)).or_default() += 1;
                Err(Lost)
            }
            Err(status) => Ok(Err(Refused::from_status(&status))),
        }
    }

    /// As [`Calls::make`], where a refusal is a bug.
    pub async fn must<T: Debug>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Lost> {
        Ok(self.make(call).await?.unwrap_or_else(|refused| panic!("it was refused: {refused:?}")))
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Completes when so many more calls have been answered.
    pub async fn answered(&self, count: u32) {
        self.answered.acquire_many(count).await.unwrap().forget();
    }

    /// How the lost ones ended, and how many did so.
    pub fn lost(&self) -> BTreeMap<String, usize> {
        self.lost.lock().unwrap().clone()
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// How an answer was lost, with what is at the bottom of it where the client says no more than "transport error".
fn how(status: &Status) -> String {
    let mut bottom = status.source();
    while let Some(source) = bottom.and_then(Error::source) {
        bottom = Some(source);
    }
    let (code, text) = (status.code(), status.message());
    match bottom.filter(|_| text == "transport error") {
        Some(bottom) => format!("{code:?}: {text}: {bottom}"),
        None => format!("{code:?}: {text}"),
    }
}

/// Something in the service, as a client knows it.
#[derive(Clone, Debug)]
pub struct Known<T> {
    told: T,
    asked: Option<T>,
}

impl<T: Clone + PartialEq + Debug> Known<T> {
    pub fn new(told: T) -> Self {
        Self { told, asked: None }
    }

    pub fn ask(&mut self, value: T) {
        self.asked = Some(value);
    }

    /// What was asked for is so.
    pub fn answered(&mut self) {
        self.told = self.asked.take().unwrap();
    }

    pub fn told(&self) -> &T {
        &self.told
    }

    pub fn asked(&self) -> Option<&T> {
        self.asked.as_ref()
    }

    /// What was told is so, unless what was asked for since is.
    pub fn check(&self, what: &str, actual: Option<&T>) {
        let known = actual.is_some_and(|actual| *actual == self.told || self.asked.as_ref() == Some(actual));
        assert!(known, "{what} is {actual:?}; known was {self:?}");
    }
}

/// What the database holds, by what the clients know.
pub struct Seen {
    /// Role by user.
    pub roles: HashMap<String, i32>,
    /// Name by user.
    pub names: HashMap<String, String>,
    /// User, and whether the membership stands, by address.
    pub members: HashMap<String, (String, bool)>,
    /// Id and state by address.
    pub invitations: HashMap<String, (String, InvitationIs)>,
    /// Whether a session was not ended.
    pub sessions: HashMap<String, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationIs {
    Absent,
    Open,
    Canceled,
    Accepted,
}

impl Seen {
    pub async fn look(database: &Database) -> Self {
        let members: Vec<(String, String, i32, String, bool)> = database
            .rows("SELECT email, hex(user_id), CAST(role AS integer), display_name, removed_at IS NULL FROM membership")
            .await;
        let invitations: Vec<(String, String, bool, bool)> = database
            .rows("SELECT email, hex(id), accepted_at IS NOT NULL, canceled_at IS NOT NULL FROM invitation")
            .await;
        let sessions: Vec<(String, bool)> = database.rows("SELECT hex(id), ended_at IS NULL FROM session").await;
        let is = |accepted, canceled| match (accepted, canceled) {
            (true, _) => InvitationIs::Accepted,
            (_, true) => InvitationIs::Canceled,
            _ => InvitationIs::Open,
        };
        let count = invitations.len();
        let seen = Self {
            roles: members.iter().map(|(_, user, role, ..)| (user.clone(), *role)).collect(),
            names: members.iter().map(|(_, user, _, name, _)| (user.clone(), name.clone())).collect(),
            members: members.into_iter().map(|(email, user, _, _, active)| (email, (user, active))).collect(),
            invitations: invitations.into_iter().map(|(email, id, a, c)| (email, (id, is(a, c)))).collect(),
            sessions: sessions.into_iter().collect(),
        };
        assert_eq!(seen.invitations.len(), count, "an address that was invited once has two invitations");
        seen
    }
}

/// Changes one person's role all the time.
pub struct Promoter {
    pub owner: String,
    pub user_id: String,
    pub role: Known<i32>,
    pub dice: Dice,
}

impl Promoter {
    async fn step(&mut self, calls: &Calls, server: &As) -> Result<(), Lost> {
        let others = Role::ALL.into_iter().filter(|role| *role != Role::Owner && role.number() != *self.role.told());
        let others: Vec<Role> = others.collect();
        let role = match self.role.asked() {
            Some(role) => Role::from_number(*role).unwrap(),
            None => self.dice.pick(&others),
        };
        self.role.ask(role.number());
        let caller = server.with(&self.owner);
        let changed = calls.must(caller.users().change_user_role(change_role(&self.user_id, role))).await?;
        assert_eq!(changed.user.unwrap().role, role.number());
        self.role.answered();
        Ok(())
    }
}

/// Changes its own name all the time.
pub struct Renamer {
    pub token: String,
    pub user_id: String,
    pub name: Known<String>,
    pub count: usize,
}

impl Renamer {
    async fn step(&mut self, calls: &Calls, server: &As) -> Result<(), Lost> {
        if self.name.asked().is_none() {
            self.count += 1;
            self.name.ask(format!("Name {}", self.count));
        }
        let request = v1::UpdateProfileRequest { display_name: self.name.asked().cloned() };
        calls.must(server.with(&self.token).users().update_profile(request)).await?;
        self.name.answered();
        Ok(())
    }
}

/// Invites address after address, and cancels every other invitation.
pub struct Inviter {
    pub token: String,
    pub number: u64,
    pub sent: Vec<Sent>,
}

pub struct Sent {
    email: String,
    request_id: String,
    id: Option<String>,
    state: Known<InvitationIs>,
}

impl Inviter {
    async fn step(&mut self, calls: &Calls, server: &As) -> Result<(), Lost> {
        let caller = server.with(&self.token);
        let count = self.sent.len() as u64;
        match self.sent.last_mut() {
            Some(sent) if sent.state.asked() == Some(&InvitationIs::Open) => {}
            Some(sent) if *sent.state.told() == InvitationIs::Open && count.is_multiple_of(2) => {
                sent.state.ask(InvitationIs::Canceled);
                let request = v1::CancelInvitationRequest { invitation_id: sent.id.clone().unwrap() };
                calls.must(caller.invitations().cancel_invitation(request)).await?;
                sent.state.answered();
                return Ok(());
            }
            _ => {
                let mut state = Known::new(InvitationIs::Absent);
                state.ask(InvitationIs::Open);
                self.sent.push(Sent {
                    email: format!("invited-{}-{count}@acme.example", self.number),
                    request_id: request_id(self.number * 1_000_000 + count),
                    id: None,
                    state,
                });
            }
        }
        // Asked and sent in the same step: who stops between two steps has nothing open.
        if let Some(sent) = self.sent.last_mut() {
            let request = create(&sent.email, Role::Agent, &sent.request_id);
            let created = calls.must(caller.invitations().create_invitation(request)).await?;
            sent.id = Some(created.invitation.unwrap().invitation_id);
            sent.state.answered();
        }
        Ok(())
    }

    fn check(&self, seen: &Seen) {
        for sent in &self.sent {
            let absent = (String::new(), InvitationIs::Absent);
            let (id, state) = seen.invitations.get(&sent.email).unwrap_or(&absent);
            sent.state.check(&sent.email, Some(state));
            assert!(sent.id.as_ref().is_none_or(|known| hex(known) == *id), "{} is another one now", sent.email);
        }
    }
}

pub enum Client {
    Promoter(Promoter),
    Renamer(Renamer),
    Inviter(Inviter),
    Host(Host),
}

impl Client {
    async fn step(&mut self, calls: &Calls, server: &As) -> Result<(), Lost> {
        match self {
            Client::Promoter(client) => client.step(calls, server).await,
            Client::Renamer(client) => client.step(calls, server).await,
            Client::Inviter(client) => client.step(calls, server).await,
            Client::Host(client) => client.step(calls, server).await,
        }
    }

    /// Goes on until an answer is lost or it is told to stop.
    pub async fn run(mut self, calls: Arc<Calls>, address: String) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let server = As::new(channel, None);
        while !calls.stop.load(Ordering::SeqCst) {
            if self.step(&calls, &server).await.is_err() {
                break;
            }
        }
        self
    }

    /// What was acknowledged is there.
    pub fn check(&self, seen: &Seen) {
        match self {
            Client::Promoter(client) => client.role.check(&client.user_id, seen.roles.get(&hex(&client.user_id))),
            Client::Renamer(client) => client.name.check(&client.user_id, seen.names.get(&hex(&client.user_id))),
            Client::Inviter(client) => client.check(seen),
            Client::Host(client) => client.check(seen),
        }
    }

    /// How many calls wait to be made again.
    pub fn open_questions(&self) -> usize {
        match self {
            Client::Promoter(client) => usize::from(client.role.asked().is_some()),
            Client::Renamer(client) => usize::from(client.name.asked().is_some()),
            Client::Inviter(client) => client.sent.iter().filter(|sent| sent.state.asked().is_some()).count(),
            Client::Host(_) => 0,
        }
    }
}

/// The tokens in a folder of mail, by address. Each file is read once.
#[derive(Default)]
pub struct Mailbox {
    read: std::collections::HashSet<std::ffi::OsString>,
    tokens: HashMap<String, String>,
}

impl Mailbox {
    pub fn token_for(&mut self, folder: &Path, email: &str) -> Option<String> {
        if !self.tokens.contains_key(email) {
            for file in std::fs::read_dir(folder).ok()?.flatten() {
                let name = file.file_name();
                if !name.to_string_lossy().starts_with('.') && self.read.insert(name) {
                    let mail = crate::support::Mail::parse(&std::fs::read(file.path()).unwrap());
                    self.tokens.insert(mail.to.clone(), mail.token());
                }
            }
        }
        self.tokens.get(email).cloned()
    }
}
