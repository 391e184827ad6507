//! Signing in, switching, and ending what was begun.

use rolecall::grpc::pb::v1;
use rolecall::grpc::pb::v1::check_access_request::Requirement;
use rolecall::model::Role;
use tonic::Code;

use super::{DAY, HOUR, NOBODY};
use crate::support::{PASSWORD, Person, World, hex, metadata, ok, refused};

/// Gil, a member of two workspaces: joined Acme first, Birch second.
async fn in_two_workspaces(world: &World) -> (Person, Person, Person) {
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Agent).await;
    world.tick();
    let token = world.invite(&birch, "gil@acme.example", Role::Manager).await;
    world.accept(&token, "ignored").await;
    world.tick();
    (acme, birch, gil)
}

#[tokio::test]
async fn a_sign_in_without_a_workspace_goes_where_the_person_signed_in_last() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    for workspace in [&acme.workspace_id, &birch.workspace_id, &acme.workspace_id] {
        ok(world.nobody().sign_in(&gil.email, PASSWORD, workspace).await);
        world.tick();
        assert_eq!(world.sign_in(&gil.email).await.workspace_id, *workspace);
        world.tick();
    }
    // Switching is no sign-in.
    let here = world.sign_in(&gil.email).await;
    ok(world.by(&here).switch_to(&birch.workspace_id).await);
    world.tick();
    assert_eq!(world.sign_in(&gil.email).await.workspace_id, acme.workspace_id);
    // Where the person is no member any more, no sign-in goes.
    ok(world.by(&acme).remove(&gil.user_id).await);
    assert_eq!(world.sign_in(&gil.email).await.workspace_id, birch.workspace_id);
}

#[tokio::test]
async fn without_a_last_one_it_goes_where_the_person_joined_first() {
    let world = World::start().await;
    let (acme, _, gil) = in_two_workspaces(&world).await;
    let forget = format!("UPDATE membership SET last_sign_in_at = NULL WHERE hex(user_id) = '{}'", hex(&gil.user_id));
    assert_eq!(world.outside().await.run(&forget).await, 2);
    assert_eq!(world.sign_in(&gil.email).await.workspace_id, acme.workspace_id);
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_in_is_not_told_apart() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gone = world.join(&owner, "gone@acme.example", Role::Agent).await;
    ok(world.by(&owner).remove(&gone.user_id).await);
    let nobody = world.nobody();
    let refusals = [
        refused(nobody.sign_in("owner@acme.example", "violet kettle orbit 78 lamp", "").await),
        refused(nobody.sign_in("unknown@acme.example", PASSWORD, "").await),
        refused(nobody.sign_in("gone@acme.example", PASSWORD, "").await),
        refused(nobody.sign_in("gone@acme.example", PASSWORD, &owner.workspace_id).await),
        refused(nobody.sign_in("owner@acme.example", "violet kettle orbit 78 lamp", NOBODY).await),
    ];
    assert_eq!((refusals[0].code, refusals[0].reason()), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
}

#[tokio::test]
async fn a_workspace_of_others_and_one_that_is_none_are_refused_in_the_same_words() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let (nobody, by) = (world.nobody(), world.by(&acme));
    let refusals = [
        refused(nobody.sign_in(&acme.email, PASSWORD, &birch.workspace_id).await),
        refused(nobody.sign_in(&acme.email, PASSWORD, NOBODY).await),
        refused(by.switch_to(&birch.workspace_id).await),
        refused(by.switch_to(NOBODY).await),
    ];
    assert_eq!((refusals[0].code, refusals[0].reason()), (Code::PermissionDenied, "NOT_A_MEMBER"));
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
}

#[tokio::test]
async fn a_method_open_to_anyone_ignores_a_dead_token() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    ok(world.by(&owner).sign_out().await);
    for token in [owner.token.as_str(), "rcs_nonsense", "rck_nonsense"] {
        ok(world.with_token(token).sign_in(&owner.email, PASSWORD, "").await);
    }
}

#[tokio::test]
async fn a_switch_begins_a_session_of_the_same_sign_in_that_ends_with_it() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    let first = ok(world.nobody().sign_in(&gil.email, PASSWORD, &acme.workspace_id).await);
    let (token, first) = (first.session_token, first.session.unwrap());
    world.wait(5 * HOUR);
    let switched = ok(world.with_token(&token).switch_to(&birch.workspace_id).await);
    let second = switched.session.unwrap();

    assert_eq!((&second.sign_in_id, second.expire_time), (&first.sign_in_id, first.expire_time));
    assert_ne!(second.create_time, first.create_time);
    assert_eq!(second.workspace_id, birch.workspace_id);
    let there = ok(world.with_token(&switched.session_token).get_session().await);
    assert_eq!(there.workspace.unwrap().role(), v1::Role::Manager);
    // The calling session goes on where it is.
    let here = ok(world.with_token(&token).get_session().await);
    assert_eq!(here.session.unwrap().workspace_id, acme.workspace_id);
}

#[tokio::test]
async fn a_session_says_who_it_is_and_what_it_may_do_here() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Manager).await;
    let answer = ok(world.by(&gil).and("user-agent", "ignored").get_session().await);
    let session = answer.session.unwrap();
    assert_eq!(
        (session.session_id, session.user_id, session.current),
        (gil.session_id.clone(), gil.user_id.clone(), true)
    );
    assert_eq!(
        (answer.user.unwrap().email.as_str(), session.client_address.as_str()),
        ("gil@acme.example", "127.0.0.1")
    );
    assert_eq!(answer.workspace.unwrap().workspace_name, "Acme");
    let permissions: Vec<_> =
        answer.permissions.iter().map(|number| v1::Permission::try_from(*number).unwrap()).collect();
    assert_eq!(
        permissions,
        [
            v1::Permission::ConversationsHandle,
            v1::Permission::ConversationsReply,
            v1::Permission::ConversationsViewAssigned,
            v1::Permission::ConversationsViewAll,
            v1::Permission::ReportsView,
            v1::Permission::ClientsManage,
        ]
    );
    let mismatch = refused(world.by(&gil).in_workspace(NOBODY).get_session().await);
    assert_eq!((mismatch.code, mismatch.reason()), (Code::FailedPrecondition, "WORKSPACE_MISMATCH"));
}

#[tokio::test]
async fn what_a_trusted_peer_says_of_its_client_is_believed_and_what_others_say_is_not() {
    let through_gateway = async |world: &World| {
        let owner = world.workspace("Acme", "owner@acme.example").await;
        let gateway = world.nobody().and("rolecall-client-address", "203.0.113.9");
        let gateway = gateway.and("rolecall-client-user-agent", "Browser/7");
        let session = ok(gateway.sign_in(&owner.email, PASSWORD, "").await).session.unwrap();
        (session.client_address, session.user_agent == "Browser/7")
    };
    let trusting = World::start_with(|grpc| grpc.trusted_peers = vec!["127.0.0.0/8".parse().unwrap()]).await;
    assert_eq!(through_gateway(&trusting).await, ("203.0.113.9".to_owned(), true));
    assert_eq!(through_gateway(&World::start().await).await, ("127.0.0.1".to_owned(), false));
}

#[tokio::test]
async fn revoking_a_session_ends_its_whole_sign_in_and_may_be_repeated() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    let lost = ok(world.nobody().sign_in(&gil.email, PASSWORD, &acme.workspace_id).await).session_token;
    let switched = ok(world.with_token(&lost).switch_to(&birch.workspace_id).await);
    let id = switched.session.unwrap().session_id;

    for _ in 0..2 {
        ok(world.by(&gil).revoke(&id).await);
        for token in [&lost, &switched.session_token] {
            assert_eq!(refused(world.with_token(token).get_session().await).reason(), "SESSION_ENDED");
        }
    }
    ok(world.by(&gil).get_session().await);
    // Its own session is one of the caller's too.
    ok(world.by(&gil).revoke(&gil.session_id).await);
    assert_eq!(refused(world.by(&gil).get_session().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn somebody_elses_session_is_as_unknown_as_one_that_never_was() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let foreign = refused(world.by(&owner).revoke(&gil.session_id).await);
    assert_eq!((foreign.code, foreign.reason()), (Code::NotFound, "SESSION_NOT_FOUND"));
    assert_eq!(refused(world.by(&owner).revoke(NOBODY).await), foreign);
    ok(world.by(&gil).get_session().await);
}

#[tokio::test]
async fn signing_out_ends_the_sign_in_in_all_workspaces_and_may_be_repeated() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    let here = ok(world.nobody().sign_in(&gil.email, PASSWORD, &acme.workspace_id).await).session_token;
    let there = ok(world.with_token(&here).switch_to(&birch.workspace_id).await).session_token;

    ok(world.with_token(&there).sign_out().await);
    for token in [&here, &there] {
        assert_eq!(refused(world.with_token(token).get_session().await).reason(), "SESSION_ENDED");
        ok(world.with_token(token).sign_out().await);
    }
    ok(world.by(&gil).get_session().await);
    // Only what signed itself out may do so again: whatever ended otherwise has ended.
    ok(world.by(&gil).revoke(&gil.session_id).await);
    assert_eq!(refused(world.by(&gil).sign_out().await).reason(), "SESSION_ENDED");
    assert_eq!(refused(world.with_token("rcs_never").sign_out().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn revoking_the_others_keeps_this_sign_in_and_counts_the_live_sessions_that_ended() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    let other = ok(world.nobody().sign_in(&gil.email, PASSWORD, &acme.workspace_id).await).session_token;
    let others = ok(world.with_token(&other).switch_to(&birch.workspace_id).await).session_token;
    let own = ok(world.by(&gil).switch_to(&birch.workspace_id).await).session_token;

    // The session of the second acceptance, and the two of the other sign-in.
    assert_eq!(ok(world.by(&gil).revoke_others().await).ended_session_count, 3);
    for token in [&other, &others] {
        assert_eq!(refused(world.with_token(token).get_session().await).reason(), "SESSION_ENDED");
    }
    ok(world.with_token(&own).get_session().await);
    assert_eq!(ok(world.by(&gil).revoke_others().await).ended_session_count, 0);
    ok(world.by(&acme).get_session().await);
}

#[tokio::test]
async fn only_ones_own_live_sessions_are_listed_newest_first() {
    let world = World::start().await;
    let (acme, birch, gil) = in_two_workspaces(&world).await;
    let ended = world.sign_in(&gil.email).await;
    ok(world.by(&ended).sign_out().await);
    let idle = world.sign_in(&gil.email).await;
    world.wait(DAY / 2);
    ok(world.by(&gil).get_session().await);
    world.app.record_use().await.unwrap();
    world.wait(DAY / 2);
    let newest = ok(world.by(&gil).switch_to(&birch.workspace_id).await).session.unwrap();

    let sessions = world.by(&gil).all_sessions().await;
    let ids: Vec<_> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!(ids, [newest.session_id.as_str(), gil.session_id.as_str()]);
    assert_eq!(sessions.iter().map(|session| session.current).collect::<Vec<_>>(), [false, true]);
    assert_eq!(sessions[0].workspace_id, birch.workspace_id);
    assert_eq!(refused(world.by(&idle).get_session().await).reason(), "SESSION_ENDED");
    let colleague = world.sign_in(&acme.email).await;
    let theirs = world.by(&colleague).all_sessions().await;
    assert!(theirs.iter().all(|session| session.user_id == acme.user_id) && !theirs.is_empty());
}

#[tokio::test]
async fn a_bearer_that_is_missing_malformed_doubled_or_of_another_kind_is_none() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let reason = async |clients: crate::support::As| refused(clients.get_session().await).reason;
    assert_eq!(reason(world.nobody()).await, "CREDENTIAL_MISSING");
    assert_eq!(reason(world.nobody().and("authorization", "Basic b3duZXI6cHc=")).await, "CREDENTIAL_MISSING");
    for token in ["", "rcs_", "nonsense", &owner.token.replace("rcs_", "rci_"), &owner.token[..46]] {
        assert_eq!(reason(world.with_token(token)).await, "SESSION_ENDED", "{token}");
    }
    let (_, twice) = metadata("authorization", &format!("Bearer {}", owner.token));
    assert_eq!(reason(world.by(&owner).and("authorization", twice.to_str().unwrap())).await, "SESSION_ENDED");
    assert_eq!(reason(world.with_token(&owner.token.replace("rcs_", "rck_"))).await, "SERVICE_KEY_INVALID");
}

#[tokio::test]
async fn a_session_whose_membership_has_ended_is_dead_even_if_nobody_ended_it() {
    let world = World::start().await;
    let (_, birch, gil) = in_two_workspaces(&world).await;
    let token = ok(world.by(&gil).switch_to(&birch.workspace_id).await).session_token;
    // The first lock ends the sessions in the same transaction, so what the second one holds against is made by hand.
    let end = format!(
        "UPDATE membership SET removed_at = 1 WHERE hex(user_id) = '{}' AND hex(workspace_id) = '{}'",
        hex(&gil.user_id),
        hex(&birch.workspace_id)
    );
    assert_eq!(world.outside().await.run(&end).await, 1);
    assert_eq!(refused(world.with_token(&token).get_session().await).reason(), "SESSION_ENDED");
    assert_eq!(refused(world.with_token(&token).call_myself("Gil Gone").await).reason(), "SESSION_ENDED");
    ok(world.by(&gil).get_session().await);
}

#[tokio::test]
async fn a_membership_that_another_tool_ends_takes_its_sessions_along() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Manager).await;
    let database = world.outside().await;
    // As SQLite's own shell has it.
    database.run_either("PRAGMA foreign_keys = OFF", "").await;
    let gils = format!("WHERE hex(user_id) = '{}'", hex(&gil.user_id));
    let role = format!("SELECT role FROM session {gils}");
    assert_eq!(database.run(&format!("UPDATE membership SET role = 1 {gils}")).await, 1);
    assert_eq!(database.number(&role).await, 1);
    assert_eq!(database.run(&format!("UPDATE membership SET removed_at = 1 {gils}")).await, 1);
    assert_eq!(refused(world.by(&gil).get_session().await).reason(), "SESSION_ENDED");
    // Nor does it live again.
    assert_eq!(database.run(&format!("UPDATE membership SET removed_at = NULL {gils}")).await, 1);
    assert_eq!(refused(world.by(&gil).get_session().await).reason(), "SESSION_ENDED");
    ok(world.by(&owner).get_session().await);
}

#[tokio::test]
async fn after_a_restore_nobody_is_let_in_by_what_the_manual_says_to_end() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let link = world.invite(&owner, "gil@acme.example", Role::Manager).await;
    let manual = include_str!("../../../docs/operations.md");
    let (_, script) = manual.split_once("```sql\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let script: String = script.lines().filter(|line| !line.starts_with("--")).collect();
    let database = world.outside().await;
    for statement in script.split(';').filter(|statement| !statement.is_empty()) {
        database.run(statement).await;
    }
    assert_eq!(refused(world.by(&owner).get_session().await).reason(), "SESSION_ENDED");
    assert_eq!(refused(world.nobody().accept(&link, "Gil", PASSWORD).await).reason(), "INVITATION_CANCELED");
    ok(world.nobody().sign_in("owner@acme.example", PASSWORD, "").await);
}

#[tokio::test]
async fn a_session_has_the_role_of_its_membership_whoever_changes_it() {
    let world = World::start().await;
    let (_, birch, gil) = in_two_workspaces(&world).await;
    let token = ok(world.by(&gil).switch_to(&birch.workspace_id).await).session_token;
    let (database, user, workspace) = (world.outside().await, hex(&gil.user_id), hex(&birch.workspace_id));
    let where_it_is = format!("WHERE hex(user_id) = '{user}' AND hex(workspace_id) = '{workspace}'");
    let role_of = async |token: &str| {
        let requirement = Some(Requirement::MinimumRole(Role::Agent.number()));
        let request = v1::CheckAccessRequest { subject: None, requirement };
        ok(world.with_token(token).access().check_access(request).await).role()
    };
    assert_eq!(role_of(&token).await, v1::Role::Manager);
    assert_eq!(database.run(&format!("UPDATE membership SET role = 3 {where_it_is}")).await, 1);
    assert_eq!(role_of(&token).await, v1::Role::Admin);
    assert_eq!(role_of(&gil.token).await, v1::Role::Agent, "the other workspace has nothing to do with it");
    for role in ["4", "1"] {
        let error = database.execute(&format!("UPDATE session SET role = {role} {where_it_is}")).await.unwrap_err();
        assert!(error.as_database_error().unwrap().is_foreign_key_violation(), "{error}");
    }
    assert_eq!(database.run(&format!("UPDATE session SET ended_at = 1, role = NULL {where_it_is}")).await, 2);
    let revived = database.execute(&format!("UPDATE session SET role = 3 {where_it_is}")).await.unwrap_err();
    assert!(revived.as_database_error().unwrap().is_check_violation(), "{revived}");
}
