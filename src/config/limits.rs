//! What one client, or many, may take of the listener.
//!
//! Each limit is set on purpose, since what the libraries underneath default to is not safe: tonic lifts the limits of
//! hyper on open streams and on streams that are reset for the client's errors, and nobody counts PING and SETTINGS.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::ConfigError;

/// Files that are kept for everything but connections: the database, e-mail, standard streams.
const RESERVED_FILES: usize = 128;
/// Most connections where nobody says.
const DEFAULT_MOST_CONNECTIONS: usize = 8192;
const KIB: usize = 1024;

/// Limits of connections, streams and messages.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct LimitConfig {
    /// Connections at once; more are closed as they come [default: 8192, or 128 below the limit of open files if that is less]
    #[arg(long, env = "ROLECALL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,

    /// Connections at once from one address (IPv6: one /64), trusted peers excepted
    #[arg(long, env = "ROLECALL_MAX_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", default_value_t = 256)]
    pub max_connections_per_address: usize,

    /// A connection whose TLS handshake and HTTP/2 preface take longer is closed
    #[arg(long, env = "ROLECALL_HANDSHAKE_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub handshake_timeout: Duration,

    /// After this long a connection takes no new calls (GOAWAY), so that clients spread over replicas anew
    #[arg(long, env = "ROLECALL_MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub max_connection_age: Duration,

    /// How long calls may go on after that, before the connection is closed
    #[arg(long, env = "ROLECALL_MAX_CONNECTION_AGE_GRACE", value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pub max_connection_age_grace: Duration,

    /// How long calls may go on after SIGTERM; at most 15s
    #[arg(long, env = "ROLECALL_SHUTDOWN_GRACE", value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,

    /// How often a connection is asked whether its client is still there (HTTP/2 PING, TCP keep-alive)
    #[arg(long, env = "ROLECALL_KEEPALIVE_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub keepalive_interval: Duration,

    /// A client that does not answer for this long is gone
    #[arg(long, env = "ROLECALL_KEEPALIVE_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    pub keepalive_timeout: Duration,

    /// Calls at once on one connection
    #[arg(long, env = "ROLECALL_MAX_CONCURRENT_STREAMS", value_name = "NUMBER", default_value_t = 100)]
    pub max_concurrent_streams: u32,

    /// Streams of one connection that may be reset for errors of the client before it is closed; at most 1024
    #[arg(long, env = "ROLECALL_MAX_ERROR_RESETS", value_name = "NUMBER", default_value_t = 1024)]
    pub max_error_resets: usize,

    /// Streams of one connection that the client may have reset before they were looked at
    #[arg(long, env = "ROLECALL_MAX_PENDING_RESETS", value_name = "NUMBER", default_value_t = 20)]
    pub max_pending_resets: usize,

    /// Frames in a row that carry nothing (PING, SETTINGS, empty DATA…) before a connection is closed; 8 more for each with
    /// headers or data, and 50 a second
    #[arg(long, env = "ROLECALL_MAX_IDLE_FRAMES", value_name = "NUMBER", default_value_t = 1000)]
    pub max_idle_frames: u32,

    /// Requests of one address in a row that are refused for their form (malformed, invalid fields, no credential) before
    /// less is read from it; 1 more for each that is answered, and 100 a second; trusted peers excepted
    #[arg(long, env = "ROLECALL_MAX_MALFORMED_REQUESTS", value_name = "NUMBER", default_value_t = 1000)]
    pub max_malformed_requests: u32,

    /// Size of a request's headers in bytes, 32 added for each header
    #[arg(long, env = "ROLECALL_MAX_HEADER_LIST_SIZE", value_name = "BYTES", default_value_t = 8 * 1024)]
    pub max_header_list_size: u32,

    /// Size of an HTTP/2 frame in bytes
    #[arg(long, env = "ROLECALL_MAX_FRAME_SIZE", value_name = "BYTES", default_value_t = 16 * 1024)]
    pub max_frame_size: u32,

    /// Size of a message that is taken in bytes. A connection buffers four of them at most
    #[arg(long, env = "ROLECALL_MAX_REQUEST_SIZE", value_name = "BYTES", default_value_t = 64 * KIB)]
    pub max_request_size: usize,

    /// Size of a message that is sent in bytes
    #[arg(long, env = "ROLECALL_MAX_RESPONSE_SIZE", value_name = "BYTES", default_value_t = 1024 * KIB)]
    pub max_response_size: usize,
}

impl Default for LimitConfig {
    /// What the flags default to.
    fn default() -> Self {
        Self {
            max_connections: None,
            max_connections_per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            max_connection_age: Duration::from_secs(30 * 60),
            max_connection_age_grace: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(15),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_concurrent_streams: 100,
            max_error_resets: 1024,
            max_pending_resets: 20,
            max_idle_frames: 1000,
            max_malformed_requests: 1000,
            max_header_list_size: 8 * 1024,
            max_frame_size: 16 * 1024,
            max_request_size: 64 * KIB,
            max_response_size: 1024 * KIB,
        }
    }
}

impl LimitConfig {
    /// # Errors
    /// If a limit would keep everybody out, or is none.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let room = connections_for(file_limit());
        require(
            self.max_connections.is_none_or(|wanted| (1..=room).contains(&wanted)),
            "--max-connections",
            format!("must be from 1 to {room}, which is {RESERVED_FILES} below the limit of open files (ulimit -n)"),
        )?;
        require(room > 0, "--max-connections", format!("the limit of open files must be above {RESERVED_FILES}"))?;
        require(self.max_connections_per_address >= 1, "--max-connections-per-address", "must be at least 1")?;
        let minute = Duration::from_secs(60);
        for (value, flag) in [
            (self.handshake_timeout, "--handshake-timeout"),
            (self.keepalive_interval, "--keepalive-interval"),
            (self.keepalive_timeout, "--keepalive-timeout"),
        ] {
            let good = (Duration::from_millis(10)..=60 * minute).contains(&value);
            require(good, flag, "must be from 10ms to 1h")?;
        }
        for (value, flag) in [
            (self.max_connection_age, "--max-connection-age"),
            (self.max_connection_age_grace, "--max-connection-age-grace"),
        ] {
            let good = (Duration::from_millis(10)..=24 * 60 * minute).contains(&value);
            require(good, flag, "must be from 10ms to 1 day")?;
        }
        require(self.shutdown_grace <= Duration::from_secs(15), "--shutdown-grace", "must be at most 15s")?;
        require(
            (1..=10_000).contains(&self.max_concurrent_streams),
            "--max-concurrent-streams",
            "must be from 1 to 10000",
        )?;
        require(self.max_error_resets <= 1024, "--max-error-resets", "must be at most 1024")?;
        require((100..=1_000_000).contains(&self.max_idle_frames), "--max-idle-frames", "must be from 100 to 1000000")?;
        require(
            (1..=1_000_000).contains(&self.max_malformed_requests),
            "--max-malformed-requests",
            "must be from 1 to 1000000",
        )?;
        require(self.max_pending_resets <= 1024, "--max-pending-resets", "must be at most 1024")?;
        require(
            (1024..=1024 * 1024).contains(&self.max_header_list_size),
            "--max-header-list-size",
            "must be from 1024 to 1048576",
        )?;
        // The bounds of a frame are those of HTTP/2 (RFC 9113, section 6.5.2).
        require(
            (16_384..=16_777_215).contains(&self.max_frame_size),
            "--max-frame-size",
            "must be from 16384 to 16777215",
        )?;
        for (value, flag) in
            [(self.max_request_size, "--max-request-size"), (self.max_response_size, "--max-response-size")]
        {
            require((16 * KIB..=64 * 1024 * KIB).contains(&value), flag, "must be from 16384 to 67108864")?;
        }
        Ok(())
    }

    /// Connections at once. Below the process's limit of open files, so that connections cannot take the files that
    /// the database needs.
    pub fn most_connections(&self) -> usize {
        let room = connections_for(file_limit()).max(1);
        self.max_connections.unwrap_or(DEFAULT_MOST_CONNECTIONS).min(room)
    }
}

fn require(good: bool, flag: &'static str, problem: impl Into<String>) -> Result<(), ConfigError> {
    if good { Ok(()) } else { Err(ConfigError::new(flag, problem)) }
}

fn connections_for(files: usize) -> usize {
    files.saturating_sub(RESERVED_FILES)
}

fn file_limit() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        limits: LimitConfig,
    }

    #[test]
    fn the_default_limits_are_those_of_the_flags_and_valid() {
        let flags = Flags::parse_from(["rolecall"]);
        assert_eq!(flags.limits, LimitConfig::default());
        assert_eq!(flags.limits.validate(), Ok(()));
    }

    #[test]
    fn connections_stay_below_the_limit_of_open_files() {
        assert_eq!(connections_for(1024), 896);
        assert_eq!(connections_for(100), 0);
        let limits = LimitConfig::default();
        assert!(limits.most_connections() <= connections_for(file_limit()));
        assert!(limits.most_connections() <= DEFAULT_MOST_CONNECTIONS);
    }

    #[test]
    fn a_limit_that_is_none_is_refused_by_its_flag() {
        for (flag, value) in [
            ("--max-connections", "0"),
            ("--max-connections", "99999999999"),
            ("--max-connections-per-address", "0"),
            ("--handshake-timeout", "0s"),
            ("--max-connection-age", "1y"),
            ("--max-connection-age-grace", "0s"),
            ("--shutdown-grace", "16s"),
            ("--keepalive-interval", "2h"),
            ("--keepalive-timeout", "0s"),
            ("--max-concurrent-streams", "0"),
            ("--max-error-resets", "1025"),
            ("--max-pending-resets", "1025"),
            ("--max-idle-frames", "99"),
            ("--max-malformed-requests", "0"),
            ("--max-header-list-size", "100"),
            ("--max-frame-size", "16383"),
            ("--max-request-size", "1024"),
            ("--max-response-size", "1024"),
        ] {
            let limits = Flags::parse_from(["rolecall", flag, value]).limits;
            assert_eq!(limits.validate().unwrap_err().flag, flag, "{value}");
        }
    }
}
