//! Matching the classes of folders, sets and nets: by emotion, else by name regardless of case.

use crate::types::Emotion;

/// The keys by which the classes of a set or a net are matched with others: the nouns of their emotions where all are
/// emotions (`Angry`, `happy`), else their names in lower case.
pub(crate) fn known_by(names: &[String]) -> Vec<String> {
    nouns(names).unwrap_or_else(|| names.iter().map(|name| name.to_lowercase()).collect())
}

/// The classes of folders with these names, in order of appearance, and the class index of each folder.
pub(super) fn of_folders(names: &[String]) -> (Vec<String>, Vec<usize>) {
    let shown = nouns(names).unwrap_or_else(|| names.to_vec());
    let (mut classes, mut known, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (own, shown) in known_by(names).into_iter().zip(shown) {
        let label = known.iter().position(|other| *other == own).unwrap_or(known.len());
        if label == known.len() {
            known.push(own);
            classes.push(shown);
        }
        labels.push(label);
    }
    (classes, labels)
}

/// Those of `classes` that match none of `others`.
pub(super) fn alone<'a>(classes: &'a [String], others: &[String]) -> Vec<&'a str> {
    let others = known_by(others);
    let own = known_by(classes);
    let is_alone = |(_, own): &(&String, &String)| !others.contains(own);
    classes.iter().zip(&own).filter(is_alone).map(|(class, _)| class.as_str()).collect()
}

fn nouns(names: &[String]) -> Option<Vec<String>> {
    names.iter().map(|name| name.parse::<Emotion>().ok().map(|emotion| emotion.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn classes_are_matched_by_nouns_where_all_are_emotions() {
        assert_eq!(known_by(&names(&["Angry", "happy", "SAD"])), ["anger", "happiness", "sadness"]);
        assert_eq!(known_by(&names(&["Happy", "Ahegao"])), ["happy", "ahegao"]);
    }

    #[test]
    fn folders_of_one_emotion_are_one_class_in_order_of_appearance() {
        let (classes, labels) = of_folders(&names(&["Anger", "afraid", "angry", "fear"]));
        assert_eq!((classes, labels), (names(&["anger", "fear"]), vec![0, 1, 0, 1]));
        let (classes, labels) = of_folders(&names(&["Wren", "finch", "wren"]));
        assert_eq!((classes, labels), (names(&["Wren", "finch"]), vec![0, 1, 0]));
    }
}
