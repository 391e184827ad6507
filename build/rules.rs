//! `rules.rs`: who may call what, read from the options `authorization` and `granted_to`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};

use crate::enums::{self, camel};
use crate::{PACKAGE, Problems};

pub fn generate(pool: &DescriptorPool, problems: &mut Problems) -> String {
    let mut out = String::new();
    permissions(pool, problems, &mut out);
    service_scopes(pool, problems, &mut out);
    methods(pool, problems, &mut out);
    out
}

fn permissions(pool: &DescriptorPool, problems: &mut Problems, out: &mut String) {
    let Some(granted_to) = extension(pool, "granted_to", problems) else {
        return;
    };
    let values = enums::values(pool, "Permission", problems);
    let mut roles = BTreeMap::<String, Vec<String>>::new();
    for value in &values {
        let options = value.descriptor.options();
        let name = value.descriptor.name();
        if !options.has_extension(&granted_to) {
            problems.push(format!("{name}: the option ({PACKAGE}.granted_to) is missing"));
            continue;
        }
        match variant(granted_to.kind().as_enum(), &options.get_extension(&granted_to)) {
            Ok(role) => roles.entry(format!("Role::{role}")).or_default().push(format!("Self::{}", value.variant)),
            Err(problem) => problems.push(format!("{name}: granted_to: {problem}")),
        }
    }
    let derive = "Clone, Copy, Debug, PartialEq, Eq, Hash";
    enums::emit_enum(out, "Permission", "One thing that another service guards.", derive, &values);
    let mut methods = enums::wire_methods(&values);
    let doc = "The lowest role that has the permission; every higher one has it too.";
    methods.push(enums::method(
        doc,
        "lowest_role(self) -> Role",
        "self",
        roles.into_iter().map(|(role, values)| (values.join(" | "), role)),
    ));
    enums::emit_impl(out, "Permission", &values, &methods);
}

fn service_scopes(pool: &DescriptorPool, problems: &mut Problems, out: &mut String) {
    let values = enums::values(pool, "ServiceScope", problems);
    let derive = "Clone, Copy, Debug, PartialEq, Eq, Hash";
    enums::emit_enum(out, "ServiceScope", "One thing that a service key may do.", derive, &values);
    enums::emit_impl(out, "ServiceScope", &values, &enums::wire_methods(&values));
}

fn methods(pool: &DescriptorPool, problems: &mut Problems, out: &mut String) {
    let Some(authorization) = extension(pool, "authorization", problems) else {
        return;
    };
    let mut rules = Vec::new();
    for method in pool
        .services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        match rule(&method, &authorization) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(format!("{}: {problem}", method.full_name())),
        }
    }
    rules.sort();
    out.push_str("/// The rule of every method, sorted by path.\npub static RULES: &[Rule] = &[\n");
    for (path, fields) in rules {
        let _ = writeln!(out, "    Rule {{ path: {path:?}, {fields} }},");
    }
    out.push_str("];\n");
}

/// The path of a method and the other fields of its rule, as Rust.
fn rule(method: &MethodDescriptor, authorization: &ExtensionDescriptor) -> Result<(String, String), String> {
    let options = method.options();
    if !options.has_extension(authorization) {
        return Err(format!("the option ({PACKAGE}.authorization) is missing: say who may call it"));
    }
    let value = options.get_extension(authorization);
    let says = value.as_message().ok_or("the option is not a message")?;
    let anyone = flag(says, "anyone")?;
    let minimum_role = field_variant(says, "minimum_role")?;
    let service_scope = field_variant(says, "service_scope")?;
    match (anyone, &minimum_role, &service_scope) {
        (false, None, None) => {
            return Err("authorization says neither anyone nor minimum_role nor service_scope".to_owned());
        }
        (true, None, None) | (false, _, _) => {}
        (true, _, _) => {
            return Err("authorization says anyone together with something else".to_owned());
        }
    }
    let service = method.parent_service();
    let as_rust =
        |kind: &str, variant: Option<String>| variant.map_or("None".to_owned(), |it| format!("Some({kind}::{it})"));
    Ok((
        format!("/{}/{}", service.full_name(), method.name()),
        format!(
            "service: {:?}, method: {:?}, anyone: {anyone}, minimum_role: {}, service_scope: {}",
            service.name(),
            method.name(),
            as_rust("Role", minimum_role),
            as_rust("ServiceScope", service_scope)
        ),
    ))
}

/// Whether a flag is set. Set to false it would read as a rule and be none, so it is refused.
fn flag(message: &DynamicMessage, name: &str) -> Result<bool, String> {
    let field = field(message, name)?;
    let occurs = message.has_field(&field);
    if occurs && message.get_field(&field).as_bool() != Some(true) {
        return Err(format!("authorization: {name}: false is not a rule"));
    }
    Ok(occurs)
}

/// The Rust variant that an enum field holds; nothing when the field does not occur. One that is set
/// to zero does occur, and is refused.
fn field_variant(message: &DynamicMessage, name: &str) -> Result<Option<String>, String> {
    let field = field(message, name)?;
    if !message.has_field(&field) {
        return Ok(None);
    }
    let found = variant(field.kind().as_enum(), &message.get_field(&field));
    found.map(Some).map_err(|problem| format!("authorization: {name}: {problem}"))
}

fn field(message: &DynamicMessage, name: &str) -> Result<FieldDescriptor, String> {
    let field = message.descriptor().get_field_by_name(name);
    let field = field.ok_or_else(|| format!("authorization: {name}: no such field"))?;
    // Without presence a value of zero would be silently the same as none.
    if !field.supports_presence() {
        return Err(format!("authorization: {name}: the field has to be optional or in a oneof"));
    }
    Ok(field)
}

fn variant(descriptor: Option<&EnumDescriptor>, value: &Value) -> Result<String, String> {
    let (descriptor, number) = descriptor.zip(value.as_enum_number()).ok_or("not an enum")?;
    let known =
        descriptor.get_value(number).ok_or_else(|| format!("{number} is not a value of {}", descriptor.name()))?;
    if number == 0 {
        return Err(format!("{} is not a rule", known.name()));
    }
    let prefix = enums::prefix(descriptor);
    let short =
        known.name().strip_prefix(&prefix).ok_or_else(|| format!("{} does not begin with {prefix}", known.name()))?;
    Ok(camel(short))
}

fn extension(pool: &DescriptorPool, name: &str, problems: &mut Problems) -> Option<ExtensionDescriptor> {
    let found = pool.get_extension_by_name(&format!("{PACKAGE}.{name}"));
    if found.is_none() {
        problems.push(format!("the extension {PACKAGE}.{name} is missing"));
    }
    found
}
