//! The machine's memory: how much is free, keeping freed memory for later tensors, and access to the memory of tensors
//! on the CPU without a copy. It knows no net.

use std::slice;

#[cfg(target_env = "gnu")]
use nix::libc;
use sysinfo::{MemoryRefreshKind, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tch::{Device, Kind, Tensor};

/// Freed memory that glibc keeps for this process, bytes.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 1 << 30;

/// Makes glibc keep freed memory from now on. Training allocates tensors of the same sizes again and again, and they
/// are larger than what glibc keeps by default. On a CPU, 224 px pictures are then decoded and augmented a quarter
/// faster, and a step takes 3 % less time. Glibc's own environment variables take precedence.
pub(super) fn keep_memory() {
    #[cfg(target_env = "gnu")]
    for (name, what, value) in [
        ("MALLOC_MMAP_MAX_", libc::M_MMAP_MAX, 0),
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, KEPT_BYTES),
    ] {
        if std::env::var_os(name).is_none() {
            // SAFETY: glibc accepts any values at any time. Where it refuses them, training is only slower.
            let _ = unsafe { libc::mallopt(what, value) };
        }
    }
}

/// Bytes of decoded pictures to keep: a quarter of the free memory, so that the page cache and other programs keep the
/// rest.
pub(super) fn picture_cache_bytes() -> usize {
    quarter_of(free_bytes())
}

/// A quarter of the free memory; 1 GiB where that is unknown.
fn quarter_of(free_bytes: Option<u64>) -> usize {
    free_bytes.map_or(1 << 30, |free| usize::try_from(free / 4).unwrap_or(usize::MAX))
}

/// Free memory of this machine, or of this process's control group (of a container or a service) where that is less.
fn free_bytes() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let own = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, ProcessRefreshKind::nothing());
    let limits = system.process(own).and_then(Process::cgroup_limits);
    // The page cache counts as free: the kernel drops it when memory is needed.
    let in_group = limits.map(|limits| limits.total_memory.saturating_sub(limits.rss));
    Some(in_group.unwrap_or(u64::MAX).min(system.available_memory()))
}

/// A tensor of bytes that borrows its memory from a slice.
///
/// # Safety
/// `size` has as many elements as there are bytes, and the tensor, with all that share its memory, is dropped before
/// the bytes are.
pub(super) unsafe fn borrowed_tensor(bytes: &[u8], size: &[i64]) -> Tensor {
    const DENSE: [i64; 0] = [];
    // SAFETY: as the caller promises.
    unsafe { Tensor::from_blob(bytes.as_ptr(), size, &DENSE, Kind::Uint8, Device::Cpu) }
}

/// The memory of a tensor, in the order of its strides.
///
/// # Safety
/// The tensor is dense, f32 and on the CPU. While the slice lives, nothing else writes this memory; nor reads it,
/// unless the slice itself is only read.
#[expect(clippy::mut_from_ref, reason = "tensors are handles: libtorch too writes through a shared one")]
pub(super) unsafe fn slice_of(tensor: &Tensor) -> &mut [f32] {
    // SAFETY: as the caller promises.
    unsafe { slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

/// A new f32 tensor of this size on the CPU, all 0, after `fill` has written to its memory.
pub(super) fn filled(size: &[i64], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let tensor = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    // SAFETY: a new tensor is dense, and nothing else has it; `fill` cannot keep the slice.
    fill(unsafe { slice_of(&tensor) });
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_get_a_quarter_of_the_free_memory_or_a_gibibyte_where_that_is_unknown() {
        assert_eq!(quarter_of(Some(6 << 30)), 3 << 29);
        assert_eq!(quarter_of(Some(0)), 0);
        assert_eq!(quarter_of(None), 1 << 30);
    }

    #[test]
    fn no_more_memory_is_free_than_the_machine_has() {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = meminfo.lines().find(|line| line.starts_with("MemTotal:")).unwrap();
        let total_kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let free = free_bytes().unwrap();
        assert!(free > 0 && free <= total_kib * 1024, "{free} bytes of {total_kib} KiB");
    }
}
