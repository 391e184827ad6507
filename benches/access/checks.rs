//! Checks of each kind, in turn with the empty service.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::bare::Reader;
use crate::load::{Order, Outcome, Question};
use crate::report::{Line, Report, Round, median, spread};
use crate::rounds::Calmest;
use crate::server::Server;
use crate::{Place, Result, usage};

const ROUNDS: usize = 5;
/// Of single checks that are alone, which differ most from one round to the next.
const ROUNDS_ALONE: usize = 9;
const TIME: Duration = Duration::from_millis(1_500);
/// Of bare reads.
const TIME_BARE: Duration = Duration::from_millis(200);
/// Calls in flight, and over how many connections.
const LEVELS: [(usize, usize); 3] = [(1, 1), (64, 8), (256, 8)];
/// One statement for each question, as many at once as the pool has connections for.
const ONE_EACH: [&str; 4] = ["--access-batch", "1", "--access-statements", "10"];

/// What checks are measured beside.
struct Beside {
    echo: Server,
    reading_echo: Server,
    reader: Arc<Reader>,
}

/// Medians in microseconds of a round of calls that are alone.
struct Alone {
    full: f64,
    empty: f64,
    bare_read: f64,
    empty_reading: f64,
}

pub async fn measure(report: &mut Report, place: &Place) -> Result<()> {
    {
        let server = Server::rolecall(&place.url, &place.mail(), &[])?;
        let beside = Beside::start(place).await?;
        // Those that are alone first: what many use is still being recorded seconds later.
        for level in levels() {
            for question in [Question::Session, Question::Key, Question::Batch] {
                kind(report, place, &server, &beside, question, level, "").await?;
            }
        }
    }
    let server = Server::rolecall(&place.url, &place.mail(), &ONE_EACH)?;
    let beside = Beside::start(place).await?;
    for level in levels() {
        kind(report, place, &server, &beside, Question::Key, level, ", one statement each").await?;
    }
    Ok(())
}

impl Beside {
    async fn start(place: &Place) -> Result<Self> {
        Ok(Self {
            echo: Server::echo()?,
            reading_echo: Server::reading_echo(&place.url, place.sessions)?,
            reader: Arc::new(Reader::open(&place.url, place.sessions).await?),
        })
    }
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
    beside: &Beside,
    question: Question,
    (in_flight, connections): (usize, usize),
    how: &str,
) -> Result<()> {
    let lone = in_flight == 1 && question != Question::Batch;
    let rounds = Calmest::of(if lone { ROUNDS_ALONE } else { ROUNDS }, async |round| {
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
        let empty = async || generate(&order(&beside.echo)).await;
        let between = async || -> Result<_> {
            if !lone {
                return Ok(None);
            }
            let bare_read = median(beside.reader.read_for(TIME_BARE).await?);
            Ok(Some((bare_read, generate(&order(&beside.reading_echo)).await?.p50)))
        };
        let full = async || -> Result<_> {
            let (own, data) = (usage::cpu(server.id())?, database_cpu(place));
            let full = generate(&order(server)).await?;
            Ok((full, usage::cpu(server.id())?.saturating_sub(own), database_cpu(place).saturating_sub(data)))
        };
        // Right beside each other, and each first in turn: how fast a thread wakes up changes from one minute to the next.
        let (empty, between, (full, server, database)) = if round % 2 == 0 {
            (empty().await?, between().await?, full().await?)
        } else {
            let full = full().await?;
            let between = between().await?;
            (empty().await?, between, full)
        };
        let alone = between.map(|(bare_read, empty_reading)| Alone {
            full: full.p50,
            empty: empty.p50,
            bare_read,
            empty_reading,
        });
        Ok((Round { empty, full, server, database }, alone))
    })
    .await?;
    let (taken, left_out) = (rounds.taken(), rounds.left_out());
    let (rounds, alone): (Vec<_>, Vec<_>) = rounds.rounds.into_iter().unzip();
    let alone: Vec<Alone> = alone.into_iter().flatten().collect();
    report.line(Line {
        database: place.database,
        what: format!("{}{how}", title(question)),
        in_flight,
        rounds,
        memory: usage::resident_mib(server.id())?,
        taken: taken.clone(),
        left_out,
    });
    if lone {
        let of_rounds = |part: fn(&Alone) -> f64| spread(alone.iter().map(part).collect(), 0);
        report.note(format!(
            "{}, {}{how}, alone: {} µs, the empty service {}, a bare read of one session {}, which leaves {} of each round; \
             the empty service, when it reads one session before it answers, {}, which leaves {} (p50; the host took {taken} \
             %; {ROUNDS_ALONE} rounds in turn, {left_out} left out: median, min – max)",
            place.database,
            title(question),
            of_rounds(|round| round.full),
            of_rounds(|round| round.empty),
            of_rounds(|round| round.bare_read),
            of_rounds(|round| round.full - round.empty - round.bare_read),
            of_rounds(|round| round.empty_reading),
            of_rounds(|round| round.full - round.empty_reading),
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
