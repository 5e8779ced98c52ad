//! The memory of tensors on the CPU, for work that is done without libtorch. Knows no work.

use std::slice;

use tch::{Device, Kind, Tensor};

/// # Safety
/// The tensor must be dense, f32 and on the CPU, outlive the slice, and be reached through it alone.
pub(super) unsafe fn memory(tensor: &Tensor) -> &'static mut [f32] {
    // SAFETY: the caller promises it.
    unsafe { slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

/// A tensor of this size whose numbers, 0 at first, are written in place.
pub(super) fn written(size: &[i64], write: impl FnOnce(&mut [f32])) -> Tensor {
    let tensor = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    // SAFETY: a new tensor is dense, and nobody else has it; `write` cannot keep the slice.
    write(unsafe { memory(&tensor) });
    tensor
}
