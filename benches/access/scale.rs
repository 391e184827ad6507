//! The same checks with ever more sessions. Ten million take minutes to put there; `ACCESS_SCALE` names other counts.

use std::sync::Arc;
use std::time::Duration;

use crate::bare::Reader;
use crate::checks::{database_cpu, generate};
use crate::load::{Order, Question};
use crate::report::{Report, each, mean, spread};
use crate::rounds::Calmest;
use crate::server::Server;
use crate::{Place, Result, usage};

const COUNTS: [u64; 2] = [10_000, 1_000_000];
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_secs(2);
/// Of bare reads.
const TIME_BARE: Duration = Duration::from_millis(500);

pub async fn measure(report: &mut Report) -> Result<()> {
    let named = std::env::var("ACCESS_SCALE").ok();
    let counts: Vec<u64> = match named {
        Some(text) => text.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?,
        None => COUNTS.to_vec(),
    };
    for postgres in [false, true] {
        // All at once, so that each round has them side by side.
        let mut asked = Vec::new();
        for count in &counts {
            let place = if postgres { Place::postgres(*count).await? } else { Place::sqlite(*count).await? };
            let server = Server::rolecall(&place.url, &place.mail(), &[])?;
            let reader = Arc::new(Reader::open(&place.url, place.sessions).await?);
            asked.push(Asked { place, server, reader });
        }
        // Without first: what is to be recorded is recorded for a while after, and whose turn that is nobody knows.
        let unrecorded = Calmest::of(ROUNDS, async |_| in_turn(&asked, false).await).await?;
        let recorded = Calmest::of(ROUNDS, async |_| in_turn(&asked, true).await).await?;
        for (number, Asked { place, .. }) in asked.iter().enumerate() {
            let Place { database, sessions, .. } = place;
            let of = |rounds: &Calmest<Vec<Seen>>, value: fn(&Seen) -> f64, digits| {
                spread(rounds.each(|seen| value(&seen[number])), digits)
            };
            report.note(format!(
                "{database}, {sessions} sessions, 256 in flight, no use to record: {} checks/s, each {} µs of the server's \
                 processor time, {} of the database's and {} page faults of the server; bare reads of a session, one after \
                 the other, take {} µs in the mean; the host took {} % ({ROUNDS} rounds in turn, {} left out: median, min – \
                 max)",
                of(&unrecorded, |seen| seen.per_second, 0),
                of(&unrecorded, |seen| seen.own, 1),
                of(&unrecorded, |seen| seen.database, 1),
                of(&unrecorded, |seen| seen.faults, 2),
                of(&unrecorded, |seen| seen.bare.unwrap_or(f64::NAN), 1),
                unrecorded.taken(),
                unrecorded.left_out(),
            ));
            report.note(format!(
                "{database}, {sessions} sessions, 256 in flight, use recorded of each that was not used for a while: {} \
                 checks/s; the host took {} % ({ROUNDS} rounds in turn, {} left out: median, min – max)",
                of(&recorded, |seen| seen.per_second, 0),
                recorded.taken(),
                recorded.left_out(),
            ));
        }
    }
    Ok(())
}

/// A database, and whoever is asked about it.
struct Asked {
    place: Place,
    server: Server,
    reader: Arc<Reader>,
}

/// What one database gave in one round. Times are in microseconds of one call, those of processors too.
struct Seen {
    per_second: f64,
    own: f64,
    database: f64,
    faults: f64,
    /// Not where use is recorded: what is recorded for a while after should meet the next round's calls.
    bare: Option<f64>,
}

/// One round over all of them.
async fn in_turn(asked: &[Asked], due: bool) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for Asked { place, server, reader } in asked {
        let order = Order {
            address: server.address.clone(),
            question: Question::Key,
            connections: 8,
            in_flight: 256,
            time: TIME,
            sessions: place.sessions,
            key: place.key.clone(),
            due,
            pause: Duration::ZERO,
        };
        let bare = if due { None } else { Some(mean(&reader.read_for(TIME_BARE).await?)) };
        let (own, database) = (usage::cpu(server.id())?, database_cpu(place));
        let faults = usage::page_faults(server.id())?;
        let outcome = generate(&order).await?;
        seen.push(Seen {
            per_second: outcome.per_second,
            own: each(usage::cpu(server.id())?.saturating_sub(own), outcome.calls),
            database: each(database_cpu(place).saturating_sub(database), outcome.calls),
            faults: (usage::page_faults(server.id())? - faults) as f64 / outcome.calls.max(1) as f64,
            bare,
        });
    }
    Ok(seen)
}
