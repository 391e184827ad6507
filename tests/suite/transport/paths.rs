//! A method has one name.

use rolecall::grpc::pb::v1;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::{World, metadata, refused};

#[tokio::test]
async fn a_method_has_one_name_to_the_letter() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let call = |path: &'static str| {
        let (key, bearer) = metadata("authorization", &format!("Bearer {}", olga.token));
        let channel = world.channel();
        async move {
            let mut grpc = Grpc::new(channel);
            grpc.ready().await.unwrap();
            let mut request = Request::new(v1::GetSessionRequest {});
            request.metadata_mut().insert(key, bearer);
            let codec: ProstCodec<v1::GetSessionRequest, v1::GetSessionResponse> = ProstCodec::default();
            grpc.unary(request, PathAndQuery::from_static(path), codec).await
        }
    };
    assert_eq!(
        call("/rolecall.v1.SessionService/GetSession").await.unwrap().into_inner().user.unwrap().user_id,
        olga.user_id
    );
    for path in [
        "/rolecall.v1.SessionService/GetSession?",
        "/rolecall.v1.SessionService/GetSession?x=1",
        "//rolecall.v1.SessionService/GetSession",
        "/rolecall.v1.SessionService//GetSession",
        "/rolecall.v1.SessionService/GetSession/",
        "/rolecall.v1.SessionService/getsession",
        "/rolecall.v1.sessionservice/GetSession",
        "/rolecall.v1.SessionService/%47etSession",
        "/rolecall.v1.SessionService/./GetSession",
        "/x/../rolecall.v1.SessionService/GetSession",
        "/grpc.health.v1.Health/Check?x=1",
        "/grpc.health.v1.Health/check",
        "/grpc.health.v1.Health/Nothing",
        "/grpc.reflection.v1.ServerReflection/Nothing",
        "/",
    ] {
        let refused = refused(call(path).await);
        assert_eq!((refused.code, refused.reason()), (Code::Unimplemented, "METHOD_UNKNOWN"), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn reflection_that_is_off_is_an_unknown_method() {
    let world = World::start_with(|grpc| grpc.no_reflection = true).await;
    let mut grpc = Grpc::new(world.channel());
    grpc.ready().await.unwrap();
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let path = PathAndQuery::from_static("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    let refused = refused(grpc.unary(Request::new(()), path, codec).await);
    assert_eq!((refused.code, refused.reason()), (Code::Unimplemented, "METHOD_UNKNOWN"));
    world.stop().await;
}
