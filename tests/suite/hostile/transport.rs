//! What goes wrong before there is a message keeps the transport's code and gets the form of every other error.

use rolecall::grpc::pb::v1;
use tonic::{Code, Status};

use crate::support::{As, Dump, Person, Refused, World};

const LIST: &str = "/rolecall.v1.UserService/ListUsers";

async fn refused(by: &As, path: &str, message: Vec<u8>) -> (Code, String) {
    let status: Status = by.raw(path, message).await.unwrap_err();
    let refused = Refused::from_status(&status);
    (refused.code, refused.reason)
}

async fn is_healthy(world: &World, owner: &Person) {
    let answer = world.by(owner).sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    assert_eq!(answer.into_inner().user.unwrap().user_id, owner.user_id);
}

#[tokio::test]
async fn what_the_transport_refuses_has_the_form_of_our_errors() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    let database = world.outside().await;
    let before = Dump::of(&database).await;
    let large = |size: usize| {
        let mut message = vec![0x22];
        prost::encoding::encode_varint(size as u64, &mut message);
        message.resize(message.len() + size, b'q');
        message
    };
    let malformed = (Code::Internal, "MESSAGE_MALFORMED".to_owned());
    let unknown = (Code::Unimplemented, "METHOD_UNKNOWN".to_owned());
    for garbage in [vec![0xff; 64], b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0x22, 0x7f], vec![0x0f]] {
        assert_eq!(refused(&by, LIST, garbage).await, malformed);
        is_healthy(&world, &owner).await;
    }
    // 64 KiB with the field's head is what is taken; a byte more is not.
    let most = 64 * 1024 - 4;
    assert_eq!(refused(&by, LIST, large(most)).await.1, "FIELD_INVALID");
    for size in [most + 1, 1_000_000] {
        assert_eq!(refused(&by, LIST, large(size)).await, (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()));
        is_healthy(&world, &owner).await;
    }
    let compressed = by.and("grpc-encoding", "gzip");
    assert_eq!(refused(&compressed, LIST, Vec::new()).await, (Code::Unimplemented, "MESSAGE_MALFORMED".to_owned()));
    for path in [
        "/rolecall.v1.UserService/DropUsers",
        "/rolecall.v1.UserService/listUsers",
        "/rolecall.v1.UserService/ListUsers/",
        "/rolecall.v2.UserService/ListUsers",
        "/rolecall.v1.Nothing/ListUsers",
        "/grpc.health.v1.Health/Nothing",
        "/nothing/at/all",
        "/",
    ] {
        assert_eq!(refused(&by, path, Vec::new()).await, unknown, "{path}");
        is_healthy(&world, &owner).await;
    }
    for timeout in ["", "x", "5", "-1S", "1.5S", "123456789S", "99999999H"] {
        by.and("grpc-timeout", timeout).raw(LIST, Vec::new()).await.unwrap_or_else(|e| panic!("{timeout:?}: {e:?}"));
    }
    assert_eq!(Dump::of(&database).await.since(&before), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test]
async fn the_workspace_in_the_metadata_is_one_id_or_an_error() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Other", "owner@other.example").await;
    for (named, reason) in [
        ("", "FIELD_INVALID"),
        ("x", "FIELD_INVALID"),
        ("{018f0000-0000-7000-8000-000000000001}", "FIELD_INVALID"),
        ("018f0000-0000-7000-8000-000000000001", "WORKSPACE_MISMATCH"),
        (other.workspace_id.as_str(), "WORKSPACE_MISMATCH"),
    ] {
        assert_eq!(refused(&world.by(&owner).in_workspace(named), LIST, Vec::new()).await.1, reason, "{named:?}");
    }
    let twice = world.by(&owner).in_workspace(&owner.workspace_id).in_workspace(&owner.workspace_id);
    assert_eq!(refused(&twice, LIST, Vec::new()).await, (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
    is_healthy(&world, &owner).await;
    world.stop().await;
}
