//! The release program, run as its operator would run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolecall");
/// Names another program to measure, such as that of an earlier release.
const ANOTHER: &str = "ROLECALL_BENCH_PROGRAM";

pub fn size_in_mib() -> Result<f64> {
    Ok(std::fs::metadata(program())?.len() as f64 / 1024.0 / 1024.0)
}

fn program() -> PathBuf {
    std::env::var_os(ANOTHER).map_or_else(|| PROGRAM.into(), PathBuf::from)
}

/// A running server with its database in a folder.
pub struct Program {
    child: Child,
    folder: PathBuf,
    pub address: String,
    pub start_time: Duration,
}

impl Program {
    /// Starts `serve` with the defaults, its log included, and waits until it listens.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    /// As [`Program::start`], with more flags.
    pub fn start_with(folder: &Path, more: &[&str]) -> Result<Self> {
        let mail = format!("file:{}", folder.join("mail").display());
        let mut command = command(folder, &["serve", "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"]);
        command.args(more);
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(out).read_line(&mut line)?;
        let start_time = start.elapsed();
        let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let program = Self { child, folder: folder.to_owned(), address: address.unwrap_or_default(), start_time };
        if program.address.is_empty() { Err(format!("it said {line:?}").into()) } else { Ok(program) }
    }

    /// Runs another command on the same database to its end and answers what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let done = command(&self.folder, arguments).output()?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
        }
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Founds a workspace. Answers its id and the token of its Owner's link.
    pub fn bootstrap(&self, workspace: &str, owner: &str) -> Result<(String, String)> {
        let printed = self.run(&["bootstrap", "--workspace", workspace, "--owner", owner, "--json"])?;
        let made: serde_json::Value = serde_json::from_str(&printed)?;
        let text = |key: &str| made[key].as_str().map(str::to_owned).ok_or("bootstrap printed something else");
        Ok((text("workspace_id")?, text("invitation_token")?))
    }

    /// The token in the e-mail to this address, once it is there.
    pub fn mailed_token(&self, address: &str) -> Result<Option<String>> {
        let Ok(mails) = std::fs::read_dir(self.folder.join("mail")) else { return Ok(None) };
        for mail in mails {
            let path = mail?.path();
            if path.extension().is_none_or(|extension| extension != "eml") {
                continue;
            }
            let text = std::fs::read_to_string(path)?;
            if text.lines().any(|line| line == format!("To: {address}"))
                && let Some(start) = text.find("rci_")
            {
                let is_token = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                return Ok(Some(text[start..].chars().take_while(is_token).collect()));
            }
        }
        Ok(None)
    }

    pub fn resident_mib(&self) -> Result<f64> {
        self.mib("VmRSS:")
    }

    /// The most that it has had so far.
    pub fn peak_mib(&self) -> Result<f64> {
        self.mib("VmHWM:")
    }

    fn mib(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program on the database in `folder`, with nothing of the environment.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).arg(format!("--database-url=sqlite://{}", folder.join("rolecall.db").display()));
    command.env_clear().stdin(Stdio::null());
    command
}
