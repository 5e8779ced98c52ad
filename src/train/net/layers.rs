//! Layers that several backbones share. They hold handles of the params that their [`ParamMaker`] made.

use tch::{Device, Kind, Tensor};

use super::super::params::ParamMaker;

/// On a CPU, a convolution whose output has at most this many positions is computed as one matrix product. Measured on
/// ResNet-18's last layer, forward and backward, one core: 36 ms at 2×2 positions (oneDNN: 73), 156 ms at 4×4 (oneDNN:
/// 186); at 7×7 oneDNN is faster.
const MAX_POSITIONS_OF_A_PRODUCT: i64 = 16;

/// The numbers of a convolution with a square kernel and without bias.
pub(super) struct ConvShape {
    pub(super) inputs: i64,
    pub(super) outputs: i64,
    pub(super) kernel: i64,
    pub(super) stride: i64,
    pub(super) groups: i64,
}

impl ConvShape {
    pub(super) fn new(inputs: i64, outputs: i64, kernel: i64, stride: i64) -> Self {
        Self { inputs, outputs, kernel, stride, groups: 1 }
    }

    /// 3×3, each channel separately.
    pub(super) fn depthwise(channels: i64, stride: i64) -> Self {
        Self { inputs: channels, outputs: channels, kernel: 3, stride, groups: channels }
    }
}

/// A convolution without bias, then batch normalisation.
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
    pub(super) fn new(maker: &mut ParamMaker, [conv, norm]: [String; 2], shape: ConvShape) -> Self {
        let ConvShape { inputs, outputs, kernel, stride, groups } = shape;
        let size = [outputs, inputs / groups, kernel, kernel];
        Self {
            kernel: maker.kaiming_normal(format!("{conv}.weight"), size),
            stride,
            groups,
            scale: maker.filled(format!("{norm}.weight"), &[outputs], 1.0),
            offset: maker.filled(format!("{norm}.bias"), &[outputs], 0.0),
            running_mean: maker.untrained(format!("{norm}.running_mean"), &[outputs], 0.0),
            running_var: maker.untrained(format!("{norm}.running_var"), &[outputs], 1.0),
        }
    }

    pub(super) fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let kernel = self.kernel.to_kind(x.kind());
        convolve(x, &kernel, None, self.stride, self.groups).batch_norm(
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
            bias: maker.filled(format!("{name}.bias"), &[outputs], 0.0),
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let (kernel, bias) = (self.kernel.to_kind(x.kind()), self.bias.to_kind(x.kind()));
        convolve(x, &kernel, Some(&bias), 1, 1)
    }
}

/// Convolves N×C×H×W with padding: the output has the size of the input divided by the stride, rounded up.
fn convolve(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, stride: i64, groups: i64) -> Tensor {
    let (height, width) = (size_after(x.size()[2], stride), size_after(x.size()[3], stride));
    let is_plain = groups == 1 && x.device() == Device::Cpu && x.kind() == Kind::Float;
    if is_plain && height * width <= MAX_POSITIONS_OF_A_PRODUCT {
        return multiply(x, kernel, bias, stride);
    }
    let padding = kernel.size()[2] / 2;
    x.conv2d(kernel, bias, [stride; 2], [padding; 2], [1, 1], groups)
}

fn size_after(size: i64, stride: i64) -> i64 {
    (size + stride - 1) / stride
}

/// The same as a matrix product (im2col): N·H·W rows, each of the kernel²·C numbers that one output position depends
/// on, times the kernels. If the tensors are channels-last, only the rows are copied. N is never used as a number, so
/// that a traced net accepts any batch size.
fn multiply(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, stride: i64) -> Tensor {
    let ([_, inputs, height, width], [outputs, _, side, _]) = (sizes(x), sizes(kernel));
    let (height, width) = (size_after(height, stride), size_after(width, stride));
    let padding = side / 2;
    let x = x.permute([0, 2, 3, 1]).constant_pad_nd([0, 0, padding, padding, padding, padding]);
    let from = |x: &Tensor, dim, begin, size| x.slice(dim, begin, begin + (size - 1) * stride + 1, stride);
    let seen: Vec<Tensor> = (0..side * side)
        .map(|place| from(&from(&x, 1, place / side, height), 2, place % side, width))
        .collect();
    let numbers = side * side * inputs;
    let rows = Tensor::cat(&seen, 3).reshape([-1, numbers]);
    let kernels = kernel.permute([0, 2, 3, 1]).reshape([outputs, numbers]);
    rows.linear(&kernels, bias).view([-1, height, width, outputs]).permute([0, 3, 1, 2])
}

fn sizes(tensor: &Tensor) -> [i64; 4] {
    tensor.size().try_into().expect("a convolution has four dimensions")
}

/// A dense layer.
pub(super) struct Linear {
    kernel: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Initialised as in PyTorch: uniform within ±1/√inputs.
    pub(super) fn new(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.linear(format!("{name}.weight"), &[outputs, inputs], inputs),
            bias: maker.linear(format!("{name}.bias"), &[outputs], inputs),
        }
    }

    /// Initialised as in torchvision's MobileNet and VGG: normal with deviation 0.01, and a bias of 0.
    pub(super) fn narrow(maker: &mut ParamMaker, name: &str, inputs: i64, outputs: i64) -> Self {
        Self {
            kernel: maker.normal(format!("{name}.weight"), &[outputs, inputs], 0.01),
            bias: maker.filled(format!("{name}.bias"), &[outputs], 0.0),
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.kernel, Some(&self.bias))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::params::channels_last;
    use super::*;

    /// Values and both gradients, for the kernels and strides of the backbones, in both memory layouts.
    #[test]
    fn the_matrix_product_equals_the_convolution() {
        let cases =
            [(3, 1, [2, 2]), (3, 2, [4, 4]), (3, 1, [3, 4]), (3, 2, [3, 5]), (1, 2, [5, 4]), (1, 1, [1, 1])];
        for (side, stride, [height, width]) in cases {
            for bias in [None, Some(Tensor::arange(7, (Kind::Float, Device::Cpu)))] {
                let noise = |shape| Tensor::randn(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true);
                let (x, kernel) = (noise([3, 5, height, width]), noise([7, 5, side, side]));
                let layouts = [channels_last(&x), x.shallow_clone()];
                let expected = x.conv2d(&kernel, bias.as_ref(), [stride; 2], [side / 2; 2], [1, 1], 1);
                let grads = |y: &Tensor| {
                    Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&x, &kernel], true, false)
                };
                let expected_grads = grads(&expected);
                for x in layouts {
                    let found = multiply(&x, &kernel, bias.as_ref(), stride);
                    assert_eq!(found.size(), expected.size());
                    let off =
                        |a: &Tensor, b: &Tensor| ((a - b).abs().max() / b.abs().max()).double_value(&[]);
                    assert!(off(&found, &expected) < 1e-5, "side {side}, stride {stride}, {height}×{width}");
                    for (found, expected) in grads(&found).iter().zip(&expected_grads) {
                        assert!(
                            off(found, expected) < 1e-5,
                            "side {side}, stride {stride}, {height}×{width}"
                        );
                    }
                }
            }
        }
    }
}
