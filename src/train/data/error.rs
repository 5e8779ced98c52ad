//! The errors of reading data sets, each with its remedy.

use std::path::PathBuf;

use image::ImageFormat;

use crate::failure::{Failure, Reason};

/// Why a data set cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder of the layout is missing.
    #[error("{layout}: {path} is missing")]
    Missing {
        /// The layout's name.
        layout: &'static str,
        /// The missing path.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line of a list does not follow the layout.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A list of labels lacks a picture.
    #[error("{path} has no label for {name}")]
    NoLabel {
        /// The list.
        path: PathBuf,
        /// The picture.
        name: String,
    },
    /// Too many of the listed pictures are missing.
    #[error(
        "{layout}: {missing} of {listed} listed pictures are missing, more than the {limit} allowed; the first: \
         {first}"
    )]
    MissingPictures {
        /// The layout's name.
        layout: &'static str,
        /// How many are missing.
        missing: usize,
        /// How many the list names.
        listed: usize,
        /// How many may be missing.
        limit: usize,
        /// One of them.
        first: PathBuf,
    },
    /// Nothing of a kind was found.
    #[error("{name} holds no {what}")]
    Empty {
        /// Folder or set.
        name: String,
        /// What was looked for.
        what: &'static str,
    },
    /// A folder has fewer than two class folders with pictures.
    #[error("{path} holds {found} with pictures")]
    NoClasses {
        /// The folder.
        path: PathBuf,
        /// How many there are, in words.
        found: &'static str,
        /// What was ignored, in words.
        passed_over: Option<String>,
    },
    /// A set has fewer than two classes.
    #[error("{name} has {classes} class(es), but at least 2 are needed")]
    TooFewClasses {
        /// Folder or set.
        name: String,
        /// How many.
        classes: usize,
    },
    /// A label is no class index.
    #[error("{name}: label {label} is outside 0..{classes}")]
    LabelRange {
        /// The set.
        name: String,
        /// The label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// Lists of a set differ in length.
    #[error("{name}: labels, splits and pictures differ in number")]
    Uneven {
        /// The set.
        name: String,
    },
    /// Two sets share no class.
    #[error("{first} and {second} have no class name in common")]
    NoCommonClass {
        /// One set.
        first: String,
        /// The other.
        second: String,
        /// The classes of both, in words.
        classes: String,
    },
    /// A list of labels is of other pictures, or numbers the classes differently.
    #[error("{path} gives {differ} of {of} training samples another label than the set itself")]
    Unlike {
        /// The list.
        path: PathBuf,
        /// How many labels differ.
        differ: usize,
        /// How many there are.
        of: usize,
        /// The set's classes with their numbers, in words.
        classes: String,
    },
}

impl DataError {
    /// As a command reports it: the user named the wrong folder, or the folder is incomplete.
    pub fn failure(&self) -> Failure {
        let failure = Failure::permanent(Reason::Usage, self.to_string());
        match self {
            Self::Missing { layout, .. } => failure.with_hint(format!(
                "the layout of '{layout}' is described in `webemotion train --help`; \
                 folder:DIR takes one sub-folder for each class"
            )),
            Self::MissingPictures { .. } => failure.with_hint("unpack the pictures beside the list"),
            Self::NoClasses { passed_over, .. } => {
                let passed_over = passed_over.as_ref().map(|words| format!("passed over were {words}; "));
                failure.with_hint(format!(
                    "{}folder:DIR takes one sub-folder for each class, with pictures in {}",
                    passed_over.unwrap_or_default(),
                    formats()
                ))
            }
            Self::NoCommonClass { classes, .. } => {
                failure.with_hint(format!("{classes}: give what is one class one name"))
            }
            Self::Unlike { classes, .. } => failure.with_hint(format!("classes are counted as {classes}")),
            _ => failure,
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        error.failure()
    }
}

/// Extensions of the formats that can be read.
fn formats() -> String {
    let read = ImageFormat::all().filter(ImageFormat::reading_enabled);
    read.filter_map(|format| format.extensions_str().first().copied()).collect::<Vec<_>>().join(", ")
}
