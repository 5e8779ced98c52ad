//! Bounded memory for the output of a child: lines up to a length, and the two ends of an endless stream.

use std::collections::VecDeque;

/// Cuts a stream into lines.
pub(super) struct LineSplitter {
    line: Vec<u8>,
    longest: usize,
}

impl LineSplitter {
    pub(super) fn new(longest: usize) -> Self {
        Self { line: Vec::new(), longest }
    }

    /// Adds the next bytes and passes on the lines that end in them; bytes beyond the longest line are dropped.
    pub(super) fn push(&mut self, bytes: &[u8], on_line: &mut dyn FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = self.longest.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                on_line(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
                self.line.clear();
            }
        }
    }

    /// Passes on a last line without an end.
    pub(super) fn finish(&mut self, on_line: &mut dyn FnMut(&[u8])) {
        if !self.line.is_empty() {
            on_line(&self.line);
            self.line.clear();
        }
    }
}

/// Keeps the first and the last bytes of a stream: the first warning and the last error both matter.
#[derive(Default)]
pub(super) struct HeadAndTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    was_cut: bool,
}

const HEAD: usize = 16 * 1_024;
const TAIL: usize = 48 * 1_024;

impl HeadAndTail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.was_cut |= surplus > 0;
        self.tail.drain(..surplus);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.was_cut {
            bytes.extend_from_slice(b"\n[...]\n");
        }
        bytes.extend(self.tail);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_their_bytes_arrive() {
        let (mut splitter, mut lines) = (LineSplitter::new(5), Vec::new());
        let mut on_line = |line: &[u8]| lines.push(line.to_vec());
        for bytes in [&b"ab"[..], b"c\r\n", b"\n1234567", b"89\nlast"] {
            splitter.push(bytes, &mut on_line);
        }
        splitter.finish(&mut on_line);
        assert_eq!(lines, [&b"abc"[..], b"", b"12345", b"last"]);
    }

    #[test]
    fn of_a_flood_both_ends_are_kept() {
        let mut ends = HeadAndTail::default();
        ends.push(b"first");
        for _ in 0..1_000 {
            ends.push(&[b'x'; 1_000]);
        }
        ends.push(b"last");
        let bytes = ends.into_bytes();
        assert!(bytes.starts_with(b"first") && bytes.ends_with(b"last"));
        assert!(bytes.len() < HEAD + TAIL + 10);
    }
}
