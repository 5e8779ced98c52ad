//! Backbones with torchvision's layers and names, a classifier, and SCN's importance head `alpha`, which reads the same
//! feature as the classifier. It knows no loss and no data; only [`Output`] knows the method.

mod layers;
mod mobilenet;
mod output;
mod resnet;
mod vgg;

use tch::{Device, Kind, Tensor};

use super::params::{ParamMaker, Params, channels_last};
use super::recipe::Arch;
use layers::Linear;
use mobilenet::MobileNetV2;
pub(crate) use output::Output;
use resnet::ResNet;
use vgg::Vgg16;

/// The device, memory layout and number format that a net computes with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compute {
    pub(crate) device: Device,
    pub(crate) channels_last: bool,
    /// Format of the backbone: `Float` or `BFloat16`.
    pub(crate) kind: Kind,
}

/// A backbone with a classifier and an importance head.
pub(crate) struct Net {
    pub(crate) params: Params,
    pub(crate) compute: Compute,
    backbone: Backbone,
    classifier: Linear,
    alpha: Linear,
}

/// Maps pictures to features.
enum Backbone {
    ResNet(ResNet),
    MobileNetV2(MobileNetV2),
    Vgg16(Vgg16),
}

impl Net {
    /// A net with random params from a seed.
    pub(crate) fn new(arch: Arch, classes: usize, seed: u64, compute: Compute) -> Self {
        let mut maker = ParamMaker::new(seed, compute.device, compute.channels_last);
        let (backbone, width) = Backbone::new(&mut maker, arch);
        let classifier = match backbone {
            Backbone::ResNet(_) => Linear::new(&mut maker, classifier_name(arch), width, classes as i64),
            _ => Linear::narrow(&mut maker, classifier_name(arch), width, classes as i64),
        };
        let alpha = Linear::new(&mut maker, "alpha", width, 1);
        Self { params: maker.finish(), compute, backbone, classifier, alpha }
    }

    /// Pictures N×3×H×W to logits and importance, with the running batch statistics of training.
    pub(crate) fn forward(&self, pictures: &Tensor) -> Output {
        self.through(pictures, false)
    }

    /// The same in training: uses the batch's statistics and updates the running ones; where the architecture has
    /// dropout, it draws from libtorch's random generator (see [`Net::has_dropout`]).
    pub(crate) fn forward_in_training(&self, pictures: &Tensor) -> Output {
        self.through(pictures, true)
    }

    fn through(&self, pictures: &Tensor, training: bool) -> Output {
        let x = pictures.to_kind(self.compute.kind);
        let x = if self.compute.channels_last { channels_last(&x) } else { x.contiguous() };
        let feature = match &self.backbone {
            Backbone::ResNet(net) => net.forward(x, training),
            Backbone::MobileNetV2(net) => net.forward(x, training),
            Backbone::Vgg16(net) => net.forward(x, training),
        };
        let feature = feature.to_kind(Kind::Float);
        Output {
            logits: self.classifier.forward(&feature),
            importance: self.alpha.forward(&feature).sigmoid().reshape([-1]),
        }
    }

    /// Whether training draws from libtorch's random generator, which must then be seeded before each forward pass for
    /// runs to be repeatable.
    pub(crate) fn has_dropout(&self) -> bool {
        !matches!(self.backbone, Backbone::ResNet(_))
    }
}

/// torchvision's name of the classifier's last layer.
pub(crate) fn classifier_name(arch: Arch) -> &'static str {
    match arch {
        Arch::MobilenetV2 => "classifier.1",
        Arch::Vgg16 => "classifier.6",
        _ => "fc",
    }
}

impl Backbone {
    /// The backbone and the width of its feature.
    fn new(maker: &mut ParamMaker, arch: Arch) -> (Self, i64) {
        match arch {
            Arch::MobilenetV2 => (Self::MobileNetV2(MobileNetV2::new(maker)), mobilenet::WIDTH),
            Arch::Vgg16 => (Self::Vgg16(Vgg16::new(maker)), vgg::WIDTH),
            _ => {
                let (net, width) = ResNet::new(maker, arch);
                (Self::ResNet(net), width)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::cuda_devices;
    use super::*;

    const CPU: Compute = Compute { device: Device::Cpu, channels_last: false, kind: Kind::Float };

    /// The counts are those of torchvision 0.26 with 1000 classes.
    #[test]
    fn the_backbones_have_as_many_params_as_torchvision_s() {
        for (arch, expected) in [
            (Arch::Resnet18, 11_689_512),
            (Arch::Resnet34, 21_797_672),
            (Arch::Resnet50, 25_557_032),
            (Arch::MobilenetV2, 3_504_872),
        ] {
            let net = Net::new(arch, 1000, 0, CPU);
            let trained = net.params.0.iter().filter(|p| p.trained && !p.name.starts_with("alpha"));
            assert_eq!(trained.map(|param| param.tensor.numel()).sum::<usize>(), expected, "{arch:?}");
        }
    }

    #[test]
    fn the_memory_layout_does_not_change_the_logits() {
        let pictures = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
        let plain = Net::new(Arch::Tiny, 8, 1, CPU).forward(&pictures);
        let other = Net::new(Arch::Tiny, 8, 1, Compute { channels_last: true, ..CPU }).forward(&pictures);
        assert!((plain.logits - other.logits).abs().max().double_value(&[]) < 1e-4);
    }

    /// Skipped, and says so, where there is no GPU; `scripts/gpu-check` sets a variable that makes skipping a failure.
    #[test]
    fn a_gpu_gives_the_same_logits() {
        if let Err(why) = cuda_devices() {
            assert!(std::env::var_os("WEBEMOTION_TEST_GPU").is_none(), "{why}");
            println!("SKIPPED: {why}");
            return;
        }
        let pictures = waves(&[4, 3, 112, 112], 5.0);
        for arch in [Arch::Resnet18, Arch::MobilenetV2] {
            let on = |compute: Compute| {
                let net = Net::new(arch, 8, 1, compute);
                net.forward(&pictures.to_device(compute.device)).logits.to_device(Device::Cpu)
            };
            let (here, there) =
                (on(CPU), on(Compute { device: Device::Cuda(0), channels_last: true, ..CPU }));
            // TF32 keeps ten bits.
            assert!((here - there).abs().max().double_value(&[]) < 2e-2, "{arch:?}");
        }
    }

    /// In bf16 the sigmoid's values near 1 are 0.4 % apart, and importance saturates.
    #[test]
    fn importance_is_computed_in_f32_under_bf16() {
        let net = Net::new(Arch::Tiny, 8, 1, Compute { kind: Kind::BFloat16, ..CPU });
        let output = tch::no_grad(|| net.forward(&waves(&[16, 3, 32, 32], 5.0)));
        assert_eq!((output.importance.kind(), output.logits.kind()), (Kind::Float, Kind::Float));
        let rounded = output.importance.to_kind(Kind::BFloat16).to_kind(Kind::Float);
        assert!(!rounded.equal(&output.importance), "the importances were rounded to bf16");
    }

    #[test]
    fn the_seed_determines_the_params() {
        let first = |seed| Net::new(Arch::Tiny, 8, seed, CPU).params.0[0].tensor.double_value(&[0, 0, 0, 0]);
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    /// Expected: torchvision 0.26's `resnet18(num_classes=8)` (torch 2.11, CPU) for params and pictures that both sides
    /// make with [`waves`].
    #[test]
    fn the_logits_equal_torchvision_s() {
        let expected = [
            [-1.530_788, -2.093_981, -0.957_634, 0.943_278, 2.044_806, 1.447_113, -0.342_415, -1.830_803],
            [-1.526_501, -2.089_196, -0.956_312, 0.940_043, 2.039_691, 1.444_351, -0.340_538, -1.825_841],
        ];
        for channels_last in [false, true] {
            let net = Net::new(Arch::Resnet18, 8, 0, Compute { channels_last, ..CPU });
            tch::no_grad(|| net.params.0.iter().for_each(|param| fill(&param.name, &param.tensor)));
            let logits = net.forward(&waves(&[2, 3, 64, 64], 5.0)).logits;
            for (picture, row) in expected.iter().enumerate() {
                for (class, number) in row.iter().enumerate() {
                    let found = logits.double_value(&[picture as i64, class as i64]);
                    assert!((found - number).abs() < 1e-4, "{found} instead of {number}");
                }
            }
        }
    }

    /// The same for `mobilenet_v2` and `vgg16`, with params made by [`chaos`]. Dropout is off outside training (in
    /// SCN's public code it stays on). The smallest pictures that a recipe may have pass in training as well.
    #[test]
    fn the_logits_of_the_other_backbones_equal_torchvision_s() {
        let expected = [
            (Arch::MobilenetV2, [8.538_834, 2.314_025, -0.383_711, 2.370_673, 0.841_059, -0.021_279]),
            (Arch::Vgg16, [2.550_251, 0.730_22, -0.644_1, 1.063_69, 0.643_49, 0.298_691]),
        ];
        for (arch, row) in expected {
            let net = Net::new(arch, 8, 0, CPU);
            tch::no_grad(|| net.params.0.iter().for_each(|param| chaotic(arch, &param.name, &param.tensor)));
            let logits = tch::no_grad(|| net.forward(&chaos(&[2, 3, 64, 64], 5.0)).logits);
            for (class, number) in row.into_iter().enumerate() {
                let found = logits.double_value(&[0, class as i64]);
                assert!((found - number).abs() < 1e-4, "{arch:?}: {found} instead of {number}");
            }
            let side = i64::from(arch.least_image_size().0);
            let least = tch::no_grad(|| net.forward_in_training(&chaos(&[2, 3, side, side], 5.0)).logits);
            assert_eq!(least.size(), [2, 8], "{arch:?}, {side} px");
        }
    }

    /// sin(0.37·i² + phase) for the i-th of 9973 numbers, repeated.
    fn chaos(shape: &[i64], phase: f64) -> Tensor {
        const PERIOD: i64 = 9973;
        let numbers: Vec<f32> = (0..PERIOD).map(|i| ((i * i) as f64 * 0.37 + phase).sin() as f32).collect();
        let count = shape.iter().product::<i64>();
        Tensor::from_slice(&numbers)
            .repeat([(count + PERIOD - 1) / PERIOD])
            .narrow(0, 0, count)
            .reshape(shape)
    }

    fn chaotic(arch: Arch, name: &str, param: &Tensor) {
        let phase = name.bytes().map(u32::from).sum::<u32>() % 97;
        let shape = param.size();
        let numbers = chaos(&shape, phase.into());
        let value = match shape.len() {
            _ if name.ends_with("running_var") => numbers.square() * 0.5 + 1.0,
            4 => numbers * (4.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt(),
            _ if name.starts_with(classifier_name(arch)) => numbers * 0.05,
            2 => numbers * (4.0 / shape[1] as f64).sqrt(),
            _ if name.ends_with("weight") => numbers * 0.2 + 1.0,
            _ => numbers * 0.1,
        };
        param.shallow_clone().copy_(&value);
    }

    /// sin(0.37·i + phase) for the i-th number.
    fn waves(shape: &[i64], phase: f64) -> Tensor {
        let count = shape.iter().product::<i64>();
        let numbers: Vec<f32> = (0..count).map(|i| (i as f64 * 0.37 + phase).sin() as f32).collect();
        Tensor::from_slice(&numbers).reshape(shape)
    }

    fn fill(name: &str, param: &Tensor) {
        let phase = name.bytes().map(u32::from).sum::<u32>() % 97;
        let shape = param.size();
        let wave = waves(&shape, phase.into());
        let value = match shape.len() {
            _ if name.ends_with("running_var") => wave.square() * 0.5 + 1.0,
            4 => wave * (2.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt(),
            _ if name.starts_with("fc") => wave * 0.05,
            _ if name.ends_with("weight") => wave * 0.2 + 1.0,
            _ => wave * 0.1,
        };
        param.shallow_clone().copy_(&value);
    }
}
