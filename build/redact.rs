//! `redacted.rs`: `Debug` for the messages that hold a password or a token (`debug_redact`).
//!
//! prost skips `Debug` for such a message and, by the same path, for every `oneof` in it: both kinds
//! are written here. A message that contains such a message derives `Debug` and stays safe.

use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use crate::enums::{camel, snake};
use crate::{PACKAGE, Problems};

const REDACTED: &str = "&::core::format_args!(\"[redacted]\")";

/// The messages with at least one field to hide.
pub fn find(pool: &DescriptorPool, problems: &mut Problems) -> Vec<MessageDescriptor> {
    let ours: Vec<_> = pool.all_messages().filter(|message| message.package_name() == PACKAGE).collect();
    for field in ours.iter().flat_map(|message| message.fields().collect::<Vec<_>>()) {
        if sounds_secret(field.name()) && !is_redacted(&field) {
            problems.push(format!("{}: a password or a token needs [debug_redact = true]", field.full_name()));
        }
    }
    let found: Vec<_> = ours.into_iter().filter(|message| message.fields().any(|field| is_redacted(&field))).collect();
    for message in &found {
        let has_types = message.child_messages().any(|child| !child.is_map_entry()) || message.child_enums().len() > 0;
        if has_types || message.parent_message().is_some() {
            problems.push(format!(
                "{}: a message with debug_redact neither nests types nor is nested",
                message.full_name()
            ));
        }
    }
    found
}

/// What prost has to leave alone. A path with a leading dot matches the message and what is in it.
pub fn paths(messages: &[MessageDescriptor]) -> Vec<String> {
    messages.iter().map(|message| format!(".{}", message.full_name())).collect()
}

pub fn generate(messages: &[MessageDescriptor]) -> String {
    let mut out = String::new();
    for message in messages {
        debug_message(&mut out, message);
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            debug_oneof(&mut out, message, &oneof);
        }
    }
    out
}

fn debug_message(out: &mut String, message: &MessageDescriptor) {
    head(out, message.name());
    let _ = writeln!(out, "        f.debug_struct({:?})", message.name());
    let real_oneof = |field: &FieldDescriptor| field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        let name = field.name();
        let value = if is_redacted(&field) {
            REDACTED.to_owned()
        } else if matches!(field.kind(), Kind::Enum(_)) && !field.is_list() && !field.supports_presence() {
            format!("&self.{name}()")
        } else {
            format!("&self.{name}")
        };
        let _ = writeln!(out, "            .field({name:?}, {value})");
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let _ = writeln!(out, "            .field({0:?}, &self.{0})", oneof.name());
    }
    out.push_str("            .finish()\n    }\n}\n\n");
}

fn debug_oneof(out: &mut String, message: &MessageDescriptor, oneof: &OneofDescriptor) {
    head(out, &format!("{}::{}", snake(message.name()), camel(&oneof.name().to_ascii_uppercase())));
    out.push_str("        match self {\n");
    for field in oneof.fields() {
        let variant = camel(&field.name().to_ascii_uppercase());
        let (pattern, value) = if is_redacted(&field) { ("_", REDACTED) } else { ("value", "value") };
        let _ = writeln!(
            out,
            "            Self::{variant}({pattern}) => f.debug_tuple({variant:?}).field({value}).finish(),"
        );
    }
    out.push_str("        }\n    }\n}\n\n");
}

fn head(out: &mut String, rust: &str) {
    let _ = writeln!(out, "impl ::core::fmt::Debug for {rust} {{");
    out.push_str("    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {\n");
}

/// A page token is a place in a list and opens nothing.
fn sounds_secret(name: &str) -> bool {
    (name.ends_with("password") || name.ends_with("token")) && !name.ends_with("page_token")
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").and_then(|value| value.as_bool()).unwrap_or(false)
}
