//! One connection, as it is handed to tonic.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::config::LimitConfig;

use super::conduct::{self, Conduct};
use super::frames::{FRAME_HEADER, FrameMeter, Rebuked, Rebukes};
use super::places::Place;

/// What every HTTP/2 client says first, and the frame that must follow (RFC 9113, section 3.4).
const MAGIC: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE: usize = MAGIC.len() + FRAME_HEADER;
const SETTINGS: u8 = 4;
/// Bytes that are read one after the other before other connections have their turn: hyper takes what there is for as long
/// as there is more.
const READ_AT_ONCE: usize = 16 * 1024;
/// Bytes that are read from a connection that has waited, whatever is held against its address by then.
const READ_AFTER_PAUSE: usize = 1024;

/// What carries the bytes.
pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a call can know of its connection, among the request's extensions.
#[derive(Clone)]
pub struct Origin {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// How that address behaves; none of a trusted peer.
    pub conduct: Option<Arc<Conduct>>,
}

/// A connection whose client has said that it speaks HTTP/2.
pub struct Connection {
    io: Io,
    /// The preface, and how much of it hyper has had.
    preface: [u8; PREFACE],
    given: usize,
    meter: FrameMeter,
    rebukes: Rebukes,
    origin: Origin,
    /// Bytes that were read since others had their turn.
    read: usize,
    /// Until it is over nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
    /// Completes when the connection must be no more, whatever it is doing.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
    _place: Place,
}

impl Connection {
    /// Waits for the preface.
    pub async fn open(
        mut io: Io,
        address: SocketAddr,
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
        Ok(Self {
            io,
            preface,
            given: 0,
            meter,
            rebukes: Rebukes::new(),
            origin: Origin { address, conduct: place.conduct().cloned() },
            read: 0,
            pause: None,
            end: Box::pin(end),
            over: false,
            _place: place,
        })
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

    /// Waits while nothing should be read. Answers how much may be read then: a connection that has waited does not wait
    /// again, for what others of its address did meanwhile, before a little was read from it.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.pause.is_none() {
            let pause = self.origin.conduct.as_ref().and_then(|conduct| conduct.pause(Instant::now()));
            self.pause = pause.map(|pause| Box::pin(tokio::time::sleep(pause)));
        }
        match &mut self.pause {
            Some(pause) if pause.is_elapsed() => Poll::Ready(READ_AFTER_PAUSE),
            Some(pause) => pause.as_mut().poll(cx).map(|()| READ_AFTER_PAUSE),
            None => Poll::Ready(usize::MAX),
        }
    }

    /// Reads what comes after the preface, `most` bytes of it.
    fn poll_read_on(&mut self, cx: &mut Context<'_>, most: usize, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read >= READ_AT_ONCE {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let Poll::Ready(read) = poll_read_most(Pin::new(&mut self.io), cx, most, buf) else {
            self.read = 0;
            return Poll::Pending;
        };
        read?;
        self.pause = None;
        let (now, bytes) = (Instant::now(), &buf.filled()[before..]);
        self.read += bytes.len();
        if !self.meter.allows(bytes, now) {
            self.over = true;
            if let Some(conduct) = &self.origin.conduct {
                conduct.blame(conduct::CLOSED, now);
            }
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "too many frames that carry nothing")));
        }
        Poll::Ready(Ok(()))
    }

    /// Holds against the client what it is told of its mistakes.
    fn note_rebukes<'b>(&mut self, pieces: impl Iterator<Item = &'b [u8]>, mut written: usize) {
        let Some(conduct) = &self.origin.conduct else { return };
        let mut rebuked = Rebuked::default();
        for piece in pieces {
            let sent = written.min(piece.len());
            written -= sent;
            self.rebukes.note(&piece[..sent], &mut rebuked);
        }
        if rebuked != Rebuked::default() {
            let closed = if rebuked.goaway { conduct::CLOSED } else { 0 };
            conduct.blame(rebuked.resets.saturating_add(closed), Instant::now());
        }
    }
}

fn is_preface(bytes: &[u8; PREFACE]) -> bool {
    let (magic, frame) = bytes.split_at(MAGIC.len());
    magic == MAGIC && frame[3] == SETTINGS
}

impl Connected for Connection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.origin.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        let rest = &this.preface[this.given..];
        if rest.is_empty() {
            let most = ready!(this.poll_pause(cx));
            return this.poll_read_on(cx, most, buf);
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
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.note_rebukes(std::iter::once(buf), written);
        Poll::Ready(Ok(written))
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
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        this.note_rebukes(bufs.iter().map(|piece| &piece[..]), written);
        Poll::Ready(Ok(written))
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

/// Reads `most` bytes, or fewer.
fn poll_read_most(io: Pin<&mut Io>, cx: &mut Context<'_>, most: usize, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    if buf.remaining() <= most {
        return io.poll_read(cx, buf);
    }
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(io.poll_read(cx, &mut part))?;
    let read = part.filled().len();
    buf.advance(read);
    Poll::Ready(Ok(()))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::places::Places;
    use super::*;

    #[tokio::test]
    async fn a_connection_is_read_now_and_then_whatever_others_of_its_address_do() {
        const SENT: usize = 3 * READ_AFTER_PAUSE;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        // SETTINGS without any, and DATA with as much as there is.
        client.write_all(&[&MAGIC[..], &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]].concat()).await.unwrap();
        let mut data = vec![0, 0x0b, 0xf7, 0, 0, 0, 0, 0, 1];
        data.resize(SENT, 0);
        client.write_all(&data).await.unwrap();
        let place = Places::new(1, 1, 1, Vec::new()).take(address.ip()).unwrap();
        let conduct = Arc::clone(place.conduct().unwrap());
        let limits = LimitConfig::default();
        let connection = Connection::open(Io::Plain(stream), address, place, &limits, CancellationToken::new());
        let mut connection = connection.await.unwrap();
        let mut preface = [0; PREFACE];
        connection.read_exact(&mut preface).await.unwrap();

        // Others, who have always overdrawn.
        conduct.blame(2, Instant::now());
        let stop = CancellationToken::new();
        let (others, stopped) = (Arc::clone(&conduct), stop.clone());
        let others = std::thread::spawn(move || {
            while !stopped.is_cancelled() {
                if others.pause(Instant::now()).is_none() {
                    others.blame(2, Instant::now());
                }
            }
        });
        let mut read = 0;
        while read < SENT {
            let mut buf = vec![0; 2 * SENT];
            let some = timeout(Duration::from_secs(20), connection.read(&mut buf)).await.unwrap().unwrap();
            assert!((1..=READ_AFTER_PAUSE).contains(&some), "{some}");
            read += some;
        }
        stop.cancel();
        others.join().unwrap();
    }
}
