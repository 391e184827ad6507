//! The README says what is true.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, Command};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// What stands between the comments `<!-- NAME…: … -->` and `<!-- NAME end… -->`.
fn section<'a>(readme: &'a str, name: &str) -> &'a str {
    let (_, rest) = readme.split_once(&format!("<!-- {name}: ")).unwrap();
    let (_, rest) = rest.split_once("-->\n").unwrap();
    rest.split_once(&format!("<!-- {name} end")).unwrap().0
}

#[test]
fn the_configuration_table_is_that_of_the_program() {
    let expected = tables();
    let readme = readme();
    let found = section(&readme, "configuration");
    assert!(found.trim() == expected.trim(), "the README's tables should be:\n\n{expected}");
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let readme = readme();
    let promised: Vec<&str> = section(&readme, "promises")
        .lines()
        .filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(promised.len() > 10, "{promised:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["src", "tests/suite", "tests/clients/python"] {
        read_all(&root.join(folder), &mut sources);
    }
    let exists = |name: &str| ["fn ", "def "].iter().any(|word| sources.contains(&format!("{word}{name}(")));
    let missing: Vec<&str> = promised.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// A table for `serve`, and one for what only other commands take.
fn tables() -> String {
    let mut root = rolecall::cli::definition();
    root.build();
    let mut text = String::from("`rolecall serve`, and where they make sense the other commands too:\n\n");
    text.push_str("| flag | environment | default | what it is |\n|---|---|---|---|\n");
    let serve = root.find_subcommand("serve").unwrap();
    for arg in own_flags(serve) {
        row(&mut text, "", arg);
    }
    text.push_str(
        "\nThe other commands' own:\n\n| command and flag | environment | default | what it is |\n|---|---|---|---|\n",
    );
    let known: Vec<&str> = own_flags(serve).filter_map(Arg::get_long).collect();
    for (name, command) in leaves("", &root) {
        for arg in own_flags(command).filter(|arg| !arg.get_long().is_some_and(|long| known.contains(&long))) {
            row(&mut text, &name, arg);
        }
    }
    text
}

/// Every command that has no commands of its own, with the words that call it.
fn leaves<'a>(words: &str, command: &'a Command) -> Vec<(String, &'a Command)> {
    let mut found = Vec::new();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let words = format!("{words}{} ", below.get_name());
        let more = leaves(&words, below);
        if more.is_empty() { found.push((words, below)) } else { found.extend(more) }
    }
    found
}

fn own_flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help" && long != "version"))
}

fn row(text: &mut String, command: &str, arg: &Arg) {
    let long = arg.get_long().unwrap();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = arg.get_value_names().filter(|_| takes_value).map(|names| format!(" {}", names[0])).unwrap_or_default();
    let variable = arg.get_env().unwrap_or_else(|| panic!("--{long} has no environment variable")).to_str().unwrap();
    let default: Vec<&str> = arg.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
    let default = if takes_value && !default.is_empty() { format!("`{}`", default.join(",")) } else { String::new() };
    let help = arg.get_help().unwrap().to_string();
    writeln!(text, "| `{command}--{long}{value}` | `{variable}` | {default} | {help} |").unwrap();
}
