//! How e-mail goes out, and where its links lead.

use super::ConfigError;

const SETUP_FLAG: &str = "--setup-url";
const RESET_FLAG: &str = "--reset-url";
const DEFAULT_SETUP_URL: &str = "http://127.0.0.1:8080/setup#token={token}";
const DEFAULT_RESET_URL: &str = "http://127.0.0.1:8080/reset#token={token}";
/// Where the token goes in a link.
const PLACEHOLDER: &str = "{token}";

/// E-mail. Its URL can hold a password, so it has no `Debug`.
#[derive(Clone, clap::Args)]
pub struct MailConfig {
    /// Where e-mail goes: file:FOLDER (one private .eml file each), smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…
    #[arg(
        long,
        env = "ROLECALL_MAIL_URL",
        value_name = "URL",
        default_value = "file:rolecall-data/mail",
        hide_env_values = true
    )]
    pub mail_url: String,

    /// The sender of all e-mail
    #[arg(long, env = "ROLECALL_MAIL_FROM", value_name = "MAILBOX", default_value = "Rolecall <no-reply@localhost>")]
    pub mail_from: String,

    #[command(flatten)]
    pub links: LinkConfig,
}

/// The pages that links lead to.
#[derive(Clone, Debug, clap::Args)]
pub struct LinkConfig {
    /// Where an invitation's link leads. In a fragment (#) the token stays out of access logs
    #[arg(long, env = "ROLECALL_SETUP_URL", value_name = "URL", default_value = DEFAULT_SETUP_URL)]
    pub setup_url: String,

    /// Where a password reset's link leads
    #[arg(long, env = "ROLECALL_RESET_URL", value_name = "URL", default_value = DEFAULT_RESET_URL)]
    pub reset_url: String,
}

impl Default for LinkConfig {
    /// What the flags default to.
    fn default() -> Self {
        Self { setup_url: DEFAULT_SETUP_URL.to_owned(), reset_url: DEFAULT_RESET_URL.to_owned() }
    }
}

impl LinkConfig {
    /// # Errors
    /// If a link would not carry its token, or is no web address.
    pub fn validate(&self) -> Result<(), ConfigError> {
        validate_link(SETUP_FLAG, &self.setup_url)?;
        validate_link(RESET_FLAG, &self.reset_url)
    }

    /// The link of an invitation with this token.
    pub fn setup_link(&self, token: &str) -> String {
        self.setup_url.replace(PLACEHOLDER, token)
    }

    /// The link of a password reset with this token.
    pub fn reset_link(&self, token: &str) -> String {
        self.reset_url.replace(PLACEHOLDER, token)
    }
}

fn validate_link(flag: &'static str, url: &str) -> Result<(), ConfigError> {
    let problem = if url.matches(PLACEHOLDER).count() != 1 {
        "must contain {token} once"
    } else if !(url.starts_with("https://") || url.starts_with("http://")) {
        "must begin with https:// or http://"
    } else if url.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>')) {
        "must not contain spaces, quotes or angle brackets"
    } else {
        return Ok(());
    };
    Err(ConfigError::new(flag, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_its_token_once_and_is_a_web_address() {
        let links = |url: &str| LinkConfig { setup_url: url.into(), ..LinkConfig::default() };
        assert_eq!(links("https://a.example/s#t={token}").setup_link("rci_x"), "https://a.example/s#t=rci_x");
        assert!(links("https://a.example/s#t={token}").validate().is_ok());
        for url in ["https://a.example/s", "https://a/{token}/{token}", "javascript:{token}", "https://a/ {token}"] {
            assert_eq!(links(url).validate().unwrap_err().flag, SETUP_FLAG, "{url}");
            let links = LinkConfig { reset_url: url.into(), ..LinkConfig::default() };
            assert_eq!(links.validate().unwrap_err().flag, RESET_FLAG, "{url}");
        }
    }
}
