//! Input that nobody means well with: one clear error each, nothing changed, no mail.

mod accounts;
mod batches;
mod canaries;
mod cases;
mod cast;
mod deadlines;
mod mail;
mod names;
mod oracle;
mod program;
mod secrets;
mod tenants;
mod texts;
mod tokens;
mod transport;
mod walk;
