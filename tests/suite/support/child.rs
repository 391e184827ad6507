//! The program itself, as a child process on a port of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child as Process, ChildStdout, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::{As, Place};

/// The program with these arguments, with nothing of the environment but what is needed.
pub fn rolecall(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A running server.
pub struct Child {
    process: Process,
    output: BufReader<ChildStdout>,
    pub address: String,
}

impl Child {
    /// Starts `serve` on a database, with mail as files beside it, and waits until it listens.
    pub fn serve(place: &Place, more: &[&str]) -> Self {
        let (url, mail) = (place.url(), format!("file:{}", place.mail().display()));
        let mut arguments =
            vec!["serve", "--database-url", &url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0", "--log", "warn"];
        // Load is what most of these tests are about.
        for quota in ["--max-invitations-per-minute", "--max-invitations-per-day", "--max-emails-per-day"] {
            arguments.extend([quota, "0"]);
        }
        arguments.extend(["--max-resends-per-day", "0", "--min-resend-interval", "0s"]);
        arguments.extend(more);
        Self::spawn(rolecall(&arguments))
    }

    /// Starts a prepared command and waits until it listens.
    pub fn spawn(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { process, output, address: address.to_owned() }
    }

    pub async fn connect(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Clients that send this token, or none.
    pub async fn with_token(&self, token: Option<&str>) -> As {
        As::new(self.connect().await, token.map(str::to_owned))
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM, and the exit status once it has ended. There is none if it does not end within the 20 seconds that it is
    /// given.
    pub fn terminate(self) -> Option<i32> {
        self.finish().0
    }

    /// As [`Child::terminate`], with what it wrote to standard output after its first line.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        let signal = |name: &str| Command::new("kill").args([name, &id]).status().unwrap().success();
        assert!(signal("-TERM"));
        std::thread::scope(|scope| {
            let (ended, end) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                end.recv_timeout(Duration::from_secs(20))
                    .is_err_and(|e| e == RecvTimeoutError::Timeout && signal("-KILL"))
            });
            let mut rest = String::new();
            self.output.read_to_string(&mut rest).unwrap();
            let status = self.process.wait().unwrap();
            drop(ended);
            (status.code(), rest)
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
