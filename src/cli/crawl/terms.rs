//! The user's decision to download: which terms were accepted, and when.

use crate::catalog::acceptances::{self, Acceptance};
use crate::failure::Failure;

use super::super::Session;

pub(crate) const TERMS: &str = "https://www.youtube.com/t/terms";
/// The version of the site's terms when this was written; another version must be accepted again.
const TERMS_VERSION: &str = "2023-12-15";

/// Whether this version was accepted.
pub(crate) fn stands(acceptance: &Acceptance) -> bool {
    acceptance.version == TERMS_VERSION
}

/// Whether the user decided to download, now or earlier; a new decision is recorded with its date.
pub(super) async fn accepted(session: &Session, now: bool) -> Result<bool, Failure> {
    let before = acceptances::latest(&session.catalog, TERMS).await?;
    let stands = before.as_ref().is_some_and(stands);
    if now && !stands {
        let mut tx = session.catalog.begin().await?;
        acceptances::insert(&mut tx, TERMS, TERMS_VERSION).await?;
        tx.commit().await?;
    }
    Ok(now || stands)
}
