//! What people and services do with Rolecall, as sentences.

mod membership;
