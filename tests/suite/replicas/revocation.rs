//! What one replica has acknowledged, every other one goes by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::grpc::pb::v1::check_access_request::{Requirement, Subject};
use rolecall::model::Role;

use super::{Server, number_from};
use crate::support::{As, Dice, PASSWORD, Person, World, ok, outcome, refused};

/// People whose rights are changed side by side, and those who ask about each all the time.
const LANES: usize = 4;
const ASKERS: usize = 2;
/// One in so many times somebody is not demoted but removed.
const REMOVAL: usize = 16;

/// One lane would send the other's mail, and this one would not find it yet.
static JOINING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What is acknowledged of one person's right. It changes twice for each call: when that begins, and when it has ended.
struct Right {
    /// Four more for each change: 0 while there is a right, 1 while it is taken, 2 while there is none, 3 while it is given.
    epoch: AtomicU64,
    done: AtomicBool,
    /// How often an asker's whole question fell between two changes.
    asked: AtomicUsize,
}

impl Right {
    fn phase(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn next(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

fn check(token: &str) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest {
        subject: Some(Subject::SessionToken(token.to_owned())),
        requirement: Some(Requirement::Permission(v1::Permission::UsersManage.into())),
    }
}

async fn allowed(key: &As, token: &str) -> bool {
    ok(key.access().check_access(check(token)).await).allowed
}

/// Somebody whose right is taken and given back.
struct Lane {
    owner: Person,
    target: Person,
    /// Clients of the replica that makes the changes, and of the one that is asked.
    here: As,
    there: As,
    key: As,
    dice: Dice,
    right: Arc<Right>,
}

impl Lane {
    /// Asks the other replica in one of the ways in which it can be asked whether the right is there.
    async fn ask(&mut self, removed: bool) -> bool {
        let person = self.there.with(&self.target.token);
        match self.dice.below(4) {
            0 => allowed(&self.key, &self.target.token).await,
            1 => {
                let requirement = Some(Requirement::MinimumRole(Role::Admin.number()));
                let subject = Some(Subject::UserId(self.target.user_id.clone()));
                let key = self.key.in_workspace(&self.owner.workspace_id);
                ok(key.access().check_access(v1::CheckAccessRequest { subject, requirement }).await).allowed
            }
            2 => {
                let checks = vec![check(&self.target.token), check(&self.owner.token)];
                let answer = ok(self.key.access().batch_check_access(v1::BatchCheckAccessRequest { checks }).await);
                assert!(answer.results[1].allowed, "the Owner's right was never taken");
                answer.results[0].allowed
            }
            _ => match outcome(&person.users().list_users(v1::ListUsersRequest::default()).await).as_str() {
                "OK" => true,
                reason => {
                    assert_eq!(reason, if removed { "SESSION_ENDED" } else { "ROLE_TOO_LOW" });
                    false
                }
            },
        }
    }

    /// Takes the right, asks, gives it back, asks.
    async fn pair(&mut self) {
        let owner = self.here.with(&self.owner.token);
        let removed = self.dice.below(REMOVAL) == 0;
        self.right.next();
        if removed {
            ok(owner.remove(&self.target.user_id).await);
        } else {
            let role = self.dice.pick(&[Role::Agent, Role::Manager]);
            ok(owner.change_role(&self.target.user_id, role).await);
        }
        self.right.next();
        assert!(!self.ask(removed).await, "the other replica allowed what was taken (removed: {removed})");
        if removed {
            self.right.done.store(true, Ordering::SeqCst);
            return;
        }
        self.right.next();
        ok(owner.change_role(&self.target.user_id, Role::Admin).await);
        self.right.next();
        assert!(self.ask(false).await, "the other replica refused what was given");
    }
}

/// Asks all the time. An answer to a question that lay between two changes must be what they left.
async fn keep_asking(key: As, token: String, right: Arc<Right>) {
    while !right.done.load(Ordering::SeqCst) {
        let before = right.phase();
        let allowed = allowed(&key, &token).await;
        if before == right.phase() && before.is_multiple_of(2) {
            assert_eq!(allowed, before.is_multiple_of(4), "a question between two changes");
            right.asked.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Plays pairs until there are enough. Answers how many questions of the askers lay between two changes.
async fn lane(worlds: Arc<[World; 2]>, number: usize, pairs: usize) -> usize {
    let [here, there] = &*worlds;
    let owner = here.workspace(&format!("Lane {number}"), &format!("owner{number}@acme.example")).await;
    let scopes = [ServiceScope::CheckAccess, ServiceScope::CheckUserAccess];
    let key = here.service_key(&format!("lane-{number}"), &scopes, None).await;
    let email = format!("target{number}@acme.example");
    let (mut done, mut asked, mut dice) = (0, 0, Dice::new(number as u64));
    while done < pairs {
        let joining = JOINING.lock().await;
        here.discard_mail();
        let target = here.join(&owner, &email, Role::Admin).await;
        drop(joining);
        let flags = (AtomicU64::new(0), AtomicBool::new(false), AtomicUsize::new(0));
        let right = Arc::new(Right { epoch: flags.0, done: flags.1, asked: flags.2 });
        let mut asking = Vec::new();
        for _ in 0..ASKERS {
            let key = there.with_token(&key);
            asking.push(tokio::spawn(keep_asking(key, target.token.clone(), Arc::clone(&right))));
        }
        let mut lane = Lane {
            owner: owner.clone(),
            target,
            here: here.nobody(),
            there: there.nobody(),
            key: there.with_token(&key),
            dice: dice.clone(),
            right: Arc::clone(&right),
        };
        while done < pairs && !right.done.load(Ordering::SeqCst) {
            lane.pair().await;
            done += 1;
        }
        let removed = right.done.swap(true, Ordering::SeqCst);
        dice = lane.dice;
        for asker in asking {
            asker.await.unwrap();
        }
        asked += right.asked.load(Ordering::SeqCst);
        if !removed {
            ok(here.by(&owner).remove(&lane.target.user_id).await);
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_replica_has_taken_no_other_one_allows_from_then_on() {
    let pairs = number_from("ROLECALL_REVOCATION_PAIRS", 2_000) / 2;
    let server = Server::fast();
    let worlds = Arc::new(server.worlds::<2>().await);
    let lanes = (0..LANES).map(|number| tokio::spawn(lane(Arc::clone(&worlds), number, pairs / LANES)));
    let mut asked = 0;
    for lane in lanes.collect::<Vec<_>>() {
        asked += lane.await.unwrap();
    }
    assert!(asked > pairs / 2, "few questions lay between two changes: {asked}");
    eprintln!("{} changes, each with a question after it, and {asked} questions beside them", pairs * 2);
}

#[tokio::test]
async fn a_session_that_one_replica_has_ended_is_over_on_the_other_one() {
    let server = Server::fast();
    let [here, there] = server.worlds().await;
    let owner = here.workspace("Acme", "owner@acme.example").await;
    for _ in 0..50 {
        let session = there.sign_in("owner@acme.example").await;
        ok(there.by(&session).get_session().await);
        ok(here.by(&owner).revoke(&session.session_id).await);
        assert_eq!(refused(there.by(&session).get_session().await).reason(), "SESSION_ENDED");
        let session = here.sign_in("owner@acme.example").await;
        let change = v1::ChangePasswordRequest { current_password: PASSWORD.into(), new_password: PASSWORD.into() };
        ok(there.by(&owner).passwords().change_password(change).await);
        assert_eq!(refused(here.by(&session).get_session().await).reason(), "SESSION_ENDED");
    }
}
