//! `webemotion clips --recrop`: makes the samples' pictures again from the stored places of their faces, with another size
//! or with more of the head.

use futures_util::StreamExt;
use serde_json::json;

use crate::catalog::crops::{self, MadeOtherwise};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::recrop::Recropper;
use crate::progress::{Event, Reporter};
use crate::types::{CropStyle, VideoId};

use super::super::{Session, say};
use super::ClipsArgs;

const TASK: &str = "recrop";

/// The result for crops of another style than the wanted one.
#[derive(Debug, Default)]
struct Done {
    videos: usize,
    samples: usize,
    /// Videos without a file, and their samples, which keep their old crops.
    gone: (usize, u64),
    failed: usize,
}

impl Done {
    /// Counts a video and reports progress. An interrupted one counts as neither done nor failed.
    fn count(&mut self, video: VideoId, outcome: Result<usize, Failure>, reporter: &dyn Reporter) {
        match outcome {
            Ok(samples) => {
                self.videos += 1;
                self.samples += samples;
            }
            Err(failure) if failure.reason == Reason::Interrupted => return,
            Err(failure) => {
                self.failed += 1;
                let text = format!("video {} keeps its crops: {failure}", video.0);
                reporter.report(&Event::Said { text });
            }
        }
        let done = (self.videos + self.failed) as u64;
        reporter.report(&Event::Advanced {
            task: TASK.to_owned(),
            done,
            note: self.note(),
            throughput: None,
        });
    }

    fn note(&self) -> String {
        format!("{} samples", self.samples)
    }
}

pub(super) async fn run(session: &Session, args: &ClipsArgs) -> anyhow::Result<Exit> {
    let recipe = &session.config.clips;
    let style = CropStyle {
        side_px: args.side.unwrap_or(recipe.sample_side_px),
        margin: args.margin.unwrap_or(CropStyle::MARGIN),
    };
    let others = crops::made_otherwise(&session.catalog, style).await.map_err(Failure::from)?;
    let (there, gone): (Vec<_>, Vec<_>) = others.into_iter().partition(|video| video.has_file);
    let mut done = recrop_all(session, args, &there, style).await?;
    done.gone = (gone.len(), gone.iter().map(|video| video.samples).sum());
    print_summary(session, style, &done);
    Ok(if session.stop.is_asked() {
        Exit::Interrupted
    } else if done.failed > 0 {
        Exit::SomeDead
    } else if done.videos == 0 {
        Exit::NothingToDo
    } else {
        Exit::Done
    })
}

async fn recrop_all(
    session: &Session,
    args: &ClipsArgs,
    videos: &[MadeOtherwise],
    style: CropStyle,
) -> anyhow::Result<Done> {
    let (cpu, workers) = super::workers(session, args)?;
    let total = Some(videos.len() as u64);
    session.reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "videos".to_owned() });
    let recropper = Recropper {
        catalog: &session.catalog,
        store: &session.store,
        cpu: &cpu,
        stop: &session.stop,
        style,
        jpeg_quality: session.config.clips.jpeg_quality,
    };
    let one = async |video: &MadeOtherwise| {
        if session.stop.is_asked() {
            return (video.video, Err(Failure::transient(Reason::Interrupted, "interrupted")));
        }
        (video.video, recropper.recrop(video.video).await)
    };
    let mut done = Done::default();
    {
        let mut made = std::pin::pin!(futures_util::stream::iter(videos).map(one).buffer_unordered(workers));
        while let Some((video, outcome)) = made.next().await {
            done.count(video, outcome, session.reporter.as_ref());
        }
    }
    session.reporter.report(&Event::Ended { task: TASK.to_owned(), note: done.note() });
    cpu.close().await;
    Ok(done)
}

fn print_summary(session: &Session, CropStyle { side_px, margin }: CropStyle, done: &Done) {
    let Done { videos, samples, gone: (gone, kept), failed } = done;
    if session.json {
        say(json!({"event": "recropped", "side_px": side_px, "margin": margin, "videos": videos,
            "samples": samples, "videos_gone": gone, "samples_kept": kept, "failed": failed}));
        return;
    }
    say(format_args!(
        "clips: {samples} samples of {videos} videos were made again, {side_px} px with margin {margin}; {failed} videos failed"
    ));
    if *gone > 0 {
        say(format_args!(
            "clips: {kept} samples of {gone} videos keep their crops, for the videos' files are gone, and nothing \
             fetches them again for other crops"
        ));
    }
}
