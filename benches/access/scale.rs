//! The same checks with ever more sessions. Ten million take minutes to put there; `ACCESS_SCALE` names other counts.

use std::time::Duration;

use crate::checks::generate;
use crate::load::{Order, Question};
use crate::report::Report;
use crate::server::Server;
use crate::{Place, Result};

const COUNTS: [u64; 2] = [10_000, 1_000_000];
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

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
            places.push((place, server, [Vec::new(), Vec::new()]));
        }
        // Without first: what is to be recorded is recorded for a while after.
        for due in [[false; ROUNDS], [true; ROUNDS]].concat() {
            for (place, server, rates) in &mut places {
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
                rates[usize::from(due)].push(generate(&order).await?.per_second);
            }
        }
        for (place, _, rates) in &mut places {
            for (rates, how) in rates.iter_mut().zip(["no use to record", "each use recorded"]) {
                rates.sort_by(f64::total_cmp);
                report.note(format!(
                    "{}, {} sessions, 256 in flight, {how}: {:.0} checks/s ({:.0} – {:.0})",
                    place.database,
                    place.sessions,
                    rates[rates.len() / 2],
                    rates[0],
                    rates[rates.len() - 1]
                ));
            }
        }
    }
    Ok(())
}
