//! Work lists for machines that share no catalog: each names its videos by a hash of their ids, and says everything that
//! looking at them needs. A list is a text file, one JSON object a line; the first line is its head.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::scan;
use crate::catalog::{Catalog, evidence, jobs, listed, merge, searches, videos};
use crate::config::ClipRecipe;
use crate::failure::{Failure, Reason};
use crate::files::write_whole;
use crate::store::Store;
use crate::types::VideoId;

/// The format of the lists; a list of a later one is refused. Since 2 they say what lists of videos mean.
const FORMAT: u32 = 2;

/// A list's first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The format.
    pub(crate) webemotion_shard: u32,
    /// Which of them it is, from 0.
    pub(crate) shard: u32,
    /// How many there are.
    pub(crate) of: u32,
    /// The data folder that the videos lie in.
    pub(crate) data: PathBuf,
    /// How they are to be scanned: the node's own settings do not count.
    pub(crate) clips: ClipRecipe,
}

/// A further line: one video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    video: videos::NewVideo,
    file: videos::VideoFile,
    found: Vec<(searches::Search, evidence::Evidence)>,
    #[serde(default)]
    listed: Vec<listed::Listed>,
}

/// Which of `of` shards a video belongs to: the same everywhere and always.
pub(crate) fn shard_of(site: &str, site_id: &str, of: u32) -> u32 {
    let digest = Sha256::new().chain_update(site).chain_update([0]).chain_update(site_id).finalize();
    let number = u64::from_be_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ]);
    u32::try_from(number % u64::from(of.max(1))).unwrap_or(0)
}

/// The name of a list among the others: `shard-00003-of-00016.jsonl`.
pub(crate) fn file_name(shard: u32, of: u32) -> String {
    format!("shard-{shard:05}-of-{of:05}.jsonl")
}

/// Writes the lists of all videos that have a file and are not finished with this recipe; says how many videos each has.
/// All lists are written, also empty ones: an array of tasks needs every number.
pub(crate) async fn write(
    catalog: &Catalog,
    store: &Store,
    recipe: &ClipRecipe,
    of: u32,
    folder: &Path,
) -> Result<Vec<u64>, Failure> {
    let rev = scan::rev(recipe);
    let finished = merge::finished(catalog).await?.into_iter().filter(|it| it.rev == rev);
    let finished: HashSet<VideoId> = finished.map(|it| it.id).collect();
    let head = |shard| Head {
        webemotion_shard: FORMAT,
        shard,
        of,
        data: store.root().to_owned(),
        clips: recipe.clone(),
    };
    let mut lists: Vec<(Vec<u8>, u64)> =
        (0..of).map(|shard| Ok((json_line(&head(shard))?, 0))).collect::<Result<_, Failure>>()?;
    for id in videos::with_file(catalog).await? {
        let video = videos::get(catalog, id).await?;
        let Some(file) = video.file.filter(|_| !finished.contains(&id)) else { continue };
        let shard = shard_of(&video.found.site, &video.found.site_id, of);
        let (found, listed) = (merge::evidence_of(catalog, id).await?, listed::of_video(catalog, id).await?);
        let line = Line { video: video.found, file, found, listed };
        let (text, videos) = &mut lists[shard as usize];
        text.extend(json_line(&line)?);
        *videos += 1;
    }
    for (shard, (text, _)) in (0..).zip(&lists) {
        put(folder, &file_name(shard, of), text)?;
    }
    Ok(lists.into_iter().map(|(_, videos)| videos).collect())
}

fn json_line(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut line = serde_json::to_vec(value).map_err(|error| Failure::bug(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn put(folder: &Path, name: &str, text: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::unwritable(&folder.join(name), &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    write_whole(&folder.join(name), text).map_err(failed)
}

/// Reads the head of a list.
pub(crate) fn head(list: &Path) -> Result<Head, Failure> {
    let (head, _) = open(list)?;
    Ok(head)
}

fn open(list: &Path) -> Result<(Head, impl Iterator<Item = std::io::Result<String>> + use<>), Failure> {
    let wrong = |detail: String| {
        Failure::permanent(Reason::Usage, format!("{}: {detail}", list.display()))
            .with_hint("`webemotion shard --count N` writes such lists")
    };
    let file = std::fs::File::open(list).map_err(|error| wrong(error.to_string()))?;
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().transpose().map_err(|error| wrong(error.to_string()))?.unwrap_or_default();
    let head: Head = serde_json::from_str(&first).map_err(|error| wrong(format!("no shard: {error}")))?;
    if head.webemotion_shard > FORMAT {
        return Err(wrong(format!("format {} is not known here", head.webemotion_shard)));
    }
    Ok((head, lines))
}

/// What became of a list's videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TakenIn {
    /// Videos that are here now.
    pub(crate) videos: u64,
    /// Videos that were passed over because their file is not where the list says, or has another size.
    pub(crate) missing: u64,
}

/// Takes the videos of a list into a node's own catalog: rows are copied, files are linked. Twice is harmless. `data` is
/// where the list's data folder lies here, if elsewhere than its head says. Videos with a tombstone are not taken in.
///
/// # Errors
/// When the list cannot be read, or none of its files is there.
pub(crate) async fn take_in(
    catalog: &Catalog,
    store: &Store,
    list: &Path,
    data: Option<&Path>,
) -> Result<TakenIn, Failure> {
    let (head, lines) = open(list)?;
    let data = data.unwrap_or(&head.data);
    let (mut taken, mut first_missing) = (TakenIn::default(), None);
    for (number, line) in (2..).zip(lines) {
        let place = || format!("{} line {number}", list.display());
        let text = line.map_err(|error| Failure::transient(Reason::Disk, format!("{}: {error}", place())))?;
        let line: Line = serde_json::from_str(&text)
            .map_err(|error| Failure::permanent(Reason::Usage, format!("{}: {error}", place())))?;
        // The row comes with the link: whoever looks for files that no row names waits for both.
        let mut tx = catalog.begin().await?;
        let Some(id) = merge::introduce(&mut tx, &line.video, &line.found, "shard").await? else { continue };
        match sound_source(store, data, &line.file) {
            Ok(Some(source)) => store.link(&source, &line.file.path.to_string_lossy())?,
            Ok(None) => {}
            Err(failure) => {
                taken.missing += 1;
                first_missing = first_missing.or(Some(failure));
                continue;
            }
        }
        for row in &line.listed {
            listed::insert(&mut tx, id, row).await?;
        }
        videos::set_file(&mut tx, id, &line.file).await?;
        jobs::enqueue(&mut tx, scan::NAME, &scan::rev(&head.clips), 0, id.0).await?;
        tx.commit().await?;
        taken.videos += 1;
    }
    match first_missing {
        Some(failure) if taken.videos == 0 => Err(failure),
        _ => Ok(taken),
    }
}

/// The file of a list's video, which is to be linked; none when the node has it already.
fn sound_source(store: &Store, data: &Path, file: &videos::VideoFile) -> Result<Option<PathBuf>, Failure> {
    let size_of = |path: &Path| std::fs::metadata(path).map(|facts| facts.len());
    let source = data.join(&file.path);
    let what = match size_of(&source) {
        Ok(size_bytes) if size_bytes == file.size_bytes => return Ok(Some(source)),
        Ok(size_bytes) => format!("has {size_bytes} bytes, and its row says {}", file.size_bytes),
        Err(error) => format!("cannot be read: {error}"),
    };
    if size_of(&store.absolute(&file.path.to_string_lossy())).ok() == Some(file.size_bytes) {
        return Ok(None);
    }
    Err(Failure::permanent(Reason::Usage, format!("{} {what}", source.display()))
        .with_hint("say with --videos where the data folder of the list lies on this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tombstones;
    use crate::clock::Clock;

    /// A data folder with a catalog.
    async fn place(folder: &Path) -> (Store, Catalog) {
        let store = Store::open(folder).unwrap();
        let catalog = Catalog::open(&store.catalog(), &Clock::fixed(0)).await.unwrap();
        (store, catalog)
    }

    /// A list of the videos `a`, `b` and `c`, whose files are in a data folder.
    async fn list_of_three(folder: &Path) -> PathBuf {
        let (store, catalog) = place(folder).await;
        for name in ["a", "b", "c"] {
            let file = videos::VideoFile {
                path: format!("videos/{name}.mp4").into(),
                size_bytes: 4,
                sha256: "00".repeat(32),
                container: "mov".to_owned(),
                video_codec: "h264".to_owned(),
                width: 640,
                height: 360,
                duration_ms: 9_000,
                frame_rate: 25.0,
            };
            std::fs::create_dir_all(store.absolute("videos")).unwrap();
            std::fs::write(folder.join(&file.path), "film").unwrap();
            let mut tx = catalog.begin().await.unwrap();
            let id = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            videos::set_file(&mut tx, id, &file).await.unwrap();
            tx.commit().await.unwrap();
        }
        write(&catalog, &store, &ClipRecipe::default(), 1, &store.shards()).await.unwrap();
        store.shards().join(file_name(0, 1))
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_passed_over_and_all_of_them_are_refused() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let list = list_of_three(there.path()).await;
        let (store, catalog) = place(here.path()).await;
        std::fs::remove_file(there.path().join("videos/b.mp4")).unwrap();
        let taken = take_in(&catalog, &store, &list, None).await.unwrap();
        assert_eq!(taken, TakenIn { videos: 2, missing: 1 });
        assert_eq!(jobs::count_due(&catalog, scan::NAME).await.unwrap(), 2);
        assert_eq!(videos::find(&catalog, "youtube", "b").await.unwrap(), None);
        let empty = tempfile::tempdir().unwrap();
        let (store, catalog) = place(&empty.path().join("node")).await;
        let refused = take_in(&catalog, &store, &list, Some(empty.path())).await.unwrap_err();
        assert!(refused.detail.contains("videos/a.mp4"), "{refused}");
    }

    #[tokio::test]
    async fn of_a_video_that_a_node_has_forgotten_no_link_is_made() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let list = list_of_three(there.path()).await;
        let (store, catalog) = place(here.path()).await;
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "b", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let taken = take_in(&catalog, &store, &list, None).await.unwrap();
        assert_eq!(taken, TakenIn { videos: 2, missing: 0 });
        let is_linked = ["a", "b", "c"].map(|name| store.absolute(&format!("videos/{name}.mp4")).exists());
        assert_eq!(is_linked, [true, false, true]);
    }

    #[test]
    fn a_video_belongs_to_one_shard_for_ever_and_shards_are_about_equal() {
        // SHA-256 of "youtube\0abcdefghijk", its first eight bytes as a number, modulo 7.
        assert_eq!(shard_of("youtube", "abcdefghijk", 7), 4);
        let mut counts = [0_u32; 8];
        for number in 0..8_000 {
            counts[shard_of("youtube", &format!("video-{number:05}"), 8) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_a_matter_of_usage() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lists");
        std::fs::write(&file, "").unwrap();
        let failure = put(&file.join("deep"), "shard.jsonl", b"").unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
    }

    #[test]
    fn what_is_not_a_list_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.jsonl");
        for text in ["", "dear diary\n", "{\"webemotion_shard\": 1}\n"] {
            std::fs::write(&list, text).unwrap();
            let failure = head(&list).unwrap_err();
            assert!(failure.detail.contains("list.jsonl"), "{}", failure.detail);
            assert_eq!(failure.reason, Reason::Usage);
        }
    }
}
