//! MobileNetV2 (Sandler et al. 2018), width 1, up to the pooled feature.

use tch::Tensor;

use super::super::params::ParamMaker;
use super::layers::{ConvNorm, Shape};

/// Width of the feature.
pub(super) const WIDTH: i64 = 1280;
/// Table 2 of the paper: expansion, channels, blocks, first stride.
const STAGES: [(i64, i64, i64, i64); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// What is dropped of the feature in training.
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
        let stem = ConvNorm::new(maker, pair("features.0".to_owned()), Shape::new(3, width_in, 3, 2));
        let mut blocks = Vec::new();
        for (expansion, width, count, first_stride) in STAGES {
            for index in 0..count {
                let stride = if index == 0 { first_stride } else { 1 };
                let name = format!("features.{}.conv", blocks.len() + 1);
                blocks.push(Block::new(maker, &name, expansion, (width_in, width, stride)));
                width_in = width;
            }
        }
        let name = format!("features.{}", blocks.len() + 1);
        let last = ConvNorm::new(maker, pair(name), Shape::new(width_in, WIDTH, 1, 1));
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

/// 1×1 to widen, 3×3 by channel, 1×1 to narrow without an activation.
struct Block {
    widen: Option<ConvNorm>,
    spread: ConvNorm,
    narrow: ConvNorm,
    adds: bool,
}

impl Block {
    fn new(
        maker: &mut ParamMaker,
        name: &str,
        expansion: i64,
        (inputs, outputs, stride): (i64, i64, i64),
    ) -> Self {
        let wide = inputs * expansion;
        let step = |index: usize| [format!("{name}.{index}.0"), format!("{name}.{index}.1")];
        let widen = (expansion > 1).then(|| ConvNorm::new(maker, step(0), Shape::new(inputs, wide, 1, 1)));
        let at = usize::from(expansion > 1);
        let spread = ConvNorm::new(maker, step(at), Shape::depthwise(wide, stride));
        let names = [format!("{name}.{}", at + 1), format!("{name}.{}", at + 2)];
        let narrow = ConvNorm::new(maker, names, Shape::new(wide, outputs, 1, 1));
        Self { widen, spread, narrow, adds: stride == 1 && inputs == outputs }
    }

    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let wide = self.widen.as_ref().map(|widen| relu6(widen.forward(x, training)));
        let y = relu6(self.spread.forward(wide.as_ref().unwrap_or(x), training));
        let y = self.narrow.forward(&y, training);
        if self.adds { y + x } else { y }
    }
}
