//! Checks whose message comes later than their headers, or never.

use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use prost::Message;
use prost::bytes::Bytes;
use rolecall::authz::ServiceScope;
use rolecall::crypto::TokenKind;
use rolecall::grpc::pb::v1;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::about;
use crate::races::yields;
use crate::support::{Person, Refused, World};

struct Scene {
    world: World,
    owner: Person,
    key: String,
    client: SendRequest<Bytes>,
    ping: h2::PingPong,
    connected: JoinHandle<Result<(), h2::Error>>,
}

/// A check that has sent its headers.
struct Begun {
    answer: ResponseFuture,
    body: SendStream<Bytes>,
}

impl Scene {
    async fn set() -> Self {
        let world = World::start().await;
        let owner = world.workspace("Acme", "owner@acme.example").await;
        let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
        let socket = tokio::net::TcpStream::connect(world.address).await.unwrap();
        let (client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let ping = connection.ping_pong().unwrap();
        Self { world, owner, key, client, ping, connected: tokio::spawn(connection) }
    }

    /// Sends the headers of a check, and answers once the server has had time to look at them.
    async fn begin(&mut self, key: &str, timeout: &str) -> Begun {
        let request = http::Request::post("http://localhost/rolecall.v1.AccessService/CheckAccess")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {key}"))
            .header("grpc-timeout", timeout)
            .body(())
            .unwrap();
        self.client = self.client.clone().ready().await.unwrap();
        let (answer, body) = self.client.send_request(request, false).unwrap();
        self.ping.ping(h2::Ping::opaque()).await.unwrap();
        yields(100).await;
        Begun { answer, body }
    }

    fn statements(&self) -> u64 {
        self.world.store.access_figures().batch_size.count
    }

    async fn end(self) {
        let Self { world, client, connected, .. } = self;
        drop(client);
        connected.await.unwrap().unwrap();
        world.stop().await;
    }
}

impl Begun {
    fn send(&mut self, token: &str) {
        let message = about(token).encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        self.body.send_data([&[0][..], &length, &message].concat().into(), true).unwrap();
    }

    fn end(&mut self) {
        self.body.send_data(Bytes::new(), true).unwrap();
    }

    /// The message of the answer, without what stands before it.
    async fn message(self) -> Bytes {
        let mut body = self.answer.await.unwrap().into_body();
        body.data().await.unwrap().unwrap().slice(5..)
    }

    async fn refusal(self) -> Refused {
        let answer = self.answer.await.unwrap();
        Refused::from_status(&Status::from_header_map(answer.headers()).unwrap())
    }
}

#[tokio::test]
async fn a_check_whose_message_comes_behind_its_headers_is_one_statement_all_the_same() {
    let mut scene = Scene::set().await;
    let (key, token) = (scene.key.clone(), scene.owner.token.clone());
    for _ in 0..10 {
        let before = scene.statements();
        let mut check = scene.begin(&key, "60S").await;
        check.send(&token);
        let answer = v1::CheckAccessResponse::decode(check.message().await).unwrap();
        assert_eq!(answer.role(), v1::Role::Owner);
        assert_eq!(scene.statements() - before, 1);
    }
    scene.end().await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_when_its_message_comes_or_ends() {
    let mut scene = Scene::set().await;
    let wrong = TokenKind::ServiceKey.mint().text;
    let token = scene.owner.token.clone();
    let mut late = scene.begin(wrong.expose_secret(), "60S").await;
    late.send(&token);
    let mut none = scene.begin(wrong.expose_secret(), "60S").await;
    none.end();
    for check in [late, none] {
        let refusal = check.refusal().await;
        assert_eq!((refusal.code, refusal.reason()), (Code::Unauthenticated, "SERVICE_KEY_INVALID"));
    }
    scene.end().await;
}

#[tokio::test]
async fn who_is_no_key_is_refused_without_a_message() {
    let mut scene = Scene::set().await;
    let ended = TokenKind::Session.mint().text;
    for (credential, reason) in [
        (ended.expose_secret(), "SESSION_ENDED"),
        ("rck_malformed", "SERVICE_KEY_INVALID"),
        ("nonsense", "SESSION_ENDED"),
    ] {
        let refusal = scene.begin(credential, "60S").await.refusal().await;
        assert_eq!((refusal.code, refusal.reason()), (Code::Unauthenticated, reason), "{credential}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_check_whose_message_never_comes_ends_at_its_deadline_whatever_the_key() {
    let mut scene = Scene::set().await;
    let before = scene.statements();
    for key in [scene.key.clone(), TokenKind::ServiceKey.mint().text.expose_secret().to_owned()] {
        let refusal = scene.begin(&key, "20m").await.refusal().await;
        assert_eq!((refusal.code, refusal.reason()), (Code::DeadlineExceeded, "DEADLINE"));
    }
    assert_eq!(scene.statements(), before, "somebody was asked about");
    scene.end().await;
}
