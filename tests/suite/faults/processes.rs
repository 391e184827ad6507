//! Several processes on one database.

use std::sync::Arc;
use std::thread;

use rolecall::grpc::pb::v1;

use super::scene::Scene;
use crate::support::{As, Child, Database, Place, outcome, rolecall};

/// Runs the program to its end, and answers what it printed.
fn run(arguments: &[&str]) -> String {
    let output = rolecall(arguments).output().unwrap();
    let (printed, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?} failed: {error}");
    printed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_and_service_key_create_work_beside_a_busy_server() {
    let (mut scene, child) = Scene::set().await;
    let database = scene.outside().await;
    let running = scene.run(&child);
    for number in 0..8 {
        // Each begins while the server is at work.
        running.calls.answered(10).await;
        let (url, name) = (scene.url(), format!("beside-{number}"));
        tokio::task::spawn_blocking(move || {
            let owner = format!("{name}@beside.example");
            let found = ["bootstrap", "--database-url", &url, "--workspace", &name, "--owner", &owner, "--json"];
            let printed: serde_json::Value = serde_json::from_str(&run(&found)).unwrap();
            assert!(printed["invitation_token"].as_str().unwrap().starts_with("rci_"));
            let key = run(&["service-key", "create", &name, "--database-url", &url, "--scope", "read-users"]);
            assert!(key.starts_with("rck_"));
        })
        .await
        .unwrap();
    }
    running.calls.stop();
    let lost = running.calls.lost();
    scene.rest(running).await;
    assert!(lost.is_empty(), "the server failed calls meanwhile: {lost:?}");
    scene.check_acknowledged(&database).await;
    database.assert_whole().await;
    assert_eq!(database.number("SELECT count(*) FROM workspace WHERE name LIKE 'beside-%'").await, 8);
    assert_eq!(database.number("SELECT count(*) FROM service_key").await, 8);
    assert_eq!(child.terminate(), Some(0));
}

async fn schema(place: &Place) -> Vec<String> {
    let database = Database::open(place).await;
    let mut schema = database.schema().await;
    schema.extend(database.texts("SELECT version FROM seaql_migrations ORDER BY version").await);
    schema
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_that_migrate_an_empty_database_at_once_have_no_error_and_make_one_schema() {
    let alone = Place::empty();
    run(&["migrate", "--database-url", &alone.url()]);
    let expected = schema(&alone).await;
    assert!(expected.len() > 10);
    for _ in 0..6 {
        let place = Arc::new(Place::empty());
        let mut migrating = Vec::new();
        let mut serving = Vec::new();
        for _ in 0..3 {
            let url = place.url();
            migrating.push(thread::spawn(move || run(&["migrate", "--database-url", &url])));
            let place = Arc::clone(&place);
            serving.push(thread::spawn(move || Child::serve(&place, &[])));
        }
        for process in migrating {
            process.join().unwrap();
        }
        let servers: Vec<Child> = serving.into_iter().map(|process| process.join().unwrap()).collect();
        assert_eq!(schema(&place).await, expected);
        let url = place.url();
        let found = ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "o@acme.example", "--json"];
        let printed: serde_json::Value = serde_json::from_str(&run(&found)).unwrap();
        for server in servers {
            let nobody: As = server.with_token(None).await;
            let request =
                v1::PreviewInvitationRequest { invitation_token: printed["invitation_token"].as_str().unwrap().into() };
            assert_eq!(outcome(&nobody.invitations().preview_invitation(request).await), "OK");
            assert_eq!(server.terminate(), Some(0));
        }
    }
}
