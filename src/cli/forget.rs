//! `webemotion forget`: removes videos with everything derived from them, on a person's request, and keeps them from coming
//! back. Videos are named by their permanent ids only: numbers in the catalog, and with them paths in the data folder, are
//! reused for other videos.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::{forget, videos};
use crate::failure::{Exit, Failure, Reason};
use crate::words::plural;
use crate::youtube::SiteId;

use super::removal::{self, Removed, Wanted};
use super::{Global, Session, named, say};

/// Flags of `forget`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion forget dQw4w9WgXcQ --dry-run\n  \
    webemotion forget dQw4w9WgXcQ https://youtu.be/abcdefghijk --reason 'asked by mail on 3 May'\n  \
    webemotion forget --channel UC_x5XG1OV2P6uZZ5FqM9Ttw\n\n\
    Rows, face crops, files, unfinished work, what the site told, lines of the lists below shards/, and what a \
    merge or restore that was killed left go. The pages below reports/, at any depth, lose their pictures, and \
    with the summaries of rounds their ids, file names, and titles as far as the catalog still has them: of a \
    video that is missing from the site it has none, nor 30 days after it last heard of one. `webemotion report \
    --run NAME` makes a run's page anew. After `webemotion clips --recrop` older pages lose all their pictures: \
    no crop says any more whose they are.\n\n\
    Log files, nets that were trained, backups, pages and copies elsewhere, and the files that videos on disk \
    were taken from stay as they are, and a tombstone keeps the id. Backups are also catalog.sqlite.before-* and \
    catalog.sqlite.replaced-* in the data folder, which an upgrade and `webemotion restore` leave. Other videos \
    that show the same footage stay, and are named. A video that is not in the catalog is kept from coming. \
    While a worker holds a job of a video no row and no file is removed.\n\n\
    Exit codes: 0 all is gone; 1 a page or list cannot be cleaned, another file below reports/ has their names, \
    or another process reads the catalog, so that its file still has what was removed: what is said then helps; \
    4 all was gone before, so twice is harmless.")]
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

/// The closing line for programs.
#[derive(Debug, Serialize)]
struct Told<'a> {
    event: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    removed: &'a Removed,
}

pub(crate) async fn run(args: ForgetArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let removed = forget(&session, &args).await?;
    close(&session, &args, &removed)?;
    Ok(if session.stop.is_asked() { Exit::Interrupted } else { exit(&removed) })
}

async fn forget(session: &Session, args: &ForgetArgs) -> Result<Removed, Failure> {
    let mut wanted = BTreeSet::new();
    for word in &args.videos {
        wanted.insert(find(session, word).await?);
    }
    if let Some(channel) = &args.channel {
        for id in forget::of_channel(&session.catalog, channel).await? {
            wanted.insert(Wanted::of(videos::get(&session.catalog, id).await?));
        }
    }
    let mut removed = removal::remove(session, &wanted, &args.reason, args.dry_run).await?;
    removed.unfinished.extend(removal::clear_copies(session, args.dry_run)?);
    removed.is_read = !args.dry_run && !removal::wipe(session).await?;
    Ok(removed)
}

fn exit(removed: &Removed) -> Exit {
    match (removed.is_all(), removed.is_nothing()) {
        (false, _) => Exit::SomeDead,
        (true, true) => Exit::NothingToDo,
        (true, false) => Exit::Done,
    }
}

/// The video that a word names, whether or not it is in the catalog: a forgotten one has no row any more, and one that was
/// never here can be kept from coming.
async fn find(session: &Session, word: &str) -> Result<Wanted, Failure> {
    if let Some(id) = SiteId::new(word).or_else(|| SiteId::in_address(word)) {
        return Ok(Wanted { site: "youtube".to_owned(), site_id: id.to_string() });
    }
    if is_sha256(word) {
        return Ok(Wanted { site: "local".to_owned(), site_id: word.to_owned() });
    }
    if let Some(path) = on_disk(session, word) {
        let sha256 = named::sha256(session, &path).await?;
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

/// The file that a word names, if it is not one of the stored files of videos and clips.
fn on_disk(session: &Session, word: &str) -> Option<PathBuf> {
    let path = Path::new(word).canonicalize().ok()?;
    let is_stored = session.store.keeps(&path);
    let is_number = word.parse::<i64>().is_ok();
    (path.is_file() && !is_stored && !is_number).then_some(path)
}

fn is_sha256(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The failure for a word that names a video today, but may name another one later.
fn not_for_good(word: &str, video: &Wanted) -> Failure {
    let Wanted { site, site_id } = video;
    let detail =
        format!("'{}' names {site} {site_id} today, and may name another video later", word.escape_debug());
    Failure::permanent(Reason::Usage, detail)
        .with_hint(format!("nothing was removed: {} if that is the one", command(site_id)))
}

/// The command that removes a video.
fn command(site_id: &str) -> String {
    let dashes = if site_id.starts_with('-') { "-- " } else { "" };
    format!("`webemotion forget {dashes}{site_id}`")
}

fn close(session: &Session, args: &ForgetArgs, removed: &Removed) -> anyhow::Result<()> {
    if session.json {
        say(serde_json::to_string(&Told { event: "forgotten", dry_run: args.dry_run, removed })?);
        return Ok(());
    }
    let would = if args.dry_run { "would be " } else { "" };
    for video in &removed.videos {
        say(format_args!("{video}: {would}removed"));
    }
    for video in &removed.kept_out {
        say(format_args!("{video}: not in the catalog, {would}kept from coming"));
    }
    for video in &removed.before {
        say(format_args!("{video}: was forgotten before"));
    }
    if !removed.lists.is_empty() {
        let lists = plural(removed.lists.len(), "list");
        say(format_args!("forget: {lists} below shards/ {would}rid of their lines"));
    }
    say_what_stays(args, removed);
    say(format_args!(
        "forget: {}, {} and {} of unfinished work {would}removed, {} below reports/ {would}rid of their names and of {}",
        plural(removed.videos.len(), "video"),
        plural(removed.files.len(), "file"),
        plural(removed.unfinished.len(), "piece"),
        plural(removed.pages.len(), "page"),
        plural(removed.pictures, "picture")
    ));
    Ok(())
}

fn say_what_stays(args: &ForgetArgs, removed: &Removed) {
    if let Some(channel) = &args.channel {
        say(format_args!(
            "forget: what channel {channel} adds later comes in unless crawl.blocked_channels names it"
        ));
    }
    for video in &removed.same_footage {
        let (_, site_id) = video.split_once(' ').unwrap_or(("", video));
        say(format_args!(
            "forget: {video} shows the same footage and stays: {} if it is to go too",
            command(site_id)
        ));
    }
    if !removed.runs.is_empty() {
        let runs: Vec<&str> = removed.runs.iter().map(String::as_str).collect();
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
    use crate::catalog::{clips, samples, tombstones};
    use crate::cli::removal::tests::{ID, take, with_a_video};
    use crate::store;

    fn args(word: &str, dry_run: bool) -> ForgetArgs {
        ForgetArgs { videos: vec![word.to_owned()], channel: None, reason: "asked for".to_owned(), dry_run }
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

        // Left behind by a killed `forget`.
        let left = store::video_path("youtube", ID, "mp4");
        std::fs::write(session.store.absolute(&left), b"a face").unwrap();
        let again = forget(&session, &args(ID, false)).await.unwrap();
        assert_eq!((again.before.len(), again.files.len()), (1, 1));
        assert!(forget(&session, &args(ID, false)).await.unwrap().is_nothing());
    }

    #[tokio::test]
    async fn a_name_that_may_be_reused_is_refused_with_the_id_to_use() {
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
    async fn an_unreadable_page_is_named_and_the_files_are_removed_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let page = session.store.absolute("reports/old.html");
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, [0xff, 0xfe]).unwrap();
        let forgotten = forget(&session, &args(ID, false)).await.unwrap();
        assert_eq!((exit(&forgotten), forgotten.unclean), (Exit::SomeDead, BTreeSet::from([page])));
        assert!(session.store.files().unwrap().is_empty());
    }

    #[tokio::test]
    async fn all_videos_of_a_channel_are_removed_and_an_unknown_video_is_kept_from_coming() {
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
    async fn other_videos_with_the_same_footage_are_named_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        for name in ["copy-1-of-it", "copy-2-of-it", "another-one"] {
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::fill(&mut tx, video, 1).await;
        }
        tx.commit().await.unwrap();
        let made = clips::motions(&session.catalog).await.unwrap();
        let mut tx = session.catalog.begin().await.unwrap();
        for copy in [0, 2] {
            clips::set_compared(&mut tx, &made[copy], Some(&made[1])).await.unwrap();
        }
        tx.commit().await.unwrap();
        let expected = ["copy-1-of-it", "copy-2-of-it"].map(|name| format!("youtube {name}"));
        for dry_run in [true, false] {
            let forgotten = forget(&session, &args(ID, dry_run)).await.unwrap();
            assert_eq!(forgotten.same_footage, BTreeSet::from(expected.clone()));
        }
        assert!(videos::find(&session.catalog, "youtube", "copy-1-of-it").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_is_not_read_to_its_end_once_somebody_asks_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        let film = folder.path().join("a film.mp4");
        std::fs::write(&film, b"a film").unwrap();
        session.stop.ask();
        let stopped = forget(&session, &args(film.to_str().unwrap(), false)).await.unwrap_err();
        assert_eq!(stopped.exit(), Exit::Interrupted, "{stopped}");
    }

    #[tokio::test]
    async fn copies_of_catalogs_that_a_killed_merge_or_restore_left_go() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        for copy in ["restore-a1b2c3", "merge-d4e5f6"] {
            session.store.staging(copy).unwrap();
        }
        assert_eq!(forget(&session, &args(ID, true)).await.unwrap().unfinished.len(), 4);
        forget(&session, &args(ID, false)).await.unwrap();
        assert_eq!(session.store.unfinished().unwrap(), ["cut-11-12345678"], "that of another video");
    }

    #[tokio::test]
    async fn nothing_of_a_video_is_removed_while_a_worker_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (session, _) = with_a_video(folder.path()).await;
        take(&session).await;
        let refused = forget(&session, &args(ID, false)).await.unwrap_err();
        assert!(refused.detail.contains("process 4711 on host-1"), "{refused}");
        assert_eq!(session.store.files().unwrap().len(), 3);
        session.clock.advance_ms(2_000);
        assert_eq!(forget(&session, &args(ID, false)).await.unwrap().videos.len(), 1);
    }
}
