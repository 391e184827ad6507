//! The question that every other service asks: may they, now?

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;
use v1::check_access_request::{Requirement, Subject};

use super::{DAY, NOBODY};
use crate::support::{As, World, ok, refused};

fn token(token: &str) -> Option<Subject> {
    Some(Subject::SessionToken(token.into()))
}

fn user(id: &str) -> Option<Subject> {
    Some(Subject::UserId(id.into()))
}

fn check(subject: Option<Subject>, permission: v1::Permission) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest { subject, requirement: Some(Requirement::Permission(permission.into())) }
}

fn check_role(subject: Option<Subject>, role: Role) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest { subject, requirement: Some(Requirement::MinimumRole(role.number())) }
}

async fn ask(by: &As, check: v1::CheckAccessRequest) -> v1::CheckAccessResponse {
    ok(by.access().check_access(check).await)
}

fn allowed(user: &str, workspace: &str, role: Role) -> v1::CheckAccessResponse {
    v1::CheckAccessResponse {
        allowed: true,
        denial: None,
        user_id: user.into(),
        workspace_id: workspace.into(),
        role: role.number(),
    }
}

fn denied(reason: v1::DenialReason) -> v1::CheckAccessResponse {
    let denial = Some(v1::AccessDenial { reason: reason.into(), lowest_sufficient_role: 0 });
    v1::CheckAccessResponse { denial, ..Default::default() }
}

fn too_low(user: &str, workspace: &str, role: Role, lowest: Role) -> v1::CheckAccessResponse {
    let reason = v1::DenialReason::RoleTooLow.into();
    v1::CheckAccessResponse {
        allowed: false,
        denial: Some(v1::AccessDenial { reason, lowest_sufficient_role: lowest.number() }),
        ..allowed(user, workspace, role)
    }
}

#[tokio::test]
async fn each_role_has_the_permissions_of_the_product_and_those_below_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let desk = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let mut people = vec![];
    for role in [Role::Agent, Role::Manager, Role::Admin] {
        people.push((role, world.join(&owner, &format!("{}@acme.example", role.name().to_lowercase()), role).await));
    }
    people.push((Role::Owner, owner));
    // The product's table, copied from the contract.
    use v1::Permission as P;
    let table: [(Role, &[P]); 4] = [
        (Role::Agent, &[P::ConversationsHandle, P::ConversationsReply, P::ConversationsViewAssigned]),
        (Role::Manager, &[P::ConversationsViewAll, P::ReportsView, P::ClientsManage]),
        (
            Role::Admin,
            &[
                P::AssistantsConfigure,
                P::PlaybooksConfigure,
                P::TrainingConfigure,
                P::SettingsConfigure,
                P::ChannelsConfigure,
                P::UsersManage,
            ],
        ),
        (Role::Owner, &[P::BillingManage, P::OwnersManage]),
    ];
    for (role, person) in &people {
        for (lowest, permissions) in table {
            for permission in permissions {
                let expected = if *role >= lowest {
                    allowed(&person.user_id, &person.workspace_id, *role)
                } else {
                    too_low(&person.user_id, &person.workspace_id, *role, lowest)
                };
                let by_token = ask(&world.with_token(&desk), check(token(&person.token), *permission)).await;
                let itself = ask(&world.by(person), check(None, *permission)).await;
                assert_eq!((&by_token, &itself), (&expected, &expected), "{role:?} {permission:?}");
            }
            let by_role = ask(&world.by(person), check_role(None, lowest)).await;
            assert_eq!(by_role.allowed, *role >= lowest);
        }
    }
}

#[tokio::test]
async fn a_denial_says_why_with_exactly_the_ids_that_it_may() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Agent).await;
    let gone = world.join(&acme, "gone@acme.example", Role::Admin).await;
    ok(world.by(&acme).remove(&gone.user_id).await);
    let desk = world.service_key("desk", &[ServiceScope::CheckAccess, ServiceScope::CheckUserAccess], None).await;
    let desk = world.with_token(&desk);
    let here = desk.in_workspace(&acme.workspace_id);

    let ended = denied(v1::DenialReason::SessionEnded);
    for dead in [gone.token.as_str(), "", "rcs_nonsense", "rck_nonsense", &gil.token[..46]] {
        assert_eq!(ask(&desk, check_role(token(dead), Role::Agent)).await, ended);
        assert_eq!(ask(&here, check_role(token(dead), Role::Agent)).await, ended);
    }
    let wrong = denied(v1::DenialReason::WrongWorkspace);
    assert_eq!(ask(&here, check_role(token(&birch.token), Role::Agent)).await, wrong);
    assert_eq!(ask(&desk.in_workspace(NOBODY), check_role(token(&birch.token), Role::Agent)).await, wrong);
    assert_eq!(
        ask(&here, check(token(&gil.token), v1::Permission::ReportsView)).await,
        too_low(&gil.user_id, &acme.workspace_id, Role::Agent, Role::Manager)
    );
    for stranger in [birch.user_id.as_str(), gone.user_id.as_str(), NOBODY] {
        let expected = v1::CheckAccessResponse {
            user_id: stranger.into(),
            workspace_id: acme.workspace_id.clone(),
            ..denied(v1::DenialReason::NotAMember)
        };
        assert_eq!(ask(&here, check_role(user(stranger), Role::Agent)).await, expected);
    }
    assert_eq!(
        ask(&here, check(user(&gil.user_id), v1::Permission::BillingManage)).await,
        too_low(&gil.user_id, &acme.workspace_id, Role::Agent, Role::Owner)
    );
    let expected = allowed(&gil.user_id, &acme.workspace_id, Role::Agent);
    assert_eq!(ask(&here, check_role(user(&gil.user_id), Role::Agent)).await, expected);
    assert_eq!(ask(&here, check_role(token(&gil.token), Role::Agent)).await, expected);
    assert_eq!(ask(&desk, check_role(token(&gil.token), Role::Agent)).await, expected);
}

#[tokio::test]
async fn a_key_that_is_bound_sees_sessions_of_its_workspace_only() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let scopes = [ServiceScope::CheckAccess, ServiceScope::CheckUserAccess];
    let bound = world.service_key("desk", &scopes, Some(&acme.workspace_id)).await;
    let bound = world.with_token(&bound);
    assert!(ask(&bound, check_role(token(&acme.token), Role::Owner)).await.allowed);
    assert!(ask(&bound, check_role(user(&acme.user_id), Role::Owner)).await.allowed);
    let wrong = denied(v1::DenialReason::WrongWorkspace);
    assert_eq!(ask(&bound, check_role(token(&birch.token), Role::Agent)).await, wrong);
    assert!(!ask(&bound, check_role(user(&birch.user_id), Role::Agent)).await.allowed);
}

#[tokio::test]
async fn asking_about_a_user_by_id_needs_a_scope_of_its_own_and_a_workspace() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let plain = world.service_key("plain", &[ServiceScope::CheckAccess], None).await;
    let only_users = world.service_key("users", &[ServiceScope::CheckUserAccess], None).await;
    let both = world.service_key("both", &[ServiceScope::CheckAccess, ServiceScope::CheckUserAccess], None).await;
    let question = check_role(user(&acme.user_id), Role::Owner);
    let refusal = async |by: As| refused(by.access().check_access(question.clone()).await);
    let missing = refusal(world.with_token(&plain).in_workspace(&acme.workspace_id)).await;
    assert_eq!((missing.code, missing.reason()), (Code::PermissionDenied, "SCOPE_MISSING"));
    assert_eq!(missing.metadata["requiredScope"], "CHECK_USER_ACCESS");
    let missing = refusal(world.with_token(&only_users).in_workspace(&acme.workspace_id)).await;
    assert_eq!(missing.metadata["requiredScope"], "CHECK_ACCESS");
    let required = refusal(world.with_token(&both)).await;
    assert_eq!((required.code, required.reason()), (Code::InvalidArgument, "WORKSPACE_REQUIRED"));
    assert_eq!(required.fields, [("rolecall-workspace-id".into(), "REQUIRED".into())]);
    let unknown = refusal(world.with_token(&both).in_workspace(NOBODY)).await;
    assert_eq!((unknown.code, unknown.reason()), (Code::NotFound, "WORKSPACE_NOT_FOUND"));
    assert!(ask(&world.with_token(&both).in_workspace(&acme.workspace_id), question).await.allowed);
}

#[tokio::test]
async fn a_session_asks_about_itself_and_a_key_about_somebody() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let desk = world.service_key("desk", &[ServiceScope::CheckAccess, ServiceScope::CheckUserAccess], None).await;
    for subject in [token(&acme.token), user(&acme.user_id)] {
        let refusal = refused(world.by(&acme).access().check_access(check_role(subject, Role::Agent)).await);
        assert_eq!((refusal.code, refusal.reason()), (Code::InvalidArgument, "FIELD_INVALID"));
        assert_eq!(refusal.fields, [("subject".into(), "NOT_ALLOWED".into())]);
    }
    let refusal = refused(world.with_token(&desk).access().check_access(check_role(None, Role::Agent)).await);
    assert_eq!(refusal.fields, [("subject".into(), "REQUIRED".into())]);
    let mismatch =
        refused(world.by(&acme).in_workspace(NOBODY).access().check_access(check_role(None, Role::Agent)).await);
    assert_eq!(mismatch.reason(), "WORKSPACE_MISMATCH");
    for (requirement, field, reason) in [
        (None, "requirement", "REQUIRED"),
        (Some(Requirement::Permission(0)), "permission", "REQUIRED"),
        (Some(Requirement::Permission(99)), "permission", "UNKNOWN_VALUE"),
        (Some(Requirement::MinimumRole(0)), "minimum_role", "REQUIRED"),
        (Some(Requirement::MinimumRole(5)), "minimum_role", "UNKNOWN_VALUE"),
    ] {
        let question = v1::CheckAccessRequest { subject: None, requirement };
        let refusal = refused(world.by(&acme).access().check_access(question).await);
        assert_eq!(refusal.fields, [(field.to_owned(), reason.to_owned())]);
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_and_one_bad_check_refuses_it_all() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let desk = world.service_key("desk", &[ServiceScope::CheckAccess, ServiceScope::CheckUserAccess], None).await;
    let desk = world.with_token(&desk).in_workspace(&acme.workspace_id);
    let good = vec![
        check_role(token(&acme.token), Role::Owner),
        check_role(token("rcs_dead"), Role::Agent),
        check_role(user(&birch.user_id), Role::Agent),
        check_role(token(&birch.token), Role::Agent),
        check_role(user(&acme.user_id), Role::Agent),
    ];
    let batch = async |checks: Vec<v1::CheckAccessRequest>| {
        desk.access().batch_check_access(v1::BatchCheckAccessRequest { checks }).await
    };
    let results = ok(batch(good.clone()).await).results;
    let mut single = vec![];
    for question in &good {
        single.push(ask(&desk, question.clone()).await);
    }
    assert_eq!(results, single);
    assert_eq!(results.iter().map(|one| one.allowed).collect::<Vec<_>>(), [true, false, false, false, true]);

    let fields = async |checks| refused(batch(checks).await).fields;
    let field = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    let mut bad = good.clone();
    bad[1] = check_role(user("nonsense"), Role::Agent);
    bad[3] = v1::CheckAccessRequest { subject: None, requirement: None };
    assert_eq!(
        fields(bad).await,
        [field("checks[1].user_id", "MALFORMED"), field("checks[3].requirement", "REQUIRED")]
    );
    let mut unset = good.clone();
    unset[2] = check_role(None, Role::Agent);
    assert_eq!(fields(unset).await, [field("checks[2].subject", "REQUIRED")]);
    assert_eq!(fields(vec![]).await, [field("checks", "REQUIRED")]);
    assert_eq!(ok(batch(vec![good[0].clone(); 100]).await).results.len(), 100);
    assert_eq!(fields(vec![good[0].clone(); 101]).await, [field("checks", "TOO_LONG")]);
}

#[tokio::test]
async fn what_is_revoked_is_denied_by_the_very_next_check() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let desk_key = world.service_key("desk", &[ServiceScope::CheckAccess, ServiceScope::CheckUserAccess], None).await;
    let desk = world.with_token(&desk_key).in_workspace(&owner.workspace_id);
    let reason = async |question: v1::CheckAccessRequest| {
        let answer = ask(&desk, question).await;
        answer.denial.map(|denial| denial.reason())
    };
    for round in 0..20 {
        let gil = world.join(&owner, &format!("gil{round}@acme.example"), Role::Manager).await;
        let manages = || check(token(&gil.token), v1::Permission::ReportsView);
        let by_id = || check(user(&gil.user_id), v1::Permission::ReportsView);
        assert_eq!((reason(manages()).await, reason(by_id()).await), (None, None));
        ok(world.by(&owner).change_role(&gil.user_id, Role::Agent).await);
        let low = Some(v1::DenialReason::RoleTooLow);
        assert_eq!((reason(manages()).await, reason(by_id()).await), (low, low));
        ok(world.by(&owner).change_role(&gil.user_id, Role::Manager).await);
        assert_eq!((reason(manages()).await, reason(by_id()).await), (None, None));
        match round % 3 {
            0 => drop(ok(world.by(&owner).remove(&gil.user_id).await)),
            1 => drop(ok(world.by(&gil).leave().await)),
            _ => drop(ok(world.by(&gil).sign_out().await)),
        }
        assert_eq!(reason(manages()).await, Some(v1::DenialReason::SessionEnded));
        let still = (round % 3 < 2).then_some(v1::DenialReason::NotAMember);
        assert_eq!(reason(by_id()).await, still);
    }
    assert!(world.app.revoke_service_key("desk").await.unwrap());
    let dead = refused(desk.access().check_access(check_role(token(&owner.token), Role::Agent)).await);
    assert_eq!((dead.code, dead.reason()), (Code::Unauthenticated, "SERVICE_KEY_INVALID"));
}

#[tokio::test]
async fn a_session_that_time_has_ended_is_denied() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let desk = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    world.wait(DAY);
    let answer = ask(&world.with_token(&desk), check_role(token(&owner.token), Role::Agent)).await;
    assert_eq!(answer, denied(v1::DenialReason::SessionEnded));
}
