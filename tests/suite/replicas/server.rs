//! A PostgreSQL with one database, and replicas on it.

use crate::support::postgres::{Cluster, FAST};
use crate::support::{Place, World};

const DATABASE: &str = "rolecall";

pub struct Server {
    pub cluster: Cluster,
}

impl Server {
    /// A server whose data need not survive the machine.
    pub fn fast() -> Self {
        Self::start(&FAST)
    }

    /// A server that keeps what it has acknowledged.
    pub fn durable() -> Self {
        Self::start(&[("fsync", "on"), ("synchronous_commit", "on")])
    }

    pub fn start(settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start(settings);
        cluster.create_database(DATABASE);
        Self { cluster }
    }

    /// Where the data is, each time with a folder of its own for the mail.
    pub fn place(&self) -> Place {
        self.place_by(self.cluster.url(DATABASE))
    }

    /// As [`Server::place`], reached by the service by another URL.
    pub fn place_by(&self, url: String) -> Place {
        Place::elsewhere(url, self.cluster.superuser_url(DATABASE))
    }

    /// So many replicas in this process, whose clocks stand still at the same moment.
    pub async fn worlds<const COUNT: usize>(&self) -> [World; COUNT] {
        let mut worlds = Vec::new();
        for _ in 0..COUNT {
            worlds.push(World::start_in(self.place()).await);
        }
        worlds.try_into().unwrap_or_else(|_| unreachable!())
    }

    /// Runs statements as the superuser.
    pub fn run(&self, sql: &str) {
        self.cluster.run(DATABASE, sql);
    }
}

/// How often something is done: as often as this variable says, or as the test needs.
pub fn number_from(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
