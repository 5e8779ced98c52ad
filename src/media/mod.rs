//! FFmpeg behind one wall: probe, decode, encode. No AVFrame leaves; pictures leave as `RgbImage`.
