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
//! | file → face tracks | `scan` | [`media`], [`face`], joined in [`pipeline::eyes`] | scan, track |
//! | face track → clip, samples | `cut` | the same | clip, sample, crop |
//! | stored faces → other crops | – (`cli/clips/recrop`) | the same | crop |
//! | samples → params, relabels | – (`cli/train`) | [`train`] | run, epoch, relabel |
//! | many runs, one table | – (`cli/experiment`) | [`train`] | – |
//! | rows → report | – (`cli/report`) | [`report`] | – |
//! | all of it, once a night | – (`cli/run`) | `cli/run`: standing → agenda → legs → ledger | round |
//! | apart, then united | `scan`, `cut` | `pipeline/shard`, `pipeline/merge` | merged |
//!
//! A *stage* loads a row, runs a tool room, and commits rows; one driver drives every stage over one `job` table.
//! Sources may go once their clips are committed (`pipeline/discard`).
//!
//! Videos are opened only in worker processes ([`pipeline::cpu`]): a crash in a codec costs one attempt of one job.
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
//! | When is a failed job tried again, and how often? | `pipeline/remedy`, asked by `pipeline/driver`, up to the attempts of `pipeline/plan` |
//! | How long does a job wait for that, or a stage pause? | `pipeline/patience`, with the numbers of `cli/drive` |
//! | How fast may a site be asked? | `pipeline/budget` |
//! | What does a refusal of the site mean, and is it believed? | `youtube/refusals`, of the Data API `youtube/data_api/errors`; `youtube/fault` |
//! | Which video is downloaded first? | the priority that `pipeline/search` gives when it commits, read by `catalog/jobs` |
//! | What is too long, too short, or not wanted? | `youtube/policy`; of tracks and clips [`face::select`] |
//! | What is each threshold, and its default? | [`config`], `config.toml` |
//! | Which frames does the detector see? | `pipeline/eyes/looker` |
//! | What part of the picture does a clip show? | `pipeline/eyes/framing` |
//! | What happens to the samples of a clip that is unsound? | `pipeline/cut`: neither the clip nor its samples become rows |
//! | What becomes of clips when the settings change, or return? | `catalog/scans`: their scan is superseded, or in force again |
//! | Which clips are duplicates? | [`face::motion`]; which one is the original, `pipeline/duplicates` |
//! | Which emotion has a video that several searches found? | the view `video_emotion` in `migrations/`, asked by `catalog/evidence` |
//! | Which parts of a video are cut, and with which emotion, where lists mean parts? | `face/parts` |
//! | Which label has a sample? | the relabel in force (`catalog/relabels`), else its emotion |
//! | Which split has a sample? | `catalog/splits`: by the source of its video |
//! | Which samples make a batch, in which order (`--balanced`)? | `train/loader` |
//! | When does relabelling begin (`auto`)? | `train/relabel_start` |
//! | How is a run found again, and what lies in its folder? | `cli/train/folder` (also for `--resume`), `cli/train/catalog`; `epoch_log` and `opinions` beside them |
//! | Who deletes rows and files? | of people `cli/removal`; of sources `pipeline/discard`; of what nobody names, and what has expired, `cli/gc` |
//! | How long does the crawl of a round wait, and what for? | `cli/run/crawl_leg` |
//! | What are the metrics for Prometheus called? | `cli/run/metrics` |
//! | What is kept out of logs? | `cli/log` |
//! | What ends work early? | [`clock::Stop`], raised on signals by `cli/session` |
//! | Who limits a worker? | itself, `cli/worker`; who waits for it, `pipeline/cpu` |
//! | Where does a file lie, and how is one written whole? | [`store`], `files` |
//! | Which way up is a picture? | `picture` |
//! | How is a number, a size or a time written for people? | `words` |
//! | What is read of the environment? | [`config`]; the key of the Data API in `cli/crawl/site` |
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
//! * **search** – a search on YouTube; a *query* is always SQL. **answer** – what YouTube said, kept as it came.
//! * **lexicon** – the words that are searched for, by emotion and language.
//! * **evidence** – one (video, search, rank): why a video is thought to show an emotion. Never overwritten.
//! * **video** – what a search found; its **file** is what was downloaded.
//! * **shot** – frames between two cuts or dissolves. **track** – one face followed through one shot.
//! * **scan** – one pass of a recipe over a video's frames. **look** – one frame of it that goes to the detector (`scout_fps`
//!   a second, and each shot's first and last); on most looks known faces are only followed.
//!   A scan is *superseded* when a later one of its video is *in force*; its clips and samples are kept, but not used.
//! * **part** – a stretch of a video, a face in it, or both, that a list means.
//! * **clip** – five or more seconds of video of one face, cropped; of a part any length. **sample** – one face of a
//!   clip, once a second. **crop** – its aligned picture; other sizes are other crops. **duplicate** – a clip that shows
//!   footage of an older one. **unsound** – a clip that fails the check of the finished
//!   file: its duration is wrong, or its face is not found again.
//! * **recipe** – the numbers that decide what comes out of a stage or a run, stored with their hash on what did.
//!   **rev** – a stage's revision with that hash: another one is new work.
//! * **emotion** – what was searched for: one of eight, [`types::Emotion`]. **label** – what training uses for a sample.
//! * **relabel** – an append-only row: this run, at this epoch, would change that sample's label. It holds while its run is
//!   *adopted* (`cli/adopt`).
//! * **tombstone** – a video that must not come back (`cli/forget`).
//! * **opinion** – what a run thinks of a sample's label: keep, relabel, or ask a person. **scout** – an out-of-fold
//!   net of the method **cure**: trained on the other folds, it predicts samples that it never saw.
//! * **split** – training, validation or test, [`types::Split`]; people who appear in one do not appear in another, as far
//!   as sources tell.
//! * **importance** – SCN's α of a sample, 0 to 1 (never *weight*).
//! * **net** and **params** – the function and its numbers (never *model*).
//! * **score** – always with its noun: detector score, quality score.
//! * **experiment** – a grid of runs that belong together; each **cell** is one run.
//! * **round** – one start of `webemotion run`: what is due of crawl, clips, train and report (a *run* is a training run).
//! * **drive** – one stage's jobs worked off by a driver, until nothing is due or a limit is reached.
//! * **shard** – a work list of `webemotion shard`, for a machine that shares no catalog.
//! * **job** – a stage, by its [`types::StageName`], and the search or video it is to work on; its state is a
//!   [`types::JobState`], and the state of a training run a [`catalog::runs::RunState`].
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
