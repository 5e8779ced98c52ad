//! Pictures to batches of pixels: decodes and resizes on its own threads, in an order that the seed determines.
//! It knows no tensor; batches are made ahead and leave through bounded channels.

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

/// Batches in preparation at the same time: while one waits for its last picture, the next is begun.
const LANES: usize = 2;

/// The pictures of one step, without those that cannot be read.
pub(crate) struct Batch {
    /// Their positions in the training set.
    pub(crate) samples: Vec<usize>,
    /// Their places in the epoch's order, which determine their augmentation.
    pub(crate) places: Vec<usize>,
    /// RGB bytes, N×side×side×3.
    pub(crate) pixels: Vec<u8>,
}

impl Batch {
    /// Divides the batch into `parts` index ranges of nearly equal length; into fewer where a part would be a single
    /// picture.
    pub(crate) fn parts(&self, parts: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.samples.len();
        let parts = parts.min(count / 2).max(1);
        (0..parts).map(move |at| at * count / parts..(at + 1) * count / parts)
    }
}

/// Decodes and resizes pictures, and keeps them by position while they fit.
pub(crate) struct PictureCache {
    pictures: Arc<dyn Pictures>,
    side: u32,
    kept: Vec<OnceLock<Box<[u8]>>>,
    free_bytes: AtomicUsize,
    unreadable: Mutex<BTreeMap<usize, String>>,
}

impl PictureCache {
    /// An empty cache for squares of `side` pixels. A set that fits into `capacity_bytes` is decoded once in a run.
    pub(crate) fn new(pictures: Arc<dyn Pictures>, side: u32, capacity_bytes: usize) -> Self {
        let kept = (0..pictures.len()).map(|_| OnceLock::new()).collect();
        let free_bytes = AtomicUsize::new(capacity_bytes);
        Self { pictures, side, kept, free_bytes, unreadable: Mutex::default() }
    }

    /// The number of pictures in the set, decoded or not.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether the capacity suffices for all pictures; only valid while the cache is empty.
    pub(crate) fn can_hold_all(&self) -> bool {
        self.len() * self.picture_bytes() <= self.free_bytes.load(Ordering::Relaxed)
    }

    /// The pictures that could not be read so far, by position, each with its name and the cause.
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

    /// Writes one picture's pixels to `target`; false when the picture cannot be read.
    fn fetch(&self, sample: usize, resizer: &mut Resizer, target: &mut [u8]) -> bool {
        if let Some(pixels) = self.kept[sample].get() {
            target.copy_from_slice(pixels);
            return true;
        }
        match self.decode(sample, resizer) {
            Ok(pixels) => {
                target.copy_from_slice(&pixels);
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
        let less = |free: usize| free.checked_sub(pixels.len());
        if self.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
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
                    for ((&sample, target), readable) in
                        samples.iter().zip(pixels.chunks_mut(bytes)).zip(readable)
                    {
                        *readable = self.fetch(sample, &mut resizer, target);
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

/// The batches of `order` from `first_step` on (counted from 0), made ahead by threads that end when the iterator is
/// dropped.
pub(crate) fn load(
    cache: &Arc<PictureCache>,
    order: Vec<usize>,
    batch_size: usize,
    first_step: usize,
) -> impl Iterator<Item = Batch> + Send + use<> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let order: Arc<[usize]> = order.into();
    let lane = |lane: usize| {
        let (cache, order) = (Arc::clone(cache), Arc::clone(&order));
        let steps = (first_step + lane..order.len().div_ceil(batch_size)).step_by(LANES);
        let batch = move |step: usize| {
            let samples = &order[step * batch_size..order.len().min((step + 1) * batch_size)];
            cache.batch(samples, step * batch_size, threads)
        };
        ahead("loader", steps.map(batch))
    };
    let mut lanes: Vec<_> = (0..LANES).map(lane).collect();
    let mut turns = (0..LANES).cycle();
    iter::from_fn(move || turns.next().and_then(|turn| lanes[turn].next()))
}

/// The same items, made a little ahead on a new thread, which ends once the returned iterator is dropped.
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
    // If no thread can be started, the channel closes at once, and the epoch fails for want of batches.
    let _ = thread::Builder::new().name(name.to_owned()).spawn(work);
    receiver.into_iter()
}

/// The uses of random numbers in an epoch. With other values a seed would give other runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Order = 1,
    Augmentation = 2,
    Dropout = 3,
}

/// The random generator for one purpose in one epoch. A resumed run makes the same one, so none is saved.
pub(crate) fn epoch_rng(seed: u64, stream: Stream, epoch: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((stream as u64) << 32) | u64::from(epoch));
    rng
}

/// The order in which an epoch visits its samples. `label` gives a sample's label in force at the start of the epoch.
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

/// As many draws as there are samples. Each class is drawn equally often (give or take one draw), and no sample of a
/// class is repeated before all of them were drawn.
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
    fn batches_keep_the_order_and_leave_out_unreadable_pictures() {
        let cache = Arc::new(PictureCache::new(Arc::new(Drawn), 16, 1 << 20));
        for _first_from_disk_then_from_memory in 0..2 {
            let batches: Vec<Batch> = load(&cache, vec![9, 3, 1, 0, 7], 2, 0).collect();
            let samples: Vec<usize> = batches.iter().flat_map(|batch| batch.samples.clone()).collect();
            let places: Vec<usize> = batches.iter().flat_map(|batch| batch.places.clone()).collect();
            assert_eq!((samples, places), (vec![9, 1, 0, 7], vec![0, 2, 3, 4]));
            assert_eq!(batches[0].pixels.len(), 16 * 16 * 3);
            assert_eq!([batches[0].pixels[0], batches[1].pixels[0], batches[2].pixels[0]], [9, 1, 7]);
        }
        assert_eq!(cache.unreadable().keys().copied().collect::<Vec<_>>(), [3]);
        let line = &cache.unreadable()[&3];
        assert!(line.starts_with("picture 3: ") && !line.contains('\n'), "{line:?}");
    }

    #[test]
    fn pictures_are_kept_until_the_capacity_is_used_up() {
        let cache = Arc::new(PictureCache::new(Arc::new(Drawn), 16, 2 * 16 * 16 * 3 + 1));
        assert_eq!(load(&cache, vec![0, 1, 2, 4, 5], 2, 0).count(), 3);
        assert_eq!(cache.kept.iter().filter(|kept| kept.get().is_some()).count(), 2);
    }

    /// As in `predict`. Phones store pictures as the sensor was held, with the orientation in EXIF.
    #[test]
    fn a_picture_taken_sideways_is_trained_on_upright() {
        let sideways = InMemory(vec![crate::picture::sideways()]);
        let cache = Arc::new(PictureCache::new(Arc::new(sideways), 20, 0));
        let batch = load(&cache, vec![0], 1, 0).next().unwrap();
        let [first, last] = [0, batch.pixels.len() - 20 * 3].map(|at| batch.pixels[at..][..20 * 3].to_vec());
        assert!(first.iter().all(|&value| value > 200) && last.iter().all(|&value| value < 50));
    }

    #[test]
    fn the_parts_of_a_batch_cover_it_and_are_never_single_pictures() {
        let batch = |count| Batch { samples: vec![0; count], places: vec![0; count], pixels: Vec::new() };
        assert_eq!(batch(7).parts(5).collect::<Vec<_>>(), [0..2, 2..4, 4..7]);
        assert!(batch(1).parts(5).eq(iter::once(0..1)));
    }

    #[test]
    fn a_resumed_epoch_starts_at_its_next_step() {
        let cache = Arc::new(PictureCache::new(Arc::new(Drawn), 16, 1 << 20));
        let rest: Vec<Batch> = load(&cache, vec![0, 1, 2, 4, 5], 2, 1).collect();
        assert_eq!(rest[0].samples, [2, 4]);
        assert_eq!(rest[0].places, [2, 3]);
    }

    #[test]
    fn balanced_sampling_shows_each_class_equally_often() {
        let samples: Vec<usize> = (0..90).collect();
        let label = |sample: usize| usize::from(sample >= 80);
        let order = epoch_order(&samples, label, Sampling::Balanced, &mut epoch_rng(1, Stream::Order, 1));
        assert_eq!(order.iter().filter(|&&sample| label(sample) == 1).count(), 45);
        let small: std::collections::BTreeSet<_> = order.iter().filter(|&&s| label(s) == 1).collect();
        assert_eq!(small.len(), 10, "no sample repeats before all were seen");
    }

    /// The number of steps follows from the number of samples: with fewer draws the last steps would have no pictures.
    #[test]
    fn balanced_sampling_draws_as_often_as_there_are_samples() {
        for count in 3..30 {
            let samples: Vec<usize> = (0..count).collect();
            let label = |sample: usize| (sample % 5).min(2);
            let order = epoch_order(&samples, label, Sampling::Balanced, &mut epoch_rng(1, Stream::Order, 1));
            let draws = [0, 1, 2].map(|class| order.iter().filter(|&&sample| label(sample) == class).count());
            assert_eq!(draws.iter().sum::<usize>(), count);
            assert!(draws.iter().max().unwrap() - draws.iter().min().unwrap() <= 1, "{draws:?}");
        }
    }

    /// The sampler of SCN's public code weighs by the labels at the start of the run, however many have changed since.
    #[test]
    fn balanced_sampling_uses_the_labels_in_force() {
        let samples: Vec<usize> = (0..40).collect();
        let (given, mut current) = (vec![0; 40], vec![0; 40]);
        current[..10].fill(1);
        let of_class_one = |labels: &[usize]| {
            let mut rng = epoch_rng(1, Stream::Order, 2);
            let order = epoch_order(&samples, |sample| labels[sample], Sampling::Balanced, &mut rng);
            order.into_iter().filter(|&sample| current[sample] == 1).count()
        };
        assert_eq!((of_class_one(&given), of_class_one(&current)), (10, 20));
    }

    #[test]
    fn each_epoch_has_its_own_order_which_the_seed_reproduces() {
        let samples: Vec<usize> = (0..50).collect();
        let order = |epoch| {
            let mut rng = epoch_rng(1, Stream::Order, epoch);
            epoch_order(&samples, |_| 0, Sampling::Shuffle, &mut rng)
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
