//! What the e-mails say. The words are in `templates/`; every value goes into the HTML escaped, and names pass
//! `one_line` first, so that neither a paragraph nor a header can come out of a name.
//!
//! No remote image, no tracking, no script: an e-mail reports to nobody that it was opened. Colours hold in light and
//! in dark mode; what matters is styled inline, because many mail programs drop `<style>`.

use askama::Template;
use time::{OffsetDateTime, UtcOffset};

use super::text::one_line;

/// Longer than any valid name.
const NAME_MAX: usize = 120;

/// What a role is called in an e-mail, and what whoever has it may do. The permissions of the contract, in words.
#[derive(Clone, Copy)]
pub struct RoleWords {
    with_article: &'static str,
    /// Completes "you can …".
    may: &'static str,
}

impl RoleWords {
    pub const AGENT: RoleWords =
        RoleWords { with_article: "an Agent", may: "handle and answer the conversations assigned to you" };
    pub const MANAGER: RoleWords =
        RoleWords { with_article: "a Manager", may: "see every conversation, view reports and manage clients" };
    pub const ADMIN: RoleWords = RoleWords {
        with_article: "an Admin",
        may: "set up assistants, playbooks, training, channels and settings, and manage who is in the workspace",
    };
    pub const OWNER: RoleWords = RoleWords {
        with_article: "an Owner",
        may: "do everything in the workspace, billing and other Owners included",
    };
}

pub struct InvitationEmail<'a> {
    pub workspace_name: &'a str,
    /// None: the invitation comes from the operator or from one of the company's own services.
    pub inviter_name: Option<&'a str>,
    pub role: RoleWords,
    pub link: &'a str,
    pub expires: OffsetDateTime,
    /// The address has an account already, so its password is asked for and no name.
    pub account_exists: bool,
}

/// The parts of an e-mail that are for reading. Holds a live link, hence no `Debug`.
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Debug, thiserror::Error)]
#[error("an e-mail template failed")]
pub struct RenderError(#[from] askama::Error);

pub fn invitation(invitation: &InvitationEmail<'_>) -> Result<Rendered, RenderError> {
    let workspace_name = &one_line(invitation.workspace_name, NAME_MAX);
    let inviter_name = invitation.inviter_name.map(|name| one_line(name, NAME_MAX));
    let inviter_name = inviter_name.as_deref();
    let expires = &in_words(invitation.expires);
    let &InvitationEmail { role, link, account_exists, .. } = invitation;

    let subject = match inviter_name {
        Some(inviter) => format!("{inviter} invited you to {workspace_name}"),
        None => format!("Your invitation to {workspace_name}"),
    };
    let text = InvitationText { workspace_name, inviter_name, role, link, expires, account_exists }.render()?;
    let html = InvitationHtml { subject: &subject, workspace_name, inviter_name, role, link, expires, account_exists }
        .render()?;
    Ok(Rendered { subject, text, html })
}

pub struct PasswordResetEmail<'a> {
    /// The address whose account it is.
    pub email: &'a str,
    pub link: &'a str,
    pub expires: OffsetDateTime,
}

pub fn password_reset(reset: &PasswordResetEmail<'_>) -> Result<Rendered, RenderError> {
    let expires = &in_words(reset.expires);
    let &PasswordResetEmail { email, link, .. } = reset;
    let subject = "Reset your password".to_owned();
    let text = PasswordResetText { email, link, expires }.render()?;
    let html = PasswordResetHtml { subject: &subject, email, link, expires }.render()?;
    Ok(Rendered { subject, text, html })
}

#[derive(Template)]
#[template(path = "invitation.txt")]
struct InvitationText<'a> {
    workspace_name: &'a str,
    inviter_name: Option<&'a str>,
    role: RoleWords,
    link: &'a str,
    expires: &'a str,
    account_exists: bool,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationHtml<'a> {
    subject: &'a str,
    workspace_name: &'a str,
    inviter_name: Option<&'a str>,
    role: RoleWords,
    link: &'a str,
    expires: &'a str,
    account_exists: bool,
}

#[derive(Template)]
#[template(path = "password_reset.txt")]
struct PasswordResetText<'a> {
    email: &'a str,
    link: &'a str,
    expires: &'a str,
}

#[derive(Template)]
#[template(path = "password_reset.html")]
struct PasswordResetHtml<'a> {
    subject: &'a str,
    email: &'a str,
    link: &'a str,
    expires: &'a str,
}

/// "Saturday, 14 March 2026 at 09:30 UTC". Seconds are cut, not rounded: the words never promise more than the clock.
fn in_words(moment: OffsetDateTime) -> String {
    // At the very ends of the calendar there is no UTC to show; the time as given is still true, less its zone.
    let utc = moment.checked_to_offset(UtcOffset::UTC).unwrap_or(moment);
    format!(
        "{}, {} {} {} at {:02}:{:02} UTC",
        utc.weekday(),
        utc.day(),
        utc.month(),
        utc.year(),
        utc.hour(),
        utc.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://app.example.com/setup?a=1&b=2#token=rci_abc";

    fn example<'a>() -> InvitationEmail<'a> {
        InvitationEmail {
            workspace_name: "Acme",
            inviter_name: Some("Maya Lindgren"),
            role: RoleWords::MANAGER,
            link: LINK,
            // 09:30:59 in UTC, told in another zone.
            expires: OffsetDateTime::from_unix_timestamp(1_773_480_659)
                .unwrap()
                .to_offset(UtcOffset::from_hms(2, 0, 0).unwrap()),
            account_exists: false,
        }
    }

    #[test]
    fn a_new_person_reads_who_invites_where_as_what_and_until_when() {
        let mail = invitation(&example()).unwrap();
        assert_eq!(mail.subject, "Maya Lindgren invited you to Acme");
        assert_eq!(
            mail.text,
            "Maya Lindgren has invited you to join Acme as a Manager.\n\
             As a Manager, you can see every conversation, view reports and manage clients.\n\
             \n\
             It only takes a minute: set up your account with a name and a password.\n\
             \n\
             https://app.example.com/setup?a=1&b=2#token=rci_abc\n\
             \n\
             The link is yours alone, so please don't forward it.\n\
             It is good until Saturday, 14 March 2026 at 09:30 UTC.\n\
             \n\
             Not expecting this?\n\
             You can ignore this e-mail: nothing happens unless you use the link."
        );
        for part in [
            "Maya Lindgren",
            "Join Acme",
            "as a Manager",
            "Saturday, 14 March 2026 at 09:30 UTC",
            ">Set up your account</a>",
        ] {
            assert!(mail.html.contains(part), "{part}");
        }
    }

    #[test]
    fn somebody_with_an_account_is_asked_to_sign_in() {
        let mail = invitation(&InvitationEmail { account_exists: true, ..example() }).unwrap();
        for body in [&mail.text, &mail.html] {
            assert!(
                body.contains("sign in with your password to join")
                    && !body.to_lowercase().contains("set up your account")
            );
        }
    }

    #[test]
    fn an_invitation_by_the_operator_names_nobody() {
        let mail = invitation(&InvitationEmail { inviter_name: None, role: RoleWords::OWNER, ..example() }).unwrap();
        assert_eq!(mail.subject, "Your invitation to Acme");
        assert!(mail.text.starts_with("You have been invited to join Acme as an Owner.\n"), "{}", mail.text);
        assert!(mail.html.contains("You have been invited to join"));
    }

    #[test]
    fn names_and_link_are_escaped_in_html_only() {
        let mail = invitation(&InvitationEmail {
            workspace_name: "<b>R&D</b>",
            inviter_name: Some("\"><script>alert(1)</script>"),
            link: "https://x.example/?a=1&b=\"",
            ..example()
        })
        .unwrap();
        assert!(mail.text.contains("<b>R&D</b>") && mail.text.contains("\nhttps://x.example/?a=1&b=\"\n"));
        assert!(!mail.html.contains("<b>") && !mail.html.contains("<script"), "{}", mail.html);
        assert!(mail.html.contains("&#60;b&#62;R&#38;D&#60;/b&#62;"), "{}", mail.html);
        assert!(mail.html.contains("href=\"https://x.example/?a=1&#38;b=&#34;\""), "{}", mail.html);
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let mail = invitation(&InvitationEmail {
            workspace_name: "Acme\r\n\r\nYour account is locked\u{202e}",
            inviter_name: Some("Maya\u{0}\nBcc: x"),
            ..example()
        })
        .unwrap();
        assert_eq!(mail.subject, "Maya Bcc: x invited you to Acme Your account is locked");
        assert_eq!(
            mail.text.lines().next(),
            Some("Maya Bcc: x has invited you to join Acme Your account is locked as a Manager.")
        );
        assert!(!mail.html.contains('\u{202e}'));
    }

    fn reset<'a>() -> PasswordResetEmail<'a> {
        let expires = OffsetDateTime::from_unix_timestamp(1_773_480_659).unwrap();
        PasswordResetEmail { email: "o'hara&co@acme.example", link: LINK, expires }
    }

    #[test]
    fn a_reset_says_whose_password_how_long_and_what_if_it_was_somebody_else() {
        let mail = password_reset(&reset()).unwrap();
        assert_eq!(mail.subject, "Reset your password");
        for part in ["o'hara&co@acme.example", LINK, "14 March 2026 at 09:30 UTC", "stays as it is"] {
            assert!(mail.text.contains(part), "{part}: {}", mail.text);
        }
        assert!(mail.html.contains("o&#39;hara&#38;co@acme.example"), "{}", mail.html);
        assert!(!mail.html.contains("nvit"), "it is about a password: {}", mail.html);
    }

    #[test]
    fn the_html_loads_nothing_and_runs_nothing() {
        for mail in [invitation(&example()).unwrap(), password_reset(&reset()).unwrap()] {
            loads_and_runs_nothing(&mail.html.to_lowercase());
        }
    }

    fn loads_and_runs_nothing(html: &str) {
        for tag in ["<img", "<script", "<link", "url(", "@import", "src="] {
            assert!(!html.contains(tag), "{tag}");
        }
        // The button and the link, written out.
        assert_eq!(html.matches("href=").count(), 2);
    }
}
