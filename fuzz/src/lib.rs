//! What is fuzzed. The bodies of the targets stand in files that the suite of the tests has too (`tests/suite/fuzz`): there
//! they run over the kept corpus and a bounded number of mutations, without a fuzzer or a nightly compiler.

#[path = "../../tests/suite/support/codec.rs"]
mod codec;
pub mod parsers;
pub mod requests;
