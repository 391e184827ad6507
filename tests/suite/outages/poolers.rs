//! PgBouncer 1.18, which carries no prepared statements, in each of its modes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use rolecall::model::Role;

use crate::replicas::Server;
use crate::support::{World, ok, rolecall};

struct Pooler {
    process: Process,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Pooler {
    fn start(server: &Server, mode: &str, size: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It reads its files as whom it runs as.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name);
        let direct = server.cluster.url("rolecall");
        let password = direct.split([':', '@']).nth(2).unwrap();
        fs::write(at("users"), format!("\"rolecall\" \"{password}\"\n")).unwrap();
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = {mode}\nmax_client_conn = 300\n\
             default_pool_size = {size}\n",
            server.cluster.port(),
            at("users").display(),
        );
        fs::write(at("ini"), ini).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        let mut process = command.arg(at("ini")).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = process.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(30),
                "PgBouncer does not start: {ended:?}"
            );
        }
        let url = direct.replace(&format!(":{}/", server.cluster.port()), &format!(":{port}/"));
        Self { process, url, _folder: folder }
    }
}

#[tokio::test]
async fn a_pooler_that_hands_out_other_statements_answers_is_refused_at_the_start_and_nothing_is_touched() {
    let server = Server::fast();
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(&server, mode, 5);
        for command in ["serve", "migrate"] {
            let url = pooler.url.clone();
            let mut arguments = vec![command, "--database-url", &url];
            if command == "serve" {
                arguments.extend(["--grpc-listen", "127.0.0.1:0"]);
            }
            let output = rolecall(&arguments).current_dir(std::env::temp_dir()).output().unwrap();
            assert!(!output.status.success(), "{mode}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("pool"), "{mode}, {command}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            eprintln!("{mode}, {command}: {said}");
        }
    }
    let database = crate::support::Database::open(&server.place()).await;
    assert_eq!(database.tables().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_by_session_with_fewer_connections_than_clients_carries_a_burst() {
    let server = Server::fast();
    let pooler = Pooler::start(&server, "session", 30);
    let world = World::start_in(server.place_by(pooler.url.clone())).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let burst = (0..60).map(|number| {
        let caller = world.by(&owner);
        async move { ok(caller.create_invitation(&format!("i{number}@acme.example"), Role::Agent).await) }
    });
    crate::races::at_once(burst.collect()).await;
    let database = world.outside().await;
    assert_eq!(database.number("SELECT count(*) FROM invitation WHERE email LIKE 'i%@%'").await, 60);
    database.assert_whole().await;
}
