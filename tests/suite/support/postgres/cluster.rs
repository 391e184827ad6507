//! One PostgreSQL server: started, stopped, killed, frozen, and started again on the same data and port.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::daemon::{Home, free_port};
use super::{beside, sql};

const PROGRAMS: &str = "/usr/lib/postgresql";
/// Of the superuser, `postgres`, and of `rolecall`, which owns the databases of the tests and is nothing else.
pub const PASSWORD: &str = "kettle";

/// Settings for a server whose data is not meant to survive the machine. It still survives the server.
pub const FAST: [(&str, &str); 4] =
    [("fsync", "off"), ("full_page_writes", "off"), ("wal_level", "minimal"), ("max_wal_senders", "0")];

pub struct Cluster {
    home: Home,
    port: u16,
    settings: Vec<(String, String)>,
    process: Option<Child>,
}

impl Cluster {
    /// A new server with these settings besides those that all have. Every database that is created on it has what
    /// [`crate::support::Database`] needs.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let home = Home::make("rolecall-postgres-", "data/postmaster.pid", "-QUIT");
        let password = home.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut initdb = home.command(&program("initdb"));
        // A collation that sorts otherwise than by bytes, as many a server has.
        initdb.args(["--locale=C.UTF-8", "--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"]);
        // The password goes over in the clear: to derive a key of it takes the client longer than all else.
        initdb.args(["--no-sync", "--auth=password", "--username=postgres", "--pwfile"]);
        initdb.arg(&password).arg("--pgdata").arg(home.path().join("data"));
        home.run(initdb);
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut cluster = Self { home, port: free_port(), settings, process: None };
        cluster.resume();
        cluster.run("template1", sql::HELPERS);
        cluster.run("postgres", &format!("CREATE ROLE rolecall LOGIN PASSWORD '{PASSWORD}'"));
        cluster
    }

    /// Starts it again, after [`Cluster::stop`] or [`Cluster::kill`].
    pub fn resume(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let data = self.data();
        let mut postgres = self.home.command(&program("postgres"));
        postgres.current_dir(&data).arg("-D").arg(&data);
        let own = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.home.path().display().to_string()),
            ("max_connections", "500".to_owned()),
            // In the data folder, which goes as a whole.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            // By which the tests know what was written first.
            ("track_commit_timestamp", "on".to_owned()),
        ];
        let own = own.iter().map(|(name, value)| format!("{name}={value}"));
        for setting in own.chain(self.settings.iter().map(|(name, value)| format!("{name}={value}"))) {
            postgres.args(["-c", &setting]);
        }
        self.process = Some(self.home.launch(postgres));
    }

    /// Stops it in good order, its clients' connections too.
    pub fn stop(&mut self) {
        kill_process(self.postmaster(), Signal::INT).unwrap();
        let status = self.process.take().unwrap().wait().unwrap();
        assert!(status.success(), "{status}");
    }

    /// SIGKILL, to all of it.
    pub fn kill(&mut self) {
        kill_process(self.postmaster(), Signal::KILL).unwrap();
        self.process.take().unwrap().wait().unwrap();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for process in left {
                // It may have noticed by itself.
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }

    /// SIGSTOP, to all of it: connections stay, and nothing answers.
    pub fn freeze(&self) {
        kill_process(self.postmaster(), Signal::STOP).unwrap();
        // A signal takes a while to get through, and meanwhile it may start one more.
        while self.states().iter().any(|state| *state != 'T') {
            for process in self.processes() {
                // One of them may have come to its end.
                let _ = kill_process(process, Signal::STOP);
            }
        }
    }

    /// SIGCONT, to all of it.
    pub fn thaw(&self) {
        for process in self.processes() {
            kill_process(process, Signal::CONT).unwrap();
        }
    }

    /// The URL of a database, as the service is given it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://rolecall:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database for the superuser.
    pub fn superuser_url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.log()).unwrap()
    }

    /// An empty database that belongs to the service's user.
    pub fn create_database(&self, name: &str) {
        self.run("postgres", &format!("CREATE DATABASE {name} OWNER rolecall"));
    }

    /// Runs statements as the superuser.
    pub fn run(&self, database: &str, sql: &str) {
        let (url, text) = (self.superuser_url(database), sql.to_owned());
        beside(async move { run(&url, &text).await }).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The state of each of its processes, in the letters of `ps`.
    pub fn states(&self) -> Vec<char> {
        let state = |process: &Pid| {
            let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
            status.lines().find_map(|line| line.strip_prefix("State:"))?.trim().chars().next()
        };
        self.processes().iter().filter_map(state).collect()
    }

    fn postmaster(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("it does not run"))
    }

    /// All that runs of it: whatever runs in its data.
    fn processes(&self) -> Vec<Pid> {
        let data = self.data();
        let of = |entry: fs::DirEntry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            (fs::read_link(entry.path().join("cwd")).ok()? == data).then(|| Pid::from_raw(id).unwrap())
        };
        fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.ok()?)).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The keeper stops the server when its end of the pipe closes; until somebody has waited for it, it is there.
        if let Some(mut process) = self.process.take() {
            std::thread::spawn(move || process.wait());
        }
    }
}

/// Runs statements on one connection.
pub(super) async fn run(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// One of PostgreSQL's own programs, of the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir(PROGRAMS).into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin").join(name)))
    });
    let found = versions.filter(|(_, path)| path.exists()).max();
    let missing =
        || panic!("PostgreSQL is missing in {PROGRAMS}: scripts/test installs it (Debian's package postgresql)");
    found.map_or_else(missing, |(_, path)| path)
}
