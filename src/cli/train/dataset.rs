//! Data sets by name: from `--dataset` and its options to the trainer's training set.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::sync::oneshot;

use super::drawn::drawn;
use super::{Caller, CommonArgs, TrainArgs};
use crate::catalog::runs::Noise;
use crate::demo::portraits::Difficulty;
use crate::failure::{Failure, Reason};
use crate::progress::Event;
use crate::train::data::{self, AffectnetClasses, DataError, FerplusOptions, TrainingSet};

/// After this time the user is told what the command is waiting for.
const PATIENCE: Duration = Duration::from_secs(2);

/// One data set by kind and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetArg {
    /// The samples of the data folder's catalog.
    Catalog,
    /// RAF-DB basic.
    RafDb(PathBuf),
    /// FERPlus.
    Ferplus(PathBuf),
    /// AffectNet.
    Affectnet(PathBuf),
    /// Any folder with a sub-folder for each class.
    Folder(PathBuf),
    /// Faces drawn by this program, whose true labels are known.
    Drawn(Difficulty),
}

impl FromStr for DatasetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "catalog" {
            return Ok(Self::Catalog);
        }
        match text {
            "drawn:easy" => return Ok(Self::Drawn(Difficulty::Easy)),
            "drawn:hard" => return Ok(Self::Drawn(Difficulty::Hard)),
            _ => {}
        }
        let kinds = "catalog, raf-db:DIR, ferplus:DIR, affectnet:DIR, folder:DIR, drawn:easy, drawn:hard";
        let (kind, folder) = text.split_once(':').ok_or_else(|| format!("none of {kinds}"))?;
        let folder = at_home(folder);
        Ok(match kind {
            "raf-db" => Self::RafDb(folder),
            "ferplus" => Self::Ferplus(folder),
            "affectnet" => Self::Affectnet(folder),
            "folder" => Self::Folder(folder),
            _ => return Err(format!("'{kind}' is none of {kinds}")),
        })
    }
}

impl fmt::Display for DatasetArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, folder) = match self {
            Self::Catalog => return f.write_str("catalog"),
            Self::Drawn(Difficulty::Easy) => return f.write_str("drawn:easy"),
            Self::Drawn(Difficulty::Hard) => return f.write_str("drawn:hard"),
            Self::RafDb(folder) => ("raf-db", folder),
            Self::Ferplus(folder) => ("ferplus", folder),
            Self::Affectnet(folder) => ("affectnet", folder),
            Self::Folder(folder) => ("folder", folder),
        };
        write!(f, "{kind}:{}", folder.display())
    }
}

/// A folder, with a leading `~` expanded: a shell does not expand it after `kind:`.
fn at_home(folder: &str) -> PathBuf {
    let below_home = folder.strip_prefix("~/").and_then(|rest| Some(env::home_dir()?.join(rest)));
    below_home.unwrap_or_else(|| PathBuf::from(folder))
}

/// Protocols that papers differ in.
#[derive(Debug, Clone, Copy, Args)]
pub struct ReadingArgs {
    /// Classes of FERPlus; 7 leaves contempt out
    #[arg(long, value_name = "7|8", default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    pub ferplus_classes: u8,
    /// What FERPlus's votes become
    #[arg(long, value_enum, default_value = "majority")]
    pub ferplus_labels: FerplusLabels,
    /// Take FERPlus's validation part as a part of its training part, as SCN's authors did
    #[arg(long)]
    pub ferplus_merge_validation: bool,
    /// Classes of AffectNet; 7 leaves contempt out
    #[arg(long, value_name = "7|8", default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    pub affectnet_classes: u8,
}

/// `--ferplus-labels`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FerplusLabels {
    /// Pictures without a majority are left out
    Majority,
    /// The first class as it is; ties are left out
    Argmax,
    /// The shares of all emotions, which baseline and scn train on until a label changes
    Soft,
}

impl ReadingArgs {
    /// Reads a data set on disk.
    pub fn read(&self, dataset: &DatasetArg) -> Result<TrainingSet, DataError> {
        match dataset {
            DatasetArg::RafDb(folder) => data::raf_db(folder),
            DatasetArg::Ferplus(folder) => data::ferplus(folder, self.ferplus()),
            DatasetArg::Affectnet(folder) => data::affectnet(folder, self.affectnet()),
            DatasetArg::Folder(folder) => data::folder(folder),
            DatasetArg::Drawn(difficulty) => Ok(drawn(*difficulty)),
            DatasetArg::Catalog => Err(DataError::Empty { name: "the catalog".to_owned(), what: "folder" }),
        }
    }

    fn affectnet(&self) -> AffectnetClasses {
        if self.affectnet_classes == 7 { AffectnetClasses::Seven } else { AffectnetClasses::Eight }
    }

    fn ferplus(&self) -> FerplusOptions {
        FerplusOptions {
            labels: match self.ferplus_labels {
                FerplusLabels::Majority => data::FerplusLabels::Majority,
                FerplusLabels::Argmax => data::FerplusLabels::Argmax,
                FerplusLabels::Soft => data::FerplusLabels::Soft,
            },
            seven_classes: self.ferplus_classes == 7,
            merge_validation: self.ferplus_merge_validation,
        }
    }
}

/// Logs the remarks on how a set was read.
pub(crate) fn say_remarks(set: &TrainingSet) {
    set.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
}

/// Reads the identity of a set's pictures, which may take hours for a million files. After that [`TrainingSet::hash`] is
/// fast.
///
/// # Errors
/// [`Reason::Interrupted`] as soon as a stop is requested.
pub(crate) async fn read_identity(set: &TrainingSet, caller: &Caller) -> Result<(), Failure> {
    let (sender, mut receiver) = oneshot::channel();
    let pictures = Arc::clone(&set.pictures);
    let read = move || {
        pictures.identity();
        let _ = sender.send(());
    };
    // Not on a thread of the runtime, which would wait for it at the end even if its result is no longer needed.
    let reader = thread::Builder::new().name("reader".to_owned()).spawn(read);
    reader.map_err(|error| Failure::bug(format!("cannot start the reader: {error}")))?;
    let is_read = async {
        if tokio::time::timeout(PATIENCE, &mut receiver).await.is_err() {
            let text = format!("reading {} pictures to know them again", set.len());
            caller.reporter.report(&Event::Said { text });
            let _ = receiver.await;
        }
    };
    tokio::select! {
        () = is_read => Ok(()),
        () = caller.stop.asked() => {
            let interrupted = Failure::transient(Reason::Interrupted, "interrupted before anything was trained");
            Err(interrupted.with_hint("start the same command again"))
        }
    }
}

impl CommonArgs {
    /// The data sets joined, with their own labels; `catalog` is the caller's set for [`DatasetArg::Catalog`]. It comes
    /// first, no matter where it was named: its samples keep their positions in the frozen list.
    pub(crate) fn clean_set(&self, catalog: Option<TrainingSet>) -> Result<TrainingSet, Failure> {
        let mut sets: Vec<TrainingSet> = catalog.into_iter().collect();
        for dataset in self.dataset.iter().filter(|dataset| **dataset != DatasetArg::Catalog) {
            sets.push(self.readings.read(dataset).map_err(|error| error.failure())?);
        }
        let mut set = data::unite(sets).map_err(|error| error.failure())?;
        self.record_flags(&mut set);
        Ok(set)
    }

    /// Records in the set the flags it was read with.
    fn record_flags(&self, set: &mut TrainingSet) {
        let datasets: Vec<String> = self.dataset.iter().map(DatasetArg::to_string).collect();
        set.write_flag("dataset", json!(datasets));
        set.write_flag("validation", json!(self.validation));
        let is_read = |kind: fn(&DatasetArg) -> bool| self.dataset.iter().any(kind);
        if is_read(|dataset| matches!(dataset, DatasetArg::Ferplus(_))) {
            set.write_flag("ferplus-classes", json!(self.readings.ferplus_classes));
            set.write_flag("ferplus-labels", json!(word(self.readings.ferplus_labels)));
            set.write_flag("ferplus-merge-validation", json!(self.readings.ferplus_merge_validation));
        }
        if is_read(|dataset| matches!(dataset, DatasetArg::Affectnet(_))) {
            set.write_flag("affectnet-classes", json!(self.readings.affectnet_classes));
        }
    }

    /// Makes this share of each class's training labels wrong, chosen by the seed.
    pub(crate) fn add_noise(&self, set: &mut TrainingSet, noise: f64) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&noise) {
            let detail = format!("a noise of {noise} was asked for, but it must be 0 to 1");
            return Err(Failure::permanent(Reason::Usage, detail));
        }
        data::add_noise(set, noise, self.noise_kind.into(), self.seed);
        set.write_flag("noise", json!(noise));
        set.write_flag("noise-kind", json!(word(self.noise_kind)));
        Ok(())
    }
}

/// A flag's word as it is typed.
pub(crate) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |word| word.get_name().to_owned())
}

impl TrainArgs {
    /// The data sets joined, with noise and a validation part; `catalog` as in `CommonArgs::clean_set`.
    pub fn training_set(&self, catalog: Option<TrainingSet>) -> Result<TrainingSet, Failure> {
        let common = &self.common;
        let mut set = common.clean_set(catalog)?;
        // Before the noise: held-out samples keep their labels, and the share of wrong ones is exact among the others.
        set.hold_out_validation(common.validation, common.seed);
        if let Some(noise) = self.noise {
            common.add_noise(&mut set, noise)?;
        }
        if let Some(list) = &self.noisy_labels {
            data::read_noisy_labels(&mut set, list).map_err(|error| error.failure())?;
            set.write_flag("noisy-labels", json!(list.display().to_string()));
        }
        Ok(set)
    }

    /// The label noise added on purpose, if any.
    pub(super) fn noise(&self) -> Option<Noise> {
        let list = self.noisy_labels.as_ref().map(|list| list.display().to_string());
        let share = self.noise.filter(|share| *share > 0.0);
        let kind = share.map(|_| word(self.common.noise_kind));
        (list.is_some() || share.is_some()).then_some(Noise { share, kind, list })
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::{parse, try_parse};
    use super::*;
    use crate::clock::Stop;
    use crate::progress::Reporter;
    use crate::train::data::{Identity, Pictures};
    use crate::train::drawn::shapes;
    use crate::types::Split;

    #[test]
    fn datasets_are_named_by_kind_and_folder() {
        let args = parse(&["--dataset", "raf-db:/data/raf", "--dataset", "folder:x"]);
        assert_eq!(
            args.common.dataset,
            [DatasetArg::RafDb("/data/raf".into()), DatasetArg::Folder("x".into())]
        );
        assert_eq!(parse(&[]).common.dataset, [DatasetArg::Catalog]);
        // There may be no home folder.
        let at_home = env::home_dir().map_or_else(|| "~/raf".into(), |home| home.join("raf"));
        assert_eq!(parse(&["--dataset", "raf-db:~/raf"]).common.dataset, [DatasetArg::RafDb(at_home)]);
        assert!(try_parse(&["--dataset", "imagenet:x"]).is_err());
    }

    #[test]
    fn a_missing_folder_ends_with_two_and_a_hint() {
        let failure = parse(&["--dataset", "raf-db:/nowhere"]).training_set(None).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage);
        assert!(failure.hint.is_some());
    }

    /// Accuracy on held-out samples is against their labels: a wrong one would count against a net that is right.
    #[test]
    fn held_out_samples_keep_their_labels_and_the_noise_is_exact_among_the_others() {
        let args = parse(&["--dataset", "drawn:easy", "--noise", "0.2", "--validation", "0.25"]);
        let set = args.training_set(None).unwrap();
        let truth = set.truth.as_ref().unwrap();
        let wrong = |split| {
            let samples = set.of_split(split);
            let wrong = samples.iter().filter(|&&sample| set.labels[sample] != truth[sample]).count();
            wrong as f64 / samples.len() as f64
        };
        assert!((wrong(Split::Train) - 0.2).abs() < 0.002, "{}", wrong(Split::Train));
        assert_eq!((wrong(Split::Validation), wrong(Split::Test)), (0.0, 0.0));
    }

    /// A picture that takes for ever to read.
    struct Slow;

    impl Pictures for Slow {
        fn len(&self) -> usize {
            1
        }

        fn encoded(&self, _index: usize) -> std::io::Result<Vec<u8>> {
            Ok(Vec::new())
        }

        fn name(&self, _index: usize) -> String {
            "slow".to_owned()
        }

        fn identity(&self) -> Identity {
            loop {
                thread::park();
            }
        }
    }

    /// Asks to stop when it is told what the command waits for.
    struct Impatient(Stop);

    impl Reporter for Impatient {
        fn report(&self, event: &Event) {
            assert!(
                matches!(event, Event::Said { text } if text == "reading 60 pictures to know them again")
            );
            self.0.ask();
        }
    }

    #[tokio::test]
    async fn a_long_read_is_announced_and_can_be_stopped() {
        let stop = Stop::default();
        let caller = Caller { reporter: Arc::new(Impatient(stop.clone())), stop };
        let mut set = shapes(60, 1);
        read_identity(&set, &caller).await.unwrap();
        set.pictures = Arc::new(Slow);
        let failure = read_identity(&set, &caller).await.unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Interrupted);
    }

    #[test]
    fn a_set_records_the_flags_it_was_read_with() {
        let flags = |words: &[&str]| parse(words).training_set(None).unwrap().flags;
        let clean = flags(&["--dataset", "drawn:easy"]);
        assert_eq!(json!(clean), json!({"dataset": ["drawn:easy"], "validation": 0.1}));
        let noisy = flags(&["--dataset", "drawn:easy", "--noise", "0.25", "--noise-kind", "pair"]);
        assert_eq!((&noisy["noise"], &noisy["noise-kind"]), (&json!(0.25), &json!("pair")));

        let mut set = shapes(6, 1);
        parse(&["--dataset", "ferplus:x", "--ferplus-labels", "soft"]).common.record_flags(&mut set);
        assert_eq!(set.flags["dataset"], json!(["ferplus:x"]));
        assert_eq!(
            (&set.flags["ferplus-labels"], &set.flags["ferplus-classes"]),
            (&json!("soft"), &json!(8))
        );
    }

    #[test]
    fn flags_of_ferplus_reach_its_options() {
        let args = parse(&["--ferplus-classes", "7", "--ferplus-labels", "argmax"]);
        let options = args.common.readings.ferplus();
        assert!(options.seven_classes && !options.merge_validation);
        assert_eq!(options.labels, data::FerplusLabels::Argmax);
        assert_eq!(parse(&[]).common.readings.ferplus().labels, data::FerplusLabels::Majority);
        assert!(try_parse(&["--affectnet-classes", "9"]).is_err());
    }
}
