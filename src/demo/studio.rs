//! Films a whole world into a folder, two films at a time. Knows nothing of labels and of the site.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::camera::shoot;
use super::world::{Kind, World, WorldVideo};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};

const THREADS: usize = 2;

/// Films every video that has a script into `folder`, each under its [`WorldVideo::file_name`]; a file that is there is
/// kept. `on_progress` is told frames done and frames in all, from either thread.
///
/// # Errors
/// The first thing that went wrong, or [`Reason::Interrupted`]; films that were finished stay.
pub fn film_world(
    world: &World,
    folder: &Path,
    stop: &Stop,
    on_progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), Failure> {
    let films: Vec<&WorldVideo> = world.videos.iter().filter(|video| video.film.is_some()).collect();
    let total = films.iter().map(|video| frames_of(video)).sum();
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let failed = Mutex::new(None);
    let work = || {
        while let Some(video) = films.get(next.fetch_add(1, Ordering::Relaxed)) {
            let on_frame = &mut || on_progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            if let Err(failure) = film_video(video, folder, stop, on_frame) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                return;
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(work);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn frames_of(video: &WorldVideo) -> u64 {
    video.film.as_ref().map_or(0, |film| film.frame_times_ms().len() as u64)
}

fn film_video(
    video: &WorldVideo,
    folder: &Path,
    stop: &Stop,
    on_frame: &mut dyn FnMut(),
) -> Result<(), Failure> {
    let (Some(film), path) = (&video.film, folder.join(video.file_name())) else { return Ok(()) };
    if path.is_file() {
        (0..frames_of(video)).for_each(|_| on_frame());
        return Ok(());
    }
    let part = path.with_extension("part");
    shoot(film, &part, stop, on_frame)?;
    let finished = if video.kind == Kind::Broken { spoil(&part) } else { Ok(()) };
    let finished = finished.and_then(|()| fs::rename(&part, &path));
    finished.map_err(|error| Failure::transient(Reason::Disk, format!("{}: {error}", path.display())))
}

/// Wipes out the frames of a film and leaves its index: it opens, but it does not decode.
fn spoil(path: &Path) -> std::io::Result<()> {
    let mut bytes = fs::read(path)?;
    if let Some(frames) = bytes.windows(4).position(|word| word == b"mdat") {
        bytes[frames + 4..].fill(0x55);
    }
    fs::write(path, bytes)
}
