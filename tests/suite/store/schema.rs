//! The schema: made once, and refused where it is not the one that this program works with.

use rolecall::store::{SchemaState, Store};

use super::scene::Scene;
use crate::support::{Database, Dump, Place};

const MIGRATIONS: [&str; 1] = ["m0001_initial"];

fn all() -> Vec<String> {
    MIGRATIONS.map(str::to_owned).to_vec()
}

/// A database that nothing was done to, and a connection past the store.
async fn fresh() -> (Place, Store, Database) {
    let place = Place::empty();
    let store = Store::open(&place.config()).await.unwrap();
    let outside = Database::open(&place).await;
    (place, store, outside)
}

#[tokio::test]
async fn an_empty_database_is_behind_and_looking_at_it_changes_nothing() {
    let (_place, store, outside) = fresh().await;
    let state = store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Behind(all()));
    let refusal = state.require_current().unwrap_err().to_string();
    assert!(refusal.contains("schema is old (m0001_initial missing); run `rolecall migrate`"), "{refusal}");
    assert_eq!(outside.schema().await, [""; 0]);
}

#[tokio::test]
async fn what_was_migrated_is_current_and_migrating_it_again_does_nothing() {
    let (_place, store, outside) = fresh().await;
    assert_eq!(store.migrate().await.unwrap(), all());
    assert_eq!(store.schema_state().await.unwrap(), SchemaState::Current);
    assert_eq!(store.schema_state().await.unwrap().require_current().map_err(|e| e.to_string()), Ok(()));
    let before = (outside.schema().await, Dump::of(&outside).await);
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());
    assert!(before == (outside.schema().await, Dump::of(&outside).await));
}

#[tokio::test]
async fn a_schema_that_lacks_a_migration_among_others_is_old() {
    let scene = Scene::set().await;
    let outside = scene.outside().await;
    outside.execute("DELETE FROM seaql_migrations WHERE version = 'm0001_initial'").await.unwrap();
    let state = scene.store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Behind(all()));
    assert!(state.require_current().unwrap_err().to_string().contains("schema is old"));
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_and_left_alone() {
    let scene = Scene::set().await;
    let outside = scene.outside().await;
    outside.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)").await.unwrap();
    let state = scene.store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Ahead(vec!["m9999_later".to_owned()]));
    let newer = "the database belongs to a newer version of Rolecall (it has m9999_later); use that version";
    assert_eq!(state.require_current().unwrap_err().to_string(), newer);
    assert_eq!(scene.store.migrate().await.unwrap_err().to_string(), newer);
    let versions = outside.texts("SELECT version FROM seaql_migrations ORDER BY version").await;
    assert_eq!(versions, ["m0001_initial", "m9999_later"]);
}

#[tokio::test]
async fn a_schema_of_the_next_release_is_worked_with_and_one_of_a_later_release_is_not() {
    let scene = Scene::set().await;
    let outside = scene.outside().await;
    outside.run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)").await;
    outside.run("UPDATE schema_lock SET level = level + 1").await;
    let unknown = vec!["m9999_later".to_owned()];
    let state = scene.store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Next(unknown.clone()));
    assert_eq!(state.require_current().map_err(|e| e.to_string()), Ok(()));
    assert_eq!(scene.store.migrate().await.unwrap(), Vec::<String>::new());
    outside.run("UPDATE schema_lock SET level = level + 1").await;
    assert_eq!(scene.store.schema_state().await.unwrap(), SchemaState::Ahead(unknown));
}
