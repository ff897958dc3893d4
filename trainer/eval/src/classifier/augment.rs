//! What a classifier sees of an image while it is trained: moved, turned, zoomed and in other colours, so that it
//! learns what those do not change. Data sets of a few thousand images are learnt by heart without.

use freeguide::noise::NoiseStream;

/// The largest shift of an image, as a share of its size.
const SHIFT: f32 = 1.0 / 8.0;
/// The largest zoom, as a factor.
const ZOOM: f32 = 1.2;
/// The largest rotation, in radians: 12°.
const TURN: f32 = 0.21;
/// The largest change of a channel's gain, as a share.
const GAIN: f32 = 0.15;
/// The largest offset of a channel, with black as −1 and white as 1.
const OFFSET: f32 = 0.15;

/// A random change of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The matrix that maps a pixel's position to the original image, relative to the centre.
    turn: [[f32; 2]; 2],
    /// The shift to the left and upwards, in pixels.
    shift: [f32; 2],
    /// For each channel.
    gain: [f32; 3],
    offset: [f32; 3],
}

impl Change {
    /// Draws a change for images of `size` pixels.
    pub fn draw(size: usize, stream: &mut NoiseStream) -> Self {
        let mut within = |most: f32| most * (2.0 * stream.uniform() as f32 - 1.0);
        let (sine, cosine) = within(TURN).sin_cos();
        let zoom = within(ZOOM.ln()).exp();
        let reach = SHIFT * size as f32;
        Self {
            turn: [[zoom * cosine, -zoom * sine], [zoom * sine, zoom * cosine]],
            shift: [within(reach), within(reach)],
            gain: [(); 3].map(|()| 1.0 + within(GAIN)),
            offset: [(); 3].map(|()| within(OFFSET)),
        }
    }

    /// Changes an image `[channels, size, size]` with values from −1 to 1. Beyond its edge, the edge is repeated.
    pub fn apply(&self, image: &mut [f32], size: usize) {
        let middle = (size as f32 - 1.0) / 2.0;
        for (channel, plane) in image.chunks_exact_mut(size * size).enumerate() {
            let source = plane.to_vec();
            for (place, value) in plane.iter_mut().enumerate() {
                let (x, y) = (
                    (place % size) as f32 - middle,
                    (place / size) as f32 - middle,
                );
                let [[xx, xy], [yx, yy]] = self.turn;
                let from_x = xx * x + xy * y + middle + self.shift[0];
                let from_y = yx * x + yy * y + middle + self.shift[1];
                let old = bilinear(&source, size, from_x, from_y);
                let (gain, offset) = (self.gain[channel % 3], self.offset[channel % 3]);
                *value = (gain * old + offset).clamp(-1.0, 1.0);
            }
        }
    }
}

/// The bilinear interpolation of the four pixels around a position.
fn bilinear(plane: &[f32], size: usize, x: f32, y: f32) -> f32 {
    let last = (size - 1) as f32;
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(size - 1), (top + 1).min(size - 1));
    let (u, v) = (x - left as f32, y - top as f32);
    let row = |y: usize| plane[y * size + left] * (1.0 - u) + plane[y * size + right] * u;
    row(top) * (1.0 - v) + row(bottom) * v
}

#[cfg(test)]
mod tests {
    use freeguide::noise::Purpose;

    use super::*;

    const NONE: Change = Change {
        turn: [[1.0, 0.0], [0.0, 1.0]],
        shift: [0.0; 2],
        gain: [1.0; 3],
        offset: [0.0; 3],
    };

    fn image() -> Vec<f32> {
        (1..=9).map(|v| v as f32 / 10.0).collect()
    }

    #[test]
    fn a_moved_image_repeats_its_edge() {
        let mut moved = image();
        NONE.apply(&mut moved, 3);
        assert_eq!(moved, image());
        let left = Change {
            shift: [1.0, -1.0],
            ..NONE
        };
        left.apply(&mut moved, 3);
        assert_eq!(moved, [0.2, 0.3, 0.3, 0.2, 0.3, 0.3, 0.5, 0.6, 0.6]);
    }

    #[test]
    fn a_quarter_turn_is_one() {
        let mut turned = image();
        let quarter = Change {
            turn: [[0.0, -1.0], [1.0, 0.0]],
            ..NONE
        };
        quarter.apply(&mut turned, 3);
        assert_eq!(turned, [0.3, 0.6, 0.9, 0.2, 0.5, 0.8, 0.1, 0.4, 0.7]);
    }

    #[test]
    fn drawn_changes_stay_within_their_limits() {
        let mut stream = NoiseStream::new(Purpose::Training, 7, 0, 0);
        for _ in 0..1000 {
            let change = Change::draw(16, &mut stream);
            let [[a, b], [c, d]] = change.turn;
            let zoom = (a * d - b * c).sqrt();
            assert!((1.0 / ZOOM - 1e-4..=ZOOM + 1e-4).contains(&zoom), "{zoom}");
            assert!(change.shift.iter().all(|s| s.abs() <= 2.0), "{change:?}");
            assert!(change.gain.iter().all(|g| (g - 1.0).abs() <= GAIN));
        }
    }
}
