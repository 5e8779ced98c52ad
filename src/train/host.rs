//! The machine's memory: how much is free, keeping freed memory for the next tensor, and lending and writing the memory
//! of tensors on the CPU without libtorch. It knows no net.

use std::slice;

#[cfg(target_env = "gnu")]
use nix::libc;
use sysinfo::{MemoryRefreshKind, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tch::{Device, Kind, Tensor};

/// Freed memory that glibc keeps for this process, bytes.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 1 << 30;

/// From here on glibc keeps freed memory. Training needs tensors of the same sizes again and again, and they are larger
/// than what glibc keeps by itself. On a CPU, 224 px pictures are then decoded and varied a quarter faster, and a step
/// takes 3 % less. Variables of the environment win.
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

/// Bytes that decoded pictures may fill: a quarter of what is free, so that the page cache and others keep the rest; 1 GiB
/// where the system does not tell.
pub(super) fn room_for_pictures() -> usize {
    free_bytes().map_or(1 << 30, |free| usize::try_from(free / 4).unwrap_or(usize::MAX))
}

/// Memory that is free in this machine, and in the control group to which a container or a service may be held.
fn free_bytes() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let own = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, ProcessRefreshKind::nothing());
    let limits = system.process(own).and_then(Process::cgroup_limits);
    // The page cache counts as free: it goes when somebody wants the memory.
    let held_to = limits.map(|limits| limits.total_memory.saturating_sub(limits.rss));
    Some(held_to.unwrap_or(u64::MAX).min(system.available_memory()))
}

/// Bytes as a tensor of this size, without a copy.
///
/// # Safety
/// There are as many bytes as `size` says, and the tensor, with all that shares its memory, is dropped before they are.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_get_a_quarter_of_the_memory_that_is_free() {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let kib = |name: &str| -> u64 {
            let line = meminfo.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let room = room_for_pictures() as u64;
        assert!(room > 0 && room <= kib("MemTotal:") * 1024 / 4, "{room}");
    }
}
