//! VGG-16 (Simonyan and Zisserman 2015, configuration D, without batch normalisation) up to the feature of its last
//! dense layer.

use tch::{Kind, Tensor};

use super::super::params::ParamMaker;
use super::layers::{Conv, Linear};

/// Width of the feature.
pub(super) const WIDTH: i64 = 4096;
/// Channels of each block's convolutions; each block ends with pooling.
const BLOCKS: [&[i64]; 5] = [&[64; 2], &[128; 2], &[256; 3], &[512; 3], &[512; 3]];
/// Side of the feature map that the dense layers read.
const POOLED: i64 = 7;
/// Share of the numbers that is dropped after each dense layer in training.
const DROPOUT: f64 = 0.5;

/// Five blocks of convolutions and two dense layers.
pub(super) struct Vgg16 {
    blocks: Vec<Vec<Conv>>,
    dense: [Linear; 2],
}

impl Vgg16 {
    pub(super) fn new(maker: &mut ParamMaker) -> Self {
        // torchvision numbers convolutions, activations and poolings consecutively in one list.
        let (mut place, mut inputs) = (0, 3);
        let mut blocks = Vec::new();
        for widths in BLOCKS {
            let mut block = Vec::new();
            for &width in widths {
                block.push(Conv::new(maker, &format!("features.{place}"), inputs, width));
                (place, inputs) = (place + 2, width);
            }
            blocks.push(block);
            place += 1;
        }
        let first = Linear::narrow(maker, "classifier.0", inputs * POOLED * POOLED, WIDTH);
        let second = Linear::narrow(maker, "classifier.3", WIDTH, WIDTH);
        Self { blocks, dense: [first, second] }
    }

    /// Pictures to features, N×4096.
    pub(super) fn forward(&self, pictures: Tensor, training: bool) -> Tensor {
        let mut x = pictures;
        for block in &self.blocks {
            for conv in block {
                x = conv.forward(&x).relu_();
            }
            x = x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        }
        x = x.adaptive_avg_pool2d([POOLED; 2]).flatten(1, -1).to_kind(Kind::Float);
        for layer in &self.dense {
            x = layer.forward(&x).relu_().dropout(DROPOUT, training);
        }
        x
    }
}
