//! Against a small server in this process that follows a script.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use secrecy::SecretString;
use time::OffsetDateTime;

use super::super::super::{Email, Mailer};
use super::*;

const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// What the server does when a command begins with `at` ("" is the greeting, "." the end of the message).
#[derive(Clone, Copy)]
struct Twist {
    at: &'static str,
    deed: Deed,
}

#[derive(Clone, Copy)]
enum Deed {
    Answer(&'static str),
    Drop,
    /// A byte every few milliseconds, for ever: no single read ever waits long.
    Trickle,
    /// Accepts, but never answers.
    Silence,
}

/// Serves one connection; joining it gives every line that the client sent.
fn server(twist: Option<Twist>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(AMPLE)).unwrap();
        serve(stream, twist)
    });
    (port, served)
}

fn serve(mut stream: TcpStream, twist: Option<Twist>) -> Vec<String> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut heard = Vec::new();
    let mut command = String::new();
    let mut in_message = false;
    loop {
        let deed = twist.filter(|twist| match twist.at {
            "" | "." => command == twist.at && (in_message == (twist.at == ".")),
            at => !in_message && command.starts_with(at),
        });
        let answer = match deed.map(|twist| twist.deed) {
            Some(Deed::Answer(answer)) => Some(answer),
            Some(Deed::Drop) => return heard,
            Some(Deed::Trickle) => {
                while stream.write_all(b"2").is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
                return heard;
            }
            Some(Deed::Silence) => None,
            None if in_message && command != "." => None,
            None => Some(match command.get(..4).unwrap_or(&command) {
                "" => "220 ready",
                "EHLO" => "250-test\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => "235 welcome",
                "DATA" => "354 go ahead",
                "QUIT" => "221 bye",
                _ => "250 fine",
            }),
        };
        in_message = (in_message && command != ".") || answer.is_some_and(|answer| answer.starts_with("354"));
        if let Some(answer) = answer
            && stream.write_all(format!("{answer}\r\n").as_bytes()).is_err()
        {
            return heard;
        }
        match lines.next() {
            Some(Ok(line)) => {
                heard.push(line.clone());
                command = line;
            }
            _ => return heard,
        }
    }
}

fn email() -> Email {
    Email {
        to: "maya@example.com".into(),
        subject: "Hello".into(),
        text: "Hello\n.\nhttps://app.example.com/setup#token=rci_abc\n".into(),
        html: "<p>Hello</p>".into(),
        message_id: "<0199@localhost>".into(),
        date: OffsetDateTime::UNIX_EPOCH,
    }
}

fn mailer(url: String) -> Mailer {
    Mailer::from_url(&SecretString::from(url), "Rolecall <no-reply@localhost>").unwrap()
}

async fn send(twist: Option<Twist>, limit: Duration) -> (Result<(), SendError>, Vec<String>) {
    let (port, served) = server(twist);
    let result = mailer(format!("smtp://127.0.0.1:{port}")).send(&email(), limit).await;
    let heard = tokio::task::spawn_blocking(|| served.join().unwrap()).await.unwrap();
    (result, heard)
}

async fn failed(at: &'static str, deed: Deed, limit: Duration) -> SendError {
    send(Some(Twist { at, deed }), limit).await.0.unwrap_err()
}

#[tokio::test]
async fn an_e_mail_that_the_server_accepts_is_sent() {
    let (result, heard) = send(None, AMPLE).await;
    result.unwrap();
    assert!(heard[0].starts_with("EHLO "), "{heard:?}");
    assert_eq!(heard[1..4], ["MAIL FROM:<no-reply@localhost>", "RCPT TO:<maya@example.com>", "DATA"]);
    assert!(heard.iter().any(|line| line.ends_with("#token=rci_abc")), "{heard:?}");
    // The lone dot in the text is doubled, the end of the message is not, and goodbye is said.
    assert!(heard.iter().any(|line| line == ".."), "{heard:?}");
    assert_eq!(heard[heard.len() - 2..], [".", "QUIT"]);
}

#[tokio::test]
async fn each_e_mail_has_a_connection_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        for _ in 0..2 {
            serve(listener.accept().unwrap().0, None);
        }
    });
    let mailer = mailer(format!("smtp://127.0.0.1:{port}"));
    mailer.send(&email(), AMPLE).await.unwrap();
    mailer.send(&email(), AMPLE).await.unwrap();
    tokio::task::spawn_blocking(|| served.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_refused_recipient_is_definite_and_permanent() {
    let error = failed("RCPT", Deed::Answer("550 mailbox unavailable"), AMPLE).await;
    assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, true));
    assert_eq!(error.public, "the mail server refused the recipient: 550 mailbox unavailable");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_recipient_refused_for_now_is_definite_and_not_permanent() {
    let error = failed("RCPT", Deed::Answer("450-4.2.0 greylisted\r\n450 4.2.0 try later"), AMPLE).await;
    assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, false));
    assert_eq!(error.public, "the mail server refused the recipient: 450 4.2.0 greylisted try later");
}

#[tokio::test]
async fn a_message_refused_after_the_hand_over_is_definite() {
    let error = failed(".", Deed::Answer("554 5.7.1 looks like spam"), AMPLE).await;
    assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, true));
    assert_eq!(error.public, "the mail server refused the message: 554 5.7.1 looks like spam");
}

#[tokio::test]
async fn what_a_server_says_is_cleaned_and_cut() {
    let said = "550 5.1.1 <maya@example.com>\u{7}\u{202e} rejected by mx1.corp.example, see /var/log/mail: aaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let public = failed("RCPT", Deed::Answer(said), AMPLE).await.public;
    assert!(
        public.starts_with("the mail server refused the recipient: 550 5.1.1 … rejected by … see … aaaa"),
        "{public}"
    );
    assert_eq!(public.chars().count(), 200);
}

#[tokio::test]
async fn a_refusal_before_the_recipient_is_not_permanent_and_quotes_nothing() {
    for (at, answer, public) in [
        ("", "554 mx1 is closed", "the mail server refused the connection: 554"),
        ("EHLO", "550 who are you", "the mail server refused the connection: 550"),
        ("MAIL", "530 sign in to mx1 first", "the mail server refused the sender: 530"),
    ] {
        let error = failed(at, Deed::Answer(answer), AMPLE).await;
        assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, false), "{at}");
        assert_eq!(error.public, public);
    }
}

#[tokio::test]
async fn a_refused_sign_in_shows_no_credentials_anywhere() {
    let (port, served) = server(Some(Twist { at: "AUTH", deed: Deed::Answer("535 5.7.8 bad password for mailuser") }));
    let error = mailer(format!("smtp://mailuser:hunter2@127.0.0.1:{port}")).send(&email(), AMPLE).await.unwrap_err();
    let heard = tokio::task::spawn_blocking(|| served.join().unwrap()).await.unwrap();
    assert!(heard.iter().any(|line| line.starts_with("AUTH PLAIN ")), "{heard:?}");
    assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, false));
    assert_eq!(error.public, "the mail server refused the sign-in: 535");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_message_is_definite() {
    for at in ["", "EHLO", "MAIL", "RCPT", "DATA"] {
        let error = failed(at, Deed::Drop, AMPLE).await;
        assert_eq!((error.kind, error.permanent), (SendErrorKind::Definite, false), "{at}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_message_is_unknown() {
    let error = failed(".", Deed::Drop, AMPLE).await;
    assert_eq!((error.kind, error.permanent), (SendErrorKind::Unknown, false));
    assert!(error.public.ends_with("it may have accepted it"), "{}", error.public);
}

#[tokio::test]
async fn a_server_that_trickles_hits_the_limit() {
    for (at, kind) in [("", SendErrorKind::Definite), ("RCPT", SendErrorKind::Definite), (".", SendErrorKind::Unknown)]
    {
        let error = failed(at, Deed::Trickle, SHORT).await;
        assert_eq!((error.kind, error.permanent), (kind, false), "{at}: {error:?}");
        assert!(error.public.contains("in time"), "{at}: {}", error.public);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_goodbye_changes_nothing() {
    let (port, _) = server(Some(Twist { at: "QUIT", deed: Deed::Silence }));
    mailer(format!("smtp://127.0.0.1:{port}")).send(&email(), Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_yes_to_data_that_is_not_354_is_not_taken() {
    let (result, heard) = send(Some(Twist { at: "DATA", deed: Deed::Answer("250 fine") }), AMPLE).await;
    assert_eq!(result.unwrap_err().kind, SendErrorKind::Definite);
    assert!(!heard.iter().any(|line| line.contains("rci_")), "{heard:?}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_when_tls_is_required() {
    let (port, served) = server(None);
    let url = format!("smtp://mailuser:hunter2@127.0.0.1:{port}?tls=required");
    let error = mailer(url).send(&email(), AMPLE).await.unwrap_err();
    let heard = tokio::task::spawn_blocking(|| served.join().unwrap()).await.unwrap();
    assert_eq!((error.kind, error.public.as_str()), (SendErrorKind::Definite, "the mail server does not offer TLS"));
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_definite() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [format!("smtp://127.0.0.1:{free}"), format!("smtps://127.0.0.1:{free}")] {
        let error = mailer(url).send(&email(), AMPLE).await.unwrap_err();
        assert_eq!((error.kind, error.public.as_str()), (SendErrorKind::Definite, "the mail server cannot be reached"));
    }
}
