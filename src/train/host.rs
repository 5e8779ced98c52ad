//! The memory of tensors on the CPU: kept, lent, and written without libtorch. Knows no work.

use std::slice;

#[cfg(target_env = "gnu")]
use nix::libc;
use tch::{Device, Kind, Tensor};

/// What glibc keeps of memory that is free again, bytes.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 1 << 30;

/// Training needs tensors of the same sizes again and again, larger than what glibc keeps by itself: from here on it keeps
/// them. On a CPU 224 px pictures are decoded and varied a quarter faster, and a step takes 3 % less. What the environment
/// says goes before.
pub(super) fn keep_memory() {
    #[cfg(target_env = "gnu")]
    for (name, what, value) in [
        ("MALLOC_MMAP_MAX_", libc::M_MMAP_MAX, 0),
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, KEPT_BYTES),
    ] {
        if std::env::var_os(name).is_none() {
            // SAFETY: glibc takes any numbers, at any time. It may refuse, and then things take longer.
            let _ = unsafe { libc::mallopt(what, value) };
        }
    }
}

/// Bytes as a tensor of this size, without a copy.
///
/// # Safety
/// There are as many bytes, and the tensor is gone, with all that shares its memory, before they are.
pub(super) unsafe fn lent(bytes: &[u8], size: &[i64]) -> Tensor {
    const DENSE: [i64; 0] = [];
    // SAFETY: the caller promises it.
    unsafe { Tensor::from_blob(bytes.as_ptr(), size, &DENSE, Kind::Uint8, Device::Cpu) }
}

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
