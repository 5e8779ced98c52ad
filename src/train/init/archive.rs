//! The zip format that PyTorch saves in. Only uncompressed entries are read, and all entries together may not be longer
//! than the file: a small file cannot fill the memory.

use std::collections::HashMap;

/// The signature at the start of a zip and of each entry.
pub(super) const BEGIN: &[u8] = b"PK\x03\x04";
/// The signature of a record of the central directory.
const LISTED: &[u8] = b"PK\x01\x02";
/// The signature of the end record, which says where the central directory is.
const END: &[u8] = b"PK\x05\x06";
/// Lengths of an entry's header, of a directory record and of the end record, in bytes. The end record is longest with
/// a comment of 65,535 bytes.
const BEGIN_BYTES: usize = 30;
const LISTED_BYTES: usize = 46;
const END_BYTES: usize = 22;
const LONGEST_END: usize = END_BYTES + 0xffff;
/// The compression method of an entry that is not compressed.
const STORED: usize = 0;

/// A zip's entries by name.
pub(super) struct Archive<'a> {
    /// The content of each; `None` if it is compressed.
    entries: HashMap<&'a str, Option<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    /// `None` when the central directory is cut off, points outside the file, or lists more bytes than the file has; so
    /// also for files of more than 4 GiB.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let tail = bytes.len().saturating_sub(LONGEST_END);
        let end = tail + bytes[tail..].windows(END.len()).rposition(|window| window == END)?;
        let end = bytes.get(end..end + END_BYTES)?;
        let (count, mut at) = (number(end, 10, 2)?, number(end, 16, 4)?);
        let (mut entries, mut left) = (HashMap::new(), bytes.len());
        for _ in 0..count {
            bytes.get(at..)?.strip_prefix(LISTED)?;
            let [name, extra, comment] = [28, 30, 32].map(|field| number(bytes, at + field, 2));
            let (from, method) = (at + LISTED_BYTES, number(bytes, at + 10, 2)?);
            let named = std::str::from_utf8(bytes.get(from..from + name?)?).ok()?;
            let (size, begin) = (number(bytes, at + 20, 4)?, number(bytes, at + 42, 4)?);
            let content = content(bytes, begin, size)?;
            left = left.checked_sub(size)?;
            entries.insert(named, (method == STORED).then_some(content));
            at = from + name? + extra? + comment?;
        }
        Some(Self { entries })
    }

    /// The bytes of an entry; `None` when it is missing or compressed.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.entries.get(name).copied().flatten()
    }

    /// The folder that holds `data.pkl`, with its slash: PyTorch puts all entries into one folder.
    pub(super) fn folder(&self) -> Option<&'a str> {
        let folders = self.entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
        folders.filter(|folder| folder.ends_with('/')).min_by_key(|folder| folder.len())
    }
}

/// The content of the entry whose header starts at `begin`.
fn content(bytes: &[u8], begin: usize, size: usize) -> Option<&[u8]> {
    bytes.get(begin..)?.strip_prefix(BEGIN)?;
    let from = begin + BEGIN_BYTES + number(bytes, begin + 26, 2)? + number(bytes, begin + 28, 2)?;
    bytes.get(from..from.checked_add(size)?)
}

/// A little-endian number of up to four bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at + width)?;
    Some(field.iter().rev().fold(0, |number, &byte| (number << 8) | usize::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip with one entry of a hundred bytes, which its central directory lists `times` times.
    fn listed(times: u8) -> Vec<u8> {
        let entry = [BEGIN, &[0; 22], &[1, 0, 0, 0], b"a", &[7; 100]].concat();
        let line = |name: u8| [LISTED, &[0; 16], &[100, 0, 0, 0], &[0; 4], &[1], &[0; 17], &[name]].concat();
        let lines: Vec<u8> = (0..times).flat_map(|number| line(b'a' + number)).collect();
        let at = (entry.len() as u32).to_le_bytes();
        [&entry[..], &lines, END, &[0; 6], &[times, 0, 0, 0, 0, 0], &at, &[0; 2]].concat()
    }

    #[test]
    fn entries_that_share_their_bytes_are_refused() {
        assert_eq!(Archive::of(&listed(1)).unwrap().get("a"), Some(&[7; 100][..]));
        assert!(Archive::of(&listed(20)).is_none());
    }
}
