//! The service against a small model of the contract: random callers make random calls, and both always agree on the
//! code, the reason, the answer, the mail that leaves and the state that results.
//!
//! The model is written from the contract and not from the sources. `ROLECALL_PROPERTY_CASES` says how many sequences are
//! tried; a failure prints the shortest one that was found.

mod action;
mod invitations;
mod people;
mod play;
mod service;
mod state;
mod words;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

const CASES: u32 = 48;
const LONGEST: usize = 200;

#[test]
fn the_service_and_a_model_of_the_contract_agree_on_any_sequence_of_calls() {
    let cases = std::env::var("ROLECALL_PROPERTY_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = TestRunner::new(config).run(&vec(action::action(), 0..LONGEST), |actions| {
        runtime.block_on(play::play(&actions)).map_err(TestCaseError::fail)
    });
    if let Err(apart) = outcome {
        panic!("{apart}");
    }
}
