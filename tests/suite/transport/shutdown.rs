//! SIGTERM ends the process, whatever clients do.

use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Server;
use super::frames::{Client, END_HEADERS, HEADERS, call, frame};
use rolecall::grpc::pb::v1;

#[tokio::test]
async fn clients_that_do_nothing_do_not_hold_up_the_end() {
    let server = Server::start(&["--shutdown-grace", "300ms", "--handshake-timeout", "1h"]).await;
    let silent = TcpStream::connect(server.address()).await.unwrap();
    let mut idle = Client::connect(server.address()).await;
    assert!(idle.is_greeted().await);
    let mut busy = Client::connect(server.address()).await;
    let block = call("/rolecall.v1.SessionService/SignIn", &[]);
    busy.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
    assert!(busy.is_greeted().await);
    let log = server.log_file();
    let place = server.place;
    assert_eq!(server.child.terminate(), Some(0));
    assert!(std::fs::read_to_string(log).unwrap().contains("some connections did not end in time"));
    drop((silent, idle, busy, place));
}

#[tokio::test]
async fn good_clients_do_not_need_the_grace() {
    let server = Server::start(&["--handshake-timeout", "1h"]).await;
    let good = server.good().await;
    good.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    // A connection that has not said what it wants is nobody's call.
    let silent = TcpStream::connect(server.address()).await.unwrap();
    // Neither is a watcher: it is told, and let go.
    let channel = server.child.connect().await;
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let log = server.log_file();
    let place = server.place;
    let child = server.child;
    let ended = tokio::task::spawn_blocking(move || child.terminate());
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(health.message().await.unwrap().is_none());
    assert_eq!(ended.await.unwrap(), Some(0));
    assert!(!std::fs::read_to_string(log).unwrap().contains("did not end in time"));
    drop((silent, place));
}
