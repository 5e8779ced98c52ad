//! ResNet-18, -34 and -50 (He et al. 2016) up to the pooled feature.

use tch::Tensor;

use super::super::params::ParamMaker;
use super::super::recipe::Arch;
use super::layers::{ConvNorm, ConvShape};

/// The stem and the residual blocks.
pub(super) struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
}

impl ResNet {
    /// The net and the width of its feature.
    pub(super) fn new(maker: &mut ParamMaker, arch: Arch) -> (Self, i64) {
        let Plan { depths, widths, block } = Plan::of(arch);
        let names = ["conv1", "bn1"].map(str::to_owned);
        let stem = ConvNorm::new(maker, names, ConvShape::new(3, widths[0], 7, 2));
        let mut inputs = widths[0];
        let mut blocks = Vec::new();
        for (layer, (depth, width)) in depths.into_iter().zip(widths).enumerate() {
            for index in 0..depth {
                let stride = if layer > 0 && index == 0 { 2 } else { 1 };
                let name = format!("layer{}.{index}", layer + 1);
                let shape = BlockShape { kind: block, inputs, width, stride };
                inputs = shape.outputs();
                blocks.push(Block::new(maker, &name, &shape));
            }
        }
        (Self { stem, blocks }, inputs)
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

/// The numbers in which the ResNets differ.
struct Plan {
    /// Blocks of each layer.
    depths: [usize; 4],
    /// Channels of each layer's blocks; the stem has the first's.
    widths: [i64; 4],
    block: BlockKind,
}

impl Plan {
    fn of(arch: Arch) -> Self {
        let widths = [64, 128, 256, 512];
        match arch {
            Arch::Resnet18 => Self { depths: [2, 2, 2, 2], widths, block: BlockKind::Basic },
            Arch::Resnet34 => Self { depths: [3, 4, 6, 3], widths, block: BlockKind::Basic },
            Arch::Resnet50 => Self { depths: [3, 4, 6, 3], widths, block: BlockKind::Bottleneck },
            #[cfg(test)]
            Arch::Tiny => Self { depths: [1; 4], widths: [8, 16, 24, 32], block: BlockKind::Basic },
            Arch::MobilenetV2 | Arch::Vgg16 => unreachable!("another backbone"),
        }
    }
}

#[derive(Clone, Copy)]
enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1; the last one makes four times as many channels.
    Bottleneck,
}

/// The numbers of a [`Block`]; `width` is the number of channels inside.
struct BlockShape {
    kind: BlockKind,
    inputs: i64,
    width: i64,
    stride: i64,
}

impl BlockShape {
    fn outputs(&self) -> i64 {
        match self.kind {
            BlockKind::Basic => self.width,
            BlockKind::Bottleneck => 4 * self.width,
        }
    }

    fn convolutions(&self) -> Vec<ConvShape> {
        let Self { kind, inputs, width, stride } = *self;
        match kind {
            BlockKind::Basic => {
                vec![ConvShape::new(inputs, width, 3, stride), ConvShape::new(width, width, 3, 1)]
            }
            BlockKind::Bottleneck => vec![
                ConvShape::new(inputs, width, 1, 1),
                ConvShape::new(width, width, 3, stride),
                ConvShape::new(width, self.outputs(), 1, 1),
            ],
        }
    }
}

/// A residual block: convolutions, added to the input or to a projection of it.
struct Block {
    steps: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl Block {
    fn new(maker: &mut ParamMaker, name: &str, shape: &BlockShape) -> Self {
        let named = |index: usize| [format!("{name}.conv{index}"), format!("{name}.bn{index}")];
        let steps = shape
            .convolutions()
            .into_iter()
            .enumerate()
            .map(|(i, shape)| ConvNorm::new(maker, named(i + 1), shape))
            .collect();
        let (inputs, outputs, stride) = (shape.inputs, shape.outputs(), shape.stride);
        let projects = stride != 1 || inputs != outputs;
        let names = ["0", "1"].map(|index| format!("{name}.downsample.{index}"));
        let downsample =
            projects.then(|| ConvNorm::new(maker, names, ConvShape::new(inputs, outputs, 1, stride)));
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
