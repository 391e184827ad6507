//! The PostgreSQL that the tests stand on does what they ask of it, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Database;
use crate::support::postgres::{Cluster, FAST};

/// What the child of the last test says where its data is with.
const DATA: &str = "its data: ";

async fn notes(cluster: &Cluster) -> i64 {
    let database = Database::at(&cluster.superuser_url("notes")).await;
    let count = database.number("SELECT count(*) FROM note").await;
    database.close().await;
    count
}

#[tokio::test]
async fn a_server_comes_back_from_a_stop_a_kill_and_a_freeze_with_what_it_acknowledged() {
    let mut cluster = Cluster::start(&FAST);
    cluster.create_database("notes");
    cluster.run("notes", "CREATE TABLE note (text text)");
    cluster.run("notes", "INSERT INTO note VALUES ('buy milk')");
    cluster.stop();
    cluster.resume();
    assert_eq!(notes(&cluster).await, 1);

    cluster.run("notes", "INSERT INTO note VALUES ('buy bread')");
    cluster.kill();
    cluster.resume();
    assert_eq!(notes(&cluster).await, 2);
    assert!(cluster.log().contains("was not properly shut down"), "the kill was none");

    cluster.freeze();
    let states = cluster.states();
    assert!(states.len() > 4 && states.iter().all(|state| *state == 'T'), "{states:?}");
    cluster.thaw();
    assert_eq!(notes(&cluster).await, 2);
}

#[test]
fn a_server_is_gone_with_all_its_files_when_its_test_process_is_killed() {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--ignored", "--nocapture", "--exact", "postgres::a_server_that_is_waited_for"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let data = lines.find_map(|line| line.unwrap().split_once(DATA).map(|(_, data)| data.to_owned())).unwrap();
    let folder = Path::new(&data).parent().unwrap();
    let serving = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    // Where it runs. Of a process that has ended and that nobody has asked after yet, there is nothing to read.
    let postmaster = Path::new("/proc").join(serving.lines().next().unwrap()).join("cwd");
    assert_eq!(std::fs::read_link(&postmaster).unwrap(), Path::new(&data));
    child.kill().unwrap();
    child.wait().unwrap();
    let began = Instant::now();
    while folder.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} is still there", folder.display());
        std::thread::yield_now();
    }
    assert!(std::fs::read_link(&postmaster).is_err(), "the server still runs");
}

#[test]
#[ignore = "it ends by being killed: the child of another test"]
fn a_server_that_is_waited_for() {
    let cluster = Cluster::start(&FAST);
    // Also a frozen one goes.
    cluster.freeze();
    println!("{DATA}{}", cluster.data().display());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
