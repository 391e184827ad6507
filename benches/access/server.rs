//! Processes that serve: the release program, and the echo.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolecall");

pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn echo() -> Result<Self> {
        Self::echo_with(&[])
    }

    /// The echo, with a password to check before each answer.
    pub fn hashing_echo() -> Result<Self> {
        Self::echo_with(&["hashing"])
    }

    /// The echo, with a session to read before each answer.
    pub fn reading_echo(url: &str, sessions: u64) -> Result<Self> {
        Self::echo_with(&["reading", url, &sessions.to_string()])
    }

    fn echo_with(work: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").args(work);
        Self::spawn(command)
    }

    pub fn rolecall(url: &str, mail: &Path, more: &[&str]) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        let mail = format!("file:{}", mail.display());
        command.args(["serve", "--database-url", url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"]);
        command.args(["--trusted-peers", "127.0.0.1/32"]).args(more).env_clear();
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").ok_or(format!("it said {line:?}"))?.to_owned();
        Ok(Self { child, address })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Runs a command of the program to its end and answers what it printed.
pub fn run(url: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).args(["--database-url", url]).env_clear().stdin(Stdio::null());
    let done = command.output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}
