//! A fresh database with a few people in it, put there through the store alone.

use std::time::Duration;

use rolecall::authz::{Caller, Op, ServiceScope, SessionCaller, rule_of};
use rolecall::clock::Timestamp;
use rolecall::crypto::{TokenHash, TokenKind, new_user_id, new_uuid};
use rolecall::model::{
    Account, EmailAddress, Name, PasswordHash, Peer, Role, ServiceKeyId, Session, SessionId, SessionLifetime, SignInId,
    UserId, WorkspaceId,
};
use rolecall::store::{KeyState, MembershipChange, NewServiceKey, NewSession, SessionState, Store, Write};

use super::DAY;
use crate::support::{Database, Place};

/// 2026-01-01T00:00:00Z
pub const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
pub const LIFETIME: SessionLifetime = SessionLifetime { idle: DAY, absolute: Duration::from_secs(30 * 24 * 60 * 60) };

/// A database with the schema in it.
pub struct Scene {
    place: Place,
    pub store: Store,
}

/// Somebody with a session in a workspace.
#[derive(Clone, Debug)]
pub struct Seat {
    pub workspace: WorkspaceId,
    pub account: Account,
    pub user: UserId,
    pub session: SessionId,
    pub sign_in: SignInId,
    pub token: TokenHash,
}

impl Scene {
    pub async fn set() -> Self {
        let place = Place::migrated();
        let store = Store::open(&place.config()).await.unwrap();
        store.migrate().await.unwrap();
        Self { place, store }
    }

    /// A connection past the store.
    pub async fn outside(&self) -> Database {
        Database::open(&self.place).await
    }

    /// A transaction of the system.
    pub async fn system(&self, now: Timestamp) -> Write {
        self.store.write_unscoped(&system_op(now)).await.unwrap()
    }

    /// A new workspace, called Acme, with an Owner.
    pub async fn workspace(&self, owner: &str) -> Seat {
        let workspace = WorkspaceId::new(new_uuid(NOW));
        let mut tx = self.system(NOW).await;
        tx.insert_workspace(workspace, &name("Acme")).await.unwrap();
        tx.commit().await.unwrap();
        self.seat(workspace, owner, Role::Owner).await
    }

    /// Somebody new in a workspace, signed in.
    pub async fn seat(&self, workspace: WorkspaceId, email: &str, role: Role) -> Seat {
        let account = Account {
            user_id: new_user_id(),
            email: address(email),
            display_name: name("Sam Seated"),
            password_hash: PasswordHash::from_stored("none".to_owned()),
        };
        let user = account.user_id;
        let token = TokenKind::Session.mint().hash;
        let new = new_session(workspace, user, role, token);
        let mut tx = self.system(NOW).await;
        tx.insert_account(&account).await.unwrap();
        let join = MembershipChange::Join { account: &account, role };
        tx.change_membership(workspace, user, None, join).await.unwrap();
        tx.insert_session(&new, LIFETIME).await.unwrap();
        tx.commit().await.unwrap();
        let Session { session_id: session, sign_in_id: sign_in, .. } = new.session;
        Seat { workspace, account, user, session, sign_in, token }
    }

    /// An operation as it begins: the caller is what the session's token is worth at that moment.
    pub async fn op_by(&self, seat: &Seat, path: &str) -> Op {
        Op { rule: Some(rule_of(path).unwrap()), ..op(Caller::Session(self.caller(seat).await)) }
    }

    pub async fn caller(&self, seat: &Seat) -> SessionCaller {
        match self.store.session_state(seat.token, LIFETIME, NOW).await.unwrap() {
            SessionState::Live(caller) => caller,
            other => panic!("the session is {other:?}"),
        }
    }

    /// A service key for one workspace, and an operation of it as it begins.
    pub async fn key(&self, scope: ServiceScope, workspace: WorkspaceId) -> (ServiceKeyId, TokenHash, Op) {
        let token = TokenKind::ServiceKey.mint().hash;
        let key_id = ServiceKeyId::new(new_uuid(NOW));
        let new = NewServiceKey {
            key_id,
            name: "billing".to_owned(),
            token,
            scopes: vec![scope],
            workspace: Some(workspace),
            expire_time: None,
        };
        let mut tx = self.system(NOW).await;
        assert!(tx.insert_service_key(&new).await.unwrap());
        tx.commit().await.unwrap();
        let KeyState::Live(caller) = self.store.key_state(token, NOW).await.unwrap() else {
            panic!("a new key is worth nothing");
        };
        (key_id, token, op(Caller::ServiceKey(caller)))
    }

    /// Changes a member's role, or ends the membership, as another transaction would.
    pub async fn change(&self, seat: &Seat, change: MembershipChange<'_>) {
        let mut tx = self.system(NOW).await;
        let member = tx.member(seat.workspace, seat.user).await.unwrap();
        tx.change_membership(seat.workspace, seat.user, Some(&member), change).await.unwrap();
        tx.commit().await.unwrap();
    }
}

pub fn name(text: &str) -> Name {
    Name::parse("name", text).unwrap()
}

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse("email", text).unwrap()
}

pub fn system_op(now: Timestamp) -> Op {
    Op::internal(Caller::System, new_uuid(now), now)
}

fn op(caller: Caller) -> Op {
    Op::internal(caller, new_uuid(NOW), NOW)
}

pub fn new_session(workspace: WorkspaceId, user: UserId, role: Role, token: TokenHash) -> NewSession {
    let session = Session {
        session_id: SessionId::new(new_uuid(NOW)),
        sign_in_id: SignInId::new(new_uuid(NOW)),
        workspace_id: workspace,
        user_id: user,
        create_time: NOW,
        last_used_time: NOW,
        expire_time: NOW.plus(LIFETIME.absolute),
        authenticate_time: NOW,
        peer: Peer::default(),
    };
    NewSession { session, role, token }
}
