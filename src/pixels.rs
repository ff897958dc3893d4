//! Model values as bytes of an image.

/// A value in [−1, 1] as a byte, rounded to the nearest: −1 is 0, and 1 is 255. Values outside are clipped, and NaN is 0.
pub fn byte(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

/// Images as opaque RGBA bytes, image after image and row by row, as a canvas takes them.
///
/// `values`: `[images, channels, height, width]` with 1 (grey) or 3 channels, in [−1, 1];
/// `shape = [channels, height, width]`.
pub fn to_rgba(values: &[f32], shape: [usize; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() / shape[0].max(1) * 4);
    each_pixel(values, shape, |pixel| {
        out.extend_from_slice(&[
            pixel[0],
            pixel[pixel.len() / 2],
            pixel[pixel.len() - 1],
            255,
        ]);
    });
    out
}

/// Images as interleaved bytes, grey or RGB.
pub fn to_interleaved(values: &[f32], shape: [usize; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len());
    each_pixel(values, shape, |pixel| out.extend_from_slice(pixel));
    out
}

/// The values of one image of interleaved bytes, grey or RGB: `[channels, height, width]` in [−1, 1], the inverse of
/// [`to_interleaved`]. `shape = [channels, height, width]`.
pub fn from_interleaved(bytes: &[u8], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let plane = height * width;
    let mut values = vec![0.0; channels * plane];
    for (at, pixel) in bytes.chunks_exact(channels.max(1)).take(plane).enumerate() {
        for (channel, &byte) in pixel.iter().enumerate() {
            values[channel * plane + at] = f32::from(byte) / 127.5 - 1.0;
        }
    }
    values
}

fn each_pixel(values: &[f32], [channels, height, width]: [usize; 3], mut take: impl FnMut(&[u8])) {
    let plane = height * width;
    let mut pixel = vec![0u8; channels];
    for image in values.chunks_exact((channels * plane).max(1)) {
        for at in 0..plane {
            for (channel, out) in pixel.iter_mut().enumerate() {
                *out = byte(image[channel * plane + at]);
            }
            take(&pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_and_clip() {
        assert_eq!(
            [-1.0, 1.0, 0.0, -9.0, 9.0, f32::NAN].map(byte),
            [0, 255, 128, 0, 255, 0]
        );
        // Every byte survives the way to a value and back.
        assert!((0..=255u8).all(|b| byte(f32::from(b) / 127.5 - 1.0) == b));
    }

    #[test]
    fn pixels_become_planes_and_pixels_again() {
        let bytes: Vec<u8> = (0..24).map(|b| b * 10).collect();
        let shape = [3, 2, 4];
        assert_eq!(
            to_interleaved(&from_interleaved(&bytes, shape), shape),
            bytes
        );
    }

    #[test]
    fn planes_become_pixels() {
        let colour = [-1.0, 1.0, 0.0, 0.0, 1.0, -1.0];
        assert_eq!(
            to_interleaved(&colour, [3, 1, 2]),
            [0, 128, 255, 255, 128, 0]
        );
        assert_eq!(
            to_rgba(&colour, [3, 1, 2]),
            [0, 128, 255, 255, 255, 128, 0, 255]
        );
        assert_eq!(
            to_rgba(&[1.0, -1.0], [1, 2, 1]),
            [255, 255, 255, 255, 0, 0, 0, 255]
        );
    }
}
