//! The three file formats of PyTorch: `torch.save` (a zip), `torch.save` before version 1.6, and TorchScript. Each
//! holds pickles that describe tensors, and apart from them the tensors' numbers.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use tch::{Kind, Tensor};

use super::Refused;
use super::archive::{self, Archive};
use super::pickle::{MORE_THAN_PARAMS, Pickle, Place, Value, View};

/// The start of a file from before version 1.6: a pickle of the magic number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Keys under which checkpoints keep the params, the likeliest first.
const WITHIN: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];
/// Submodules of a scripted net that are nested deeper are ignored.
const DEPTH: usize = 64;
/// Tensors with longer names are ignored, bytes.
const LONGEST_NAME: usize = 1_000;

/// The named tensors of a file.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) tensors: Vec<(String, Tensor)>,
    /// The key of [`WITHIN`] that they were under, if any.
    pub(super) within: Option<&'static str>,
}

/// Reads a whole file.
///
/// # Errors
/// When it is cut off, holds no named tensors, or refers to anything but tensors and plain values. Nothing in it is
/// run.
pub(super) fn read(bytes: &[u8]) -> Result<Saved, Refused> {
    if bytes.starts_with(archive::BEGIN) {
        zipped(bytes)
    } else if bytes.starts_with(LEGACY) {
        legacy(bytes)
    } else {
        Err(Refused::because("it is no file that PyTorch saved".to_owned()))
    }
}

fn zipped(bytes: &[u8]) -> Result<Saved, Refused> {
    let because = |detail: &str| Refused::because(detail.to_owned());
    let archive = Archive::of(bytes)
        .ok_or_else(|| because("it is cut off, its entries overlap, or it is larger than 4 GiB"))?;
    let folder = archive.folder().ok_or_else(|| because("it is a zip, but none that PyTorch saved"))?;
    let entry = |name: &str| archive.get(&format!("{folder}{name}"));
    if entry("byteorder").is_some_and(|order| order != b"little") {
        return Err(because("its numbers are big-endian"));
    }
    let pickled = entry("data.pkl").ok_or_else(|| because("its data.pkl is compressed"))?;
    let pickle = Pickle::read(pickled, &mut 0)?;
    let saved = named(&pickle, |key, _| entry(&format!("data/{key}")))?;
    if saved.tensors.is_empty() && entry("constants/0").is_some() {
        let detail = "it is a traced net whose params are constants without names".to_owned();
        return Err(Refused {
            detail,
            remedy: "export-net writes the params too: name the net.safetensors beside it",
        });
    }
    some(saved)
}

/// Reads the format before version 1.6: pickles of the magic number, the version, the machine, the saved object and the
/// keys of its storages; then for each key the count of its numbers, and the numbers.
fn legacy(bytes: &[u8]) -> Result<Saved, Refused> {
    let cut_off = || Refused::because("its numbers are cut off".to_owned());
    let mut at = LEGACY.len();
    let [_version, _machine] = [Pickle::read(bytes, &mut at)?, Pickle::read(bytes, &mut at)?];
    let pickle = Pickle::read(bytes, &mut at)?;
    let kinds = pickle.values().iter().filter_map(|value| match value {
        Value::Storage(storage) => Some((storage.key, storage.kind)),
        _ => None,
    });
    let kinds: HashMap<&str, Kind> = kinds.collect();
    let keys = Pickle::read(bytes, &mut at)?;
    let Value::List(listed) = keys.get(keys.root) else { return Err(cut_off()) };
    let mut storages = HashMap::new();
    for &key in listed {
        let Value::Text(key) = *keys.get(key) else { return Err(cut_off()) };
        let width = kinds.get(key).ok_or_else(cut_off)?.elt_size_in_bytes();
        let (count, rest) = bytes.get(at..).and_then(<[u8]>::split_first_chunk).ok_or_else(cut_off)?;
        let size =
            usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(width));
        let numbers = size.and_then(|size| rest.get(..size)).ok_or_else(cut_off)?;
        at += count.len() + numbers.len();
        storages.insert(key, (kinds[key], numbers));
    }
    // A pickle may use one key with two formats, but its length was computed for one of them.
    some(named(&pickle, |key, kind| {
        storages.get(key).filter(|(own, _)| *own == kind).map(|(_, numbers)| *numbers)
    })?)
}

fn some(saved: Saved) -> Result<Saved, Refused> {
    if saved.tensors.is_empty() {
        let detail = "it holds no named tensors".to_owned();
        return Err(Refused { detail, remedy: MORE_THAN_PARAMS });
    }
    Ok(saved)
}

/// The named tensors of a pickle; `bytes` returns the content of a storage, by its key and format.
fn named<'a>(pickle: &Pickle<'a>, bytes: impl Fn(&str, Kind) -> Option<&'a [u8]>) -> Result<Saved, Refused> {
    let nested = WITHIN.iter().find_map(|&name| {
        let (_, place) = pickle.fields(pickle.root).find(|(field, _)| *field == name)?;
        Some((views(pickle, place), Some(name))).filter(|(views, _)| !views.is_empty())
    });
    // A scripted net may have a submodule of that name; there it is a prefix of the tensors' names.
    let nested = nested.filter(|_| matches!(pickle.get(pickle.root), Value::Dict(_)));
    let (views, within) = nested.unwrap_or_else(|| (views(pickle, pickle.root), None));
    let mut storages = HashMap::new();
    let tensors = views.into_iter().map(|(name, view)| match tensor(view, &mut storages, &bytes) {
        Ok(tensor) => Ok((name, tensor)),
        Err(why) => Err(Refused::because(format!("{name} {why}"))),
    });
    Ok(Saved { tensors: tensors.collect::<Result<_, _>>()?, within })
}

/// The tensors of a dict, or of a scripted net with all its submodules, whose names are joined by dots. A submodule
/// with several owners is listed once, so that a small file cannot list tensors without end.
fn views<'p, 'a>(pickle: &'p Pickle<'a>, root: Place) -> Vec<(String, &'p View<'a>)> {
    let mut found = Vec::new();
    let held = |place: Place| match pickle.get(place) {
        Value::Part(Some(held)) => *held,
        _ => place,
    };
    let mut seen = HashSet::from([held(root)]);
    let mut left = vec![(String::new(), root, 0)];
    while let Some((prefix, place, depth)) = left.pop() {
        for (name, value) in pickle.fields(place) {
            if prefix.len() + name.len() > LONGEST_NAME {
                continue;
            }
            match pickle.get(value) {
                Value::Tensor(view) => found.push((format!("{prefix}{name}"), &**view)),
                Value::Part(_) if depth < DEPTH && seen.insert(held(value)) => {
                    left.push((format!("{prefix}{name}."), value, depth + 1));
                }
                _ => {}
            }
        }
    }
    found
}

/// The storages read so far.
type Storages<'a> = HashMap<(&'a str, Kind), Tensor>;

/// The tensor of a view; all views of one storage share its memory. The error completes a sentence that starts with the
/// tensor's name.
fn tensor<'a>(
    view: &View<'a>,
    storages: &mut Storages<'a>,
    bytes: impl Fn(&str, Kind) -> Option<&'a [u8]>,
) -> Result<Tensor, String> {
    let (key, kind) = (view.storage.key, view.storage.kind);
    let bytes = bytes(key, kind).ok_or("has no numbers in the file")?;
    let count = bytes.len() / kind.elt_size_in_bytes();
    if !lies_within(view, count) {
        return Err("reaches beyond its numbers".to_owned());
    }
    let in_words = |error: tch::TchError| format!("cannot be made: {}", super::first_line(&error));
    let whole = &bytes[..count * kind.elt_size_in_bytes()];
    let storage = match storages.entry((key, kind)) {
        Entry::Occupied(read) => read.into_mut(),
        Entry::Vacant(place) => {
            place.insert(Tensor::f_from_data_size(whole, &[count as i64], kind).map_err(in_words)?)
        }
    };
    storage.f_as_strided(&view.shape, &view.strides, view.offset).map_err(in_words)
}

/// Whether all numbers of a view are among the first `count` of its storage.
fn lies_within(view: &View<'_>, count: usize) -> bool {
    let lengths = view.shape.iter().chain(&view.strides);
    if view.shape.len() != view.strides.len() || lengths.chain([&view.offset]).any(|&length| length < 0) {
        return false;
    }
    let numbers = view.shape.iter().try_fold(1_i64, |numbers, &length| numbers.checked_mul(length));
    let last = view.shape.iter().zip(&view.strides).try_fold(view.offset, |last, (&length, &stride)| {
        last.checked_add((length - 1).max(0).checked_mul(stride)?)
    });
    match (numbers, last) {
        (Some(0), Some(_)) => view.offset <= count as i64,
        (Some(_), Some(last)) => last < count as i64,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &[u8] = include_bytes!("../../../tests/params/state.pth");
    const KINDS: &[u8] = include_bytes!("../../../tests/params/kinds.pth");
    const CHECKPOINT: &[u8] = include_bytes!("../../../tests/params/checkpoint.pth");
    const LEGACY: &[u8] = include_bytes!("../../../tests/params/legacy.pth");
    const OLDEST: &[u8] = include_bytes!("../../../tests/params/oldest.pth");
    const SCRIPT: &[u8] = include_bytes!("../../../tests/params/script.pt");
    const TRACE: &[u8] = include_bytes!("../../../tests/params/trace.pt");
    const WHOLE: &[u8] = include_bytes!("../../../tests/params/whole.pth");

    /// The tensors of [`STATE`]; their numbers are 0, 1, 2 and so on, continued from one tensor to the next.
    const NAMES: [(&str, &[i64]); 7] = [
        ("conv1.weight", &[2, 1, 1, 1]),
        ("conv1.bias", &[2]),
        ("layer1.0.weight", &[2]),
        ("layer1.0.bias", &[2]),
        ("layer1.0.running_mean", &[2]),
        ("layer1.0.running_var", &[2]),
        ("layer1.0.num_batches_tracked", &[]),
    ];

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    #[test]
    fn all_tensors_are_read_from_every_format_of_pytorch() {
        let nested = Some("model_state_dict");
        let files = [
            (STATE, None, 7),
            (CHECKPOINT, nested, 7),
            (LEGACY, nested, 7),
            (OLDEST, None, 6),
            (SCRIPT, None, 7),
            (TRACE, None, 7),
        ];
        for (bytes, within, count) in files {
            let saved = read(bytes).unwrap();
            assert_eq!((saved.within, saved.tensors.len()), (within, count));
            let plain =
                |(name, tensor): (String, Tensor)| (name.trim_start_matches("module.").to_owned(), tensor);
            let tensors: HashMap<String, Tensor> = saved.tensors.into_iter().map(plain).collect();
            let mut next = 0.0;
            for (name, shape) in &NAMES[..count] {
                let tensor = &tensors[*name];
                assert_eq!(tensor.size(), *shape, "{name}");
                for number in numbers(tensor) {
                    assert!((number - next).abs() < 1e-9, "{name}: {number} instead of {next}");
                    next += 1.0;
                }
            }
        }
    }

    #[test]
    fn number_formats_and_views_of_shared_storages_are_kept() {
        let tensors: HashMap<String, Tensor> = read(KINDS).unwrap().tensors.into_iter().collect();
        for (name, kind, expected) in [
            ("half", Kind::Half, &[0.5, -2.0][..]),
            ("brain", Kind::BFloat16, &[0.5, -2.0]),
            ("double", Kind::Double, &[0.5, -2.0]),
            ("truth", Kind::Bool, &[1.0, 0.0]),
            ("transposed", Kind::Float, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("tail", Kind::Float, &[4.0, 5.0]),
            ("parameter", Kind::Float, &[7.0]),
            ("scalar", Kind::Int64, &[3.0]),
            ("empty", Kind::Float, &[]),
        ] {
            assert_eq!((tensors[name].kind(), &numbers(&tensors[name])[..]), (kind, expected), "{name}");
        }
        assert_eq!(tensors["transposed"].size(), [3, 2]);
    }

    #[test]
    fn a_pickled_net_is_refused_by_its_class_with_a_line_that_converts_it() {
        let refused = read(WHOLE).unwrap_err();
        assert!(
            refused.detail.starts_with("it is a pickled torch.nn.modules.conv.Conv2d"),
            "{}",
            refused.detail
        );
        assert!(refused.remedy.contains("state_dict(), NEW)"), "{}", refused.remedy);
    }

    /// A dict of a tensor whose name has `length` bytes, and of two submodules `a` and `b` that share a dict of one
    /// tensor.
    fn shared_submodule(length: usize) -> Vec<u8> {
        let name = |name: &str| [&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat();
        let storage = [&name("storage")[..], b"ctorch\nFloatStorage\n", &name("0"), &name("cpu")].concat();
        let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n((", &storage[..], b"K\x01tQK\x00))tR"].concat();
        let part = b"c__torch__\nPart\n)\x81h\x01b";
        let held = [&b"}q\x01"[..], &name("t"), &tensor, b"s"].concat();
        let parts = [&name("a")[..], b"c__torch__\nPart\n)\x81", &held, b"b", &name("b"), part].concat();
        [&b"\x80\x02}("[..], &parts, &name(&"x".repeat(length)), &tensor, b"u."].concat()
    }

    #[test]
    fn shared_submodules_are_listed_once_and_tensors_with_too_long_names_are_ignored() {
        let names = |length: usize| {
            let bytes = shared_submodule(length);
            let pickle = Pickle::read(&bytes, &mut 0).unwrap();
            views(&pickle, pickle.root).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(4), ["xxxx", "a.t"]);
        assert_eq!(names(1_001), ["a.t"]);
    }

    /// No length, offset or name in a file is trusted.
    #[test]
    fn a_damaged_file_never_panics_and_a_shortened_one_is_an_error() {
        for bytes in [STATE, LEGACY, SCRIPT] {
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "the first {end} of {} bytes", bytes.len());
            }
        }
        for bytes in [STATE, LEGACY] {
            for at in 0..bytes.len() {
                let mut broken = bytes.to_vec();
                broken[at] ^= 0xff;
                let _ = read(&broken);
            }
        }
    }
}
