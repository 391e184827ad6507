//! Where connections come in.
//!
//! tonic serves what it is handed, and it is handed only connections that have proven to be one: the TLS handshake is
//! over and the HTTP/2 preface is here, both within `--handshake-timeout`. A client that never gets that far costs a
//! place for that long and holds up nothing, the end of the process least of all (hyper waits for such a connection for
//! ever, its issue 4170).
//!
//! Every connection has a [`Place`], counted in all and for its address, from accept to close. It can be ended from here
//! whatever the client does and whatever hyper waits for: at its greatest age, and when the grace after SIGTERM is over.
//!
//! From an address whose requests are malformed, again and again, less is read ([`conduct`]).
//!
//! When files run out, accepting pauses instead of spinning.

mod conduct;
mod connection;
mod frames;
mod places;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{GrpcConfig, LimitConfig};

use connection::Io;
pub use connection::{Connection, Origin};
use places::{Full, Place, Places};
pub use tls::Tls;

/// Connections that are ready and that tonic has not taken yet.
const READY: usize = 64;
/// The pauses after accepting has failed.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Keep-alive probes without an answer before the kernel gives a connection up.
const KEEPALIVE_PROBES: u32 = 3;

/// The open port, with all that connections to it are held to.
pub struct Listener {
    socket: TcpListener,
    tls: Option<Tls>,
    limits: LimitConfig,
    places: Places,
}

impl Listener {
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(config: &GrpcConfig, tls: Option<Tls>) -> io::Result<Self> {
        let socket = TcpListener::bind(config.grpc_listen).await?;
        let limits = config.limits.clone();
        let places = Places::new(
            limits.most_connections(),
            limits.max_connections_per_address,
            limits.max_malformed_requests,
            config.trusted_peers.clone(),
        );
        Ok(Self { socket, tls, limits, places })
    }

    /// # Errors
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The connections that are ready to be served. Dropped, it closes the port and what is not ready; `end` ends those
    /// that are.
    pub fn connections(self, end: CancellationToken) -> impl Stream<Item = Result<Connection, Infallible>> {
        let (ready, mut waiting) = mpsc::channel(READY);
        tokio::spawn(accept(self, ready, end));
        futures_util::stream::poll_fn(move |cx| waiting.poll_recv(cx).map(|connection| connection.map(Ok)))
    }
}

/// Accepts until nobody takes the connections any more.
async fn accept(listener: Listener, ready: mpsc::Sender<Connection>, end: CancellationToken) {
    let Listener { socket, tls, limits, places } = listener;
    let limits = Arc::new(limits);
    let reload = tls.clone().map(|tls| tokio::spawn(async move { tls.keep_current().await }));
    // Dropped at the end, and with it all that is not ready.
    let mut handshakes = JoinSet::new();
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = ready.closed() => break,
        };
        // Done ones are let go, or they would pile up.
        while handshakes.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                trouble.over();
                match places.take(peer.ip()) {
                    Ok(place) => {
                        let handshake = Handshake {
                            stream,
                            peer,
                            place,
                            tls: tls.clone(),
                            limits: Arc::clone(&limits),
                            end: end.clone(),
                        };
                        handshakes.spawn(handshake.shake(ready.clone()));
                    }
                    Err(full) => note_full(full),
                }
                // However many come at once, calls go on in between.
                yield_now().await;
            }
            Err(error) if concerns_one(&error) => {}
            Err(error) => {
                let pause = trouble.pause(&error);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = ready.closed() => break,
                }
            }
        }
    }
    if let Some(reload) = reload {
        reload.abort();
    }
}

/// A connection that has yet to prove that it is one.
struct Handshake {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    tls: Option<Tls>,
    limits: Arc<LimitConfig>,
    end: CancellationToken,
}

impl Handshake {
    async fn shake(self, ready: mpsc::Sender<Connection>) {
        let peer = self.peer;
        match timeout(self.limits.handshake_timeout, self.connection()).await {
            Ok(Ok(connection)) => {
                let _ = ready.send(connection).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection came to nothing"),
            Err(_) => tracing::debug!(%peer, "a connection took too long to say what it wants"),
        }
    }

    async fn connection(self) -> io::Result<Connection> {
        set_options(&self.stream, &self.limits)?;
        let io = match self.tls {
            Some(tls) => Io::Tls(Box::new(tls.accept(self.stream).await?)),
            None => Io::Plain(self.stream),
        };
        Connection::open(io, self.peer, self.place, &self.limits, self.end).await
    }
}

fn set_options(stream: &TcpStream, limits: &LimitConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    // The kernel counts in seconds.
    let second = Duration::from_secs(1);
    sockopt::set_tcp_keepidle(stream, limits.keepalive_interval.max(second))?;
    sockopt::set_tcp_keepintvl(stream, (limits.keepalive_timeout / KEEPALIVE_PROBES).max(second))?;
    Ok(sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?)
}

fn note_full(full: Full) {
    if let Some(times) = full.times_to_tell {
        tracing::warn!(times, "connections were closed at once: {}", full.limit);
    }
}

/// Whether an error of accept is about the connection that would have been accepted, and the next may be good. Anything
/// else, above all that files have run out, would come again at once.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Accepting fails and fails.
#[derive(Default)]
struct Trouble {
    failures: u32,
}

impl Trouble {
    /// How long to wait before the next try: twice as long each time.
    fn pause(&mut self, error: &io::Error) -> Duration {
        if self.failures == 0 {
            tracing::error!(%error, "no connection can be accepted");
        }
        let pause = SHORTEST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    fn over(&mut self) {
        if self.failures > 0 {
            tracing::warn!(failures = self.failures, "connections are accepted again");
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_failing_accept_grow_to_a_second_and_start_anew() {
        let mut trouble = Trouble::default();
        let full = io::Error::from_raw_os_error(24);
        assert!(!concerns_one(&full));
        let pauses: Vec<_> = (0..9).map(|_| trouble.pause(&full).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        trouble.over();
        assert_eq!(trouble.pause(&full), SHORTEST_PAUSE);
    }
}
