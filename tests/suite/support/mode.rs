//! Which database a run of the tests is on. `tests/databases.txt` says what runs on which.

use std::sync::LazyLock;

use super::postgres::Settings;

/// The environment variable that says it.
const VARIABLE: &str = "ROLECALL_TEST_DATABASE";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Sqlite,
    Postgres(Settings),
}

impl Mode {
    pub const ALL: [(&str, Self); 4] = [
        ("sqlite", Self::Sqlite),
        ("postgres", Self::Postgres(Settings { serializable: false, pooled: false })),
        ("postgres-serializable", Self::Postgres(Settings { serializable: true, pooled: false })),
        ("pgbouncer", Self::Postgres(Settings { serializable: false, pooled: true })),
    ];

    /// What a shared server is like, also for a test that wants one in a run on SQLite.
    pub fn settings(self) -> Settings {
        match self {
            Mode::Sqlite => Settings { serializable: false, pooled: false },
            Mode::Postgres(settings) => settings,
        }
    }
}

/// The mode of this run.
pub fn mode() -> Mode {
    static MODE: LazyLock<Mode> = LazyLock::new(|| {
        let name = std::env::var(VARIABLE).unwrap_or_else(|_| "sqlite".to_owned());
        let known = Mode::ALL.iter().find(|(known, _)| *known == name);
        known
            .unwrap_or_else(|| panic!("{VARIABLE} is {name}, which is none of {:?}", Mode::ALL.map(|(name, _)| name)))
            .1
    });
    *MODE
}
