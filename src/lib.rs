//! Rolecall: people and what they may do.
//!
//! One crate, one direction. A request comes in at the top and falls to the database; a module imports only from lower
//! levels, and siblings do not import one another (`tests/suite/layering.rs` holds both).
//!
//! | level | modules | what they are |
//! |---|---|---|
//! | 0 | [`error`], [`clock`] | the one error type; the one source of "now" |
//! | 1 | [`model`], [`config`] | what things are; what can be configured |
//! | 2 | [`authz`], [`crypto`], [`mail`] | who may do what; secrets; e-mail |
//! | 3 | [`store`] | the database, and the only place that knows SeaORM |
//! | 4 | [`app`] | the use cases: what may happen, in which order, in one transaction |
//! | 5 | [`grpc`], [`worker`] | the protocol; the background work |
//! | 6 | [`cli`] | the command line |

pub mod app;
pub mod authz;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod error;
pub mod grpc;
pub mod mail;
pub mod model;
pub mod store;
pub mod worker;
