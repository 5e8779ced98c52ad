//! Encoded pictures to pixels, the same way for all who look: what is trained on is seen as what is asked about. A leaf: it
//! knows bytes, and not whose they are.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult, Limits, RgbImage};

/// Decodes a picture, upright as its camera says; its first bytes tell the format.
///
/// # Errors
/// When it is torn, is in no format that this program reads, or would take more than half a gigabyte.
pub(crate) fn upright(bytes: &[u8]) -> ImageResult<RgbImage> {
    let mut decoder = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.into_decoder()?;
    Limits::default().reserve(decoder.total_bytes())?;
    // What the camera noted may be torn where the picture is whole.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// A JPEG of 40×20 pixels, its left half white, that its camera says to turn to the right: upright it is white above.
#[cfg(test)]
pub(crate) fn sideways() -> Vec<u8> {
    use image::ImageEncoder;
    // One entry (0x112, a short): 6.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let picture = RgbImage::from_fn(40, 20, |x, _| image::Rgb([if x < 20 { 255 } else { 0 }; 3]));
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.to_vec()).unwrap();
    encoder.encode_image(&picture).unwrap();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_taken_sideways_is_turned_upright() {
        let picture = upright(&sideways()).unwrap();
        assert_eq!(picture.dimensions(), (20, 40));
        assert!(picture.get_pixel(10, 5)[0] > 200 && picture.get_pixel(10, 35)[0] < 50);
    }

    #[test]
    fn what_is_not_a_picture_is_refused() {
        let mut torn = sideways();
        torn.truncate(100);
        assert!(upright(&torn).is_err());
        assert!(upright(b"GIF89a, or a note").is_err());
    }
}
