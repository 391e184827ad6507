//! HTTP/2 by hand: a client that says what it likes.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of the PING that asks whether all that was sent before has been read.
const MARK: [u8; 8] = *b"so far??";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a call, in HPACK without compression.
pub fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    literal(&mut block, ":path", path);
    literal(&mut block, ":authority", "localhost");
    literal(&mut block, "content-type", "application/grpc");
    literal(&mut block, "te", "trailers");
    for (name, value) in more {
        literal(&mut block, name, value);
    }
    block
}

fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            block.push(u8::try_from(length).unwrap());
        } else {
            block.push(127);
            length -= 127;
            while length >= 128 {
                block.push(u8::try_from(length % 128).unwrap() | 128);
                length /= 128;
            }
            block.push(u8::try_from(length).unwrap());
        }
        block.extend(text.as_bytes());
    }
}

/// What the server said until it hung up, or until it had read everything.
#[derive(Debug, Default)]
pub struct Said {
    /// The error code of the GOAWAY.
    pub goaway: Option<u32>,
    /// Streams that were reset, by error code.
    pub resets: HashMap<u32, usize>,
    pub headers: usize,
    pub hung_up: bool,
}

/// One connection.
pub struct Client {
    writer: OwnedWriteHalf,
    listening: JoinHandle<Said>,
    greeted: Option<oneshot::Receiver<()>>,
}

impl Client {
    /// Connects, and says the preface.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_for(address, usize::MAX).await
    }

    /// As [`Client::connect`], and listens no longer than until so many streams have been answered or reset.
    pub async fn connect_for(address: SocketAddr, answers: usize) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        let (greet, greeted) = oneshot::channel();
        let mut client =
            Self { writer, listening: tokio::spawn(listen(reader, greet, answers)), greeted: Some(greeted) };
        client.send(MAGIC).await;
        client.send(&frame(SETTINGS, 0, 0, &[])).await;
        client
    }

    /// Whether the server answers the preface, and does not hang up.
    pub async fn is_greeted(&mut self) -> bool {
        self.greeted.take().unwrap().await.is_ok()
    }

    /// Sends, unless the server has hung up.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.writer.write_all(bytes).await.is_ok()
    }

    /// Sends many times, until the server hangs up.
    pub async fn flood(&mut self, times: u32, mut bytes: impl FnMut(u32) -> Vec<u8>) {
        let mut buffer = Vec::new();
        for round in 0..times {
            buffer.extend(bytes(round));
            if buffer.len() > 16 * 1024 || round + 1 == times {
                if !self.send(&buffer).await {
                    return;
                }
                buffer.clear();
            }
        }
    }

    /// What the server has said once it has read everything, or hung up.
    pub async fn said(mut self) -> Said {
        self.send(&frame(PING, 0, 0, &MARK)).await;
        self.listening.await.unwrap()
    }

    /// What the server says until it hangs up, or has answered as often as was to be listened for.
    pub async fn said_to_the_end(self) -> Said {
        self.listening.await.unwrap()
    }
}

/// Stream of a flood's round.
pub fn stream(round: u32) -> u32 {
    round * 2 + 1
}

async fn listen(mut reader: OwnedReadHalf, greet: oneshot::Sender<()>, answers: usize) -> Said {
    let mut said = Said::default();
    let mut greet = Some(greet);
    while said.headers + said.resets.values().sum::<usize>() < answers {
        let Some((kind, flags, payload)) = read(&mut reader).await else {
            said.hung_up = true;
            return said;
        };
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match kind {
            SETTINGS => {
                if let Some(greet) = greet.take() {
                    let _ = greet.send(());
                }
            }
            HEADERS => said.headers += 1,
            RST_STREAM => *said.resets.entry(code(0)).or_default() += 1,
            GOAWAY => said.goaway = Some(code(4)),
            PING if flags & ACK != 0 && payload == MARK => return said,
            _ => {}
        }
    }
    said
}

async fn read(reader: &mut OwnedReadHalf) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}
