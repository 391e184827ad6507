//! PgBouncer in session mode before a server: a client keeps a connection to the server for as long as it stays.

use std::fs;
use std::path::Path;
use std::process::Child;

use super::cluster::{Cluster, PASSWORD};
use super::daemon::{Home, free_port};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

pub struct PgBouncer {
    port: u16,
    _home: Home,
    _process: Child,
}

impl PgBouncer {
    pub fn start(cluster: &Cluster) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "PgBouncer is missing: scripts/test installs it (Debian's package pgbouncer)"
        );
        let home = Home::make("rolecall-pgbouncer-", "pid", "-TERM");
        let at = |name: &str| home.path().join(name);
        let port = free_port();
        fs::write(at("users"), format!("\"rolecall\" \"{PASSWORD}\"\n")).unwrap();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npidfile = {}\npool_mode = session\n\
             max_client_conn = 900\ndefault_pool_size = 200\n",
            cluster.port(),
            at("users").display(),
            at("pid").display(),
        );
        fs::write(at("ini"), configuration).unwrap();
        let mut pgbouncer = home.command(Path::new(PROGRAM));
        pgbouncer.arg(at("ini"));
        let process = home.launch(pgbouncer);
        Self { port, _home: home, _process: process }
    }

    /// The URL of a database behind it, as the service is given it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://rolecall:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }
}
