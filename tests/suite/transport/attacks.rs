//! Clients that take what there is and say nothing.

use std::net::SocketAddr;

use futures_util::future::join_all;
use rolecall::grpc::pb::v1;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frames::MAGIC;
use super::{PATIENCE, Server};

/// Connects, says something, and waits until it is hung up on.
async fn wait_for_the_end(address: SocketAddr, says: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(says).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn silent_sockets_by_the_thousand_are_let_go_and_nobody_else_notices() {
    let server = Server::start(&["--handshake-timeout", "200ms", "--max-connections-per-address", "100"]).await;
    let address = server.address();
    let attack = async {
        // At most as many at once as the kernel queues, or it would be the kernel that keeps them waiting.
        for _ in 0..5 {
            // Some say nothing, some half of the preface, some the preface without the frame that must follow.
            let silent = (0..200).map(|number| wait_for_the_end(address, &MAGIC[..[0, 12, 24][number % 3]]));
            join_all(silent).await;
        }
    };
    server.serves_during(attack).await;
    let log = server.log();
    assert!(log.contains("--max-connections-per-address"), "nobody was turned away: {log}");
    server.ends().await;
}

#[tokio::test]
async fn what_is_no_http2_is_hung_up_on_at_once() {
    // So long that waiting for it would be noticed.
    let server = Server::start(&["--handshake-timeout", "1h"]).await;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nx-padding: xxxxxxxxxxxxxxx\r\n\r\n";
    tokio::time::timeout(PATIENCE, wait_for_the_end(server.address(), request)).await.unwrap();
    server.ends().await;
}

#[tokio::test]
async fn without_files_accepting_pauses_and_then_goes_on() {
    let server = Server::start(&["--handshake-timeout", "1h"]).await;
    let good = server.good().await;
    // The database has opened all the files that it will.
    join_all((0..64).map(|_| async { good.sessions().get_session(v1::GetSessionRequest {}).await.unwrap() })).await;
    let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap());
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count() as u64;
    let most = |files| Rlimit { current: Some(files), maximum: Some(20_000) };
    let before = prlimit(pid, Resource::Nofile, most(open + 5)).unwrap();
    let held: Vec<_> = join_all((0..50).map(|_| TcpStream::connect(server.address()))).await;
    for _ in 0..300 {
        good.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    }
    let told = |log: &str| log.matches("no connection can be accepted").count();
    assert_eq!(told(&server.log()), 1, "{}", server.log());
    prlimit(pid, Resource::Nofile, before).unwrap();
    drop(held);
    server.good().await.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("accepted again")).unwrap_or_else(|| panic!("{log}"));
    let failures: String = line.split("failures").nth(1).unwrap().chars().filter(char::is_ascii_digit).collect();
    let failures: u32 = failures.parse().unwrap();
    assert!((1..100).contains(&failures), "it was tried {failures} times, in a loop without a pause");
    server.ends().await;
}
