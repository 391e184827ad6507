//! One connection, as it is handed to tonic.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::config::LimitConfig;

use super::frames::{FRAME_HEADER, FrameMeter};
use super::places::Place;

/// What every HTTP/2 client says first, and the frame that must follow (RFC 9113, section 3.4).
const MAGIC: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE: usize = MAGIC.len() + FRAME_HEADER;
const SETTINGS: u8 = 4;

/// What carries the bytes.
pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection whose client has said that it speaks HTTP/2.
pub struct Connection {
    io: Io,
    /// The preface, and how much of it hyper has had.
    preface: [u8; PREFACE],
    given: usize,
    meter: FrameMeter,
    info: TcpConnectInfo,
    /// Completes when the connection must be no more, whatever it is doing.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
    _place: Place,
}

impl Connection {
    /// Waits for the preface.
    pub async fn open(
        mut io: Io,
        (local, remote): (SocketAddr, SocketAddr),
        place: Place,
        limits: &LimitConfig,
        end: CancellationToken,
    ) -> io::Result<Self> {
        let mut preface = [0; PREFACE];
        io.read_exact(&mut preface).await?;
        if !is_preface(&preface) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak HTTP/2"));
        }
        let mut meter = FrameMeter::new(limits.max_idle_frames, Instant::now());
        let _ = meter.allows(&preface[MAGIC.len()..], Instant::now());
        let life = limits.max_connection_age.saturating_add(limits.max_connection_age_grace);
        let end = async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = tokio::time::sleep(life) => {}
            }
        };
        let info = TcpConnectInfo { local_addr: Some(local), remote_addr: Some(remote) };
        Ok(Self { io, preface, given: 0, meter, info, end: Box::pin(end), over: false, _place: place })
    }

    /// Fails once the connection must be no more. Looked at by every operation, so that whichever it is that hyper waits
    /// for wakes up.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.over || self.end.as_mut().poll(cx).is_ready() {
            self.over = true;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection has had its time"));
        }
        Ok(())
    }
}

fn is_preface(bytes: &[u8; PREFACE]) -> bool {
    let (magic, frame) = bytes.split_at(MAGIC.len());
    magic == MAGIC && frame[3] == SETTINGS
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        let rest = &this.preface[this.given..];
        if rest.is_empty() {
            let before = buf.filled().len();
            let read = Pin::new(&mut this.io).poll_read(cx, buf)?;
            if read.is_ready() && !this.meter.allows(&buf.filled()[before..], Instant::now()) {
                this.over = true;
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "too many frames that carry nothing",
                )));
            }
            return read.map(Ok);
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        this.given += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
