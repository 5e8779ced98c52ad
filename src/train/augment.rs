//! From bytes to what the net sees: normalised, and varied on the device, a GPU in batch and a CPU picture by picture.
//! What varies is drawn on the CPU by (seed, epoch, place), so that no device and no thread count changes it.

mod one_pass;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::host::lent;
use super::loader::{Batch, epoch_rng};
use super::recipe::{Augment, Normalise};

/// Names the random stream of this room.
const PURPOSE: u64 = 2;
/// Each picture's share of that stream, in 32-bit words; more than any picture draws.
const WORDS_PER_PICTURE: u128 = 64;

/// How one picture is varied.
#[derive(Debug, Clone, Copy, PartialEq)]
struct View {
    /// −1 or 1.
    flip: f32,
    /// Half-width of the window that is seen, 1 for the whole picture.
    zoom: f32,
    /// Its centre, −1 to 1.
    shift: [f32; 2],
    brightness: f32,
    contrast: f32,
    /// Left, top, right, bottom of what is erased, 0 to 1; empty when right is not above left.
    erased: [f32; 4],
}

impl View {
    fn draw(augment: &Augment, rng: &mut ChaCha8Rng) -> Self {
        let mut around = |reach: f64| if reach > 0.0 { rng.random_range(-reach..reach) as f32 } else { 0.0 };
        let zoom = 1.0 + around(augment.crop);
        let shift = [2.0 * around(augment.crop), 2.0 * around(augment.crop)];
        let (brightness, contrast) = (1.0 + around(augment.colour), 1.0 + around(augment.colour));
        let flip = if rng.random_bool(augment.flip) { -1.0 } else { 1.0 };
        let erased = if rng.random_bool(augment.erase) { rectangle(rng) } else { [0.0; 4] };
        Self { flip, zoom, shift, brightness, contrast, erased }
    }
}

/// 2 to 25 % of the area, aspect 0.3 to 3.3: the reference's random erasing.
fn rectangle(rng: &mut ChaCha8Rng) -> [f32; 4] {
    let area: f32 = rng.random_range(0.02..0.25);
    let aspect: f32 = rng.random_range(-1.2_f32..1.2).exp();
    let (width, height) = ((area * aspect).sqrt().min(1.0), (area / aspect).sqrt().min(1.0));
    let (left, top) = (rng.random_range(0.0..=1.0 - width), rng.random_range(0.0..=1.0 - height));
    [left, top, left + width, top + height]
}

/// Bytes as floats 0..1, N×3×side×side; the memory stays channels-last, as the loader wrote it.
fn floats(batch: &Batch, side: u32, device: Device) -> Tensor {
    let side = i64::from(side);
    let size = [batch.samples.len().cast_signed() as i64, side, side, 3];
    // SAFETY: pinning copies the bytes, and so does what makes floats of them.
    let bytes = unsafe { lent(&batch.pixels, &size) };
    bytes_on(device, bytes).permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0
}

/// The bytes on a device. From pinned memory a GPU fetches them when it gets to it; otherwise the program would wait
/// here until the GPU has done all that it was asked before.
fn bytes_on(device: Device, bytes: Tensor) -> Tensor {
    const NON_BLOCKING: bool = true;
    match device {
        Device::Cuda(_) => {
            bytes.internal_pin_memory(device).to_device_(device, Kind::Uint8, NON_BLOCKING, false)
        }
        _ => bytes.to_device(device),
    }
}

pub(crate) fn normalise(pictures: Tensor, how: Normalise) -> Tensor {
    Normaliser::new(how, pictures.device()).run(pictures)
}

/// The numbers of [`Normalise`] on a device. They must be made before a trace begins: tensors that are filled while it
/// records are lost.
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

/// Pictures as they are, for evaluation: N×3×side×side.
pub(crate) fn plain(batch: &Batch, side: u32, how: Normalise, device: Device) -> Tensor {
    normalise(floats(batch, side, device), how)
}

/// Pictures as training sees them in one epoch: N×3×side×side.
pub(crate) fn varied(
    batch: &Batch,
    side: u32,
    how: Normalise,
    (augment, seed, epoch): (&Augment, u64, u32),
    device: Device,
) -> Tensor {
    let views = draw(augment, seed, epoch, &batch.places);
    match device {
        Device::Cpu => one_pass::varied(batch, side, how, &views),
        _ => varied_in_batch(batch, side, how, (augment, &views), device),
    }
}

fn varied_in_batch(
    batch: &Batch,
    side: u32,
    how: Normalise,
    (augment, views): (&Augment, &[View]),
    device: Device,
) -> Tensor {
    let mut pictures = floats(batch, side, device);
    if augment.flip > 0.0 || augment.crop > 0.0 {
        pictures = window(&pictures, views);
    }
    if augment.colour > 0.0 {
        pictures = colour(&pictures, views);
    }
    pictures = normalise(pictures, how);
    if augment.erase > 0.0 {
        pictures = erase(&pictures, views);
    }
    pictures
}

fn draw(augment: &Augment, seed: u64, epoch: u32, places: &[usize]) -> Vec<View> {
    let mut rng = epoch_rng(seed, PURPOSE, epoch);
    let mut view_at = |&place: &usize| {
        rng.set_word_pos(place as u128 * WORDS_PER_PICTURE);
        View::draw(augment, &mut rng)
    };
    places.iter().map(&mut view_at).collect()
}

/// One number of every view as N×1×1×1.
fn column(views: &[View], device: Device, of: impl Fn(&View) -> f32) -> Tensor {
    let values: Vec<f32> = views.iter().map(of).collect();
    Tensor::from_slice(&values).reshape([-1, 1, 1, 1]).to_device(device)
}

/// Flip, shift and zoom in one bilinear resampling; beyond the border its pixels repeat.
fn window(pictures: &Tensor, views: &[View]) -> Tensor {
    const BILINEAR: i64 = 0;
    const BORDER: i64 = 1;
    let rows: Vec<f32> = views
        .iter()
        .flat_map(|view| [view.flip * view.zoom, 0.0, view.shift[0], 0.0, view.zoom, view.shift[1]])
        .collect();
    let theta = Tensor::from_slice(&rows).reshape([-1, 2, 3]).to_device(pictures.device());
    let grid = Tensor::affine_grid_generator(&theta, pictures.size(), false);
    pictures.grid_sampler_2d(&grid, BILINEAR, BORDER, false)
}

fn colour(pictures: &Tensor, views: &[View]) -> Tensor {
    let device = pictures.device();
    let mean = pictures.mean_dim([1, 2, 3].as_slice(), true, Kind::Float);
    let contrast = column(views, device, |view| view.contrast);
    let brightness = column(views, device, |view| view.brightness);
    (((pictures - &mean) * contrast + mean) * brightness).clamp(0.0, 1.0)
}

/// Fills rectangles with 0 after normalisation: ImageNet's mean colour, or black (see [`Augment::erase`]).
fn erase(pictures: &Tensor, views: &[View]) -> Tensor {
    let (_, _, height, width) = pictures.size4().unwrap_or((0, 0, 1, 1));
    let device = pictures.device();
    let inside = |length: i64, shape: [i64; 4], from: usize, to: usize| {
        let middles = (Tensor::arange(length, (Kind::Float, device)) + 0.5) / length as f64;
        let middles = middles.reshape(shape);
        middles
            .ge_tensor(&column(views, device, |view| view.erased[from]))
            .logical_and(&middles.lt_tensor(&column(views, device, |view| view.erased[to])))
    };
    let across = inside(width, [1, 1, 1, width], 0, 2);
    let down = inside(height, [1, 1, height, 1], 1, 3);
    pictures.masked_fill(&across.logical_and(&down), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Augment = Augment { flip: 0.0, crop: 0.0, erase: 0.0, colour: 0.0 };

    fn batch(places: Vec<usize>) -> Batch {
        let pixels = (0..places.len() * 16 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
        Batch { samples: places.clone(), places, pixels }
    }

    fn vary(augment: Augment, batch: &Batch) -> Tensor {
        varied(batch, 16, Normalise::ZeroOne, (&augment, 3, 1), Device::Cpu)
    }

    #[test]
    fn bytes_become_channels_in_zero_to_one() {
        let pictures = vary(NOTHING, &batch(vec![0, 1]));
        assert_eq!(pictures.size(), [2, 3, 16, 16]);
        assert!((pictures.double_value(&[0, 1, 0, 2]) - 49.0 / 255.0).abs() < 1e-6);
    }

    #[test]
    fn a_certain_flip_mirrors_the_picture() {
        let batch = batch(vec![0]);
        let flipped = vary(Augment { flip: 1.0, ..NOTHING }, &batch);
        let mirrored = vary(NOTHING, &batch).flip([3]);
        assert!((flipped - mirrored).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn a_cpu_sees_what_a_gpu_sees() {
        let augment = Augment { flip: 0.5, crop: 0.3, erase: 0.5, colour: 0.4 };
        let batch = batch((0..40).collect());
        let views = draw(&augment, 3, 1, &batch.places);
        for how in [Normalise::ZeroOne, Normalise::Imagenet] {
            let in_batch = varied_in_batch(&batch, 16, how, (&augment, &views), Device::Cpu);
            let off = (one_pass::varied(&batch, 16, how, &views) - in_batch).abs().max();
            assert!(off.double_value(&[]) < 1e-5, "{how:?}: {off}");
        }
    }

    #[test]
    fn a_picture_is_varied_alike_whatever_batch_it_comes_in() {
        let augment = Augment { flip: 0.5, crop: 0.1, erase: 0.5, colour: 0.2 };
        let together = draw(&augment, 3, 1, &[4, 5, 6]);
        assert_eq!(draw(&augment, 3, 1, &[5]), together[1..2]);
        assert_ne!(draw(&augment, 3, 2, &[5]), together[1..2]);
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
