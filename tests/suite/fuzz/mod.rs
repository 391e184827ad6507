//! The short run of the fuzzer's targets, without a fuzzer: over the kept corpus, and over mutations of it whose dice fall
//! the same way each time. `docs/security-testing.md` says how to run the long one.

#[path = "../../../fuzz/src/parsers.rs"]
mod parsers;
#[path = "../../../fuzz/src/requests.rs"]
mod requests;

mod codec {
    pub use crate::support::Raw;
}

use std::path::Path;

use crate::support::Dice;

const LONGEST: usize = 400;

/// Runs a target over its corpus and `mutations` more inputs.
fn replay(target: &str, mutations: usize, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut corpus: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    corpus.sort();
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 10, "{} has lost its corpus", folder.display());
    for input in &corpus {
        attempt(target, input, run);
    }
    let mut dice = Dice::new(5);
    for _ in 0..mutations {
        attempt(target, &mutated(&mut dice, &corpus), run);
    }
}

/// Says which input it was that failed.
fn attempt(target: &str, input: &[u8], run: fn(&[u8])) {
    if let Err(panic) = std::panic::catch_unwind(|| run(input)) {
        eprintln!("{target} fails of {input:?}");
        std::panic::resume_unwind(panic);
    }
}

/// An input of the corpus with a few things done to it.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let (at, byte) = (dice.below(input.len() + 1), (dice.roll() & 0xff) as u8);
        match dice.below(6) {
            0 => input.insert(at, byte),
            1 if at < input.len() => drop(input.remove(at)),
            2 if at < input.len() => input[at] = byte,
            3 if at < input.len() => input[at] ^= 1 << (byte % 8),
            4 => input.truncate(at),
            _ => {
                let other = &corpus[dice.below(corpus.len())];
                input.extend(&other[dice.below(other.len() + 1)..]);
            }
        }
    }
    input.truncate(LONGEST);
    input
}

#[test]
fn no_text_passes_for_more_than_one_token_or_has_two_spellings() {
    replay("tokens", 3_000, parsers::tokens);
}

#[test]
fn an_address_or_a_name_that_was_taken_is_plain_and_stays_what_it_is() {
    replay("texts", 3_000, parsers::texts);
}

#[test]
fn a_page_token_is_one_position_of_one_list_or_refused() {
    replay("page_tokens", 3_000, parsers::page_tokens);
}

#[test]
fn whatever_bytes_a_request_is_made_of_the_answer_is_good_or_an_error_of_the_contract() {
    replay("requests", 1_000, requests::requests);
}
