//! MobileNetV2 (Sandler et al. 2018), width 1, up to the pooled feature.

use tch::Tensor;

use super::super::params::ParamMaker;
use super::layers::{ConvNorm, ConvShape};

/// Width of the feature.
pub(super) const WIDTH: i64 = 1280;
/// Table 2 of the paper, rows of bottlenecks: expansion, channels, blocks, stride of the first block.
const STAGES: [(i64, i64, i64, i64); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// Share of the feature that is dropped in training.
const DROPOUT: f64 = 0.2;

/// Inverted residual blocks between two plain convolutions.
pub(super) struct MobileNetV2 {
    stem: ConvNorm,
    blocks: Vec<Block>,
    last: ConvNorm,
}

impl MobileNetV2 {
    pub(super) fn new(maker: &mut ParamMaker) -> Self {
        let pair = |name: String| [format!("{name}.0"), format!("{name}.1")];
        let mut width_in = 32;
        let stem = ConvNorm::new(maker, pair("features.0".to_owned()), ConvShape::new(3, width_in, 3, 2));
        let mut blocks = Vec::new();
        for (expansion, width, count, first_stride) in STAGES {
            for index in 0..count {
                let stride = if index == 0 { first_stride } else { 1 };
                let name = format!("features.{}.conv", blocks.len() + 1);
                let shape = BlockShape { expansion, inputs: width_in, outputs: width, stride };
                blocks.push(Block::new(maker, &name, shape));
                width_in = width;
            }
        }
        let name = format!("features.{}", blocks.len() + 1);
        let last = ConvNorm::new(maker, pair(name), ConvShape::new(width_in, WIDTH, 1, 1));
        Self { stem, blocks, last }
    }

    /// Pictures to features, N×1280.
    pub(super) fn forward(&self, pictures: Tensor, training: bool) -> Tensor {
        let mut x = relu6(self.stem.forward(&pictures, training));
        for block in &self.blocks {
            x = block.forward(&x, training);
        }
        x = relu6(self.last.forward(&x, training));
        x.mean_dim([2, 3].as_slice(), false, x.kind()).dropout(DROPOUT, training)
    }
}

fn relu6(mut x: Tensor) -> Tensor {
    x.relu6_()
}

/// The numbers of a [`Block`]; `expansion` is its inner width as a multiple of `inputs`.
struct BlockShape {
    expansion: i64,
    inputs: i64,
    outputs: i64,
    stride: i64,
}

/// An inverted residual block: 1×1 to widen (unless the expansion is 1), 3×3 depthwise, 1×1 to narrow without
/// activation.
struct Block {
    widen: Option<ConvNorm>,
    depthwise: ConvNorm,
    narrow: ConvNorm,
    has_shortcut: bool,
}

impl Block {
    fn new(maker: &mut ParamMaker, name: &str, shape: BlockShape) -> Self {
        let BlockShape { expansion, inputs, outputs, stride } = shape;
        let wide = inputs * expansion;
        let step = |index: usize| [format!("{name}.{index}.0"), format!("{name}.{index}.1")];
        let widen =
            (expansion > 1).then(|| ConvNorm::new(maker, step(0), ConvShape::new(inputs, wide, 1, 1)));
        let at = usize::from(expansion > 1);
        let depthwise = ConvNorm::new(maker, step(at), ConvShape::depthwise(wide, stride));
        let names = [format!("{name}.{}", at + 1), format!("{name}.{}", at + 2)];
        let narrow = ConvNorm::new(maker, names, ConvShape::new(wide, outputs, 1, 1));
        Self { widen, depthwise, narrow, has_shortcut: stride == 1 && inputs == outputs }
    }

    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let wide = self.widen.as_ref().map(|widen| relu6(widen.forward(x, training)));
        let y = relu6(self.depthwise.forward(wide.as_ref().unwrap_or(x), training));
        let y = self.narrow.forward(&y, training);
        if self.has_shortcut { y + x } else { y }
    }
}
