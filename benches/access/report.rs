//! What was measured, as a table and a few lines, and the page that keeps the last one.

use std::fmt;
use std::time::Duration;

use crate::Result;
use crate::load::Outcome;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
/// What the page has between these is written anew each time.
const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- end -->\n";

/// One row: a kind of check at one number of calls in flight, round by round.
pub struct Line {
    pub database: &'static str,
    pub what: String,
    pub in_flight: usize,
    pub rounds: Vec<Round>,
    /// In MiB.
    pub memory: f64,
    /// Percent of the cores that the host took in these rounds, and how many were not kept since it took more.
    pub taken: String,
    pub left_out: usize,
}

/// Processor times are those of the full service and its database.
pub struct Round {
    pub empty: Outcome,
    pub full: Outcome,
    pub server: Duration,
    pub database: Duration,
}

impl Line {
    fn of_each(&self, value: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.of_each(value))
    }
}

/// Processor time of one call in microseconds.
pub fn each(time: Duration, calls: u64) -> f64 {
    time.as_secs_f64() * 1e6 / calls.max(1) as f64
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} | {} | {:.0} / {:.0} / {:.0} | {:.0} / {:.0} / {:.0} | {:.1} | {:.1} | {:.0} | {}, {} |",
            self.database,
            self.what,
            self.in_flight,
            spread(self.of_each(|round| round.full.per_second), 0),
            spread(self.of_each(|round| round.full.per_second / round.empty.per_second), 2),
            self.median(|round| round.full.p50),
            self.median(|round| round.full.p99),
            self.median(|round| round.full.p999),
            self.median(|round| round.empty.p50),
            self.median(|round| round.empty.p99),
            self.median(|round| round.empty.p999),
            self.median(|round| each(round.server, round.full.calls)),
            self.median(|round| each(round.database, round.full.calls)),
            self.memory,
            self.taken,
            self.left_out,
        )
    }
}

/// The median of what each round gave, the least and the most.
pub fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    format!("{:.digits$} ({least:.digits$} – {most:.digits$})", median(values))
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a row, and shows it at once on standard error.
    pub fn line(&mut self, line: Line) {
        eprintln!("{line}");
        self.lines.push(line);
    }

    pub fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    /// Writes it into the page.
    pub fn keep(&self) -> Result<()> {
        let page = std::fs::read_to_string(PAGE)?;
        let (before, rest) = page.split_once(BEGIN).ok_or("the page has no place for figures")?;
        let (_, after) = rest.split_once(END).ok_or("the page has no end of figures")?;
        Ok(std::fs::write(PAGE, format!("{before}{BEGIN}\n{self}\n{END}{after}"))?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", machine())?;
        if !self.lines.is_empty() {
            writeln!(
                f,
                "| database | call | in flight | calls/s (min – max) | of the empty service | p50 / p99 / p99.9 µs | the \
                 empty service's µs | server's CPU µs | database's CPU µs | server's MiB | the host \
                 took %, rounds left out |"
            )?;
            writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        }
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        Ok(())
    }
}

/// Cores, processor, memory and kernel.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let field = |file: &str, name: &str| {
        let text = read(file);
        let value =
            text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().strip_prefix(':')?.trim().to_owned()));
        value.unwrap_or_else(|| "unknown".to_owned())
    };
    let memory: f64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!(
        "Measured on {} cores of {}, {:.0} GiB of memory ({} huge pages), Linux {}; load, server and database share them.",
        std::thread::available_parallelism().map_or(1, usize::from),
        field("/proc/cpuinfo", "model name"),
        memory / 1024.0 / 1024.0,
        field("/proc/meminfo", "HugePages_Total"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
