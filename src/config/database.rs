//! Where the data is.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;

const FLAG: &str = "--database-url";
/// What a URL of PostgreSQL may say behind its `?`.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The database, and how to reach it. Its URL can hold a password, so it has no `Debug`.
#[derive(Clone, clap::Args)]
pub struct DatabaseConfig {
    /// The database: sqlite://PATH, or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full. The file and its
    /// folder are created, private to the user who runs Rolecall. Several hosts, HOST1,HOST2, are one cluster: its
    /// primary is used
    #[arg(
        long,
        env = "ROLECALL_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://rolecall-data/rolecall.db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// Connections to PostgreSQL at the most, half of them for changes
    #[arg(long, env = "ROLECALL_DATABASE_CONNECTIONS", value_name = "NUMBER", default_value_t = 20)]
    pub database_connections: u32,

    /// How long an operation waits for a connection to PostgreSQL
    #[arg(long, env = "ROLECALL_DATABASE_ACQUIRE_TIMEOUT", value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub database_acquire_timeout: Duration,

    /// PostgreSQL ends a statement after this long
    #[arg(long, env = "ROLECALL_DATABASE_STATEMENT_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub database_statement_timeout: Duration,

    /// PostgreSQL ends a statement that has waited for a lock for this long
    #[arg(long, env = "ROLECALL_DATABASE_LOCK_TIMEOUT", value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub database_lock_timeout: Duration,

    /// PostgreSQL ends a transaction in which nothing happens for this long
    #[arg(long, env = "ROLECALL_DATABASE_IDLE_TRANSACTION_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub database_idle_transaction_timeout: Duration,

    /// Statements about access at once. Benchmarks set it; what it is by default was measured
    #[arg(long, env = "ROLECALL_ACCESS_STATEMENTS", value_name = "NUMBER", hide = true)]
    pub access_statements: Option<usize>,

    /// Questions about access that one statement answers at the most. Benchmarks set it to 1
    #[arg(long, env = "ROLECALL_ACCESS_BATCH", value_name = "NUMBER", default_value_t = 256, hide = true)]
    pub access_batch: usize,
}

/// What a database URL names. It can hold a password, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseTarget {
    Sqlite(PathBuf),
    /// One URL for each host. They hold the password.
    Postgres(Vec<String>),
}

impl DatabaseConfig {
    /// A database with everything else as the flags default to.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            database_url: url.into(),
            database_connections: 20,
            database_acquire_timeout: Duration::from_secs(2),
            database_statement_timeout: Duration::from_secs(5),
            database_lock_timeout: Duration::from_secs(2),
            database_idle_transaction_timeout: Duration::from_secs(10),
            access_statements: None,
            access_batch: 256,
        }
    }

    /// What the URL names.
    ///
    /// # Errors
    /// If it is no URL of a database that Rolecall can use. The URL itself is never repeated: it can hold a password.
    pub fn target(&self) -> Result<DatabaseTarget, ConfigError> {
        let url = self.database_url.as_str();
        if let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) {
            return Ok(DatabaseTarget::Postgres(hosts(rest)?));
        }
        let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) else {
            return Err(ConfigError::new(FLAG, "must be sqlite://PATH or postgres://USER@HOST/DATABASE"));
        };
        if path.is_empty() || path.contains('?') || path.contains('#') || path.contains(":memory:") {
            return Err(ConfigError::new(
                FLAG,
                "must name a file, without parameters; an in-memory database cannot be shared",
            ));
        }
        Ok(DatabaseTarget::Sqlite(PathBuf::from(path)))
    }

    /// # Errors
    /// If a value is of no use, or as [`DatabaseConfig::target`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.target()?;
        if !(4..=1_000).contains(&self.database_connections) {
            return Err(ConfigError::new("--database-connections", "must be from 4 to 1000"));
        }
        for (flag, limit) in [
            ("--database-acquire-timeout", self.database_acquire_timeout),
            ("--database-statement-timeout", self.database_statement_timeout),
            ("--database-lock-timeout", self.database_lock_timeout),
            ("--database-idle-transaction-timeout", self.database_idle_transaction_timeout),
        ] {
            if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&limit) {
                return Err(ConfigError::new(flag, "must be from 100ms to 10m"));
            }
        }
        Ok(())
    }

    /// The database's file if that is not there, so that a question does not create it. Nobody knows that of a
    /// server's, nor of one that cannot be looked at.
    ///
    /// # Errors
    /// As [`DatabaseConfig::target`].
    pub fn missing(&self) -> Result<Option<PathBuf>, ConfigError> {
        match self.target()? {
            DatabaseTarget::Sqlite(path) => Ok((!path.try_exists().unwrap_or(true)).then_some(path)),
            DatabaseTarget::Postgres(_) => Ok(None),
        }
    }
}

/// A URL for each of the hosts that are named, with commas between them, in what follows `postgres://`.
fn hosts(rest: &str) -> Result<Vec<String>, ConfigError> {
    let (location, parameters) = rest.split_once('?').map_or((rest, None), |(location, rest)| (location, Some(rest)));
    for parameter in parameters.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        if !PARAMETERS.contains(&name) {
            return Err(ConfigError::new(FLAG, format!("may have only the parameters {}", PARAMETERS.join(", "))));
        }
    }
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    // A password with an @ in it is written %40, but nothing says so to those who write it.
    let (user, names) = authority.rsplit_once('@').map_or(("", authority), |(user, names)| (user, names));
    if path.is_empty() && !parameters.is_some_and(|parameters| parameters.contains("dbname=")) {
        return Err(ConfigError::new(FLAG, "must name the database: postgres://USER@HOST/DATABASE"));
    }
    let at = if user.is_empty() { String::new() } else { format!("{user}@") };
    let tail = parameters.map_or_else(|| path.to_owned(), |parameters| format!("{path}?{parameters}"));
    let several = names.contains(',');
    let url = |name: &str| {
        if several && name.is_empty() {
            return Err(ConfigError::new(FLAG, "must name hosts between its commas"));
        }
        Ok(format!("postgres://{at}{}/{tail}", if name.is_empty() { "localhost" } else { name }))
    };
    names.split(',').map(url).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<DatabaseTarget, ConfigError> {
        DatabaseConfig::at(url).target()
    }

    #[test]
    fn a_url_names_a_file_or_is_refused_without_being_repeated() {
        assert!(target("sqlite://a/b.db") == Ok(DatabaseTarget::Sqlite("a/b.db".into())));
        assert!(target("sqlite:///a/b.db") == Ok(DatabaseTarget::Sqlite("/a/b.db".into())));
        for url in [
            "",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://x?mode=ro",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@h/",
            "postgres://u:hunter2@h,,i/d",
            "postgres://u@h/d?secret=hunter2",
            "postgres:u:hunter2@h/d",
        ] {
            let error = target(url).err().unwrap();
            assert_eq!(error.flag, FLAG);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn each_host_of_a_cluster_gets_a_url_of_its_own() {
        let urls = |url: &str| match target(url) {
            Ok(DatabaseTarget::Postgres(urls)) => urls,
            _ => panic!("{url} names something else"),
        };
        assert_eq!(urls("postgresql://u:p@h:5433/d?sslmode=require"), ["postgres://u:p@h:5433/d?sslmode=require"]);
        assert_eq!(
            urls("postgres://u:p@a:1,b,[::1]:3/d"),
            ["postgres://u:p@a:1/d", "postgres://u:p@b/d", "postgres://u:p@[::1]:3/d"]
        );
        assert_eq!(urls("postgres:///d?host=/run/postgresql"), ["postgres://localhost/d?host=/run/postgresql"]);
        assert_eq!(urls("postgres://h?dbname=d"), ["postgres://h/?dbname=d"]);
    }

    #[test]
    fn a_limit_that_is_of_no_use_is_refused_by_its_flag() {
        let broken = |change: fn(&mut DatabaseConfig)| {
            let mut config = DatabaseConfig::at("sqlite://a.db");
            change(&mut config);
            config.validate().unwrap_err().flag
        };
        assert_eq!(DatabaseConfig::at("sqlite://a.db").validate(), Ok(()));
        assert_eq!(broken(|c| c.database_connections = 3), "--database-connections");
        assert_eq!(broken(|c| c.database_acquire_timeout = Duration::ZERO), "--database-acquire-timeout");
        assert_eq!(broken(|c| c.database_statement_timeout = Duration::ZERO), "--database-statement-timeout");
        assert_eq!(broken(|c| c.database_lock_timeout = Duration::ZERO), "--database-lock-timeout");
        assert_eq!(
            broken(|c| c.database_idle_transaction_timeout = Duration::ZERO),
            "--database-idle-transaction-timeout"
        );
    }
}
