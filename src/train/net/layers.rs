//! Layers that several backbones are made of. They hold handles of params that [`ParamMaker`] keeps.

use tch::Tensor;

use super::super::params::ParamMaker;

/// A square convolution that keeps the size, up to its stride.
pub(super) struct Shape {
    pub(super) inputs: i64,
    pub(super) outputs: i64,
    pub(super) kernel: i64,
    pub(super) stride: i64,
    pub(super) groups: i64,
}

impl Shape {
    pub(super) fn new(inputs: i64, outputs: i64, kernel: i64, stride: i64) -> Self {
        Self { inputs, outputs, kernel, stride, groups: 1 }
    }

    /// 3×3, each channel by itself.
    pub(super) fn depthwise(channels: i64, stride: i64) -> Self {
        Self { inputs: channels, outputs: channels, kernel: 3, stride, groups: channels }
    }
}

/// A convolution without bias and the batch normalisation after it.
pub(super) struct ConvNorm {
    kernel: Tensor,
    stride: i64,
    groups: i64,
    scale: Tensor,
    offset: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl ConvNorm {
    pub(super) fn new(maker: &mut ParamMaker, [conv, norm]: [String; 2], shape: Shape) -> Self {
        let Shape { inputs, outputs, kernel, stride, groups } = shape;
        let size = [outputs, inputs / groups, kernel, kernel];
        Self {
            kernel: maker.kaiming_normal(format!("{conv}.weight"), size),
            stride,
            groups,
            scale: maker.filled(format!("{norm}.weight"), &[outputs], 1.0, true),
            offset: maker.filled(format!("{norm}.bias"), &[outputs], 0.0, true),
            running_mean: maker.filled(format!("{norm}.running_mean"), &[outputs], 0.0, false),
            running_var: maker.filled(format!("{norm}.running_var"), &[outputs], 1.0, false),
        }
    }

    pub(super) fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let padding = self.kernel.size()[2] / 2;
        let kernel = self.kernel.to_kind(x.kind());
        let x = x.conv2d(&kernel, None::<&Tensor>, [self.stride; 2], [padding; 2], [1, 1], self.groups);
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

/// A 3×3 convolution with bias.
pub(super) struct Conv {
    kernel: Tensor,
    bias: Tensor,
}

impl Conv {
    pub(super) fn new(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.kaiming_normal(format!("{name}.weight"), [outputs, inputs, 3, 3]),
            bias: maker.filled(format!("{name}.bias"), &[outputs], 0.0, true),
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let (kernel, bias) = (self.kernel.to_kind(x.kind()), self.bias.to_kind(x.kind()));
        x.conv2d(&kernel, Some(&bias), [1, 1], [1, 1], [1, 1], 1)
    }
}

/// A dense layer.
pub(super) struct Linear {
    kernel: Tensor,
    bias: Tensor,
}

impl Linear {
    /// PyTorch's usual beginning.
    pub(super) fn new(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.linear(format!("{name}.weight"), &[outputs, inputs], inputs),
            bias: maker.linear(format!("{name}.bias"), &[outputs], inputs),
        }
    }

    /// The beginning that torchvision gives to MobileNet and VGG: deviation 0.01, no bias.
    pub(super) fn narrow(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.normal(format!("{name}.weight"), &[outputs, inputs], 0.01),
            bias: maker.filled(format!("{name}.bias"), &[outputs], 0.0, true),
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.kernel, Some(&self.bias))
    }
}
