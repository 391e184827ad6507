//! Who may do what to whom, for every method of every service, against the real server. The answers stand in
//! `golden.txt`, which is the specification: read it against the contract, cell by cell. After a change that is meant,
//! `ROLECALL_BLESS=1 cargo test --test suite access_matrix` writes it anew.

mod foreign;
mod rows;
mod rules;
mod stage;
mod table;

use std::path::PathBuf;

use rolecall::authz::ServiceScope;

use crate::support::{Refused, World, contract};
use rows::Row;
use stage::{Caller, Stage};
use table::{Block, Line};

#[tokio::test]
async fn every_caller_may_do_to_every_target_what_the_golden_table_says() {
    let rows = rows::all();
    let methods = contract::methods();
    let without_row: Vec<String> = methods
        .iter()
        .map(contract::Method::short)
        .filter(|method| !rows.iter().any(|row| row.method == method))
        .collect();
    assert!(without_row.is_empty(), "methods without a row in the access matrix: {without_row:?}");
    let unknown: Vec<&str> = rows
        .iter()
        .map(|row| row.method)
        .filter(|method| !methods.iter().any(|known| known.short() == *method))
        .collect();
    assert!(unknown.is_empty(), "rows of methods that the contract does not have: {unknown:?}");

    let stage = Stage::build().await;
    let mut blocks = Vec::new();
    for method in &methods {
        let of_method = rows.iter().filter(|row| row.method == method.short());
        blocks.push(play(&stage, method, of_method.collect()).await);
    }
    compare(&table::render(&blocks));
}

/// Every caller with every target of one method. A cell that changes something is the last one of its world.
async fn play(stage: &Stage, method: &contract::Method, rows: Vec<&Row>) -> Block {
    let mut world = stage.world().await;
    let mut lines = Vec::new();
    for caller in &stage.callers {
        let mut answers = Vec::new();
        for row in &rows {
            let Some(body) = (row.body)(stage, caller) else {
                continue;
            };
            let (ok, answer) = cell(stage, &world, method, row, caller, body).await;
            answers.push((row.target, answer));
            if ok && changes_something(&method.name) {
                world = stage.world().await;
            }
        }
        lines.push(Line { caller: caller.name, answers });
    }
    Block { title: method.short(), rule: table::rule_in_words(method), lines }
}

async fn cell(
    stage: &Stage,
    world: &World,
    method: &contract::Method,
    row: &Row,
    caller: &Caller,
    body: Vec<u8>,
) -> (bool, String) {
    let place = if row.unfounded { &stage.unfounded } else { &stage.acme };
    let lacking = row.lacking.or_else(|| {
        let name = method.service_scope.as_deref()?;
        ServiceScope::ALL.iter().copied().find(|scope| scope.name() == name)
    });
    match stage.clients(world, caller, place, lacking).call(&method.path(), body).await {
        Ok(bytes) => {
            let note = (row.note)(&bytes);
            (true, if note.is_empty() { "OK".to_owned() } else { format!("OK: {note}") })
        }
        Err(status) => {
            let refused = Refused::from_status(&status);
            (false, format!("{} {}", table::code_name(refused.code), refused.reason))
        }
    }
}

fn changes_something(method: &str) -> bool {
    !["Get", "BatchGet", "List", "Check", "BatchCheck", "Preview"].iter().any(|reads| method.starts_with(reads))
}

fn compare(produced: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/access_matrix/golden.txt");
    if std::env::var_os("ROLECALL_BLESS").is_some() {
        std::fs::write(&path, produced).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = table::difference(&golden, produced);
    assert!(difference.is_empty(), "the access matrix is not what golden.txt says (-) but this (+):\n{difference}");
}
