//! The protocol: what turns messages into use cases and outcomes into answers. No rule of the product lives here.

mod call;
mod convert;
mod foresight;
mod health;
mod layer;
mod listener;
pub mod pb;
mod server;
mod service;
mod status;

pub use listener::{Listener, Tls};
pub use server::{LAYERS, serve};
