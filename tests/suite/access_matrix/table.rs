//! The matrix as text: one block a method, in it the callers, and for each caller the targets with the answer.
//! Callers in a row who get the same answers share their lines; where all targets get the same answer it is said once.

use std::fmt::Write as _;

use tonic::Code;

use crate::support::contract::Method;

pub struct Block {
    pub title: String,
    pub rule: String,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub caller: &'static str,
    /// Target and answer.
    pub answers: Vec<(&'static str, String)>,
}

/// Target and answer, as they are shown.
type Answers<'a> = Vec<(&'a str, &'a str)>;

const HEAD: &str = "\
# Who may do what to whom: the answer of every method to every caller, for every kind of target.
# Made by tests/suite/access_matrix; ROLECALL_BLESS=1 writes it anew. Indented: callers, targets, answer.
#
# All sessions act in Acme, but for the one of Beta's Owner. They hold the highest role where no role is said: `signed
# out` and `removed` were Owners. `Owner, stale` gave the password more than 10 minutes ago. A `key` has every scope and
# names the workspace that the row is about; `without scope` lacks the one that the row is about; `bound` is bound to
# Acme and names nothing. Gamma is a workspace that none of the callers is a member of, Delta one that all people are,
# Omega one that nobody has joined yet.
";

const CALLER_WIDTH: usize = 36;
const TARGET_WIDTH: usize = 42;

pub fn render(blocks: &[Block]) -> String {
    let mut out = HEAD.to_owned();
    for block in blocks {
        let _ = writeln!(out, "\n{}  ({})", block.title, block.rule);
        let mut groups: Vec<(Vec<&str>, Answers)> = Vec::new();
        for line in &block.lines {
            let answers = folded(line);
            match groups.last_mut() {
                Some((callers, same)) if *same == answers => callers.push(line.caller),
                _ => groups.push((vec![line.caller], answers)),
            }
        }
        for (callers, answers) in &groups {
            let everybody = callers.len() == block.lines.len();
            let callers = if everybody { vec!["everybody".to_owned()] } else { wrapped(callers) };
            for at in 0..callers.len().max(answers.len()) {
                let caller = callers.get(at).map_or("", String::as_str);
                let (target, answer) = answers.get(at).copied().unwrap_or_default();
                let line = format!("  {caller:CALLER_WIDTH$}{target:TARGET_WIDTH$}{answer}");
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
    }
    out
}

/// The answers, as one where all are the same.
fn folded(line: &Line) -> Answers<'_> {
    let answers: Answers = line.answers.iter().map(|(target, answer)| (*target, answer.as_str())).collect();
    match answers.as_slice() {
        [(_, first), _, ..] if answers.iter().all(|(_, answer)| answer == first) => vec![("any", *first)],
        _ => answers,
    }
}

/// Names, separated by semicolons, in lines that fit their column.
fn wrapped(callers: &[&str]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (index, caller) in callers.iter().enumerate() {
        let separator = if index + 1 < callers.len() { ";" } else { "" };
        let last = lines.last_mut().unwrap();
        if !last.is_empty() && last.len() + caller.len() + 2 >= CALLER_WIDTH - 1 {
            lines.push(format!("{caller}{separator}"));
        } else {
            let space = if last.is_empty() { "" } else { " " };
            let _ = write!(last, "{space}{caller}{separator}");
        }
    }
    lines
}

pub fn rule_in_words(method: &Method) -> String {
    let session = method.minimum_role.as_ref().map(|role| format!("session {role}"));
    let key = method.service_scope.as_ref().map(|scope| format!("key {scope}"));
    match method.anyone {
        true => "anyone".to_owned(),
        false => session.into_iter().chain(key).collect::<Vec<_>>().join(", "),
    }
}

/// What differs, block by block, so that a line is seen with its method.
pub fn difference(golden: &str, produced: &str) -> String {
    let blocks = |text: &str| text.split("\n\n").map(str::to_owned).collect::<Vec<_>>();
    let title = |block: &str| block.lines().next().unwrap_or_default().split("  (").next().unwrap().to_owned();
    let (golden, produced) = (blocks(golden), blocks(produced));
    let find = |blocks: &[String], wanted: &str| blocks.iter().find(|block| title(block) == wanted).cloned();
    let mut titles: Vec<String> = golden.iter().map(|block| title(block)).collect();
    titles
        .extend(produced.iter().map(|block| title(block)).filter(|it| !golden.iter().any(|block| title(block) == *it)));
    let mut out = String::new();
    for wanted in titles {
        let before = find(&golden, &wanted).unwrap_or_default();
        let after = find(&produced, &wanted).unwrap_or_default();
        if before.trim() == after.trim() {
            continue;
        }
        let _ = writeln!(out, "{wanted}");
        let marked = |out: &mut String, mark: &str, these: &str, others: &str| {
            for line in these.lines().filter(|line| !others.lines().any(|other| other == *line)) {
                let _ = writeln!(out, "{mark} {line}");
            }
        };
        marked(&mut out, "-", &before, &after);
        marked(&mut out, "+", &after, &before);
    }
    out
}

pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
