//! Makes text from outside safe: ids are checked, and characters that could control a terminal or a file system are
//! removed from titles and messages. It knows no meaning, only characters.

use std::fmt;

/// A video's id on the site: eleven characters of `A-Z a-z 0-9 _ -`, so it is a safe file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(String);

impl SiteId {
    /// Takes a text that is exactly an id, else nothing.
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.len() == 11 && text.bytes().all(is_id_byte);
        fits.then(|| Self(text.to_owned()))
    }

    /// Reads the id out of the address of a video's page: `watch?v=`, `youtu.be/`, `shorts/`, `embed/`, `live/`.
    pub fn in_address(address: &str) -> Option<Self> {
        let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
        let (host, path) = rest.split_once('/')?;
        let host = host.strip_prefix("www.").or_else(|| host.strip_prefix("m.")).unwrap_or(host);
        let text = match (host, path.split_once(['/', '?'])) {
            ("youtu.be", _) => path,
            ("youtube.com", Some(("watch", query))) => {
                query.split('&').find_map(|pair| pair.strip_prefix("v="))?
            }
            ("youtube.com", Some(("shorts" | "embed" | "live", rest))) => rest,
            _ => return None,
        };
        Self::new(text.split(['?', '&', '#', '/']).next()?)
    }

    /// The eleven characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of its page.
    pub fn url(&self) -> String {
        format!("https://www.youtube.com/watch?v={}", self.0)
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Longest title or name that is kept, in characters.
const LONGEST_LINE: usize = 300;
/// Longest message of a tool that is kept, in characters.
const LONGEST_MESSAGE: usize = 4_000;

/// One line: white space becomes single blanks, control and direction characters go, at most 300 characters stay.
pub(super) fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| is_harmless(*c)).take(LONGEST_LINE).collect()
}

/// A tool's words: as [`line()`], but line breaks stay and up to 4,000 characters, the last ones, are kept.
pub(super) fn message(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|c| *c == '\n' || is_harmless(*c)).collect();
    let text = text.trim();
    let surplus = text.chars().count().saturating_sub(LONGEST_MESSAGE);
    text.chars().skip(surplus).collect()
}

/// A channel's id, if the text looks like one.
pub(super) fn channel_id(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_id_byte);
    fits.then(|| text.to_owned())
}

/// Neither a control character nor one that changes the direction of writing.
fn is_harmless(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eleven_plain_characters_are_an_id() {
        assert!(SiteId::new("dQw4w9WgX-_").is_some());
        for hostile in ["../../etc/x", "dQw4w9WgXcQQ", "", "dQw4w9WgXc\n", "дQw4w9WgXc", "a/b/c/d/e/f"] {
            assert!(SiteId::new(hostile).is_none(), "{hostile:?}");
        }
    }

    #[test]
    fn an_id_is_found_in_the_addresses_that_people_copy() {
        let found = |address: &str| SiteId::in_address(address).map(|id| id.to_string());
        for address in [
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "https://m.youtube.com/watch?list=x&v=dQw4w9WgXcQ&t=4",
            "http://youtu.be/dQw4w9WgXcQ?si=x",
            "https://youtube.com/shorts/dQw4w9WgXcQ",
        ] {
            assert_eq!(found(address).as_deref(), Some("dQw4w9WgXcQ"), "{address}");
        }
        for other in [
            "https://example.org/watch?v=dQw4w9WgXcQ",
            "dQw4w9WgXcQ",
            "https://youtu.be/",
            "https://www.youtube.com/watch?v=../../etc/p",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_hostile_title_reaches_nobody_raw() {
        let title = line("\u{1b}[2J happy\r\nface\u{202e}gpj.exe\0\u{9b}31m");
        assert_eq!(title, "[2J happy facegpj.exe31m");
        assert_eq!(line(&"x".repeat(10_000)).len(), 300);
    }

    #[test]
    fn the_end_of_a_long_message_is_kept() {
        let mut bytes = vec![b'a'; 10_000];
        bytes.extend_from_slice(b"\xff\nERROR: last");
        let text = message(&bytes);
        assert!(text.ends_with("ERROR: last"));
        assert_eq!(text.chars().count(), 4_000);
    }

    #[test]
    fn a_channel_id_with_a_path_in_it_is_none() {
        assert_eq!(channel_id("UC_x-1"), Some("UC_x-1".to_owned()));
        assert_eq!(channel_id("../UC"), None);
    }
}
