//! ResNet-18/34/50 with torchvision's names, a classifier `fc` and SCN's importance head `alpha` on the pooled feature.
//! It knows no loss and no data.

use tch::{Device, Kind, Tensor};

use super::params::{ParamMaker, Params, channels_last};
use super::recipe::Arch;

/// What the net says of N pictures, always in f32.
pub(crate) struct Output {
    /// Before the softmax and before weighting, N×C.
    pub(crate) logits: Tensor,
    /// α, 0 to 1, N.
    pub(crate) importance: Tensor,
}

/// How a net computes: where, in which memory layout, in which number format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compute {
    pub(crate) device: Device,
    pub(crate) channels_last: bool,
    /// Format of the backbone: `Float` or `BFloat16`.
    pub(crate) kind: Kind,
}

/// A backbone with its two heads.
pub(crate) struct Net {
    pub(crate) params: Params,
    pub(crate) compute: Compute,
    stem: ConvNorm,
    blocks: Vec<Block>,
    fc: Linear,
    alpha: Linear,
}

impl Net {
    /// Fresh params by seed.
    pub(crate) fn new(arch: Arch, classes: usize, seed: u64, compute: Compute) -> Self {
        let maker = &mut ParamMaker::new(seed, compute.device, compute.channels_last);
        let Plan { depths, widths, bottleneck } = Plan::of(arch);
        let stem = ConvNorm::new(maker, ["conv1", "bn1"].map(str::to_owned), Shape::new(3, widths[0], 7, 2));
        let mut width_in = widths[0];
        let mut blocks = Vec::new();
        for (layer, (depth, width)) in depths.into_iter().zip(widths).enumerate() {
            for index in 0..depth {
                let stride = if layer > 0 && index == 0 { 2 } else { 1 };
                let name = format!("layer{}.{index}", layer + 1);
                blocks.push(Block::new(maker, &name, (width_in, width, stride), bottleneck));
                width_in = if bottleneck { 4 * width } else { width };
            }
        }
        let fc = Linear::new(maker, "fc", width_in, classes as i64);
        let alpha = Linear::new(maker, "alpha", width_in, 1);
        let maker = std::mem::replace(maker, ParamMaker::new(0, Device::Cpu, false));
        Self { params: maker.finish(), compute, stem, blocks, fc, alpha }
    }

    /// Pictures N×3×H×W to logits and importance. `training` uses and updates batch statistics.
    pub(crate) fn forward(&self, pictures: &Tensor, training: bool) -> Output {
        let mut x = pictures.to_kind(self.compute.kind);
        x = if self.compute.channels_last { channels_last(&x) } else { x.contiguous() };
        x = self.stem.forward(&x, training).relu_();
        x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            x = block.forward(&x, training);
        }
        let feature = x.mean_dim([2, 3].as_slice(), false, self.compute.kind).to_kind(Kind::Float);
        Output {
            logits: self.fc.forward(&feature),
            importance: self.alpha.forward(&feature).sigmoid().reshape([-1]),
        }
    }
}

/// What tells one ResNet from another.
struct Plan {
    /// Blocks of each layer.
    depths: [usize; 4],
    /// Channels of each layer's blocks; the stem has the first's.
    widths: [i64; 4],
    bottleneck: bool,
}

impl Plan {
    fn of(arch: Arch) -> Self {
        let widths = [64, 128, 256, 512];
        match arch {
            Arch::Resnet18 => Self { depths: [2, 2, 2, 2], widths, bottleneck: false },
            Arch::Resnet34 => Self { depths: [3, 4, 6, 3], widths, bottleneck: false },
            Arch::Resnet50 => Self { depths: [3, 4, 6, 3], widths, bottleneck: true },
            #[cfg(test)]
            Arch::Tiny => Self { depths: [1; 4], widths: [8, 16, 24, 32], bottleneck: false },
        }
    }
}

struct Shape {
    inputs: i64,
    outputs: i64,
    kernel: i64,
    stride: i64,
}

impl Shape {
    fn new(inputs: i64, outputs: i64, kernel: i64, stride: i64) -> Self {
        Self { inputs, outputs, kernel, stride }
    }
}

/// A convolution without bias and the batch normalisation after it.
struct ConvNorm {
    kernel: Tensor,
    stride: i64,
    scale: Tensor,
    offset: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl ConvNorm {
    fn new(maker: &mut ParamMaker, [conv, norm]: [String; 2], shape: Shape) -> Self {
        let Shape { inputs, outputs, kernel, stride } = shape;
        Self {
            kernel: maker.kaiming_normal(format!("{conv}.weight"), [outputs, inputs, kernel, kernel]),
            stride,
            scale: maker.filled(format!("{norm}.weight"), &[outputs], 1.0, true),
            offset: maker.filled(format!("{norm}.bias"), &[outputs], 0.0, true),
            running_mean: maker.filled(format!("{norm}.running_mean"), &[outputs], 0.0, false),
            running_var: maker.filled(format!("{norm}.running_var"), &[outputs], 1.0, false),
        }
    }

    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let padding = self.kernel.size()[2] / 2;
        let kernel = self.kernel.to_kind(x.kind());
        let x = x.conv2d(&kernel, None::<&Tensor>, [self.stride; 2], [padding; 2], [1, 1], 1);
        x.batch_norm(
            Some(&self.scale),
            Some(&self.offset),
            Some(&self.running_mean),
            Some(&self.running_var),
            training,
            0.1,
            1e-5,
            true,
        )
    }
}

/// A residual block: two 3×3 convolutions, or 1×1, 3×3, 1×1 (bottleneck).
struct Block {
    steps: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl Block {
    fn new(
        maker: &mut ParamMaker,
        name: &str,
        (inputs, width, stride): (i64, i64, i64),
        bottleneck: bool,
    ) -> Self {
        let outputs = if bottleneck { 4 * width } else { width };
        let shapes = if bottleneck {
            vec![
                Shape::new(inputs, width, 1, 1),
                Shape::new(width, width, 3, stride),
                Shape::new(width, outputs, 1, 1),
            ]
        } else {
            vec![Shape::new(inputs, width, 3, stride), Shape::new(width, width, 3, 1)]
        };
        let named = |index: usize| [format!("{name}.conv{index}"), format!("{name}.bn{index}")];
        let steps = shapes
            .into_iter()
            .enumerate()
            .map(|(i, shape)| ConvNorm::new(maker, named(i + 1), shape))
            .collect();
        let changes = stride != 1 || inputs != outputs;
        let names = ["0", "1"].map(|index| format!("{name}.downsample.{index}"));
        let downsample = changes.then(|| ConvNorm::new(maker, names, Shape::new(inputs, outputs, 1, stride)));
        Self { steps, downsample }
    }

    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let mut y = x.shallow_clone();
        for (index, step) in self.steps.iter().enumerate() {
            y = step.forward(&y, training);
            if index + 1 < self.steps.len() {
                y = y.relu_();
            }
        }
        y = match &self.downsample {
            Some(downsample) => y.g_add_(&downsample.forward(x, training)),
            None => y.g_add_(x),
        };
        y.relu_()
    }
}

struct Linear {
    kernel: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.linear(format!("{name}.weight"), &[outputs, inputs], inputs),
            bias: maker.linear(format!("{name}.bias"), &[outputs], inputs),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.kernel, Some(&self.bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Compute = Compute { device: Device::Cpu, channels_last: false, kind: Kind::Float };

    /// torchvision: 62 tensors of ResNet-18 hold 11,689,512 numbers with 1000 classes, of ResNet-50 25,557,032.
    #[test]
    fn the_backbones_have_as_many_params_as_torchvision_s() {
        for (arch, expected) in
            [(Arch::Resnet18, 11_689_512), (Arch::Resnet34, 21_797_672), (Arch::Resnet50, 25_557_032)]
        {
            let net = Net::new(arch, 1000, 0, CPU);
            let trained = net.params.0.iter().filter(|p| p.trained && !p.name.starts_with("alpha"));
            assert_eq!(trained.map(|param| param.tensor.numel()).sum::<usize>(), expected, "{arch:?}");
        }
    }

    #[test]
    fn the_memory_layout_changes_no_answer() {
        let pictures = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
        let plain = Net::new(Arch::Tiny, 8, 1, CPU).forward(&pictures, false);
        let other =
            Net::new(Arch::Tiny, 8, 1, Compute { channels_last: true, ..CPU }).forward(&pictures, false);
        assert!((plain.logits - other.logits).abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn one_seed_makes_one_net() {
        let first = |seed| Net::new(Arch::Tiny, 8, seed, CPU).params.0[0].tensor.double_value(&[0, 0, 0, 0]);
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    /// Logits of torchvision 0.26's `resnet18(num_classes=8)` (torch 2.11, CPU) for the same params and pictures, which
    /// both sides make by [`waves`].
    #[test]
    fn the_logits_equal_torchvision_s() {
        let expected = [
            [-1.530_788, -2.093_981, -0.957_634, 0.943_278, 2.044_806, 1.447_113, -0.342_415, -1.830_803],
            [-1.526_501, -2.089_196, -0.956_312, 0.940_043, 2.039_691, 1.444_351, -0.340_538, -1.825_841],
        ];
        for channels_last in [false, true] {
            let net = Net::new(Arch::Resnet18, 8, 0, Compute { channels_last, ..CPU });
            tch::no_grad(|| net.params.0.iter().for_each(|param| fill(&param.name, &param.tensor)));
            let logits = net.forward(&waves(&[2, 3, 64, 64], 5.0), false).logits;
            for (picture, row) in expected.iter().enumerate() {
                for (class, number) in row.iter().enumerate() {
                    let found = logits.double_value(&[picture as i64, class as i64]);
                    assert!((found - number).abs() < 1e-4, "{found} instead of {number}");
                }
            }
        }
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
