//! Pictures to batches of pixels: decodes and resizes on threads of its own, in an order that the seed decides.
//! It knows no tensor; batches leave through a channel that holds two.

use std::collections::BTreeMap;
use std::iter;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{IntoIter, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, Resizer};
use image::RgbImage;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::data::Pictures;
use super::recipe::Sampling;
use crate::picture::upright;

/// Batches that are made at the same time: while one waits for its last picture, the next has begun.
const LANES: usize = 2;

/// Pictures of one step.
pub(crate) struct Batch {
    /// Positions in the training set; pictures that cannot be read are left out.
    pub(crate) samples: Vec<usize>,
    /// Place of each sample in the epoch's order: decides its augmentation.
    pub(crate) places: Vec<usize>,
    /// RGB bytes, N×side×side×3.
    pub(crate) pixels: Vec<u8>,
}

impl Batch {
    /// Its pictures, by place in the batch, as so many parts of nearly equal size; as fewer where a part would be a
    /// single picture.
    pub(crate) fn parts(&self, parts: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.samples.len();
        let parts = parts.min(count / 2).max(1);
        (0..parts).map(move |at| at * count / parts..(at + 1) * count / parts)
    }
}

/// Decoded, resized pictures by position, kept while they fit.
pub(crate) struct PictureShelf {
    pictures: Arc<dyn Pictures>,
    side: u32,
    kept: Vec<OnceLock<Box<[u8]>>>,
    free_bytes: AtomicUsize,
    unreadable: Mutex<BTreeMap<usize, String>>,
}

impl PictureShelf {
    /// An empty shelf for squares of `side` pixels. It keeps what it has decoded, up to `room_bytes`: a set that fits
    /// is decoded once in a run.
    pub(crate) fn new(pictures: Arc<dyn Pictures>, side: u32, room_bytes: usize) -> Self {
        let kept = (0..pictures.len()).map(|_| OnceLock::new()).collect();
        Self { pictures, side, kept, free_bytes: AtomicUsize::new(room_bytes), unreadable: Mutex::default() }
    }

    /// How many pictures there are, read or not.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether the room is large enough for all pictures; to be asked before one is kept.
    pub(crate) fn has_room_for_all(&self) -> bool {
        self.len() * self.picture_bytes() <= self.free_bytes.load(Ordering::Relaxed)
    }

    /// Pictures that could not be read so far: position and cause.
    pub(crate) fn unreadable(&self) -> BTreeMap<usize, String> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the pictures that an earlier process could not read.
    pub(crate) fn restore_unreadable(&self, known: BTreeMap<usize, String>) {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
    }

    fn picture_bytes(&self) -> usize {
        (self.side * self.side * 3) as usize
    }

    /// Writes one picture's pixels to `place`; false when it cannot be read.
    fn fetch(&self, sample: usize, resizer: &mut Resizer, place: &mut [u8]) -> bool {
        if let Some(pixels) = self.kept[sample].get() {
            place.copy_from_slice(pixels);
            return true;
        }
        match self.decode(sample, resizer) {
            Ok(pixels) => {
                place.copy_from_slice(&pixels);
                self.keep(sample, pixels);
                true
            }
            Err(cause) => {
                let line = format!("{}: {}", self.pictures.name(sample), cause.trim_end());
                self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(sample, line);
                false
            }
        }
    }

    fn decode(&self, sample: usize, resizer: &mut Resizer) -> Result<Vec<u8>, String> {
        let bytes = self.pictures.encoded(sample).map_err(|error| error.to_string())?;
        let picture = upright(&bytes).map_err(|error| error.to_string())?;
        resize(picture, self.side, resizer)
    }

    fn keep(&self, sample: usize, pixels: Vec<u8>) {
        let take = |free: usize| free.checked_sub(pixels.len());
        if self.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            let _ = self.kept[sample].set(pixels.into_boxed_slice());
        }
    }

    /// Decodes one batch on `threads` threads; the order of `samples` is kept.
    fn batch(&self, samples: &[usize], first_place: usize, threads: usize) -> Batch {
        let bytes = self.picture_bytes();
        let mut pixels = vec![0; samples.len() * bytes];
        let mut readable = vec![false; samples.len()];
        let share = samples.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts =
                samples.chunks(share).zip(pixels.chunks_mut(share * bytes)).zip(readable.chunks_mut(share));
            for ((samples, pixels), readable) in parts {
                scope.spawn(move || {
                    let mut resizer = Resizer::new();
                    for ((&sample, place), readable) in
                        samples.iter().zip(pixels.chunks_mut(bytes)).zip(readable)
                    {
                        *readable = self.fetch(sample, &mut resizer, place);
                    }
                });
            }
        });
        leave_out_unreadable(samples, first_place, pixels, &readable)
    }
}

/// RGB bytes of the picture as a square of `side` pixels.
pub(crate) fn resize(picture: RgbImage, side: u32, resizer: &mut Resizer) -> Result<Vec<u8>, String> {
    if picture.dimensions() == (side, side) {
        return Ok(picture.into_raw());
    }
    let (width, height) = picture.dimensions();
    let source = Image::from_vec_u8(width, height, picture.into_raw(), PixelType::U8x3)
        .map_err(|error| error.to_string())?;
    let mut square = Image::new(side, side, PixelType::U8x3);
    resizer.resize(&source, &mut square, None).map_err(|error| error.to_string())?;
    Ok(square.into_vec())
}

fn leave_out_unreadable(samples: &[usize], first_place: usize, pixels: Vec<u8>, readable: &[bool]) -> Batch {
    let places: Vec<usize> = (0..samples.len()).filter(|&place| readable[place]).collect();
    let pixels = if places.len() == samples.len() {
        pixels
    } else {
        let bytes = pixels.len() / samples.len();
        places.iter().flat_map(|place| pixels[place * bytes..][..bytes].iter().copied()).collect()
    };
    Batch {
        samples: places.iter().map(|&place| samples[place]).collect(),
        places: places.into_iter().map(|place| first_place + place).collect(),
        pixels,
    }
}

/// Batches of `order`, from `first_step` on, made ahead by threads that end when the iterator is dropped.
pub(crate) fn load(
    shelf: &Arc<PictureShelf>,
    order: Vec<usize>,
    batch_size: usize,
    first_step: usize,
) -> impl Iterator<Item = Batch> + Send + use<> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let order: Arc<[usize]> = order.into();
    let lane = |lane: usize| {
        let (shelf, order) = (Arc::clone(shelf), Arc::clone(&order));
        let steps = (first_step + lane..order.len().div_ceil(batch_size)).step_by(LANES);
        let batch = move |step: usize| {
            let samples = &order[step * batch_size..order.len().min((step + 1) * batch_size)];
            shelf.batch(samples, step * batch_size, threads)
        };
        ahead("loader", steps.map(batch))
    };
    let mut lanes: Vec<_> = (0..LANES).map(lane).collect();
    let mut turns = (0..LANES).cycle();
    iter::from_fn(move || turns.next().and_then(|turn| lanes[turn].next()))
}

/// The same items, made a little ahead by a thread of its own, which ends when nobody takes them any more.
pub(crate) fn ahead<T: Send + 'static>(
    name: &str,
    items: impl Iterator<Item = T> + Send + 'static,
) -> IntoIter<T> {
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        for item in items {
            if sender.send(item).is_err() {
                return;
            }
        }
    };
    // Without a thread the channel closes at once, and the epoch says that batches are missing.
    let _ = thread::Builder::new().name(name.to_owned()).spawn(work);
    receiver.into_iter()
}

/// A generator of chance for one purpose in one epoch. Nothing of it has to be saved: a resumed run makes the same one.
pub(crate) fn epoch_rng(seed: u64, purpose: u64, epoch: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose << 32) | u64::from(epoch));
    rng
}

/// The order in which an epoch sees its samples. `label` gives the label in force when the epoch begins.
pub(crate) fn epoch_order(
    samples: &[usize],
    label: impl Fn(usize) -> usize,
    sampling: Sampling,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut order = match sampling {
        Sampling::Shuffle => samples.to_vec(),
        Sampling::Balanced => balanced(samples, label, rng),
    };
    order.shuffle(rng);
    order
}

/// As many draws as there are samples. Each class is drawn equally often (but for one draw), and no sample of a class
/// is repeated before all of them were drawn.
fn balanced(samples: &[usize], label: impl Fn(usize) -> usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &sample in samples {
        by_class.entry(label(sample)).or_default().push(sample);
    }
    let mut classes: Vec<Vec<usize>> = by_class.into_values().collect();
    classes.shuffle(rng);
    let count = classes.len().max(1);
    let mut order = Vec::with_capacity(samples.len());
    for (place, class) in classes.iter_mut().enumerate() {
        let draws = samples.len() / count + usize::from(place < samples.len() % count);
        class.shuffle(rng);
        order.extend(class.iter().cycle().take(draws));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::data::{Identity, identity_of};
    use super::super::drawn::InMemory;
    use super::*;

    struct Drawn;

    impl Pictures for Drawn {
        fn len(&self) -> usize {
            10
        }

        fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
            let picture = RgbImage::from_pixel(20, 30, image::Rgb([index as u8, 0, 0]));
            let mut file = std::io::Cursor::new(Vec::new());
            let is_torn = index == 3;
            let format = if is_torn { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
            picture.write_to(&mut file, format).unwrap();
            let mut bytes = file.into_inner();
            bytes.truncate(if is_torn { 150 } else { bytes.len() });
            Ok(bytes)
        }

        fn name(&self, index: usize) -> String {
            format!("picture {index}")
        }

        fn identity(&self) -> Identity {
            identity_of([])
        }
    }

    #[test]
    fn batches_keep_the_order_and_leave_out_what_cannot_be_read() {
        let shelf = Arc::new(PictureShelf::new(Arc::new(Drawn), 16, 1 << 20));
        for _first_from_disk_then_from_memory in 0..2 {
            let batches: Vec<Batch> = load(&shelf, vec![9, 3, 1, 0, 7], 2, 0).collect();
            let samples: Vec<usize> = batches.iter().flat_map(|batch| batch.samples.clone()).collect();
            let places: Vec<usize> = batches.iter().flat_map(|batch| batch.places.clone()).collect();
            assert_eq!((samples, places), (vec![9, 1, 0, 7], vec![0, 2, 3, 4]));
            assert_eq!(batches[0].pixels.len(), 16 * 16 * 3);
            assert_eq!([batches[0].pixels[0], batches[1].pixels[0], batches[2].pixels[0]], [9, 1, 7]);
        }
        assert_eq!(shelf.unreadable().keys().copied().collect::<Vec<_>>(), [3]);
        let told = &shelf.unreadable()[&3];
        assert!(told.starts_with("picture 3: ") && !told.contains('\n'), "{told:?}");
    }

    #[test]
    fn pictures_are_kept_as_far_as_there_is_room() {
        let shelf = Arc::new(PictureShelf::new(Arc::new(Drawn), 16, 2 * 16 * 16 * 3 + 1));
        assert_eq!(load(&shelf, vec![0, 1, 2, 4, 5], 2, 0).count(), 3);
        assert_eq!(shelf.kept.iter().filter(|kept| kept.get().is_some()).count(), 2);
    }

    /// As `predict` sees it: phones keep their pictures as the sensor lies.
    #[test]
    fn a_picture_taken_sideways_is_trained_on_upright() {
        let sideways = InMemory(vec![crate::picture::sideways()]);
        let shelf = Arc::new(PictureShelf::new(Arc::new(sideways), 20, 0));
        let batch = load(&shelf, vec![0], 1, 0).next().unwrap();
        let [first, last] = [0, batch.pixels.len() - 20 * 3].map(|at| batch.pixels[at..][..20 * 3].to_vec());
        assert!(first.iter().all(|&value| value > 200) && last.iter().all(|&value| value < 50));
    }

    #[test]
    fn a_batch_is_split_without_loss_and_never_into_single_pictures() {
        let batch = |count| Batch { samples: vec![0; count], places: vec![0; count], pixels: Vec::new() };
        assert_eq!(batch(7).parts(5).collect::<Vec<_>>(), [0..2, 2..4, 4..7]);
        assert!(batch(1).parts(5).eq(iter::once(0..1)));
    }

    #[test]
    fn a_resumed_epoch_begins_at_its_step() {
        let shelf = Arc::new(PictureShelf::new(Arc::new(Drawn), 16, 1 << 20));
        let rest: Vec<Batch> = load(&shelf, vec![0, 1, 2, 4, 5], 2, 1).collect();
        assert_eq!(rest[0].samples, [2, 4]);
        assert_eq!(rest[0].places, [2, 3]);
    }

    #[test]
    fn balanced_sampling_shows_each_class_equally_often() {
        let samples: Vec<usize> = (0..90).collect();
        let label = |sample: usize| usize::from(sample >= 80);
        let order = epoch_order(&samples, label, Sampling::Balanced, &mut epoch_rng(1, 0, 1));
        assert_eq!(order.iter().filter(|&&sample| label(sample) == 1).count(), 45);
        let small: std::collections::BTreeSet<_> = order.iter().filter(|&&s| label(s) == 1).collect();
        assert_eq!(small.len(), 10, "no sample repeats before all were seen");
    }

    /// The steps of an epoch are counted by its samples: fewer draws would leave the last of them without pictures.
    #[test]
    fn balanced_sampling_draws_as_often_as_there_are_samples() {
        for count in 3..30 {
            let samples: Vec<usize> = (0..count).collect();
            let label = |sample: usize| (sample % 5).min(2);
            let order = epoch_order(&samples, label, Sampling::Balanced, &mut epoch_rng(1, 0, 1));
            let draws = [0, 1, 2].map(|class| order.iter().filter(|&&sample| label(sample) == class).count());
            assert_eq!(draws.iter().sum::<usize>(), count);
            assert!(draws.iter().max().unwrap() - draws.iter().min().unwrap() <= 1, "{draws:?}");
        }
    }

    /// Trap 16: the reference's sampler weighs by the labels of the beginning, however many were changed since.
    #[test]
    fn balanced_sampling_goes_by_the_labels_in_force() {
        let samples: Vec<usize> = (0..40).collect();
        let (given, mut current) = (vec![0; 40], vec![0; 40]);
        current[..10].fill(1);
        let of_class_one = |labels: &[usize]| {
            let order =
                epoch_order(&samples, |sample| labels[sample], Sampling::Balanced, &mut epoch_rng(1, 0, 2));
            order.into_iter().filter(|&sample| current[sample] == 1).count()
        };
        assert_eq!((of_class_one(&given), of_class_one(&current)), (10, 20));
    }

    #[test]
    fn each_epoch_has_an_order_of_its_own_that_the_seed_repeats() {
        let samples: Vec<usize> = (0..50).collect();
        let order = |epoch| epoch_order(&samples, |_| 0, Sampling::Shuffle, &mut epoch_rng(1, 0, epoch));
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
