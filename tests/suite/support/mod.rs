//! What the tests stand on: a whole service in this process, or the program itself as a child.

mod acts;
mod child;
mod client;
mod codec;
pub mod contract;
mod database;
mod dice;
mod dump;
mod invariants;
mod mail;
mod mode;
mod place;
pub mod postgres;
mod raw;
mod refusal;
mod world;

pub use acts::ok;
pub use child::{Child, rolecall};
pub use client::{As, metadata};
pub use codec::Raw;
pub use database::{Database, hex};
pub use dice::Dice;
pub use dump::Dump;
pub use invariants::INVARIANTS;
pub use mail::{Mail, reset_token_in, token_in};
pub use mode::{Mode, mode};
pub use place::Place;
pub use raw::{Contract, Field};
pub use refusal::{Refused, outcome, refused};
pub use world::{Frozen, PASSWORD, Person, World};
