//! The reads on a file that somebody else may have to himself.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::error::Reason;
use crate::model::WorkspaceId;

const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    _folder: TempDir,
    source: SqliteSource,
    /// Another program's connection.
    other: Connection,
    workspace: WorkspaceId,
}

impl Scene {
    /// A file with a workspace in it. Without a log of its own, so that who writes has it to himself.
    fn new(busy_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let other = Connection::open(&path).unwrap();
        let id = Uuid::from_u128(7);
        other.execute_batch("CREATE TABLE workspace (id BLOB PRIMARY KEY)").unwrap();
        other.execute("INSERT INTO workspace VALUES (?1)", [id.into_bytes()]).unwrap();
        let source = SqliteSource::new(Arc::new(SqliteFile::at(&path).unwrap()), 1, busy_timeout).unwrap();
        Self { _folder: folder, source, other, workspace: WorkspaceId::new(id) }
    }

    fn question(&self) -> Question {
        Question::Workspace(self.workspace)
    }

    fn look(&self) -> Option<Result<bool>> {
        let outcome = self.source.on_the_spot(&[self.question()])?;
        Some(outcome.map(|findings| findings.contains_key(&self.question())))
    }

    async fn ask(&self) -> Result<bool> {
        let findings = self.source.connect().await?.ask(&Inquiry::of([self.question()].iter())).await?;
        Ok(findings.contains_key(&self.question()))
    }

    fn idle(&self) -> usize {
        self.source.0.idle().len()
    }
}

#[tokio::test]
async fn who_looks_goes_away_where_somebody_has_the_file_to_himself_and_who_asks_waits() {
    let scene = Scene::new(PATIENCE);
    assert!(scene.look().unwrap().unwrap());
    scene.other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(scene.look().is_none());
    let asking = scene.ask();
    let release = async {
        // It has found the file taken by then.
        while scene.source.0.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        scene.other.execute_batch("COMMIT").unwrap();
    };
    let (there, ()) = tokio::join!(asking, release);
    assert!(there.unwrap());
    assert_eq!(scene.idle(), 1, "one connection was enough");
}

#[tokio::test]
async fn who_waits_for_the_file_too_long_hears_so() {
    let scene = Scene::new(Duration::ZERO);
    scene.other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Which may be tried again.
    assert_eq!(scene.ask().await.unwrap_err().reason(), Reason::Conflict);
    scene.other.execute_batch("COMMIT").unwrap();
    assert!(scene.ask().await.unwrap());
}

#[tokio::test]
async fn no_more_read_at_once_than_have_a_place() {
    let scene = Scene::new(PATIENCE);
    let place = scene.source.0.places.acquire().await.unwrap();
    assert!(scene.look().is_none());
    drop(place);
    assert!(scene.look().unwrap().unwrap());
}

#[tokio::test]
async fn a_connection_that_failed_is_used_by_nobody_else() {
    let scene = Scene::new(PATIENCE);
    assert!(scene.look().unwrap().unwrap());
    let path = scene.source.0.file.path().to_owned();
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    assert_eq!(scene.look().unwrap().unwrap_err().reason(), Reason::DatabaseUnavailable);
    assert_eq!(scene.idle(), 0, "the connection to a file that was away is kept");
    fs::rename(&away, &path).unwrap();
    assert!(scene.look().unwrap().unwrap());
    scene.other.execute_batch("ALTER TABLE workspace RENAME TO elsewhere").unwrap();
    assert_eq!(scene.look().unwrap().unwrap_err().reason(), Reason::Internal);
    assert_eq!(scene.ask().await.unwrap_err().reason(), Reason::Internal);
    assert_eq!(scene.idle(), 0);
    scene.other.execute_batch("ALTER TABLE elsewhere RENAME TO workspace").unwrap();
    assert!(scene.look().unwrap().unwrap());
}

#[tokio::test]
async fn what_has_changed_since_is_seen_by_the_same_connection() {
    let scene = Scene::new(PATIENCE);
    let questions = [scene.question(), Question::Workspace(WorkspaceId::new(Uuid::from_u128(8)))];
    for there in [true, false] {
        let findings = scene.source.on_the_spot(&questions).unwrap().unwrap();
        assert_eq!(findings.contains_key(&scene.question()), there);
        assert_eq!(scene.idle(), 1);
        scene.other.execute_batch("DELETE FROM workspace").unwrap();
    }
}

#[tokio::test]
async fn who_closes_waits_for_who_reads() {
    let scene = Scene::new(PATIENCE);
    let place = scene.source.0.places.acquire().await.unwrap();
    let mut closing = scene.source.close();
    assert!(futures_util::poll!(&mut closing).is_pending());
    drop(place);
    closing.await;
}

#[tokio::test]
async fn what_was_closed_is_not_looked_into() {
    let scene = Scene::new(PATIENCE);
    scene.source.close().await;
    assert!(scene.look().is_none());
    assert_eq!(scene.ask().await.unwrap_err().reason(), Reason::DatabaseUnavailable);
    assert_eq!(scene.idle(), 0);
}
