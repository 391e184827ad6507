//! Replicas that start together, and those of two releases beside each other.

use std::sync::Arc;
use std::thread;

use futures_util::future::join_all;

use super::Server;
use crate::support::{Child, Database, PASSWORD, Person, World, ok, rolecall};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_six_replicas_that_start_on_an_empty_database_one_migrates_and_all_serve() {
    let server = Server::fast();
    let place = Arc::new(server.place());
    let starting: Vec<_> = (0..6)
        .map(|_| {
            let place = Arc::clone(&place);
            thread::spawn(move || Child::serve(&place, &[]))
        })
        .collect();
    let replicas: Vec<Child> = starting.into_iter().map(|replica| replica.join().unwrap()).collect();
    let database = Database::open(&place).await;
    let twice = "SELECT version FROM seaql_migrations GROUP BY version HAVING count(*) > 1";
    assert_eq!(database.texts(twice).await, [""; 0]);
    // Each migration was applied in the one transaction of the one that won.
    let transactions = "SELECT count(DISTINCT CAST(xmin AS text)) FROM seaql_migrations";
    assert_eq!(database.number(transactions).await, 1);
    for replica in replicas {
        let nobody = replica.with_token(None).await;
        assert_eq!(crate::support::outcome(&nobody.get_session().await), "CREDENTIAL_MISSING");
        assert_eq!(replica.terminate(), Some(0));
    }
}

/// What the next release's migration does: it only adds, and that to every table.
fn upgrade(server: &Server, levels: u32) {
    server.run(&format!(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_next_release_{levels}', 0);
         DO $$ DECLARE name text; BEGIN
             FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'seaql_migrations' LOOP
                 EXECUTE format('ALTER TABLE %I ADD COLUMN next_{levels} bigint NOT NULL DEFAULT 0', name);
             END LOOP;
         END $$;
         CREATE TABLE next_{levels} (id bigint PRIMARY KEY);
         UPDATE schema_lock SET level = level + 1"
    ));
}

/// Changes and sign-ins, more at once than there are connections.
async fn work(world: &World, owner: &Person) {
    let by = world.by(owner);
    let changes = join_all((0..30).map(|number| {
        let by = by.clone();
        async move { by.call_myself(&format!("Owner {number}")).await }
    }));
    let nobody = world.nobody();
    let sign_ins = join_all((0..30).map(|_| {
        let nobody = nobody.clone();
        async move { nobody.sign_in(&owner.email, PASSWORD, "").await }
    }));
    let (changes, sign_ins) = tokio::join!(changes, sign_ins);
    changes.into_iter().for_each(|change| drop(ok(change)));
    sign_ins.into_iter().for_each(|sign_in| drop(ok(sign_in)));
}

fn start(place: &crate::support::Place, more: &[&str]) -> std::process::Output {
    let (url, mail) = (place.url(), format!("file:{}", place.mail().display()));
    let mut arguments = vec!["serve", "--database-url", &url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"];
    arguments.extend(more);
    rolecall(&arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_runs_on_the_schema_of_the_next_release_and_refuses_the_one_after_that() {
    let server = Server::fast();
    let world = World::start_in(server.place()).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    // On each connection statements are prepared that the next release must not break.
    work(&world, &owner).await;
    upgrade(&server, 1);
    // A replica that runs goes on, and new ones of the same release start.
    work(&world, &owner).await;
    let place = server.place();
    for more in [&[][..], &["--no-migrate"]] {
        let replica = Child::serve(&place, more);
        let nobody = replica.with_token(None).await;
        assert_eq!(crate::support::outcome(&nobody.get_session().await), "CREDENTIAL_MISSING");
        assert_eq!(replica.terminate(), Some(0));
    }
    let beside = World::start_in(server.place()).await;
    let second = beside.workspace("Beside", "owner@beside.example").await;
    ok(beside.by(&second).call_myself("Here Too").await);

    upgrade(&server, 2);
    for more in [&[][..], &["--no-migrate"]] {
        let output = start(&place, more);
        assert!(!output.status.success(), "{more:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("belongs to a newer version of Rolecall"), "{more:?}: {said}");
        assert!(said.contains("m9999_next_release_2"), "{more:?}: {said}");
    }
    assert_eq!(world.outside().await.broken().await, []);
}
