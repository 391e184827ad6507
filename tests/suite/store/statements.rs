//! The statements that a piece of work has the database run, as the driver logs them.
//!
//! The driver logs on a thread of its own, inside the span that the work ran in. It holds that span until the statement is
//! over, so when the span closes, all statements have been logged.

use std::collections::BTreeMap;
use std::sync::{Mutex, Once};

use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Event, Instrument, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const DRIVER: &str = "sqlx::query";
const WORK: &str = "work";

/// What was logged so far in the spans of works.
static WORKS: Mutex<BTreeMap<u64, Work>> = Mutex::new(BTreeMap::new());
static COLLECT: Once = Once::new();

struct Work {
    statements: Vec<String>,
    closed: oneshot::Sender<Vec<String>>,
}

/// Does the work and answers its statements, in order.
pub async fn statements_of<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    COLLECT.call_once(|| {
        let targets = Targets::new().with_target(DRIVER, Level::DEBUG).with_target(WORK, Level::INFO);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(targets).with(Collector)).unwrap();
    });
    let span = tracing::info_span!(target: WORK, "work");
    let (closed, statements) = oneshot::channel();
    WORKS.lock().unwrap().insert(span.id().unwrap().into_u64(), Work { statements: Vec::new(), closed });
    let done = work.instrument(span).await;
    (done, statements.await.unwrap())
}

struct Collector;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(work) = WORKS.lock().unwrap().get_mut(&span.id().into_u64()) {
            let mut logged = Logged::default();
            event.record(&mut logged);
            // One of four words is its own summary.
            work.statements.push(if logged.statement.is_empty() { logged.summary } else { logged.statement });
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if let Some(work) = WORKS.lock().unwrap().remove(&id.into_u64()) {
            let _ = work.closed.send(work.statements);
        }
    }
}

#[derive(Default)]
struct Logged {
    summary: String,
    statement: String,
}

impl Visit for Logged {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.trim().to_owned(),
            "db.statement" => self.statement = value.trim().to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
