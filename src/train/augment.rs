//! From bytes to the net's input: normalised, and in training augmented; a GPU does it by batch, a CPU picture by
//! picture. The random numbers are drawn on the CPU from (seed, epoch, place): the same on every device, with any
//! number of threads.

mod one_pass;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::host::borrowed_tensor;
use super::loader::{Batch, Stream, epoch_rng};
use super::recipe::{Augment, Normalise, Recipe};

/// Each picture's share of the random stream, in 32-bit words; more than any picture draws.
const WORDS_PER_PICTURE: u128 = 64;

/// The random numbers of one picture's augmentation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Draw {
    /// −1 (mirrored) or 1.
    flip: f32,
    /// Half-width of the visible window; 1 is the whole picture.
    zoom: f32,
    /// Centre of the window, x and y, −1 to 1.
    shift: [f32; 2],
    /// Factor of all pixels.
    brightness: f32,
    /// Factor of the distance to the picture's mean.
    contrast: f32,
    /// Left, top, right and bottom of the erased rectangle, 0 to 1; empty when right is not greater than left.
    erased: [f32; 4],
}

impl Draw {
    fn new(augment: &Augment, rng: &mut ChaCha8Rng) -> Self {
        let mut within = |reach: f64| if reach > 0.0 { rng.random_range(-reach..reach) as f32 } else { 0.0 };
        let zoom = 1.0 + within(augment.crop);
        let shift = [2.0 * within(augment.crop), 2.0 * within(augment.crop)];
        let (brightness, contrast) = (1.0 + within(augment.colour), 1.0 + within(augment.colour));
        let flip = if rng.random_bool(augment.flip) { -1.0 } else { 1.0 };
        let erased = if rng.random_bool(augment.erase) { rectangle(rng) } else { [0.0; 4] };
        Self { flip, zoom, shift, brightness, contrast, erased }
    }
}

/// 2 to 25 % of the area, aspect 0.3 to 3.3: random erasing as in SCN's public code.
fn rectangle(rng: &mut ChaCha8Rng) -> [f32; 4] {
    let area: f32 = rng.random_range(0.02..0.25);
    let aspect: f32 = rng.random_range(-1.2_f32..1.2).exp();
    let (width, height) = ((area * aspect).sqrt().min(1.0), (area / aspect).sqrt().min(1.0));
    let (left, top) = (rng.random_range(0.0..=1.0 - width), rng.random_range(0.0..=1.0 - height));
    [left, top, left + width, top + height]
}

/// The bytes as floats 0 to 1, N×3×side×side; the memory stays channels-last, as the loader wrote it.
fn floats(batch: &Batch, side: u32, device: Device) -> Tensor {
    let side = i64::from(side);
    let size = [batch.samples.len().cast_signed() as i64, side, side, 3];
    // SAFETY: there are N·side·side·3 bytes. Pinning copies them, and so does the conversion to floats: the result
    // does not borrow the batch.
    let bytes = unsafe { borrowed_tensor(&batch.pixels, &size) };
    bytes_on(device, bytes).permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0
}

/// The bytes on a device. Pinned memory makes the copy to a GPU asynchronous; otherwise the program would wait here
/// until the GPU has finished its queue.
fn bytes_on(device: Device, bytes: Tensor) -> Tensor {
    const NON_BLOCKING: bool = true;
    match device {
        Device::Cuda(_) => {
            bytes.internal_pin_memory(device).to_device_(device, Kind::Uint8, NON_BLOCKING, false)
        }
        _ => bytes.to_device(device),
    }
}

fn normalise(pictures: Tensor, how: Normalise) -> Tensor {
    Normaliser::new(how, pictures.device()).run(pictures)
}

/// The mean and deviation of a [`Normalise`] on a device. Make it before a trace begins: a trace loses the values of
/// tensors that are filled while it records.
pub(crate) struct Normaliser(Option<[Tensor; 2]>);

impl Normaliser {
    pub(crate) fn new(how: Normalise, device: Device) -> Self {
        let per_channel =
            |values: [f32; 3]| Tensor::from_slice(&values).reshape([1, 3, 1, 1]).to_device(device);
        Self(match how {
            Normalise::ZeroOne => None,
            Normalise::Imagenet => Some(<[_; 2]>::from(how.mean_and_deviation()).map(per_channel)),
        })
    }

    pub(crate) fn run(&self, pictures: Tensor) -> Tensor {
        match &self.0 {
            None => pictures,
            Some([mean, deviation]) => (pictures - mean) / deviation,
        }
    }
}

/// Normalised pictures without augmentation, for evaluation: N×3×side×side.
pub(crate) fn plain(batch: &Batch, recipe: &Recipe, device: Device) -> Tensor {
    normalise(floats(batch, recipe.image_size, device), recipe.normalise)
}

/// Normalised pictures with the augmentation of one epoch: N×3×side×side.
pub(crate) fn varied(batch: &Batch, recipe: &Recipe, epoch: u32, device: Device) -> Tensor {
    let draws = draws(recipe, epoch, &batch.places);
    match device {
        Device::Cpu => one_pass::varied(batch, recipe, &draws),
        _ => varied_in_batch(batch, recipe, &draws, device),
    }
}

fn varied_in_batch(batch: &Batch, recipe: &Recipe, draws: &[Draw], device: Device) -> Tensor {
    let augment = &recipe.augment;
    let mut pictures = floats(batch, recipe.image_size, device);
    if augment.flip > 0.0 || augment.crop > 0.0 {
        pictures = window(&pictures, draws);
    }
    if augment.colour > 0.0 {
        pictures = colour(&pictures, draws);
    }
    pictures = normalise(pictures, recipe.normalise);
    if augment.erase > 0.0 {
        pictures = erase(&pictures, draws);
    }
    pictures
}

/// The draws for the pictures at these places of an epoch's order.
fn draws(recipe: &Recipe, epoch: u32, places: &[usize]) -> Vec<Draw> {
    let mut rng = epoch_rng(recipe.seed, Stream::Augmentation, epoch);
    let mut draw_at = |&place: &usize| {
        rng.set_word_pos(place as u128 * WORDS_PER_PICTURE);
        Draw::new(&recipe.augment, &mut rng)
    };
    places.iter().map(&mut draw_at).collect()
}

/// One number of every draw as N×1×1×1.
fn column(draws: &[Draw], device: Device, number: impl Fn(&Draw) -> f32) -> Tensor {
    let values: Vec<f32> = draws.iter().map(number).collect();
    Tensor::from_slice(&values).reshape([-1, 1, 1, 1]).to_device(device)
}

/// Flip, shift and zoom in one bilinear resampling; pixels at the border repeat beyond it.
fn window(pictures: &Tensor, draws: &[Draw]) -> Tensor {
    const BILINEAR: i64 = 0;
    const BORDER: i64 = 1;
    let rows: Vec<f32> = draws
        .iter()
        .flat_map(|draw| [draw.flip * draw.zoom, 0.0, draw.shift[0], 0.0, draw.zoom, draw.shift[1]])
        .collect();
    let theta = Tensor::from_slice(&rows).reshape([-1, 2, 3]).to_device(pictures.device());
    let grid = Tensor::affine_grid_generator(&theta, pictures.size(), false);
    pictures.grid_sampler_2d(&grid, BILINEAR, BORDER, false)
}

/// Contrast around each picture's mean, then brightness; clamped to 0 to 1.
fn colour(pictures: &Tensor, draws: &[Draw]) -> Tensor {
    let device = pictures.device();
    let mean = pictures.mean_dim([1, 2, 3].as_slice(), true, Kind::Float);
    let contrast = column(draws, device, |draw| draw.contrast);
    let brightness = column(draws, device, |draw| draw.brightness);
    (((pictures - &mean) * contrast + mean) * brightness).clamp(0.0, 1.0)
}

/// Fills the rectangles of normalised pictures with 0 (see [`Augment::erase`]).
fn erase(pictures: &Tensor, draws: &[Draw]) -> Tensor {
    let (_, _, height, width) = pictures.size4().unwrap_or((0, 0, 1, 1));
    let device = pictures.device();
    let inside = |length: i64, shape: [i64; 4], from: usize, to: usize| {
        let middles = (Tensor::arange(length, (Kind::Float, device)) + 0.5) / length as f64;
        let middles = middles.reshape(shape);
        middles
            .ge_tensor(&column(draws, device, |draw| draw.erased[from]))
            .logical_and(&middles.lt_tensor(&column(draws, device, |draw| draw.erased[to])))
    };
    let across = inside(width, [1, 1, 1, width], 0, 2);
    let down = inside(height, [1, 1, height, 1], 1, 3);
    pictures.masked_fill(&across.logical_and(&down), 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Method;
    use super::*;

    const NOTHING: Augment = Augment { flip: 0.0, crop: 0.0, erase: 0.0, colour: 0.0 };

    fn batch(places: Vec<usize>) -> Batch {
        let pixels = (0..places.len() * 16 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
        Batch { samples: places.clone(), places, pixels }
    }

    /// For pictures of 16 px that are not normalised.
    fn recipe(augment: Augment) -> Recipe {
        let usual = Recipe::new(Method::Baseline);
        Recipe { augment, image_size: 16, normalise: Normalise::ZeroOne, seed: 3, ..usual }
    }

    fn vary(augment: Augment, batch: &Batch) -> Tensor {
        varied(batch, &recipe(augment), 1, Device::Cpu)
    }

    #[test]
    fn bytes_become_channels_from_zero_to_one() {
        let pictures = vary(NOTHING, &batch(vec![0, 1]));
        assert_eq!(pictures.size(), [2, 3, 16, 16]);
        assert!((pictures.double_value(&[0, 1, 0, 2]) - 49.0 / 255.0).abs() < 1e-6);
    }

    #[test]
    fn a_flip_of_probability_one_mirrors_the_picture() {
        let batch = batch(vec![0]);
        let flipped = vary(Augment { flip: 1.0, ..NOTHING }, &batch);
        let mirrored = vary(NOTHING, &batch).flip([3]);
        assert!((flipped - mirrored).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn the_pass_of_a_cpu_and_the_batch_of_a_gpu_give_the_same_pictures() {
        let recipe = recipe(Augment { flip: 0.5, crop: 0.3, erase: 0.5, colour: 0.4 });
        let batch = batch((0..40).collect());
        let draws = draws(&recipe, 1, &batch.places);
        for normalise in [Normalise::ZeroOne, Normalise::Imagenet] {
            let recipe = Recipe { normalise, ..recipe.clone() };
            let in_batch = varied_in_batch(&batch, &recipe, &draws, Device::Cpu);
            let off = (one_pass::varied(&batch, &recipe, &draws) - in_batch).abs().max();
            assert!(off.double_value(&[]) < 1e-5, "{normalise:?}: {off}");
        }
    }

    #[test]
    fn a_draw_depends_on_the_place_and_the_epoch_and_not_on_the_batch() {
        let recipe = recipe(Augment { flip: 0.5, crop: 0.1, erase: 0.5, colour: 0.2 });
        let together = draws(&recipe, 1, &[4, 5, 6]);
        assert_eq!(draws(&recipe, 1, &[5]), together[1..2]);
        assert_ne!(draws(&recipe, 2, &[5]), together[1..2]);
    }

    #[test]
    fn erasing_leaves_a_rectangle_of_zeros_and_the_rest_alone() {
        let batch = batch(vec![0, 1, 2, 3]);
        let erased = vary(Augment { erase: 1.0, ..NOTHING }, &batch);
        let before = vary(NOTHING, &batch);
        let changed = erased.ne_tensor(&before);
        assert_eq!(erased.masked_select(&changed).abs().max().double_value(&[]), 0.0);
        let share = changed.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((0.01..0.3).contains(&share), "{share}");
    }
}
