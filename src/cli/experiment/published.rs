//! The paper's results with noisy labels (CVPR 2020, tables 2 and 4), for comparison with those measured here.
//!
//! The numbers are accuracies on the test part (AffectNet: mean class accuracy, which is the same on its equal classes)
//! with ResNet-18. A second source confirms these of SCN: RAF-DB without noise and with 10 % from scratch; with face params
//! the row without noise, and RAF-DB and FERPlus with noise. The others were written down from memory of the paper.

use crate::cli::train::{CommonArgs, DatasetArg};
use crate::train::OwnCard;
use crate::train::data::NoiseKind;
use crate::train::recipe::Method;

/// A data set of the paper; its value is an index into the rows below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    RafDb,
    Affectnet,
    Ferplus,
}

/// The column of a data set and an initialisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    data: Data,
    /// Whether the nets began with params of face recognition.
    pretrained: bool,
}

/// Wrong labels in percent; baseline on RAF-DB, AffectNet, FERPlus; SCN on the same; all in percent.
type Row = (u32, [f64; 3], [f64; 3]);

const FROM_SCRATCH: [Row; 4] = [
    (0, [72.00, 46.58, 82.40], [78.31, 47.28, 83.42]),
    (10, [61.43, 44.68, 77.15], [70.26, 45.23, 78.53]),
    (20, [55.50, 41.00, 71.88], [63.50, 41.63, 72.46]),
    (30, [51.81, 38.35, 68.54], [60.61, 39.42, 70.64]),
];
const PRETRAINED: [Row; 4] = [
    (0, [84.20, 58.50, 86.80], [87.03, 60.23, 88.01]),
    (10, [80.81, 57.25, 83.39], [82.18, 58.58, 84.28]),
    (20, [78.18, 56.23, 82.24], [80.10, 57.25, 83.17]),
    (30, [75.26, 52.60, 79.34], [77.46, 55.05, 82.47]),
];

impl Column {
    /// The paper's column for these flags; `None` if the data, their classes or the noise are not the paper's, or if the
    /// nets begin with params that this program trained.
    pub(super) fn of(args: &CommonArgs) -> Option<Self> {
        let data = match args.dataset.as_slice() {
            [DatasetArg::RafDb(_)] => Data::RafDb,
            [DatasetArg::Affectnet(_)] if args.readings.affectnet_classes == 8 => Data::Affectnet,
            [DatasetArg::Ferplus(_)] if args.readings.ferplus_classes == 8 => Data::Ferplus,
            _ => return None,
        };
        let is_symmetric = NoiseKind::from(args.noise_kind) == NoiseKind::Symmetric;
        let begins_with_own = args.init.as_deref().and_then(OwnCard::of).is_some();
        (is_symmetric && !begins_with_own).then_some(Self { data, pretrained: args.init.is_some() })
    }

    /// The paper's accuracy, 0 to 1.
    pub(super) fn accuracy(self, method: Method, noise: f64) -> Option<f64> {
        let rows = if self.pretrained { PRETRAINED } else { FROM_SCRATCH };
        let is_meant = |percent: u32| (100.0 * noise - f64::from(percent)).abs() < 1e-9;
        let (_, baseline, scn) = rows.into_iter().find(|(percent, ..)| is_meant(*percent))?;
        match method {
            Method::Baseline => Some(baseline[self.data as usize] / 100.0),
            Method::Scn => Some(scn[self.data as usize] / 100.0),
            Method::Cure => None,
        }
    }

    /// A description of the column.
    pub(super) fn note(self) -> &'static str {
        if self.pretrained {
            "paper: SCN (CVPR 2020), tables 2 and 4, ResNet-18 with MS-Celeb-1M params; mostly from memory, check before citing"
        } else {
            "paper: SCN (CVPR 2020), tables 2 and 4, ResNet-18 from scratch; mostly from memory, check before citing"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::tests::parse;
    use super::*;
    use crate::train::predict::Predictor;

    fn column(words: &[&str]) -> Option<Column> {
        Column::of(&parse(words).common)
    }

    #[test]
    fn the_paper_is_compared_on_its_own_data_only() {
        let column = |words: &str| column(&words.split(' ').collect::<Vec<_>>());
        let scratch = column("--dataset raf-db:x").unwrap();
        assert_eq!(scratch.accuracy(Method::Scn, 0.1), Some(0.7026));
        assert_eq!(scratch.accuracy(Method::Baseline, 0.3), Some(0.5181));
        assert_eq!(scratch.accuracy(Method::Cure, 0.1), None);
        assert_eq!(scratch.accuracy(Method::Scn, 0.15), None);
        let begun = column("--dataset ferplus:x --init face.pth").unwrap();
        assert_eq!(begun.accuracy(Method::Scn, 0.2), Some(0.8317));
        assert_eq!(column("--dataset affectnet:x").unwrap().accuracy(Method::Scn, 0.0), Some(0.4728));
        for other in [
            "--dataset drawn:easy",
            "--dataset raf-db:x --dataset ferplus:y",
            "--dataset ferplus:x --ferplus-classes 7",
            "--dataset affectnet:x --affectnet-classes 7",
            "--dataset raf-db:x --noise-kind pair",
        ] {
            assert_eq!(column(other), None, "{other}");
        }
    }

    #[test]
    fn params_trained_by_this_program_are_not_the_papers_face_params() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("net.safetensors");
        Predictor::untrained(Method::Scn, &["anger", "fear"]).export(&own).unwrap();
        assert_eq!(column(&["--dataset", "raf-db:x", "--init", own.to_str().unwrap()]), None);
    }
}
