//! Where the data is.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;

const FLAG: &str = "--database-url";

/// The database, and how to reach it. Its URL can hold a password, so it has no `Debug`.
#[derive(Clone, clap::Args)]
pub struct DatabaseConfig {
    /// The database: sqlite://PATH. The file and its folder are created, private to the user who runs Rolecall
    #[arg(
        long,
        env = "ROLECALL_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://rolecall-data/rolecall.db",
        hide_env_values = true
    )]
    pub database_url: String,
}

/// What a database URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseTarget {
    Sqlite(PathBuf),
}

impl DatabaseConfig {
    /// What the URL names.
    ///
    /// # Errors
    /// If it is no URL of a database that Rolecall can use. The URL itself is never repeated: it can hold a password.
    pub fn target(&self) -> Result<DatabaseTarget, ConfigError> {
        let url = self.database_url.as_str();
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Err(ConfigError::new(FLAG, "PostgreSQL is not supported yet; use sqlite://PATH"));
        }
        let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) else {
            return Err(ConfigError::new(FLAG, "must be sqlite://PATH"));
        };
        if path.is_empty() || path.contains('?') || path.contains('#') || path.contains(":memory:") {
            return Err(ConfigError::new(
                FLAG,
                "must name a file, without parameters; an in-memory database cannot be shared",
            ));
        }
        Ok(DatabaseTarget::Sqlite(PathBuf::from(path)))
    }

    /// Whether the database is there, so that a question does not create it.
    ///
    /// # Errors
    /// As [`DatabaseConfig::target`].
    pub fn exists(&self) -> Result<bool, ConfigError> {
        match self.target()? {
            DatabaseTarget::Sqlite(path) => Ok(path.exists()),
        }
    }

    /// How long an operation waits for a connection. On SQLite, which has one writer, this is the longest queue for it.
    pub fn acquire_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_is_refused_without_being_repeated() {
        let target = |url: &str| DatabaseConfig { database_url: url.into() }.target();
        assert_eq!(target("sqlite://a/b.db"), Ok(DatabaseTarget::Sqlite("a/b.db".into())));
        assert_eq!(target("sqlite:///a/b.db"), Ok(DatabaseTarget::Sqlite("/a/b.db".into())));
        for url in [
            "",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://x?mode=ro",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h/d",
        ] {
            let error = target(url).unwrap_err();
            assert_eq!(error.flag, FLAG);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
