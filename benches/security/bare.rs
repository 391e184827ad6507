//! A listener that does with a crowd what any must: accept, and hang up on whom it has no place for. What the crowd costs the
//! checks of a program that it does not come to is the machine's part of what it costs those of the program it comes to.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Result;

/// As many connections of one address, and as long before a preface, as the program's defaults allow.
const PLACES: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens, says where, and goes on until it is killed.
pub async fn listen() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let (mut stream, _) = listener.accept().await?;
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(PATIENCE, stream.read_exact(&mut [0; 33])).await;
                drop((stream, place));
            });
        }
    }
}

/// Such a listener, in a process of its own.
pub struct Bare {
    process: Child,
    pub address: String,
}

impl Bare {
    pub fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg("listen").stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        let out = process.stdout.take().ok_or("no standard output")?;
        BufReader::new(out).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
