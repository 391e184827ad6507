//! What the tests stand on: a whole service in this process, or the program itself as a child.

mod acts;
mod child;
mod client;
pub mod contract;
mod database;
mod dump;
mod mail;
mod raw;
mod refusal;
mod world;

pub use acts::ok;
pub use child::{Child, rolecall};
pub use client::{As, metadata};
pub use database::blob;
pub use dump::Dump;
pub use mail::Mail;
pub use raw::{Contract, Field};
pub use refusal::{Refused, refused};
pub use world::{Frozen, PASSWORD, Person, World};
