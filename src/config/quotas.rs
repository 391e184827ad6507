//! How much mail one workspace can cause, and one person can get.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Quotas against mail abuse. 0 means that there is none.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct QuotaConfig {
    /// Invitations that a workspace may send in a minute; 0: any number
    #[arg(long, env = "ROLECALL_MAX_INVITATIONS_PER_MINUTE", value_name = "NUMBER", default_value_t = 60)]
    pub max_invitations_per_minute: u64,

    /// Invitations that a workspace may send in 24 hours; 0: any number
    #[arg(long, env = "ROLECALL_MAX_INVITATIONS_PER_DAY", value_name = "NUMBER", default_value_t = 500)]
    pub max_invitations_per_day: u64,

    /// How soon an invitation may be sent again
    #[arg(long, env = "ROLECALL_MIN_RESEND_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub min_resend_interval: Duration,

    /// How often an invitation may be sent again in 24 hours; 0: any number
    #[arg(long, env = "ROLECALL_MAX_RESENDS_PER_DAY", value_name = "NUMBER", default_value_t = 5)]
    pub max_resends_per_day: u64,

    /// E-mails that one address may get in 24 hours, from all workspaces together; 0: any number
    #[arg(long, env = "ROLECALL_MAX_EMAILS_PER_DAY", value_name = "NUMBER", default_value_t = 20)]
    pub max_emails_per_day: u64,

    /// Password resets that may be asked for one address in an hour; 0: any number
    #[arg(long, env = "ROLECALL_MAX_RESETS_PER_HOUR", value_name = "NUMBER", default_value_t = 5)]
    pub max_resets_per_hour: u64,
}

impl Default for QuotaConfig {
    /// What the flags default to.
    fn default() -> Self {
        Self {
            max_invitations_per_minute: 60,
            max_invitations_per_day: 500,
            min_resend_interval: Duration::from_secs(60),
            max_resends_per_day: 5,
            max_emails_per_day: 20,
            max_resets_per_hour: 5,
        }
    }
}

/// At most `most` in any stretch of time as long as `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What an error calls it.
    pub name: &'static str,
    pub most: u64,
    pub window: Duration,
}

impl QuotaConfig {
    /// Of a workspace's invitations.
    pub fn of_workspace(&self) -> [Quota; 2] {
        [
            Quota {
                name: "INVITATIONS_PER_MINUTE",
                most: self.max_invitations_per_minute,
                window: Duration::from_secs(60),
            },
            Quota { name: "INVITATIONS_PER_DAY", most: self.max_invitations_per_day, window: DAY },
        ]
    }

    /// Of all e-mails of one invitation, the first included.
    pub fn between_sendings(&self) -> Quota {
        Quota { name: "RESEND_INTERVAL", most: 1, window: self.min_resend_interval }
    }

    /// Of an invitation's sendings after the first.
    pub fn of_resends(&self) -> Quota {
        Quota { name: "RESENDS_PER_DAY", most: self.max_resends_per_day, window: DAY }
    }

    /// Of all e-mails to one address.
    pub fn of_recipient(&self) -> Quota {
        Quota { name: "EMAILS_PER_DAY", most: self.max_emails_per_day, window: DAY }
    }

    /// Of the password resets asked for one address.
    pub fn of_resets(&self) -> Quota {
        Quota { name: "RESETS_PER_HOUR", most: self.max_resets_per_hour, window: Duration::from_secs(60 * 60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        quotas: QuotaConfig,
    }

    #[test]
    fn the_defaults_are_those_of_the_flags() {
        assert_eq!(Flags::parse_from(["rolecall"]).quotas, QuotaConfig::default());
    }
}
