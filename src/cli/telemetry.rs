//! Logs: to standard error, as text on a terminal and as JSON otherwise.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise
    Auto,
    Text,
    Json,
}

#[derive(Clone, Debug, clap::Args)]
pub struct LogConfig {
    /// What is logged: off, error, warn, info, debug or trace, also by module ("warn,rolecall=debug")
    #[arg(long, global = true, env = "ROLECALL_LOG", value_name = "FILTER", default_value = "info")]
    log: String,

    /// How it is logged
    #[arg(long, global = true, env = "ROLECALL_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Auto)]
    log_format: LogFormat,
}

/// What other crates say of every statement and connection is no news at any level but their own.
/// Of a line in `.pgpass` that it cannot read the driver would repeat the password.
const QUIET: &str = "sqlx_postgres::options::pgpass=off,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,h2=warn,hyper=warn,hyper_util=warn,tower=warn,rustls=warn";

impl LogConfig {
    pub fn start(&self) -> Result<(), ConfigError> {
        let filter = EnvFilter::builder()
            .parse(format!("{QUIET},{}", self.log))
            .map_err(|_| ConfigError::new("--log", "must be a level or a list of module=level"))?;
        let json = match self.log_format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if json {
            subscriber.json().flatten_event(true).init();
        } else {
            subscriber.with_ansi(std::io::stderr().is_terminal()).init();
        }
        Ok(())
    }
}
