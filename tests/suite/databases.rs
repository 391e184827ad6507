//! `tests/databases.txt`: which tests run on which database. `scripts/test` goes by it.

use std::collections::BTreeSet;
use std::process::Command;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::support::{Mode, Place, mode};

const LIST: &str = include_str!("../databases.txt");

/// The words of the lines that begin with this one, without what is said of them.
fn lines(kind: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    LIST.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(" # ").map_or(line, |(line, _)| line).split_whitespace().collect::<Vec<_>>())
        .filter(move |words| words.first() == Some(&kind))
}

/// The names of all tests, as this binary lists them.
fn tests() -> BTreeSet<String> {
    let program = std::env::current_exe().unwrap();
    let listed = Command::new(program).args(["--list", "--format", "terse"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn each_mode_is_listed_with_what_runs_in_it() {
    let listed: Vec<&str> = lines("mode").map(|words| words[1]).collect();
    assert_eq!(listed, Mode::ALL.map(|(name, _)| name));
    let tests = tests();
    for filter in lines("mode").flat_map(|words| words[2..].to_vec()) {
        assert!(tests.iter().any(|test| test.contains(filter)), "{filter} is in no test's name");
    }
}

#[test]
fn each_exception_names_one_test_or_module_the_modes_without_it_and_a_reason() {
    let tests = tests();
    assert!(tests.len() > 200, "{}", tests.len());
    for words in lines("except") {
        let (test, modes) = (words[1], &words[2..]);
        // What is skipped is whatever has this in its name.
        let hit: Vec<&String> = tests.iter().filter(|name| name.contains(test)).collect();
        if test.ends_with("::") {
            assert!(!hit.is_empty() && hit.iter().all(|name| name.starts_with(test)), "{test}: {hit:?}");
        } else {
            assert_eq!(hit, [test]);
        }
        assert!(!modes.is_empty() && modes.len() < Mode::ALL.len(), "{test}");
        assert!(modes.iter().all(|mode| Mode::ALL.iter().any(|(name, _)| name == mode)), "{modes:?}");
    }
    for line in LIST.lines().filter(|line| line.starts_with("except")) {
        assert!(line.split_once(" # ").is_some_and(|(_, reason)| !reason.is_empty()), "why? {line}");
    }
}

#[tokio::test]
async fn the_service_is_given_the_database_that_the_run_is_on() {
    let place = Place::empty();
    let url = place.url();
    let Mode::Postgres(settings) = mode() else {
        assert!(url.starts_with("sqlite://"), "{url}");
        return;
    };
    // As the service does, since PgBouncer takes no client that sets this.
    let options: PgConnectOptions = url.parse().unwrap();
    let mut connection = PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap();
    let facts =
        "SELECT inet_server_port(), current_setting('default_transaction_isolation'), current_user = 'rolecall'";
    let (port, isolation, ordinary): (i32, String, bool) =
        sqlx::query_as(facts).fetch_one(&mut connection).await.unwrap();
    assert_eq!(!url.contains(&format!(":{port}/")), settings.pooled, "{port} {url}");
    assert_eq!(isolation == "serializable", settings.serializable, "{isolation}");
    assert!(ordinary);
}
