//! Sends what waits in the outbox: claim, mint, send, settle.
//!
//! No transaction is open while an e-mail is on its way. A crash between sending and settling sends it a second time;
//! both links work. Nothing that a single e-mail does ends the worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{App, SEND_LIMIT, retrying};
use crate::error::Result;
use crate::mail::Mailer;
use crate::model::{OutboxId, WorkspaceId};

/// E-mails on their way at once.
const CONCURRENCY: u64 = 8;
/// How long the worker sleeps at the most: what another process queued is found by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// New e-mail wakes the worker at once; this is for what failed and is due again.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

/// Sends for as long as it is not stopped.
pub async fn run(app: App, mailer: Arc<Mailer>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match deliver_due(&app, &mailer).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, cause = error.cause().map(tracing::field::display), "the outbox cannot be read")
            }
        }
        let next = app.next_email_in().await.ok().flatten().unwrap_or(LONGEST_SLEEP);
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.outbox_filled() => {}
            () = tokio::time::sleep(next.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)) => {}
        }
    }
}

/// Sends the e-mails that are due, a batch at most. Answers how many were tried.
pub async fn deliver_due(app: &App, mailer: &Arc<Mailer>) -> Result<usize> {
    let due = app.due_emails(CONCURRENCY).await?;
    let mut sending = JoinSet::new();
    for (id, workspace) in due {
        sending.spawn(deliver(app.clone(), Arc::clone(mailer), id, workspace));
    }
    let mut tried = 0;
    while let Some(done) = sending.join_next().await {
        match done {
            Ok(Ok(sent)) => tried += usize::from(sent),
            Ok(Err(error)) => {
                tracing::warn!(%error, cause = error.cause().map(tracing::field::display), "an e-mail could not be handled")
            }
            Err(error) => tracing::error!(%error, "sending an e-mail panicked"),
        }
    }
    Ok(tried)
}

async fn deliver(app: App, mailer: Arc<Mailer>, id: OutboxId, workspace: Option<WorkspaceId>) -> Result<bool> {
    let Some(outgoing) = retrying(|| app.claim_email(id, workspace)).await? else {
        return Ok(false);
    };
    let outcome = mailer.send(&outgoing.email, SEND_LIMIT).await;
    if let Err(error) = &outcome {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(outbox_id = %id, %error, permanent = error.permanent, "an e-mail was not sent");
        // The server's own words may name the recipient.
        tracing::debug!(outbox_id = %id, source, "why an e-mail was not sent");
    }
    retrying(|| app.settle_email(&outgoing, &outcome)).await?;
    Ok(true)
}
