//! Input that nobody means well with: one clear error each, nothing changed, no mail.

mod cases;
mod cast;
mod names;
mod oracle;
mod texts;
mod transport;
mod walk;
