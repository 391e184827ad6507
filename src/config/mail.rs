//! How e-mail goes out, and where its links lead.

use super::ConfigError;

const SETUP_FLAG: &str = "--setup-url";
const DEFAULT_SETUP_URL: &str = "http://127.0.0.1:8080/setup#token={token}";
/// Where the token goes in a link.
const PLACEHOLDER: &str = "{token}";

/// E-mail.
#[derive(Clone, Debug, clap::Args)]
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
}

impl Default for LinkConfig {
    /// What the flag defaults to.
    fn default() -> Self {
        Self { setup_url: DEFAULT_SETUP_URL.to_owned() }
    }
}

impl LinkConfig {
    /// # Errors
    /// If the link would not carry the token, or is no web address.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let url = self.setup_url.as_str();
        let problem = if url.matches(PLACEHOLDER).count() != 1 {
            "must contain {token} once"
        } else if !(url.starts_with("https://") || url.starts_with("http://")) {
            "must begin with https:// or http://"
        } else if url.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>')) {
            "must not contain spaces, quotes or angle brackets"
        } else {
            return Ok(());
        };
        Err(ConfigError::new(SETUP_FLAG, problem))
    }

    /// The link that carries `token`.
    pub fn setup_link(&self, token: &str) -> String {
        self.setup_url.replace(PLACEHOLDER, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_its_token_once_and_is_a_web_address() {
        let links = |url: &str| LinkConfig { setup_url: url.into() };
        assert_eq!(links("https://a.example/s#t={token}").setup_link("rci_x"), "https://a.example/s#t=rci_x");
        assert!(links("https://a.example/s#t={token}").validate().is_ok());
        for url in ["https://a.example/s", "https://a/{token}/{token}", "javascript:{token}", "https://a/ {token}"] {
            assert_eq!(links(url).validate().unwrap_err().flag, SETUP_FLAG, "{url}");
        }
    }
}
