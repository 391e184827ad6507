//! The service in this process: a real server on a real port and a database of its own. The clock stands still
//! until the test moves it, and no background work runs: the test sends the mail and keeps house when it wants to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rolecall::app::{App, AppConfig, OutgoingEmail};
use rolecall::authz::ServiceScope;
use rolecall::clock::{Clock, ManualClock, Timestamp};
use rolecall::config::{GrpcConfig, LinkConfig, QuotaConfig, SecurityConfig};
use rolecall::grpc::Listener;
use rolecall::grpc::pb::v1;
use rolecall::mail::Mailer;
use rolecall::model::{EmailAddress, Name, Role, WorkspaceId, parse_uuid};
use rolecall::store::Store;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::{As, Database, Mail, Place};

/// A password that the policy takes.
pub const PASSWORD: &str = "violet kettle orbit 77 lamp";

/// 2026-01-01T00:00:00Z
const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

pub struct World {
    pub app: App,
    pub store: Store,
    pub clock: ManualClock,
    clock_source: Clock,
    pub address: std::net::SocketAddr,
    channel: Channel,
    /// What sends, into the folder of the mail.
    pub mailer: Arc<Mailer>,
    mail: PathBuf,
    place: Place,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// A world that stands still. Its tokens are good in every world that is made of it.
pub struct Frozen {
    place: Place,
    now: Timestamp,
}

impl Frozen {
    pub async fn thaw(&self) -> World {
        World::build_in(self.place.copy(), self.now, |_| {}, no_quotas(), false).await
    }
}

/// Most tests are not about quotas, and their clock stands still.
fn no_quotas() -> QuotaConfig {
    QuotaConfig {
        max_invitations_per_minute: 0,
        max_invitations_per_day: 0,
        min_resend_interval: Duration::ZERO,
        max_resends_per_day: 0,
        max_emails_per_day: 0,
        max_resets_per_hour: 0,
    }
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub struct Person {
    pub user_id: String,
    pub email: String,
    pub token: String,
    pub session_id: String,
    pub workspace_id: String,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// As [`World::start`], with the quotas that the program has by default. Elsewhere there are none, since the clock
    /// of the tests stands still.
    pub async fn start_with_quotas() -> Self {
        Self::build(|_| {}, QuotaConfig::default(), false).await
    }

    /// As [`World::start`], with guesses slowed as the program slows them.
    pub async fn start_throttled(configure: impl FnOnce(&mut GrpcConfig)) -> Self {
        Self::build(configure, QuotaConfig::default(), true).await
    }

    /// As [`World::start`], with another configuration of the server.
    pub async fn start_with(configure: impl FnOnce(&mut GrpcConfig)) -> Self {
        Self::build(configure, no_quotas(), false).await
    }

    /// As [`World::start`], on this database.
    pub async fn start_on(place: Place) -> Self {
        Self::build_in(place, START, |_| {}, no_quotas(), false).await
    }

    /// As [`World::start`], on this database, which other worlds may be on too.
    pub async fn start_in(place: Place) -> Self {
        Self::build_in(place, START, |_| {}, no_quotas(), false).await
    }

    async fn build(configure: impl FnOnce(&mut GrpcConfig), quotas: QuotaConfig, throttled: bool) -> Self {
        Self::build_in(Place::migrated(), START, configure, quotas, throttled).await
    }

    async fn build_in(
        place: Place,
        now: Timestamp,
        configure: impl FnOnce(&mut GrpcConfig),
        quotas: QuotaConfig,
        throttled: bool,
    ) -> Self {
        let (clock, manual) = Clock::manual(now);
        let store = Store::open(&place.config()).await.unwrap();
        store.migrate().await.unwrap();
        let mail = place.mail();
        let mailer =
            Mailer::from_url(&format!("file:{}", mail.display()).into(), "Rolecall <no-reply@rolecall.example>");
        let app = Self::app(store.clone(), clock.clone(), quotas, throttled);
        let (address, stop, serving) = Self::serve(app.clone(), configure).await;
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self {
            app,
            store,
            clock: manual,
            clock_source: clock,
            address,
            channel,
            mailer: Arc::new(mailer.unwrap()),
            mail,
            place,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// A second server on the same database, throttled, and what stops it when it is dropped.
    pub async fn another_server(&self) -> (As, tokio::sync::oneshot::Sender<()>) {
        let store = Store::open(&self.place.config()).await.unwrap();
        let app = Self::app(store, self.clock_source.clone(), QuotaConfig::default(), true);
        let (address, stop, _) = Self::serve(app, |_| {}).await;
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        (As::new(channel, None), stop)
    }

    fn app(store: Store, clock: Clock, quotas: QuotaConfig, throttled: bool) -> App {
        // What the tests are about is not how long a hash takes.
        let security =
            SecurityConfig { password_hash_memory: 64, password_hash_iterations: 1, ..SecurityConfig::default() };
        let config = AppConfig {
            security: &security,
            links: LinkConfig::default(),
            quotas,
            throttled,
            mail_domain: "rolecall.example".into(),
            hashing_permits: 2,
        };
        App::new(store, clock, config).unwrap()
    }

    async fn serve(
        app: App,
        configure: impl FnOnce(&mut GrpcConfig),
    ) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, JoinHandle<()>) {
        let mut grpc = GrpcConfig::on_loopback("127.0.0.1:0".parse().unwrap());
        configure(&mut grpc);
        let listener = Listener::bind(&grpc, None).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            rolecall::grpc::serve(app, grpc, listener, shutdown).await.unwrap();
        });
        (address, stop, serving)
    }

    pub fn folder(&self) -> &Path {
        self.place.folder()
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where the data is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A connection to the database that does not belong to the service.
    pub async fn outside(&self) -> Database {
        Database::open(&self.place).await
    }

    /// Where the mail goes.
    pub fn mail_folder(&self) -> &Path {
        &self.mail
    }

    /// Moves the clock on.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Moves the clock on by a second, so that what follows is later.
    pub fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
    }

    /// Stops the server and waits until it has.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
        self.store.close().await;
    }

    /// Stops the server and keeps its database, of which the same world can be made any number of times.
    pub async fn freeze(mut self) -> Frozen {
        let now = self.clock.now();
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
        self.store.close().await;
        Frozen { place: self.place, now }
    }

    /// Clients that send no credential.
    pub fn nobody(&self) -> As {
        As::new(self.channel.clone(), None)
    }

    /// Clients that send this person's session token.
    pub fn by(&self, person: &Person) -> As {
        self.with_token(&person.token)
    }

    /// Clients that send this token as it is.
    pub fn with_token(&self, token: &str) -> As {
        As::new(self.channel.clone(), Some(token.to_owned()))
    }

    /// A workspace with its first Owner.
    pub async fn workspace(&self, name: &str, owner: &str) -> Person {
        let name = Name::parse("name", name).unwrap();
        let email = EmailAddress::parse("email", owner).unwrap();
        let invitation = self.app.bootstrap(&name, &email, false).await.unwrap().invitation().unwrap();
        self.accept(invitation.token.expose_secret(), "Olga Owner").await
    }

    /// Invites, reads the mail, accepts.
    pub async fn join(&self, inviter: &Person, email: &str, role: Role) -> Person {
        let token = self.invite(inviter, email, role).await;
        let name = email.split('@').next().unwrap();
        self.accept(&token, name).await
    }

    /// Invites and answers the token of the mailed link.
    pub async fn invite(&self, inviter: &Person, email: &str, role: Role) -> String {
        let request =
            v1::CreateInvitationRequest { email: email.into(), role: role.number(), request_id: String::new() };
        // While the clock stands still, nothing but this tells the newest mail from earlier ones.
        let earlier: Vec<String> = self.mail_to(email).into_iter().map(|mail| mail.text).collect();
        self.by(inviter).invitations().create_invitation(request).await.unwrap();
        self.deliver().await;
        let new = self.mail_to(email).into_iter().find(|mail| !earlier.contains(&mail.text));
        new.unwrap().token()
    }

    /// Accepts with [`PASSWORD`].
    pub async fn accept(&self, token: &str, name: &str) -> Person {
        let request = v1::AcceptInvitationRequest {
            invitation_token: token.into(),
            display_name: name.into(),
            password: PASSWORD.into(),
        };
        let accepted = self.nobody().invitations().accept_invitation(request).await.unwrap().into_inner();
        let (session, user) = (accepted.session.unwrap(), accepted.user.unwrap());
        Person {
            user_id: user.user_id,
            email: user.email,
            token: accepted.session_token,
            session_id: session.session_id,
            workspace_id: session.workspace_id,
        }
    }

    /// Signs in with [`PASSWORD`], in the workspace that the service chooses.
    pub async fn sign_in(&self, email: &str) -> Person {
        let request = v1::SignInRequest { email: email.into(), password: PASSWORD.into(), ..Default::default() };
        let signed_in = self.nobody().sessions().sign_in(request).await.unwrap().into_inner();
        let session = signed_in.session.unwrap();
        Person {
            user_id: session.user_id,
            email: email.into(),
            token: signed_in.session_token,
            session_id: session.session_id,
            workspace_id: session.workspace_id,
        }
    }

    /// A service key with these scopes, bound to a workspace or not.
    pub async fn service_key(&self, name: &str, scopes: &[ServiceScope], workspace: Option<&str>) -> String {
        let key = rolecall::app::CreateServiceKey {
            name: name.into(),
            scopes: scopes.to_vec(),
            workspace: workspace.map(|id| WorkspaceId::new(parse_uuid(id).unwrap())),
            expire_time: None,
        };
        self.app.create_service_key(&key).await.unwrap().expose_secret().to_owned()
    }

    /// Claims the e-mail that is due first, with its link, as a worker does before it sends.
    pub async fn claim_email(&self) -> OutgoingEmail {
        let lease = self.app.claim_emails(1).await.unwrap().pop().unwrap();
        self.app.mint_email(&lease).await.unwrap().unwrap()
    }

    /// Sends all mail that is due.
    pub async fn deliver(&self) {
        while rolecall::worker::outbox::deliver_due(&self.app, &self.mailer).await.unwrap() > 0 {}
    }

    /// All mail sent so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        Mail::all_in(&self.mail)
    }

    /// Throws away all mail sent so far: each look at mail reads all of it.
    pub fn discard_mail(&self) {
        for file in std::fs::read_dir(&self.mail).into_iter().flatten() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    /// The mail sent to an address so far, oldest first.
    pub fn mail_to(&self, email: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to == email).collect()
    }
}
