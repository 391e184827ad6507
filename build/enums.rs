//! Enums of the contract as plain Rust enums, without the zero value, the prefix and the wire.

use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, EnumDescriptor, EnumValueDescriptor};

use crate::{PACKAGE, Problems};

/// One value other than zero.
pub struct Value {
    /// As sent, without the prefix: `REPORTS_VIEW`.
    pub name: String,
    /// As in Rust: `ReportsView`.
    pub variant: String,
    pub number: i32,
    doc: String,
    pub descriptor: EnumValueDescriptor,
}

/// `reasons.rs`: `Reason` and `FieldReason`.
pub fn generate_reasons(pool: &DescriptorPool, problems: &mut Problems) -> String {
    let mut out = String::new();
    for (proto, rust, head) in [
        ("ErrorReason", "Reason", "Why a call was refused: `ErrorReason` of the contract."),
        ("FieldViolationReason", "FieldReason", "What is wrong with a field: `FieldViolationReason` of the contract."),
    ] {
        let values = values(pool, proto, problems);
        let derive = "Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord";
        emit_enum(&mut out, rust, head, derive, &values);
        let arms = values.iter().map(|value| (format!("Self::{}", value.variant), format!("{:?}", value.name)));
        let doc = "The value as it is sent, without the prefix.";
        emit_impl(&mut out, rust, &values, &[method(doc, "as_str(self) -> &'static str", "self", arms)]);
    }
    out
}

/// `audit_actions.rs`: `AuditAction`.
pub fn generate_audit_actions(pool: &DescriptorPool, problems: &mut Problems) -> String {
    let mut out = String::new();
    let values = values(pool, "AuditAction", problems);
    let head = "What an audit event records: `AuditAction` of the contract.";
    emit_enum(&mut out, "AuditAction", head, "Clone, Copy, Debug, PartialEq, Eq, Hash", &values);
    emit_impl(&mut out, "AuditAction", &values, &wire_methods(&values));
    out
}

/// The values of an enum of the contract but its zero value, which has to be `…_UNSPECIFIED`.
pub fn values(pool: &DescriptorPool, name: &str, problems: &mut Problems) -> Vec<Value> {
    let full_name = format!("{PACKAGE}.{name}");
    let Some(descriptor) = pool.get_enum_by_name(&full_name) else {
        problems.push(format!("the enum {full_name} is missing"));
        return Vec::new();
    };
    let prefix = prefix(&descriptor);
    let mut values = Vec::new();
    for value in descriptor.values() {
        let Some(short) = value.name().strip_prefix(&prefix) else {
            problems.push(format!("{}: the name has to begin with {prefix}", value.full_name()));
            continue;
        };
        match (value.number(), short) {
            (0, "UNSPECIFIED") => {}
            (0, _) => problems.push(format!("{}: the zero value has to be {prefix}UNSPECIFIED", value.full_name())),
            (number, _) => values.push(Value {
                name: short.to_owned(),
                variant: camel(short),
                number,
                doc: comment(&value),
                descriptor: value.clone(),
            }),
        }
    }
    values
}

/// What the names of an enum's values begin with: `ERROR_REASON_` for `ErrorReason`.
pub fn prefix(descriptor: &EnumDescriptor) -> String {
    snake(descriptor.name()).to_ascii_uppercase() + "_"
}

/// `number` and `from_number`, which lead to the wire and back, and `name`.
pub fn wire_methods(values: &[Value]) -> Vec<String> {
    let of_self = |value: &Value| format!("Self::{}", value.variant);
    let back = values.iter().map(|value| (value.number.to_string(), format!("Some({})", of_self(value))));
    vec![
        method(
            "The number on the wire.",
            "number(self) -> i32",
            "self",
            values.iter().map(|value| (of_self(value), value.number.to_string())),
        ),
        method(
            "The value with this number on the wire, unless it is unset or unknown.",
            "from_number(number: i32) -> Option<Self>",
            "number",
            back.chain([("_".to_owned(), "None".to_owned())]),
        ),
        method(
            "The name in the contract, without the prefix.",
            "name(self) -> &'static str",
            "self",
            values.iter().map(|value| (of_self(value), format!("{:?}", value.name))),
        ),
    ]
}

pub fn emit_enum(out: &mut String, rust: &str, head: &str, derive: &str, values: &[Value]) {
    let _ = writeln!(
        out,
        "#[doc = {head:?}]\n#[allow(clippy::doc_markdown, reason = \"the comments are the contract's\")]\n#[derive({derive})]\npub enum {rust} {{"
    );
    for value in values {
        let _ = writeln!(out, "    #[doc = {:?}]\n    {},", value.doc, value.variant);
    }
    out.push_str("}\n\n");
}

pub fn emit_impl(out: &mut String, rust: &str, values: &[Value], methods: &[String]) {
    let all: Vec<String> = values.iter().map(|value| format!("Self::{}", value.variant)).collect();
    let _ = writeln!(
        out,
        "impl {rust} {{\n    /// Every value, in the order of the contract.\n    pub const ALL: &'static [{rust}] = &[{}];\n",
        all.join(", ")
    );
    out.push_str(&methods.join("\n"));
    out.push_str("}\n\n");
}

/// A `const` method that is one `match`.
pub fn method(doc: &str, signature: &str, scrutinee: &str, arms: impl Iterator<Item = (String, String)>) -> String {
    let arms: Vec<_> = arms.map(|(from, to)| format!("            {from} => {to},\n")).collect();
    let arms = arms.concat();
    format!(
        "    #[doc = {doc:?}]\n    #[must_use]\n    pub const fn {signature} {{\n        match {scrutinee} {{\n{arms}        }}\n    }}\n"
    )
}

/// `REPORTS_VIEW` → `ReportsView`.
pub fn camel(upper_snake: &str) -> String {
    let mut out = String::new();
    for word in upper_snake.split('_').filter(|word| !word.is_empty()) {
        out.push_str(&word[..1]);
        out.push_str(&word[1..].to_ascii_lowercase());
    }
    out
}

/// `CheckAccessRequest` → `check_access_request`.
pub fn snake(camel: &str) -> String {
    let mut out = String::new();
    for (index, letter) in camel.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The comment above a value. Lines lose their indentation, which would make doc-tests of them.
fn comment(value: &EnumValueDescriptor) -> String {
    let file = value.parent_enum().parent_file();
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    locations
        .filter(|location| location.path == value.path())
        .flat_map(|location| location.leading_comments().lines())
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
}
