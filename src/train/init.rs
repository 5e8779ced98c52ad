//! Params from files made elsewhere, by an explicit map of names. A backbone is loaded whole or not at all.

use std::collections::HashMap;
use std::path::Path;

use tch::{CModule, Tensor, no_grad};

use super::error::TrainError;
use super::net::{Net, classifier_name};
use super::recipe::Arch;

/// Prefixes that wrappers put before PyTorch's names.
const PREFIXES: [&str; 6] = ["module.", "net.", "model.", "backbone.", "encoder.", "state_dict."];
/// The reference cuts torchvision's ResNet into a list: place in that list, torchvision's name.
const FEATURES: [(&str, &str); 6] = [
    ("features.0.", "conv1."),
    ("features.1.", "bn1."),
    ("features.4.", "layer1."),
    ("features.5.", "layer2."),
    ("features.6.", "layer3."),
    ("features.7.", "layer4."),
];
/// SCN's head. It and the classifier may be missing from a file, or have another width: they begin fresh then.
const ALPHA: &str = "alpha";

/// Fills a net's params from `.safetensors`, zip `.pt`/`.pth` or TorchScript; the text says what was taken.
///
/// Names are torchvision's, or those of [`PREFIXES`] and [`FEATURES`]; no other is guessed. The file is read by
/// libtorch without executing it. Fails when a backbone tensor is missing or has another shape, listing them. A head is taken when its shape fits,
/// and stays fresh, which is said, when it does not.
pub(crate) fn load(net: &Net, arch: Arch, path: &Path) -> Result<String, TrainError> {
    let mut tensors: HashMap<String, Tensor> =
        read(path)?.into_iter().map(|(name, tensor)| (plain_name(arch, &name), tensor)).collect();
    let found = tensors.len();
    let (mut problems, mut fresh, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for param in &net.params.0 {
        let layer = param.name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let is_head = [classifier_name(arch), ALPHA].contains(&layer);
        match tensors.remove(&param.name) {
            Some(tensor) if tensor.size() == param.tensor.size() => taken.push((&param.tensor, tensor)),
            _ if is_head => fresh.push(param.name.as_str()),
            Some(tensor) => {
                problems.push(format!(
                    "{} is {:?}, not {:?}",
                    param.name,
                    tensor.size(),
                    param.tensor.size()
                ));
            }
            None => problems.push(format!("{} is missing", param.name)),
        }
    }
    if !problems.is_empty() {
        return Err(TrainError::Init { path: path.to_owned(), arch: arch.as_str(), problems });
    }
    no_grad(|| taken.iter().for_each(|(param, tensor)| param.shallow_clone().copy_(tensor)));
    tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
    Ok(format!(
        "{} of {found} tensors loaded from {}; fresh: {}; not used: {}",
        taken.len(),
        path.display(),
        if fresh.is_empty() { "none".to_owned() } else { fresh.join(", ") },
        tensors.len()
    ))
}

/// torchvision's name for a name that a wrapper or the reference gave.
fn plain_name(arch: Arch, name: &str) -> String {
    let mut name = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    if let Some(rest) = name.strip_prefix("alpha.0.") {
        return format!("alpha.{rest}");
    }
    if classifier_name(arch) != "fc" {
        // `features.0` is these nets' own name.
        return name.to_owned();
    }
    let cut = FEATURES.iter().find_map(|(place, plain)| Some((plain, name.strip_prefix(place)?)));
    cut.map_or_else(|| name.to_owned(), |(plain, rest)| format!("{plain}{rest}"))
}

fn read(path: &Path) -> Result<Vec<(String, Tensor)>, TrainError> {
    let failed = |detail: String| TrainError::Unreadable { path: path.to_owned(), what: "params", detail };
    if !path.is_file() {
        return Err(failed("there is no such file".to_owned()));
    }
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        return Tensor::read_safetensors(path).map_err(|error| failed(error.to_string()));
    }
    // libtorch's own reader builds tensors only: a pickle that wants to run code is refused.
    let zip =
        Tensor::loadz_multi(path).or_else(|_| CModule::load(path).and_then(|net| net.named_parameters()));
    match zip {
        Ok(tensors) if !tensors.is_empty() => Ok(tensors),
        Ok(_) => Err(failed("it holds no named tensors".to_owned())),
        Err(error) => Err(failed(error.to_string().lines().next().unwrap_or_default().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::net::Compute;
    use super::*;

    const CPU: Compute = Compute { device: Device::Cpu, channels_last: false, kind: Kind::Float };

    fn write(net: &Net, path: &Path, rename: impl Fn(&str) -> Option<String>) {
        let named: Vec<(String, Tensor)> = net
            .params
            .0
            .iter()
            .filter_map(|param| Some((rename(&param.name)?, param.tensor.detach())))
            .collect();
        Tensor::write_safetensors(&named, path).unwrap();
    }

    /// Trap 1: the reference counts these as loaded and then drops every one of them.
    #[test]
    fn params_saved_by_a_wrapper_are_really_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("face.safetensors");
        let (theirs, ours) = (Net::new(Arch::Tiny, 5, 1, CPU), Net::new(Arch::Tiny, 8, 2, CPU));
        write(&theirs, &path, |name| Some(format!("module.{name}")));
        let said = load(&ours, Arch::Tiny, &path).unwrap();
        assert!(said.contains("fresh: fc.weight, fc.bias; not used: 0"), "{said}");
        assert!(ours.params.0[0].tensor.equal(&theirs.params.0[0].tensor));
    }

    /// Trap 1: a file that does not fit must say so.
    #[test]
    fn a_missing_backbone_tensor_stops_the_load_and_nothing_is_half_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        let (theirs, ours) = (Net::new(Arch::Tiny, 8, 1, CPU), Net::new(Arch::Tiny, 8, 2, CPU));
        write(&theirs, &path, |name| (name != "layer3.0.conv2.weight").then(|| name.to_owned()));
        let before = ours.params.0[0].tensor.copy();
        let message = load(&ours, Arch::Tiny, &path).unwrap_err().to_string();
        assert!(message.ends_with("does not fit tiny: layer3.0.conv2.weight is missing"), "{message}");
        assert!(ours.params.0[0].tensor.equal(&before));
    }

    #[test]
    fn names_of_wrappers_and_of_the_reference_become_torchvision_s() {
        for (name, plain) in [
            ("module.conv1.weight", "conv1.weight"),
            ("net.module.layer1.0.bn1.bias", "layer1.0.bn1.bias"),
            ("features.4.0.conv1.weight", "layer1.0.conv1.weight"),
            ("features.7.1.bn2.running_var", "layer4.1.bn2.running_var"),
            ("alpha.0.weight", "alpha.weight"),
        ] {
            assert_eq!(plain_name(Arch::Resnet18, name), plain);
        }
        let name = "module.features.0.0.weight";
        assert_eq!(plain_name(Arch::MobilenetV2, name), "features.0.0.weight", "not the reference's list");
    }

    #[test]
    fn a_file_that_holds_no_params_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.pth");
        std::fs::write(&path, b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00lstR.").unwrap();
        let net = Net::new(Arch::Tiny, 8, 2, CPU);
        assert!(matches!(load(&net, Arch::Tiny, &path), Err(TrainError::Unreadable { .. })));
    }

    /// What `torch.save({"conv1.weight": x})` writes when x pickles itself as `os.system("touch pickle-ran")`.
    const CODE_IN_A_ZIP: &str = "UEsDBBQAAAAAAAAAIQA+GemtRwAAAEcAAAAKAAAAZS9kYXRhLnBrbIACfXEAWAwAAABjb252MS53ZWlnaHRxAWNwb3Np\
        eApzeXN0ZW0KcQJYEAAAAHRvdWNoIHBpY2tsZS1yYW5xA4VxBFJxBXMuUEsDBBQAAAAAAAAAIQDRnmdVAgAAAAIAAAAJ\
        AAAAZS92ZXJzaW9uMwpQSwECFAMUAAAAAAAAACEAPhnprUcAAABHAAAACgAAAAAAAAAAAAAAgAEAAAAAZS9kYXRhLnBr\
        bFBLAQIUAxQAAAAAAAAAIQDRnmdVAgAAAAIAAAAJAAAAAAAAAAAAAACAAW8AAABlL3ZlcnNpb25QSwUGAAAAAAIAAgBv\
        AAAAmAAAAAAA";

    #[test]
    fn a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing() {
        use base64::Engine;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.pth");
        let bytes = base64::prelude::BASE64_STANDARD.decode(CODE_IN_A_ZIP).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = load(&Net::new(Arch::Tiny, 8, 2, CPU), Arch::Tiny, &path).unwrap_err();
        assert!(matches!(error, TrainError::Unreadable { .. }), "{error}");
        assert!(!Path::new("pickle-ran").exists());
    }
}
