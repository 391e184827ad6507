//! What the tests stand on: a whole service in this process, or the program itself as a child.

mod acts;
mod child;
mod client;
pub mod contract;
mod database;
mod dice;
mod dump;
mod mail;
mod outside;
mod raw;
mod refusal;
mod world;

pub use acts::ok;
pub use child::{Child, rolecall};
pub use client::{As, metadata};
pub use database::{Database, INVARIANTS, hex};
pub use dice::Dice;
pub use dump::Dump;
pub use mail::{Mail, reset_token_in, token_in};
pub use outside::blob;
pub use raw::{Contract, Field};
pub use refusal::{Refused, outcome, refused};
pub use world::{Frozen, PASSWORD, Person, World};
