//! Where a test's data lives: a database of its own of the kind that this run is on, with a folder beside it.

use std::fs;
use std::path::{Path, PathBuf};

use rolecall::config::DatabaseConfig;
use tempfile::TempDir;

use super::mode::{Mode, mode};
use super::postgres::shared;

/// A database and a folder, which both go with it.
pub struct Place {
    folder: TempDir,
    data: Data,
}

enum Data {
    File(PathBuf),
    /// A database of this name on the shared server.
    Served(String),
    /// A database on a server of the test's own: by the URL of the service, and by the superuser's.
    Elsewhere(String, String),
}

impl Place {
    /// A database that nothing was done to; on SQLite there is none yet.
    pub fn empty() -> Self {
        match mode() {
            Mode::Sqlite => Self::file_in(tempfile::tempdir().unwrap()),
            Mode::Postgres(_) => Self::served(shared().empty()),
        }
    }

    /// A database that may have the schema in it: whoever wants it migrates, and on PostgreSQL finds it done.
    pub fn migrated() -> Self {
        match mode() {
            Mode::Sqlite => Self::empty(),
            Mode::Postgres(_) => Self::served(shared().migrated()),
        }
    }

    /// As [`Place::migrated`], on PostgreSQL, whatever the run is on: for what only that has.
    pub fn on_postgres() -> Self {
        Self::served(shared().migrated())
    }

    /// A database on a server of the test's own, by the URL of the service and by the superuser's.
    pub fn elsewhere(url: String, superuser_url: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), data: Data::Elsewhere(url, superuser_url) }
    }

    /// A copy of a database that nobody has open.
    pub fn copy(&self) -> Self {
        match &self.data {
            Data::File(path) => {
                let copy = Self::empty();
                fs::copy(path, copy.file()).unwrap();
                copy
            }
            Data::Served(name) => Self::served(shared().copy(name)),
            Data::Elsewhere(..) => panic!("the test copies on its own server"),
        }
    }

    fn file_in(folder: TempDir) -> Self {
        let data = Data::File(folder.path().join("rolecall.db"));
        Self { folder, data }
    }

    fn served(name: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), data: Data::Served(name) }
    }

    pub fn config(&self) -> DatabaseConfig {
        DatabaseConfig::at(self.url())
    }

    /// The URL, as the service is given it.
    pub fn url(&self) -> String {
        match &self.data {
            Data::File(path) => format!("sqlite://{}", path.display()),
            Data::Served(name) => shared().url(name),
            Data::Elsewhere(url, _) => url.clone(),
        }
    }

    /// The URL for the tests' own connections, past any pooler.
    pub(super) fn own_url(&self) -> String {
        match &self.data {
            Data::File(_) => self.url(),
            Data::Served(name) => shared().cluster.superuser_url(name),
            Data::Elsewhere(_, url) => url.clone(),
        }
    }

    /// The database's file.
    pub fn file(&self) -> &Path {
        match &self.data {
            Data::File(path) => path,
            Data::Served(_) | Data::Elsewhere(..) => {
                panic!("this test is about SQLite's file: tests/databases.txt has to say so")
            }
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where mail goes.
    pub fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Makes the database unreachable for the service: its file is elsewhere, or the server lets nobody in.
    pub fn take_away(&self) {
        match &self.data {
            Data::File(path) => fs::rename(path, self.aside()).unwrap(),
            Data::Served(name) => shared().close(name),
            Data::Elsewhere(..) => panic!("the test closes its own server"),
        }
    }

    /// Undoes [`Place::take_away`].
    pub fn bring_back(&self) {
        match &self.data {
            Data::File(path) => fs::rename(self.aside(), path).unwrap(),
            Data::Served(name) => shared().reopen(name),
            Data::Elsewhere(..) => panic!("the test opens its own server"),
        }
    }

    /// Whether changes are refused from now on, also on connections that are there.
    pub fn set_read_only(&self, read_only: bool) {
        match &self.data {
            Data::File(_) => panic!("only a database of PostgreSQL can be set so: tests/databases.txt has to say so"),
            Data::Served(name) => shared().set_read_only(name, read_only),
            Data::Elsewhere(..) => panic!("the test asks its own server"),
        }
    }

    fn aside(&self) -> PathBuf {
        self.folder.path().join("aside.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Data::Served(name) = &self.data {
            shared().forget(name);
        }
    }
}
