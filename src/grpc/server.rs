//! The assembly: layers, services, health and reflection on one listener.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use crate::app::App;
use crate::config::{GrpcConfig, LimitConfig};

use super::layer::{Authn, Conduct, Deadline, Details, Layers, LoadShed, PanicGuard, RuleGate, Trace};
use super::listener::Listener;
use super::service::Api;
use super::{health, pb};

use pb::v1::access_service_server::AccessServiceServer;
use pb::v1::audit_service_server::AuditServiceServer;
use pb::v1::invitation_service_server::InvitationServiceServer;
use pb::v1::password_service_server::PasswordServiceServer;
use pb::v1::session_service_server::SessionServiceServer;
use pb::v1::user_service_server::UserServiceServer;
use pb::v1::workspace_service_server::WorkspaceServiceServer;

/// How long connections take to notice that they were ended, and after that changes that were begun to be finished.
const LAST: Duration = Duration::from_secs(1);

/// The layers from the outside in, each with the reason for its place.
pub const LAYERS: [(&str, &str); 8] = [
    ("trace", "outermost: every call gets a name and a line, whatever becomes of it"),
    ("conduct", "outside of everything that refuses, since it counts for what"),
    ("details", "outside of everything that makes errors, since it completes those that come bare"),
    ("panic", "outside of all of our own work"),
    ("shed", "before anything that costs: a call too many is refused for nothing"),
    ("deadline", "around all that waits, the look-up of the credential included"),
    ("authn", "before the rule, which needs a caller"),
    ("rule", "last: whatever gets past it has been admitted, and only then is the message taken for what it says"),
];

/// Serves until `shutdown`, then finishes what runs. It ends within `--shutdown-grace` and two seconds, whatever clients
/// do.
///
/// # Errors
/// If the listener fails, or reflection cannot be built of the descriptors.
pub async fn serve(
    app: App,
    config: GrpcConfig,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let config = Arc::new(config);
    let tasks = TaskTracker::new();
    let api = Api::new(app.clone(), tasks.clone());
    let (reporter, health_service) = tonic_health::server::health_reporter();
    health::report(&reporter, app.ping().await.is_ok()).await;
    let watch = tokio::spawn(health::watch(app.clone(), reporter.clone()));

    // The order is that of `LAYERS`.
    let layers = Layers::outermost(Trace { app })
        .inside(Conduct)
        .inside(Details)
        .inside(PanicGuard)
        .inside(LoadShed::new(config.max_calls_in_flight))
        .inside(Deadline { longest: config.max_call_time })
        .inside(Authn)
        .inside(RuleGate { config: Arc::clone(&config) });
    macro_rules! bounded {
        ($server:ident) => {
            $server::new(api.clone())
                .max_decoding_message_size(config.limits.max_request_size)
                .max_encoding_message_size(config.limits.max_response_size)
        };
    }
    let mut router = bounded(&config.limits)
        .layer(layers)
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

    let end = CancellationToken::new();
    let (told, stopping) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        watch.abort();
        health::end(reporter).await;
        let _ = told.send(());
    };
    let serving = router.serve_with_incoming_shutdown(listener.connections(end.clone()), signal);
    let outcome = within_grace(serving, stopping, config.limits.shutdown_grace, end).await;
    // Changes that were begun are finished, even if whoever asked for them has gone.
    tasks.close();
    if timeout(LAST, tasks.wait()).await.is_err() {
        tracing::error!("some changes were not finished in time; whether they have happened is not known");
    }
    Ok(outcome?)
}

/// Serves to the end. Connections that are still there when the grace is over are ended.
async fn within_grace<E>(
    serving: impl Future<Output = Result<(), E>>,
    stopping: oneshot::Receiver<()>,
    grace: Duration,
    end: CancellationToken,
) -> Result<(), E> {
    let over = async {
        if stopping.await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(grace).await;
    };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        outcome = &mut serving => return outcome,
        () = over => {}
    }
    tracing::warn!("some connections did not end in time; they are closed");
    end.cancel();
    timeout(LAST, serving).await.unwrap_or(Ok(()))
}

/// A server within the limits. Its greatest connection age only says GOAWAY (given a grace too, tonic never says it);
/// the listener closes what goes on after that.
fn bounded(limits: &LimitConfig) -> Server {
    let window = u32::try_from(limits.max_request_size).unwrap_or(u32::MAX / 4);
    Server::builder()
        .max_concurrent_streams(limits.max_concurrent_streams)
        .http2_max_local_error_reset_streams(Some(limits.max_error_resets))
        .http2_max_pending_accept_reset_streams(Some(limits.max_pending_resets))
        .http2_max_header_list_size(limits.max_header_list_size)
        .max_frame_size(limits.max_frame_size)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window * 4)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
        .max_connection_age(limits.max_connection_age)
}

/// Describes our services, health, and the types of error details.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
