//! The data folder: part-file → sync → rename, relative paths, and the guard of free space.
