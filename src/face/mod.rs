//! Frames in, tracks and spans out. Pure but for the detector; knows no files and no catalog.
