//! A workspace in a database, a server that is started and stopped, and the clients that keep it busy.

use std::path::PathBuf;
use std::sync::Arc;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tokio::task::JoinHandle;

use super::guests::Host;
use super::load::{Calls, Client, Inviter, Known, Mailbox, Promoter, Renamer, Seen};
use crate::races::{accept, create};
use crate::support::{As, Child, Database, Dice, PASSWORD, Place, rolecall};

pub struct Scene {
    pub place: Place,
    /// What the program is started with besides.
    flags: &'static [&'static str],
    /// The Owner's session.
    pub owner: String,
    pub clients: Vec<Client>,
}

/// Clients at work.
pub struct Running {
    pub calls: Arc<Calls>,
    clients: Vec<JoinHandle<Client>>,
}

impl Scene {
    /// A workspace with an Owner, an Admin, and people to work on. Answers the server too.
    pub async fn set() -> (Self, Child) {
        Self::set_in(Place::empty(), &[]).await
    }

    /// As [`Scene::set`], on this database, with these flags for the program.
    pub async fn set_in(place: Place, flags: &'static [&'static str]) -> (Self, Child) {
        let mut scene = Self { place, flags, owner: String::new(), clients: Vec::new() };
        let bootstrap = rolecall(&[
            "bootstrap",
            "--database-url",
            &scene.url(),
            "--workspace",
            "Acme",
            "--owner",
            "owner@acme.example",
            "--json",
        ])
        .output()
        .unwrap();
        let printed: serde_json::Value = serde_json::from_slice(&bootstrap.stdout).unwrap();
        let child = scene.serve();
        let server = child.with_token(None).await;
        let owner = join(&server, printed["invitation_token"].as_str().unwrap()).await.session_token;
        scene.owner.clone_from(&owner);
        let mut mailbox = Mailbox::default();
        let mut people = Vec::new();
        for (name, role) in [
            ("admin", Role::Admin),
            ("changed-1", Role::Agent),
            ("changed-2", Role::Agent),
            ("renamed-1", Role::Agent),
            ("renamed-2", Role::Manager),
        ] {
            let email = format!("{name}@acme.example");
            let caller = server.with(&owner);
            let created = caller.invitations().create_invitation(create(&email, role, "")).await.unwrap().into_inner();
            let invitation_id = created.invitation.unwrap().invitation_id;
            let token = loop {
                if let Some(token) = mailbox.token_for(&scene.mail(), &email) {
                    break token;
                }
                let request = v1::GetInvitationRequest { invitation_id: invitation_id.clone() };
                caller.invitations().get_invitation(request).await.unwrap();
            };
            people.push(join(&server, &token).await);
        }
        scene.clients.push(Client::Inviter(Inviter { token: owner.clone(), number: 1, sent: Vec::new() }));
        let admin = people[0].session_token.clone();
        scene.clients.push(Client::Inviter(Inviter { token: admin, number: 2, sent: Vec::new() }));
        for (seed, person) in people[1..3].iter().enumerate() {
            scene.clients.push(Client::Promoter(Promoter {
                owner: owner.clone(),
                user_id: person.user.clone().unwrap().user_id,
                role: Known::new(Role::Agent.number()),
                dice: Dice::new(seed as u64),
            }));
        }
        for person in &people[3..5] {
            let user = person.user.clone().unwrap();
            scene.clients.push(Client::Renamer(Renamer {
                token: person.session_token.clone(),
                user_id: user.user_id,
                name: Known::new(user.display_name),
                count: 0,
            }));
        }
        scene.clients.push(Client::Host(Host { owner, number: 3, folder: scene.mail(), mailbox, guests: Vec::new() }));
        (scene, child)
    }

    /// A connection to the database that does not belong to the server.
    pub async fn outside(&self) -> Database {
        Database::open(&self.place).await
    }

    fn mail(&self) -> PathBuf {
        self.place.mail()
    }

    pub fn url(&self) -> String {
        self.place.url()
    }

    pub fn serve(&self) -> Child {
        Child::serve(&self.place, self.flags)
    }

    /// Sets all clients to work.
    pub fn run(&mut self, child: &Child) -> Running {
        let calls = Calls::new();
        let clients = self.clients.drain(..);
        let clients =
            clients.map(|client| tokio::spawn(client.run(Arc::clone(&calls), child.address.clone()))).collect();
        Running { calls, clients }
    }

    /// Waits until all clients have stopped working, and takes them back.
    pub async fn rest(&mut self, running: Running) {
        for client in running.clients {
            self.clients.push(client.await.unwrap());
        }
    }

    /// What was acknowledged is there.
    pub async fn check_acknowledged(&self, database: &Database) {
        let seen = Seen::look(database).await;
        for client in &self.clients {
            client.check(&seen);
        }
    }
}

async fn join(server: &As, token: &str) -> v1::AcceptInvitationResponse {
    server.invitations().accept_invitation(accept(token, PASSWORD)).await.unwrap().into_inner()
}
