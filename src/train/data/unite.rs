//! Joining several sets, with classes matched by name.

use std::sync::Arc;

use super::classes::{alone, known_by};
use super::{DataError, Identity, Pictures, TrainingSet, identity_of};

/// Joins sets in the given order. The classes are those of all sets in order of appearance, matched by name regardless
/// of case; where all classes of a set are emotions, by their nouns. A remark names the classes that only one set has.
///
/// # Errors
/// [`DataError::NoCommonClass`] for two sets without a common class: this is nearly always a mistake.
pub fn unite(sets: Vec<TrainingSet>) -> Result<TrainingSet, DataError> {
    let mut sets = sets.into_iter();
    let first =
        sets.next().ok_or(DataError::Empty { name: "the list of data sets".to_owned(), what: "set" })?;
    sets.try_fold(first, join)
}

fn join(mut first: TrainingSet, second: TrainingSet) -> Result<TrainingSet, DataError> {
    let remark = unmet(&first, &second)?;
    let own_classes = first.classes.len();
    let renumbered = take_classes(&mut first, &second);
    let truth = match (&first.truth, &second.truth) {
        (None, None) => None,
        (one, other) => {
            let one = one.as_ref().unwrap_or(&first.labels).iter().copied();
            let other = other.as_ref().unwrap_or(&second.labels).iter().map(|&label| renumbered[label]);
            Some(one.chain(other).collect())
        }
    };
    let votes = (first.votes.is_some() || second.votes.is_some()).then(|| {
        let own: Vec<usize> = (0..own_classes).collect();
        let widened = |set: &TrainingSet, columns: &[usize]| widened(set, columns, first.classes.len());
        [widened(&first, &own), widened(&second, &renumbered)].concat()
    });
    let clips = |set: &TrainingSet| set.groups.clone();
    let sources = |set: &TrainingSet| set.together().map(<[u64]>::to_vec);
    let (groups, sources) = (numbers(&first, &second, clips), numbers(&first, &second, sources));
    let joined = [first.parts(), second.parts()].concat();
    first.labels.extend(second.labels.iter().map(|&label| renumbered[label]));
    first.splits.extend(second.splits);
    first.remarks.extend(second.remarks.into_iter().chain(remark));
    Ok(TrainingSet {
        name: format!("{}+{}", first.name, second.name),
        truth,
        votes,
        groups,
        sources,
        joined,
        pictures: Arc::new(Both(first.pictures, second.pictures)),
        ..first
    })
}

/// Adds the classes that the first set lacks to it. Returns the index there of each of the second set's classes.
fn take_classes(first: &mut TrainingSet, second: &TrainingSet) -> Vec<usize> {
    let (mut known, mut places) = (known_by(&first.classes), Vec::new());
    for (class, own) in second.classes.iter().zip(known_by(&second.classes)) {
        let place = known.iter().position(|other| *other == own).unwrap_or(known.len());
        if place == known.len() {
            known.push(own);
            first.classes.push(class.clone());
        }
        places.push(place);
    }
    places
}

/// The classes that only one of two sets has, in words.
fn unmet(first: &TrainingSet, second: &TrainingSet) -> Result<Option<String>, DataError> {
    let [of_first, of_second] =
        [(first, second), (second, first)].map(|(set, other)| alone(&set.classes, &other.classes));
    if of_second.len() == second.classes.len() {
        let named = |set: &TrainingSet| format!("{} has {}", set.name, set.classes.join(", "));
        let classes = format!("{}; {}", named(first), named(second));
        return Err(DataError::NoCommonClass {
            first: first.name.clone(),
            second: second.name.clone(),
            classes,
        });
    }
    let mut words = vec![(first, of_first), (second, of_second)];
    words.retain(|(_, alone)| !alone.is_empty());
    let words = words.into_iter().map(|(set, alone)| format!("{} alone has {}", set.name, alone.join(", ")));
    let words = words.collect::<Vec<_>>().join("; ");
    Ok((!words.is_empty()).then(|| format!("joined by class name: {words}")))
}

/// The numbers (of clips or sources) of two sets as one list, the second set's shifted so that none coincide. In a set
/// without numbers, each sample gets its own. `None` where neither set has any.
fn numbers(
    first: &TrainingSet,
    second: &TrainingSet,
    of: impl Fn(&TrainingSet) -> Option<Vec<u64>>,
) -> Option<Vec<u64>> {
    let (one, other) = (of(first), of(second));
    if one.is_none() && other.is_none() {
        return None;
    }
    let own = |set: &TrainingSet| (0..set.len() as u64).collect();
    let (one, other) = (one.unwrap_or_else(|| own(first)), other.unwrap_or_else(|| own(second)));
    let offset = one.iter().max().map_or(0, |last| last + 1);
    Some(one.into_iter().chain(other.into_iter().map(|number| number + offset)).collect())
}

/// A set's votes as rows of `classes`, its columns moved to `columns`; zeros where it has no votes.
fn widened(set: &TrainingSet, columns: &[usize], classes: usize) -> Vec<f32> {
    let mut rows = vec![0.0; set.len() * classes];
    for (row, votes) in
        rows.chunks_mut(classes).zip(set.votes.iter().flat_map(|votes| votes.chunks(columns.len())))
    {
        for (&column, share) in columns.iter().zip(votes) {
            row[column] = *share;
        }
    }
    rows
}

/// The pictures of two sets, one after the other.
struct Both(Arc<dyn Pictures>, Arc<dyn Pictures>);

impl Both {
    fn of(&self, index: usize) -> (&dyn Pictures, usize) {
        match index.checked_sub(self.0.len()) {
            None => (self.0.as_ref(), index),
            Some(index) => (self.1.as_ref(), index),
        }
    }
}

impl Pictures for Both {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let (pictures, index) = self.of(index);
        pictures.encoded(index)
    }

    fn name(&self, index: usize) -> String {
        let (pictures, index) = self.of(index);
        pictures.name(index)
    }

    fn listed_as(&self, index: usize) -> Option<&str> {
        let (pictures, index) = self.of(index);
        pictures.listed_as(index)
    }

    fn identity(&self) -> Identity {
        identity_of([self.0.identity(), self.1.identity()].concat())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::PictureFiles;
    use super::*;
    use crate::types::Split;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn set(name: &str, classes: &[&str]) -> TrainingSet {
        TrainingSet {
            name: name.to_owned(),
            classes: names(classes),
            labels: (0..classes.len()).collect(),
            splits: vec![Split::Train; classes.len()],
            ..TrainingSet::of(Arc::new(PictureFiles::only_named(
                classes.iter().map(|c| PathBuf::from(format!("{name}/{c}"))).collect(),
            )))
        }
    }

    #[test]
    fn classes_are_matched_by_name_and_not_by_index() {
        let both = unite(vec![set("one", &["fear", "anger"]), set("two", &["anger", "contempt"])]).unwrap();
        assert_eq!(both.classes, ["fear", "anger", "contempt"]);
        assert_eq!(both.labels, [0, 1, 1, 2]);
        assert_eq!(both.pictures.name(3), "two/contempt");
    }

    #[test]
    fn emotions_are_matched_by_their_nouns_and_other_classes_regardless_of_case() {
        let both = unite(vec![set("one", &["happiness", "anger"]), set("two", &["Angry", "Happy"])]).unwrap();
        assert_eq!((both.classes, both.labels), (names(&["happiness", "anger"]), vec![0, 1, 1, 0]));
        assert!(both.remarks.is_empty(), "{:?}", both.remarks);
        let both = unite(vec![set("one", &["Wren", "finch"]), set("two", &["Finch", "wren"])]).unwrap();
        assert_eq!((both.classes, both.labels), (names(&["Wren", "finch"]), vec![0, 1, 1, 0]));
    }

    #[test]
    fn classes_that_only_one_set_has_are_remarked() {
        let both =
            unite(vec![set("one", &["fear", "anger", "happiness"]), set("two", &["anger", "Joy"])]).unwrap();
        assert_eq!(
            both.remarks,
            names(&["joined by class name: one alone has fear, happiness; two alone has Joy"])
        );
    }

    #[test]
    fn votes_move_with_their_classes() {
        let mut voted = set("two", &["anger", "contempt"]);
        voted.votes = Some(vec![0.75, 0.25, 0.5, 0.5]);
        let both = unite(vec![set("one", &["fear", "anger"]), voted]).unwrap();
        assert_eq!((both.votes_of(0), both.votes_of(1)), (None, None));
        assert_eq!(both.votes_of(2), Some([0.0, 0.75, 0.25].as_slice()));
        both.check().unwrap();
    }

    /// The frames of a clip keep their common number beside pictures without clips.
    #[test]
    fn each_sample_of_a_set_without_clips_gets_a_number_of_its_own() {
        let mut clips = set("one", &["fear", "anger"]);
        clips.groups = Some(vec![7, 7]);
        let alone = || set("two", &["anger", "contempt"]);
        for (sets, expected) in
            [(vec![clips.clone(), alone()], [7, 7, 8, 9]), (vec![alone(), clips], [0, 1, 9, 9])]
        {
            let both = unite(sets).unwrap();
            assert_eq!(both.groups.as_deref(), Some(expected.as_slice()));
            assert_eq!(both.together(), Some(expected.as_slice()));
        }
        assert_eq!(unite(vec![alone(), alone()]).unwrap().together(), None);
    }

    #[test]
    fn sets_without_a_common_class_are_refused() {
        let error = unite(vec![set("one", &["a", "b"]), set("two", &["c", "d"])]).unwrap_err();
        let hint = error.failure().hint.unwrap();
        assert_eq!(hint, "one has a, b; two has c, d: give what is one class one name");
    }
}
