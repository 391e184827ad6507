//! Clients that speak HTTP/2 against its spirit.

use super::Server;
use super::frames::{
    CANCEL, CONTINUATION, Client, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, PING, REFUSED_STREAM, RST_STREAM,
    SETTINGS, Said, call, frame, stream,
};
use crate::support::ok;

const GET_SESSION: &str = "/rolecall.v1.SessionService/GetSession";

impl Server {
    /// Headers of a call that is admitted and then waits for its message.
    fn admitted(&self) -> Vec<u8> {
        call(GET_SESSION, &[("authorization", &format!("Bearer {}", self.token))])
    }

    /// What becomes of an attacker that floods.
    async fn flooded(&self, times: u32, first: &[u8], bytes: impl FnMut(u32) -> Vec<u8>) -> Said {
        self.serves_during(async {
            let mut client = Client::connect(self.address()).await;
            client.send(first).await;
            client.flood(times, bytes).await;
            client.said().await
        })
        .await
    }
}

#[tokio::test]
async fn a_rapid_reset_costs_the_attacker_alone() {
    let server = Server::start(&[]).await;
    let block = server.admitted();
    let said = server
        .flooded(10_000, &[], |round| {
            let mut bytes = frame(HEADERS, END_HEADERS, stream(round), &block);
            bytes.extend(frame(RST_STREAM, 0, stream(round), &CANCEL.to_be_bytes()));
            bytes
        })
        .await;
    assert_eq!(said.goaway, Some(ENHANCE_YOUR_CALM), "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn a_client_of_malformed_headers_is_told_to_calm_down() {
    let server = Server::start(&[]).await;
    let block = call(GET_SESSION, &[("connection", "close")]);
    let said = server.flooded(4_000, &[], |round| frame(HEADERS, END_HEADERS, stream(round), &block)).await;
    assert_eq!(said.goaway, Some(ENHANCE_YOUR_CALM), "{said:?}");
    assert!(said.hung_up);
    server.ends().await;
}

#[tokio::test]
async fn a_connection_has_a_hundred_streams_at_most() {
    let server = Server::start(&[]).await;
    let block = server.admitted();
    let said = server.flooded(200, &[], |round| frame(HEADERS, END_HEADERS, stream(round), &block)).await;
    assert_eq!(said.resets.get(&REFUSED_STREAM), Some(&100), "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let server = Server::start(&[]).await;
    let first = frame(HEADERS, 0, 1, &server.admitted());
    let more = vec![0x00; 0];
    let said = server.flooded(100_000, &first, |_| frame(CONTINUATION, 0, 1, &more)).await;
    assert!(said.hung_up && said.goaway.is_some(), "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn empty_data_without_end_ends_the_connection() {
    let server = Server::start(&[]).await;
    let first = frame(HEADERS, END_HEADERS, 1, &server.admitted());
    let said = server.flooded(200_000, &first, |_| frame(DATA, 0, 1, &[])).await;
    assert!(said.hung_up, "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn pings_and_settings_without_end_end_the_connection() {
    let server = Server::start(&[]).await;
    let said = server
        .flooded(100_000, &[], |_| {
            let mut bytes = frame(PING, 0, 0, &[0; 8]);
            bytes.extend(frame(SETTINGS, 0, 0, &[]));
            bytes
        })
        .await;
    assert!(said.hung_up, "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn as_many_frames_that_carry_nothing_as_are_allowed_do_no_harm_to_a_connection() {
    let server = Server::start(&["--max-idle-frames", "200"]).await;
    let said = server.flooded(190, &[], |_| frame(PING, 0, 0, &[0; 8])).await;
    assert!(!said.hung_up && said.goaway.is_none(), "{said:?}");
    let said = server.flooded(300, &[], |_| frame(PING, 0, 0, &[0; 8])).await;
    assert!(said.hung_up, "{said:?}");
    server.ends().await;
}

#[tokio::test]
async fn headers_above_8_kib_are_refused_and_the_connection_goes_on() {
    let server = Server::start(&[]).await;
    let good = server.good().await;
    // The others take what is left to 8 KiB.
    ok(good.and("x-big", &"x".repeat(7 * 1024)).get_session().await);
    good.and("x-big", &"x".repeat(8 * 1024)).get_session().await.unwrap_err();
    ok(good.get_session().await);
    let calls = server.log().matches("GetSession").count();
    assert_eq!(calls, 2, "{}", server.log());
    server.ends().await;
}
