//! Which device, layout and number format a run computes with, and why, in words.

use tch::{Cuda, Device, Kind};

use super::error::TrainError;
use super::net::Compute;
use super::recipe::{Precision, Recipe};

/// From this side on channels-last pays on a CPU; below it costs (measured at 48 and 112 px with oneDNN).
const CPU_CHANNELS_LAST_FROM_PX: u32 = 96;

/// Resolves `auto`, `cpu` or `cuda:N`; the text says what was taken and why.
pub(crate) fn choose(asked: &str, recipe: &Recipe) -> Result<(Compute, String), TrainError> {
    let missing = |why: &str| TrainError::Device { asked: asked.to_owned(), why: why.to_owned() };
    let (device, why) = match asked {
        "cpu" => (Device::Cpu, "as asked"),
        "auto" if Cuda::is_available() => (Device::Cuda(0), "the first that libtorch sees"),
        "auto" => (Device::Cpu, "libtorch sees no CUDA device"),
        other => {
            let index = other.strip_prefix("cuda").map(|rest| rest.trim_start_matches(':'));
            let index = match index {
                Some("") => 0,
                Some(number) => number.parse().map_err(|_| missing("it is none of auto, cpu, cuda:N"))?,
                None => return Err(missing("it is none of auto, cpu, cuda:N")),
            };
            let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
            if !Cuda::is_available() || index >= count {
                return Err(missing(&format!("libtorch sees {count} CUDA devices")));
            }
            (Device::Cuda(index), "as asked")
        }
    };
    let on_cuda = device != Device::Cpu;
    let brain = match recipe.precision {
        Precision::Auto => on_cuda,
        Precision::Bf16 => true,
        Precision::Fp32 => false,
    };
    let channels_last = on_cuda || recipe.image_size >= CPU_CHANNELS_LAST_FROM_PX;
    let compute = Compute { device, channels_last, kind: if brain { Kind::BFloat16 } else { Kind::Float } };
    let name = match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    let words = format!(
        "{name} ({why}), {}, {}",
        if brain { "bf16" } else { "fp32" },
        if channels_last { "channels-last" } else { "channels-first" }
    );
    Ok((compute, words))
}

/// The device, number format and layout that a run would get now, in words; refuses a device that is not there.
pub fn device_in_words(asked: &str, recipe: &Recipe) -> Result<String, TrainError> {
    choose(asked, recipe).map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recipe::Method;

    #[test]
    fn small_pictures_keep_channels_first_on_a_cpu_and_it_is_said() {
        let mut recipe = Recipe::new(Method::Scn);
        recipe.image_size = 48;
        let (compute, words) = choose("cpu", &recipe).unwrap();
        assert!(!compute.channels_last);
        assert_eq!(words, "cpu (as asked), fp32, channels-first");
    }

    #[test]
    fn a_device_that_is_not_there_is_refused_by_name() {
        let error = choose("tpu", &Recipe::new(Method::Scn)).unwrap_err();
        assert_eq!(error.to_string(), "device tpu is not available: it is none of auto, cpu, cuda:N");
    }
}
