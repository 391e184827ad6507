//! The schema: made once, and refused where it is not the one that this program works with.

use rolecall::store::SchemaState;

use super::{DATABASES, on_each_database};

const MIGRATIONS: [&str; 1] = ["m0001_initial"];

fn all() -> Vec<String> {
    MIGRATIONS.map(str::to_owned).to_vec()
}

#[tokio::test]
async fn an_empty_database_is_behind_and_looking_at_it_changes_nothing() {
    for fresh in DATABASES {
        let fresh = fresh();
        let store = fresh.open().await;
        let state = store.schema_state().await.unwrap();
        assert_eq!(state, SchemaState::Behind(all()));
        let refusal = state.require_current().unwrap_err().to_string();
        assert!(refusal.contains("schema is old (m0001_initial missing); run `rolecall migrate`"), "{refusal}");
        assert_eq!(fresh.outside().await.number("SELECT count(*) FROM sqlite_schema").await, 0);
    }
}

#[tokio::test]
async fn what_was_migrated_is_current_and_migrating_it_again_does_nothing() {
    for fresh in DATABASES {
        let fresh = fresh();
        let store = fresh.open().await;
        assert_eq!(store.migrate().await.unwrap(), all());
        assert_eq!(store.schema_state().await.unwrap(), SchemaState::Current);
        assert_eq!(store.schema_state().await.unwrap().require_current().map_err(|e| e.to_string()), Ok(()));
        let outside = fresh.outside().await;
        let changes = "SELECT group_concat(name || coalesce(sql, '')) FROM sqlite_schema
                       UNION ALL SELECT group_concat(version || applied_at) FROM seaql_migrations";
        let before = outside.texts(changes).await;
        assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());
        assert_eq!(outside.texts(changes).await, before);
    }
}

#[tokio::test]
async fn a_schema_that_lacks_a_migration_among_others_is_old() {
    on_each_database(async |scene| {
        let outside = scene.fresh.outside().await;
        outside.execute("DELETE FROM seaql_migrations WHERE version = 'm0001_initial'").await.unwrap();
        let state = scene.store.schema_state().await.unwrap();
        assert_eq!(state, SchemaState::Behind(all()));
        assert!(state.require_current().unwrap_err().to_string().contains("schema is old"));
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_and_left_alone() {
    on_each_database(async |scene| {
        let outside = scene.fresh.outside().await;
        outside.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)").await.unwrap();
        let state = scene.store.schema_state().await.unwrap();
        assert_eq!(state, SchemaState::Ahead(vec!["m9999_later".to_owned()]));
        let newer = "the database belongs to a newer version of Rolecall (it has m9999_later); use that version";
        assert_eq!(state.require_current().unwrap_err().to_string(), newer);
        assert_eq!(scene.store.migrate().await.unwrap_err().to_string(), newer);
        let versions = outside.texts("SELECT version FROM seaql_migrations ORDER BY version").await;
        assert_eq!(versions, ["m0001_initial", "m9999_later"]);
    })
    .await;
}
