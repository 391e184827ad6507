//! Figures and how they are shown.

use std::fmt;

pub struct Row {
    what: String,
    unit: &'static str,
    aim: &'static str,
    runs: Vec<f64>,
}

impl Row {
    pub fn new(what: &str, unit: &'static str, mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self { what: what.to_owned(), unit, aim: "", runs }
    }

    pub fn aim(self, aim: &'static str) -> Self {
        Self { aim, ..self }
    }

    fn median(&self) -> Option<f64> {
        self.runs.get(self.runs.len() / 2).copied()
    }

    fn range(&self) -> String {
        match (self.runs.as_slice(), self.runs.len()) {
            ([min, .., max], runs) => format!("{} – {} ({runs} runs)", shown(*min), shown(*max)),
            _ => String::new(),
        }
    }
}

#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a row, and shows it at once on standard error.
    pub fn push(&mut self, row: Row) {
        eprintln!("{} {} {}  {}", row.what, row.median().map(shown).unwrap_or_default(), row.unit, row.range());
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | unit | aim | median | min – max |\n|---|---|---|---:|---|")?;
        for row in &self.0 {
            let median = row.median().map(shown).unwrap_or_default();
            writeln!(f, "| {} | {} | {} | {median} | {} |", row.what, row.unit, row.aim, row.range())?;
        }
        Ok(())
    }
}

/// Three digits that mean something.
fn shown(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
