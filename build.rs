//! Turns the contract into Rust. The `.proto` files are the only place where messages, rules,
//! permissions and reasons are written; everything below lands in `OUT_DIR`:
//!
//! | file | is | included by |
//! |---|---|---|
//! | `rolecall.v1.rs` | messages, clients, servers | the module `v1` of the protocol |
//! | `redacted.rs` | `Debug` without passwords and tokens | the same module |
//! | `descriptors.bin` | the descriptor set, comments and custom options included | reflection |
//! | `rules.rs` | `Permission`, `ServiceScope`, `RULES` | `authz::rules` |
//! | `reasons.rs` | `Reason`, `FieldReason` | `error` |
//! | `audit_actions.rs` | `AuditAction` | `model::audit` |
//!
//! A method without a rule and a permission without a role do not compile. Custom options survive
//! only in the encoded set: `prost_types` drops what it does not know, so the rules are read from
//! `descriptors.bin` by prost-reflect.

#[path = "build/enums.rs"]
mod enums;
#[path = "build/redact.rs"]
mod redact;
#[path = "build/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use prost_reflect::DescriptorPool;

const PROTO_DIR: &str = "proto";
const PACKAGE: &str = "rolecall.v1";

/// What is wrong, one line a culprit.
type Problems = Vec<String>;

fn main() {
    for input in [PROTO_DIR, "build.rs", "build"] {
        println!("cargo::rerun-if-changed={input}");
    }
    if let Err(problems) = run() {
        // Cargo fails the build for these lines and prints them and nothing else; an exit status
        // would add a dump of everything that the script has said.
        for line in problems.iter().flat_map(|problem| problem.lines()) {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<(), Problems> {
    let out_dir = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| one("OUT_DIR is not set"))?;
    let mut compiler = protox::Compiler::new([PROTO_DIR]).map_err(|error| located(&error))?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(proto_files(Path::new(PROTO_DIR)).map_err(one)?).map_err(|error| located(&error))?;

    let encoded = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(encoded.as_slice()).map_err(one)?;

    let mut problems = Problems::new();
    let rules = rules::generate(&pool, &mut problems);
    let reasons = enums::generate_reasons(&pool, &mut problems);
    let audit_actions = enums::generate_audit_actions(&pool, &mut problems);
    let redacted = redact::find(&pool, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }

    write(&out_dir, "descriptors.bin", &encoded)?;
    write(&out_dir, "rules.rs", rules.as_bytes())?;
    write(&out_dir, "reasons.rs", reasons.as_bytes())?;
    write(&out_dir, "audit_actions.rs", audit_actions.as_bytes())?;
    write(&out_dir, "redacted.rs", redact::generate(&redacted).as_bytes())?;
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .skip_debug(redact::paths(&redacted))
        .compile_fds(compiler.file_descriptor_set())
        .map_err(one)
}

/// Every `.proto` file below `dir`, in a stable order.
fn proto_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn write(out_dir: &Path, name: &str, content: &[u8]) -> Result<(), Problems> {
    fs::write(out_dir.join(name), content).map_err(|error| one(format!("{name}: {error}")))
}

/// A protox error with its place: only `Debug` says file, line and column.
fn located(error: &protox::Error) -> Problems {
    one(format!("{error:?}"))
}

fn one(problem: impl std::fmt::Display) -> Problems {
    vec![problem.to_string()]
}
