//! `grpc.health.v1`: whether each service can do its work, which it can while the database answers.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::app::App;
use crate::authz::RULES;

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longer than a wait for a connection and one for a lock together: a database that is busy is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the health of all services up to date, for ever.
pub async fn watch(app: App, reporter: HealthReporter) {
    let mut known = None;
    loop {
        let answered = tokio::time::timeout(PATIENCE, app.ping()).await;
        let serving = matches!(answered, Ok(Ok(())));
        if known != Some(serving) {
            if let (Some(_), false) = (known, serving) {
                tracing::error!("the database does not answer");
            }
            report(&reporter, serving).await;
            known = Some(serving);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reports the same of the server as a whole and of each service.
pub async fn report(reporter: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in services() {
        reporter.set_service_status(service, status).await;
    }
}

/// Says that nothing is served any more, and lets go of those who watch: their streams would hold up the end.
pub async fn end(mut reporter: HealthReporter) {
    report(&reporter, false).await;
    for service in services() {
        reporter.clear_service_status(service).await;
    }
}

/// The names of all services, and the empty one, which stands for the server.
fn services() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&'static str> =
        RULES.iter().filter_map(|rule| rule.path.strip_prefix('/')?.split('/').next()).collect();
    names.dedup();
    names.into_iter().chain([""])
}
