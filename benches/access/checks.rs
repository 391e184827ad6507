//! Checks of each kind, in turn with the empty service.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::load::{Order, Outcome, Question};
use crate::report::{Line, Report};
use crate::server::Server;
use crate::{Place, Result, bare, usage};

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_millis(1_500);
/// Calls in flight, and over how many connections.
const LEVELS: [(usize, usize); 3] = [(1, 1), (64, 8), (256, 8)];
/// One statement for each question, as many at once as the pool has connections for.
const ONE_EACH: [&str; 4] = ["--access-batch", "1", "--access-statements", "10"];

pub async fn measure(report: &mut Report, place: &Place) -> Result<()> {
    let echo = Server::echo()?;
    {
        let server = Server::rolecall(&place.url, &place.mail(), &[])?;
        for question in [Question::Session, Question::Key, Question::Batch] {
            kind(report, place, &server, &echo, question, "").await?;
        }
    }
    let server = Server::rolecall(&place.url, &place.mail(), &ONE_EACH)?;
    kind(report, place, &server, &echo, Question::Key, ", one statement each").await
}

async fn kind(
    report: &mut Report,
    place: &Place,
    server: &Server,
    echo: &Server,
    question: Question,
    how: &str,
) -> Result<()> {
    let wanted = std::env::var("ACCESS_IN_FLIGHT").ok();
    let wanted = |level: usize| wanted.as_ref().is_none_or(|list| list.split(',').any(|one| one == level.to_string()));
    for (in_flight, connections) in LEVELS.into_iter().filter(|(level, _)| wanted(*level)) {
        let mut line = Line::new(place.database, &format!("{}{how}", title(question)), in_flight);
        let mut alone = Vec::new();
        for _ in 0..ROUNDS {
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
            let lone = in_flight == 1 && question != Question::Batch;
            let reads = if lone { bare::read(place).await? } else { Vec::new() };
            let (own, data) = (usage::cpu(server.id())?, database_cpu(place));
            let full = generate(&order(server)).await?;
            let own = usage::cpu(server.id())? - own;
            alone.push((full.p50, empty.p50, reads));
            line.add(empty, full, own, database_cpu(place).saturating_sub(data));
        }
        line.memory = usage::resident_mib(server.id())?;
        report.line(line);
        alone.sort_by(|a, b| f64::total_cmp(&(a.0 - a.1), &(b.0 - b.1)));
        let (full, empty, reads) = &alone[ROUNDS / 2];
        for (driver, read) in reads {
            report.note(format!(
                "{}, {}{how}, alone: {full:.0} µs, the empty service {empty:.0}, a bare read of a session by {driver} \
                 {read:.0}, which leaves {:.0} (p50, the round in the middle of {ROUNDS})",
                place.database,
                title(question),
                full - empty - read,
            ));
        }
    }
    Ok(())
}

fn database_cpu(place: &Place) -> Duration {
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
