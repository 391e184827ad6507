//! Records use and refusals every few seconds, and sweeps every few minutes.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::store::Histogram;

/// How often use is recorded. With the half minute in which nothing is marked again, and a second try for what
/// could not be recorded at the first, what is recorded is right to within a minute, as the contract says.
const USE_INTERVAL: Duration = Duration::from_secs(12);
const REFUSALS_INTERVAL: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How often figures are logged, for whoever wants to see them.
const FIGURES_INTERVAL: Duration = Duration::from_secs(60);
/// A server that has just been started has other things to do.
const FIRST_SWEEP: Duration = Duration::from_secs(30);

/// Keeps house for as long as it is not stopped, and leaves nothing unrecorded when it is. Recording does not wait for
/// sweeping, which takes its time.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(record(&app, &stop), sweep(&app, &stop));
    warn("use", app.record_use().await);
    warn("refusals", app.record_refusals(true).await);
}

async fn sweep(app: &App, stop: &CancellationToken) {
    let mut sweep = interval_at(Instant::now() + FIRST_SWEEP, SWEEP_INTERVAL);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = sweep.tick() => match app.sweep().await {
                Ok(swept) => tracing::debug!(?swept, "swept"),
                Err(error) => warn("housekeeping", Err(error)),
            },
        }
    }
}

async fn record(app: &App, stop: &CancellationToken) {
    let mut used = interval_at(Instant::now() + USE_INTERVAL, USE_INTERVAL);
    let mut refusals = interval_at(Instant::now() + REFUSALS_INTERVAL, REFUSALS_INTERVAL);
    let mut figures = interval_at(Instant::now() + FIGURES_INTERVAL, FIGURES_INTERVAL);
    let mut statements = 0;
    figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
    used.set_missed_tick_behavior(MissedTickBehavior::Delay);
    refusals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.refusal_noted() => warn("refusals", app.record_refusals(false).await),
            _ = used.tick() => warn("use", app.record_use().await),
            _ = refusals.tick() => warn("refusals", app.record_refusals(false).await),
            _ = figures.tick() => statements = log_figures(app, statements),
        }
    }
}

/// Says how access was asked about so far, if it was since the last time. Answers how many statements there were.
fn log_figures(app: &App, before: u64) -> u64 {
    let figures = app.access_figures();
    let statements = figures.batch_size.count;
    if statements != before {
        let at = |histogram: &Histogram| [0.5, 0.99, 0.999].map(|share| histogram.quantile(share));
        tracing::debug!(
            statements,
            questions = figures.batch_size.sum,
            failures = figures.failures,
            refused = figures.refused,
            batch_size = ?at(&figures.batch_size),
            wait_micros = ?at(&figures.wait_micros),
            query_micros = ?at(&figures.query_micros),
            "access"
        );
    }
    statements
}

fn warn(what: &str, outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, cause = error.cause().map(tracing::field::display), "{what} could not be recorded");
    }
}
