//! What was done by which request.

use rolecall::clock::Timestamp;
use rolecall::crypto::new_uuid;
use rolecall::error::Reason;
use rolecall::store::RequestKey;

use super::DAY;
use super::scene::{NOW, Scene};

#[tokio::test]
async fn a_request_is_remembered_for_24_hours_and_then_its_id_may_be_used_for_another() {
    let scene = Scene::set().await;
    let (owner, id, made) = (new_uuid(NOW), new_uuid(NOW), new_uuid(NOW));
    let request = RequestKey::new(owner, "CreateInvitation", id, &["a", "bc"]);
    let other = RequestKey::new(owner, "CreateInvitation", id, &["ab", "c"]);
    let mut tx = scene.system(NOW).await;
    tx.remember_request(&request, made).await.unwrap();
    tx.commit().await.unwrap();

    let end = NOW.plus(DAY);
    let tx = scene.system(Timestamp::from_micros(end.as_micros() - 1)).await;
    assert_eq!(tx.recall_request(&request).await.unwrap(), Some(made));
    assert_eq!(tx.recall_request(&other).await.unwrap_err().reason(), Reason::RequestIdReused);
    for foreign in [
        RequestKey::new(new_uuid(NOW), "CreateInvitation", id, &["a", "bc"]),
        RequestKey::new(owner, "ResendInvitation", id, &["a", "bc"]),
        RequestKey::new(owner, "CreateInvitation", new_uuid(NOW), &["a", "bc"]),
    ] {
        assert_eq!(tx.recall_request(&foreign).await.unwrap(), None);
    }
    drop(tx);

    let mut tx = scene.system(end).await;
    assert_eq!(tx.recall_request(&request).await.unwrap(), None);
    assert_eq!(tx.recall_request(&other).await.unwrap(), None);
    let made_later = new_uuid(end);
    tx.remember_request(&other, made_later).await.unwrap();
    assert_eq!(tx.recall_request(&other).await.unwrap(), Some(made_later));
    assert_eq!(tx.recall_request(&request).await.unwrap_err().reason(), Reason::RequestIdReused);
}
