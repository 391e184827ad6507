//! Brings the schema up to date, and says whether it is.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::sea_query::{ColumnDef, Expr, ExprTrait, OnConflict, Query, Table};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait, SchemaManager};
use tokio::time::sleep;

use super::Store;
use super::error::{OpenError, is_lost_race};
use super::migration::{LEVEL, Migrator};

/// The table of one row that whoever migrates locks. It also says which level the schema has.
const LOCK: &str = "schema_lock";
/// Tables of this name are made by SeaORM.
const APPLIED: &str = "seaql_migrations";
/// How often a race against other processes is run again. Each of them wins once.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// How the schema stands to this binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    Current,
    /// These migrations are missing.
    Behind(Vec<String>),
    /// The next release has applied these migrations. They only add, so this binary runs on: replicas are replaced one
    /// by one.
    Next(Vec<String>),
    /// These migrations are not known to this binary: the database belongs to one that is newer than the next.
    Ahead(Vec<String>),
}

impl Store {
    /// Whether the schema is the one that this binary works with. Changes nothing.
    pub async fn schema_state(&self) -> Result<SchemaState, OpenError> {
        state(self.reader()).await.map_err(unreadable)
    }

    /// Applies the migrations that are missing, all or none. Any number of processes may do so at once: one locks a row
    /// and migrates, the others wait for it and find it done.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        let failed = |error: DbErr| OpenError::new(format!("the schema cannot be brought up to date: {error}"));
        match self.schema_state().await? {
            SchemaState::Current | SchemaState::Next(_) => return Ok(Vec::new()),
            SchemaState::Ahead(unknown) => return Err(ahead(&unknown)),
            SchemaState::Behind(_) => {}
        }
        for _ in 1..ATTEMPTS {
            match self.try_migrate().await {
                Err(error) if is_lost_race(&error) => sleep(PAUSE).await,
                outcome => {
                    let applied = outcome.map_err(failed)?;
                    // Somebody who is newer may have been quicker, and too new.
                    self.schema_state().await?.require_current()?;
                    return Ok(applied);
                }
            }
        }
        self.try_migrate().await.map_err(failed)
    }

    async fn try_migrate(&self) -> Result<Vec<String>, DbErr> {
        make_lock(&self.0.writer).await?;
        let txn = self.0.dialect.begin(&self.0.writer).await?;
        self.0.dialect.unlimit(&txn).await?;
        lock(&txn).await?;
        let SchemaState::Behind(missing) = state(&txn).await? else {
            return Ok(Vec::new());
        };
        Migrator::up(&txn, None).await?;
        let level = Query::update().table(LOCK).value("level", LEVEL).take();
        txn.execute(&level).await?;
        txn.commit().await?;
        Ok(missing)
    }
}

impl SchemaState {
    /// Refuses unless the binary can work with the schema as it is.
    pub fn require_current(&self) -> Result<(), OpenError> {
        match self {
            SchemaState::Current | SchemaState::Next(_) => Ok(()),
            SchemaState::Behind(missing) => Err(OpenError::new(format!(
                "the database's schema is old ({} missing); run `rolecall migrate`",
                missing.join(", ")
            ))),
            SchemaState::Ahead(unknown) => Err(ahead(unknown)),
        }
    }
}

fn unreadable(error: DbErr) -> OpenError {
    OpenError::new(format!("the database's schema cannot be read: {error}"))
}

fn ahead(unknown: &[String]) -> OpenError {
    OpenError::new(format!(
        "the database belongs to a newer version of Rolecall (it has {}); use that version",
        unknown.join(", ")
    ))
}

/// Makes the row that is locked, outside of the transaction that locks it: a table that was made inside of one is seen
/// by nobody else, and everybody would make their own.
async fn make_lock(db: &DatabaseConnection) -> Result<(), DbErr> {
    let table = Table::create()
        .table(LOCK)
        .if_not_exists()
        .col(ColumnDef::new("id").integer().not_null().primary_key())
        .col(ColumnDef::new("revision").big_integer().not_null())
        .col(ColumnDef::new("level").integer().not_null())
        .take();
    db.execute(&table).await?;
    let row = Query::insert()
        .into_table(LOCK)
        .columns(["id", "revision", "level"])
        .values_panic([1.into(), 0_i64.into(), 0.into()])
        .on_conflict(OnConflict::column("id").do_nothing().to_owned())
        .take();
    db.execute(&row).await?;
    Ok(())
}

pub(super) async fn lock(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    let lock = Query::update().table(LOCK).value("revision", Expr::col("revision").add(1_i64)).take();
    txn.execute(&lock).await?;
    Ok(())
}

async fn state<'c, C>(db: &'c C) -> Result<SchemaState, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let tables = SchemaManager::new(db);
    if !tables.has_table(LOCK).await? || !tables.has_table(APPLIED).await? {
        return Ok(SchemaState::Behind(known));
    }
    let level = Query::select().column("level").from(LOCK).take();
    let level: i32 = match db.query_one(&level).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    let mut applied = BTreeSet::<String>::new();
    for row in db.query_all(&Query::select().column("version").from(APPLIED).take()).await? {
        applied.insert(row.try_get_by_index(0)?);
    }
    let unknown: Vec<String> = applied.iter().filter(|name| !known.contains(name)).cloned().collect();
    let missing: Vec<String> = known.into_iter().filter(|name| !applied.contains(name)).collect();
    Ok(match (unknown.is_empty(), missing.is_empty()) {
        (true, true) => SchemaState::Current,
        (true, false) => SchemaState::Behind(missing),
        (false, true) if level == LEVEL + 1 => SchemaState::Next(unknown),
        (false, _) => SchemaState::Ahead(unknown),
    })
}
