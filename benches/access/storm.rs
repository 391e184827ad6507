//! Five hundred clients sign in at once, while others go on checking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rolecall::config::SecurityConfig;
use rolecall::grpc::pb::v1;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_types::StatusExt;
use v1::access_service_client::AccessServiceClient;
use v1::session_service_client::SessionServiceClient;

use crate::checks::{database_cpu, generate};
use crate::load::{Order, Outcome, Question};
use crate::report::{Report, median, spread};
use crate::rounds::Calmest;
use crate::server::Server;
use crate::{Place, Result, seed, usage};

const CLIENTS: u64 = 500;
const CONNECTIONS: usize = 10;
const CHECKING: Duration = Duration::from_secs(5);
const IN_FLIGHT: usize = 8;
/// Of each that is compared.
const ROUNDS: usize = 5;
/// The name of the service's threads for passwords.
const HASHING: &str = "hashing";
/// Their priority.
const NICE: i32 = 10;

/// How long each of those who check waits before the next: not at all, as many as are answered; or as one does who has
/// something to do with the answer.
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(2)];

pub async fn measure(report: &mut Report, place: &Place) -> Result<()> {
    let server = Server::rolecall(&place.url, &place.mail(), &[])?;
    for pause in PAUSES {
        beside_checks(report, place, &server, pause).await?;
    }
    beside_bare_hashes(report, place, &server).await
}

/// A round of checks: when nothing else is there, when another process hashes, and in a storm.
struct Phases {
    idle: Outcome,
    hashing: Outcome,
    stormy: Outcome,
    storm: Storm,
    /// In MiB, in the storm.
    memory: f64,
}

/// What becomes of checks: when nothing else is there, when another process hashes, and in a storm.
async fn beside_checks(report: &mut Report, place: &Place, server: &Server, pause: Duration) -> Result<()> {
    let order = Order {
        address: server.address.clone(),
        question: Question::Key,
        connections: 1,
        in_flight: IN_FLIGHT,
        time: CHECKING,
        sessions: place.sessions,
        key: place.key.clone(),
        due: true,
        pause,
    };
    let before = usage::resident_mib(server.id())?;
    let rounds = Calmest::of(ROUNDS, async |round| {
        let (mut idle, mut hashing, mut stormy) = (None, None, None);
        // Whatever comes first has the use to record that the round before has left, so that is another each time.
        for phase in 0..3 {
            match (round + phase) % 3 {
                0 => idle = Some(generate(&order).await?),
                1 => {
                    // What the machine makes of any other that wants all cores, however little it matters.
                    let beside = Hashing::start(Some(NICE))?;
                    hashing = Some(generate(&order).await?);
                    beside.stop()?;
                }
                _ => {
                    // The storm goes on for about as long as is checked: whoever is refused tries again.
                    let time = CHECKING + Duration::from_millis(300);
                    let storm = tokio::spawn(sign_in_for(Call::SignIn, server.address.clone(), time));
                    let checks = generate(&order).await?;
                    let memory = usage::resident_mib(server.id())?;
                    stormy = Some((checks, storm.await??, memory));
                }
            }
        }
        let ((idle, hashing), (stormy, storm, memory)) = idle.zip(hashing).zip(stormy).ok_or("a phase is missing")?;
        Ok(Phases { idle, hashing, stormy, storm, memory })
    })
    .await?;
    let most = rounds.each(|round| round.memory).into_iter().fold(0.0, f64::max);
    type Phase = fn(&Phases) -> &Outcome;
    let [idle, stormy, hashing]: [Phase; 3] = [|round| &round.idle, |round| &round.stormy, |round| &round.hashing];
    let times = |phase: Phase| spread(rounds.each(|round| phase(round).p99), 0);
    let rate = |phase: Phase| median(rounds.each(|round| phase(round).per_second));
    let ratios = |phase: Phase| spread(rounds.each(|round| phase(round).p99 / round.idle.p99), 1);
    report.note(format!(
        "{}, {IN_FLIGHT} who check and wait {} ms between: p99 of a check {} µs when idle ({:.0} checks/s), {} while {CLIENTS} \
         clients sign in ({:.0}/s), {} when nobody does and another process hashes on all cores ({:.0}/s), so {} times and {} \
         times as long as in the idle phase of the same round; {:.1} signed in a second, {:.1} refusals for each, the slowest \
         within {:.1} ms; memory {before:.0} MiB before and {most:.0} at the most; the host took {} % ({ROUNDS} rounds in turn, {} \
         left out: median, min – max)",
        place.database,
        pause.as_millis(),
        times(idle),
        rate(idle),
        times(stormy),
        rate(stormy),
        times(hashing),
        rate(hashing),
        ratios(stormy),
        ratios(hashing),
        median(rounds.each(|round| round.storm.per_second())),
        median(rounds.each(|round| round.storm.refused as f64 / round.storm.signed_in as f64)),
        rounds.each(|round| round.storm.slowest_refusal.as_secs_f64() * 1e3).into_iter().fold(0.0, f64::max),
        rounds.taken(),
        rounds.left_out(),
    ));
    Ok(())
}

/// Sign-ins without checks, beside those of an empty service and bare hashes.
async fn beside_bare_hashes(report: &mut Report, place: &Place, server: &Server) -> Result<()> {
    let echo = Server::hashing_echo()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let cpu = || -> Result<[Duration; 3]> {
        let hashing = usage::cpu_of_threads(server.id(), HASHING)?;
        Ok([hashing, usage::cpu(server.id())?.saturating_sub(hashing), database_cpu(place)])
    };
    let rounds = Calmest::of(ROUNDS, async |_| {
        let bare = raw_hashes().await?;
        let empty = sign_in_for(Call::Echo, echo.address.clone(), CHECKING).await?.per_second();
        let before = cpu()?;
        let storm = sign_in_for(Call::SignIn, server.address.clone(), CHECKING).await?;
        let mut took = cpu()?;
        for (took, before) in took.iter_mut().zip(before) {
            *took = took.saturating_sub(before);
        }
        let costs = took.map(|time| time.as_secs_f64() * 1e3 / storm.signed_in as f64);
        let share = took[0].as_secs_f64() / storm.time.as_secs_f64() / cores;
        Ok(([storm.per_second(), empty, bare], costs, share))
    })
    .await?;
    let [full, empty, bare] = [0, 1, 2].map(|which| median(rounds.each(|(rates, ..)| rates[which])));
    let of_bare = |which: usize| spread(rounds.each(|(rates, ..)| rates[which] / rates[2]), 2);
    let [hash, rest, database] = [0, 1, 2].map(|which| spread(rounds.each(|(_, costs, _)| costs[which]), 1));
    report.note(format!(
        "{}, {CLIENTS} clients signing in and no checks: {full:.1}/s; calls of an empty service that only checks the \
         password, in such a pool: {empty:.1}/s; bare argon2id: {bare:.1}/s, of which these are {} and {} in each round; \
         processor time of a sign-in: {hash} ms for its hash, {rest} of the server besides, {database} of a database beside it; \
         the threads that hash had {} of all cores; the host took {} % ({ROUNDS} rounds in turn, {} left out: median, min – \
         max)",
        place.database,
        of_bare(0),
        of_bare(1),
        spread(rounds.each(|(.., share)| *share), 2),
        rounds.taken(),
        rounds.left_out(),
    ));
    Ok(())
}

/// What the clients call.
#[derive(Clone, Copy, Debug)]
enum Call {
    SignIn,
    /// A service that checks a password and does nothing else, see [`crate::echo`].
    Echo,
}

struct Storm {
    signed_in: usize,
    refused: usize,
    slowest_refusal: Duration,
    time: Duration,
}

impl Storm {
    fn per_second(&self) -> f64 {
        self.signed_in as f64 / self.time.as_secs_f64()
    }
}

/// Each client signs in again and again, as another person each time; who is refused tries again when it is told to.
async fn sign_in_for(call: Call, address: String, time: Duration) -> Result<Storm> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?);
    }
    let (start, mut clients) = (Instant::now(), JoinSet::new());
    for number in 0..CLIENTS {
        let channel = channels[number as usize % CONNECTIONS].clone();
        let (mut client, mut echo) = (SessionServiceClient::new(channel.clone()), AccessServiceClient::new(channel));
        clients.spawn(async move {
            let (mut signed_in, mut refused, mut slowest) = (0, 0, Duration::ZERO);
            for round in 0.. {
                if start.elapsed() >= time {
                    break;
                }
                let who = (round * CLIENTS + number) % seed::WORKSPACES;
                let mut request = Request::new(v1::SignInRequest {
                    email: format!("user{who}@acme.example"),
                    password: seed::PASSWORD.to_owned(),
                    ..Default::default()
                });
                // From a network of their own: of more than a hundred at once of one network some are sent away.
                let from = format!("10.{}.{}.{}", who >> 8 & 255, who & 255, who >> 16 & 255);
                request.metadata_mut().insert("rolecall-client-address", from.parse()?);
                let begin = Instant::now();
                let done = match call {
                    Call::SignIn => client.sign_in(request).await.map(drop),
                    Call::Echo => echo.check_access(v1::CheckAccessRequest::default()).await.map(drop),
                };
                match done {
                    Ok(()) => signed_in += 1,
                    Err(status) if status.code() == Code::ResourceExhausted => {
                        refused += 1;
                        slowest = slowest.max(begin.elapsed());
                        let told = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
                        let told = told.ok_or("nobody says when to try again")?;
                        sleep(told.min(time.saturating_sub(start.elapsed()))).await;
                    }
                    Err(status) => return Err(status.into()),
                }
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((signed_in, refused, slowest))
        });
    }
    let (mut signed_in, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    while let Some(done) = clients.join_next().await {
        let (more, others, slow) = done??;
        signed_in += more;
        refused += others;
        slowest = slowest.max(slow);
    }
    if signed_in == 0 {
        return Err("nobody signed in".into());
    }
    Ok(Storm { signed_in, refused, slowest_refusal: slowest, time: start.elapsed() })
}

/// How many hashes a second there are if there is nothing else, on all cores.
async fn raw_hashes() -> Result<f64> {
    let hashing = Hashing::start(None)?;
    sleep(CHECKING).await;
    hashing.stop()
}

/// Hashes as the service does by default and nothing else, on all cores.
struct Hashing {
    go_on: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Option<f64>>>,
}

impl Hashing {
    fn start(nice: Option<i32>) -> Result<Self> {
        let costs = SecurityConfig::default();
        let params = Params::new(costs.password_hash_memory, costs.password_hash_iterations, 1, None);
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|error| error.to_string())?);
        let go_on = Arc::new(AtomicBool::new(true));
        let work = |hasher: Argon2<'static>, go_on: Arc<AtomicBool>| {
            move || -> Option<f64> {
                if let Some(nice) = nice {
                    rustix::process::setpriority_process(None, nice).ok()?;
                }
                let mut memory = vec![Block::default(); hasher.params().block_count()];
                let (start, mut count, mut out) = (Instant::now(), 0, [0; 32]);
                while go_on.load(Ordering::Relaxed) {
                    hasher.hash_password_into_with_memory(b"a password", &[7; 16], &mut out, &mut memory).ok()?;
                    count += 1;
                }
                Some(f64::from(count) / start.elapsed().as_secs_f64())
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..cores).map(|_| std::thread::spawn(work(hasher.clone(), Arc::clone(&go_on)))).collect();
        Ok(Self { go_on, threads })
    }

    /// Answers how many there were a second.
    fn stop(self) -> Result<f64> {
        self.go_on.store(false, Ordering::Relaxed);
        let rates = self.threads.into_iter().map(|thread| thread.join().ok().flatten().ok_or("hashing failed"));
        Ok(rates.sum::<std::result::Result<f64, _>>()?)
    }
}
