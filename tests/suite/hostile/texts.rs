//! Texts that are thrown at fields: names, addresses, tokens, passwords.

use tonic::Code;

use super::cases::{Case, Expect, HUGE, bad, case, texts};
use super::cast::Cast;
use crate::support::{Field, PASSWORD};

/// Names that could mislead a reader of an e-mail, or break it.
pub(super) fn names(field: &Field) -> Vec<Case> {
    let (long, huge, combining) = ("n".repeat(101), "n".repeat(HUGE), format!("a{}", "\u{301}".repeat(101)));
    texts(
        field,
        &[
            ("empty", "", bad("REQUIRED")),
            ("spaces", " \t\u{a0}\u{3000} ", bad("REQUIRED")),
            ("nothing to see", "\u{200b}\u{feff}\u{3164}\u{2060}", bad("REQUIRED")),
            ("one character too long", &long, bad("TOO_LONG")),
            ("a tower of accents", &combining, bad("TOO_LONG")),
            ("huge", &huge, bad("TOO_LONG")),
            ("a NUL", "Ada\0", bad("FORBIDDEN_CHARACTER")),
            ("an escape", "Ada\u{1b}[31m", bad("FORBIDDEN_CHARACTER")),
            ("a C1 control", "Ada\u{9b}31m", bad("FORBIDDEN_CHARACTER")),
            ("a delete", "Ada\u{7f}", bad("FORBIDDEN_CHARACTER")),
            ("a header", "Ada\r\nBcc: eve@evil.example", bad("FORBIDDEN_CHARACTER")),
            ("a line separator", "Ada\u{2028}Eve", bad("FORBIDDEN_CHARACTER")),
            ("a paragraph separator", "Ada\u{2029}Eve", bad("FORBIDDEN_CHARACTER")),
            ("an override", "Ada \u{202e}evE", bad("FORBIDDEN_CHARACTER")),
            ("an embedding", "Ada \u{202a}Eve", bad("FORBIDDEN_CHARACTER")),
            ("an isolate", "Ada \u{2067}Eve", bad("FORBIDDEN_CHARACTER")),
            ("a mark", "Ada \u{200f}Eve", bad("FORBIDDEN_CHARACTER")),
            ("an Arabic mark", "Ada \u{61c}Eve", bad("FORBIDDEN_CHARACTER")),
            ("a link", "see https://evil.example", bad("NOT_ALLOWED")),
            ("any link", "javascript://x", bad("NOT_ALLOWED")),
            ("half a link", "wWw.evil.example", bad("NOT_ALLOWED")),
        ],
    )
}

/// Addresses that are none, more than one, or look like somebody else's.
pub(super) fn emails(field: &Field) -> Vec<Case> {
    let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(190));
    let local = format!("{}@acme.example", "a".repeat(65));
    let label = format!("a@{}.example", "b".repeat(64));
    let huge = format!("{}@acme.example", "a".repeat(HUGE));
    let (no, odd) = (bad("MALFORMED"), bad("FORBIDDEN_CHARACTER"));
    let mut all = texts(
        field,
        &[
            ("empty", "", bad("REQUIRED")),
            ("too long", &long, bad("TOO_LONG")),
            ("huge", &huge, bad("TOO_LONG")),
            ("a header", "ada@acme.example\r\nBcc: eve@evil.example", odd.clone()),
            ("a NUL", "ada\0@acme.example", odd.clone()),
            ("a space", "ada @acme.example", odd.clone()),
            ("a space before it", " ada@acme.example", odd.clone()),
            ("a no-break space", "ada\u{a0}@acme.example", odd),
        ],
    );
    for text in [
        "ada",
        "@acme.example",
        "ada@",
        "ada@localhost",
        "ada@acme.example.",
        "a@b@acme.example",
        "ada@acme..example",
        "\"ada\"@acme.example",
        "\"ada@home\"@acme.example",
        "ada(admin)@acme.example",
        "Ada<ada@acme.example>",
        "<ada@acme.example>",
        "ada@acme.example,eve@evil.example",
        "ada@acme.example;eve@evil.example",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "ada@127.0.0.1",
        "ada@-acme.example",
        "ada@acme_.example",
        "a..b@acme.example",
        ".ada@acme.example",
        "ada.@acme.example",
        "mailto:ada@acme.example",
        "ada\\@acme.example",
        "ada@acme.example/..",
        // The dotless i, the Kelvin sign, the long s, full width, an override, a zero-width joiner, a soft hyphen.
        "\u{131}da@acme.example",
        "\u{212a}im@acme.example",
        "\u{17f}am@acme.example",
        "\u{ff41}da@acme.example",
        "ada\u{202e}@acme.example",
        "ada@ac\u{200d}me.example",
        "ada@ac\u{ad}me.example",
        "ada@\u{ff41}cme.example",
        "ada@\u{212a}ilo.example",
        "ada@\u{17f}hop.example",
        "ada@acme\u{3002}example",
        "ada\u{ff20}acme.example",
        "ada@acme.example\u{ff0c}eve@evil.example",
        "ada@xn--a.example",
        "ada@xn--.example",
        "ада@acme.example",
        local.as_str(),
        label.as_str(),
    ] {
        all.push(case("a look-alike or no address", field.bytes(text.as_bytes()), no.clone()));
    }
    all
}

/// A live token, bent in every way that a careless or a curious client bends it.
pub(super) fn tokens(field: &Field, live: &str, prefix: &str, other_kind: &str, expect: Expect) -> Vec<Case> {
    let secret = live.strip_prefix(prefix).unwrap();
    let flipped: String = live
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let redressed = format!("{prefix}{}", &other_kind[4..]);
    let values = [
        ("truncated", live[..live.len() - 1].to_owned()),
        ("without its prefix", secret.to_owned()),
        ("its prefix alone", prefix.to_owned()),
        ("re-cased", flipped),
        ("with its prefix re-cased", format!("{}{secret}", prefix.to_uppercase())),
        ("padded", format!("{live}=")),
        ("with a space after it", format!("{live} ")),
        ("with a space before it", format!(" {live}")),
        ("with a line end", format!("{live}\n")),
        ("with a NUL", format!("{live}\0")),
        ("twice", format!("{live}{live}")),
        ("of another kind", other_kind.to_owned()),
        ("with another kind's prefix", format!("rck_{secret}")),
        ("of another kind with this kind's prefix", redressed),
        ("of 32 zeros", format!("{prefix}{}", "A".repeat(43))),
        ("in another alphabet", format!("{prefix}{}", "+/".repeat(21) + "+")),
        ("as SQL", "' OR 1=1 --".to_owned()),
        ("huge", "A".repeat(HUGE)),
    ];
    values.into_iter().map(|(what, text)| case(what, field.bytes(text.as_bytes()), expect.clone())).collect()
}

pub(super) fn invitation_tokens(field: &Field, cast: &Cast) -> Vec<Case> {
    let never = Expect::Nobody(Code::NotFound, "INVITATION_NOT_FOUND");
    let mut all = tokens(field, &cast.invitation_token, "rci_", &cast.session_token, never.clone());
    all.push(case("empty", field.bytes(b""), never));
    all
}

pub(super) fn reset_tokens(field: &Field, cast: &Cast) -> Vec<Case> {
    let never = Expect::Nobody(Code::NotFound, "RESET_NOT_FOUND");
    let mut all = tokens(field, &cast.reset_token, "rcp_", &cast.session_token, never.clone());
    all.push(case("empty", field.bytes(b""), never));
    all
}

pub(super) fn passwords(field: &Field, code: Code, reason: &'static str) -> Vec<Case> {
    let wrong = Expect::Refused(code, reason);
    let (long, huge) = ("p".repeat(2_049), "p".repeat(HUGE));
    let (cut, padded) = (&PASSWORD[1..], format!("{PASSWORD} "));
    let (capitals, nul) = (PASSWORD.to_uppercase(), format!("{PASSWORD}\0"));
    texts(
        field,
        &[
            ("empty", "", bad("REQUIRED")),
            ("too long", &long, bad("PASSWORD_TOO_LONG")),
            ("huge", &huge, bad("PASSWORD_TOO_LONG")),
            ("cut", cut, wrong.clone()),
            ("padded", &padded, wrong.clone()),
            ("re-cased", &capitals, wrong.clone()),
            ("with a NUL", &nul, wrong.clone()),
            ("SQL", "' OR 1=1 --", wrong),
        ],
    )
}

pub(super) fn new_passwords(field: &Field, address: &str) -> Vec<Case> {
    let (long, huge) = ("pq7 ".repeat(33), "p".repeat(HUGE));
    texts(
        field,
        &[
            ("empty", "", bad("REQUIRED")),
            ("one character too short", "kettle orbit 7", bad("PASSWORD_TOO_SHORT")),
            ("too long", &long, bad("PASSWORD_TOO_LONG")),
            ("huge", &huge, bad("PASSWORD_TOO_LONG")),
            ("common", "passwordpassword", bad("PASSWORD_COMMON")),
            ("one's own address", address, bad("PASSWORD_PERSONAL")),
            ("combining characters that are one each", &"e\u{301}".repeat(14), bad("PASSWORD_TOO_SHORT")),
        ],
    )
}
