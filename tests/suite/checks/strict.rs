//! A check that is sent after a change was answered knows of the change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rolecall::authz::ServiceScope;
use rolecall::model::Role;
use tokio::task::JoinSet;

use super::check;
use crate::races::{at_once, some_while, yields};
use crate::support::{Dice, World, ok};

const ROUNDS: usize = 60;
/// Who checks all the time, so that there is always a batch on its way.
const OTHERS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_after_a_revocation_or_a_change_of_role_never_answers_from_before_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let desk = world.with_token(&key);
    let done = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for _ in 0..OTHERS {
        let (desk, token, done) = (desk.clone(), gil.token.clone(), Arc::clone(&done));
        others.spawn(async move {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                assert!(check(&desk, &token).await.starts_with("ROLE_"));
                count += 1;
            }
            count
        });
    }

    let mut dice = Dice::new(5);
    for round in 0..ROUNDS {
        let session = world.sign_in(&gil.email).await;
        assert!(check(&desk, &session.token).await.starts_with("ROLE_"));
        yields(some_while(&mut dice)).await;
        let expected = match round % 3 {
            0 => {
                ok(world.by(&session).sign_out().await);
                "DENIAL_REASON_SESSION_ENDED"
            }
            1 => {
                ok(world.by(&gil).revoke(&session.session_id).await);
                "DENIAL_REASON_SESSION_ENDED"
            }
            _ => {
                let role = if round % 2 == 0 { Role::Manager } else { Role::Agent };
                ok(world.by(&owner).change_role(&gil.user_id, role).await);
                if round % 2 == 0 { "ROLE_MANAGER" } else { "ROLE_AGENT" }
            }
        };
        let checks = (0..3).map(|_| {
            let (desk, token) = (desk.clone(), session.token.clone());
            async move { check(&desk, &token).await }
        });
        assert_eq!(at_once(checks.collect()).await, [expected; 3], "round {round}");
    }
    done.store(true, Ordering::SeqCst);
    let asked: usize = others.join_all().await.into_iter().sum();
    assert!(asked > ROUNDS, "nobody else asked: {asked}");
    let figures = world.store.access_figures();
    assert!(figures.batch_size.sum > figures.batch_size.count, "no two questions were ever answered together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoked_service_key_is_refused_however_many_use_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for round in 0..10 {
        let name = format!("desk{round}");
        let key = world.service_key(&name, &[ServiceScope::CheckAccess], None).await;
        let desk = world.with_token(&key);
        let mut users = JoinSet::new();
        for _ in 0..8 {
            let (desk, token) = (desk.clone(), owner.token.clone());
            users.spawn(async move {
                loop {
                    if let Err(status) = desk.access().check_access(super::about(&token)).await {
                        return crate::support::refused::<()>(Err(status)).reason;
                    }
                }
            });
        }
        assert_eq!(check(&desk, &owner.token).await, "ROLE_OWNER");
        assert!(world.app.revoke_service_key(&name).await.unwrap());
        let after = desk.access().check_access(super::about(&owner.token)).await;
        assert_eq!(crate::support::refused(after).reason(), "SERVICE_KEY_INVALID");
        assert_eq!(users.join_all().await, ["SERVICE_KEY_INVALID"; 8]);
    }
}
