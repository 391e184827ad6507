//! Addresses that send nothing but what is malformed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use rolecall::grpc::pb::v1;

use super::Server;
use super::frames::{Client, DATA, END_HEADERS, HEADERS, PING, call, frame, stream};

const SIGN_IN: &str = "/rolecall.v1.SessionService/SignIn";
const END_STREAM: u8 = 1;
const TOLD: &str = "it is read more slowly";
/// Calls at once on a connection of theirs, fewer than would be refused for their number.
const AT_ONCE: u32 = 90;
/// Where the attackers of these tests come from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A call whose message is none.
fn garbage(round: u32) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream(round), &call(SIGN_IN, &[]));
    bytes.extend(frame(DATA, END_STREAM, stream(round), &[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]));
    bytes
}

/// What is held against an address at the least for what it did since `start`: a hundred a second come back.
fn spent(malformed: i64, start: Instant) -> i64 {
    malformed - i64::try_from(start.elapsed().as_millis()).unwrap() / 10
}

impl Server {
    fn garbage_answered(&self) -> usize {
        self.log().matches("MESSAGE_MALFORMED").count()
    }

    /// How often the log says it, once it says it at all: the server writes that down after it has answered.
    async fn told(&self) -> usize {
        let good = self.good().await;
        for _ in 0..1_000 {
            let told = self.log().matches(TOLD).count();
            if told > 0 {
                return told;
            }
            good.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
        }
        panic!("{}", self.log())
    }

    /// Sends garbage on one connection after the other, as much as is answered.
    async fn garbage_without_end(&self) -> ! {
        loop {
            let mut client = Client::connect_for(self.address(), AT_ONCE as usize).await;
            client.flood(AT_ONCE, garbage).await;
            client.said_to_the_end().await;
        }
    }

    async fn five_hundred_good_calls(&self) {
        let good = self.good().await;
        for _ in 0..500 {
            good.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_address_that_sends_garbage_is_answered_no_more_than_its_credit() {
    const CREDIT: u32 = 50;
    let server = Server::start(&["--max-malformed-requests", &CREDIT.to_string()]).await;
    let start = Instant::now();
    tokio::select! {
        _ = server.garbage_without_end() => {}
        _ = server.garbage_without_end() => {}
        () = server.five_hundred_good_calls() => {}
    }
    // A hundred come back a second, and what was read before the credit was spent is answered too.
    let most = CREDIT + u32::try_from(start.elapsed().as_millis()).unwrap() / 10 + 2 * AT_ONCE;
    let answered = u32::try_from(server.garbage_answered()).unwrap();
    assert!((CREDIT..=most).contains(&answered), "{answered} of {most}");
    assert_eq!(server.told().await, 1);
    server.ends().await;
}

#[tokio::test]
async fn what_an_address_sends_after_garbage_waits_and_is_answered() {
    let server = Server::start(&["--max-malformed-requests", "50"]).await;
    let start = Instant::now();
    let mut client = Client::connect_for(server.address(), 80).await;
    client.flood(80, garbage).await;
    let said = client.said_to_the_end().await;
    assert!(!said.hung_up && said.goaway.is_none() && said.headers == 80, "{said:?}");
    let same = server.client_from(HERE, Some(server.token.clone())).await;
    same.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    assert!(spent(80, start) <= 50, "it did not wait");
    assert_eq!(server.garbage_answered(), 80);
    assert_eq!(server.told().await, 1);
    server.ends().await;
}

#[tokio::test]
async fn a_connection_that_is_closed_for_what_its_client_did_counts_for_a_hundred() {
    let server = Server::start(&["--max-malformed-requests", "150", "--max-idle-frames", "200"]).await;
    let start = Instant::now();
    for closed in 1..=30 {
        let mut client = Client::connect(server.address()).await;
        client.flood(1_000, |_| frame(PING, 0, 0, &[0; 8])).await;
        assert!(client.said().await.hung_up);
        if spent(closed * 100, start) >= 150 {
            assert_eq!(server.told().await, 1);
            return server.ends().await;
        }
    }
    panic!("each took longer than a second");
}

#[tokio::test]
async fn a_connection_that_is_closed_for_what_its_client_did_once_is_within_the_credit() {
    let server = Server::start(&["--max-malformed-requests", "150", "--max-idle-frames", "200"]).await;
    let mut client = Client::connect(server.address()).await;
    client.flood(1_000, |_| frame(PING, 0, 0, &[0; 8])).await;
    assert!(client.said().await.hung_up);
    server.five_hundred_good_calls().await;
    assert!(!server.log().contains(TOLD), "{}", server.log());
    server.ends().await;
}

#[tokio::test]
async fn streams_that_are_malformed_count_like_calls() {
    let server = Server::start(&["--max-malformed-requests", "200"]).await;
    let block = call(SIGN_IN, &[("connection", "close")]);
    let start = Instant::now();
    for round in 1..=30 {
        let mut client = Client::connect_for(server.address(), 190).await;
        client.flood(190, |round| frame(HEADERS, END_HEADERS, stream(round), &block)).await;
        let said = client.said_to_the_end().await;
        assert_eq!(said.resets.values().sum::<usize>(), 190, "{said:?}");
        if round == 1 {
            assert!(!server.log().contains(TOLD), "{}", server.log());
        }
        if spent(round * 190, start) >= 200 {
            assert_eq!(server.told().await, 1);
            return server.ends().await;
        }
    }
    panic!("each took longer than two seconds");
}

#[tokio::test]
async fn a_trusted_peer_is_read_whatever_its_clients_send() {
    let server = Server::start(&["--max-malformed-requests", "10", "--trusted-peers", "127.0.0.1/32"]).await;
    let mut client = Client::connect_for(server.address(), 90).await;
    client.flood(90, garbage).await;
    assert_eq!(client.said_to_the_end().await.headers, 90);
    assert_eq!(server.log().matches(TOLD).count(), 0, "{}", server.log());
    server.ends().await;
}
