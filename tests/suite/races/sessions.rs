//! Signing in against being removed, against being removed elsewhere, and against the most sessions.

use std::collections::BTreeSet;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Response, Status};

use super::{at_once, create, links, yields};
use crate::support::{As, Dice, PASSWORD, Person, World, hex, outcome};

fn credentials(email: &str, workspace: &str) -> v1::SignInRequest {
    v1::SignInRequest {
        email: email.into(),
        password: PASSWORD.into(),
        workspace_id: workspace.into(),
        device_token: String::new(),
    }
}

pub async fn is_live(world: &World, token: &str) -> bool {
    let answer = world.with_token(token).sessions().get_session(v1::GetSessionRequest {}).await;
    match outcome(&answer).as_str() {
        "OK" => true,
        "SESSION_ENDED" => false,
        other => panic!("neither live nor ended: {other}"),
    }
}

pub async fn join(world: &World, inviter: &Person, email: &str) -> Person {
    world.by(inviter).invitations().create_invitation(create(email, Role::Agent, "")).await.unwrap();
    let token = links(world).await[email].clone();
    world.accept(&token, "Gil Agent").await
}

/// A way to begin a session in a workspace. Answers its token.
enum Begin {
    SignIn(As, v1::SignInRequest),
    Switch(As, v1::SwitchWorkspaceRequest),
}

impl Begin {
    async fn run(self, wait: usize) -> (String, Option<String>) {
        fn said<T>(result: Result<Response<T>, Status>, token: impl Fn(T) -> String) -> (String, Option<String>) {
            (outcome(&result), result.ok().map(|answer| token(answer.into_inner())))
        }
        yields(wait).await;
        match self {
            Begin::SignIn(who, request) => said(who.sessions().sign_in(request).await, |answer| answer.session_token),
            Begin::Switch(who, request) => {
                said(who.sessions().switch_workspace(request).await, |answer| answer.session_token)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_that_was_begun_while_its_user_was_removed_is_live_afterwards_or_revives() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let elsewhere = world.workspace("Elsewhere", "other@acme.example").await;
    let home = join(&world, &elsewhere, "gil@acme.example").await;
    let database = world.outside().await;
    let mut dice = Dice::new(11);
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let gil = join(&world, &owner, "gil@acme.example").await;
        let mut begins = Vec::new();
        for number in 0..6 {
            let begin = if number % 2 == 0 {
                Begin::SignIn(world.nobody(), credentials("gil@acme.example", &owner.workspace_id))
            } else {
                let request = v1::SwitchWorkspaceRequest { workspace_id: owner.workspace_id.clone() };
                Begin::Switch(world.by(&home), request)
            };
            begins.push(begin.run(dice.below(30)));
        }
        let beginning = tokio::spawn(at_once(begins));
        yields(dice.below(60)).await;
        let request = v1::RemoveUserRequest { user_id: gil.user_id.clone() };
        let removed = world.by(&owner).users().remove_user(request).await.unwrap().into_inner();
        let mut tokens = vec![gil.token.clone()];
        for (answer, token) in beginning.await.unwrap() {
            tokens.extend(token);
            seen.insert(answer);
        }
        // All that were begun at all were begun before, so all of them were ended by it.
        assert_eq!(removed.ended_session_count as usize, tokens.len());
        for token in &tokens {
            assert!(!is_live(&world, token).await);
        }
        let back = join(&world, &owner, "gil@acme.example").await;
        for token in &tokens {
            assert!(!is_live(&world, token).await, "it revived");
        }
        assert!(is_live(&world, &back.token).await && is_live(&world, &home.token).await);
        let request = v1::RemoveUserRequest { user_id: gil.user_id.clone() };
        world.by(&owner).users().remove_user(request).await.unwrap();
    }
    assert_eq!(seen, BTreeSet::from(["OK".to_owned(), "NOT_A_MEMBER".to_owned()]));
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sign_ins_at_once_the_newest_hundred_live() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut waves = Vec::new();
    for size in [60, 90] {
        world.tick();
        let begin = || Begin::SignIn(world.nobody(), credentials("owner@acme.example", ""));
        let begun = at_once((0..size).map(|_| begin().run(0)).collect()).await;
        let tokens: Vec<String> = begun.into_iter().map(|(_, token)| token.unwrap()).collect();
        waves.push(tokens);
    }
    let mut live = Vec::new();
    for wave in &waves {
        let mut count = 0;
        for token in wave {
            count += usize::from(is_live(&world, token).await);
        }
        live.push(count);
    }
    assert_eq!(live, [10, 90]);
    assert!(!is_live(&world, &owner.token).await, "the oldest of all");
    let database = world.outside().await;
    let user = hex(&owner.user_id);
    let count = format!("SELECT count(*) FROM session WHERE hex(user_id) = '{user}' AND ended_at IS NULL");
    assert_eq!(database.number(&count).await, 100);
    database.assert_whole().await;
    world.stop().await;
}
