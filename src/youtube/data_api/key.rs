//! The Data API's key: a secret that prints as dots.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::header::HeaderValue;

use crate::failure::{Failure, Reason};

/// A key for the Data API. Its `Debug` hides it.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The variable that holds the key; no child process is given it.
    pub const VARIABLE: &str = "WEBEMOTION_YOUTUBE_API_KEY";

    /// Takes a key, usually from the environment.
    ///
    /// # Errors
    /// When it is empty or contains what no key contains; the message does not repeat it.
    pub fn new(key: &str) -> Result<Self, Failure> {
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::permanent(
                Reason::Usage,
                "the YouTube API key is empty or has odd characters",
            ));
        }
        Ok(Self(key.to_owned()))
    }

    /// Reads a key from a file that only its owner may read.
    ///
    /// # Errors
    /// When the file cannot be read, or others may read it.
    pub fn from_file(path: &Path) -> Result<Self, Failure> {
        let refused = |what: String| Failure::permanent(Reason::Usage, format!("{}: {what}", path.display()));
        let facts = path.metadata().map_err(|error| refused(error.to_string()))?;
        let mode = facts.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(
                refused(format!("others may read this key (mode {mode:o})")).with_hint("chmod 600 the file")
            );
        }
        Self::new(&std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?)
    }

    /// For the request; marked so that no log prints it.
    pub(super) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// Whether it stands nowhere by chance: the letters of a placeholder do.
    pub(crate) fn is_rare(&self) -> bool {
        self.0.len() >= 8
    }

    /// A text from outside without the key, should it repeat it.
    pub(crate) fn redacted(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace(&self.0, "[key]")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = ApiKey::new(" AIzaSecret \n").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.header()), "ApiKey(…) Sensitive");
        assert_eq!(key.redacted(b"bad key AIzaSecret"), "bad key [key]");
        assert!(ApiKey::new("a b").is_err() && ApiKey::new("").is_err());
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "AIzaSecret\n").unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = ApiKey::from_file(file.path()).unwrap_err();
        assert!(refused.detail.contains("mode 644") && !refused.detail.contains("AIza"));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(ApiKey::from_file(file.path()).is_ok());
    }
}
