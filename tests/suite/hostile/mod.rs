//! Input that nobody means well with: one clear error each, nothing changed, no mail.

mod batches;
mod cases;
mod cast;
mod deadlines;
mod names;
mod oracle;
mod program;
mod secrets;
mod texts;
mod transport;
mod walk;
