//! Resizing, with the filter widened when the image shrinks so that nothing aliases.
//!
//! Written here, and not taken from a library, so that the pixels do not depend on the processor's vector unit: the
//! [fingerprint](super::Dataset::fingerprint) of a data set is the same on every machine.

use serde::{Deserialize, Serialize};

/// How the pixels of a resized image are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Lanczos with three lobes: the sharpest picture, with faint overshoot at hard edges. Good in both directions.
    #[default]
    Lanczos,
    /// The mean over the area that the new pixel covers: no overshoot, a little softer. Enlarging by a whole
    /// number repeats pixels.
    Area,
    /// The pixel nearest to the new pixel's centre: for pixel art at whole-numbered factors; otherwise it aliases.
    Nearest,
}

impl Filter {
    /// Half the width of the kernel, in source pixels where the image is not shrunk.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Area | Self::Nearest => 0.5,
        }
    }
}

/// A rectangle of the source image in pixels; the edges may lie inside pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Region {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Pixels in row-major order with the channels interleaved, `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub data: Vec<u8>,
    pub width: usize,
    pub height: usize,
    pub channels: usize,
}

/// The source pixels that make up one new pixel along one axis: `weights[k]` belongs to pixel `first + k`.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Resizes the `region` of `source` to `width × height`. The kernel may reach past the region (not past the image), so
/// that cropping and resizing can be exchanged.
pub(super) fn resample(
    source: &Pixels,
    region: Region,
    width: usize,
    height: usize,
    filter: Filter,
) -> Pixels {
    let columns = taps(source.width, region.left, region.width, width, filter);
    let rows = taps(source.height, region.top, region.height, height, filter);
    let channels = source.channels;

    // Only the source rows that some output row needs, each already narrowed to the output's width.
    let first_row = rows.first().map_or(0, |t| t.first);
    let last_row = rows.last().map_or(0, |t| t.first + t.weights.len());
    let mut narrowed = vec![0.0f32; (last_row - first_row) * width * channels];
    for (y, line) in narrowed.chunks_exact_mut(width * channels).enumerate() {
        let offset = (first_row + y) * source.width * channels;
        let source_row = &source.data[offset..offset + source.width * channels];
        for (pixel, tap) in line.chunks_exact_mut(channels).zip(&columns) {
            let from = source_row[tap.first * channels..].chunks_exact(channels);
            for (weight, values) in tap.weights.iter().zip(from) {
                for (sum, &value) in pixel.iter_mut().zip(values) {
                    *sum += weight * f32::from(value);
                }
            }
        }
    }

    let mut data = Vec::with_capacity(width * height * channels);
    let mut line = vec![0.0f32; width * channels];
    for tap in &rows {
        line.fill(0.0);
        let from =
            narrowed[(tap.first - first_row) * width * channels..].chunks_exact(width * channels);
        for (weight, values) in tap.weights.iter().zip(from) {
            for (sum, value) in line.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
        // Lanczos overshoots; `as` saturates at 0 and 255.
        data.extend(line.iter().map(|value| value.round() as u8));
    }
    Pixels {
        data,
        width,
        height,
        channels,
    }
}

/// The weights along one axis, from `extent` source pixels beginning at `start` to `target` new ones, in an image that
/// has `available` pixels along it.
fn taps(available: usize, start: f64, extent: f64, target: usize, filter: Filter) -> Vec<Taps> {
    let scale = extent / target as f64;
    // Shrinking widens the kernel with the factor: that is the low-pass filter against aliasing.
    let stretch = scale.max(1.0);
    (0..target)
        .map(|i| {
            let center = start + (i as f64 + 0.5) * scale;
            if filter == Filter::Nearest {
                let first = (center.floor().max(0.0) as usize).min(available - 1);
                return Taps {
                    first,
                    weights: vec![1.0],
                };
            }
            let reach = filter.support() * stretch;
            let first = ((center - reach).floor().max(0.0) as usize).min(available - 1);
            let end = ((center + reach).ceil() as usize).clamp(first + 1, available);
            let weight = |pixel: usize| match filter {
                Filter::Lanczos => lanczos3((pixel as f64 + 0.5 - center) / stretch),
                // The share of the source pixel that the new pixel covers.
                _ => overlap(pixel as f64, center - scale / 2.0, center + scale / 2.0),
            };
            let raw: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = raw.iter().sum();
            Taps {
                first,
                weights: raw.iter().map(|w| (w / sum) as f32).collect(),
            }
        })
        .collect()
}

/// How much of the pixel `[pixel, pixel + 1]` lies in `[from, to]`.
fn overlap(pixel: f64, from: f64, to: f64) -> f64 {
    ((pixel + 1.0).min(to) - pixel.max(from)).max(0.0)
}

/// sinc(x) sinc(x/3) on |x| < 3.
fn lanczos3(x: f64) -> f64 {
    if x.abs() >= 3.0 {
        return 0.0;
    }
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
        }
    };
    sinc(x) * sinc(x / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, data: Vec<u8>) -> Pixels {
        Pixels {
            data,
            width,
            height,
            channels: 1,
        }
    }

    fn whole(pixels: &Pixels) -> Region {
        Region {
            left: 0.0,
            top: 0.0,
            width: pixels.width as f64,
            height: pixels.height as f64,
        }
    }

    fn resize(pixels: &Pixels, width: usize, height: usize, filter: Filter) -> Vec<u8> {
        resample(pixels, whole(pixels), width, height, filter).data
    }

    const ALL: [Filter; 3] = [Filter::Lanczos, Filter::Area, Filter::Nearest];

    #[test]
    fn the_same_size_changes_nothing() {
        let pixels = grey(5, 3, (0..15).map(|v| v * 17).collect());
        for filter in ALL {
            assert_eq!(resize(&pixels, 5, 3, filter), pixels.data, "{filter:?}");
        }
    }

    #[test]
    fn a_flat_image_stays_flat_at_every_size() {
        let pixels = grey(7, 5, vec![201; 35]);
        for filter in ALL {
            for size in [1, 2, 3, 8, 31] {
                assert_eq!(
                    resize(&pixels, size, size, filter),
                    vec![201; size * size],
                    "{filter:?} {size}"
                );
            }
        }
    }

    #[test]
    fn area_is_the_mean_of_what_a_pixel_covers() {
        let pixels = grey(4, 2, vec![0, 10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(resize(&pixels, 2, 1, Filter::Area), [25, 45]);
        // Three pixels to two: each takes one and a half.
        assert_eq!(
            resize(&grey(3, 1, vec![0, 90, 180]), 2, 1, Filter::Area),
            [30, 150]
        );
    }

    #[test]
    fn shrinking_stripes_gives_grey_and_not_stripes() {
        let stripes = grey(
            64,
            1,
            (0..64).map(|x| if x % 2 == 0 { 0 } else { 255 }).collect(),
        );
        for value in resize(&stripes, 16, 1, Filter::Area) {
            assert!((127..=128).contains(&value), "{value}");
        }
        // Away from the border, where the kernel is cut.
        for &value in &resize(&stripes, 16, 1, Filter::Lanczos)[2..14] {
            assert!((123..=132).contains(&value), "{value}");
        }
    }

    #[test]
    fn enlarging_by_area_or_nearest_repeats_pixels_and_by_lanczos_is_smooth() {
        let edge = grey(2, 1, vec![50, 200]);
        for filter in [Filter::Area, Filter::Nearest] {
            assert_eq!(
                resize(&edge, 6, 1, filter),
                [50, 50, 50, 200, 200, 200],
                "{filter:?}"
            );
        }
        let smooth = resize(&edge, 6, 1, Filter::Lanczos);
        assert!(
            smooth[2] > smooth[1] && smooth[2] < smooth[3] && smooth[3] < smooth[4],
            "{smooth:?}"
        );
    }

    #[test]
    fn overshoot_is_clamped() {
        let edge = grey(8, 1, vec![0, 0, 0, 0, 255, 255, 255, 255]);
        let out = resize(&edge, 32, 1, Filter::Lanczos);
        assert_eq!((out[0], out[31]), (0, 255));
        assert!(out.contains(&0) && out.contains(&255));
    }

    #[test]
    fn cropping_and_resizing_can_be_exchanged() {
        let pixels = grey(12, 4, (0..48).map(|v| (v * 37 % 251) as u8).collect());
        for filter in ALL {
            let resized = resample(&pixels, whole(&pixels), 6, 2, filter);
            let cropped = resample(
                &pixels,
                Region {
                    left: 4.0,
                    top: 0.0,
                    width: 4.0,
                    height: 4.0,
                },
                2,
                2,
                filter,
            );
            let expected: Vec<u8> = (0..2)
                .flat_map(|y| resized.data[y * 6 + 2..y * 6 + 4].to_vec())
                .collect();
            assert_eq!(cropped.data, expected, "{filter:?}");
        }
    }

    #[test]
    fn channels_do_not_mix() {
        let pixels = Pixels {
            data: [10, 100, 200].repeat(9),
            width: 3,
            height: 3,
            channels: 3,
        };
        for filter in ALL {
            assert_eq!(
                resample(&pixels, whole(&pixels), 2, 2, filter).data,
                [10, 100, 200].repeat(4)
            );
        }
    }
}
