//! Reads tensors and plain values from Python's pickles as PyTorch writes them. Nothing is called: a pickle may refer
//! to the names of a closed list only, and is refused if it refers to another.

mod reader;

use tch::Kind;

use super::Refused;

/// What the owner of a pickle that holds more than tensors and plain values can do.
pub(super) const MORE_THAN_PARAMS: &str = "where you trust the file, save the params alone in Python: \
    torch.save(torch.load(OLD, weights_only=False).state_dict(), NEW), or [\"state_dict\"] of a checkpoint";

/// Index of a value in [`Pickle`].
pub(super) type Place = usize;

/// The values of a pickle. They refer to each other by index, so that shared values cost nothing and cycles are
/// harmless.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The outermost value.
    pub(super) root: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// A value that holds no tensor: None, a boolean, a float, or what [`Named::Plain`] makes.
    Plain,
    Int(i64),
    Text(&'a str),
    /// A list or a tuple.
    List(Vec<Place>),
    /// A dict, in order of insertion.
    Dict(Vec<(Place, Place)>),
    /// A submodule of a scripted net, and the dict of its fields.
    Part(Option<Place>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
    Named(Named),
}

/// A contiguous array of numbers in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) kind: Kind,
    /// Its start in the array of its key, in numbers: in old files a storage may be a part of another one.
    offset: i64,
}

/// A tensor, as a view of a storage; offset and strides are in numbers.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// Everything that a pickle may refer to by name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named {
    Dict,
    /// Makes a tensor of a storage, an offset, a shape and strides.
    Tensor,
    /// Returns its first argument: a parameter is its tensor, a size its tuple.
    First,
    /// The same, except that the oldest files create it empty and fill it afterwards.
    Parameter,
    Part,
    Storage(Kind),
    Format,
    /// Makes a value that holds no tensor, such as a device.
    Plain,
}

impl Named {
    fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict" | "Counter") => Self::Dict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::First,
            ("torch", "Size") => Self::First,
            ("torch.jit._pickle", "build_intlist" | "build_doublelist" | "build_boollist") => Self::First,
            ("torch.jit._pickle", "build_tensorlist" | "restore_type_tag") => Self::First,
            ("torch.nn.parameter", "Parameter") => Self::Parameter,
            ("torch", "FloatStorage") => Self::Storage(Kind::Float),
            ("torch", "DoubleStorage") => Self::Storage(Kind::Double),
            ("torch", "HalfStorage") => Self::Storage(Kind::Half),
            ("torch", "BFloat16Storage") => Self::Storage(Kind::BFloat16),
            ("torch", "LongStorage") => Self::Storage(Kind::Int64),
            ("torch", "IntStorage") => Self::Storage(Kind::Int),
            ("torch", "ShortStorage") => Self::Storage(Kind::Int16),
            ("torch", "CharStorage") => Self::Storage(Kind::Int8),
            ("torch", "ByteStorage") => Self::Storage(Kind::Uint8),
            ("torch", "BoolStorage") => Self::Storage(Kind::Bool),
            ("torch", "float32" | "float64" | "float16" | "bfloat16" | "bool") => Self::Format,
            ("torch", "int64" | "int32" | "int16" | "int8" | "uint8") => Self::Format,
            ("torch", "device") | ("torch.serialization", "_get_layout") => Self::Plain,
            ("_codecs", "encode") => Self::Plain,
            ("__builtin__" | "builtins", "set" | "complex" | "bytearray") => Self::Plain,
            (module, _) if module.split('.').next() == Some("__torch__") => Self::Part,
            _ => return None,
        })
    }
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that starts at `at` in `bytes`, and moves `at` to its end.
    pub(super) fn read(bytes: &'a [u8], at: &mut usize) -> Result<Self, Refused> {
        let (values, root) = reader::run(bytes, at)?;
        Ok(Self { values, root })
    }

    pub(super) fn get(&self, place: Place) -> &Value<'a> {
        &self.values[place]
    }

    pub(super) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// The values of a dict, or of a submodule of a scripted net, whose keys are texts.
    pub(super) fn fields(&self, place: Place) -> impl Iterator<Item = (&'a str, Place)> {
        let pairs: &[(Place, Place)] = match self.get(place) {
            Value::Dict(pairs) => pairs,
            Value::Part(Some(held)) => match self.get(*held) {
                Value::Dict(pairs) => pairs,
                _ => &[],
            },
            _ => &[],
        };
        pairs.iter().filter_map(move |&(key, value)| match self.get(key) {
            Value::Text(name) => Some((*name, value)),
            _ => None,
        })
    }
}
