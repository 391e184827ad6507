//! Two Owners against each other.

use std::collections::BTreeMap;

use rolecall::grpc::pb::v1;
use rolecall::model::{EmailAddress, Role, WorkspaceId, parse_uuid};
use secrecy::ExposeSecret;
use tonic::{Response, Status};

use super::{at_once, change_role, orders};
use crate::support::{As, Database, Dice, Person, World, hex, outcome};

/// Workspaces that race side by side, and rounds in each.
const ARENAS: usize = 4;
const ROUNDS: usize = 500;

/// What one of the two does, to the one with this number where it is done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Change(usize, Role),
    Remove(usize),
    Leave,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    by: usize,
    act: Act,
}

/// What the contract says of two people: their roles, `None` for one whose membership has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing([Option<Role>; 2]);

impl Standing {
    const BOTH: Self = Self([Some(Role::Owner); 2]);

    fn owners(self) -> usize {
        self.0.iter().filter(|role| **role == Some(Role::Owner)).count()
    }

    /// What a call answers when it comes alone, and what it leaves behind.
    fn after(mut self, Move { by, act }: Move) -> (Self, &'static str) {
        let Some(role) = self.0[by] else {
            return (self, "SESSION_ENDED");
        };
        let (whom, wanted) = match act {
            Act::Change(whom, wanted) => (whom, Some(wanted)),
            Act::Remove(whom) => (whom, None),
            Act::Leave => (by, None),
        };
        if act != Act::Leave && role < Role::Admin {
            return (self, "ROLE_TOO_LOW");
        }
        if act != Act::Leave && role != Role::Owner && (wanted, self.0[whom]).contains_owner() {
            return (self, "OWNER_REQUIRED");
        }
        let Some(before) = self.0[whom] else {
            return (self, "USER_REMOVED");
        };
        if wanted != Some(before) {
            if before == Role::Owner && self.owners() == 1 {
                return (self, "LAST_OWNER");
            }
            self.0[whom] = wanted;
        }
        (self, "OK")
    }
}

trait ContainsOwner {
    fn contains_owner(self) -> bool;
}

impl ContainsOwner for (Option<Role>, Option<Role>) {
    fn contains_owner(self) -> bool {
        self.0 == Some(Role::Owner) || self.1 == Some(Role::Owner)
    }
}

fn some_move(dice: &mut Dice) -> Move {
    let by = dice.below(2);
    let whom = if dice.below(4) == 0 { by } else { 1 - by };
    let act = match dice.below(5) {
        0 | 1 => Act::Change(whom, dice.pick(&[Role::Agent, Role::Manager, Role::Admin, Role::Admin, Role::Owner])),
        2 | 3 => Act::Remove(whom),
        _ => Act::Leave,
    };
    Move { by, act }
}

async fn make(caller: As, Move { act, .. }: Move, ids: [String; 2]) -> String {
    fn said<T>(result: Result<Response<T>, Status>) -> String {
        outcome(&result)
    }
    match act {
        Act::Change(whom, role) => said(caller.users().change_user_role(change_role(&ids[whom], role)).await),
        Act::Remove(whom) => {
            said(caller.users().remove_user(v1::RemoveUserRequest { user_id: ids[whom].clone() }).await)
        }
        Act::Leave => said(caller.users().leave_workspace(v1::LeaveWorkspaceRequest {}).await),
    }
}

struct Arena {
    owners: [Person; 2],
    dice: Dice,
    database: Database,
}

impl Arena {
    async fn open(world: &World, number: usize) -> Self {
        let ada = world.workspace(&format!("Arena {number}"), &format!("ada{number}@acme.example")).await;
        let bob = Self::invite(world, &ada.workspace_id, &format!("bob{number}@acme.example")).await;
        let database = world.outside().await;
        Self { owners: [ada, bob], dice: Dice::new(number as u64), database }
    }

    /// The way back in for an Owner.
    async fn invite(world: &World, workspace: &str, email: &str) -> Person {
        let workspace = WorkspaceId::new(parse_uuid(workspace).unwrap());
        let email = EmailAddress::parse("email", email).unwrap();
        let invitation = world.app.invite_owner(workspace, &email).await.unwrap();
        world.accept(invitation.token.expose_secret(), "Owner Again").await
    }

    async fn standing(&self) -> Standing {
        let workspace = hex(&self.owners[0].workspace_id);
        let rows: Vec<(String, i32, bool)> = self
            .database
            .rows(&format!(
                "SELECT hex(user_id), CAST(role AS integer), removed_at IS NULL FROM membership
                     WHERE hex(workspace_id) = '{workspace}'"
            ))
            .await;
        Standing([0, 1].map(|one| {
            let (_, role, active) = rows.iter().find(|row| row.0 == hex(&self.owners[one].user_id)).unwrap();
            active.then(|| Role::from_number(*role).unwrap())
        }))
    }

    /// Makes a few moves at once and finds the orders that explain what came of them.
    async fn round(&mut self, world: &World) -> (Vec<Move>, Vec<String>) {
        let count = 2 + self.dice.below(3);
        let mut moves: Vec<Move> = (0..count).map(|_| some_move(&mut self.dice)).collect();
        self.dice.shuffle(&mut moves);
        let ids = [0, 1].map(|one| self.owners[one].user_id.clone());
        let calls = moves.iter().map(|one| make(world.by(&self.owners[one.by]), *one, ids.clone())).collect();
        let answers = at_once(calls).await;
        let left = self.standing().await;
        assert!(left.owners() >= 1, "nobody owns the workspace after {moves:?}: {answers:?}");
        let explained = orders(moves.len()).into_iter().any(|order| {
            let mut standing = Standing::BOTH;
            order.into_iter().all(|one| {
                let answer;
                (standing, answer) = standing.after(moves[one]);
                answer == answers[one]
            }) && standing == left
        });
        assert!(explained, "no order of {moves:?} answers {answers:?} and leaves {left:?}");
        (moves, answers)
    }

    /// Makes both Owners again.
    async fn restore(&mut self, world: &World) {
        let Standing(roles) = self.standing().await;
        let stands = roles.iter().position(|role| *role == Some(Role::Owner)).unwrap();
        let other = 1 - stands;
        match roles[other] {
            Some(Role::Owner) => {}
            Some(_) => {
                let promote = change_role(&self.owners[other].user_id, Role::Owner);
                world.by(&self.owners[stands]).users().change_user_role(promote).await.unwrap();
            }
            None => {
                let gone = &self.owners[other];
                let back = Self::invite(world, &gone.workspace_id, &gone.email).await;
                assert_eq!(back.user_id, gone.user_id);
                self.owners[other] = back;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_owners_who_demote_remove_and_leave_at_once_always_leave_one_and_answer_as_in_some_order() {
    let world = std::sync::Arc::new(World::start().await);
    let mut racing = Vec::new();
    for number in 0..ARENAS {
        let mut arena = Arena::open(&world, number).await;
        let world = std::sync::Arc::clone(&world);
        racing.push(tokio::spawn(async move {
            let mut seen = BTreeMap::<String, usize>::new();
            for _ in 0..ROUNDS {
                let (_, answers) = arena.round(&world).await;
                for answer in answers {
                    *seen.entry(answer).or_default() += 1;
                }
                arena.restore(&world).await;
            }
            seen
        }));
    }
    let mut seen = BTreeMap::<String, usize>::new();
    for arena in racing {
        for (answer, times) in arena.await.unwrap() {
            *seen.entry(answer).or_default() += times;
        }
    }
    // Each way to lose the race was seen: the rounds were races.
    for answer in ["OK", "LAST_OWNER", "OWNER_REQUIRED", "ROLE_TOO_LOW", "SESSION_ENDED", "USER_REMOVED"] {
        assert!(seen.get(answer).is_some_and(|times| *times > 20), "{answer} was hardly seen: {seen:?}");
    }
    world.outside().await.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_owners_who_demote_each_other_exactly_one_succeeds() {
    let world = World::start().await;
    let mut arena = Arena::open(&world, 9).await;
    let mut won = [0, 0];
    for round in 0..300 {
        let ids = [0, 1].map(|one| arena.owners[one].user_id.clone());
        let mut moves = [0, 1].map(|by| Move { by, act: Act::Change(1 - by, Role::Admin) });
        if round % 2 == 1 {
            moves.reverse();
        }
        let calls = moves.iter().map(|one| make(world.by(&arena.owners[one.by]), *one, ids.clone())).collect();
        let answers = at_once(calls).await;
        let winner = moves[answers.iter().position(|answer| answer == "OK").unwrap()].by;
        let loser = answers.iter().find(|answer| *answer != "OK").unwrap();
        assert_eq!(loser, "OWNER_REQUIRED");
        won[winner] += 1;
        arena.restore(&world).await;
    }
    assert!(won.iter().all(|times| *times > 30), "it was hardly a race: {won:?}");
    world.stop().await;
}
