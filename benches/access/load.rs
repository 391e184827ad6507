//! The load generator, a process of its own. Each question is about another session, anywhere in the table.

use std::str::FromStr;
use std::time::{Duration, Instant};

use rolecall::grpc::pb::v1;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use v1::access_service_client::AccessServiceClient;
use v1::check_access_request::{Requirement, Subject};

use crate::{Result, seed};

/// Long enough for connections, statements and caches to be there.
const WARM_UP: Duration = Duration::from_millis(300);
const BATCH: usize = 100;

/// What is asked, by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Each session about itself.
    Session,
    /// A service key about a session.
    Key,
    /// A service key about a hundred sessions.
    Batch,
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "session" => Ok(Self::Session),
            "key" => Ok(Self::Key),
            "batch" => Ok(Self::Batch),
            other => Err(format!("no such question: {other}")),
        }
    }
}

impl Question {
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Key => "key",
            Self::Batch => "batch",
        }
    }
}

/// What a run of the generator is told.
#[derive(Clone, Debug)]
pub struct Order {
    pub address: String,
    pub question: Question,
    pub connections: usize,
    pub in_flight: usize,
    pub time: Duration,
    pub sessions: u64,
    pub key: String,
    /// Whether use of the sessions that are asked about is due to be recorded, see [`seed::is_due`].
    pub due: bool,
    /// How long each caller waits before it asks again.
    pub pause: Duration,
}

/// What it answers: how many calls a second, and how long they took in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Also those of the warm-up, which nothing else is of.
    pub calls: u64,
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Order {
    pub fn to_arguments(&self) -> Vec<String> {
        vec![
            "load".to_owned(),
            self.address.clone(),
            self.question.name().to_owned(),
            self.connections.to_string(),
            self.in_flight.to_string(),
            self.time.as_millis().to_string(),
            self.sessions.to_string(),
            self.key.clone(),
            self.due.to_string(),
            self.pause.as_millis().to_string(),
        ]
    }

    pub fn from_arguments(arguments: &[String]) -> Result<Self> {
        let [address, question, connections, in_flight, time, sessions, key, due, pause] = arguments else {
            return Err("the load generator was told too little".into());
        };
        Ok(Self {
            address: address.clone(),
            question: question.parse()?,
            connections: connections.parse()?,
            in_flight: in_flight.parse()?,
            time: Duration::from_millis(time.parse()?),
            sessions: sessions.parse()?,
            key: key.clone(),
            due: due.parse()?,
            pause: Duration::from_millis(pause.parse()?),
        })
    }

    /// Runs in this process and prints the outcome.
    pub async fn run(&self) -> Result<()> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?.tcp_nodelay(true);
            clients.push(AccessServiceClient::new(endpoint.connect().await?));
        }
        let start = Instant::now() + WARM_UP;
        let mut running = JoinSet::new();
        for number in 0..self.in_flight {
            let client = clients[number % clients.len()].clone();
            running.spawn(ask_on(client, self.clone(), start, number as u64));
        }
        let (mut calls, mut times) = (0, Vec::new());
        while let Some(done) = running.join_next().await {
            let (more, their_times) = done??;
            calls += more;
            times.extend(their_times);
        }
        times.sort_unstable();
        let at =
            |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len() - 1)).copied().unwrap_or(0);
        let micros = |nanos: u32| f64::from(nanos) / 1e3;
        println!(
            "{} {} {} {} {}",
            calls,
            times.len() as f64 / self.time.as_secs_f64(),
            micros(at(0.5)),
            micros(at(0.99)),
            micros(at(0.999))
        );
        Ok(())
    }
}

impl FromStr for Outcome {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        match numbers.as_slice() {
            [calls, per_second, p50, p99, p999] => {
                Ok(Self { calls: *calls as u64, per_second: *per_second, p50: *p50, p99: *p99, p999: *p999 })
            }
            _ => Err(format!("the load generator said {text:?}").into()),
        }
    }
}

/// One question after the other, for as long as was ordered. Answers how many there were, and how many nanoseconds each took
/// after the warm-up.
async fn ask_on(
    mut client: AccessServiceClient<Channel>,
    order: Order,
    start: Instant,
    number: u64,
) -> Result<(u64, Vec<u32>)> {
    let key: AsciiMetadataValue = format!("Bearer {}", order.key).parse()?;
    let mut dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id());
    let mut token = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed::token(seed::near((dice >> 16) % order.sessions, order.due))
    };
    let requirement = || Some(Requirement::Permission(v1::Permission::ConversationsReply.into()));
    let end = start + order.time;
    let (mut calls, mut times) = (0, Vec::new());
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok((calls, times));
        }
        calls += 1;
        let allowed = match order.question {
            Question::Session => {
                let mut request = Request::new(v1::CheckAccessRequest { subject: None, requirement: requirement() });
                request.metadata_mut().insert("authorization", format!("Bearer {}", token()).parse()?);
                client.check_access(request).await?.into_inner().allowed
            }
            Question::Key => {
                let subject = Some(Subject::SessionToken(token()));
                let mut request = Request::new(v1::CheckAccessRequest { subject, requirement: requirement() });
                request.metadata_mut().insert("authorization", key.clone());
                client.check_access(request).await?.into_inner().allowed
            }
            Question::Batch => {
                let checks = (0..BATCH)
                    .map(|_| v1::CheckAccessRequest {
                        subject: Some(Subject::SessionToken(token())),
                        requirement: requirement(),
                    })
                    .collect();
                let mut request = Request::new(v1::BatchCheckAccessRequest { checks });
                request.metadata_mut().insert("authorization", key.clone());
                let results = client.batch_check_access(request).await?.into_inner().results;
                results.len() == BATCH && results.iter().all(|result| result.allowed)
            }
        };
        if !allowed {
            return Err("a check was not allowed".into());
        }
        if begin >= start {
            times.push(u32::try_from(begin.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        if !order.pause.is_zero() {
            tokio::time::sleep(order.pause).await;
        }
    }
}
