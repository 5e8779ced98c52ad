//! `webemotion worker` (hidden): the worker process of [`crate::pipeline::cpu`]. Blocking; one video at a time.

use std::io::{BufReader, BufWriter};
use std::ops::ControlFlow;
use std::path::PathBuf;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use crate::config::{ClipRecipe, Hwaccel, ToolConfig};
use crate::face::{DetectorSettings, Mtcnn};
use crate::failure::{Exit, Failure};
use crate::media::{self, Probe};
use crate::pipeline::cpu::{self, Message, Product, Task};
use crate::pipeline::eyes::{self, FaceSink, Watch};
use crate::pipeline::inspection::FollowedFace;
use crate::types::VideoFacts;

/// Nets this small are no faster with a second thread, and libtorch's idle threads spin on a core that decoding needs.
const NET_THREADS: u32 = 1;

/// Flags of the hidden command.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Address space limit in bytes; 0 for none. It does not hold while a device decodes
    #[arg(long, default_value_t = 0)]
    max_memory_bytes: u64,
    /// The MTCNN params
    #[arg(long)]
    mtcnn: Option<PathBuf>,
    /// What decodes videos
    #[arg(long, value_enum, default_value_t)]
    hwaccel: Hwaccel,
}

/// Runs the tasks from standard input until it ends; writes the results to standard output.
pub(crate) fn run(args: &WorkerArgs) -> anyhow::Result<Exit> {
    // The device opens first: a process without one keeps its limit.
    media::decode_on(args.hwaccel);
    restrict_process(address_space_limit(args.max_memory_bytes, media::has_device()));
    let tools = ToolConfig { mtcnn: args.mtcnn.clone(), ..ToolConfig::default() };
    let mut worker = Worker { tools, detector: None };
    let input = BufReader::new(std::io::stdin().lock());
    let output = BufWriter::new(std::io::stdout().lock());
    cpu::serve(input, output, |task, send| {
        report_software_decoding(send);
        let outcome = worker.work(task, send);
        report_software_decoding(send);
        outcome
    })?;
    Ok(Exit::Done)
}

/// Reports once that videos are decoded in software although hardware was requested.
fn report_software_decoding(send: &mut dyn FnMut(Message)) {
    if let Some(why) = media::why_in_software() {
        send(Message::Said { text: format!("decoding in software: {why}") });
    }
}

/// The limit in force: CUDA reserves far more of the address space than it uses, so a device lifts it.
fn address_space_limit(max_memory_bytes: u64, has_device: bool) -> u64 {
    if has_device { 0 } else { max_memory_bytes }
}

/// Limits the address space (0: no limit), disables core files, and lets the worker die with its parent.
fn restrict_process(max_memory_bytes: u64) {
    // If the kernel refuses one of these, the worker runs without it.
    if max_memory_bytes > 0 {
        let _ = setrlimit(Resource::RLIMIT_AS, max_memory_bytes, max_memory_bytes);
    }
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

/// Keeps the detector loaded while tasks need the same settings.
struct Worker {
    tools: ToolConfig,
    detector: Option<(DetectorSettings, Mtcnn)>,
}

impl Worker {
    fn work(&mut self, task: Task, send: &mut dyn FnMut(Message)) -> Result<Product, Failure> {
        let mut watch = Beat(send);
        match task {
            Task::Check { path, promised_duration_ms } => {
                let mut on_progress = |done_ms| _ = watch.frame(done_ms, done_ms);
                Ok(Product::Checked(facts(media::check(&path, promised_duration_ms, &mut on_progress)?)))
            }
            Task::Scan { path, recipe, clips } => {
                let detector = self.detector(&recipe)?;
                let clips = clips.as_deref();
                eyes::scan_video(&path, &recipe, detector, clips, &mut watch).map(Product::Scanned)
            }
            Task::Cut(task) => {
                let detector = self.detector(&task.recipe)?;
                eyes::cut_clips(&task, detector, &mut watch).map(|()| Product::Cut)
            }
            Task::Faces(task) => {
                let detector = self.detector(&task.recipe)?;
                eyes::faces_of_video(&task, detector, &mut watch).map(|()| Product::Faces)
            }
            Task::Recrop { path, recrop } => {
                eyes::recrop_video(&path, &recrop, &mut watch).map(Product::Recropped)
            }
            Task::Inspect { path, options, recipe } => {
                let recipe = options.recipe(&path, &recipe);
                let detector = self.detector(&recipe)?;
                eyes::inspect_file(&path, &options, &recipe, detector, &mut watch).map(Product::Inspected)
            }
        }
    }

    fn detector(&mut self, recipe: &ClipRecipe) -> Result<&mut Mtcnn, Failure> {
        let settings = DetectorSettings::of(recipe, NET_THREADS);
        if self.detector.as_ref().is_none_or(|(loaded, _)| *loaded != settings) {
            let mtcnn = Mtcnn::load(&self.tools.find_mtcnn()?, &settings)?;
            self.detector = Some((settings.clone(), mtcnn));
        }
        self.detector
            .as_mut()
            .map(|(_, mtcnn)| mtcnn)
            .ok_or_else(|| Failure::bug("the detector is not loaded"))
    }
}

fn facts(probe: Probe) -> VideoFacts {
    VideoFacts {
        container: probe.container,
        video_codec: probe.video_codec,
        width: probe.width,
        height: probe.height,
        duration_ms: probe.duration_ms,
        frame_rate: probe.frame_rate,
    }
}

/// Reports progress to the parent, which also shows that the worker is alive.
struct Beat<'a>(&'a mut dyn FnMut(Message));

impl Watch for Beat<'_> {
    fn frame(&mut self, done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        (self.0)(Message::Working { done_ms });
        ControlFlow::Continue(())
    }
}

impl FaceSink for Beat<'_> {
    fn face(&mut self, face: FollowedFace) {
        (self.0)(Message::Face(face));
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::media::ClipWriter;

    #[test]
    fn a_check_reports_its_progress() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("video.mp4");
        let mut writer = ClipWriter::create(&path, 64, 64, 25.0).unwrap();
        for at in 0..50 {
            writer.push(&RgbImage::new(64, 64), at * 40).unwrap();
        }
        writer.finish().unwrap();
        let mut worker = Worker { tools: ToolConfig::default(), detector: None };
        let mut sent = Vec::new();
        let task = Task::Check { path, promised_duration_ms: Some(2_000) };
        let product = worker.work(task, &mut |message| sent.push(message)).unwrap();
        assert!(matches!(product, Product::Checked(facts) if facts.width == 64));
        assert!(sent.iter().any(|message| matches!(message, Message::Working { done_ms } if *done_ms > 0)));
    }

    #[test]
    fn only_a_device_lifts_the_memory_limit() {
        assert_eq!([false, true].map(|has_device| address_space_limit(6, has_device)), [6, 0]);
    }
}
