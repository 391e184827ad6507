//! Deadlines that pass: kept by the server, whatever else is waiting.

use futures_util::future::join_all;
use h2::client::SendRequest;
use prost::Message;
use prost::bytes::Bytes;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Code, Status};

use crate::support::{Person, Refused, World, ok};

/// A call that leaves its deadline to the server. The generated clients keep it themselves, and would answer first.
async fn call(connection: &SendRequest<Bytes>, by: &Person, timeout: &str, path: &str, message: Vec<u8>) -> Refused {
    let request = http::Request::post(format!("http://localhost/rolecall.v1.{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", by.token))
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let mut connection = connection.clone().ready().await.unwrap();
    let (answer, mut body) = connection.send_request(request, false).unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([&[0][..], &length, &message].concat().into(), true).unwrap();
    let answer = answer.await.unwrap();
    Refused::from_status(&Status::from_header_map(answer.headers()).unwrap())
}

#[tokio::test]
async fn a_call_that_waits_past_its_deadline_says_so_however_many_wait() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let socket = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    let connected = tokio::spawn(connection);
    let rename = v1::UpdateProfileRequest { display_name: Some("Olga Late".into()) }.encode_to_vec();
    let promote = v1::ChangeUserRoleRequest { user_id: gil.user_id, role: Role::Manager.number() }.encode_to_vec();
    let invite = v1::CreateInvitationRequest { email: "late@acme.example".into(), ..Default::default() };
    let invite = v1::CreateInvitationRequest { role: Role::Agent.number(), ..invite }.encode_to_vec();

    let other = world.outside().await;
    other.lock().await;
    let mut calls = Vec::new();
    for timeout in ["20m", "35m", "50m", "80m", "120m", "200m", "30000u", "90000000n"].repeat(4) {
        calls.push(call(&client, &owner, timeout, "UserService/UpdateProfile", rename.clone()));
        calls.push(call(&client, &owner, timeout, "UserService/ChangeUserRole", promote.clone()));
        calls.push(call(&client, &owner, timeout, "InvitationService/CreateInvitation", invite.clone()));
    }
    for refusal in join_all(calls).await {
        assert_eq!((refusal.code, refusal.reason()), (Code::DeadlineExceeded, "DEADLINE"));
    }
    // What waited for nothing does not stand in anybody's way.
    other.run("COMMIT").await;
    assert_eq!(ok(world.by(&owner).call_myself("Olga").await).user.unwrap().display_name, "Olga");
    drop(client);
    connected.await.unwrap().unwrap();
    world.stop().await;
}
