//! Sends what waits in the outbox: claim, mint, send, settle.
//!
//! No transaction is open while an e-mail is on its way. A crash between sending and settling sends it a second time;
//! both links of an invitation work, and of a reset the newer one. Nothing that a single e-mail does ends the worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::app::{App, SEND_LIMIT};
use crate::error::Result;
use crate::mail::Mailer;
use crate::store::LeasedEmail;

/// E-mails on their way at once.
const CONCURRENCY: usize = 8;
/// How long the worker sleeps at the most: what another process queued is found by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// New e-mail wakes the worker at once; this is for what failed and is due again.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

/// Sends for as long as it is not stopped. One slow conversation holds up no other e-mail while there are places left.
pub async fn run(app: App, mailer: Arc<Mailer>, stop: CancellationToken) {
    let mut sending = JoinSet::new();
    while !stop.is_cancelled() {
        if let Err(error) = start_due(&app, &mailer, &mut sending).await {
            tracing::warn!(%error, cause = error.cause().map(tracing::field::display), "the outbox cannot be read");
        }
        let full = sending.len() >= CONCURRENCY;
        let next = app.next_email_in().await.ok().flatten().unwrap_or(LONGEST_SLEEP);
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.outbox_filled(), if !full => {}
            Some(done) = sending.join_next() => report(done),
            () = tokio::time::sleep(next.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)), if !full => {}
        }
    }
    while let Some(done) = sending.join_next().await {
        report(done);
    }
}

/// Sends the e-mails that are due now, a batch at most. Answers how many were tried.
pub async fn deliver_due(app: &App, mailer: &Arc<Mailer>) -> Result<usize> {
    let mut sending = JoinSet::new();
    let started = start_due(app, mailer, &mut sending).await?;
    while let Some(done) = sending.join_next().await {
        report(done);
    }
    Ok(started)
}

/// Claims as many e-mails as there are places for and begins to send them.
async fn start_due(app: &App, mailer: &Arc<Mailer>, sending: &mut JoinSet<Result<()>>) -> Result<usize> {
    let places = CONCURRENCY.saturating_sub(sending.len());
    if places == 0 {
        return Ok(0);
    }
    let claimed = app.claim_emails(places).await?;
    let started = claimed.len();
    for lease in claimed {
        sending.spawn(deliver(app.clone(), Arc::clone(mailer), lease));
    }
    Ok(started)
}

fn report(done: std::result::Result<Result<()>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, cause = error.cause().map(tracing::field::display), "an e-mail could not be handled")
        }
        Err(error) => tracing::error!(%error, "sending an e-mail panicked"),
    }
}

async fn deliver(app: App, mailer: Arc<Mailer>, lease: LeasedEmail) -> Result<()> {
    let id = lease.outbox_id;
    let Some(outgoing) = app.mint_email(&lease).await? else {
        return Ok(());
    };
    let outcome = mailer.send(&outgoing.email, SEND_LIMIT).await;
    if let Err(error) = &outcome {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(outbox_id = %id, %error, permanent = error.permanent, "an e-mail was not sent");
        // The server's own words may name the recipient.
        tracing::debug!(outbox_id = %id, source, "why an e-mail was not sent");
    }
    app.settle_email(&outgoing, &outcome).await
}
