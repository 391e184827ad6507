//! PgBouncer before a server. By session: a client keeps a connection to the server for as long as it stays. With another
//! PgBouncer, 1.21 or later, in `ROLECALL_TEST_PGBOUNCER` (Debian 12 has none) by transaction: a client is given a
//! connection for each.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Child;

use super::cluster::{Cluster, PASSWORD};
use super::daemon::{Home, free_port};

/// Debian's.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// The program, and what it is told about pooling.
fn program() -> (PathBuf, &'static str) {
    match env::var_os("ROLECALL_TEST_PGBOUNCER") {
        Some(program) => (PathBuf::from(program), "pool_mode = transaction\nmax_prepared_statements = 200"),
        None => (PathBuf::from(PROGRAM), "pool_mode = session"),
    }
}

pub struct PgBouncer {
    port: u16,
    _home: Home,
    _process: Child,
}

impl PgBouncer {
    pub fn start(cluster: &Cluster) -> Self {
        let (program, pooling) = program();
        assert!(program.exists(), "PgBouncer is missing: scripts/test installs it (Debian's package pgbouncer)");
        let home = Home::make("rolecall-pgbouncer-", "pid", "-TERM");
        let at = |name: &str| home.path().join(name);
        let port = free_port();
        fs::write(at("users"), format!("\"rolecall\" \"{PASSWORD}\"\n")).unwrap();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npidfile = {}\n{pooling}\n\
             max_client_conn = 900\ndefault_pool_size = 200\n",
            cluster.port(),
            at("users").display(),
            at("pid").display(),
        );
        fs::write(at("ini"), configuration).unwrap();
        let mut pgbouncer = home.command(&program);
        pgbouncer.arg(at("ini"));
        let process = home.launch(pgbouncer);
        Self { port, _home: home, _process: process }
    }

    /// The URL of a database behind it, as the service is given it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://rolecall:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }
}
