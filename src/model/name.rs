//! Names of people and workspaces. They go into e-mails, so they are held to more than a length.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::error::{FieldReason, FieldViolation};

/// Longest name in code points.
pub const MAX_NAME_CHARS: usize = 100;

/// A name: trimmed, NFC, 1 to 100 code points, with nothing in it that could bend a line, a reading direction or a
/// reader towards a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads the name that stands in `field` of a request.
    pub fn parse(field: &str, text: &str) -> Result<Self, FieldViolation> {
        let bad = |reason, why: &str| FieldViolation::new(field, reason, why);
        let name: String = text.trim().nfc().collect();
        if !name.chars().any(is_visible) {
            return Err(bad(FieldReason::Required, "must have 1 to 100 characters"));
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(bad(FieldReason::TooLong, "must have at most 100 characters"));
        }
        if name.chars().any(|c| c.is_control() || bends_lines_or_direction(c)) {
            return Err(bad(
                FieldReason::ForbiddenCharacter,
                "must not contain control, line-breaking or text-direction characters",
            ));
        }
        let lower = name.to_lowercase();
        if lower.contains("://") || lower.contains("www.") {
            return Err(bad(FieldReason::NotAllowed, "must not contain a link"));
        }
        Ok(Self(name))
    }

    /// A name that was valid when it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that leaves a mark on the page; a name of joiners and blanks alone would show as nothing.
fn is_visible(c: char) -> bool {
    let blank = matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}');
    !(blank || c.is_whitespace() || c.is_control())
}

/// Bidirectional overrides, embeddings, isolates and marks (UAX 9), and the separators that break a line.
fn bends_lines_or_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Folds text so that a search finds it in any case, on every database alike.
///
/// Letter by letter, since a part of a word must fold as it does within the word: `str::to_lowercase` looks at the
/// neighbours of a sigma. Upper case comes first because several letters can share one (σ and ς; ß is SS).
pub fn fold_for_search(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, FieldReason> {
        Name::parse("name", text).map(|n| n.0).map_err(|v| v.reason)
    }

    #[test]
    fn a_name_is_trimmed_and_composed() {
        assert_eq!(parse("  Ada Lovelace\t").as_deref(), Ok("Ada Lovelace"));
        assert_eq!(parse("Zoe\u{308}").as_deref(), Ok("Zo\u{eb}"));
        assert_eq!(parse("'; DROP TABLE users; --").as_deref(), Ok("'; DROP TABLE users; --"));
        assert_eq!(parse(&"\u{1f469}".repeat(100)).map(|n| n.chars().count()), Ok(100));
    }

    #[test]
    fn what_differs_in_case_only_folds_alike_as_a_whole_and_in_parts() {
        assert_eq!(fold_for_search("ΣΊΣΥΦΟΣ"), fold_for_search("Σίσυφος"));
        assert!(fold_for_search("Σίσυφος").contains(&fold_for_search("ΣΊΣ")));
        assert_eq!(fold_for_search("STRASSE"), fold_for_search("Straße"));
        assert_eq!(fold_for_search("ZOE\u{308}"), fold_for_search("zo\u{eb}"));
        assert_eq!(fold_for_search("ada_%+1@example.com"), "ada_%+1@example.com");
    }

    #[test]
    fn a_name_that_could_mislead_is_refused() {
        for (text, reason) in [
            ("", FieldReason::Required),
            (" \u{200b}\u{200d} ", FieldReason::Required),
            ("\u{3164}", FieldReason::Required),
            ("Ada\nBcc: eve", FieldReason::ForbiddenCharacter),
            ("Ada\0", FieldReason::ForbiddenCharacter),
            ("Ada \u{202e}live", FieldReason::ForbiddenCharacter),
            ("Ada\u{2028}Eve", FieldReason::ForbiddenCharacter),
            ("see https://evil.example", FieldReason::NotAllowed),
            ("WWW.evil.example", FieldReason::NotAllowed),
        ] {
            assert_eq!(parse(text), Err(reason), "{text:?}");
        }
        assert_eq!(parse(&"x".repeat(101)), Err(FieldReason::TooLong));
    }
}
