//! Holds the method's rule against the caller, before the message is decoded.
//!
//! The second half of the authorization interceptor, and the last layer: after it there is an operation. The workspace
//! that the metadata names comes after the rule, in the order of refusals.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use crate::authz::{Caller, gate};
use crate::config::GrpcConfig;
use crate::error::{Error, FieldReason, Reason, Result};
use crate::grpc::call::Call;
use crate::grpc::listener::Origin;
use crate::model::{MAX_USER_AGENT_BYTES, Peer, WorkspaceId, bounded_text, parse_uuid};

use super::{Around, Next};

const WORKSPACE: &str = "rolecall-workspace-id";
const CLIENT_ADDRESS: &str = "rolecall-client-address";
const CLIENT_USER_AGENT: &str = "rolecall-client-user-agent";

#[derive(Clone)]
pub struct RuleGate {
    pub config: Arc<GrpcConfig>,
}

impl Around for RuleGate {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let Some(call) = request.extensions().get::<Call>().cloned() else {
            return next.run(request).await;
        };
        // Without a rule it is a service that is open by name.
        let (Some(rule), Some(caller)) = (call.rule(), call.caller()) else {
            return next.run(request).await;
        };
        call.set_peer(peer(&self.config, &request));
        let admitted = gate::admit(rule, caller).and_then(|()| in_workspace(caller.clone(), request.headers()));
        match admitted {
            Ok(caller) => {
                call.admit(caller);
                next.run(request).await
            }
            Err(error) => call.refuse(&error).into_http(),
        }
    }
}

/// The caller in the workspace that the metadata names, if it names one.
fn in_workspace(caller: Caller, headers: &HeaderMap) -> Result<Caller> {
    match caller {
        Caller::Session(session) => match named_workspace(headers)? {
            Some(named) if named != session.workspace_id => Err(Reason::WorkspaceMismatch.into()),
            _ => Ok(Caller::Session(session)),
        },
        Caller::ServiceKey(mut key) => {
            let named = named_workspace(headers)?;
            match (named, key.bound_to) {
                // A workspace that the key is not for is nothing to it, whether it exists or not.
                (Some(named), Some(bound)) if named != bound => return Err(Reason::WorkspaceNotFound.into()),
                _ => key.workspace = named.or(key.bound_to),
            }
            Ok(Caller::ServiceKey(key))
        }
        other => Ok(other),
    }
}

fn named_workspace(headers: &HeaderMap) -> Result<Option<WorkspaceId>> {
    let mut values = headers.get_all(WORKSPACE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(parse_uuid);
    match (id, values.next()) {
        (Some(id), None) => Ok(Some(WorkspaceId::new(id))),
        (_, Some(_)) => Err(Error::field(WORKSPACE, FieldReason::Malformed, "must be sent once at most")),
        (None, None) => Err(Error::field(WORKSPACE, FieldReason::Malformed, "must be a UUID")),
    }
}

/// Where the call comes from: the connection's, or what a trusted peer says of its client.
fn peer(config: &GrpcConfig, request: &Request<Body>) -> Peer {
    let address = request.extensions().get::<Origin>().map(|origin| origin.address.ip().to_canonical());
    // What is said twice is not known: a gateway that appends would let its client say it first.
    let header = |name: &str| {
        let mut values = request.headers().get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let trusted = address.is_some_and(|address| config.trusts(address));
    let (reported, reported_agent) = if trusted {
        let reported = header(CLIENT_ADDRESS).and_then(|text| text.parse().ok()).map(|ip: IpAddr| ip.to_canonical());
        (reported, header(CLIENT_USER_AGENT))
    } else {
        (None, None)
    };
    let agent = reported_agent.or_else(|| header("user-agent")).unwrap_or_default();
    // A trusted peer speaks for its clients; its own address is nobody's, and never stands for one of them.
    Peer { address: if trusted { reported } else { address }, user_agent: bounded_text(agent, MAX_USER_AGENT_BYTES) }
}
