//! A primary that dies while a synchronous stand-by follows it, and the stand-by promoted.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::SHORT;
use super::probe::{Probe, settle_on};
use crate::faults::scene::Scene;
use crate::replicas::Server;
use crate::support::{Database, rolecall};

/// A server that follows another one, until it is promoted.
struct StandBy {
    folder: tempfile::TempDir,
    port: u16,
}

impl StandBy {
    fn follow(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let standby = Self { folder, port };
        if rustix::process::geteuid().is_root() {
            let given = Command::new("chown").arg("postgres").arg(standby.folder.path()).status().unwrap();
            assert!(given.success());
        }
        let url = server.cluster.superuser_url("postgres");
        let data = standby.data();
        standby.run("pg_basebackup", &["-d", &url, "-D", &data, "-R", "-X", "stream", "-c", "fast"]);
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=500 \
             -c track_commit_timestamp=on",
            standby.folder.path().display()
        );
        let log = standby.folder.path().join("log").display().to_string();
        standby.run("pg_ctl", &["start", "-w", "-D", &data, "-l", &log, "-o", &options]);
        standby
    }

    fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-D", &self.data()]);
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// One of PostgreSQL's programs, which may not be root's.
    fn run(&self, name: &str, arguments: &[&str]) {
        let program = program(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("commands")).unwrap();
        let status = command.args(arguments).current_dir("/").stdout(log.try_clone().unwrap()).stderr(log).status();
        let said = || fs::read_to_string(self.folder.path().join("commands")).unwrap();
        assert!(status.unwrap().success(), "{name}: {}", said());
    }

    fn url_like(&self, server: &Server, url: &str) -> String {
        url.replace(&format!(":{}/", server.cluster.port()), &format!(":{}/", self.port))
    }
}

impl Drop for StandBy {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.run("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data()]);
        }
    }
}

fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin").join(name)))
    });
    versions.max().unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_promoted_stand_by_has_all_that_was_acknowledged_and_is_used_by_itself() {
    let mut server = Server::start(&[("fsync", "on"), ("wal_level", "replica")]);
    let standby = StandBy::follow(&server);
    server.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
    server.run("SELECT pg_reload_conf()");
    let (direct, superuser) = (server.cluster.url("rolecall"), server.cluster.superuser_url("rolecall"));
    let (first, second) = (server.cluster.port(), standby.port);
    let both = direct.replace(&format!(":{first}/"), &format!(":{first},127.0.0.1:{second}/"));
    let (mut scene, child) = Scene::set_in(server.place_by(both), SHORT).await;
    let following = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    assert_eq!(scene.outside().await.number(following).await, 1);

    // By itself the stand-by is none to work with.
    let only_standby = standby.url_like(&server, &direct);
    let output =
        rolecall(&["serve", "--no-migrate", "--database-url", &only_standby, "--grpc-listen", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("stand-by"), "{said}");

    let probe = Probe::of(&scene, &child).await;
    let running = scene.run(&child);
    running.calls.answered(100).await;
    let since = Instant::now();
    server.cluster.kill();
    scene.rest(running).await;
    let seen = probe.away().await;
    let promoted = Instant::now();
    standby.promote();
    eprintln!("the stand-by was promoted {:?} after the primary's end", since.elapsed());
    probe.recovers(&format!("primary killed, stand-by promoted ({seen:?})"), promoted).await;
    let database = Database::at(&standby.url_like(&server, &superuser)).await;
    settle_on(&mut scene, &child, &database).await;
    assert_eq!(child.terminate(), Some(0));
}
