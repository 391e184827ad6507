//! A disk that is full.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::SHORT;
use super::probe::{Probe, hurt, settle};
use crate::faults::scene::Scene;
use crate::replicas::Server;
use crate::support::Place;

/// A small disk in memory, which only root can make.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m,mode=0777", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { folder })
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_changes_and_answers_checks_until_there_is_room() {
    let Some(disk) = Disk::mount() else {
        eprintln!("no disk can be mounted here: a full one was not tried");
        return;
    };
    let server = Server::durable();
    let space = disk.folder.path().join("space");
    fs::create_dir(&space).unwrap();
    assert!(Command::new("chown").arg("postgres").arg(&space).status().unwrap().success());
    server.run(&format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    server.run("CREATE DATABASE small OWNER rolecall TABLESPACE small");
    let place = Place::elsewhere(server.cluster.url("small"), server.cluster.superuser_url("small"));
    let (mut scene, child) = Scene::set_in(place, SHORT).await;
    let probe = Probe::of(&scene, &child).await;
    let running = scene.run(&child);
    running.calls.answered(60).await;
    disk.fill();
    hurt(&mut scene, running).await;
    // There may be room for a little in what is there.
    let mut refused = 0;
    while refused < 20 {
        match probe.write().await.as_str() {
            "OK" => {}
            answer => {
                assert_eq!(answer, "DATABASE_UNAVAILABLE");
                refused += 1;
            }
        }
        assert_eq!(probe.check().await, "OK", "what only reads goes on");
    }
    while probe.serving().await {}
    disk.free();
    probe.recovers("disk full", Instant::now()).await;
    settle(&mut scene, &child).await;
    assert_eq!(child.terminate(), Some(0));
}
