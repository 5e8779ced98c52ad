//! A net's tensors by name, made from a seed in a fixed order. It knows no layer.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// One named tensor of a net.
pub(crate) struct Param {
    /// PyTorch's name, e.g. `layer1.0.conv1.weight`.
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    /// Whether the optimizer updates it; running means and variances are not trained.
    pub(crate) trained: bool,
}

/// All tensors of a net, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Params(pub(crate) Vec<Param>);

impl Params {
    /// Handles of the trained tensors, in order.
    pub(crate) fn trained(&self) -> Vec<Tensor> {
        self.0.iter().filter(|param| param.trained).map(|param| param.tensor.shallow_clone()).collect()
    }
}

/// Makes params on a device from a seed; the values are the same on every device.
pub(crate) struct ParamMaker {
    params: Params,
    rng: ChaCha8Rng,
    device: Device,
    channels_last: bool,
}

impl ParamMaker {
    pub(crate) fn new(seed: u64, device: Device, channels_last: bool) -> Self {
        Self { params: Params::default(), rng: ChaCha8Rng::seed_from_u64(seed), device, channels_last }
    }

    pub(crate) fn finish(self) -> Params {
        self.params
    }

    fn add(&mut self, name: String, tensor: Tensor, trained: bool) -> Tensor {
        let mut tensor = tensor.to_device(self.device);
        if self.channels_last && tensor.dim() == 4 {
            tensor = channels_last(&tensor);
        }
        let tensor = tensor.set_requires_grad(trained);
        self.params.0.push(Param { name, tensor: tensor.shallow_clone(), trained });
        tensor
    }

    /// A trained tensor whose elements all start at `value`.
    pub(crate) fn filled(&mut self, name: String, shape: &[i64], value: f64) -> Tensor {
        self.add(name, Tensor::full(shape, value, (Kind::Float, Device::Cpu)), true)
    }

    /// The same, but not trained.
    pub(crate) fn untrained(&mut self, name: String, shape: &[i64], value: f64) -> Tensor {
        self.add(name, Tensor::full(shape, value, (Kind::Float, Device::Cpu)), false)
    }

    /// A trained tensor out×in×k×k, normal with deviation √(2 / fan-out), as torchvision initialises convolutions.
    pub(crate) fn kaiming_normal(&mut self, name: String, shape: [i64; 4]) -> Tensor {
        let deviation = (2.0 / (shape[0] * shape[2] * shape[3]) as f32).sqrt();
        self.normal(name, &shape, deviation)
    }

    /// A trained tensor, normal with this deviation.
    pub(crate) fn normal(&mut self, name: String, shape: &[i64], deviation: f32) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let mut numbers = Vec::with_capacity(count + 1);
        while numbers.len() < count {
            let (one, other) = normal_pair(&mut self.rng);
            numbers.extend([one * deviation, other * deviation]);
        }
        self.add(name, Tensor::from_slice(&numbers[..count]).reshape(shape), true)
    }

    /// A trained tensor, uniform within ±1/√fan-in, as PyTorch initialises linear layers.
    pub(crate) fn linear(&mut self, name: String, shape: &[i64], fan_in: i64) -> Tensor {
        let reach = 1.0 / (fan_in as f32).sqrt();
        let count = shape.iter().product::<i64>();
        let numbers: Vec<f32> = (0..count).map(|_| self.rng.random_range(-reach..reach)).collect();
        self.add(name, Tensor::from_slice(&numbers).reshape(shape), true)
    }
}

/// Two independent standard normal numbers (Box–Muller transform).
fn normal_pair(rng: &mut ChaCha8Rng) -> (f32, f32) {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
    (radius * cos, radius * sin)
}

/// The same values with channels innermost in memory.
pub(crate) fn channels_last(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolutions_start_with_torchvision_s_deviation() {
        let mut maker = ParamMaker::new(1, Device::Cpu, false);
        let tensor = maker.kaiming_normal("conv".to_owned(), [64, 32, 3, 3]);
        let expected = (2.0_f64 / (64.0 * 9.0)).sqrt();
        assert!((tensor.std(true).double_value(&[]) / expected - 1.0).abs() < 0.03);
        assert!(tensor.mean(Kind::Float).double_value(&[]).abs() < 0.002);
    }

    #[test]
    fn channels_last_changes_the_memory_layout_and_not_the_values() {
        let tensor = Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([1, 2, 3, 4]);
        let other = channels_last(&tensor);
        assert_eq!(other.stride()[1], 1);
        assert!(tensor.equal(&other));
    }
}
