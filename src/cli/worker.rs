//! `webemotion worker` (hidden): the blocking side of [`crate::pipeline::cpu`]; opens videos, one at a time.

use std::io::{BufReader, BufWriter};
use std::ops::ControlFlow;
use std::path::PathBuf;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use crate::config::{ClipRecipe, Hwaccel, ToolConfig};
use crate::face::{DetectorSettings, Mtcnn};
use crate::failure::{Exit, Failure};
use crate::media;
use crate::pipeline::cpu::{self, Answer, Product, Task};
use crate::pipeline::eyes::{self, Watch};
use crate::types::VideoFacts;

/// Nets this small gain nothing from a second thread, and the library's threads burn a core while they wait; decoding
/// has better use for it.
const NET_THREADS: u32 = 1;

/// Flags of the hidden command.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Address space limit in bytes; 0 for none
    #[arg(long, default_value_t = 0)]
    max_memory_bytes: u64,
    /// The MTCNN params
    #[arg(long)]
    mtcnn: Option<PathBuf>,
    /// What decodes videos
    #[arg(long, value_enum, default_value_t)]
    hwaccel: Hwaccel,
}

/// Answers tasks on standard input until it ends.
pub(crate) fn run(args: &WorkerArgs) -> anyhow::Result<Exit> {
    limit(args.max_memory_bytes);
    media::decode_on(args.hwaccel);
    let tools = ToolConfig { mtcnn: args.mtcnn.clone(), ..ToolConfig::default() };
    let mut worker = Worker { tools, detector: None };
    let input = BufReader::new(std::io::stdin().lock());
    let output = BufWriter::new(std::io::stdout().lock());
    cpu::serve(input, output, |task, tell| {
        say_what_decodes(tell);
        let worked = worker.work(task, tell);
        say_what_decodes(tell);
        worked
    })?;
    Ok(Exit::Done)
}

/// Says, the first time that it is so, that videos are decoded in software though more was asked for.
fn say_what_decodes(tell: &mut dyn FnMut(Answer)) {
    if let Some(why) = media::why_in_software() {
        tell(Answer::Said { text: format!("decoding in software: {why}") });
    }
}

/// A worker may take so much memory, leaves no core file, and dies with its parent.
fn limit(max_memory_bytes: u64) {
    // Where the kernel refuses a limit the work goes on without it.
    if max_memory_bytes > 0 {
        let _ = setrlimit(Resource::RLIMIT_AS, max_memory_bytes, max_memory_bytes);
    }
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

/// Keeps the detector loaded as long as the recipe asks for the same one.
struct Worker {
    tools: ToolConfig,
    detector: Option<(DetectorSettings, Mtcnn)>,
}

impl Worker {
    fn work(&mut self, task: Task, tell: &mut dyn FnMut(Answer)) -> Result<Product, Failure> {
        let mut watch = Beat(tell);
        match task {
            Task::Check { path, promised_duration_ms } => {
                let probe = media::check(&path, promised_duration_ms)?;
                Ok(Product::Checked(VideoFacts {
                    container: probe.container,
                    video_codec: probe.video_codec,
                    width: probe.width,
                    height: probe.height,
                    duration_ms: probe.duration_ms,
                    frame_rate: probe.frame_rate,
                }))
            }
            Task::Scan { path, recipe, clips } => {
                let detector = self.detector(&recipe)?;
                let clips = clips.as_deref();
                eyes::scan_video(&path, &recipe, detector, clips, &mut watch).map(Product::Scanned)
            }
            Task::Cut { path, plans, recipe, clips } => {
                let detector = self.detector(&recipe)?;
                eyes::cut_clips(&path, &plans, &recipe, detector, &clips, &mut watch).map(|()| Product::Cut)
            }
            Task::Faces { path, recipe, side_px } => {
                let detector = self.detector(&recipe)?;
                eyes::faces_of_video(&path, &recipe, side_px, detector, &mut watch).map(Product::Faces)
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

/// Tells the parent that the worker is alive.
struct Beat<'a>(&'a mut dyn FnMut(Answer));

impl Watch for Beat<'_> {
    fn frame(&mut self, done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        (self.0)(Answer::Working { done_ms });
        ControlFlow::Continue(())
    }
}
