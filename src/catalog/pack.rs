//! Compression of small blobs.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{CatalogError, Result};

/// Compresses bytes with DEFLATE.
pub(super) fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.map_err(|error| CatalogError::Damaged { detail: error.to_string() })
}

/// The opposite of [`deflate`].
pub(super) fn inflate(packed: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = DeflateDecoder::new(packed).read_to_end(&mut bytes);
    read.map_err(|error| CatalogError::Damaged { detail: format!("a blob does not inflate: {error}") })?;
    Ok(bytes)
}
