//! A program of the tests' own that serves until it is stopped, and is gone when the test process is, however that ends.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Whom PostgreSQL and PgBouncer run as where the tests run as root: neither does so itself.
const USER: &str = "postgres";
/// The slowest start that is not a hang.
const START: Duration = Duration::from_secs(60);

/// Reads until the test process is gone, then stops what serves in this folder and removes the folder. What was frozen
/// is thawed first, and what a killed PostgreSQL left in the system's shared memory goes too.
const KEEPER: &str = r#"
folder=$1 file=$2 signal=$3
cat >/dev/null
pid=$(head -n 1 "$file" 2>/dev/null)
serves() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "${file%/*}" ]; }
if serves; then
  kill -CONT $(cat "/proc/$pid/task/$pid/children") "$pid"
  kill "$signal" "$pid"
  while serves; do sleep 0.02; done
fi
shared=$(sed -n 7p "$file" 2>/dev/null | awk '{ print $2 }')
[ -z "$shared" ] || ipcrm -m "$shared"
rm -rf "$folder"
"#;

/// A temporary folder that belongs to whom the program in it runs as.
pub struct Home {
    path: PathBuf,
    /// Closed, by whatever ends this process, it makes the keeper clean up.
    stay: Option<ChildStdin>,
    keeper: Child,
}

impl Home {
    /// `pid_file`: where the program writes its process id, in the folder in which it runs. `signal` ends it at once.
    pub fn make(name: &str, pid_file: &str, signal: &str) -> Self {
        let path = tempfile::Builder::new().prefix(name).tempdir().unwrap().keep();
        if let Some((user, group)) = other_user() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([&path, &path.join(pid_file)])
            .arg(signal)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { path, stay: keeper.stdin.take(), keeper }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// A command that runs as the other user where that is needed, with nothing of this environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C.UTF-8").current_dir(&self.path).stdin(Stdio::null());
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }

    fn log_to_append(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log()).unwrap()
    }

    /// Runs a command to its end, which has to be a good one.
    pub fn run(&self, mut command: Command) {
        let (out, err) = (self.log_to_append(), self.log_to_append());
        let status = command.stdout(out).stderr(err).status().unwrap();
        assert!(status.success(), "{command:?}: {status}\n{}", fs::read_to_string(self.log()).unwrap());
    }

    /// Starts a server and waits until it says that it is ready, as it would to systemd.
    pub fn launch(&self, mut command: Command) -> Child {
        let socket = self.path.join("ready");
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        let ready = UnixDatagram::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
        ready.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (out, err) = (self.log_to_append(), self.log_to_append());
        // In a group of its own: what interrupts the tests at a terminal is for the keeper to handle.
        command.env("NOTIFY_SOCKET", &socket).stdout(out).stderr(err).process_group(0);
        let mut process = command.spawn().unwrap();
        let began = Instant::now();
        let mut message = [0; 1024];
        loop {
            if let Ok(length) = ready.recv(&mut message)
                && message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
            {
                return process;
            }
            let ended = process.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < START,
                "{command:?} does not start ({ended:?})\n{}",
                fs::read_to_string(self.log()).unwrap()
            );
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.stay.take());
        let _ = self.keeper.wait();
    }
}

/// User and group of those who may not be root, if this is root.
fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.split(':').next() == Some(USER));
    let line =
        line.unwrap_or_else(|| panic!("there is no user {USER}: scripts/test installs PostgreSQL, which has one"));
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}

/// A port that nobody listens on. It is below those that the system gives to whoever connects, so that nobody has it
/// either while its server is down.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const MANY: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(MANY)).unwrap();
    (0..MANY)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::SeqCst) % MANY) % MANY)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no port is free")
}
