//! The same checks with ever more sessions. Ten million take minutes to put there; `ACCESS_SCALE` names other counts.

use std::sync::Arc;
use std::time::Duration;

use crate::bare::Reader;
use crate::checks::{database_cpu, generate};
use crate::load::{Order, Question};
use crate::report::{Report, each, mean, spread};
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
        let mut places = Vec::new();
        for count in &counts {
            let place = if postgres { Place::postgres(*count).await? } else { Place::sqlite(*count).await? };
            let server = Server::rolecall(&place.url, &place.mail(), &[])?;
            let reader = Arc::new(Reader::open(&place.url, place.sessions).await?);
            places.push((place, server, reader, Seen::default()));
        }
        // Without first: what is to be recorded is recorded for a while after, and whose turn that is nobody knows.
        for due in [[false; ROUNDS], [true; ROUNDS]].concat() {
            for (place, server, reader, seen) in &mut places {
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
                if due {
                    seen.recorded.push(generate(&order).await?.per_second);
                    continue;
                }
                seen.bare.push(mean(&reader.read_for(TIME_BARE).await?));
                let (own, database) = (usage::cpu(server.id())?, database_cpu(place));
                let faults = usage::page_faults(server.id())?;
                let outcome = generate(&order).await?;
                seen.faults.push((usage::page_faults(server.id())? - faults) as f64 / outcome.calls.max(1) as f64);
                seen.own.push(each(usage::cpu(server.id())?.saturating_sub(own), outcome.calls));
                seen.database.push(each(database_cpu(place).saturating_sub(database), outcome.calls));
                seen.unrecorded.push(outcome.per_second);
            }
        }
        for (place, _, _, seen) in places {
            let Place { database, sessions, .. } = place;
            report.note(format!(
                "{database}, {sessions} sessions, 256 in flight, no use to record: {} checks/s, each {} µs of the server's \
                 processor time, {} of the database's and {} page faults of the server; bare reads of a session, one after \
                 the other, take {} µs in the mean ({ROUNDS} rounds in turn: median, min – max)",
                spread(seen.unrecorded, 0),
                spread(seen.own, 1),
                spread(seen.database, 1),
                spread(seen.faults, 2),
                spread(seen.bare, 1),
            ));
            report.note(format!(
                "{database}, {sessions} sessions, 256 in flight, use recorded of each that was not used for a while: {} \
                 checks/s ({ROUNDS} rounds in turn: median, min – max)",
                spread(seen.recorded, 0)
            ));
        }
    }
    Ok(())
}

/// What each round gave.
#[derive(Default)]
struct Seen {
    unrecorded: Vec<f64>,
    own: Vec<f64>,
    database: Vec<f64>,
    faults: Vec<f64>,
    bare: Vec<f64>,
    recorded: Vec<f64>,
}
