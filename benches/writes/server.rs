//! The release program on a database.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;

pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(url: &str, mail: &Path) -> Result<Self> {
        let mail = format!("file:{}", mail.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
        command.args(["serve", "--database-url", url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"]);
        for quota in ["--max-invitations-per-minute", "--max-invitations-per-day", "--max-emails-per-day"] {
            command.args([quota, "0"]);
        }
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").ok_or(format!("it said {line:?}"))?.to_owned();
        Ok(Self { child, address })
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
