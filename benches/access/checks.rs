//! Checks of each kind, in turn with the empty service.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::load::{Order, Outcome, Question};
use crate::report::{Line, Report, spread};
use crate::server::Server;
use crate::{Place, Result, bare, usage};

const ROUNDS: usize = 5;
/// Of single checks that are alone, which differ most from one round to the next.
const ROUNDS_ALONE: usize = 9;
const TIME: Duration = Duration::from_millis(1_500);
/// Calls in flight, and over how many connections.
const LEVELS: [(usize, usize); 3] = [(1, 1), (64, 8), (256, 8)];
/// One statement for each question, as many at once as the pool has connections for.
const ONE_EACH: [&str; 4] = ["--access-batch", "1", "--access-statements", "10"];

pub async fn measure(report: &mut Report, place: &Place) -> Result<()> {
    let echo = Server::echo()?;
    {
        let server = Server::rolecall(&place.url, &place.mail(), &[])?;
        // Those that are alone first: what many use is still being recorded seconds later.
        for level in levels() {
            for question in [Question::Session, Question::Key, Question::Batch] {
                kind(report, place, &server, &echo, question, level, "").await?;
            }
        }
    }
    let server = Server::rolecall(&place.url, &place.mail(), &ONE_EACH)?;
    for level in levels() {
        kind(report, place, &server, &echo, Question::Key, level, ", one statement each").await?;
    }
    Ok(())
}

fn levels() -> impl Iterator<Item = (usize, usize)> {
    let wanted = std::env::var("ACCESS_IN_FLIGHT").ok();
    let wanted =
        move |level: usize| wanted.as_ref().is_none_or(|list| list.split(',').any(|one| one == level.to_string()));
    LEVELS.into_iter().filter(move |(level, _)| wanted(*level))
}

async fn kind(
    report: &mut Report,
    place: &Place,
    server: &Server,
    echo: &Server,
    question: Question,
    (in_flight, connections): (usize, usize),
    how: &str,
) -> Result<()> {
    let mut line = Line::new(place.database, &format!("{}{how}", title(question)), in_flight);
    let lone = in_flight == 1 && question != Question::Batch;
    let mut alone = Vec::new();
    for _ in 0..if lone { ROUNDS_ALONE } else { ROUNDS } {
        let order = |server: &Server| Order {
            address: server.address.clone(),
            question,
            connections,
            in_flight,
            time: TIME,
            sessions: place.sessions,
            key: place.key.clone(),
            due: true,
            pause: Duration::ZERO,
        };
        let empty = generate(&order(echo)).await?;
        // Right beside the others: how fast a thread wakes up is another matter from one minute to the next.
        let reads = if lone { bare::read(place).await? } else { Vec::new() };
        let (own, data) = (usage::cpu(server.id())?, database_cpu(place));
        let full = generate(&order(server)).await?;
        let own = usage::cpu(server.id())? - own;
        if lone {
            alone.push((full.p50, empty.p50, reads));
        }
        line.add(empty, full, own, database_cpu(place).saturating_sub(data));
    }
    line.memory = usage::resident_mib(server.id())?;
    report.line(line);
    let drivers: Vec<_> = alone.first().map(|(_, _, reads)| reads.clone()).unwrap_or_default();
    for (number, (driver, _)) in drivers.iter().enumerate() {
        let of_rounds = |part: fn(f64, f64, f64) -> f64| {
            let rounds = alone.iter().map(|(full, empty, reads)| part(*full, *empty, reads[number].1));
            spread(rounds.collect(), 0)
        };
        report.note(format!(
            "{}, {}{how}, alone: {} µs, the empty service {}, a bare read of a session by {driver} {}, which leaves {} of each \
             round (p50, {ROUNDS_ALONE} rounds in turn: median, min – max)",
            place.database,
            title(question),
            of_rounds(|full, _, _| full),
            of_rounds(|_, empty, _| empty),
            of_rounds(|_, _, read| read),
            of_rounds(|full, empty, read| full - empty - read),
        ));
    }
    Ok(())
}

pub fn database_cpu(place: &Place) -> Duration {
    place.data().map(|data| usage::cpu_in(&data)).unwrap_or_default()
}

fn title(question: Question) -> &'static str {
    match question {
        Question::Session => "CheckAccess by a session",
        Question::Key => "CheckAccess by a service key about a token",
        Question::Batch => "BatchCheckAccess of 100",
    }
}

/// Runs the load generator as a process of its own.
pub async fn generate(order: &Order) -> Result<Outcome> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(order.to_arguments()).stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output()).await??;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    String::from_utf8(done.stdout)?.parse()
}
