//! The errors of training, each with its kind, reason and remedy. Data sets have errors of their own: [`DataError`].

use std::path::PathBuf;

use super::data::DataError;
use crate::failure::{Failure, Reason};

/// The word for a file that a run resumes from.
pub(crate) const CHECKPOINT: &str = "a checkpoint";

/// Why training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A hyper-parameter has an invalid value.
    #[error("recipe: {name} is {value}, but must be {must_be}")]
    Recipe {
        /// Field name.
        name: &'static str,
        /// What was given.
        value: String,
        /// The allowed range, in words.
        must_be: &'static str,
    },
    /// The data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of params lacks tensors of the backbone, or has them in another shape.
    #[error("{path} does not fit {arch}: {}", list(problems))]
    Init {
        /// The file.
        path: PathBuf,
        /// The requested net.
        arch: &'static str,
        /// One line for each tensor that is missing or has another shape.
        problems: Vec<String>,
    },
    /// A file of params from elsewhere cannot be read.
    #[error("{path} cannot be read as params: {detail}")]
    Params {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
        /// What its owner can do.
        remedy: &'static str,
    },
    /// A checkpoint cannot be read.
    #[error("{path} cannot be read as {what}: {detail}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        what: &'static str,
        /// Why not.
        detail: String,
    },
    /// A checkpoint belongs to another recipe or other data.
    #[error("checkpoint {path} belongs to {what}")]
    Foreign {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The run folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A path that the user named cannot be written.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// The file, or the folder that was to hold it.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The loss, the params or the net's output became NaN or infinite.
    #[error("{what} became {became} in epoch {epoch}, step {step}")]
    Diverged {
        /// One-based epoch.
        epoch: u32,
        /// One-based step.
        step: usize,
        /// `the loss`, `params` or `answers`.
        what: &'static str,
        /// `NaN` or infinite.
        became: String,
        /// The params of the best epoch before, if there was one.
        params: Option<PathBuf>,
    },
    /// A net's output is NaN or infinite.
    #[error("the net answers with what is no number")]
    NoNumbers,
    /// Too many pictures cannot be decoded.
    #[error("{count} of {of} {what} cannot be read, more than the {limit} allowed; the first: {first}")]
    TooManyUnreadable {
        /// How many failed.
        count: usize,
        /// How many there are.
        of: usize,
        /// `pictures`, or the pictures of a split.
        what: &'static str,
        /// How many may fail.
        limit: usize,
        /// Name and cause of the first.
        first: String,
    },
    /// The requested device is not available.
    #[error("device {asked} is not available: {why}")]
    Device {
        /// As requested.
        asked: String,
        /// Why not.
        why: String,
    },
    /// The device's memory is too small for a batch.
    #[error("out of memory on {device} with batches of {batch_size}")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Pictures a step.
        batch_size: usize,
        /// Number of parts in which they go through the net.
        accumulate: usize,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(String),
    /// The run was asked to stop; a checkpoint was written.
    #[error("stopped in epoch {epoch}; a checkpoint was written to {checkpoint}")]
    Stopped {
        /// One-based epoch that was under way.
        epoch: u32,
        /// Where the state is.
        checkpoint: PathBuf,
    },
}

fn list(problems: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = problems.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if problems.len() > SHOWN {
        text.push_str(&format!("; and {} more", problems.len() - SHOWN));
    }
    text
}

impl TrainError {
    /// As a command reports it.
    pub fn failure(&self) -> Failure {
        let detail = self.to_string();
        match self {
            Self::Recipe { .. } => Failure::permanent(Reason::Usage, detail),
            Self::Data(error) => error.failure(),
            Self::Init { .. } => Failure::permanent(Reason::Usage, detail)
                .with_hint("name a file made for this --arch, or leave --init out"),
            Self::Params { remedy, .. } => Failure::permanent(Reason::Usage, detail).with_hint(*remedy),
            Self::Unreadable { what: CHECKPOINT, path, .. } => Failure::permanent(Reason::Usage, detail)
                .with_hint(format!(
                    "move {} away and start the same command again: the run begins anew",
                    path.display()
                )),
            Self::Foreign { .. } => Failure::permanent(Reason::Usage, detail)
                .with_hint("resume with the same flags and data, or begin a new run"),
            // Transient whatever the cause: the folder was writable when the run began, and the same command resumes.
            Self::Write { .. } => Failure::transient(Reason::Disk, detail).with_hint(
                "free some disk, or mend it, then start the same command again: it goes on from the last \
                     checkpoint, which is whole, or begins anew where there is none",
            ),
            Self::Unwritable { path, source } => Failure::unwritable(path, source),
            Self::Diverged { params: None, .. } => {
                Failure::permanent(Reason::Usage, detail).with_hint("begin again with a lower --lr")
            }
            Self::Diverged { params: Some(path), .. } => {
                Failure::permanent(Reason::Usage, detail).with_hint(format!(
                    "begin again with a lower --lr; --init {} begins where this run was best",
                    path.display()
                ))
            }
            Self::NoNumbers => Failure::permanent(Reason::Usage, detail)
                .with_hint("its params went out of hand in training: train again with a lower --lr"),
            Self::Unreadable { .. } | Self::TooManyUnreadable { .. } => {
                Failure::permanent(Reason::Usage, detail)
            }
            Self::Device { .. } => Failure::permanent(Reason::ToolMissing, detail).with_hint(
                "--device cpu works everywhere; scripts/setup --cuda fetches a libtorch for NVIDIA",
            ),
            Self::OutOfMemory { batch_size, accumulate, .. } => {
                Failure::permanent(Reason::Usage, detail).with_hint(less_memory(*batch_size, *accumulate))
            }
            Self::Torch(_) => Failure::bug(detail),
            Self::Stopped { .. } => Failure::transient(Reason::Interrupted, detail)
                .with_hint("start the same command again: it goes on from there"),
        }
    }
}

/// A hint for less memory that gives a valid recipe: a part holds at least two pictures.
fn less_memory(batch_size: usize, accumulate: usize) -> String {
    if batch_size / accumulate.max(1) < 4 {
        return "try a smaller --image-size, or an --arch with fewer params".to_owned();
    }
    let (half, parts) = (batch_size / 2, 2 * accumulate);
    format!(
        "try --accumulate {parts}, which keeps the batches and halves what is held at once, or \
         --batch-size {half}"
    )
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        error.failure()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::recipe::{Method, Recipe};
    use super::*;
    use crate::failure::{Exit, FailureKind};

    #[test]
    fn the_hint_where_memory_runs_out_gives_a_valid_recipe() {
        let hint = |batch_size, accumulate| {
            let device = "cuda:0".to_owned();
            TrainError::OutOfMemory { device, batch_size, accumulate }.failure().hint.unwrap()
        };
        for (batch_size, accumulate) in [(64, 1), (7, 1), (4, 1), (9, 2)] {
            let recipe = Recipe { batch_size, accumulate, ..Recipe::new(Method::Baseline) };
            let said = hint(batch_size, accumulate);
            let (half, parts) = (batch_size / 2, 2 * accumulate);
            assert!(said.contains(&format!("--accumulate {parts}, ")), "{said}");
            assert!(said.ends_with(&format!("--batch-size {half}")), "{said}");
            Recipe { batch_size: half, ..recipe.clone() }.check().unwrap();
            Recipe { accumulate: parts, ..recipe }.check().unwrap();
        }
        for (batch_size, accumulate) in [(2, 1), (3, 1), (8, 4)] {
            let said = hint(batch_size, accumulate);
            assert!(said.contains("--image-size") && !said.contains("--batch-size"), "{said}");
        }
    }

    #[test]
    fn a_lost_disk_is_transient_for_a_run_and_a_wrong_path_is_permanent_for_an_export() {
        for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied, ErrorKind::NotFound] {
            let path = || PathBuf::from("last.safetensors");
            let write = TrainError::Write { path: path(), source: kind.into() }.failure();
            assert_eq!((write.kind, write.exit()), (FailureKind::Transient, Exit::Paused), "{kind}");
            let named = TrainError::Unwritable { path: path(), source: kind.into() }.failure();
            assert_eq!((named.kind, named.exit()), (FailureKind::Permanent, Exit::Usage), "{kind}");
        }
    }
}
