//! Known failures of such systems: a token that is taken for another, or in more than one spelling.

use rolecall::authz::{Permission, ServiceScope};
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{PASSWORD, World, ok, outcome, refused};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NEW: &str = "copper lantern 31 meadow";

/// One token of each kind, all good.
struct Tokens {
    session: String,
    invitation: String,
    reset: String,
    key: String,
    device: String,
}

impl Tokens {
    async fn gather(world: &World) -> Self {
        let olga = world.workspace("Acme", "olga@acme.example").await;
        let invitation = world.invite(&olga, "gil@acme.example", Role::Agent).await;
        let ask = v1::RequestPasswordResetRequest { email: olga.email.clone() };
        ok(world.nobody().passwords().request_password_reset(ask).await);
        world.deliver().await;
        Self {
            session: olga.token.clone(),
            invitation,
            reset: world.mail_to(&olga.email).pop().unwrap().reset_token(),
            key: world.service_key("gateway", &[ServiceScope::CheckAccess], None).await,
            device: ok(world.nobody().sign_in(&olga.email, PASSWORD, "").await).device_token,
        }
    }

    /// A device that is remembered longer than those before it, of which there may be too many by now.
    async fn refresh_device(&mut self, world: &World) {
        world.tick();
        self.device = ok(world.nobody().sign_in("olga@acme.example", PASSWORD, "").await).device_token;
    }

    fn all(&self) -> [(&'static str, &str); 5] {
        [
            ("rcs_", &self.session),
            ("rci_", &self.invitation),
            ("rcp_", &self.reset),
            ("rck_", &self.key),
            ("rcd_", &self.device),
        ]
    }

    /// What becomes of a token at each place where one goes, and whether it should be good there.
    async fn tried(&self, world: &World, token: &str) -> Vec<(&'static str, String)> {
        let nobody = world.nobody();
        let check = v1::CheckAccessRequest {
            subject: Some(Subject::SessionToken(token.into())),
            requirement: Some(Requirement::Permission(Permission::ConversationsReply.number())),
        };
        let checked = ok(world.with_token(&self.key).access().check_access(check).await);
        let denied = checked.denial.map_or("OK".into(), |denial| denial.reason().as_str_name().to_owned());
        // A password that will not do leaves the link alive, and only a good link knows whose address this is.
        let weak = v1::ResetPasswordRequest { reset_token: token.into(), new_password: "olga@acme.example".into() };
        let reset = refused(nobody.passwords().reset_password(weak).await);
        let request = v1::SignInRequest {
            email: "olga@acme.example".into(),
            password: PASSWORD.into(),
            device_token: token.into(),
            ..Default::default()
        };
        let device = ok(nobody.sessions().sign_in(request).await).device_token;
        vec![
            ("the credential", outcome(&world.with_token(token).get_session().await)),
            ("CheckAccess", denied),
            ("PreviewInvitation", outcome(&nobody.preview(token).await)),
            ("AcceptInvitation", outcome(&nobody.accept(token, "", PASSWORD).await)),
            ("ResetPassword", reset.fields.first().map_or(reset.reason.clone(), |field| field.1.clone())),
            ("SignIn", if device == token { "known".into() } else { "another device".into() }),
        ]
    }
}

/// What a place says of a token that is none of its own.
const NONE: [(&str, &[&str]); 6] = [
    ("the credential", &["SESSION_ENDED", "SERVICE_KEY_INVALID"]),
    ("CheckAccess", &["DENIAL_REASON_SESSION_ENDED"]),
    ("PreviewInvitation", &["INVITATION_NOT_FOUND"]),
    ("AcceptInvitation", &["INVITATION_NOT_FOUND"]),
    ("ResetPassword", &["PASSWORD_COMMON", "RESET_NOT_FOUND"]),
    ("SignIn", &["another device"]),
];

fn good_at(tried: &[(&'static str, String)]) -> Vec<&'static str> {
    let bad = |(place, said): &&(&'static str, String)| {
        let (_, none) = NONE.iter().find(|(name, _)| name == place).unwrap();
        !none.contains(&said.as_str())
    };
    tried.iter().filter(bad).map(|(place, _)| *place).collect()
}

#[tokio::test]
async fn a_token_opens_what_its_kind_is_for_and_nothing_else_under_any_prefix() {
    let world = World::start().await;
    let mut tokens = Tokens::gather(&world).await;
    let at_home = |prefix: &str| match prefix {
        "rcs_" => vec!["the credential", "CheckAccess"],
        "rci_" => vec!["PreviewInvitation", "AcceptInvitation"],
        "rcp_" => vec!["ResetPassword"],
        // A key is no session: the method refuses it, and not the credential.
        "rck_" => vec!["the credential"],
        _ => vec!["SignIn"],
    };
    for number in 0..5 {
        tokens.refresh_device(&world).await;
        let (kind, token) = tokens.all()[number];
        let tried = tokens.tried(&world, token).await;
        assert_eq!(good_at(&tried), at_home(kind), "{kind}: {tried:?}");
        for (other, _) in tokens.all().into_iter().filter(|(other, _)| *other != kind) {
            let dressed_up = format!("{other}{}", &token[4..]);
            let tried = tokens.tried(&world, &dressed_up).await;
            assert_eq!(good_at(&tried), Vec::<&str>::new(), "{kind} as {other}: {tried:?}");
        }
    }
    // All of this has used none of them up.
    world.accept(&tokens.invitation, "Gil").await;
    let reset = v1::ResetPasswordRequest { reset_token: tokens.reset.clone(), new_password: NEW.into() };
    ok(world.nobody().passwords().reset_password(reset).await);
    world.stop().await;
}

/// The same bytes to a decoder that does not look at what is over: the last character has two bits that mean nothing.
fn with_stray_bits(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
    assert_eq!(value % 4, 0, "ours have none");
    format!("{rest}{}", char::from(ALPHABET[value + 1]))
}

#[tokio::test]
async fn a_token_that_is_truncated_or_spelt_in_another_way_is_none() {
    let world = World::start().await;
    let mut tokens = Tokens::gather(&world).await;
    for number in 0..5 {
        tokens.refresh_device(&world).await;
        let (kind, token) = tokens.all()[number];
        let secret = &token[4..];
        let standard = format!("{kind}{}", secret.replace('-', "+").replace('_', "/"));
        let mut bent = vec![
            token[..token.len() - 1].to_owned(),
            token[..4].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            format!("{token}\u{20}"),
            with_stray_bits(token),
            format!("{}{secret}", kind.to_uppercase()),
            format!("{kind}%{:02X}{}", secret.as_bytes()[0], &secret[1..]),
            secret.to_owned(),
        ];
        bent.extend(Some(standard).filter(|standard| standard != token));
        for bent in bent {
            let tried = tokens.tried(&world, &bent).await;
            // A key that is bent is a key to the credential still, and refused as one.
            assert_eq!(good_at(&tried), Vec::<&str>::new(), "{kind} bent to {}: {tried:?}", bent.len());
        }
    }
    world.stop().await;
}
