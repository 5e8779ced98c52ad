//! Several sets as one, with classes joined by name.

use std::sync::Arc;

use super::classes::{alone, known_by};
use super::{DataError, Identity, Pictures, TrainingSet, identity_of};

/// Joins sets in the order given. Classes are those of all sets, by name whatever its case, in the order they are first
/// met; a set whose classes are all emotions has their nouns. Classes that one set alone has are remarked; two sets without
/// a common class are refused, for that is nearly always a mistake.
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

/// Gives the first set the classes that it lacks. Which of its classes each of the second set's is.
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

/// The classes that one of two sets alone has, in words.
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

/// Two sets' numbers as one list, those of the second after those of the first. Where one set has none, each of its samples
/// stands for itself.
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

/// A set's votes as rows of `classes`, each of its columns where `columns` says; zeros where it has none.
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
    fn classes_are_joined_by_name_not_by_number() {
        let both = unite(vec![set("one", &["fear", "anger"]), set("two", &["anger", "contempt"])]).unwrap();
        assert_eq!(both.classes, ["fear", "anger", "contempt"]);
        assert_eq!(both.labels, [0, 1, 1, 2]);
        assert_eq!(both.pictures.name(3), "two/contempt");
    }

    #[test]
    fn emotions_meet_by_their_nouns_and_other_classes_whatever_their_case() {
        let both = unite(vec![set("one", &["happiness", "anger"]), set("two", &["Angry", "Happy"])]).unwrap();
        assert_eq!((both.classes, both.labels), (names(&["happiness", "anger"]), vec![0, 1, 1, 0]));
        assert!(both.remarks.is_empty(), "{:?}", both.remarks);
        let both = unite(vec![set("one", &["Wren", "finch"]), set("two", &["Finch", "wren"])]).unwrap();
        assert_eq!((both.classes, both.labels), (names(&["Wren", "finch"]), vec![0, 1, 1, 0]));
    }

    #[test]
    fn classes_that_do_not_meet_are_remarked() {
        let both =
            unite(vec![set("one", &["fear", "anger", "happiness"]), set("two", &["anger", "Joy"])]).unwrap();
        assert_eq!(
            both.remarks,
            names(&["joined by class name: one alone has fear, happiness; two alone has Joy"])
        );
    }

    #[test]
    fn votes_go_where_their_classes_go() {
        let mut voted = set("two", &["anger", "contempt"]);
        voted.votes = Some(vec![0.75, 0.25, 0.5, 0.5]);
        let both = unite(vec![set("one", &["fear", "anger"]), voted]).unwrap();
        assert_eq!((both.votes_of(0), both.votes_of(1)), (None, None));
        assert_eq!(both.votes_of(2), Some([0.0, 0.75, 0.25].as_slice()));
        both.check().unwrap();
    }

    /// Frames of one clip stay together beside pictures that know no clips.
    #[test]
    fn a_set_without_clips_takes_none_from_another() {
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
