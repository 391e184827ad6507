//! Finding people, and what is seen of them.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use super::{HOUR, NOBODY};
use crate::support::{As, World, ok, refused};

async fn found(by: &As, request: v1::ListUsersRequest) -> Vec<String> {
    let users = ok(by.users().list_users(request).await).users;
    users.into_iter().map(|user| user.display_name).collect()
}

async fn search(by: &As, query: &str) -> Vec<String> {
    found(by, v1::ListUsersRequest { query: query.into(), ..Default::default() }).await
}

#[tokio::test]
async fn a_search_matches_part_of_a_name_or_address_in_any_case() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    for (email, name) in [
        ("a1@acme.example", "Zoë Ångström"),
        ("b2@acme.example", "Σίσυφος"),
        ("c3@acme.example", "Иван Грозный"),
        ("d4@acme.example", "Heinz Straße"),
        ("e5+tag@acme.example", "Plain"),
    ] {
        let token = world.invite(&owner, email, Role::Agent).await;
        world.accept(&token, name).await;
    }
    for (query, name) in [
        ("ZOË", "Zoë Ångström"),
        ("zoe\u{308}", "Zoë Ångström"),
        ("ånGST", "Zoë Ångström"),
        ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
        // A part that ends in the middle of a word, where the small letter is another one than at its end.
        ("ΣΊΣ", "Σίσυφος"),
        ("ГРОЗ", "Иван Грозный"),
        ("STRASSE", "Heinz Straße"),
        ("E5+TAG@ACME", "Plain"),
        ("3@acme", "Иван Грозный"),
    ] {
        assert_eq!(search(&by, query).await, [name], "{query}");
    }
    assert_eq!(search(&by, "@acme.example").await.len(), 6);
    for nothing in ["Zoe", "examplezoë", "example\u{20}zoë", "Plainer"] {
        assert_eq!(search(&by, nothing).await, [""; 0], "{nothing}");
    }
}

#[tokio::test]
async fn a_search_takes_wildcards_literally() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    for (email, name) in [
        ("a@acme.example", "100% Ada"),
        ("b_b@acme.example", "Bob"),
        ("c@acme.example", "Back\\slash"),
        ("d@acme.example", "'; DROP TABLE membership; --"),
    ] {
        let token = world.invite(&owner, email, Role::Agent).await;
        world.accept(&token, name).await;
    }
    assert_eq!(search(&by, "%").await, ["100% Ada"]);
    assert_eq!(search(&by, "_").await, ["Bob"]);
    assert_eq!(search(&by, "b_b").await, ["Bob"]);
    assert_eq!(search(&by, "\\").await, ["Back\\slash"]);
    assert_eq!(search(&by, "\\%").await, [""; 0]);
    assert_eq!(search(&by, "'; drop").await, ["'; DROP TABLE membership; --"]);
    assert_eq!(search(&by, "*").await, [""; 0]);
}

#[tokio::test]
async fn people_are_listed_by_address_by_role_and_removed_ones_only_if_asked_for() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "mm@acme.example").await;
    world.join(&owner, "zz@acme.example", Role::Agent).await;
    let bb = world.join(&owner, "bb@acme.example", Role::Admin).await;
    world.join(&owner, "aa@acme.example", Role::Agent).await;
    ok(world.by(&owner).remove(&bb.user_id).await);

    let by = world.by(&owner);
    let list = async |roles: &[Role], include_removed| {
        let roles = roles.iter().map(|role| role.number()).collect();
        found(&by, v1::ListUsersRequest { roles, include_removed, ..Default::default() }).await
    };
    assert_eq!(list(&[], false).await, ["aa", "Olga Owner", "zz"]);
    assert_eq!(list(&[], true).await, ["aa", "bb", "Olga Owner", "zz"]);
    assert_eq!(list(&[Role::Agent], true).await, ["aa", "zz"]);
    assert_eq!(list(&[Role::Admin, Role::Owner], false).await, ["Olga Owner"]);
    assert_eq!(list(&[Role::Admin, Role::Owner], true).await, ["bb", "Olga Owner"]);
}

#[tokio::test]
async fn below_admin_a_colleague_shows_no_more_than_name_role_and_state() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let manager = world.join(&owner, "meg@acme.example", Role::Manager).await;
    let admin = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let key = world.service_key("crm", &[ServiceScope::ReadUsers], Some(&owner.workspace_id)).await;
    let user = async |by: &As, id: &str| ok(by.get_user(id).await).user.unwrap();

    let seen = user(&world.by(&manager), &owner.user_id).await;
    let expected = v1::User {
        user_id: owner.user_id.clone(),
        display_name: "Olga Owner".into(),
        role: Role::Owner.number(),
        state: v1::UserState::Active.into(),
        ..Default::default()
    };
    assert_eq!(seen, expected);
    let itself = user(&world.by(&manager), &manager.user_id).await;
    assert!(itself.email == "meg@acme.example" && itself.join_time.is_some());
    for full in [world.by(&admin), world.with_token(&key)] {
        let seen = user(&full, &owner.user_id).await;
        assert!(seen.email == "owner@acme.example" && seen.join_time.is_some());
    }
    let request = v1::BatchGetUsersRequest { user_ids: vec![owner.user_id.clone(), manager.user_id.clone()] };
    let seen = ok(world.by(&manager).users().batch_get_users(request).await).users;
    assert_eq!(seen, [expected, itself]);
}

#[tokio::test]
async fn a_batch_keeps_the_order_asked_answers_each_once_and_leaves_out_the_unknown() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let foreign = world.workspace("Birch", "owner@birch.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let zoe = world.join(&owner, "zoe@acme.example", Role::Agent).await;
    ok(world.by(&owner).remove(&gil.user_id).await);
    let batch = async |ids: Vec<String>| {
        world.by(&owner).users().batch_get_users(v1::BatchGetUsersRequest { user_ids: ids }).await
    };
    let asked = [&zoe.user_id, NOBODY, &gil.user_id, &zoe.user_id.to_uppercase(), &foreign.user_id, &owner.user_id];
    let users = ok(batch(asked.iter().map(ToString::to_string).collect()).await).users;
    let got: Vec<_> = users.iter().map(|user| (user.user_id.as_str(), user.state())).collect();
    let (active, removed) = (v1::UserState::Active, v1::UserState::Removed);
    assert_eq!(
        got,
        [(zoe.user_id.as_str(), active), (gil.user_id.as_str(), removed), (owner.user_id.as_str(), active)]
    );

    assert_eq!(ok(batch(vec![NOBODY.into(); 100]).await).users, []);
    assert_eq!(refused(batch(vec![]).await).fields, [("user_ids".into(), "REQUIRED".into())]);
    assert_eq!(refused(batch(vec![NOBODY.into(); 101]).await).fields, [("user_ids".into(), "TOO_LONG".into())]);
    let bad = refused(batch(vec![NOBODY.into(), "x".into(), String::new()]).await);
    let field = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    assert_eq!(bad.fields, [field("user_ids[1]", "MALFORMED"), field("user_ids[2]", "REQUIRED")]);
}

#[tokio::test]
async fn a_person_of_another_workspace_is_as_unknown_as_one_who_never_was() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let by = world.by(&acme);
    let foreign = refused(by.get_user(&birch.user_id).await);
    assert_eq!((foreign.code, foreign.reason()), (Code::NotFound, "USER_NOT_FOUND"));
    assert_eq!(refused(by.get_user(NOBODY).await), foreign);
    assert_eq!(refused(by.change_role(&birch.user_id, Role::Agent).await), foreign);
    assert_eq!(refused(by.remove(&birch.user_id).await), foreign);
}

#[tokio::test]
async fn a_profile_changes_in_all_of_ones_workspaces_but_not_in_those_that_one_has_left() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let cedar = world.workspace("Cedar", "owner@cedar.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Agent).await;
    for owner in [&birch, &cedar] {
        let token = world.invite(owner, "gil@acme.example", Role::Agent).await;
        world.accept(&token, "ignored").await;
    }
    ok(world.by(&cedar).remove(&gil.user_id).await);

    for _ in 0..2 {
        let user = ok(world.by(&gil).call_myself("  Gil the Good ").await).user.unwrap();
        assert_eq!((user.display_name.as_str(), user.email.as_str()), ("Gil the Good", "gil@acme.example"));
    }
    let seen = async |by: &crate::support::Person| {
        let user = ok(world.by(by).get_user(&gil.user_id).await).user.unwrap();
        (user.display_name, user.email, user.state)
    };
    let mail = "gil@acme.example".to_owned();
    let (active, removed) = (v1::UserState::Active.into(), v1::UserState::Removed.into());
    assert_eq!(seen(&acme).await, ("Gil the Good".into(), mail.clone(), active));
    assert_eq!(seen(&birch).await, ("Gil the Good".into(), mail.clone(), active));
    assert_eq!(seen(&cedar).await, ("gil".into(), mail, removed));
    assert_eq!(search(&world.by(&birch), "the good").await, ["Gil the Good"]);
    let removed = v1::ListUsersRequest { query: "the good".into(), include_removed: true, ..Default::default() };
    assert_eq!(found(&world.by(&cedar), removed).await, [""; 0]);
    assert_eq!(
        world.by(&acme).events(&[v1::AuditAction::ProfileUpdated]).await.len(),
        1,
        "the repetition left a trace"
    );
    assert_eq!(world.by(&birch).events(&[v1::AuditAction::ProfileUpdated]).await.len(), 0);

    // Back again, the person has the name that they have by now.
    let token = world.invite(&cedar, "gil@acme.example", Role::Agent).await;
    world.accept(&token, "ignored").await;
    assert_eq!(seen(&cedar).await.0, "Gil the Good");
    let unset = v1::UpdateProfileRequest { display_name: None };
    let refusal = refused(world.by(&gil).users().update_profile(unset).await);
    assert_eq!(refusal.fields, [("display_name".into(), "REQUIRED".into())]);
}

#[tokio::test]
async fn history_keeps_the_time_of_joining_and_of_going() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Manager).await;
    world.wait(HOUR);
    let removed = ok(world.by(&owner).remove(&gil.user_id).await).user.unwrap();
    world.wait(HOUR);
    let seen = ok(world.by(&owner).get_user(&gil.user_id).await).user.unwrap();
    assert_eq!(seen, removed);
    assert_eq!((seen.role(), seen.state()), (v1::Role::Manager, v1::UserState::Removed));
    assert_eq!(seen.remove_time.unwrap().seconds - seen.join_time.unwrap().seconds, 3_600);
}

#[tokio::test]
async fn a_workspace_is_renamed_and_its_new_name_shows_everywhere() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let token = world.invite(&owner, "new@acme.example", Role::Agent).await;
    let rename = |name: &str| v1::UpdateWorkspaceRequest { name: Some(name.into()) };
    for _ in 0..2 {
        let renamed = ok(world.by(&owner).workspaces().update_workspace(rename(" Acme & Sons ")).await);
        assert_eq!(renamed.workspace.unwrap().name, "Acme & Sons");
    }
    assert_eq!(world.by(&owner).events(&[v1::AuditAction::WorkspaceRenamed]).await.len(), 1);
    assert_eq!(ok(world.nobody().preview(&token).await).workspace_name, "Acme & Sons");
    let session = ok(world.by(&gil).get_session().await);
    assert_eq!(session.workspace.unwrap().workspace_name, "Acme & Sons");
    let workspace = ok(world.by(&gil).workspaces().get_workspace(v1::GetWorkspaceRequest {}).await).workspace.unwrap();
    assert_eq!((workspace.name.as_str(), workspace.workspace_id), ("Acme & Sons", owner.workspace_id.clone()));
    let low = refused(world.by(&gil).workspaces().update_workspace(rename("Gil's")).await);
    assert_eq!(low.reason(), "ROLE_TOO_LOW");
    let unset =
        refused(world.by(&owner).workspaces().update_workspace(v1::UpdateWorkspaceRequest { name: None }).await);
    assert_eq!(unset.fields, [("name".into(), "REQUIRED".into())]);
}
