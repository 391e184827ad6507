//! The assembly: layers, services, health and reflection on one listener.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;

use crate::app::App;
use crate::config::GrpcConfig;

use super::layer::{AroundLayer, Authn, Deadline, Details, LoadShed, PanicGuard, RuleGate, Trace};
use super::service::Api;
use super::{health, pb};

use pb::v1::access_service_server::AccessServiceServer;
use pb::v1::audit_service_server::AuditServiceServer;
use pb::v1::invitation_service_server::InvitationServiceServer;
use pb::v1::password_service_server::PasswordServiceServer;
use pb::v1::session_service_server::SessionServiceServer;
use pb::v1::user_service_server::UserServiceServer;
use pb::v1::workspace_service_server::WorkspaceServiceServer;

/// Largest message that is taken, in bytes. The largest that means something is a batch of 100 checks by token, which is
/// below 8 KiB.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest message that is sent, in bytes: 200 people with the longest names and addresses are below 200 KiB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// How long calls in work may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// The layers from the outside in, each with the reason for its place.
pub const LAYERS: [(&str, &str); 7] = [
    ("trace", "outermost: every call gets a name and a line, whatever becomes of it"),
    ("details", "outside of everything that makes errors, since it completes those that come bare"),
    ("panic", "outside of all of our own work"),
    ("shed", "before anything that costs: a call too many is refused for nothing"),
    ("deadline", "around all that waits, the look-up of the credential included"),
    ("authn", "before the rule, which needs a caller"),
    ("rule", "last: whatever gets past it has been admitted, and only then is the message decoded"),
];

/// Serves until `shutdown`, then finishes what runs.
///
/// # Errors
/// If the listener fails, or reflection cannot be built of the descriptors.
pub async fn serve(
    app: App,
    config: GrpcConfig,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let config = Arc::new(config);
    let tasks = TaskTracker::new();
    let api = Api::new(app.clone(), tasks.clone());
    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::report(&reporter, app.ping().await.is_ok()).await;
    let watch = tokio::spawn(health::watch(app.clone(), reporter.clone()));

    // The order is that of `LAYERS`.
    let layers = ServiceBuilder::new()
        .layer(AroundLayer(Trace { app }))
        .layer(AroundLayer(Details))
        .layer(AroundLayer(PanicGuard))
        .layer(AroundLayer(LoadShed::new(config.max_calls_in_flight)))
        .layer(AroundLayer(Deadline { longest: config.max_call_time }))
        .layer(AroundLayer(Authn))
        .layer(AroundLayer(RuleGate { config: Arc::clone(&config) }))
        .into_inner();
    macro_rules! bounded {
        ($server:ident) => {
            $server::new(api.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_ANSWER_BYTES)
        };
    }
    let mut server = Server::builder().layer(layers);
    let mut router = server
        .add_service(bounded!(UserServiceServer))
        .add_service(bounded!(InvitationServiceServer))
        .add_service(bounded!(SessionServiceServer))
        .add_service(bounded!(PasswordServiceServer))
        .add_service(bounded!(WorkspaceServiceServer))
        .add_service(bounded!(AccessServiceServer))
        .add_service(bounded!(AuditServiceServer))
        .add_service(health_service);
    if !config.no_reflection {
        router = router.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }

    let (stopped, stopping) = tokio::sync::oneshot::channel();
    let signal = async move {
        shutdown.await;
        health::report(&reporter, false).await;
        // Nobody waits for this but the grace period below, which then never ends: harmless once serving has ended.
        let _ = stopped.send(());
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = router.serve_with_incoming_shutdown(incoming, signal);
    let outcome = tokio::select! {
        outcome = serving => outcome,
        () = grace_after(stopping) => {
            tracing::warn!("some connections did not end in time");
            Ok(())
        }
    };
    watch.abort();
    // Changes that were begun are finished, even if whoever asked for them has gone.
    tasks.close();
    tasks.wait().await;
    Ok(outcome?)
}

async fn grace_after(stopping: tokio::sync::oneshot::Receiver<()>) {
    if stopping.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(GRACE).await;
}

/// Describes our services, health, and the types of error details.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
