//! Whole requests: the real server on a database of its own, and bytes for messages.
//!
//! The first bytes say which method, who calls and how the rest is read: as the message, or as a list of fields (by their
//! place in the descriptors) with numbers, bytes, or values that mean something here, since nobody guesses an id.
//!
//! Every answer is good or has the form of the contract's errors; INTERNAL is none of them. Nobody in one workspace reads
//! what is in the other.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use rolecall::app::{App, AppConfig, CreateServiceKey};
use rolecall::authz::ServiceScope;
use rolecall::clock::{Clock, Timestamp};
use rolecall::config::{DatabaseConfig, GrpcConfig, LinkConfig, QuotaConfig, SecurityConfig};
use rolecall::grpc::pb::{FILE_DESCRIPTOR_SET, v1};
use rolecall::grpc::{Listener, serve};
use rolecall::model::{EmailAddress, Name, WorkspaceId, parse_uuid};
use rolecall::store::Store;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use v1::invitation_service_client::InvitationServiceClient;

use super::codec::Raw;

const PASSWORD: &str = "violet kettle orbit 77 lamp";
/// Stands in everything of the other workspace, and in nothing else.
const FOREIGN: &str = "quokka";
/// 2026-01-01T00:00:00Z, for ever.
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
/// After so many requests everything is as it was at the beginning.
const REQUESTS: usize = 2_000;
const SCOPES: [ServiceScope; 5] = [
    ServiceScope::CheckAccess,
    ServiceScope::CheckUserAccess,
    ServiceScope::ReadUsers,
    ServiceScope::ReadAudit,
    ServiceScope::ProvisionWorkspaces,
];

pub fn requests(data: &[u8]) {
    static HARNESS: LazyLock<Mutex<Harness>> = LazyLock::new(|| Mutex::new(Harness::new()));
    HARNESS.lock().unwrap_or_else(PoisonError::into_inner).run(data);
}

struct Harness {
    runtime: Runtime,
    contract: Contract,
    template: Template,
    service: Option<Service>,
}

impl Harness {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let template = runtime.block_on(Template::build());
        Self { runtime, contract: Contract::read(), template, service: None }
    }

    fn run(&mut self, data: &[u8]) {
        let [method, caller, mode, rest @ ..] = data else { return };
        let method = &self.contract.methods[usize::from(*method) % self.contract.methods.len()];
        let callers = &self.template.callers;
        let (caller, names) = (usize::from(*caller) % callers.len(), usize::from(*caller) / callers.len() % 3);
        let message = match mode % 2 {
            0 => rest.to_vec(),
            _ => self.contract.assemble(&method.request, rest, &self.template.words),
        };
        let mut request = Request::new(message.clone());
        if let Some(bearer) = &callers[caller] {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        if names > 0 {
            request.metadata_mut().insert("rolecall-workspace-id", self.template.workspaces[names - 1].clone());
        }
        let template = &self.template;
        let service = self.service.get_or_insert_with(|| self.runtime.block_on(Service::start(template.fresh())));
        service.requests += 1;
        let answer = self.runtime.block_on(service.call(&method.path, request));
        let mut worn_out = service.requests >= REQUESTS;
        match answer {
            Ok(answer) => {
                let asked = contains(&message, FOREIGN.as_bytes());
                let may_see = method.open || caller > template.sessions;
                assert!(asked || may_see || !contains(&answer, FOREIGN.as_bytes()), "{}: the other's", method.path);
            }
            Err(status) => {
                judge(&method.path, &status);
                // Somebody has ended their own session.
                worn_out |= status.code() == Code::Unauthenticated && callers[caller].is_some();
            }
        }
        if worn_out && let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// An error has the form of the contract, and is none of ours.
fn judge(path: &str, status: &Status) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{path}: a bare error: {status:?}"));
    assert_eq!(info.domain, "rolecall", "{path}");
    let known = v1::ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason));
    assert!(known.is_some(), "{path}: {} is no reason", info.reason);
    match status.code() {
        Code::Internal => assert_eq!(info.reason, "MESSAGE_MALFORMED", "{path}: {status:?}"),
        Code::InvalidArgument if info.reason == "FIELD_INVALID" => {
            let bad = details.bad_request().map(|bad| bad.field_violations.len());
            assert!(bad.is_some_and(|count| count > 0), "{path}: no field is named: {status:?}");
        }
        Code::ResourceExhausted | Code::Unavailable => {
            assert!(details.retry_info().is_some(), "{path}: nothing says when to try again: {status:?}");
        }
        Code::Unknown | Code::Cancelled | Code::DataLoss | Code::DeadlineExceeded => panic!("{path}: {status:?}"),
        _ => {}
    }
    for word in ["SELECT ", "sqlx", "SQLite", "panicked", ".rs:", "/tmp", "/dev/shm"] {
        assert!(!status.message().contains(word), "{path}: it says {word}: {status:?}");
    }
}

struct Method {
    path: String,
    request: String,
    open: bool,
}

struct Field {
    number: u32,
    /// The message that it holds, if it holds one of ours.
    message: Option<String>,
}

/// The methods and messages of the descriptors.
struct Contract {
    methods: Vec<Method>,
    messages: Vec<(String, Vec<Field>)>,
}

/// Of the methods that are open to anyone, the one that shows something of a workspace to whoever has a link.
const OPEN: [&str; 5] = ["PreviewInvitation", "AcceptInvitation", "SignIn", "RequestPasswordReset", "ResetPassword"];

impl Contract {
    fn read() -> Self {
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let files: Vec<_> = set.file.iter().filter(|file| file.package() == "rolecall.v1").collect();
        let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let field = |field: &prost_types::FieldDescriptorProto| Field {
            number: u32::try_from(field.number()).unwrap_or_default(),
            message: (field.r#type() == Type::Message).then(|| short(field.type_name())),
        };
        let messages = files.iter().flat_map(|file| &file.message_type);
        let services = files.iter().flat_map(|file| &file.service);
        let methods = services.flat_map(|service| {
            service.method.iter().map(|method| Method {
                path: format!("/rolecall.v1.{}/{}", service.name(), method.name()),
                request: short(method.input_type()),
                open: OPEN.contains(&method.name()),
            })
        });
        Self {
            methods: methods.collect(),
            messages: messages.map(|it| (it.name().to_owned(), it.field.iter().map(field).collect())).collect(),
        }
    }

    /// A message of these fields: place, what follows, and that.
    fn assemble(&self, message: &str, mut rest: &[u8], words: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        let Some((_, fields)) = self.messages.iter().find(|(name, fields)| name == message && !fields.is_empty())
        else {
            return rest.to_vec();
        };
        while let [place, kind, value, tail @ ..] = rest {
            let field = &fields[usize::from(*place) % fields.len()];
            rest = tail;
            if kind % 4 == 0 {
                // A number: small, of any sign.
                prost::encoding::encode_varint(u64::from(field.number) << 3, &mut wire);
                prost::encoding::encode_varint(i64::from(value.cast_signed()).cast_unsigned(), &mut wire);
                continue;
            }
            let (own, after) = tail.split_at(usize::from(*value).min(tail.len()));
            let bytes = match (kind % 4, &field.message) {
                (1, _) => words[usize::from(*value) % words.len()].clone(),
                (_, Some(inner)) if inner != message => {
                    rest = after;
                    self.assemble(inner, own, words)
                }
                _ => {
                    rest = after;
                    own.to_vec()
                }
            };
            prost::encoding::encode_varint(u64::from(field.number) << 3 | 2, &mut wire);
            prost::encoding::encode_varint(bytes.len() as u64, &mut wire);
            wire.extend(bytes);
        }
        wire
    }
}

/// A database with two workspaces, and what a client can know of it.
struct Template {
    folder: TempDir,
    /// Nobody, people of the first workspace, and service keys.
    callers: Vec<Option<AsciiMetadataValue>>,
    /// How many of these are people.
    sessions: usize,
    workspaces: [AsciiMetadataValue; 2],
    words: Vec<Vec<u8>>,
}

/// On a disk a durable write would be most of the time.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl Template {
    async fn build() -> Self {
        let folder = folder();
        let service = Service::start(folder.path().join("rolecall.db")).await;
        let olga = service.found("Acme", "olga@acme.example", "Olga").await;
        let zoe = service.found(FOREIGN, &format!("zoe@{FOREIGN}.example"), FOREIGN).await;
        let (mut callers, mut words, mut sessions) = (vec![None], Vec::new(), 0);
        for (number, role) in
            [v1::Role::Owner, v1::Role::Admin, v1::Role::Manager, v1::Role::Agent].into_iter().enumerate()
        {
            let email = format!("p{number}@acme.example");
            let link = service.invite(&olga.session_token, &email, role).await;
            let person = service.accept(&link, &email).await;
            callers.push(Some(bearer(&person.session_token)));
            sessions += 1;
            let session = person.session.unwrap();
            words.extend([person.session_token, person.device_token, session.session_id, session.user_id, email]);
        }
        let acme = olga.session.as_ref().unwrap().workspace_id.clone();
        let zeta = zoe.session.as_ref().unwrap().workspace_id.clone();
        for (name, scopes, workspace) in
            [("all", &SCOPES[..], None), ("bound", &SCOPES[..], Some(&acme)), ("check", &SCOPES[..1], None)]
        {
            let key = service.key(name, scopes, workspace).await;
            callers.push(Some(bearer(&key)));
            words.push(key);
        }
        words.push(service.invite(&olga.session_token, "guest@acme.example", v1::Role::Agent).await);
        words.push(service.invite(&zoe.session_token, "p3@acme.example", v1::Role::Agent).await);
        words.push(service.newest_invitation(&olga.session_token).await);
        words.push(service.newest_invitation(&zoe.session_token).await);
        words.extend([zoe.session_token, zoe.session.unwrap().user_id, acme.clone(), zeta.clone()]);
        words.extend([PASSWORD.to_owned(), "copper lantern 31 meadow".to_owned(), "new@acme.example".to_owned()]);
        words.extend(["018f0000-0000-7000-8000-000000000001".to_owned(), String::new(), "Gil".to_owned()]);
        service.stop().await;
        Self {
            folder,
            callers,
            sessions,
            workspaces: [acme.parse().unwrap(), zeta.parse().unwrap()],
            words: words.into_iter().map(String::into_bytes).collect(),
        }
    }

    /// A database as it was at the beginning.
    fn fresh(&self) -> PathBuf {
        let copy = self.folder.path().join("copy.db");
        for name in ["copy.db-wal", "copy.db-shm"] {
            let _ = std::fs::remove_file(self.folder.path().join(name));
        }
        std::fs::copy(self.folder.path().join("rolecall.db"), &copy).unwrap();
        copy
    }
}

fn bearer(token: &str) -> AsciiMetadataValue {
    format!("Bearer {token}").parse().unwrap()
}

/// The server on a database, and a connection to it.
struct Service {
    app: App,
    store: Store,
    channel: Channel,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    requests: usize,
}

impl Service {
    async fn start(database: PathBuf) -> Self {
        let store = Store::open(&DatabaseConfig::at(format!("sqlite://{}", database.display()))).await.unwrap();
        store.migrate().await.unwrap();
        // What is looked for is not how long a hash takes, or when a limit is met.
        let security =
            SecurityConfig { password_hash_memory: 64, password_hash_iterations: 1, ..SecurityConfig::default() };
        let quotas = QuotaConfig {
            max_invitations_per_minute: 0,
            max_invitations_per_day: 0,
            min_resend_interval: Duration::ZERO,
            max_resends_per_day: 0,
            max_emails_per_day: 0,
            max_resets_per_hour: 0,
        };
        let config = AppConfig {
            security: &security,
            links: LinkConfig::default(),
            quotas,
            throttled: false,
            mail_domain: "rolecall.example".into(),
            hashing_permits: 2,
        };
        let app = App::new(store.clone(), Clock::manual(NOW).0, config).unwrap();
        let mut grpc = GrpcConfig::on_loopback("127.0.0.1:0".parse().unwrap());
        grpc.limits.shutdown_grace = Duration::ZERO;
        let listener = Listener::bind(&grpc, None).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = app.clone();
        let serving = tokio::spawn(async move {
            let told = async {
                let _ = stopped.await;
            };
            serve(served, grpc, listener, told).await.unwrap();
        });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { app, store, channel, stop, serving, requests: 0 }
    }

    async fn stop(self) {
        drop((self.channel, self.stop));
        self.serving.await.unwrap();
        self.store.close().await;
    }

    async fn call(&self, path: &str, request: Request<Vec<u8>>) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        Ok(client.unary(request, path.parse().unwrap(), Raw).await?.into_inner())
    }

    fn invitations(&self) -> InvitationServiceClient<Channel> {
        InvitationServiceClient::new(self.channel.clone())
    }

    async fn found(&self, workspace: &str, owner: &str, name: &str) -> v1::AcceptInvitationResponse {
        let workspace = Name::parse("name", workspace).unwrap();
        let owner = EmailAddress::parse("email", owner).unwrap();
        let link = self.app.bootstrap(&workspace, &owner, false).await.unwrap().invitation().unwrap();
        self.accept(link.token.expose_secret(), name).await
    }

    async fn accept(&self, link: &str, name: &str) -> v1::AcceptInvitationResponse {
        let request = v1::AcceptInvitationRequest {
            invitation_token: link.to_owned(),
            display_name: name.to_owned(),
            password: PASSWORD.to_owned(),
        };
        self.invitations().accept_invitation(request).await.unwrap().into_inner()
    }

    /// Invites, and reads the link in the e-mail that would be sent.
    async fn invite(&self, by: &str, email: &str, role: v1::Role) -> String {
        let message =
            v1::CreateInvitationRequest { email: email.to_owned(), role: role.into(), request_id: String::new() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", bearer(by));
        self.invitations().create_invitation(request).await.unwrap();
        let lease = self.app.claim_emails(1).await.unwrap().pop().unwrap();
        let mail = self.app.mint_email(&lease).await.unwrap().unwrap();
        self.app.settle_email(&mail, &Ok(())).await.unwrap();
        let start = mail.email.text.find("rci_").unwrap();
        mail.email.text[start..start + 47].to_owned()
    }

    async fn newest_invitation(&self, by: &str) -> String {
        let mut request = Request::new(v1::ListInvitationsRequest::default());
        request.metadata_mut().insert("authorization", bearer(by));
        let list = self.invitations().list_invitations(request).await.unwrap().into_inner();
        list.invitations[0].invitation_id.clone()
    }

    async fn key(&self, name: &str, scopes: &[ServiceScope], workspace: Option<&String>) -> String {
        let key = CreateServiceKey {
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            workspace: workspace.map(|id| WorkspaceId::new(parse_uuid(id).unwrap())),
            expire_time: None,
        };
        self.app.create_service_key(&key).await.unwrap().expose_secret().to_owned()
    }
}
