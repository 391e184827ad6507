//! Making strings from elsewhere fit for one line of an e-mail.

/// `raw` as one line of at most `max` characters. Controls and line ends become spaces and spaces are joined, so
/// nothing can begin a header or a paragraph of its own; bidirectional overrides and isolates go, so nothing can
/// reorder the words around it.
pub(super) fn one_line(raw: &str, max: usize) -> String {
    let mut line = String::with_capacity(raw.len());
    for word in raw.split(|c: char| c.is_whitespace() || c.is_control()) {
        let start = line.len();
        line.extend(word.chars().filter(|c| !is_bidi_control(*c)));
        if line.len() > start && start > 0 {
            line.insert(start, ' ');
        }
    }
    match line.char_indices().nth(max) {
        None => line,
        Some(_) => line.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a mail server said, without the words that could name a host, a path or an address (they are in the log).
pub(super) fn without_internals(said: &str) -> String {
    one_line(said, said.len())
        .split(' ')
        .map(|word| if is_internal(word) { "…" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_internal(word: &str) -> bool {
    // An enhanced status code such as 5.1.1 is what an admin searches the web for; an IP address has more parts.
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let is_status = bare.split('.').count() == 3 && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
    let dot_inside = bare.contains('.') && !is_status;
    dot_inside || word.contains(['/', '\\', '@', '=']) || bare.matches(':').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line("  Acme\r\nBcc: x@y.z\u{0}\u{7f}\u{2028} Ltd\u{202e}\u{2066} ", 50), "Acme Bcc: x@y.z Ltd");
        assert_eq!(one_line("\u{202e}", 50), "");
        assert_eq!(one_line("Ωmega 👩‍🚀", 50), "Ωmega 👩‍🚀");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        assert_eq!(one_line("ééééé", 5), "ééééé");
        assert_eq!(one_line("éééééé", 5), "éééé…");
    }

    #[test]
    fn a_servers_words_lose_what_names_its_insides() {
        assert_eq!(
            without_internals("5.1.1 <bob@example.com>: User unknown (in /etc/aliases) at mx1.corp.example [10.0.0.7]"),
            "5.1.1 … User unknown (in … at … …"
        );
        assert_eq!(without_internals("mailbox unavailable."), "mailbox unavailable.");
        assert_eq!(without_internals("from fe80::1 see https://x.example/?a=b"), "from … see …");
    }
}
