//! Which videos a search text finds. It knows no wire format.

use super::SiteVideo;

/// A search finds a video when its text contains all these words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBy {
    /// Words or phrases; letter case does not matter, whole words do.
    pub words: Vec<String>,
    /// Smaller is higher; equal ranks keep the order of the site's videos.
    pub rank: u32,
}

impl FoundBy {
    /// Found by one word or phrase.
    pub fn word(word: &str, rank: u32) -> Self {
        Self { words: vec![word.to_owned()], rank }
    }

    fn finds(&self, text: &str) -> bool {
        let text = spaced(text);
        self.words.iter().all(|word| text.contains(&spaced(word)))
    }
}

/// Lower case, one blank between words and at both ends, so that only whole words are contained.
fn spaced(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    format!(" {} ", words.join(" "))
}

/// Finds everything, as on the real site: who wants to know whether searches work at all asks this.
const EVERYTHING: &str = "music";

/// The videos that a text finds, best first.
pub(super) fn found<'a>(videos: &'a [SiteVideo], text: &str) -> Vec<&'a SiteVideo> {
    if text == EVERYTHING {
        return videos.iter().collect();
    }
    let best_rank = |video: &SiteVideo| {
        video.found_by.iter().filter(|found_by| found_by.finds(text)).map(|found_by| found_by.rank).min()
    };
    let mut ranked: Vec<(u32, &SiteVideo)> =
        videos.iter().filter_map(|video| Some((best_rank(video)?, video))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, video)| video).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_find() {
        assert!(FoundBy::word("old man", 1).finds("happy France Old  Man"));
        assert!(!FoundBy::word("man", 1).finds("happy woman"));
        let both = FoundBy { words: vec!["happy".into(), "France".into()], rank: 1 };
        assert!(both.finds("happy FRANCE man") && !both.finds("happy man"));
    }
}
