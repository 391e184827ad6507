//! Sessions, passwords, and how long history is kept.

use std::time::Duration;

use super::ConfigError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions, passwords and history.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SecurityConfig {
    /// A session ends after this long without use
    #[arg(long, env = "ROLECALL_SESSION_IDLE_TIMEOUT", value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub session_idle_timeout: Duration,

    /// A session ends this long after its sign-in in any case
    #[arg(long, env = "ROLECALL_SESSION_LIFETIME", value_name = "DURATION", default_value = "14d", value_parser = humantime::parse_duration)]
    pub session_lifetime: Duration,

    /// Fewest characters of a new password
    #[arg(long, env = "ROLECALL_PASSWORD_MIN_LENGTH", value_name = "NUMBER", default_value_t = 15)]
    pub password_min_length: usize,

    /// Memory of one password hash (argon2id) in KiB
    #[arg(long, env = "ROLECALL_PASSWORD_HASH_MEMORY", value_name = "KIB", default_value_t = 19_456)]
    pub password_hash_memory: u32,

    /// Passes of one password hash (argon2id)
    #[arg(long, env = "ROLECALL_PASSWORD_HASH_ITERATIONS", value_name = "NUMBER", default_value_t = 2)]
    pub password_hash_iterations: u32,

    /// Audit events are kept this long
    #[arg(long, env = "ROLECALL_AUDIT_RETENTION", value_name = "DURATION", default_value = "400d", value_parser = humantime::parse_duration)]
    pub audit_retention: Duration,
}

impl Default for SecurityConfig {
    /// What the flags default to.
    fn default() -> Self {
        Self {
            session_idle_timeout: DAY,
            session_lifetime: 14 * DAY,
            password_min_length: 15,
            password_hash_memory: 19_456,
            password_hash_iterations: 2,
            audit_retention: 400 * DAY,
        }
    }
}

impl SecurityConfig {
    /// Lower bounds: the costs are those of OWASP's Password Storage Cheat Sheet (argon2id, m=19456 KiB, t=2, p=1), the
    /// length is NIST SP 800-63B-4's 8 for a password that is one factor of several.
    ///
    /// # Errors
    /// If a value is below its bound or of no use.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let require = |good: bool, flag: &'static str, problem: &str| {
            if good { Ok(()) } else { Err(ConfigError::new(flag, problem)) }
        };
        let minute = Duration::from_secs(60);
        require(
            self.session_idle_timeout >= 2 * minute,
            "--session-idle-timeout",
            "must be at least 2 minutes, since use is recorded within one",
        )?;
        require(
            self.session_lifetime >= self.session_idle_timeout,
            "--session-lifetime",
            "must not be shorter than --session-idle-timeout",
        )?;
        require(self.session_lifetime <= 400 * DAY, "--session-lifetime", "must be at most 400 days")?;
        require((8..=64).contains(&self.password_min_length), "--password-min-length", "must be from 8 to 64")?;
        require(
            (19_456..=262_144).contains(&self.password_hash_memory),
            "--password-hash-memory",
            "must be from 19456 to 262144",
        )?;
        require(
            (2..=16).contains(&self.password_hash_iterations),
            "--password-hash-iterations",
            "must be from 2 to 16",
        )?;
        require(self.audit_retention >= DAY, "--audit-retention", "must be at least a day")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        security: SecurityConfig,
    }

    #[test]
    fn the_defaults_are_those_of_the_flags_and_valid() {
        let flags = Flags::parse_from(["rolecall"]);
        assert_eq!(flags.security, SecurityConfig::default());
        assert_eq!(flags.security.validate(), Ok(()));
    }

    #[test]
    fn a_value_that_weakens_is_refused_by_its_flag() {
        let refused = |args: &[&str]| {
            let args = ["rolecall"].iter().chain(args);
            Flags::parse_from(args).security.validate().unwrap_err().flag
        };
        assert_eq!(refused(&["--password-hash-memory", "8192"]), "--password-hash-memory");
        assert_eq!(refused(&["--password-min-length", "7"]), "--password-min-length");
        assert_eq!(refused(&["--session-idle-timeout", "30s"]), "--session-idle-timeout");
        assert_eq!(refused(&["--session-lifetime", "1h"]), "--session-lifetime");
        assert_eq!(refused(&["--audit-retention", "1h"]), "--audit-retention");
    }
}
