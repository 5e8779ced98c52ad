//! ResNet-18, -34 and -50 (He et al. 2016) up to the pooled feature.

use tch::Tensor;

use super::super::params::ParamMaker;
use super::super::recipe::Arch;
use super::layers::{ConvNorm, Shape};

/// The stem and the residual blocks.
pub(super) struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
}

impl ResNet {
    /// The net, and the width of its feature.
    pub(super) fn new(maker: &mut ParamMaker, arch: Arch) -> (Self, i64) {
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
        (Self { stem, blocks }, width_in)
    }

    /// Pictures to features, N×width.
    pub(super) fn forward(&self, pictures: Tensor, training: bool) -> Tensor {
        let mut x = self.stem.forward(&pictures, training).relu_();
        x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            x = block.forward(&x, training);
        }
        x.mean_dim([2, 3].as_slice(), false, x.kind())
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
            Arch::MobilenetV2 | Arch::Vgg16 => unreachable!("another backbone"),
        }
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
