//! A workspace that has had an Owner keeps one, whichever replicas its Owners are on when they go.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolecall::model::{EmailAddress, Role, WorkspaceId, parse_uuid};
use secrecy::ExposeSecret;
use tonic::{Response, Status};

use super::{Server, number_from};
use crate::races::{accept, at_once};
use crate::support::{As, Database, Dice, PASSWORD, World, hex, outcome};

const ARENAS: usize = 4;
const PEOPLE: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Change(String, Role),
    Remove(String),
    Leave,
    /// With an invitation as Owner, which the operator made.
    Accept(String),
}

struct Someone {
    email: String,
    user_id: String,
    token: String,
    invitation: Option<String>,
    role: Option<Role>,
}

struct Arena {
    workspace: String,
    people: Vec<Someone>,
    dice: Dice,
    database: Database,
}

/// What a call answered, and the session that it began.
async fn make(caller: As, act: Act) -> (String, Option<String>) {
    fn said<T>(result: Result<Response<T>, Status>) -> (String, Option<String>) {
        (outcome(&result), None)
    }
    match act {
        Act::Change(whom, role) => said(caller.change_role(&whom, role).await),
        Act::Remove(whom) => said(caller.remove(&whom).await),
        Act::Leave => said(caller.leave().await),
        Act::Accept(token) => {
            let accepted = caller.invitations().accept_invitation(accept(&token, PASSWORD)).await;
            (outcome(&accepted), accepted.ok().map(|accepted| accepted.into_inner().session_token))
        }
    }
}

impl Arena {
    async fn open(world: &World, server: &Server, number: usize) -> Self {
        let owner = world.workspace(&format!("Arena {number}"), &format!("p{number}-0@acme.example")).await;
        let database = Database::open(&server.place()).await;
        let mut people = Vec::new();
        for one in 0..PEOPLE {
            let person = match one {
                0 => owner.clone(),
                _ => world.join(&owner, &format!("p{number}-{one}@acme.example"), Role::Owner).await,
            };
            let role = Some(Role::Owner);
            people.push(Someone {
                email: person.email,
                user_id: person.user_id,
                token: person.token,
                invitation: None,
                role,
            });
        }
        Self { workspace: owner.workspace_id, people, dice: Dice::new(number as u64), database }
    }

    fn some_act(&mut self, by: usize) -> Act {
        if let Some(token) = &self.people[by].invitation {
            return Act::Accept(token.clone());
        }
        let other = self.dice.below(PEOPLE);
        let whom = self.people[other].user_id.clone();
        match self.dice.below(6) {
            0..=2 => Act::Change(whom, self.dice.pick(&[Role::Admin, Role::Agent, Role::Owner])),
            3 | 4 => Act::Remove(whom),
            _ => Act::Leave,
        }
    }

    /// Everybody does something at once, some of them twice, each on some replica. Answers what the calls answered.
    async fn round(&mut self, worlds: &[World; 2]) -> Vec<String> {
        let count = PEOPLE + self.dice.below(3);
        let mut moves = Vec::new();
        for nth in 0..count {
            let by = nth % PEOPLE;
            let act = self.some_act(by);
            moves.push((by, act, self.dice.below(2)));
        }
        self.dice.shuffle(&mut moves);
        let calls =
            moves.iter().map(|(by, act, on)| make(worlds[*on].with_token(&self.people[*by].token), act.clone()));
        let answers = at_once(calls.collect()).await;
        for ((by, act, _), (_, token)) in moves.iter().zip(&answers) {
            if let (Act::Accept(_), Some(token)) = (act, token) {
                self.people[*by].token.clone_from(token);
                self.people[*by].invitation = None;
            }
        }
        let roles = self.roles().await;
        let answers: Vec<String> = answers.into_iter().map(|(answer, _)| answer).collect();
        assert!(roles.contains(&Some(Role::Owner)), "nobody owns the workspace after {moves:?}: {answers:?}");
        self.database.number("SELECT 1").await;
        for (person, role) in self.people.iter_mut().zip(roles) {
            person.role = role;
        }
        answers
    }

    async fn roles(&self) -> Vec<Option<Role>> {
        let workspace = hex(&self.workspace);
        let query = format!(
            "SELECT hex(user_id), CAST(role AS integer) FROM membership
             WHERE removed_at IS NULL AND hex(workspace_id) = '{workspace}'"
        );
        let rows: Vec<(String, i32)> = self.database.rows(&query).await;
        let role_of = |id: &str| rows.iter().find(|row| row.0 == hex(id)).map(|row| Role::from_number(row.1).unwrap());
        self.people.iter().map(|person| role_of(&person.user_id)).collect()
    }

    /// Whoever is out is invited as an Owner, and of those who are in so many are promoted that two are Owners.
    async fn restore(&mut self, world: &World) {
        let owner = self.people.iter().find(|person| person.role == Some(Role::Owner)).unwrap().token.clone();
        for person in &mut self.people {
            match person.role {
                Some(Role::Owner) => {}
                Some(_) => {
                    assert_eq!(
                        outcome(&world.with_token(&owner).change_role(&person.user_id, Role::Owner).await),
                        "OK"
                    );
                }
                None if person.invitation.is_none() => {
                    let workspace = WorkspaceId::new(parse_uuid(&self.workspace).unwrap());
                    let email = EmailAddress::parse("email", &person.email).unwrap();
                    let invitation = world.app.invite_owner(workspace, &email).await.unwrap();
                    person.invitation = Some(invitation.token.expose_secret().to_owned());
                }
                None => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_demote_remove_leave_and_accept_on_two_replicas_at_once_always_leave_one() {
    let rounds = number_from("ROLECALL_LAST_OWNER_ROUNDS", 400);
    let server = Server::fast();
    let worlds = Arc::new(server.worlds::<2>().await);
    let mut racing = Vec::new();
    for number in 0..ARENAS {
        let mut arena = Arena::open(&worlds[number % 2], &server, number).await;
        let worlds = Arc::clone(&worlds);
        racing.push(tokio::spawn(async move {
            let mut seen = BTreeMap::<String, usize>::new();
            let mut contested = 0;
            for round in 0..rounds / ARENAS {
                let answers = arena.round(&worlds).await;
                contested += usize::from(answers.iter().any(|answer| answer == "LAST_OWNER"));
                for answer in answers {
                    *seen.entry(answer).or_default() += 1;
                }
                arena.restore(&worlds[round % 2]).await;
            }
            (seen, contested)
        }));
    }
    let (mut seen, mut contested) = (BTreeMap::<String, usize>::new(), 0);
    for arena in racing {
        let (answers, times) = arena.await.unwrap();
        contested += times;
        for (answer, times) in answers {
            *seen.entry(answer).or_default() += times;
        }
    }
    for answer in ["OK", "LAST_OWNER", "OWNER_REQUIRED", "SESSION_ENDED", "USER_REMOVED"] {
        assert!(seen.contains_key(answer), "{answer} was never seen: {seen:?}");
    }
    eprintln!("{rounds} rounds, in {contested} of them the last Owner was kept: {seen:?}");
    worlds[0].outside().await.assert_whole().await;
}

#[tokio::test]
async fn the_database_itself_refuses_to_take_the_last_owner() {
    let server = Server::fast();
    let [world] = server.worlds().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    let none =
        format!("UPDATE workspace SET owner_count = owner_count - 1 WHERE hex(id) = '{}'", hex(&owner.workspace_id));
    let refused = database.execute(&none).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "23514");
    world.join(&owner, "second@acme.example", Role::Owner).await;
    assert_eq!(database.run(&none).await, 1, "of two Owners one may go");
}
