//! What is drawn, and how the axes reach.

use super::axis::{Axis, linear_ticks, short_count, short_number};
use super::paint::{TRAINING, VALIDATION};
use super::series::{RESOLUTION, envelope, smoothed};
use super::*;

fn draw(
    title: &str,
    training: &[(u64, f32)],
    validation: &[(u64, f32)],
) -> Result<Vec<u8>, LossCurveError> {
    LossCurve {
        title,
        training,
        validation,
    }
    .to_png()
}

/// A loss that falls from `from` to `to`, with reproducible noise.
fn falling(steps: u64, from: f64, to: f64) -> Vec<(u64, f32)> {
    let noise =
        |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
    let curve = |i: u64| to + (from - to) * (-6.0 * i as f64 / steps as f64).exp();
    (1..=steps)
        .map(|i| (i, (curve(i) * (1.0 + 0.5 * noise(i))) as f32))
        .collect()
}

fn decode(png: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width as usize, info.height as usize), (WIDTH, HEIGHT));
    pixels
}

fn count(pixels: &[u8], color: RGBColor) -> usize {
    pixels
        .chunks(3)
        .filter(|rgb| *rgb == [color.0, color.1, color.2])
        .count()
}

#[test]
fn both_series_are_drawn() {
    let training = falling(20_000, 1.0, 0.05);
    let validation: Vec<(u64, f32)> = (1..=10).map(|i| (i * 2000, 0.6 / i as f32)).collect();
    let both = draw("emoji16 · training loss", &training, &validation).unwrap();
    let pixels = decode(&both);
    assert!(count(&pixels, TRAINING) > 500);
    assert!(count(&pixels, VALIDATION) > 500);
    let alone = draw("emoji16", &training, &[]).unwrap();
    assert_eq!(count(&decode(&alone), VALIDATION), 0);
}

#[test]
fn any_series_can_be_drawn() {
    let cases: [&[(u64, f32)]; 7] = [
        &[(1, 0.5)],
        &[(0, 0.0)],
        &[(1, 0.5), (2, 0.5)],
        &[(1, f32::NAN), (2, 0.3), (3, f32::INFINITY)],
        &[(1, -1.0), (2, 3.0)],
        &[(1, 1e-30), (2, 1e30)],
        &[(u64::MAX, 0.1)],
    ];
    for series in cases {
        assert!(draw("x", series, &[]).is_ok(), "{series:?}");
        assert!(draw("", &[], series).is_ok(), "{series:?}");
    }
}

#[test]
fn nothing_to_draw_is_an_error() {
    for training in [&[][..], &[(1, f32::NAN)]] {
        assert!(matches!(
            draw("x", training, &[]),
            Err(LossCurveError::Empty)
        ));
    }
}

#[test]
fn a_wide_span_makes_the_axis_logarithmic() {
    let axis = |values: &[f64]| {
        let points: Vec<Point> = values.iter().map(|&v| (0.0, v)).collect();
        Axis::fit(&points, &points).unwrap()
    };
    assert!(axis(&[0.02, 1.0]).logarithmic);
    assert!(!axis(&[0.3, 1.0]).logarithmic);
    assert!(!axis(&[0.0, 1.0]).logarithmic);
    assert_eq!(axis(&[0.3, 1.0]).low, 0.0);
    assert!(axis(&[0.8, 1.0]).low > 0.7);
    assert!(axis(&[0.02, 1.0]).ticks().len() >= 4);
    assert!(axis(&[0.2, 1.0 + 0.3]).ticks().len() >= 4);
}

#[test]
fn smoothing_keeps_level_and_ends() {
    let flat: Vec<Point> = (0..5000).map(|i| (f64::from(i), 2.0)).collect();
    let smooth = smoothed(&flat);
    assert!(smooth.iter().all(|p| (p.1 - 2.0).abs() < 1e-9));
    assert_eq!((smooth[0].0, smooth[smooth.len() - 1].0), (0.0, 4999.0));
    assert!(smooth.len() <= RESOLUTION + 2);
    let noisy = finite(&falling(5000, 1.0, 0.1));
    let mean_step = |points: &[Point]| {
        points
            .windows(2)
            .map(|w| (w[1].1 - w[0].1).abs())
            .sum::<f64>()
            / points.len() as f64
    };
    assert!(mean_step(&smoothed(&noisy)) < mean_step(&noisy) / 5.0);
}

#[test]
fn the_envelope_keeps_extremes() {
    let mut points: Vec<Point> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
    points[54_321].1 = 9.0;
    let drawn = envelope(&points);
    assert!(drawn.len() <= 2 * RESOLUTION);
    assert!(drawn.contains(&(54_321.0, 9.0)));
}

#[test]
fn ticks_are_round_and_labels_short() {
    assert_eq!(linear_ticks(0.0, 20_000.0, 9), [0.0, 5e3, 1e4, 1.5e4, 2e4]);
    assert_eq!(
        linear_ticks(0.0, 1.0, 7),
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|v: f64| (v * 5.0).round() * 0.2)
    );
    assert_eq!(linear_ticks(3.0, 3.0, 7), [3.0]);
    assert_eq!(
        [0.0, 500.0, 2500.0, 20_000.0, 1.5e6].map(short_count),
        ["0", "500", "2.5k", "20k", "1.5M"]
    );
    assert_eq!(
        [0.05, 0.015, 0.000_2, 1.0, 12.5].map(short_number),
        ["0.05", "0.015", "0.0002", "1", "12.5"]
    );
}
