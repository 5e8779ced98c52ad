//! Takes a list of videos into the catalog, as a search that the list answered: the same rows as any other, and the
//! list's own spans and boxes beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::catalog::{Catalog, Transaction, evidence, jobs, listed, videos};
use crate::failure::{Failure, Reason};
use crate::lists::{self, Place, Row};
use crate::store;
use crate::types::Emotion;
use crate::youtube::SiteId;

use super::fetch;
use super::intake::{self, CHUNK, Origin};

/// A list as it was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rebuild {
    /// Its name in the catalog.
    pub(crate) list: String,
    /// Rows.
    pub(crate) rows: usize,
    /// Videos that must be asked of YouTube.
    pub(crate) on_site: usize,
    /// Videos that were forgotten on request, and stay so.
    pub(crate) forgotten: usize,
}

/// Before all that searches found: who asks for a list wants exactly that.
const PRIORITY: i64 = -1;

/// A list whose rows all name a video and an emotion. Nothing of it is written down yet.
pub(crate) struct Checked {
    list: String,
    wanted: Vec<Wanted>,
}

impl Checked {
    /// Reads a list; tells all rows that name none. Rows without an emotion are of `emotion`.
    pub(crate) fn read(path: &Path, emotion: Option<Emotion>) -> Result<Self, Failure> {
        Ok(Self { wanted: check(path, lists::read(path)?, emotion)?, list: name(path)? })
    }

    /// How many videos of YouTube it names.
    pub(crate) fn on_site(&self) -> usize {
        let on_site = self.wanted.iter().filter(|wanted| wanted.video.site == "youtube");
        on_site.map(|wanted| &wanted.video.site_id).collect::<BTreeSet<_>>().len()
    }
}

/// Writes down every row of a list and asks for the videos' files. Twice is harmless.
pub(crate) async fn take_in(catalog: &Catalog, checked: &Checked) -> Result<Rebuild, Failure> {
    let Checked { list, wanted } = checked;
    let mut rebuild = Rebuild { list: list.clone(), rows: wanted.len(), on_site: 0, forgotten: 0 };
    let mut seen = BTreeMap::new();
    for emotion in Emotion::ALL {
        let rows: Vec<&Wanted> = wanted.iter().filter(|wanted| wanted.emotion == emotion).collect();
        if rows.is_empty() {
            continue;
        }
        let origin = Origin { provider: "list", lexicon: format!("{list}:{emotion}"), text: list.clone() };
        let named: Vec<_> = rows.iter().map(|row| (&row.video, row.video.site_id.as_str())).collect();
        let asked = intake::begin(catalog, &origin, emotion, &named).await?;
        for (chunk, rows) in rows.chunks(CHUNK).enumerate() {
            let mut tx = catalog.begin().await?;
            for (place, wanted) in rows.iter().enumerate() {
                let rank = u32::try_from(chunk * CHUNK + place + 1).unwrap_or(u32::MAX);
                let why = evidence::Evidence { search: asked.search, answer: asked.answer, rank, emotion };
                let stays = write_down(&mut tx, list, wanted, &why).await?;
                seen.insert(&wanted.video.site_id, (wanted.video.site == "local", stays));
            }
            tx.commit().await?;
        }
    }
    rebuild.on_site = seen.values().filter(|video| **video == (false, true)).count();
    rebuild.forgotten = seen.values().filter(|(_, stays)| !stays).count();
    Ok(rebuild)
}

/// A checked row.
struct Wanted {
    row: Row,
    video: videos::NewVideo,
    emotion: Emotion,
}

/// False: the video must not come back.
async fn write_down(
    tx: &mut Transaction,
    list: &str,
    wanted: &Wanted,
    why: &evidence::Evidence,
) -> Result<bool, Failure> {
    let Some(id) = videos::upsert(tx, &wanted.video).await? else { return Ok(false) };
    evidence::insert(tx, id, why).await?;
    let row = listed::Listed {
        list,
        line: wanted.row.line,
        video: id,
        emotion: wanted.emotion,
        span: wanted.row.span,
        face: wanted.row.face,
        sha256: wanted.row.sha256.as_deref(),
    };
    listed::insert(tx, &row).await?;
    jobs::enqueue(tx, fetch::NAME, fetch::REV, PRIORITY, id.0).await?;
    Ok(true)
}

/// A list's name is its file's, and says which of its versions it is.
fn name(path: &Path) -> Result<String, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (_, sha256) = store::digest(path)?;
    Ok(format!("{file}#{}", &sha256[..12]))
}

/// Finds every row's video, or tells all rows that name none.
fn check(path: &Path, rows: Vec<Row>, emotion: Option<Emotion>) -> Result<Vec<Wanted>, Failure> {
    let (mut wanted, mut problems) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let named = video(&row).and_then(|video| {
            let emotion = row.emotion.or(emotion);
            let emotion = emotion.ok_or("it has no emotion, and --emotion says none for all")?;
            Ok((video, emotion))
        });
        match named {
            Ok((video, emotion)) => wanted.push(Wanted { row, video, emotion }),
            Err(problem) => problems.push(format!("row {}: {problem}", row.line)),
        }
    }
    lists::wrong(path, &problems).map_or(Ok(wanted), Err)
}

fn video(row: &Row) -> Result<videos::NewVideo, String> {
    let site_id = match &row.place {
        Place::Id(id) => {
            SiteId::new(id).ok_or_else(|| format!("'{}' is no id of a video", id.escape_debug()))?
        }
        Place::Address(address) => SiteId::in_address(address)
            .ok_or_else(|| format!("'{}' is no page of a video on YouTube", address.escape_debug()))?,
        Place::File(path) => return on_disk(path, row.channel.clone()),
    };
    Ok(videos::NewVideo {
        site: "youtube".to_owned(),
        url: site_id.url(),
        site_id: site_id.to_string(),
        channel_id: row.channel.clone(),
        ..videos::NewVideo::default()
    })
}

fn on_disk(path: &Path, channel_id: Option<String>) -> Result<videos::NewVideo, String> {
    let absolute = path.canonicalize().map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let (_, sha256) = store::digest(&absolute).map_err(|error| error.to_string())?;
    Ok(videos::NewVideo { channel_id, ..intake::on_disk(&absolute, sha256) })
}

/// A failure that a list's own videos cannot explain.
pub(crate) fn needs_terms(on_site: usize) -> Failure {
    let detail = format!("the list names {on_site} videos of YouTube");
    Failure::permanent(Reason::Usage, detail)
        .with_hint("read the site's terms, and say --accept-terms if you decide to download under them")
}
