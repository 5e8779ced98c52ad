//! Several sets as one, with classes joined by name.

use std::sync::Arc;

use super::{DataError, Identity, Pictures, TrainingSet, identity_of, index_by_name};

/// Joins sets in the order given. Classes are those of all sets, by name, in the order they are first met;
/// two sets without a common class name are refused, for that is nearly always a mistake.
pub fn unite(sets: Vec<TrainingSet>) -> Result<TrainingSet, DataError> {
    let mut sets = sets.into_iter();
    let first =
        sets.next().ok_or(DataError::Empty { name: "the list of data sets".to_owned(), what: "set" })?;
    sets.try_fold(first, join)
}

fn join(mut first: TrainingSet, second: TrainingSet) -> Result<TrainingSet, DataError> {
    if !second.classes.iter().any(|class| first.classes.contains(class)) {
        return Err(DataError::NoCommonClass { first: first.name, second: second.name });
    }
    let own_classes = first.classes.len();
    for class in &second.classes {
        if !first.classes.contains(class) {
            first.classes.push(class.clone());
        }
    }
    let index = index_by_name(&first.classes);
    let renumbered: Vec<usize> = second.classes.iter().map(|class| index[class.as_str()]).collect();
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
    first.labels.extend(second.labels.iter().map(|&label| renumbered[label]));
    first.splits.extend(second.splits);
    Ok(TrainingSet {
        name: format!("{}+{}", first.name, second.name),
        truth,
        votes,
        groups,
        sources,
        pictures: Arc::new(Both(first.pictures, second.pictures)),
        ..first
    })
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

    fn set(name: &str, classes: &[&str]) -> TrainingSet {
        TrainingSet {
            name: name.to_owned(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
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
        assert!(unite(vec![set("one", &["a", "b"]), set("two", &["c", "d"])]).is_err());
    }
}
