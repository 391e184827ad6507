//! What the protos say is what the server does, method by method.

use rolecall::authz::{Permission, RULES, ServiceScope};
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::stage::Stage;
use crate::support::{As, Refused, World, contract};

/// Nothing that can be decoded: whoever is told so has got past the rule, and nothing has happened.
const GARBLED: [u8; 1] = [0xff];

/// The table of the contract, section 2.
const PERMISSIONS: [(Role, &[Permission]); 4] = [
    (
        Role::Agent,
        &[Permission::ConversationsHandle, Permission::ConversationsReply, Permission::ConversationsViewAssigned],
    ),
    (Role::Manager, &[Permission::ConversationsViewAll, Permission::ReportsView, Permission::ClientsManage]),
    (
        Role::Admin,
        &[
            Permission::AssistantsConfigure,
            Permission::PlaybooksConfigure,
            Permission::TrainingConfigure,
            Permission::SettingsConfigure,
            Permission::ChannelsConfigure,
            Permission::UsersManage,
        ],
    ),
    (Role::Owner, &[Permission::BillingManage, Permission::OwnersManage]),
];

#[test]
fn the_generated_rules_are_those_of_the_descriptors() {
    let mut generated: Vec<String> = RULES
        .iter()
        .map(|rule| {
            let role = rule.minimum_role.map(|role| role.name().to_owned());
            let scope = rule.service_scope.map(|scope| scope.name().to_owned());
            assert_eq!(rule.path, contract::path_of(&format!("{}.{}", rule.service, rule.method)));
            format!("{} {} {role:?} {scope:?}", rule.path, rule.anyone)
        })
        .collect();
    let mut declared: Vec<String> = contract::methods()
        .into_iter()
        .map(|method| {
            format!("{} {} {:?} {:?}", method.path(), method.anyone, method.minimum_role, method.service_scope)
        })
        .collect();
    generated.sort();
    declared.sort();
    assert_eq!(generated, declared);
    assert!(generated.len() > 20, "{generated:?}");
}

#[test]
fn the_permissions_are_granted_as_the_contract_says() {
    let expected: Vec<(String, String)> = PERMISSIONS
        .iter()
        .flat_map(|(role, permissions)| permissions.iter().map(|it| (it.name().to_owned(), role.name().to_owned())))
        .collect();
    assert_eq!(contract::permissions(), expected);
    for permission in Permission::ALL {
        let (_, role) = expected.iter().find(|(name, _)| name == permission.name()).unwrap();
        assert_eq!(permission.lowest_role().name(), role);
    }
}

#[tokio::test]
async fn each_role_has_the_permissions_of_the_contract_and_those_of_the_lower_ones() {
    let stage = Stage::build().await;
    let world = stage.world().await;
    for (role, caller) in
        [(Role::Agent, "Agent"), (Role::Manager, "Manager"), (Role::Admin, "Admin"), (Role::Owner, "Owner")]
    {
        let clients = world.by(stage.caller(caller).person.as_ref().unwrap());
        let session = clients.sessions().get_session(v1::GetSessionRequest {}).await.unwrap().into_inner();
        let expected: Vec<i32> = PERMISSIONS
            .iter()
            .filter(|(lowest, _)| *lowest <= role)
            .flat_map(|(_, permissions)| permissions.iter().map(|permission| permission.number()))
            .collect();
        assert_eq!(session.permissions, expected, "{caller}");
        assert_eq!(session.workspace.unwrap().role, role.number());
    }
    world.stop().await;
}

#[tokio::test]
async fn the_server_holds_each_methods_option_before_it_decodes_the_message() {
    let stage = Stage::build().await;
    let world = stage.world().await;
    let mut keys = Vec::new();
    for scope in ServiceScope::ALL {
        let key = world.service_key(&format!("only-{}", scope.name()), &[*scope], None).await;
        keys.push((*scope, world.with_token(&key).in_workspace(&stage.acme)));
    }
    let keyless = world.service_key("nothing", &[], None).await;
    for method in contract::methods() {
        for (role, caller) in [("AGENT", "Agent"), ("MANAGER", "Manager"), ("ADMIN", "Admin"), ("OWNER", "Owner")] {
            let clients = world.by(stage.caller(caller).person.as_ref().unwrap());
            assert_eq!(told(&clients, &method).await, for_session(&method, role), "{} by {caller}", method.short());
        }
        for (scope, clients) in &keys {
            let expected = for_key(&method, Some(scope.name()));
            assert_eq!(told(clients, &method).await, expected, "{} with {}", method.short(), scope.name());
        }
        let clients = world.with_token(&keyless).in_workspace(&stage.acme);
        assert_eq!(told(&clients, &method).await, for_key(&method, None), "{} without scopes", method.short());
        let expected = if method.anyone { "MESSAGE_MALFORMED" } else { "CREDENTIAL_MISSING" };
        assert_eq!(told(&world.nobody(), &method).await, expected, "{} by nobody", method.short());
    }
    world.stop().await;
}

/// Reason and metadata of a call with a garbled message.
async fn told(clients: &As, method: &contract::Method) -> String {
    let status = clients.call(&method.path(), GARBLED.to_vec()).await.unwrap_err();
    let refused = Refused::from_status(&status);
    let mut metadata: Vec<String> = refused.metadata.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    metadata.sort();
    format!("{}{}", refused.reason, metadata.concat())
}

/// What a session of this role is told, by the option alone.
fn for_session(method: &contract::Method, role: &str) -> String {
    let order = ["AGENT", "MANAGER", "ADMIN", "OWNER"];
    let rank = |role: &str| order.iter().position(|it| *it == role).unwrap();
    match (&method.minimum_role, &method.service_scope) {
        _ if method.anyone => "MESSAGE_MALFORMED".to_owned(),
        (Some(minimum), _) if rank(role) < rank(minimum) => {
            format!("ROLE_TOO_LOW actualRole={role} requiredRole={minimum}")
        }
        (Some(_), _) => "MESSAGE_MALFORMED".to_owned(),
        (None, scope) => format!("SCOPE_MISSING requiredScope={}", scope.as_deref().unwrap()),
    }
}

/// What a service key with this scope is told, by the option alone.
fn for_key(method: &contract::Method, has: Option<&str>) -> String {
    match method.service_scope.as_deref() {
        _ if method.anyone => "MESSAGE_MALFORMED".to_owned(),
        None => "SESSION_REQUIRED".to_owned(),
        Some(scope) if has == Some(scope) => "MESSAGE_MALFORMED".to_owned(),
        Some(scope) => format!("SCOPE_MISSING requiredScope={scope}"),
    }
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_to_everybody_and_health_and_reflection_are_open() {
    let stage = Stage::build().await;
    let world: World = stage.world().await;
    let unknown = [
        "/rolecall.v1.UserService/DropUsers",
        "/rolecall.v1.userservice/ListUsers",
        "/rolecall.v1.UserService/ListUsers/",
        "/rolecall.v1.UserService",
        "/rolecall.v2.UserService/ListUsers",
        "/acme.Nothing/Do",
        "/grpc.health.v1.Health/Cure",
        "/",
    ];
    for caller in ["nobody", "garbage", "Owner", "key"] {
        let clients = stage.clients(&world, stage.caller(caller), &stage.acme, None);
        for path in unknown {
            let refused = Refused::from_status(&clients.call(path, Vec::new()).await.unwrap_err());
            assert_eq!((refused.code, refused.reason()), (tonic::Code::Unimplemented, "METHOD_UNKNOWN"), "{path}");
        }
        let serving = clients.call("/grpc.health.v1.Health/Check", Vec::new()).await.unwrap();
        assert_eq!(serving, [0x08, 0x01], "status SERVING to {caller}");
        for version in ["v1", "v1alpha"] {
            // `list_services`, field 7 of the request; the names of services come back.
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let services = clients.call(&path, vec![0x3a, 0x00]).await.unwrap();
            assert!(String::from_utf8_lossy(&services).contains("rolecall.v1.UserService"), "{version} to {caller}");
        }
    }
    world.stop().await;
}
