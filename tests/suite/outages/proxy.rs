//! Stands between the service and PostgreSQL, and does what networks do.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The COMMIT does not arrive.
    Before,
    /// It arrives and is carried out, and the answer is lost.
    After,
}

#[derive(Default)]
struct State {
    /// How many COMMITs go by before one is cut, and how it is; 0: none is.
    commits_left: AtomicUsize,
    before: AtomicBool,
    /// Only the COMMIT of a transaction that has said this counts.
    about: Mutex<String>,
    /// How many were cut.
    cut: AtomicUsize,
    /// What is open now neither ends nor says another word; counts up each time.
    vanished: AtomicUsize,
    /// Whether what is opened now is like that from the start.
    gone: AtomicBool,
}

pub struct Proxy {
    state: Arc<State>,
    port: u16,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State::default());
        let own_port = listener.local_addr().unwrap().port();
        let all = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, port, Arc::clone(&all)));
            }
        });
        Self { state, port: own_port, accepting }
    }

    /// A URL that leads through here; what is said must be readable.
    pub fn url(&self, direct: &str, port: u16) -> String {
        format!("{}?sslmode=disable", direct.replace(&format!(":{port}/"), &format!(":{}/", self.port)))
    }

    /// Cuts the connection at the COMMIT that comes after so many others.
    pub fn arm(&self, after: usize, cut: Cut) {
        self.state.before.store(cut == Cut::Before, Ordering::SeqCst);
        self.state.commits_left.store(after + 1, Ordering::SeqCst);
    }

    /// Cuts the connection at the next COMMIT of a transaction that says this.
    pub fn arm_about(&self, text: &str, cut: Cut) {
        text.clone_into(&mut self.state.about.lock().unwrap());
        self.arm(0, cut);
    }

    /// How many connections were cut.
    pub fn cut(&self) -> usize {
        self.state.cut.load(Ordering::SeqCst)
    }

    /// From now on nothing gets through, and nobody is told.
    pub fn vanish(&self) {
        self.state.gone.store(true, Ordering::SeqCst);
        self.state.vanished.fetch_add(1, Ordering::SeqCst);
    }

    /// New connections get through. Those from before stay as they are.
    pub fn come_back(&self) {
        self.state.gone.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn is_about(&self, body: &[u8]) -> bool {
        let about = self.about.lock().unwrap();
        about.is_empty() || body.windows(about.len()).any(|text| text == about.as_bytes())
    }

    /// Whether this COMMIT is the one to cut.
    fn hits(&self) -> bool {
        let left = |left: usize| left.checked_sub(1);
        self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) == Ok(1)
    }
}

async fn carry(mut client: TcpStream, port: u16, state: Arc<State>) {
    let born = state.vanished.load(Ordering::SeqCst);
    if state.gone.load(Ordering::SeqCst) {
        swallow(&mut client).await;
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = Arc::new(AtomicBool::new(false));
    let mut back = tokio::spawn(answers(from_server, to_client, Arc::clone(&state), born, Arc::clone(&cut)));
    tokio::select! {
        _ = requests(from_client, to_server, &state, born, &cut) => back.abort(),
        _ = &mut back => {}
    }
}

/// Reads and says nothing, until the other side gives up.
async fn swallow(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

/// What the client says, message by message.
async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    state: &State,
    born: usize,
    cut: &AtomicBool,
) -> io::Result<()> {
    // The first message has no kind.
    let mut kind = 0;
    let mut said = false;
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        if state.vanished.load(Ordering::SeqCst) == born {
            let commit = kind == b'Q' && body.starts_with(b"COMMIT");
            said = said || state.is_about(&body);
            let hit = commit && said && state.hits();
            said = said && !commit;
            if hit && state.before.load(Ordering::SeqCst) {
                state.cut.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            cut.store(hit, Ordering::SeqCst);
            let mut message = if kind == 0 { Vec::new() } else { vec![kind] };
            message.extend(length.to_be_bytes());
            message.extend(&body);
            server.write_all(&message).await?;
            if hit {
                // The answer ends the connection.
                std::future::pending::<()>().await;
            }
        }
        kind = client.read_u8().await?;
    }
}

/// What the server says, as it comes.
async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    state: Arc<State>,
    born: usize,
    cut: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        if cut.load(Ordering::SeqCst) {
            state.cut.fetch_add(1, Ordering::SeqCst);
            client.shutdown().await?;
            return Ok(());
        }
        if state.vanished.load(Ordering::SeqCst) != born {
            if length == 0 {
                // Nobody hears of it.
                std::future::pending::<()>().await;
            }
            continue;
        }
        if length == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..length]).await?;
    }
}
