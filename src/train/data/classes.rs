//! How classes of several folders, sets and nets meet: by emotion, else by name whatever its case.

use crate::types::Emotion;

/// What each of a set's (or a net's) classes is known by to others: its emotion's noun where all of them are emotions
/// (`Angry`, `happy`), else its name in lower case.
pub(crate) fn known_by(names: &[String]) -> Vec<String> {
    nouns(names).unwrap_or_else(|| names.iter().map(|name| name.to_lowercase()).collect())
}

/// The classes that folders of these names stand for, in their order, and which of them each folder is.
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

/// Those of `classes` that are none of `others`.
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
    fn emotions_are_known_by_their_nouns_where_all_are_emotions() {
        assert_eq!(known_by(&names(&["Angry", "happy", "SAD"])), ["anger", "happiness", "sadness"]);
        assert_eq!(known_by(&names(&["Happy", "Ahegao"])), ["happy", "ahegao"]);
    }

    #[test]
    fn folders_of_one_emotion_are_one_class_in_the_order_of_the_folders() {
        let (classes, labels) = of_folders(&names(&["Anger", "afraid", "angry", "fear"]));
        assert_eq!((classes, labels), (names(&["anger", "fear"]), vec![0, 1, 0, 1]));
        let (classes, labels) = of_folders(&names(&["Wren", "finch", "wren"]));
        assert_eq!((classes, labels), (names(&["Wren", "finch"]), vec![0, 1, 0]));
    }
}
