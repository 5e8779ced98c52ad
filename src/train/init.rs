//! Initial params from a file, by an explicit map of names. A backbone is loaded whole or not at all.

mod archive;
mod pickle;
mod saved;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use tch::{Tensor, no_grad};

use super::checkpoint::STATE;
use super::data::known_by;
use super::error::TrainError;
use super::net::{Net, classifier_name};
use super::params::Param;
use super::recipe::{Arch, Normalise, Recipe};
use super::resume::AVERAGED;

/// Prefixes that wrappers put in front of PyTorch's names.
const PREFIXES: [&str; 6] = ["module.", "net.", "model.", "backbone.", "encoder.", "state_dict."];
/// SCN's public code makes a list of torchvision's ResNet: the prefix of a place in that list, and torchvision's.
const FEATURES: [(&str, &str); 6] = [
    ("features.0.", "conv1."),
    ("features.1.", "bn1."),
    ("features.4.", "layer1."),
    ("features.5.", "layer2."),
    ("features.6.", "layer3."),
    ("features.7.", "layer4."),
];
/// SCN's head. It and the classifier may be missing from a file, or have another shape; they stay random then.
const ALPHA: &str = "alpha";

/// Why a file is refused, and what its owner can do.
#[derive(Debug)]
struct Refused {
    detail: String,
    remedy: &'static str,
}

impl Refused {
    fn because(detail: String) -> Self {
        Self {
            detail,
            remedy: "accepted are .safetensors, what torch.save wrote of a state dict, and TorchScript",
        }
    }
}

/// The content of a file of params.
struct Content {
    tensors: Vec<(String, Tensor)>,
    /// The part of a checkpoint that the tensors are from, if they are not all of it.
    within: Option<&'static str>,
    /// The metadata of a file that this program wrote.
    card: Option<OwnCard>,
}

/// The part of a file's metadata that is used here; only files of this program have it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct OwnCard {
    /// The classes of its classifier, in order.
    classes: Vec<String>,
    recipe: OwnRecipe,
    /// The data its net was trained on: names joined by `+`, a colon, and counts.
    #[serde(default)]
    data: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct OwnRecipe {
    normalise: Normalise,
}

impl OwnCard {
    /// Reads it from the head of a file; `None` if the file is missing or was made by another program.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let is_own = path.extension().is_some_and(|extension| extension == "safetensors");
        if is_own { Self::read(File::open(path).ok()?) } else { None }
    }

    fn read(mut file: impl Read) -> Option<Self> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "__metadata__")]
            metadata: HashMap<String, String>,
        }
        #[derive(Deserialize)]
        struct State {
            net: OwnCard,
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let mut head = Vec::new();
        file.take(u64::from_le_bytes(length)).read_to_end(&mut head).ok()?;
        let head: Head = serde_json::from_slice(&head).ok()?;
        let state: State = serde_json::from_str(head.metadata.get(STATE)?).ok()?;
        Some(state.net)
    }

    /// The normalisation that its net was trained with.
    pub(crate) fn normalise(&self) -> Normalise {
        self.recipe.normalise
    }

    /// Whether its net was trained on one of the data sets that a set's name joins by `+`.
    pub(crate) fn has_learnt_from(&self, set: &str) -> bool {
        let own = self.data.rsplit_once(": ").map_or(self.data.as_str(), |(names, _)| names);
        set.split('+').any(|name| own.split('+').any(|other| other == name))
    }
}

/// Fills a net's params from the file that a recipe names, if it names one. The text says what was taken, and whether
/// the file's net was trained with another normalisation than the recipe's.
pub(crate) fn begin(net: &Net, recipe: &Recipe, classes: &[String]) -> Result<Option<String>, TrainError> {
    let Some(path) = &recipe.init else { return Ok(None) };
    let mut text = load(net, recipe.arch, classes, path)?;
    let theirs = OwnCard::of(path).map(|card| card.normalise());
    if let Some(theirs) = theirs.filter(|&theirs| theirs != recipe.normalise) {
        let (theirs, ours) = (theirs.as_str(), recipe.normalise.as_str());
        text.push_str(&format!(
            "; its net learnt from pictures normalised as {theirs}, here they are as {ours}"
        ));
    }
    Ok(Some(text))
}

/// Fills a net's params from `.safetensors`, what `torch.save` wrote (`.pt`, `.pth`) or TorchScript; the text says what
/// was taken. Nothing in the file is executed.
///
/// Names are torchvision's, with the prefixes of [`PREFIXES`] and [`FEATURES`]; no others are guessed. SCN's head is
/// taken if its shape fits, the classifier if the file names `classes`, in any order; otherwise they stay random, and
/// the text says so. Without class names it is unknown which row of a classifier is which class: data sets order the
/// same emotions differently.
///
/// # Errors
/// When the file cannot be read, or a backbone tensor is missing or has another shape; the error lists them.
fn load(net: &Net, arch: Arch, classes: &[String], path: &Path) -> Result<String, TrainError> {
    let content = read(path).map_err(|refused| TrainError::Params {
        path: path.to_owned(),
        detail: refused.detail,
        remedy: refused.remedy,
    })?;
    let rows = rows(content.card.as_ref().map(|card| card.classes.as_slice()), classes);
    // These count the batches that a layer has seen, and are not used here.
    let named = content.tensors.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let mut tensors: HashMap<String, Tensor> =
        named.map(|(name, tensor)| (plain_name(arch, &name), tensor)).collect();
    let found = tensors.len();
    let has_classifier = tensors.contains_key(&format!("{}.weight", classifier_name(arch)));
    let (mut problems, mut fresh, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for param in &net.params.0 {
        match fit(param, arch, tensors.remove(&param.name), rows.as_ref().ok()) {
            Fit::Taken(tensor) => taken.push((&param.tensor, tensor)),
            Fit::Fresh => fresh.push(param.name.as_str()),
            Fit::Problem(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(TrainError::Init { path: path.to_owned(), arch: arch.as_str(), problems });
    }
    no_grad(|| taken.iter().for_each(|(param, tensor)| param.shallow_clone().copy_(tensor)));
    let why = rows.err().filter(|_| has_classifier).map(|why| format!(" ({why})"));
    Ok(format!(
        "{} of {found} tensors loaded from {}{}; fresh: {}{}; not used: {}",
        taken.len(),
        content.within.map(|within| format!("{within} of ")).unwrap_or_default(),
        path.display(),
        if fresh.is_empty() { "none".to_owned() } else { fresh.join(", ") },
        why.unwrap_or_default(),
        found - taken.len()
    ))
}

/// Whether a param can be filled from a file.
enum Fit {
    Taken(Tensor),
    /// It keeps its random numbers.
    Fresh,
    Problem(String),
}

/// Fits a file's tensor to a param; `rows` are the rows of the file's classifier, in the order of our classes.
fn fit(param: &Param, arch: Arch, found: Option<Tensor>, rows: Option<&Tensor>) -> Fit {
    let layer = param.name.rsplit_once('.').map_or("", |(layer, _)| layer);
    let is_classifier = layer == classifier_name(arch);
    let shape = param.tensor.size();
    match found {
        Some(tensor) if tensor.size() == shape && is_classifier => {
            rows.map_or(Fit::Fresh, |rows| Fit::Taken(tensor.index_select(0, rows)))
        }
        Some(tensor) if tensor.size() == shape => Fit::Taken(tensor),
        _ if is_classifier || layer == ALPHA => Fit::Fresh,
        Some(tensor) => Fit::Problem(format!("{} is {:?}, not {shape:?}", param.name, tensor.size())),
        None => Fit::Problem(format!("{} is missing", param.name)),
    }
}

/// The index of each of our classes among those of a file (compared by [`known_by`]), or why there is none.
fn rows(theirs: Option<&[String]>, ours: &[String]) -> Result<Tensor, &'static str> {
    let theirs = known_by(theirs.ok_or("the file names no classes of its classifier")?);
    let ours = known_by(ours);
    let place = |class: &String| theirs.iter().position(|other| other == class).map(|place| place as i64);
    match ours.iter().map(place).collect::<Option<Vec<i64>>>() {
        Some(places) if theirs.len() == ours.len() => Ok(Tensor::from_slice(&places)),
        _ => Err("the file's classes are others"),
    }
}

/// torchvision's name for a name given by a wrapper or by SCN's public code.
fn plain_name(arch: Arch, name: &str) -> String {
    let mut name = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    if let Some(rest) = name.strip_prefix("alpha.0.") {
        return format!("alpha.{rest}");
    }
    if classifier_name(arch) != "fc" {
        // Here `features.0` is torchvision's own name, not a place in SCN's list.
        return name.to_owned();
    }
    let cut = FEATURES.iter().find_map(|(place, plain)| Some((plain, name.strip_prefix(place)?)));
    cut.map_or_else(|| name.to_owned(), |(plain, rest)| format!("{plain}{rest}"))
}

fn read(path: &Path) -> Result<Content, Refused> {
    if !path.is_file() {
        return Err(Refused::because("there is no such file".to_owned()));
    }
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        let tensors = Tensor::read_safetensors(path).map_err(|error| Refused::because(first_line(&error)))?;
        let (tensors, within) = evaluated(tensors);
        return Ok(Content { tensors, within, card: OwnCard::of(path) });
    }
    let bytes = std::fs::read(path).map_err(|error| Refused::because(error.to_string()))?;
    let saved::Saved { tensors, within } = saved::read(&bytes)?;
    Ok(Content { tensors, within, card: None })
}

/// The tensors of the net that was evaluated: the running mean of the params, in a file that has one.
fn evaluated(tensors: Vec<(String, Tensor)>) -> (Vec<(String, Tensor)>, Option<&'static str>) {
    let of_mean = |(name, tensor): &(String, Tensor)| {
        Some((name.strip_prefix(AVERAGED)?.to_owned(), tensor.shallow_clone()))
    };
    let mean: Vec<(String, Tensor)> = tensors.iter().filter_map(of_mean).collect();
    if mean.is_empty() { (tensors, None) } else { (mean, Some("the running mean")) }
}

fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::net::Compute;
    use super::super::predict::Predictor;
    use super::super::recipe::Method;
    use super::*;

    const CPU: Compute = Compute { device: Device::Cpu, channels_last: false, kind: Kind::Float };

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn a_difference_from_the_normalisation_of_the_file_s_net_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let classes = ["anger", "happiness", "sadness"];
        Predictor::untrained(Method::Scn, &classes).export(&path).unwrap();
        assert_eq!(OwnCard::of(&path).map(|card| card.normalise()), Some(Normalise::Imagenet));
        let begun = |normalise| {
            let init = Some(path.clone());
            let recipe = Recipe { arch: Arch::Tiny, normalise, init, ..Recipe::new(Method::Scn) };
            let net = Net::new(Arch::Tiny, 3, 2, CPU);
            begin(&net, &recipe, &classes.map(str::to_owned)).unwrap().unwrap()
        };
        let text = begun(Normalise::ZeroOne);
        assert!(
            text.ends_with("learnt from pictures normalised as imagenet, here they are as zero-one"),
            "{text}"
        );
        assert!(!begun(Normalise::Imagenet).contains("normalised"));

        let foreign = folder.path().join("foreign.safetensors");
        write(&Net::new(Arch::Tiny, 3, 1, CPU), &foreign, |name| Some(name.to_owned()));
        assert_eq!(OwnCard::of(&foreign), None);
        assert_eq!(OwnCard::of(&folder.path().join("gone.safetensors")), None);
    }

    #[test]
    fn a_card_knows_the_data_sets_that_its_net_was_trained_on() {
        let data = "catalog+ferplus-8: 90 training, 10 validation".to_owned();
        let recipe = OwnRecipe { normalise: Normalise::Imagenet };
        let card = OwnCard { classes: names(2), recipe, data };
        let asked = ["catalog", "raf-db+ferplus-8", "raf-db", "ferplus-7"];
        assert_eq!(asked.map(|name| card.has_learnt_from(name)), [true, true, false, false]);
    }

    #[test]
    fn the_running_mean_is_loaded_from_a_run_that_kept_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let [net, mean, ours] = [1, 2, 3].map(|seed| Net::new(Arch::Tiny, 8, seed, CPU));
        let named = |prefix: &str, net: &Net| -> Vec<(String, Tensor)> {
            let named = |param: &Param| (format!("{prefix}{}", param.name), param.tensor.detach());
            net.params.0.iter().map(named).collect()
        };
        let both: Vec<_> = named("averaged.", &mean).into_iter().chain(named("net.", &net)).collect();
        Tensor::write_safetensors(&both, &path).unwrap();
        let text = load(&ours, Arch::Tiny, &names(8), &path).unwrap();
        assert!(text.contains(" loaded from the running mean of "), "{text}");
        assert!(ours.params.0[0].tensor.equal(&mean.params.0[0].tensor));
    }

    fn classifier(net: &Net) -> &Tensor {
        &net.params.0.iter().find(|param| param.name == "fc.weight").unwrap().tensor
    }

    fn write(net: &Net, path: &Path, rename: impl Fn(&str) -> Option<String>) {
        let named: Vec<(String, Tensor)> = net
            .params
            .0
            .iter()
            .filter_map(|param| Some((rename(&param.name)?, param.tensor.detach())))
            .collect();
        Tensor::write_safetensors(&named, path).unwrap();
    }

    /// SCN's public code counts these as loaded and then drops every one of them.
    #[test]
    fn params_with_a_wrapper_s_prefix_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("face.safetensors");
        let (theirs, ours) = (Net::new(Arch::Tiny, 5, 1, CPU), Net::new(Arch::Tiny, 8, 2, CPU));
        write(&theirs, &path, |name| Some(format!("module.{name}")));
        let text = load(&ours, Arch::Tiny, &names(8), &path).unwrap();
        let fresh = "fresh: fc.weight, fc.bias (the file names no classes of its classifier); not used: 2";
        assert!(text.ends_with(fresh), "{text}");
        assert!(ours.params.0[0].tensor.equal(&theirs.params.0[0].tensor));
    }

    #[test]
    fn a_missing_backbone_tensor_is_an_error_and_no_param_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        let (theirs, ours) = (Net::new(Arch::Tiny, 8, 1, CPU), Net::new(Arch::Tiny, 8, 2, CPU));
        write(&theirs, &path, |name| (name != "layer3.0.conv2.weight").then(|| name.to_owned()));
        let before = ours.params.0[0].tensor.copy();
        let message = load(&ours, Arch::Tiny, &names(8), &path).unwrap_err().to_string();
        assert!(message.ends_with("does not fit tiny: layer3.0.conv2.weight is missing"), "{message}");
        assert!(ours.params.0[0].tensor.equal(&before));
    }

    #[test]
    fn rows_of_a_classifier_are_matched_by_class_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let theirs = Predictor::untrained(Method::Scn, &["anger", "happiness", "sadness"]);
        theirs.export(&path).unwrap();
        let ours = Net::new(Arch::Tiny, 3, 2, CPU);
        let begin = |classes: [&str; 3]| load(&ours, Arch::Tiny, &classes.map(str::to_owned), &path).unwrap();
        let text = begin(["anger", "fear", "sadness"]);
        assert!(text.contains("fresh: fc.weight, fc.bias (the file's classes are others)"), "{text}");
        assert!(!classifier(&ours).equal(classifier(&theirs.net)));
        let text = begin(["sadness", "anger", "happiness"]);
        assert!(text.contains("fresh: none"), "{text}");
        for (row, other) in [(0, 2), (1, 0), (2, 1)] {
            assert!(classifier(&ours).get(row).equal(&classifier(&theirs.net).get(other)), "row {row}");
        }
    }

    /// Earlier releases named classes after their folders.
    #[test]
    fn classes_are_matched_by_emotion_whatever_a_data_set_calls_them() {
        let names = |names: [&str; 3]| names.map(str::to_owned);
        let ours = names(["anger", "fear", "sadness"]);
        let found = rows(Some(&names(["Sad", "Angry", "Fear"])), &ours).unwrap();
        assert_eq!(Vec::<i64>::try_from(found).unwrap(), [1, 2, 0]);
        assert!(rows(Some(&names(["Sad", "Angry", "Happy"])), &ours).is_err());
    }

    #[test]
    fn a_classifier_without_class_names_is_not_loaded_and_the_text_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foreign.safetensors");
        let (theirs, ours) = (Net::new(Arch::Tiny, 8, 1, CPU), Net::new(Arch::Tiny, 8, 2, CPU));
        write(&theirs, &path, |name| Some(name.to_owned()));
        let text = load(&ours, Arch::Tiny, &names(8), &path).unwrap();
        assert!(text.contains("(the file names no classes of its classifier)"), "{text}");
        assert!(!classifier(&ours).equal(classifier(&theirs)));
    }

    #[test]
    fn an_exported_script_is_refused_with_a_hint_to_net_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.pt");
        Predictor::untrained(Method::Scn, &["anger", "happiness", "sadness"]).export_script(&path).unwrap();
        let net = Net::new(Arch::Tiny, 3, 2, CPU);
        let failure = load(&net, Arch::Tiny, &names(3), &path).unwrap_err().failure();
        assert!(failure.hint.unwrap().contains("net.safetensors"));
    }

    #[test]
    fn names_of_wrappers_and_of_scn_s_public_code_become_torchvision_s() {
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
        assert_eq!(plain_name(Arch::MobilenetV2, name), "features.0.0.weight", "not a place in SCN's list");
    }

    #[test]
    fn a_file_without_params_is_refused_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.pth");
        std::fs::write(&path, b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00lstR.").unwrap();
        let net = Net::new(Arch::Tiny, 8, 2, CPU);
        assert!(matches!(load(&net, Arch::Tiny, &names(8), &path), Err(TrainError::Params { .. })));
    }

    /// What `torch.save({"conv1.weight": x})` writes when x pickles itself as `os.system("touch pickle-ran")`; Python
    /// would run the command when it loads the file.
    const CODE_IN_A_ZIP: &str = "UEsDBBQAAAAAAAAAIQA+GemtRwAAAEcAAAAKAAAAZS9kYXRhLnBrbIACfXEAWAwAAABjb252MS53ZWlnaHRxAWNwb3Np\
        eApzeXN0ZW0KcQJYEAAAAHRvdWNoIHBpY2tsZS1yYW5xA4VxBFJxBXMuUEsDBBQAAAAAAAAAIQDRnmdVAgAAAAIAAAAJ\
        AAAAZS92ZXJzaW9uMwpQSwECFAMUAAAAAAAAACEAPhnprUcAAABHAAAACgAAAAAAAAAAAAAAgAEAAAAAZS9kYXRhLnBr\
        bFBLAQIUAxQAAAAAAAAAIQDRnmdVAgAAAAIAAAAJAAAAAAAAAAAAAACAAW8AAABlL3ZlcnNpb25QSwUGAAAAAAIAAgBv\
        AAAAmAAAAAAA";

    #[test]
    fn a_pickle_that_calls_a_function_is_refused_by_the_function_s_name() {
        use base64::Engine;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.pth");
        let bytes = base64::prelude::BASE64_STANDARD.decode(CODE_IN_A_ZIP).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let net = Net::new(Arch::Tiny, 8, 2, CPU);
        let error = load(&net, Arch::Tiny, &names(8), &path).unwrap_err().to_string();
        assert!(error.contains("it asks for posix.system, and only tensors"), "{error}");
    }
}
