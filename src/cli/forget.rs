//! `webemotion forget`: removes videos with all that came of them, for a person who wants that, and sees to it that they do
//! not come back. First the rows go, then files and pictures: who is killed in between starts it again. Videos are named by
//! what is theirs for good: the catalog gives a number, and with it a place in the data folder, to another video later.

mod pages;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::videos::{self, Video};
use crate::catalog::{forget, jobs, samples, tombstones};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{search, takeover, twins};
use crate::store;
use crate::types::{SampleId, VideoId};
use crate::youtube::SiteId;

use super::{Global, Session, named, say};
use pages::Pages;

/// Flags of `forget`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  webemotion forget dQw4w9WgXcQ --dry-run\n  \
    webemotion forget dQw4w9WgXcQ https://youtu.be/abcdefghijk --reason 'asked by mail on 3 May'\n  \
    webemotion forget --channel UC_x5XG1OV2P6uZZ5FqM9Ttw\n\n\
    Rows, face crops, files and what the site told go, and so do pictures in the pages below reports/: `webemotion\n\
    report --run NAME` makes a run's page anew. After `webemotion clips --recrop` older pages lose all their pictures: no\n\
    crop says any more whose they are. Nets that were trained, backups, pages and copies elsewhere, and the files that\n\
    videos on disk were taken from stay as they are. A video that is not in the catalog is kept from coming. While a\n\
    worker holds a job of a video nothing is removed.\n\n\
    Exit codes: 0 all is gone; 1 a page cannot be cleaned, or another process reads the catalog, so that its file still\n\
    has what was removed: what is said then helps; 4 all was gone before, so twice is harmless.")]
pub(crate) struct ForgetArgs {
    /// Videos: their ids or addresses on YouTube (an id that begins with a hyphen after --), or files on disk that were
    /// taken in, or the sha256 of these
    #[arg(value_name = "VIDEO", required_unless_present = "channel")]
    videos: Vec<String>,
    /// All videos of this channel that are in the catalog
    #[arg(long, value_name = "ID", conflicts_with = "videos")]
    channel: Option<String>,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", default_value = "asked for")]
    reason: String,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// What was removed, or would be. Videos are named `site id`.
#[derive(Debug, Default, Serialize)]
struct Forgotten {
    event: &'static str,
    dry_run: bool,
    /// Videos that were here.
    videos: Vec<String>,
    /// Videos that were not here and are kept from coming.
    kept_out: Vec<String>,
    /// Videos that were forgotten before.
    before: Vec<String>,
    /// Files of videos and clips, relative to the data folder.
    files: BTreeSet<String>,
    /// Pieces of unfinished work.
    unfinished: Vec<String>,
    /// Pictures in pages below `reports/`.
    pictures: usize,
    /// The pages that had them.
    pages: Vec<PathBuf>,
    /// Pages that cannot be cleaned.
    unclean: Vec<PathBuf>,
    /// The catalog's own file still has what was removed: another process reads.
    is_read: bool,
    /// Runs that had samples of the videos in their lists.
    runs: BTreeSet<String>,
    #[serde(skip)]
    samples: HashSet<SampleId>,
}

impl Forgotten {
    /// Whether all was as it should be already.
    fn is_nothing(&self) -> bool {
        let videos = self.videos.len() + self.kept_out.len();
        videos + self.files.len() + self.unfinished.len() + self.pages.len() == 0
    }

    fn told_of(&mut self, pages: Pages) {
        self.pictures = pages.cleaned.iter().map(|page| page.pictures).sum();
        self.pages = pages.cleaned.into_iter().map(|page| page.page).collect();
        self.unclean = pages.unclean;
    }

    fn exit(&self) -> Exit {
        if self.is_read || !self.unclean.is_empty() {
            Exit::SomeDead
        } else if self.is_nothing() {
            Exit::NothingToDo
        } else {
            Exit::Done
        }
    }
}

/// A video by its name at its site.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    site: String,
    site_id: String,
}

impl Wanted {
    fn of(video: Video) -> Self {
        Self { site: video.found.site, site_id: video.found.site_id }
    }
}

pub(crate) async fn run(args: ForgetArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let forgotten = forget(&session, &args).await?;
    close(&session, &args, &forgotten)?;
    Ok(forgotten.exit())
}

async fn forget(session: &Session, args: &ForgetArgs) -> Result<Forgotten, Failure> {
    let mut wanted = BTreeSet::new();
    for word in &args.videos {
        wanted.insert(find(session, word).await?);
    }
    // From here on nobody can take a job of theirs, and when it is over they have none.
    let tx = if args.dry_run { None } else { Some(session.catalog.begin().await?) };
    if let Some(channel) = &args.channel {
        for id in forget::of_channel(&session.catalog, channel).await? {
            wanted.insert(Wanted::of(videos::get(&session.catalog, id).await?));
        }
    }
    let mut forgotten = Forgotten { event: "forgotten", dry_run: args.dry_run, ..Forgotten::default() };
    let (mut rows, mut unknown) = (Vec::new(), Vec::new());
    for video in &wanted {
        match look(session, video, &mut forgotten).await? {
            Found::Here(id) => rows.push(id),
            Found::Unknown => unknown.push((video.site.as_str(), video.site_id.as_str())),
            Found::Before => {}
        }
    }
    look_for_work(session, &rows, &mut forgotten)?;
    if let Some(mut tx) = tx {
        // Before their numbers are free: the next video to get one would go on with this work.
        for work in &forgotten.unfinished {
            session.store.clear_staging(work)?;
        }
        forget::videos_and_names(&mut tx, &rows, &unknown, &args.reason).await?;
        tx.commit().await?;
    }
    clear_up(session, &wanted, &mut forgotten).await?;
    Ok(forgotten)
}

/// What a word names, whether or not it is in the catalog: what was forgotten has no row any more, and what never was
/// here can be kept from coming.
async fn find(session: &Session, word: &str) -> Result<Wanted, Failure> {
    if let Some(id) = SiteId::new(word).or_else(|| SiteId::in_address(word)) {
        return Ok(Wanted { site: "youtube".to_owned(), site_id: id.to_string() });
    }
    if is_sha256(word) {
        return Ok(Wanted { site: "local".to_owned(), site_id: word.to_owned() });
    }
    if let Some(path) = on_disk(session, word) {
        let (_, sha256) = store::digest(&path)?;
        return Ok(Wanted { site: "local".to_owned(), site_id: sha256 });
    }
    Err(match named::video(session, word).await {
        Ok(video) => not_for_good(word, &Wanted::of(video)),
        Err(failure) if failure.reason == Reason::Usage => failure.with_hint(
            "name a video by its id or address on YouTube, or by the file that was taken in or its sha256",
        ),
        Err(failure) => failure,
    })
}

/// A file that is not one of those that rows name.
fn on_disk(session: &Session, word: &str) -> Option<PathBuf> {
    let path = Path::new(word).canonicalize().ok()?;
    let is_stored = ["videos", "clips"].iter().any(|kind| path.starts_with(session.store.absolute(kind)));
    let is_number = word.parse::<i64>().is_ok();
    (path.is_file() && !is_stored && !is_number).then_some(path)
}

fn is_sha256(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// A video is there under this name today.
fn not_for_good(word: &str, video: &Wanted) -> Failure {
    let Wanted { site, site_id } = video;
    let detail =
        format!("'{}' names {site} {site_id} today, and may name another video later", word.escape_debug());
    let dashes = if site_id.starts_with('-') { "-- " } else { "" };
    Failure::permanent(Reason::Usage, detail)
        .with_hint(format!("nothing was removed: `webemotion forget {dashes}{site_id}` if that is the one"))
}

/// Where a video stands.
enum Found {
    /// It has this row.
    Here(VideoId),
    /// It has no row, and no tombstone yet.
    Unknown,
    /// It was forgotten before.
    Before,
}

/// Writes down what is to go of a video.
async fn look(session: &Session, video: &Wanted, forgotten: &mut Forgotten) -> Result<Found, Failure> {
    let (catalog, name) = (&session.catalog, format!("{} {}", video.site, video.site_id));
    let Some(id) = videos::find(catalog, &video.site, &video.site_id).await? else {
        if tombstones::stands(catalog, &video.site, &video.site_id).await? {
            forgotten.before.push(name);
            return Ok(Found::Before);
        }
        forgotten.kept_out.push(name);
        return Ok(Found::Unknown);
    };
    must_be_free(session, id, &name).await?;
    let samples = samples::faces_of_video(catalog, id).await?;
    forgotten.samples.extend(samples.into_iter().map(|(sample, _)| sample));
    forgotten.runs.extend(forget::runs_on(catalog, id).await?);
    let files = forget::files(catalog, id).await?;
    forgotten.files.extend(files.iter().map(|file| file.to_string_lossy().into_owned()));
    forgotten.videos.push(name);
    Ok(Found::Here(id))
}

/// Writes down the unfinished work of videos.
fn look_for_work(session: &Session, rows: &[VideoId], forgotten: &mut Forgotten) -> Result<(), Failure> {
    let names: Vec<_> = rows.iter().map(|id| (format!("fetch-{}", id.0), format!("cut-{}-", id.0))).collect();
    let is_theirs = |work: &String| names.iter().any(|(fetch, cut)| work == fetch || work.starts_with(cut));
    forgotten.unfinished = session.store.unfinished()?.into_iter().filter(is_theirs).collect();
    Ok(())
}

/// Who works on a video would put its files there again.
async fn must_be_free(session: &Session, id: VideoId, name: &str) -> Result<(), Failure> {
    let now_ms = session.clock.now_ms();
    let held = jobs::held(&session.catalog).await?;
    let Some(lease) = held
        .iter()
        .find(|lease| lease.stage != search::NAME && lease.subject_id == id.0 && lease.ends_at > now_ms)
    else {
        return Ok(());
    };
    let who = takeover::in_words(&lease.worker);
    let detail = format!("the {} of {name} is in hand of {who}", lease.stage);
    Err(Failure::transient(Reason::Forgotten, detail)
        .with_hint("nothing was removed: wait for its end or stop it, then start the same command again"))
}

/// Removes what the rows do not hold: files and pictures. Also what a forget that was killed left, and what no row named.
async fn clear_up(
    session: &Session,
    wanted: &BTreeSet<Wanted>,
    forgotten: &mut Forgotten,
) -> Result<(), Failure> {
    for video in wanted {
        forgotten.files.extend(session.store.files_of(&video.site, &video.site_id)?);
    }
    if !forgotten.dry_run {
        for file in &forgotten.files {
            session.store.remove(file)?;
        }
    }
    let reports = session.store.root().join("reports");
    let mut pages = pages::clean(&session.catalog, &reports, &forgotten.samples).await?;
    if forgotten.dry_run {
        forgotten.told_of(pages);
        return Ok(());
    }
    pages.write();
    forgotten.told_of(pages);
    // Of several copies of their footage one is now the original of the others.
    twins::mark(&session.catalog).await?;
    forgotten.is_read = !wipe(session).await?;
    Ok(())
}

/// Has what was deleted leave the catalog's own file. False, with a warning, while another process is in the way.
pub(super) async fn wipe(session: &Session) -> Result<bool, Failure> {
    let is_wiped = session.catalog.checkpoint().await?;
    if !is_wiped {
        tracing::warn!(
            "what was deleted is no row any more, but {} still has its bytes, for another process reads it: wait for its \
             end or stop it, then start `webemotion gc`, and make no copy of the file before",
            session.store.catalog().display()
        );
    }
    Ok(is_wiped)
}

fn close(session: &Session, args: &ForgetArgs, forgotten: &Forgotten) -> anyhow::Result<()> {
    if session.json {
        say(serde_json::to_string(forgotten)?);
        return Ok(());
    }
    let would = if args.dry_run { "would be " } else { "" };
    for video in &forgotten.videos {
        say(format_args!("{video}: {would}removed"));
    }
    for video in &forgotten.kept_out {
        say(format_args!("{video}: not in the catalog, {would}kept from coming"));
    }
    for video in &forgotten.before {
        say(format_args!("{video}: was forgotten before"));
    }
    say_what_stays(args, forgotten);
    say(format_args!(
        "forget: {} videos, {} files and {} pieces of unfinished work {would}removed, {} pictures {would}taken out of \
         {} pages below reports/",
        forgotten.videos.len(),
        forgotten.files.len(),
        forgotten.unfinished.len(),
        forgotten.pictures,
        forgotten.pages.len()
    ));
    Ok(())
}

fn say_what_stays(args: &ForgetArgs, forgotten: &Forgotten) {
    if let Some(channel) = &args.channel {
        say(format_args!(
            "forget: what channel {channel} adds later comes in unless crawl.blocked_channels names it"
        ));
    }
    if !forgotten.runs.is_empty() {
        let runs: Vec<&str> = forgotten.runs.iter().map(String::as_str).collect();
        say(format_args!(
            "forget: the nets of {} were trained with samples of theirs and stay; opinions.csv there names samples by \
             number only",
            runs.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::jobs::Claim;

    const ID: &str = "abcdefghijk";

    fn args(word: &str, dry_run: bool) -> ForgetArgs {
        ForgetArgs { videos: vec![word.to_owned()], channel: None, reason: "asked for".to_owned(), dry_run }
    }

    /// A video with samples, files and work that was begun.
    async fn with_a_video(folder: &Path) -> (Session, VideoId) {
        let session = Session::still(folder).await;
        let mut tx = session.catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some(ID, Some("UC1"))).await.unwrap().unwrap();
        samples::tests::fill(&mut tx, id, 2).await;
        jobs::enqueue(&mut tx, "cut", "1", 0, id.0).await.unwrap();
        tx.commit().await.unwrap();
        let orphan = store::clip_path("youtube", ID, "12345678", 0, 0);
        for file in ["clips/1.mp4", &store::video_path("youtube", ID, "mp4"), &orphan] {
            let path = session.store.absolute(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"a face").unwrap();
        }
        for work in ["fetch-1", "cut-1-12345678", "cut-11-12345678"] {
            session.store.staging(work).unwrap();
        }
        (session, id)
    }

    #[tokio::test]
    async fn nothing_of_a_forgotten_video_is_left_and_it_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let would = forget(&session, &args(ID, true)).await.unwrap();
        assert_eq!((would.videos.len(), would.files.len(), would.unfinished.len()), (1, 3, 2));
        assert_eq!(session.store.files().unwrap().len(), 3, "a dry run removes nothing");
        assert!(videos::find(&session.catalog, "youtube", ID).await.unwrap().is_some());

        let address = format!("https://youtu.be/{ID}");
        let forgotten = forget(&session, &args(&address, false)).await.unwrap();
        assert_eq!((forgotten.videos, forgotten.files), (would.videos, would.files));
        assert!(session.store.files().unwrap().is_empty());
        assert_eq!(session.store.unfinished().unwrap(), ["cut-11-12345678"], "that of another video");
        let mut tx = session.catalog.begin().await.unwrap();
        assert!(videos::upsert(&mut tx, &videos::tests::some(ID, None)).await.unwrap().is_none());
        drop(tx);

        // What a forget that was killed left behind.
        let left = store::video_path("youtube", ID, "mp4");
        std::fs::write(session.store.absolute(&left), b"a face").unwrap();
        let again = forget(&session, &args(ID, false)).await.unwrap();
        assert_eq!((again.before.len(), again.files.len()), (1, 1));
        assert!(forget(&session, &args(ID, false)).await.unwrap().is_nothing());
    }

    #[tokio::test]
    async fn what_may_name_another_video_later_removes_none_and_says_which_id_does() {
        let folder = tempfile::tempdir().unwrap();
        let (session, id) = with_a_video(folder.path()).await;
        let refused = forget(&session, &args(&id.0.to_string(), false)).await.unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.with_remedy().contains(&format!("`webemotion forget {ID}`")), "{refused}");
        let stored = session.store.absolute("clips/1.mp4");
        let refused = forget(&session, &args(stored.to_str().unwrap(), false)).await.unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert_eq!(session.store.files().unwrap().len(), 3);

        let film = folder.path().join("a film.mp4");
        std::fs::write(&film, b"a film").unwrap();
        let (_, sha256) = store::digest(&film).unwrap();
        let by_file = forget(&session, &args(film.to_str().unwrap(), true)).await.unwrap();
        let by_bytes = forget(&session, &args(&sha256, true)).await.unwrap();
        assert_eq!((&by_file.kept_out, by_file.kept_out.len()), (&by_bytes.kept_out, 1));
    }

    #[tokio::test]
    async fn a_page_that_cannot_be_read_is_named_and_the_files_go_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let page = session.store.absolute("reports/old.html");
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, [0xff, 0xfe]).unwrap();
        let forgotten = forget(&session, &args(ID, false)).await.unwrap();
        assert_eq!((forgotten.exit(), &forgotten.unclean), (Exit::SomeDead, &vec![page]));
        assert!(session.store.files().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_channel_goes_with_all_its_videos_and_an_unknown_video_is_kept_from_coming() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let unknown = forget(&session, &args("zyxwvutsrqp", false)).await.unwrap();
        assert_eq!(unknown.kept_out, ["youtube zyxwvutsrqp"]);
        assert!(tombstones::stands(&session.catalog, "youtube", "zyxwvutsrqp").await.unwrap());
        let no_video = forget(&session, &args("no video", false)).await.unwrap_err();
        assert_eq!(no_video.exit(), Exit::Usage);
        let channel = ForgetArgs { videos: vec![], channel: Some("UC1".to_owned()), ..args("", false) };
        assert_eq!(forget(&session, &channel).await.unwrap().videos, [format!("youtube {ID}")]);
        assert!(forget(&session, &channel).await.unwrap().is_nothing());
    }

    #[tokio::test]
    async fn while_somebody_works_on_a_video_nothing_of_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let claim = Claim { stage: "cut", rev: "1", worker: "host-1:4711:0/0", lease_ms: 1_000 };
        jobs::claim(&session.catalog, claim).await.unwrap().unwrap();
        let refused = forget(&session, &args(ID, false)).await.unwrap_err();
        assert!(refused.detail.contains("process 4711 on host-1"), "{refused}");
        assert_eq!(session.store.files().unwrap().len(), 3);
        session.clock.advance_ms(2_000);
        assert_eq!(forget(&session, &args(ID, false)).await.unwrap().videos.len(), 1);
    }
}
