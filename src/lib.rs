//! Builds face-expression data sets from web videos, and trains Self-Cure Networks (SCN, CVPR 2020) on them.
//!
//! This page is the map: read it first, then open the room you need.
//!
//! # The walk
//!
//! Data walks one way, and each hop has one room:
//!
//! ```text
//! keyword → search → video → file → frames → face tracks → clip → sample → batch → params + relabels → report
//! ```
//!
//! | hop | stage (`pipeline/`) | room that does the work | rows it commits (`catalog/`) |
//! | --- | --- | --- | --- |
//! | keyword → search | – (`cli/crawl`) | [`youtube::lexicon`] | search |
//! | list → video | – (`cli/crawl`) | [`lists`] | search, video, evidence, listed |
//! | search → video | `search` | [`youtube`] | answer, video, evidence |
//! | video → file | `fetch` | [`youtube`], [`store`] | video (file columns) |
//! | file → face tracks | `scan` | [`media`], [`face`] | scan, track |
//! | face track → clip, samples | `cut` | [`media`], [`face`] | clip, sample, crop |
//! | stored faces → other crops | – (`cli/clips/recrop`) | [`media`], [`face`] | crop |
//! | samples → params, relabels | – (`cli/train`) | [`train`] | run, epoch, relabel |
//! | many runs, one table | – (`cli/experiment`) | [`train`] | – |
//! | rows → report | – (`cli/report`) | [`report`] | – |
//! | all of it, once a night | – (`cli/run`) | `cli/run`: standing → agenda → legs → ledger | round |
//! | apart, then united | `scan`, `cut` | `pipeline/shard`, `pipeline/merge` | merged |
//!
//! A *stage* loads a row, runs a tool room, and commits rows; one driver drives every stage over one `job` table.
//! Sources may go once their clips are committed (`pipeline/discard`). Videos are opened only in worker processes ([`pipeline::cpu`]): a crash in a codec costs one attempt of one job.
//!
//! There are two programs. `webemotion` (`main`) is linked with the commands of `cli/plain` alone and starts at once;
//! `webemotion-nets` (`nets`) is linked with libtorch, which takes half a second to load, and takes its place for the
//! commands of `cli/nets`. The linker holds this wall: what `webemotion` can reach may not reach tch.
//!
//! # Where is what
//!
//! What is decided across rooms is decided in one of them:
//!
//! | question | place |
//! | --- | --- |
//! | Which exit code? | [`failure`]; of stages `cli/drive`, of a whole night `cli/run/verdict`; on the way out `cli/ending` |
//! | When is a failed job tried again, and how long does a stage pause? | `pipeline/patience`, with the numbers of `cli/drive` |
//! | How fast may a site be asked? | `pipeline/budget` |
//! | What is too long, too short, or not wanted? | `youtube/policy`; of tracks and clips [`face::select`] |
//! | Which emotion has a video that several searches found? | the view `video_emotion` in `migrations/`, asked by `catalog/evidence` |
//! | Which parts of a video are cut, and with which emotion, where lists mean parts? | `face/parts` |
//! | Which label has a sample? | the relabel in force (`catalog/relabels`), else its emotion |
//! | Which split has a sample? | `catalog/splits`: by the source of its video |
//! | When does relabelling begin (`auto`)? | [`train::schedule`] |
//! | Who deletes rows and files? | of people `cli/removal`; of sources `pipeline/discard`; of what nobody names `cli/gc` |
//! | Where does a file lie, and how is one written whole? | [`store`], `files` |
//! | Which way up is a picture? | `picture` |
//! | How is a number, a size or a time written for people? | `words` |
//! | What is read of the environment? | [`config`]; the key of the Data API is [`youtube::ApiKey`] |
//!
//! # Who may name whom
//!
//! `main → cli → pipeline → {catalog, youtube, store, media, face}`; `cli → train, report`; `report → catalog`;
//! `demo` is named by `cli::demo`, by `cli::train` for its drawn faces, and the tests. All may name [`types`],
//! [`failure`], [`clock`], [`progress`], `files`, `picture`, `words` and the values of [`config`]. Foreign crates live behind
//! one wall each: sqlx in `catalog/`, reqwest and yt-dlp in `youtube/`, FFmpeg in `media/`, tch in `train/` and
//! `face/mtcnn.rs`, indicatif in `progress`. `tests/walls.rs` reads the sources and fails when a wall is crossed.
//!
//! # Glossary
//!
//! * **list** – a file that names videos by id, address or path, with spans, boxes and labels: see [`lists`].
//! * **search** – a question put to YouTube (a *query* is always SQL). **answer** – what it said, kept as it came.
//! * **lexicon** – the words that are searched for, by emotion and language.
//! * **evidence** – one (video, search, rank): why a video is thought to show an emotion. Never overwritten.
//! * **video** – what a search found; its **file** is what was downloaded.
//! * **shot** – frames between two cuts or dissolves. **track** – one face followed through one shot.
//! * **look** – frames of a video seen by the detector, from its first to its last; **scout** frames are seen whole, those between
//!   only where a face was.
//! * **part** – a stretch of a video, a face in it, or both, that a list means.
//! * **clip** – five or more seconds of video of one face, cropped; of a part any length. **sample** – one face of a
//!   clip, once a second. **crop** – its aligned picture; other sizes are other crops.
//! * **recipe** – the numbers that decide what comes out of a stage or a run, stored with their hash on what did.
//!   **rev** – a stage's revision with that hash: another one is new work.
//! * **emotion** – what was searched for: one of eight, [`types::Emotion`]. **label** – what training uses for a sample.
//! * **relabel** – an append-only row: this run, at this epoch, would change that sample's label. It holds while its run is
//!   *adopted* (`cli/adopt`).
//! * **tombstone** – a video that must not come back (`cli/forget`).
//! * **opinion** – what a run thinks of a sample's label: keep, relabel, or ask a person. **scout** nets judge samples that
//!   they never saw, for the method **cure**.
//! * **split** – training, validation or test, [`types::Split`]; people who appear in one do not appear in another, as far
//!   as sources tell.
//! * **importance** – SCN's α of a sample, 0 to 1 (never *weight*).
//! * **net** and **params** – the function and its numbers (never *model*).
//! * **score** – always with its noun: detector score, quality score.
//! * **experiment** – a grid of runs that belong together; each **cell** is one run.
//! * **round** – one start of `webemotion run`: what is due of crawl, clips, train and report (a *run* is a training run).
//! * **drive** – one stage's jobs worked off by a driver, until nothing is due or a limit is reached.
//! * **shard** – a work list of `webemotion shard`, for a machine that shares no catalog.
//! * **job** – a stage, by its [`types::StageName`], and the search or video it is to work on; how it stands is its
//!   [`types::JobState`], and how a training run stands its [`catalog::runs::RunState`].
//! * **reason** – why a job was rejected, put off or given up: the closed list [`failure::Reason`].

pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod face;
pub mod failure;
mod files;
pub mod lists;
#[cfg(feature = "media")]
pub mod media;
mod picture;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod store;
#[cfg(feature = "train")]
pub mod train;
pub mod types;
mod words;
pub mod youtube;
