//! `rolecall migrate`

use crate::config::DatabaseConfig;
use crate::store::Store;

use super::{Failure, Outcome};

#[derive(clap::Args)]
pub struct Migrate {
    #[command(flatten)]
    database: DatabaseConfig,

    /// Only say whether the schema is up to date: exit status 0 if so, 1 if not
    #[arg(long, env = "ROLECALL_CHECK")]
    check: bool,
}

impl Migrate {
    pub async fn run(self) -> Outcome {
        self.database.validate()?;
        if self.check
            && let Some(path) = self.database.missing()?
        {
            return Err(Failure::Failed(format!("--database-url: there is no database {}", path.display())));
        }
        let store = Store::open(&self.database).await?;
        if self.check {
            store.schema_state().await?.require_current()?;
            println!("the schema is up to date");
        } else {
            match store.migrate().await?.as_slice() {
                [] => println!("the schema was up to date"),
                applied => println!("applied {}", applied.join(", ")),
            }
        }
        store.close().await;
        Ok(())
    }
}
