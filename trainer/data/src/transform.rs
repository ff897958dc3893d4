//! From a decoded file to the pixels that the network is trained on.

use image::DynamicImage;
use serde::{Deserialize, Serialize};

use super::resample::{Filter, Pixels, Region, resample};

/// The largest `size` that is accepted, in pixels: far above what a pixel-space diffusion model is trained on, and low
/// enough that a mistyped number gives an error and not a full memory.
pub const LARGEST: u32 = 2048;

/// How every image of a data set is brought to one form.
///
/// In this order: the file's own orientation (EXIF) is applied; transparent pixels are laid over `background`; the
/// picture is fitted into a square as `crop` says and resized with `resize`; `channels = 1` then takes the luma of
/// Rec. 709 (0.2126 R + 0.7152 G + 0.0722 B). Images smaller than `size` are enlarged. 16-bit images are reduced to
/// 8 bits; colour profiles are not applied; of an animation the first picture is taken. Resizing works on the stored
/// (gamma-encoded) values, as data sets of this field are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// Width and height of the result, in pixels: 1 … [`LARGEST`].
    pub size: u32,
    /// 3 for colour (RGB), 1 for grey.
    pub channels: u32,
    /// The filter for resizing.
    pub resize: Filter,
    /// How an image that is not square becomes square.
    pub crop: Crop,
    /// The colour behind transparent pixels and around padded images.
    pub background: [u8; 3],
}

/// How an image that is not square becomes square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// The largest square in the middle is kept.
    #[default]
    Center,
    /// The whole picture is kept and its proportions are not.
    Stretch,
    /// The whole picture is kept and the rest of the square filled with the background colour.
    Pad,
}

impl Transform {
    /// The number of values in a transformed image, `size · size · channels`.
    pub fn image_len(&self) -> usize {
        (self.size * self.size * self.channels) as usize
    }

    /// Brings one image to `[size, size, channels]`. The orientation must have been applied.
    pub fn apply(&self, image: &DynamicImage) -> Vec<u8> {
        let source = self.flatten(image);
        let size = self.size as usize;
        let (width, height) = (source.width as f64, source.height as f64);
        let whole = Region {
            left: 0.0,
            top: 0.0,
            width,
            height,
        };
        let square = match self.crop {
            // At its own size every filter leaves a picture as it is.
            _ if (source.width, source.height) == (size, size) => source.data,
            Crop::Stretch => resample(&source, whole, size, size, self.resize).data,
            Crop::Center => {
                let side = width.min(height);
                let region = Region {
                    left: (width - side) / 2.0,
                    top: (height - side) / 2.0,
                    width: side,
                    height: side,
                };
                resample(&source, region, size, size, self.resize).data
            }
            Crop::Pad => {
                let scale = size as f64 / width.max(height);
                let fit = |extent: f64| ((extent * scale).round() as usize).clamp(1, size);
                self.pad(&resample(
                    &source,
                    whole,
                    fit(width),
                    fit(height),
                    self.resize,
                ))
            }
        };
        match self.channels {
            1 => square.chunks_exact(3).map(luma).collect(),
            _ => square,
        }
    }

    /// RGB on the background colour. Laying over the background before resizing gives the edges of a cut-out the right
    /// colour: resizing straight alpha would mix in the colour of invisible pixels.
    fn flatten(&self, image: &DynamicImage) -> Pixels {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let data = if image.color().has_alpha() {
            let over = |pixel: &[u8]| -> [u8; 3] {
                let alpha = u32::from(pixel[3]);
                std::array::from_fn(|c| {
                    let sum =
                        u32::from(pixel[c]) * alpha + u32::from(self.background[c]) * (255 - alpha);
                    ((sum + 127) / 255) as u8
                })
            };
            image
                .to_rgba8()
                .as_raw()
                .chunks_exact(4)
                .flat_map(over)
                .collect()
        } else {
            image.to_rgb8().into_raw()
        };
        Pixels {
            data,
            width,
            height,
            channels: 3,
        }
    }

    /// Lays `inner` in the middle of a square of the background colour.
    fn pad(&self, inner: &Pixels) -> Vec<u8> {
        let size = self.size as usize;
        let (left, top) = ((size - inner.width) / 2, (size - inner.height) / 2);
        let mut square = self.background.repeat(size * size);
        for (y, row) in inner.data.chunks_exact(inner.width * 3).enumerate() {
            let offset = ((top + y) * size + left) * 3;
            square[offset..offset + row.len()].copy_from_slice(row);
        }
        square
    }
}

/// Luma of Rec. 709 from gamma-encoded RGB.
fn luma(rgb: &[u8]) -> u8 {
    ((2126 * u32::from(rgb[0]) + 7152 * u32::from(rgb[1]) + 722 * u32::from(rgb[2]) + 5000) / 10000)
        as u8
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn to(size: u32) -> Transform {
        crate::DataRecipe::new(size).transform()
    }

    fn area(size: u32, crop: Crop) -> Transform {
        Transform {
            resize: Filter::Area,
            crop,
            ..to(size)
        }
    }

    /// 4×2: red, green, blue and white columns.
    fn columns() -> DynamicImage {
        let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
        RgbImage::from_fn(4, 2, |x, _| Rgb(colors[x as usize])).into()
    }

    #[test]
    fn center_keeps_the_middle_square() {
        assert_eq!(
            area(2, Crop::Center).apply(&columns()),
            [0, 255, 0, 0, 0, 255].repeat(2)
        );
    }

    #[test]
    fn stretch_keeps_everything() {
        let expected = [128, 128, 0, 128, 128, 255].repeat(2);
        assert_eq!(area(2, Crop::Stretch).apply(&columns()), expected);
    }

    #[test]
    fn pad_keeps_everything_and_fills_the_rest() {
        let transform = Transform {
            background: [9, 8, 7],
            ..area(4, Crop::Pad)
        };
        let out = transform.apply(&columns());
        let bar = [9, 8, 7].repeat(4);
        assert_eq!(out[..12], bar);
        assert_eq!(out[12..15], [255, 0, 0]);
        assert_eq!(out[36..], bar);
    }

    #[test]
    fn a_very_long_image_is_padded_to_at_least_one_pixel() {
        let line = DynamicImage::from(RgbImage::from_pixel(500, 1, Rgb([0, 0, 0])));
        let out = area(8, Crop::Pad).apply(&line);
        assert_eq!(out.len(), 8 * 8 * 3);
        assert_eq!(
            out.chunks(24)
                .filter(|row| row.iter().all(|&v| v == 0))
                .count(),
            1
        );
    }

    #[test]
    fn an_image_of_the_right_size_stays_as_it_is_whatever_the_filter() {
        let noise = RgbImage::from_fn(9, 9, |x, y| {
            Rgb([(x * 91 + y * 53) as u8, (y * 201) as u8, 7])
        });
        let pixels = Pixels {
            data: noise.as_raw().clone(),
            width: 9,
            height: 9,
            channels: 3,
        };
        let whole = Region {
            left: 0.0,
            top: 0.0,
            width: 9.0,
            height: 9.0,
        };
        for filter in [Filter::Lanczos, Filter::Area, Filter::Nearest] {
            let resampled = resample(&pixels, whole, 9, 9, filter).data;
            assert_eq!(resampled, pixels.data, "{filter:?}");
        }
        assert_eq!(to(9).apply(&noise.into()), pixels.data);
    }

    #[test]
    fn small_images_are_enlarged() {
        let dot = DynamicImage::from(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])));
        assert_eq!(to(4).apply(&dot), [1, 2, 3].repeat(16));
    }

    #[test]
    fn alpha_is_laid_over_the_background() {
        let image = RgbaImage::from_fn(3, 3, |x, _| Rgba([200, 0, 0, [0, 255, 102][x as usize]]));
        let transform = Transform {
            background: [0, 100, 50],
            ..area(3, Crop::Center)
        };
        let out = transform.apply(&image.into());
        assert_eq!(out[..9], [0, 100, 50, 200, 0, 0, 80, 60, 30]);
        let grey = ImageBuffer::from_pixel(1, 1, LumaA([10u8, 0]));
        assert_eq!(to(1).apply(&DynamicImage::ImageLumaA8(grey)), [255; 3]);
    }

    #[test]
    fn every_depth_and_channel_count_is_taken() {
        let deep = ImageBuffer::from_pixel(2, 2, Rgb([65535u16, 32768, 0]));
        assert_eq!(to(1).apply(&DynamicImage::ImageRgb16(deep)), [255, 128, 0]);
        let grey16 = ImageBuffer::from_pixel(2, 2, Luma([65535u16]));
        assert_eq!(to(1).apply(&DynamicImage::ImageLuma16(grey16)), [255; 3]);
        let grey = DynamicImage::from(GrayImage::from_pixel(2, 2, Luma([77])));
        assert_eq!(to(1).apply(&grey), [77; 3]);
    }

    #[test]
    fn one_channel_is_luma() {
        let transform = Transform {
            channels: 1,
            ..area(4, Crop::Stretch)
        };
        let out = transform.apply(&columns());
        assert_eq!(out.len(), transform.image_len());
        assert_eq!(out[..4], [54, 182, 18, 255]);
        let grey = DynamicImage::from(GrayImage::from_fn(4, 4, |x, y| Luma([(x * 60 + y) as u8])));
        assert_eq!(transform.apply(&grey), *grey.as_bytes());
    }
}
