//! The schema's history, one change a file.
//!
//! A migration that was released never changes. Between two adjacent releases a migration only adds, so that the older
//! binary keeps running on the newer schema while replicas are replaced one by one.

mod m0001_initial;

use sea_orm_migration::prelude::*;

/// Raised by one in each release that changes the schema. A binary also runs on the level above its own, which only
/// added something, and on no other.
pub const LEVEL: i32 = 1;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_initial::Migration)]
    }
}
