//! TLS, by the program itself.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::PATIENCE;
use super::certificates::{Issuer, Pair, write};
use crate::support::{Child, Place, rolecall};

const NAME: &str = "rolecall.example";

/// A server with a certificate of this issuer, and a log.
struct Secure {
    child: Child,
    place: Place,
}

impl Secure {
    fn start(pair: &Pair, client_ca: Option<&Issuer>) -> Self {
        Self::start_with(pair, client_ca, &[])
    }

    fn start_with(pair: &Pair, client_ca: Option<&Issuer>, more: &[&str]) -> Self {
        let place = Place::empty();
        let folder = place.folder();
        pair.write(folder);
        let arguments = arguments(folder, &place.url());
        let mut command = rolecall(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.args(more);
        if let Some(issuer) = client_ca {
            command.arg("--tls-client-ca").arg(write(folder, "client-ca.pem", &issuer.pem()));
        }
        command.stderr(Stdio::from(std::fs::File::create(folder.join("log")).unwrap()));
        Self { child: Child::spawn(command), place }
    }

    /// A call on a new connection.
    async fn call(&self, tls: ClientTlsConfig) -> Result<Channel, String> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.child.address)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.map_err(|e| format!("{e:?}"))?;
        check(&channel).await.map_err(|e| format!("{e:?}"))?;
        Ok(channel)
    }

    /// Waits for a line of the log.
    async fn logged(&self, text: &str) {
        let path = self.place.folder().join("log");
        let found = async {
            while !std::fs::read_to_string(&path).unwrap().contains(text) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("the log never says {text:?}"));
    }

    fn health(&self, more: &[&str]) -> Output {
        let mut arguments = vec!["health", "--grpc-listen", &self.child.address];
        arguments.extend(more);
        rolecall(&arguments).output().unwrap()
    }
}

fn arguments(folder: &Path, url: &str) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<String> =
        ["--log", "info", "serve", "--grpc-listen", "127.0.0.1:0"].map(str::to_owned).into();
    arguments.extend(["--tls-reload-interval", "20ms"].map(str::to_owned));
    for (flag, value) in [
        ("--database-url", url.to_owned()),
        ("--mail-url", format!("file:{}", file("mail"))),
        ("--tls-cert", file("cert.pem")),
        ("--tls-key", file("key.pem")),
    ] {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments
}

fn trusting(issuer: &Issuer) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(issuer.pem())).domain_name(NAME)
}

async fn check(channel: &Channel) -> Result<(), Status> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest { service: String::new() }).await.map(drop)
}

#[tokio::test]
async fn calls_are_served_over_tls_and_not_without() {
    let issuer = Issuer::new();
    let server = Secure::start(&issuer.issue(NAME), None);
    server.call(trusting(&issuer)).await.unwrap();
    server.call(trusting(&Issuer::new())).await.unwrap_err();
    let plain = Endpoint::from_shared(format!("http://{}", server.child.address)).unwrap().connect().await;
    if let Ok(channel) = plain {
        check(&channel).await.unwrap_err();
    }
    assert_eq!(server.child.terminate(), Some(0));
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections_and_open_ones_go_on() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let server = Secure::start(&old.issue(NAME), None);
    let open = server.call(trusting(&old)).await.unwrap();
    let pair = new.issue(NAME);
    // Half of it: certificate and key do not go together, and nothing changes.
    write(server.place.folder(), "cert.pem", &pair.cert);
    server.logged("the new TLS files are of no use").await;
    server.call(trusting(&old)).await.unwrap();
    write(server.place.folder(), "key.pem", &pair.key);
    server.logged("the TLS files have changed").await;
    server.call(trusting(&new)).await.unwrap();
    server.call(trusting(&old)).await.unwrap_err();
    check(&open).await.unwrap();
    assert_eq!(server.child.terminate(), Some(0));
}

#[tokio::test]
async fn with_mutual_tls_only_clients_of_the_issuer_are_served() {
    let (issuer, clients, others) = (Issuer::new(), Issuer::new(), Issuer::new());
    let server = Secure::start(&issuer.issue(NAME), Some(&clients));
    let with = |pair: Pair| trusting(&issuer).identity(Identity::from_pem(pair.cert, pair.key));
    server.call(with(clients.issue("gateway.example"))).await.unwrap();
    server.call(with(others.issue("gateway.example"))).await.unwrap_err();
    server.call(trusting(&issuer)).await.unwrap_err();
    assert_eq!(server.child.terminate(), Some(0));
}

#[tokio::test]
async fn health_asks_a_server_with_tls_too() {
    let (issuer, clients) = (Issuer::new(), Issuer::new());
    let server = Secure::start(&issuer.issue("127.0.0.1"), Some(&clients));
    let folder = server.place.folder();
    let ours = clients.issue("health.example");
    let path = |name: &str, pem: &str| write(folder, name, pem).display().to_string();
    let (ca, cert) = (path("ca.pem", &issuer.pem()), path("our-cert.pem", &ours.cert));
    let key = path("our-key.pem", &ours.key);
    let good = server.health(&["--tls-ca", &ca, "--tls-client-cert", &cert, "--tls-client-key", &key]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let plain = server.health(&[]);
    assert_eq!(plain.status.code(), Some(1), "{plain:?}");
    assert!(String::from_utf8_lossy(&plain.stderr).contains("--tls-ca"), "{plain:?}");
    let other_name = server.health(&[
        "--tls-ca",
        &ca,
        "--tls-domain",
        "other.example",
        "--tls-client-cert",
        &cert,
        "--tls-client-key",
        &key,
    ]);
    assert_eq!(other_name.status.code(), Some(1), "{other_name:?}");
    assert_eq!(server.child.terminate(), Some(0));
}

#[test]
fn files_that_are_of_no_use_are_one_line_that_names_the_flag() {
    let issuer = Issuer::new();
    let (one, other) = (issuer.issue(NAME), issuer.issue(NAME));
    let refused = |cert: Option<&str>, key: Option<&str>, more: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        if let Some(cert) = cert {
            write(folder.path(), "cert.pem", cert);
        }
        if let Some(key) = key {
            write(folder.path(), "key.pem", key);
        }
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let output = rolecall(&[]).args(arguments(folder.path(), &url)).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!folder.path().join("test.db").exists(), "the database was touched first");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(refused(None, Some(&one.key), &[]), "--tls-cert:");
    assert_eq!(refused(Some(&one.cert), None, &[]), "--tls-key:");
    assert_eq!(refused(Some("nothing"), Some(&one.key), &[]), "--tls-cert:");
    assert_eq!(refused(Some(&one.cert), Some("nothing"), &[]), "--tls-key:");
    assert_eq!(refused(Some(&one.cert), Some(&other.key), &[]), "--tls-key:");
    let missing = ["--tls-client-ca", "/nowhere/ca.pem"];
    assert_eq!(refused(Some(&one.cert), Some(&one.key), &missing), "--tls-client-ca:");
}

#[test]
fn flags_that_make_no_sense_are_one_line_that_names_the_flag() {
    let refused = |arguments: &[&str]| {
        let output = rolecall(&["serve", "--database-url", "sqlite:///nowhere/x.db"]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(refused(&["--grpc-listen", "0.0.0.0:0"]), "--grpc-listen:");
    assert_eq!(refused(&["--tls-cert", "x"]), "--tls-cert:");
    assert_eq!(refused(&["--tls-key", "x"]), "--tls-key:");
    assert_eq!(refused(&["--tls-client-ca", "x"]), "--tls-client-ca:");
    assert_eq!(refused(&["--tls-cert", "x", "--tls-key", "x", "--insecure-plaintext"]), "--insecure-plaintext:");
    assert_eq!(refused(&["--max-connections", "99999999"]), "--max-connections:");
}

/// The head of a record of 512 bytes, and of a ClientHello in it that never comes.
const HALF_A_HELLO: [u8; 9] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];

#[tokio::test]
async fn a_client_that_never_finishes_the_tls_handshake_is_hung_up_on() {
    let issuer = Issuer::new();
    let server = Secure::start_with(&issuer.issue(NAME), None, &["--handshake-timeout", "200ms"]);
    for says in [&HALF_A_HELLO[..], &[]] {
        let mut stream = TcpStream::connect(&server.child.address).await.unwrap();
        stream.write_all(says).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is not hung up on");
    }
    server.call(trusting(&issuer)).await.unwrap();
    assert_eq!(server.child.terminate(), Some(0));
}

#[tokio::test]
async fn a_client_that_never_finishes_the_tls_handshake_does_not_hold_up_the_end() {
    let issuer = Issuer::new();
    let server = Secure::start_with(&issuer.issue(NAME), None, &["--handshake-timeout", "1h"]);
    let mut stream = TcpStream::connect(&server.child.address).await.unwrap();
    stream.write_all(&HALF_A_HELLO).await.unwrap();
    server.call(trusting(&issuer)).await.unwrap();
    assert_eq!(server.child.terminate(), Some(0));
    drop(stream);
}
