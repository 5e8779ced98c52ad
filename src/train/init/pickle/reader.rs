//! Interprets a pickle, which is a program for a stack machine with marks in the stack and a memo.

use std::collections::HashMap;

use super::super::Refused;
use super::{MORE_THAN_PARAMS, Named, Place, Storage, Value, View};

/// Pickles with more instructions are refused. Checkpoints have fewer, even those that store a number for each step of
/// a run. An instruction is at least one byte of the file.
const STEPS: usize = 10_000_000;
/// Most dimensions that a tensor of a net has.
const DIMENSIONS: usize = 8;

/// Runs the pickle that starts at `at` in `bytes`, and moves `at` to its end. Returns its values and the index of the
/// outermost one.
pub(super) fn run<'a>(bytes: &'a [u8], at: &mut usize) -> Result<(Vec<Value<'a>>, Place), Refused> {
    let (values, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { bytes, at: *at, values, stack, marks, memo: HashMap::new() };
    for _ in 0..STEPS {
        if reader.step()? {
            let root = reader.pop()?;
            *at = reader.at;
            return Ok((reader.values, root));
        }
    }
    Err(Refused::because(format!("its pickle takes more than {STEPS} steps")))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Place>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl<'a> Reader<'a> {
    /// Runs one instruction of protocol 2, named here as in Python's `pickletools`; `true` at the end.
    fn step(&mut self) -> Result<bool, Refused> {
        match self.byte()? {
            // PROTO
            0x80 => {
                self.byte()?;
            }
            // STOP
            b'.' => return Ok(true),
            // NONE, NEWTRUE, NEWFALSE
            b'N' | 0x88 | 0x89 => self.push(Value::Plain),
            // BININT, BININT1, BININT2
            b'J' => {
                let number = self.number::<4>()? as u32;
                self.push(Value::Int(number.cast_signed().into()));
            }
            b'K' => self.int::<1>()?,
            b'M' => self.int::<2>()?,
            // LONG1
            0x8a => self.long()?,
            // BINFLOAT
            b'G' => {
                self.take(8)?;
                self.push(Value::Plain);
            }
            // BINUNICODE, BINSTRING, SHORT_BINSTRING
            b'X' | b'T' => self.text::<4>()?,
            b'U' => self.text::<1>()?,
            // EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT
            b')' | b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // TUPLE, TUPLE1, TUPLE2, TUPLE3
            b't' => {
                let items = self.marked()?;
                self.push(Value::List(items));
            }
            count @ 0x85..=0x87 => {
                let items = self.topmost(usize::from(count - 0x84))?;
                self.push(Value::List(items));
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => self.topmost(1).and_then(|items| self.append(items))?,
            b'e' => self.marked().and_then(|items| self.append(items))?,
            b's' => self.topmost(2).and_then(|items| self.set(&items))?,
            b'u' => self.marked().and_then(|items| self.set(&items))?,
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,
            // GLOBAL
            b'c' => self.name()?,
            // BINPERSID, REDUCE, NEWOBJ, BUILD
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            0x81 => self.make()?,
            b'b' => self.fill()?,
            other => {
                return Err(Refused::because(format!(
                    "its pickle holds the instruction {other:#04x}, not of protocol 2"
                )));
            }
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(cut_off)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number<const WIDTH: usize>(&mut self) -> Result<usize, Refused> {
        let bytes = self.take(WIDTH)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| (number << 8) | usize::from(byte)))
    }

    fn int<const WIDTH: usize>(&mut self) -> Result<(), Refused> {
        let number = self.number::<WIDTH>()?;
        self.push(Value::Int(number as i64));
        Ok(())
    }

    /// An integer of any length. One of more than 64 bits cannot be a size or an offset, and becomes a plain value.
    fn long(&mut self) -> Result<(), Refused> {
        let length = self.number::<1>()?;
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
        let number = bytes.iter().rev().fold(sign, |number, &byte| (number << 8) | i64::from(byte));
        self.push(if length <= 8 { Value::Int(number) } else { Value::Plain });
        Ok(())
    }

    fn text<const WIDTH: usize>(&mut self) -> Result<(), Refused> {
        let length = self.number::<WIDTH>()?;
        // Bytes that are not UTF-8 may be a value, but not a name.
        let value = std::str::from_utf8(self.take(length)?).map_or(Value::Plain, Value::Text);
        self.push(value);
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, Refused> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_off)?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| cut_off())
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Place, Refused> {
        self.stack.pop().ok_or_else(cut_off)
    }

    fn top(&mut self) -> Result<&mut Value<'a>, Refused> {
        let place = *self.stack.last().ok_or_else(cut_off)?;
        Ok(&mut self.values[place])
    }

    fn topmost(&mut self, count: usize) -> Result<Vec<Place>, Refused> {
        let from = self.stack.len().checked_sub(count).ok_or_else(cut_off)?;
        Ok(self.stack.split_off(from))
    }

    /// Pops everything above the last mark.
    fn marked(&mut self) -> Result<Vec<Place>, Refused> {
        let from = self.marks.pop().filter(|&from| from <= self.stack.len()).ok_or_else(cut_off)?;
        Ok(self.stack.split_off(from))
    }

    fn append(&mut self, more: Vec<Place>) -> Result<(), Refused> {
        let Value::List(items) = self.top()? else { return Err(nonsense()) };
        items.extend(more);
        Ok(())
    }

    fn set(&mut self, more: &[Place]) -> Result<(), Refused> {
        let Value::Dict(pairs) = self.top()? else { return Err(nonsense()) };
        pairs.extend(more.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    fn remember<const WIDTH: usize>(&mut self) -> Result<(), Refused> {
        let number = self.number::<WIDTH>()?;
        let place = *self.stack.last().ok_or_else(cut_off)?;
        self.memo.insert(number as u32, place);
        Ok(())
    }

    fn recall<const WIDTH: usize>(&mut self) -> Result<(), Refused> {
        let number = self.number::<WIDTH>()?;
        self.stack.push(*self.memo.get(&(number as u32)).ok_or_else(nonsense)?);
        Ok(())
    }

    fn name(&mut self) -> Result<(), Refused> {
        let (module, name) = (self.line()?, self.line()?);
        let Some(named) = Named::of(module, name) else {
            let what =
                if self.stack.is_empty() && self.marks.is_empty() { "is a pickled" } else { "asks for" };
            let detail = format!("it {what} {module}.{name}, and only tensors and plain values are read");
            return Err(Refused { detail, remedy: MORE_THAN_PARAMS });
        };
        self.push(Value::Named(named));
        Ok(())
    }

    /// `("storage", its format, key, device, count)`; in old files also `(key, offset, count)` of a view of it.
    fn storage(&mut self) -> Result<(), Refused> {
        let id = self.pop()?;
        let [word, format, key, _, _, view @ ..] = self.list(id)? else { return Err(whole_net()) };
        let (Value::Text("storage"), Value::Named(Named::Storage(kind)), Value::Text(key)) =
            (&self.values[*word], &self.values[*format], &self.values[*key])
        else {
            return Err(whole_net());
        };
        let offset = match view.first().map(|&view| &self.values[view]) {
            Some(Value::List(view)) => self.int_at(*view.get(1).ok_or_else(nonsense)?)?,
            _ => 0,
        };
        let storage = Storage { key, kind: *kind, offset };
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn call(&mut self) -> Result<(), Refused> {
        let (arguments, named) = (self.pop()?, self.pop()?);
        let Value::Named(named) = self.values[named] else { return Err(nonsense()) };
        let arguments = self.list(arguments)?;
        match (named, arguments) {
            (Named::Dict, []) => self.push(Value::Dict(Vec::new())),
            (Named::Dict, &[from]) => {
                self.turn_to_dict(from)?;
                self.stack.push(from);
            }
            (Named::First | Named::Parameter, &[first, ..]) => self.stack.push(first),
            (Named::Plain, _) => self.push(Value::Plain),
            (Named::Tensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, [shape, strides])?;
                self.push(tensor);
            }
            _ => return Err(nonsense()),
        }
        Ok(())
    }

    fn make(&mut self) -> Result<(), Refused> {
        let (arguments, named) = (self.pop()?, self.pop()?);
        let Value::Named(named) = self.values[named] else { return Err(nonsense()) };
        match (named, self.list(arguments)?) {
            (Named::Part | Named::Parameter, []) => self.push(Value::Part(None)),
            (Named::Parameter, &[first, ..]) => self.stack.push(first),
            _ => return Err(nonsense()),
        }
        Ok(())
    }

    /// Sets the state of an object that was made before (BUILD). Attributes of dicts and tensors are ignored.
    fn fill(&mut self) -> Result<(), Refused> {
        let state = self.pop()?;
        let first = match &self.values[state] {
            Value::List(items) => items.first().map(|&first| &self.values[first]),
            _ => None,
        };
        // Only a tensor is copied: a list may be long, and the state of many objects.
        let first = first.filter(|first| matches!(first, Value::Tensor(_))).cloned();
        match (self.top()?, first) {
            (part @ Value::Part(_), Some(tensor)) => *part = tensor,
            (part @ Value::Part(_), _) => *part = Value::Part(Some(state)),
            (Value::Dict(_) | Value::Tensor(_), _) => {}
            _ => return Err(nonsense()),
        }
        Ok(())
    }

    fn list(&self, place: Place) -> Result<&[Place], Refused> {
        match &self.values[place] {
            Value::List(items) => Ok(items),
            _ => Err(nonsense()),
        }
    }

    fn int_at(&self, place: Place) -> Result<i64, Refused> {
        match self.values[place] {
            Value::Int(number) => Ok(number),
            _ => Err(nonsense()),
        }
    }

    fn ints(&self, place: Place) -> Result<Vec<i64>, Refused> {
        let items = self.list(place)?;
        if items.len() > DIMENSIONS {
            return Err(nonsense());
        }
        items.iter().map(|&item| self.int_at(item)).collect()
    }

    /// Replaces a list of pairs by a dict, in place, so that no list is copied twice.
    fn turn_to_dict(&mut self, from: Place) -> Result<(), Refused> {
        if matches!(self.values[from], Value::Dict(_)) {
            return Ok(());
        }
        let pair = |&pair: &Place| match self.list(pair)? {
            &[key, value] => Ok((key, value)),
            _ => Err(nonsense()),
        };
        let pairs: Result<_, Refused> = self.list(from)?.iter().map(pair).collect();
        self.values[from] = Value::Dict(pairs?);
        Ok(())
    }

    fn tensor(&self, storage: Place, offset: Place, lists: [Place; 2]) -> Result<Value<'a>, Refused> {
        let Value::Storage(storage) = self.values[storage] else { return Err(nonsense()) };
        let offset = self.int_at(offset)?.checked_add(storage.offset).ok_or_else(nonsense)?;
        let [shape, strides] = lists.map(|list| self.ints(list));
        Ok(Value::Tensor(Box::new(View { storage, offset, shape: shape?, strides: strides? })))
    }
}

fn cut_off() -> Refused {
    Refused::because("its pickle is cut off".to_owned())
}

fn nonsense() -> Refused {
    Refused::because("its pickle makes no sense".to_owned())
}

fn whole_net() -> Refused {
    let detail = "it holds a whole net, and only tensors and plain values are read".to_owned();
    Refused { detail, remedy: MORE_THAN_PARAMS }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Pickle;
    use super::*;

    /// The number of fields of the outermost value.
    fn read(parts: &[&[u8]]) -> Result<usize, Refused> {
        let bytes = parts.concat();
        let pickle = Pickle::read(&bytes, &mut 0)?;
        Ok(pickle.fields(pickle.root).count())
    }

    /// As `torch.save` writes a dict that holds `torch.device("cpu")`, `{"a"}`, `1j`, `b"abc"`, `bytearray(b"a")` or
    /// `torch.strided`.
    #[test]
    fn plain_values_that_pytorch_considers_safe_are_accepted() {
        let values: [&[u8]; 6] = [
            b"ctorch\ndevice\nq\x02X\x03\0\0\0cpuq\x03\x85q\x04Rq\x05",
            b"c__builtin__\nset\nq\x02]q\x03X\x01\0\0\0aq\x04a\x85q\x05Rq\x06",
            b"c__builtin__\ncomplex\nq\x02G\0\0\0\0\0\0\0\0G?\xf0\0\0\0\0\0\0\x86q\x03Rq\x04",
            b"c_codecs\nencode\nq\x02X\x03\0\0\0abcq\x03X\x06\0\0\0latin1q\x04\x86q\x05Rq\x06",
            b"c__builtin__\nbytearray\nq\x02X\x01\0\0\0aq\x03X\x07\0\0\0latin-1q\x04\x86q\x05Rq\x06",
            b"ctorch.serialization\n_get_layout\nq\x02X\r\0\0\0torch.stridedq\x03\x85q\x04Rq\x05",
        ];
        for value in values {
            let read = read(&[b"\x80\x02}q\0X\x01\0\0\0xq\x01", value, b"s."]);
            assert_eq!(read.unwrap(), 1, "{}", String::from_utf8_lossy(value));
        }
        assert!(read(&[b"\x80\x02c__builtin__\neval\n(X\x01\0\0\x001tR."]).is_err());
    }

    /// A list of 200,000 items is part of the state that is set as many times.
    #[test]
    fn the_time_to_read_a_pickle_is_linear_in_its_length() {
        const COUNT: usize = 200_000;
        let began = Instant::now();
        let (list, states) = (b"N".repeat(COUNT), b"h\x01\x85b".repeat(COUNT));
        read(&[b"\x80\x02]q\x01(", &list, b"ec__torch__\nPart\n)\x81", &states, b"."]).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
