//! Calls that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rolecall::grpc::pb::v1;
use rolecall::model::{EmailAddress, Name, Role};
use tonic::{Request, Response, Status};

use crate::races::{change_role, create, some_while, yields};
use crate::support::{As, Dice, Person, World, hex, ok};

const HANGERS_UP: usize = 8;
const CALLS_EACH: usize = 400;

/// Waits for a call for a while, then drops it. Answers what it answered, if it did.
async fn abandon<T>(call: impl Future<Output = T>, patience: usize) -> Option<T> {
    tokio::select! {
        biased;
        done = call => Some(done),
        () = yields(patience) => None,
    }
}

/// Makes some call, and most often hangs up. Answers whether it was answered.
async fn some_call(caller: As, user_id: String, name: String, dice: &mut Dice) -> bool {
    fn done<T>(answer: Option<Result<Response<T>, Status>>) -> bool {
        answer.is_some_and(|answer| answer.is_ok())
    }
    let patience = some_while(dice);
    match dice.below(4) {
        0 => {
            let request = create(&format!("{name}@acme.example"), Role::Agent, "");
            done(abandon(caller.invitations().create_invitation(request), patience).await)
        }
        1 => {
            let request = v1::UpdateProfileRequest { display_name: Some(name) };
            done(abandon(caller.users().update_profile(request), patience).await)
        }
        2 => {
            let request = v1::UpdateWorkspaceRequest { name: Some(name) };
            done(abandon(caller.workspaces().update_workspace(request), patience).await)
        }
        _ => {
            let role = dice.pick(&[Role::Agent, Role::Manager, Role::Admin]);
            let request = change_role(&user_id, role);
            done(abandon(caller.users().change_user_role(request), patience).await)
        }
    }
}

/// Writes that are acknowledged from now on are there for everybody. They are made to somebody of their own: what was begun
/// for those who hung up may still go on.
async fn assert_writes_are_seen(world: &World, owner: &Person) {
    let gil = world.join(owner, "gil.new@acme.example", Role::Agent).await;
    for number in 0..40 {
        let role = [Role::Agent, Role::Manager][number % 2];
        world.by(owner).users().change_user_role(change_role(&gil.user_id, role)).await.unwrap();
        let fresh = world.outside().await;
        let query = format!("SELECT role FROM membership WHERE hex(user_id) = '{}'", hex(&gil.user_id));
        assert_eq!(fresh.number(&query).await, i64::from(role.number()), "an acknowledged change is not there");
        fresh.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_hang_up_leave_nothing_half_done_and_no_broken_connection() {
    let world = Arc::new(World::start().await);
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut hanging_up = Vec::new();
    for number in 0..HANGERS_UP {
        let (caller, user_id) = (world.by(&owner), gil.user_id.clone());
        let answered = Arc::clone(&answered);
        hanging_up.push(tokio::spawn(async move {
            let mut dice = Dice::new(number as u64);
            for call in 0..CALLS_EACH {
                let name = format!("name-{number}-{call}");
                let done = some_call(caller.clone(), user_id.clone(), name, &mut dice).await;
                answered.fetch_add(usize::from(done), Ordering::SeqCst);
            }
        }));
    }
    for task in hanging_up {
        task.await.unwrap();
    }
    let answered = answered.load(Ordering::SeqCst);
    let database = world.outside().await;
    let changes = "SELECT count(*) FROM audit_event WHERE action IN (2, 3, 7, 10)";
    assert!(answered < HANGERS_UP * CALLS_EACH / 2, "hardly anybody hung up: {answered} were answered");
    assert!(database.number(changes).await > 100, "hardly any call got as far as a change");
    assert_writes_are_seen(&world, &owner).await;
    database.assert_whole().await;
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_use_case_that_is_dropped_anywhere_is_done_as_a_whole_or_not_at_all() {
    let world = Arc::new(World::start().await);
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut founding = Vec::new();
    for number in 0..HANGERS_UP {
        let world = Arc::clone(&world);
        founding.push(tokio::spawn(async move {
            let mut dice = Dice::new(1_000 + number as u64);
            let mut done = Vec::new();
            for call in 0..CALLS_EACH {
                let name = format!("workspace-{number}-{call}");
                let email = EmailAddress::parse("email", &format!("{name}@acme.example")).unwrap();
                let workspace = Name::parse("name", &name).unwrap();
                let founded = world.app.bootstrap(&workspace, &email, false);
                if abandon(founded, some_while(&mut dice)).await.is_some_and(|founded| founded.is_ok()) {
                    done.push(name);
                }
            }
            done
        }));
    }
    let mut done = Vec::new();
    for task in founding {
        done.extend(task.await.unwrap());
    }
    assert!(done.len() < HANGERS_UP * CALLS_EACH * 3 / 4, "hardly any was dropped: {} were done", done.len());
    let database = world.outside().await;
    let there = database.texts("SELECT name FROM workspace").await;
    for name in &done {
        assert!(there.contains(name), "{name} was acknowledged and is not there");
    }
    assert_writes_are_seen(&world, &owner).await;
    database.assert_whole().await;
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test]
async fn a_change_that_has_begun_is_made_although_its_caller_has_stopped_waiting() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    database.lock().await;
    let mut rename = Request::new(v1::UpdateWorkspaceRequest { name: Some("Begun".into()) });
    rename.set_timeout(Duration::from_millis(500));
    world.by(&owner).workspaces().update_workspace(rename).await.unwrap_err();
    database.run("COMMIT").await;
    // One writes after the other, so once this is made the other has been.
    ok(world.by(&owner).call_myself("Olga Later").await);
    let workspace = ok(world.by(&owner).workspaces().get_workspace(v1::GetWorkspaceRequest {}).await);
    assert_eq!(workspace.workspace.unwrap().name, "Begun");
    world.stop().await;
}
