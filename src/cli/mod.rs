//! The command line: one file a command.
//!
//! Exit status: 0 done, 1 failed (one clear line on standard error), 2 wrong use.

mod bootstrap;
mod demo;
mod health;
mod lifecycle;
mod migrate;
mod serve;
mod service_key;
mod telemetry;
mod workspaces;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::ConfigError;
use crate::store::OpenError;

/// People and what they may do: workspaces, roles, invitations, sessions and immediate revocation over gRPC.
#[derive(Parser)]
#[command(name = "rolecall", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    log: telemetry::LogConfig,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service
    Serve(Box<serve::Serve>),
    /// Create a workspace and print the set-up link of its first Owner
    Bootstrap(bootstrap::Bootstrap),
    /// Invite an Owner to a workspace that exists and print the set-up link
    InviteOwner(bootstrap::InviteOwner),
    /// List the workspaces with their ids
    Workspaces(workspaces::Workspaces),
    /// Make, list and revoke the credentials of other services
    #[command(subcommand)]
    ServiceKey(service_key::ServiceKeyCommand),
    /// Bring the database's schema up to date
    Migrate(migrate::Migrate),
    /// Ask a running server whether it serves; exit status 0 if so
    Health(health::Health),
    /// Run the service on a throw-away database with people in it, and print calls to try
    Demo(demo::Demo),
}

/// Why a command did not do what it was asked to.
pub(crate) enum Failure {
    /// It was asked wrongly: exit status 2.
    Usage(String),
    /// It failed: exit status 1.
    Failed(String),
}

type Outcome = Result<(), Failure>;

/// The commands and flags, as clap knows them.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two at least: checks read SQLite on the spot, and while one waits for the disk the rest goes on.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(Failure::Failed(format!("the runtime cannot be started: {error}"))),
    };
    if let Err(error) = cli.log.start() {
        return report(Failure::Usage(error.to_string()));
    }
    let outcome = runtime.block_on(run(cli.command));
    // What blocks a thread (looking up the name of a mail server, say) does not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(failure),
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Bootstrap(bootstrap) => bootstrap.run().await,
        Command::InviteOwner(invite) => invite.run().await,
        Command::Workspaces(workspaces) => workspaces.run().await,
        Command::ServiceKey(command) => command.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Health(health) => health.run().await,
        Command::Demo(demo) => demo.run().await,
    }
}

fn report(failure: Failure) -> ExitCode {
    let (text, status) = match failure {
        Failure::Usage(text) => (text, 2),
        Failure::Failed(text) => (text, 1),
    };
    let line = text.replace(['\n', '\r'], " ");
    eprintln!("rolecall: {line}");
    ExitCode::from(status)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        // At the command line the cause is the operator's to see.
        match error.cause() {
            Some(cause) => Self::Failed(format!("{error} ({cause})")),
            None => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
