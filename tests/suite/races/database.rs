//! The database's own lock on the last Owner, and the number that it hangs on.

use rolecall::authz::{Caller, Op};
use rolecall::error::Reason;
use rolecall::grpc::pb::v1;
use rolecall::model::{Role, UserId, WorkspaceId, parse_uuid};
use rolecall::store::MembershipChange;
use sqlx::Error;

use super::{accept, at_once, change_role, create, links};
use crate::support::{Database, Dice, INVARIANTS, PASSWORD, Person, World, hex};

fn op(world: &World) -> Op {
    Op::internal(Caller::System, parse_uuid("00000000-0000-4000-8000-000000000000").unwrap(), world.clock.now())
}

fn ids(person: &Person) -> (WorkspaceId, UserId) {
    let id = |text: &str| parse_uuid(text).unwrap();
    (WorkspaceId::new(id(&person.workspace_id)), UserId::new(id(&person.user_id)))
}

/// Changes a membership past the rules of the use cases.
async fn change(world: &World, person: &Person, change: MembershipChange<'_>) -> Result<(), Reason> {
    let (workspace, user) = ids(person);
    let mut tx = world.store.write_in(&op(world), workspace).await.unwrap();
    let before = tx.member(workspace, user).await.unwrap();
    match tx.change_membership(workspace, user, Some(&before), change).await {
        Ok(()) => {
            tx.commit().await.unwrap();
            Ok(())
        }
        Err(error) => Err(error.reason()),
    }
}

#[tokio::test]
async fn the_database_itself_refuses_to_lose_the_last_owner_and_lets_another_go() {
    let world = World::start().await;
    let ada = world.workspace("Acme", "ada@acme.example").await;
    let database = world.outside().await;
    let count = format!("SELECT owner_count FROM workspace WHERE hex(id) = '{}'", hex(&ada.workspace_id));
    assert_eq!(change(&world, &ada, MembershipChange::Role(Role::Admin)).await, Err(Reason::LastOwner));
    assert_eq!(change(&world, &ada, MembershipChange::End).await, Err(Reason::LastOwner));
    match database.execute("UPDATE workspace SET owner_count = 0").await {
        Err(Error::Database(error)) => assert!(error.is_check_violation(), "{error}"),
        other => panic!("it was not refused: {other:?}"),
    }
    assert_eq!(database.number(&count).await, 1);
    database.assert_whole().await;

    let token = world.invite(&ada, "bob@acme.example", Role::Owner).await;
    let bob = world.accept(&token, "Bob Owner").await;
    assert_eq!(database.number(&count).await, 2);
    assert_eq!(change(&world, &ada, MembershipChange::Role(Role::Agent)).await, Ok(()));
    assert_eq!(database.number(&count).await, 1);
    assert_eq!(change(&world, &bob, MembershipChange::End).await, Err(Reason::LastOwner));
    world.by(&bob).users().change_user_role(change_role(&ada.user_id, Role::Owner)).await.unwrap();
    assert_eq!(database.number(&count).await, 2);
    world.stop().await;
}

/// People who come and go at random in two workspaces.
struct Company {
    people: Vec<Vec<Person>>,
    dice: Dice,
}

impl Company {
    async fn found(world: &World) -> Self {
        let mut people = Vec::new();
        for number in 0..2 {
            let owner = world.workspace(&format!("Company {number}"), &format!("owner{number}@acme.example")).await;
            for guest in 0..4 {
                let request = create(&format!("guest{guest}@acme.example"), Role::Owner, "");
                world.by(&owner).invitations().create_invitation(request).await.unwrap();
            }
            let mut members = vec![owner];
            for (_, token) in links(world).await {
                members.push(world.accept(&token, "Guest Owner").await);
            }
            people.push(members);
        }
        Self { people, dice: Dice::new(77) }
    }

    /// A few changes at once. Whether they are allowed is up to the service.
    async fn stir(&mut self, world: &World) {
        let mut changes = Vec::new();
        for _ in 0..5 {
            let workspace = self.dice.below(self.people.len());
            let members = &self.people[workspace];
            let (by, whom) = (self.dice.below(members.len()), self.dice.below(members.len()));
            let (caller, user_id) = (world.by(&members[by]), members[whom].user_id.clone());
            let role = self.dice.pick(&[Role::Agent, Role::Admin, Role::Owner, Role::Owner]);
            let kind = self.dice.below(6);
            changes.push(async move {
                match kind {
                    0 => drop(caller.users().remove_user(v1::RemoveUserRequest { user_id }).await),
                    1 => drop(caller.users().leave_workspace(v1::LeaveWorkspaceRequest {}).await),
                    _ => drop(caller.users().change_user_role(change_role(&user_id, role)).await),
                }
            });
        }
        at_once(changes).await;
    }

    /// Brings those back who are gone, by whoever owns the workspace.
    async fn refill(&mut self, world: &World, database: &Database) {
        for members in &mut self.people {
            let workspace = hex(&members[0].workspace_id);
            let standing: Vec<(String, i32, bool)> = database
                .rows(&format!(
                    "SELECT hex(user_id), CAST(role AS integer), removed_at IS NULL FROM membership
                     WHERE hex(workspace_id) = '{workspace}'"
                ))
                .await;
            let of = |person: &Person| standing.iter().find(|row| row.0 == hex(&person.user_id)).unwrap();
            let owner = members.iter().find(|person| matches!(of(person), (_, 4, true))).unwrap().clone();
            for person in members.iter_mut().filter(|person| !of(person).2) {
                let request = create(&person.email, Role::Owner, "");
                world.by(&owner).invitations().create_invitation(request).await.unwrap();
                let token = links(world).await[&person.email].clone();
                let request = accept(&token, PASSWORD);
                let back = world.nobody().invitations().accept_invitation(request).await.unwrap().into_inner();
                person.token = back.session_token;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_number_of_owners_never_drifts_from_the_memberships() {
    let world = World::start().await;
    let mut company = Company::found(&world).await;
    let database = world.outside().await;
    let (sentence, drift) = INVARIANTS[0];
    let mut sizes = std::collections::BTreeSet::new();
    for round in 0..80 {
        company.stir(&world).await;
        assert_eq!(database.texts(drift).await, Vec::<String>::new(), "{sentence}, round {round}");
        sizes.insert(database.number("SELECT sum(owner_count) FROM workspace").await);
        if round % 3 == 2 {
            company.refill(&world, &database).await;
            assert_eq!(database.texts(drift).await, Vec::<String>::new(), "{sentence}, refilled in round {round}");
        }
    }
    assert!(sizes.len() > 4, "the number hardly moved: {sizes:?}");
    database.assert_whole().await;
    world.stop().await;
}

/// One change behind the service's back for each of [`INVARIANTS`], in the same order.
const HALF_STATES: [&str; 23] = [
    "UPDATE workspace SET owner_count = owner_count + 1",
    "UPDATE workspace SET founded_at = NULL",
    "DELETE FROM audit_event WHERE action = 1",
    "DELETE FROM membership WHERE email = 'ada@acme.example'",
    "UPDATE user_account SET display_name = 'Nobody'",
    "UPDATE membership SET removed_at = 1 WHERE email = 'cy@acme.example'",
    "UPDATE membership SET role = 1 WHERE email = 'ada@acme.example'",
    "UPDATE audit_event SET details = '{\"role\":\"ADMIN\",\"previousRole\":\"OWNER\"}' WHERE action = 7",
    "UPDATE audit_event SET details = '{\"name\":\"Nobody\"}' WHERE action = 10",
    "UPDATE session SET ended_at = NULL",
    "UPDATE session SET role = 3 WHERE ended_at IS NULL",
    "DELETE FROM session WHERE hex(id) IN (SELECT hex(id) FROM session LIMIT 1)",
    "DROP INDEX invitation_open; INSERT INTO invitation SELECT randomblob(16), workspace_id, email, role, issue, invited_by,
         created_at, expires_at, accepted_at, accepted_by, canceled_at, replaced, founding, delivery_state, attempt_count,
         last_attempt_at, last_error FROM invitation WHERE email = 'waits@acme.example'",
    "DELETE FROM audit_event WHERE action = 3",
    "DELETE FROM audit_event WHERE action = 4",
    "DELETE FROM audit_event WHERE action = 5",
    "DELETE FROM audit_event WHERE action = 6",
    "UPDATE invitation SET accepted_by = randomblob(16) WHERE accepted_at IS NOT NULL",
    "UPDATE invitation SET role = 4 WHERE email = 'waits@acme.example'",
    "DELETE FROM outbox",
    "DELETE FROM invitation_token",
    "UPDATE outbox SET settled_at = NULL",
    "UPDATE request_record SET resource_id = randomblob(16)",
];

#[tokio::test]
async fn every_half_state_would_be_found() {
    let world = World::start().await;
    let ada = world.workspace("Acme", "ada@acme.example").await;
    let bob = world.join(&ada, "bob@acme.example", Role::Manager).await;
    let cy = world.join(&ada, "cy@acme.example", Role::Agent).await;
    world.by(&ada).users().change_user_role(change_role(&bob.user_id, Role::Admin)).await.unwrap();
    world.by(&cy).users().update_profile(v1::UpdateProfileRequest { display_name: Some("Cy".into()) }).await.unwrap();
    let gone = world.join(&ada, "gone@acme.example", Role::Agent).await;
    world.by(&ada).users().remove_user(v1::RemoveUserRequest { user_id: gone.user_id.clone() }).await.unwrap();
    let sent = |email: &'static str, request: u64| {
        let (caller, request) = (world.by(&bob), create(email, Role::Agent, &super::request_id(request)));
        async move { caller.invitations().create_invitation(request).await.unwrap().into_inner().invitation.unwrap() }
    };
    let canceled = sent("canceled@acme.example", 1).await.invitation_id;
    let cancel = v1::CancelInvitationRequest { invitation_id: canceled };
    world.by(&bob).invitations().cancel_invitation(cancel).await.unwrap();
    let waits = sent("waits@acme.example", 2).await.invitation_id;
    let resend = v1::ResendInvitationRequest { invitation_id: waits, request_id: String::new() };
    world.by(&bob).invitations().resend_invitation(resend).await.unwrap();
    let forgot = v1::RequestPasswordResetRequest { email: "bob@acme.example".into() };
    world.nobody().passwords().request_password_reset(forgot).await.unwrap();
    world.deliver().await;
    let reset_token = world.mail_to("bob@acme.example").pop().unwrap().reset_token();
    let reset = v1::ResetPasswordRequest { reset_token, new_password: "copper lantern 31 meadow".into() };
    world.nobody().passwords().reset_password(reset).await.unwrap();

    let database = world.outside().await;
    database.assert_whole().await;
    database.lift_constraints().await;
    for (half_state, (sentence, _)) in HALF_STATES.into_iter().zip(INVARIANTS) {
        database.run("BEGIN").await;
        for statement in half_state.split(';') {
            database.run(statement).await;
        }
        let broken = database.broken().await;
        assert!(broken.iter().any(|(found, _)| *found == sentence), "{half_state} is not found by: {sentence}");
        database.run("ROLLBACK").await;
    }
    database.assert_whole().await;
    world.stop().await;
}
