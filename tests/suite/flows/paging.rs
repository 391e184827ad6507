//! Lists stay stable while rows come and go, and a page token belongs to one list.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use crate::support::{As, Person, World, ok, refused};

async fn users(by: &As, page_token: String) -> (Vec<String>, String) {
    let request = v1::ListUsersRequest { page_size: 2, page_token, ..Default::default() };
    let page = ok(by.users().list_users(request).await);
    (page.users.iter().map(|user| user.email.split('@').next().unwrap().to_owned()).collect(), page.next_page_token)
}

#[tokio::test]
async fn people_who_come_and_go_between_pages_make_nobody_else_appear_twice_or_not_at_all() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "m@acme.example").await;
    let by = world.by(&owner);
    let mut people = Vec::new();
    for name in ["b", "d", "f", "h"] {
        people.push(world.join(&owner, &format!("{name}@acme.example"), Role::Agent).await);
    }
    let (first, next) = users(&by, String::new()).await;
    assert_eq!(first, ["b", "d"]);
    // One before the place, the one at the place, and one after it.
    world.join(&owner, "a@acme.example", Role::Agent).await;
    ok(by.remove(&people[1].user_id).await);
    world.join(&owner, "g@acme.example", Role::Agent).await;
    let (second, next) = users(&by, next).await;
    assert_eq!(second, ["f", "g"]);
    let (third, last) = users(&by, next).await;
    assert_eq!((third.as_slice(), last.as_str()), (["h".to_owned(), "m".to_owned()].as_slice(), ""));
}

#[tokio::test]
async fn invitations_sessions_events_and_workspaces_page_without_a_gap_even_at_one_moment() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    // All at the same moment: the clock stands still.
    for index in 0..5 {
        ok(by.create_invitation(&format!("p{index}@acme.example"), Role::Agent).await);
        ok(by.switch_to(&owner.workspace_id).await);
        let other = world.workspace("Other", &format!("other{index}@acme.example")).await;
        let token = world.invite(&other, "owner@acme.example", Role::Agent).await;
        world.accept(&token, "ignored").await;
    }
    let events = by.events(&[]).await.len();
    for (list, total) in [(0, 5), (1, 11), (2, events), (3, 6)] {
        for page_size in [1, 2, 3, 200] {
            let mut seen = Vec::new();
            let mut page_token = String::new();
            loop {
                let (ids, next) = page(&by, list, page_size, page_token).await.unwrap();
                assert!(ids.len() <= page_size as usize);
                seen.extend(ids);
                if next.is_empty() {
                    break;
                }
                page_token = next;
            }
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!((all, seen.len()), (total, total), "list {list} by {page_size}");
        }
    }
}

type Ids = Result<(Vec<String>, String), tonic::Status>;

/// One page of a list: 0 invitations, 1 sessions, 2 events, 3 workspaces, 4 users.
async fn page(by: &As, list: usize, page_size: i32, page_token: String) -> Ids {
    Ok(match list {
        0 => {
            let request = v1::ListInvitationsRequest { page_size, page_token, ..Default::default() };
            let page = by.invitations().list_invitations(request).await?.into_inner();
            (page.invitations.into_iter().map(|row| row.invitation_id).collect(), page.next_page_token)
        }
        1 => {
            let request = v1::ListSessionsRequest { page_size, page_token };
            let page = by.sessions().list_sessions(request).await?.into_inner();
            (page.sessions.into_iter().map(|row| row.session_id).collect(), page.next_page_token)
        }
        2 => {
            let request = v1::ListAuditEventsRequest { page_size, page_token, ..Default::default() };
            let page = by.audit().list_audit_events(request).await?.into_inner();
            (page.events.into_iter().map(|row| row.event_id).collect(), page.next_page_token)
        }
        3 => {
            let request = v1::ListWorkspacesRequest { page_size, page_token };
            let page = by.workspaces().list_workspaces(request).await?.into_inner();
            (page.workspaces.into_iter().map(|row| row.workspace_id).collect(), page.next_page_token)
        }
        _ => {
            let request = v1::ListUsersRequest { page_size, page_token, ..Default::default() };
            let page = by.users().list_users(request).await?.into_inner();
            (page.users.into_iter().map(|row| row.user_id).collect(), page.next_page_token)
        }
    })
}

/// Somebody in two workspaces, with at least two rows in each list of each.
async fn with_lists(world: &World) -> (Person, Person) {
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let token = world.invite(&birch, "owner@acme.example", Role::Owner).await;
    let in_birch = world.accept(&token, "ignored").await;
    for by in [&acme, &in_birch] {
        for name in ["one", "two"] {
            let domain = &by.workspace_id;
            ok(world.by(by).create_invitation(&format!("{name}@x{domain}.example"), Role::Agent).await);
        }
        world.join(by, &format!("gil@y{}.example", by.workspace_id), Role::Agent).await;
    }
    (acme, in_birch)
}

#[tokio::test]
async fn a_page_token_of_another_list_workspace_person_or_filter_is_refused() {
    let world = World::start().await;
    let (acme, in_birch) = with_lists(&world).await;
    let stranger = world.sign_in("owner@birch.example").await;
    let (by, there) = (world.by(&acme), world.by(&in_birch));
    let invalid = |result: Ids| {
        let refusal = crate::support::Refused::from_status(&result.unwrap_err());
        assert_eq!((refusal.code, refusal.reason()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
        assert_eq!(refusal.fields.len(), 1);
        assert_eq!(refusal.fields[0].0, "page_token");
        refusal.fields[0].1.clone()
    };
    for list in 0..5 {
        let (_, token) = page(&by, list, 1, String::new()).await.unwrap();
        assert!(!token.is_empty(), "list {list}");
        page(&by, list, 3, token.clone()).await.unwrap();
        for other in (0..5).filter(|other| *other != list) {
            assert_eq!(invalid(page(&by, other, 1, token.clone()).await), "NOT_ALLOWED", "{list} in {other}");
        }
        // Sessions and workspaces are the person's, wherever they are; all else is the workspace's.
        let elsewhere = page(&there, list, 1, token.clone()).await;
        match list {
            1 | 3 => drop(elsewhere.unwrap()),
            _ => assert_eq!(invalid(elsewhere), "NOT_ALLOWED"),
        }
        assert_eq!(invalid(page(&world.by(&stranger), list, 1, token.clone()).await), "NOT_ALLOWED", "list {list}");
        for malformed in ["x", "====", &token[1..], &format!("{token}!")] {
            invalid(page(&by, list, 1, malformed.into()).await);
        }
        assert_eq!(invalid(page(&by, list, 1, "no token at all".into()).await), "MALFORMED");
    }
}

#[tokio::test]
async fn a_page_token_goes_with_the_filters_that_it_came_from() {
    let world = World::start().await;
    let (acme, _) = with_lists(&world).await;
    let by = world.by(&acme);
    let base = v1::ListUsersRequest { page_size: 1, query: "g".into(), ..Default::default() };
    let next_page_token = ok(by.users().list_users(base.clone()).await).next_page_token;
    let page_token = next_page_token.clone();
    ok(by.users().list_users(v1::ListUsersRequest { page_token, ..base.clone() }).await);
    for change in [
        v1::ListUsersRequest { query: "a".into(), ..base.clone() },
        v1::ListUsersRequest { roles: vec![Role::Agent.number()], ..base.clone() },
        v1::ListUsersRequest { include_removed: true, ..base.clone() },
    ] {
        let request = v1::ListUsersRequest { page_token: next_page_token.clone(), ..change };
        assert_eq!(refused(by.users().list_users(request).await).reason(), "PAGE_TOKEN_INVALID");
    }

    let base = v1::ListInvitationsRequest { page_size: 1, ..Default::default() };
    let page_token = ok(by.invitations().list_invitations(base.clone()).await).next_page_token;
    let states = vec![v1::InvitationState::Pending.into()];
    let request = v1::ListInvitationsRequest { page_token, states, ..base };
    assert_eq!(refused(by.invitations().list_invitations(request).await).reason(), "PAGE_TOKEN_INVALID");

    let base = v1::ListAuditEventsRequest { page_size: 1, ..Default::default() };
    let page_token = ok(by.audit().list_audit_events(base.clone()).await).next_page_token;
    let time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    for change in [
        v1::ListAuditEventsRequest { actions: vec![v1::AuditAction::SignedIn.into()], ..base.clone() },
        v1::ListAuditEventsRequest { actor_user_id: acme.user_id.clone(), ..base.clone() },
        v1::ListAuditEventsRequest { target_user_id: acme.user_id.clone(), ..base.clone() },
        v1::ListAuditEventsRequest { start_time: time, ..base.clone() },
        v1::ListAuditEventsRequest { end_time: time, ..base.clone() },
    ] {
        let request = v1::ListAuditEventsRequest { page_token: page_token.clone(), ..change };
        assert_eq!(refused(by.audit().list_audit_events(request).await).reason(), "PAGE_TOKEN_INVALID");
    }
}

#[tokio::test]
async fn a_service_keys_page_token_belongs_to_the_workspace_that_it_named() {
    let world = World::start().await;
    let (acme, in_birch) = with_lists(&world).await;
    let key = world.service_key("crm", &[ServiceScope::ReadUsers], None).await;
    let key = world.with_token(&key);
    let (_, token) = page(&key.in_workspace(&acme.workspace_id), 4, 1, String::new()).await.unwrap();
    // It is the same list, whoever reads it.
    page(&world.by(&acme), 4, 1, token.clone()).await.unwrap();
    let there = page(&key.in_workspace(&in_birch.workspace_id), 4, 1, token).await.unwrap_err();
    assert_eq!(crate::support::Refused::from_status(&there).reason(), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn a_page_has_fifty_rows_unless_asked_and_two_hundred_at_most() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    for index in 0..203 {
        ok(by.create_invitation(&format!("p{index}@acme.example"), Role::Agent).await);
    }
    for (asked, rows) in [(0, 50), (1, 1), (200, 200), (201, 200), (i32::MAX, 200)] {
        assert_eq!(page(&by, 0, asked, String::new()).await.unwrap().0.len(), rows, "{asked}");
    }
    for list in 0..5 {
        let refusal = crate::support::Refused::from_status(&page(&by, list, -1, String::new()).await.unwrap_err());
        assert_eq!((refusal.code, refusal.reason()), (Code::InvalidArgument, "FIELD_INVALID"));
        assert_eq!(refusal.fields, [("page_size".into(), "OUT_OF_RANGE".into())]);
    }
}
