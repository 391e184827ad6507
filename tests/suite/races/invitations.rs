//! One invitation, or one address, wanted by many at once.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Response, Status};

use super::{accept, at_once, create, links, orders, some_while, yields};
use crate::support::{As, Database, Dice, PASSWORD, Person, World, outcome};

const AT_ONCE: usize = 64;
const ANOTHER_PASSWORD: &str = "marble otter 91 canyon";

async fn invite(world: &World, inviter: &Person, email: &str) -> (String, String) {
    let request = create(email, Role::Agent, "");
    let created = world.by(inviter).invitations().create_invitation(request).await.unwrap().into_inner();
    (created.invitation.unwrap().invitation_id, links(world).await[email].clone())
}

/// Accepts with each of the passwords at once. Answers the outcomes, with the user and the session's token of those
/// that succeeded.
async fn accept_all(world: &World, token: &str, passwords: &[&str]) -> Vec<(String, Option<(String, String)>)> {
    let calls = passwords.iter().map(|password| {
        let (caller, request) = (world.nobody(), accept(token, password));
        async move {
            let accepted = caller.invitations().accept_invitation(request).await;
            let said = outcome(&accepted);
            let accepted = accepted.ok().map(Response::into_inner);
            (said, accepted.map(|accepted| (accepted.user.unwrap().user_id, accepted.session_token)))
        }
    });
    at_once(calls.collect()).await
}

async fn count_for(database: &Database, email: &str) -> (i64, i64, i64) {
    let members = format!("SELECT count(*) FROM membership WHERE email = '{email}'");
    let accounts = format!("SELECT count(*) FROM user_account WHERE email = '{email}'");
    let events =
        format!("SELECT count(*) FROM audit_event WHERE action = 6 AND json_extract(details, '$.email') = '{email}'");
    (database.number(&accounts).await, database.number(&members).await, database.number(&events).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_accepts_of_one_link_one_makes_the_membership_and_the_others_repeat_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let elsewhere = world.workspace("Elsewhere", "other@acme.example").await;
    let database = world.outside().await;
    for round in 0..6 {
        let email = format!("guest-{round}@acme.example");
        if round % 2 == 1 {
            // With an account from before, it is that account's password.
            let (_, token) = invite(&world, &elsewhere, &email).await;
            world.accept(&token, "Here Before").await;
        }
        let earlier = count_for(&database, &email).await;
        let (_, token) = invite(&world, &owner, &email).await;
        let answers = accept_all(&world, &token, &[PASSWORD; AT_ONCE]).await;
        let mut users = BTreeSet::new();
        for (said, accepted) in answers {
            assert_eq!(said, "OK", "with the right password it is the repetition of the one that succeeded");
            let (user, session) = accepted.unwrap();
            let current = world.with_token(&session).sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
            assert_eq!(current.into_inner().user.unwrap().user_id, user);
            users.insert(user);
        }
        assert_eq!(users.len(), 1);
        assert_eq!(count_for(&database, &email).await, (1, earlier.1 + 1, earlier.2 + 1));
    }
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_accepts_with_two_passwords_at_once_the_first_sets_it_and_the_other_is_refused() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    let mut dice = Dice::new(5);
    for round in 0..12 {
        let email = format!("guest-{round}@acme.example");
        let (_, token) = invite(&world, &owner, &email).await;
        let mut passwords: Vec<&str> = [[PASSWORD; 16], [ANOTHER_PASSWORD; 16]].concat();
        dice.shuffle(&mut passwords);
        let answers = accept_all(&world, &token, &passwords).await;
        let mut by_password = BTreeMap::<&str, BTreeSet<String>>::new();
        for (password, (said, _)) in passwords.into_iter().zip(answers) {
            by_password.entry(password).or_default().insert(said);
        }
        let (ok, refused) = (BTreeSet::from(["OK".to_owned()]), BTreeSet::from(["INVITATION_ACCEPTED".to_owned()]));
        let [one, other] = [&by_password[PASSWORD], &by_password[ANOTHER_PASSWORD]];
        assert!((one == &ok && other == &refused) || (one == &refused && other == &ok), "{by_password:?}");
        assert_eq!(count_for(&database, &email).await, (1, 1, 1));
    }
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_invitations_of_one_address_one_is_sent_and_the_others_name_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    for round in 0..6 {
        let email = format!("guest-{round}@acme.example");
        let calls = (0..AT_ONCE).map(|_| {
            let (caller, request) = (world.by(&owner), create(&email, Role::Agent, ""));
            async move { caller.invitations().create_invitation(request).await }
        });
        let (mut sent, mut named) = (Vec::new(), BTreeSet::new());
        for answer in at_once(calls.collect()).await {
            match answer {
                Ok(created) => sent.push(created.into_inner().invitation.unwrap().invitation_id),
                Err(status) => {
                    let refused = crate::support::Refused::from_status(&status);
                    assert_eq!(refused.reason(), "INVITATION_PENDING");
                    named.insert(refused.metadata["invitationId"].clone());
                }
            }
        }
        assert_eq!(sent.len(), 1);
        assert_eq!(named, BTreeSet::from([sent[0].clone()]));
        world.deliver().await;
        assert_eq!(world.mail_to(&email).len(), 1);
    }
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_address_that_accepts_in_two_workspaces_at_once_gets_one_account_with_two_memberships() {
    let world = World::start().await;
    let owners =
        [world.workspace("Acme", "owner@acme.example").await, world.workspace("Elsewhere", "other@acme.example").await];
    let database = world.outside().await;
    let mut second = BTreeMap::<String, usize>::new();
    for round in 0..40 {
        let email = format!("guest-{round}@acme.example");
        // In every other round the two set different passwords: the second then has to be the first's.
        let passwords = [PASSWORD, if round % 2 == 0 { PASSWORD } else { ANOTHER_PASSWORD }];
        let mut calls = Vec::new();
        for (owner, password) in owners.iter().zip(passwords) {
            let (_, token) = invite(&world, owner, &email).await;
            let (caller, request) = (world.nobody(), accept(&token, password));
            calls.push(async move { caller.invitations().accept_invitation(request).await });
        }
        let answers = at_once(calls).await;
        let mut said: Vec<String> = answers.iter().map(outcome).collect();
        said.sort();
        let users: BTreeSet<String> =
            answers.into_iter().flatten().map(|answer| answer.into_inner().user.unwrap().user_id).collect();
        assert_eq!(users.len(), 1, "two accounts for one address");
        *second.entry(said.join(", ")).or_default() += 1;
        let joined = said.iter().filter(|said| *said == "OK").count() as i64;
        assert_eq!(count_for(&database, &email).await, (1, joined, joined));
    }
    assert_eq!(second, BTreeMap::from([("OK, OK".to_owned(), 20), ("INVALID_CREDENTIALS, OK".to_owned(), 20)]));
    database.assert_whole().await;
    world.stop().await;
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Accept,
    Cancel,
    Resend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Accepted,
    Canceled,
}

/// What the contract says of an invitation whose first link is in somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct History {
    state: State,
    issue: i32,
}

impl History {
    fn after(mut self, act: Act) -> (Self, &'static str) {
        let said = match (act, self.state) {
            (Act::Accept, _) if self.issue > 1 => "INVITATION_SUPERSEDED",
            // Accepting again with the right password is the repetition of the first.
            (Act::Accept, State::Pending | State::Accepted) => {
                self.state = State::Accepted;
                "OK"
            }
            (Act::Accept | Act::Resend, State::Canceled) => "INVITATION_CANCELED",
            (Act::Cancel, State::Pending | State::Canceled) => {
                self.state = State::Canceled;
                "OK"
            }
            (Act::Cancel | Act::Resend, State::Accepted) => "INVITATION_ACCEPTED",
            (Act::Resend, State::Pending) => {
                self.issue += 1;
                "OK"
            }
        };
        (self, said)
    }
}

async fn perform(act: Act, wait: usize, owner: As, nobody: As, id: String, token: String) -> String {
    fn said<T>(result: Result<Response<T>, Status>) -> String {
        outcome(&result)
    }
    yields(wait).await;
    match act {
        Act::Accept => said(nobody.invitations().accept_invitation(accept(&token, PASSWORD)).await),
        Act::Cancel => {
            said(owner.invitations().cancel_invitation(v1::CancelInvitationRequest { invitation_id: id }).await)
        }
        Act::Resend => {
            let request = v1::ResendInvitationRequest { invitation_id: id, request_id: String::new() };
            said(owner.invitations().resend_invitation(request).await)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepting_canceling_and_resending_at_once_answer_and_end_as_in_some_order() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    let mut dice = Dice::new(8);
    let mut ends = BTreeMap::<String, usize>::new();
    for round in 0..250 {
        let email = format!("guest-{round}@acme.example");
        let (id, token) = invite(&world, &owner, &email).await;
        let mut acts = match round % 4 {
            0 => vec![Act::Accept, Act::Cancel],
            1 => vec![Act::Accept, Act::Resend],
            2 => vec![Act::Cancel, Act::Resend, Act::Accept],
            _ => vec![Act::Accept, Act::Accept, Act::Cancel, Act::Resend],
        };
        dice.shuffle(&mut acts);
        let mut calls = Vec::new();
        for act in &acts {
            // Setting a password up takes a while, so the others would always come first.
            let wait = if matches!(act, Act::Accept) { 0 } else { some_while(&mut dice) };
            calls.push(perform(*act, wait, world.by(&owner), world.nobody(), id.clone(), token.clone()));
        }
        let answers = at_once(calls).await;
        let (state, issue): (String, i32) = database
            .rows(&format!(
                "SELECT CASE WHEN accepted_at IS NOT NULL THEN 'Accepted' WHEN canceled_at IS NOT NULL THEN 'Canceled'
                     ELSE 'Pending' END, issue FROM invitation WHERE email = '{email}'"
            ))
            .await
            .pop()
            .unwrap();
        let explained = orders(acts.len()).into_iter().any(|order| {
            let mut history = History { state: State::Pending, issue: 1 };
            order.into_iter().all(|one| {
                let said;
                (history, said) = history.after(acts[one]);
                said == answers[one]
            }) && (format!("{:?}", history.state), history.issue) == (state.clone(), issue)
        });
        assert!(explained, "no order of {acts:?} answers {answers:?} and ends {state} at issue {issue}");
        let joined = i64::from(state == "Accepted");
        assert_eq!(count_for(&database, &email).await, (joined, joined, joined));
        *ends.entry(format!("{state} {issue}")).or_default() += 1;
    }
    for end in ["Accepted 1", "Canceled 1", "Canceled 2", "Pending 2"] {
        assert!(ends.get(end).is_some_and(|times| *times > 3), "{end} was hardly seen: {ends:?}");
    }
    database.assert_whole().await;
    world.stop().await;
}
