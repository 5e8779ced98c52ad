//! Removes pictures and names of videos from pages written before. It is here since it depends on the formats of the
//! writers; like them it touches neither the disk nor the catalog.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::html;
use regex::Regex;

use super::markdown::cell;
use crate::catalog::Result;
use crate::catalog::names::Names;
use crate::types::SampleId;

/// How a page embeds a picture, up to the JPEG file in base64 and the number of its sample.
const PICTURE: &str = "<img src=\"data:image/jpeg;base64,";
const NUMBER: &str = "\" alt=\"sample ";
/// What replaces a removed picture.
const NONE: &str = "<div class=\"missing\">no picture</div>";

/// How every page of HTML begins.
const HTML: &str = "<!doctype html>";

/// The text of a page, as its only group: not its style sheet, nor the inside of tags with pictures and addresses.
static SAID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("<style>[^<]*|(?:^|>)([^<]+)").expect("the pattern is a constant, and a test uses it")
});

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With pictures.
    Html,
    /// Tables.
    Markdown,
    /// For programs.
    Json,
}

impl Form {
    /// The format of a file, by its extension in any letter case; none if it is not a page.
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "html" | "htm" => Some(Self::Html),
            "md" | "markdown" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The form of a text whose file has another extension; none if it is not a page of ours.
    pub fn of_text(text: &str) -> Option<Self> {
        let begin = text.get(..HTML.len())?;
        begin.eq_ignore_ascii_case(HTML).then_some(Self::Html)
    }
}

/// A picture on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The id of its sample.
    pub sample: Option<SampleId>,
    base64: &'a str,
}

impl<'a> Shown<'a> {
    /// Reads a picture's tag after [`PICTURE`].
    fn of(tag: &'a str) -> Self {
        let (base64, rest) = tag.split_once(NUMBER).unwrap_or((tag, ""));
        let number = rest.split('"').next().and_then(|number| number.parse().ok());
        Self { sample: number.map(SampleId), base64 }
    }

    /// Whether it is this JPEG file, byte for byte.
    pub fn is(&self, jpeg: &[u8]) -> bool {
        STANDARD.encode(jpeg) == self.base64
    }
}

/// The pictures of a page, in order.
pub fn pictures(page: &str) -> Vec<Shown<'_>> {
    page.split(PICTURE).skip(1).filter_map(|rest| Some(Shown::of(rest.split_once('>')?.0))).collect()
}

/// A page without the pictures that are to be removed; `stays` has an element for each of [`pictures`].
pub fn without_pictures(page: &str, stays: &[bool]) -> String {
    let mut parts = page.split(PICTURE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut stays = stays.iter();
    for part in parts {
        match part.split_once('>') {
            Some((_, after)) if !stays.next().is_some_and(|stays| *stays) => text.extend([NONE, after]),
            _ => text.extend([PICTURE, part]),
        }
    }
    text
}

/// Names as the pages of each format write them.
pub fn written(names: &Names) -> Result<Names> {
    names.written(&[|name| html! { (name) }.into_string(), cell])
}

/// A page without these [`written`] names; borrowed if it has none.
pub fn without_names<'a>(form: Form, page: &'a str, names: &Names) -> Cow<'a, str> {
    match form {
        Form::Html => out_of_html(page, names),
        Form::Markdown => names.out_of(page),
        Form::Json => names.out_of_json(page),
    }
}

fn out_of_html<'a>(page: &'a str, names: &Names) -> Cow<'a, str> {
    let (mut left, mut end) = (String::new(), 0);
    for said in SAID.captures_iter(page).filter_map(|found| found.get(1)) {
        if let Cow::Owned(other) = names.out_of(said.as_str()) {
            left.extend([&page[end..said.start()], &other]);
            end = said.end();
        }
    }
    if end == 0 { Cow::Borrowed(page) } else { Cow::Owned(left + &page[end..]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::videos::NewVideo;
    use crate::report::{FailureGroup, Picture, RoundReport, RunReport, json, markdown, round_html};
    use crate::types::StageName;

    #[test]
    fn a_page_keeps_only_the_pictures_that_stay() {
        let picture =
            |sample_id, jpeg: &[u8]| Picture { sample_id, jpeg: jpeg.to_vec(), ..Picture::default() };
        let pictures_of = vec![picture(7, b"one"), picture(8, b"other")];
        let page = round_html(&RoundReport { pictures: pictures_of, ..RoundReport::default() });
        let shown = pictures(&page);
        assert_eq!(shown.iter().map(|it| it.sample).collect::<Vec<_>>(), [7, 8].map(|id| Some(SampleId(id))));
        assert_eq!((Form::of_text(&page), Form::of_text("é\u{1F600} notes, mine")), (Some(Form::Html), None));
        assert!(shown[0].is(b"one") && shown[1].is(b"other") && !shown[0].is(b"other"));
        assert_eq!(without_pictures(&page, &[true, true]), page);
        let left = without_pictures(&page, &[false, true]);
        assert_eq!((pictures(&left).len(), left.matches(NONE).count()), (1, 1));
        assert!(pictures(&left)[0].is(b"other") && left.ends_with("</html>"), "{left}");
    }

    #[test]
    fn names_are_removed_from_pages_of_every_format() {
        const TITLE: &str = "Jane <Doe> & \"her\" [sad]_day";
        let site_id = "iu6mbBBDm7S".to_owned();
        let video = NewVideo { site_id, title: Some(TITLE.to_owned()), ..NewVideo::default() };
        let names = written(&Names::of(&[video]).unwrap()).unwrap();
        // It does not matter where a page contains foreign text.
        let (stage, reason) = (StageName::Fetch, format!("'{TITLE}' is private"));
        let group = FailureGroup { stage, reason, outcome: String::new(), count: 1 };
        let report = RunReport { failures: vec![group], ..RunReport::default() };
        for (form, page) in [
            (Form::Html, crate::report::html(&report)),
            (Form::Markdown, markdown(&report)),
            (Form::Json, json(&report)),
        ] {
            assert!(page.contains("Jane"), "{page}");
            let left = without_names(form, &page, &names);
            assert!(!left.contains("Jane") && left.contains("(forgotten)"), "{left}");
            assert!(matches!(without_names(form, &left, &names), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn pictures_and_markup_stay_whatever_a_video_is_called() {
        let jpeg = STANDARD.decode("abc+Me2+you/face").unwrap();
        let pictures_of = vec![Picture { sample_id: 7, jpeg, ..Picture::default() }];
        let report = RoundReport { pictures: pictures_of, ..RoundReport::default() };
        let page = round_html(&RoundReport { outcome: "Me2+you is private".to_owned(), ..report });
        let called = ["Me2+you", "sample 7", "image/jpeg", "device-width", "border-box"];
        let videos = called.map(|title| NewVideo { title: Some(title.to_owned()), ..NewVideo::default() });
        let names = written(&Names::of(&videos).unwrap()).unwrap();
        let left = without_names(Form::Html, &page, &names).into_owned();
        assert!(!left.contains("Me2+you is private"));
        assert_eq!(left.replace("(forgotten) is private", "Me2+you is private"), page);
    }
}
