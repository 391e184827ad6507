//! Reads the sources: one direction, one door each to the database, the protocol, the clock and randomness, and files
//! that fit a head.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rolecall::grpc::LAYERS;

const MAX_LINES: usize = 420;

/// What may be named only in some places. The trees are below `src/`.
const DOORS: [(&[&str], &[&str], &str); 4] = [
    (&["sea_orm", "sea_orm_migration", "sqlx", "rusqlite"], &["store/"], "the database"),
    (&["tonic", "tonic_health", "tonic_prost", "tonic_reflection", "tonic_types"], &["grpc/", "cli/"], "the protocol"),
    (&["now_utc", "now_local", "UtcDateTime", "now_v7", "now_v1", "date_now", "SystemTime::now"], &["clock.rs"], "now"),
    (&["new_v4", "getrandom", "rand", "OsRng", "thread_rng", "RandomState"], &["crypto/"], "randomness"),
];

/// A file, named from `src/`, without its comments and the contents of its strings.
struct Source {
    name: String,
    code: String,
}

#[test]
fn a_module_imports_only_from_lower_levels() {
    let levels = levels();
    let wrong: Vec<String> = sources().iter().flat_map(|source| upward(source, &levels)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_crate_has_a_level() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let levels = levels();
    let declared: Vec<&str> = library.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    let declared: Vec<&str> = declared.iter().map(|module| module.trim_end_matches(';')).collect();
    let mut listed: Vec<&str> = levels.keys().map(String::as_str).collect();
    listed.sort_unstable();
    assert_eq!(declared, listed);
    assert!(levels["error"] < levels["model"] && levels["model"] < levels["cli"], "{levels:?}");
}

#[test]
fn the_database_the_protocol_the_clock_and_randomness_have_one_door_each() {
    let wrong: Vec<String> = sources().iter().flat_map(past_the_doors).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_head_can_hold() {
    let mut files = files_below(&root().join("src"));
    files.extend(files_below(&root().join("build")));
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines without its tests", path.display());
    }
}

#[test]
fn the_layers_are_assembled_in_the_order_of_their_list() {
    let server = std::fs::read_to_string(root().join("src/grpc/server.rs")).unwrap();
    let assembled: Vec<&str> = server
        .split("::outermost(")
        .flat_map(|part| part.split(".inside("))
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .collect();
    let listed: Vec<String> = LAYERS.iter().map(|(name, _)| layer_in(name)).collect();
    assert_eq!(assembled, listed);
}

/// The type that a layer's file makes of a name of the list.
fn layer_in(name: &str) -> String {
    let text = std::fs::read_to_string(root().join(format!("src/grpc/layer/{name}.rs"))).unwrap();
    let around = text.split("impl Around for ").nth(1).unwrap();
    around.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

#[test]
fn what_these_tests_look_for_is_found() {
    let levels = levels();
    let source = |name: &str, text: &str| Source { name: name.into(), code: without_comments_and_strings(text) };
    let upward = |name: &str, text: &str| upward(&source(name, text), &levels).len();
    assert_eq!(upward("store/x.rs", "use crate::app::App;"), 1);
    assert_eq!(upward("model/x.rs", "use crate::config::MailConfig;"), 1);
    assert_eq!(upward("app/x.rs", "use crate::{\n    grpc::{status, pb},\n    store::Store,\n    cli,\n};"), 2);
    assert_eq!(upward("app/x.rs", "fn f() { crate::grpc::serve() }"), 1);
    assert_eq!(upward("app/mod.rs", "use super::worker::Workers;"), 1);
    assert_eq!(upward("app/x.rs", "use super::super::grpc;"), 1);
    assert_eq!(
        upward("app/x.rs", "use super::super::store; // crate::grpc\n/* crate::cli */ const A: &str = \"crate::cli\";"),
        0
    );
    assert_eq!(upward("app/x.rs", "use crate::{error::Error, store::{Store, Write}}; use super::worker;"), 0);

    let doors = |name: &str, text: &str| past_the_doors(&source(name, text)).len();
    assert_eq!(doors("app/x.rs", "use sea_orm::EntityTrait;"), 1);
    assert_eq!(doors("app/x.rs", "fn f() -> tonic::Status {}"), 1);
    assert_eq!(doors("model/x.rs", "let id = Uuid::now_v7();"), 1);
    assert_eq!(doors("grpc/x.rs", "let now = std::time::SystemTime::now();"), 1);
    assert_eq!(doors("grpc/x.rs", "let id = uuid::Uuid::new_v4();"), 1);
    assert_eq!(doors("store/x.rs", "use sea_orm::Set; // OffsetDateTime::now_utc\nlet brand = operand;"), 0);
}

/// Names of modules that a source imports although they are not below it.
fn upward(source: &Source, levels: &BTreeMap<String, u32>) -> Vec<String> {
    let own = source.name.split(['/', '.']).next().unwrap();
    // The binary stands above everything.
    let Some(own_level) = levels.get(own) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for module in imported(source) {
        match levels.get(&module) {
            Some(level) if module == own || level < own_level => {}
            Some(level) => wrong.push(format!("{} (level {own_level}) imports {module} (level {level})", source.name)),
            None => wrong.push(format!("{} imports {module}, which has no level", source.name)),
        }
    }
    wrong
}

/// The modules of the crate that a source names, by `crate::` or by enough of `super::`.
fn imported(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("crate::") {
        if !source.code[..at].ends_with('$') && !ends_in_a_word(&source.code[..at]) {
            found.extend(heads(&source.code[at + "crate::".len()..]));
        }
    }
    let depth = source.name.trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
    let to_the_root = "super::".repeat(depth);
    for (at, _) in source.code.match_indices(&to_the_root) {
        if !source.code[..at].ends_with("super::") {
            let rest = &source.code[at + to_the_root.len()..];
            // More of them, or names that are no modules, come from a module within the file.
            let known = levels();
            found.extend(heads(rest).into_iter().filter(|head| known.contains_key(head)));
        }
    }
    found
}

/// The first names of a path, of which there are several in braces.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(list) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts.iter().map(|part| word(part)).filter(|head: &String| !head.is_empty()).collect()
}

fn past_the_doors(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for (names, places, what) in DOORS {
        if places.iter().any(|place| source.name.starts_with(place)) {
            continue;
        }
        for name in names {
            let found = source.code.match_indices(name).any(|(at, _)| {
                let after = source.code[at + name.len()..].chars().next();
                !ends_in_a_word(&source.code[..at]) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            if found {
                wrong.push(format!("{}: {name} ({what} is taken in {places:?} only)", source.name));
            }
        }
    }
    wrong
}

fn ends_in_a_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The table of levels in the head of the crate.
fn levels() -> BTreeMap<String, u32> {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut levels = BTreeMap::new();
    for row in library.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split(" | ");
        let Some(level) = cells.next().and_then(|cell| cell.parse().ok()) else {
            continue;
        };
        for module in cells.next().unwrap().split(", ") {
            levels.insert(module.trim_matches(['[', ']', '`']).to_owned(), level);
        }
    }
    levels
}

fn sources() -> Vec<Source> {
    let root = root().join("src");
    let sources: Vec<Source> = files_below(&root)
        .into_iter()
        .map(|path| Source {
            name: path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
            code: without_comments_and_strings(&std::fs::read_to_string(&path).unwrap()),
        })
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The code alone. Raw strings with hashes are not used in the crate but for tests, and would only hide code from view.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            string_length(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
        code.push(' ');
    }
    code
}

/// The length of the string that the text begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}
