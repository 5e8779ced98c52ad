//! One method of the pool for each [`Task`], with the type of its result.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::Cpu;
use super::task::{CutTask, FacesTask, Picture, Product, Recrop, Task};
use crate::clock::Stop;
use crate::config::ClipRecipe;
use crate::failure::Failure;
use crate::pipeline::inspection::{FollowedFace, InspectOptions, Inspection};
use crate::types::{Scan, VideoFacts};

impl Cpu {
    /// Runs [`Task::Check`].
    pub async fn check(
        &self,
        path: PathBuf,
        promised_duration_ms: Option<i64>,
        stop: &Stop,
    ) -> Result<VideoFacts, Failure> {
        match self.run(&Task::Check { path, promised_duration_ms }, stop).await? {
            Product::Checked(facts) => Ok(facts),
            _ => Err(mismatch("check")),
        }
    }

    /// Runs [`Task::Scan`].
    pub async fn scan(
        &self,
        path: PathBuf,
        recipe: ClipRecipe,
        clips: Option<PathBuf>,
        stop: &Stop,
    ) -> Result<Scan, Failure> {
        match self.run(&Task::Scan { path, recipe, clips }, stop).await? {
            Product::Scanned(scan) => Ok(scan),
            _ => Err(mismatch("scan")),
        }
    }

    /// Runs [`Task::Cut`].
    pub async fn cut(&self, task: CutTask, stop: &Stop) -> Result<(), Failure> {
        match self.run(&Task::Cut(task), stop).await? {
            Product::Cut => Ok(()),
            _ => Err(mismatch("cut")),
        }
    }

    /// Runs [`Task::Faces`]. Each face is sent to `faces` once its last crop is made, so they are not in the order of
    /// their tracks.
    pub async fn faces(
        &self,
        task: FacesTask,
        stop: &Stop,
        faces: mpsc::Sender<FollowedFace>,
    ) -> Result<(), Failure> {
        match self.run_for(&Task::Faces(task), stop, Some(&faces)).await? {
            Product::Faces => Ok(()),
            _ => Err(mismatch("faces")),
        }
    }

    /// Runs [`Task::Recrop`]: a crop of each face, in their order.
    pub async fn recrop(&self, path: PathBuf, recrop: Recrop, stop: &Stop) -> Result<Vec<Picture>, Failure> {
        match self.run(&Task::Recrop { path, recrop }, stop).await? {
            Product::Recropped(crops) => Ok(crops),
            _ => Err(mismatch("recrop")),
        }
    }

    /// Runs [`Task::Inspect`].
    pub async fn inspect(
        &self,
        path: PathBuf,
        options: InspectOptions,
        recipe: ClipRecipe,
        stop: &Stop,
    ) -> Result<Inspection, Failure> {
        match self.run(&Task::Inspect { path, options, recipe }, stop).await? {
            Product::Inspected(inspection) => Ok(inspection),
            _ => Err(mismatch("inspect")),
        }
    }
}

fn mismatch(task: &str) -> Failure {
    Failure::bug(format!("a worker answered another question than `{task}`"))
}
