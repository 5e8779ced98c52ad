//! Named tensors and a JSON state in one safetensors file, written atomically. It knows no net.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

use super::error::{CHECKPOINT, TrainError};
use crate::files::write_whole;

/// The metadata key of the state.
pub(super) const STATE: &str = "webemotion";

/// Writes tensors and state. If it fails, the old file is left as it was.
pub(crate) fn save(
    path: &Path,
    tensors: Vec<(String, Tensor)>,
    state: &impl Serialize,
) -> Result<(), TrainError> {
    let failed = |source: std::io::Error| TrainError::Write { path: path.to_owned(), source };
    let state = serde_json::to_string(state).map_err(|error| failed(error.into()))?;
    let views = tensors.into_iter().map(|(name, tensor)| (name, Bytes::of(&tensor)));
    let metadata = HashMap::from([(STATE.to_owned(), state)]);
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    write_whole(path, &bytes).map_err(failed)
}

/// The contents of a file of [`save`].
pub(crate) struct Loaded<S> {
    pub(crate) tensors: HashMap<String, Tensor>,
    pub(crate) state: S,
}

/// Reads a file of [`save`].
///
/// # Errors
/// [`TrainError::Unreadable`] for a truncated or foreign file.
pub(crate) fn load<S: DeserializeOwned>(path: &Path) -> Result<Loaded<S>, TrainError> {
    let failed = |detail: String| TrainError::Unreadable { path: path.to_owned(), what: CHECKPOINT, detail };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| failed(error.to_string()))?;
    let state = header.metadata().as_ref().and_then(|metadata| metadata.get(STATE));
    let state = state.ok_or_else(|| failed("it holds no training state".to_owned()))?;
    let state = serde_json::from_str(state).map_err(|error| failed(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::I64 => Kind::Int64,
            other => return Err(failed(format!("{name} is of type {other:?}"))),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&length| length as i64).collect();
        tensors.insert(name, Tensor::from_data_size(view.data(), &shape, kind));
    }
    Ok(Loaded { tensors, state })
}

/// A tensor's bytes in row-major order.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn of(tensor: &Tensor) -> Self {
        let (kind, dtype, width) = match tensor.kind() {
            Kind::Int64 => (Kind::Int64, Dtype::I64, 8),
            _ => (Kind::Float, Dtype::F32, 4),
        };
        let flat = tensor.detach().to_kind(kind).to_device(Device::Cpu).contiguous().reshape([-1]);
        let mut data = vec![0; flat.numel() * width];
        let bytes = flat.view_dtype(Kind::Uint8);
        bytes.copy_data_u8(&mut data, bytes.numel());
        Self { dtype, shape: tensor.size().iter().map(|&length| length as usize).collect(), data }
    }
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_one(path: &Path) {
        let tensors = vec![
            ("a".to_owned(), Tensor::from_slice(&[1.5_f32, f32::MIN_POSITIVE]).reshape([2, 1])),
            ("b".to_owned(), Tensor::from(1_i64 << 40)),
        ];
        save(path, tensors, &vec![7_u32]).unwrap();
    }

    #[test]
    fn what_is_saved_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        write_one(&path);
        let loaded: Loaded<Vec<u32>> = load(&path).unwrap();
        assert_eq!(loaded.state, [7]);
        assert!(
            loaded.tensors["a"].equal(&Tensor::from_slice(&[1.5_f32, f32::MIN_POSITIVE]).reshape([2, 1]))
        );
        assert_eq!(loaded.tensors["b"].int64_value(&[]), 1 << 40);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no part file stays");
    }

    #[test]
    fn a_truncated_or_foreign_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        write_one(&path);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(load::<Vec<u32>>(&path).is_err());
        std::fs::write(&path, b"PK pickled").unwrap();
        assert!(load::<Vec<u32>>(&path).is_err());
        Tensor::write_safetensors(&[("a", Tensor::from(1.0_f32))], &path).unwrap();
        let message = load::<Vec<u32>>(&path).err().unwrap().to_string();
        assert!(message.ends_with("it holds no training state"), "{message}");
    }
}
