//! Tileable images, on the mixture of Gaussians as pictures of two pixels: what a network knows of places has to go.

use burn::tensor::{Device, Int, Tensor};
use freeguide::denoiser::Denoiser;
use freeguide::gaussian_mixture::GaussianMixture as Mixture;
use freeguide::network::OtherInputs;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::{Plan, Run, Solver};

const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};

/// The points of the plane as pictures of two grey pixels, beside each other.
struct TwoPixels(Mixture);

impl Denoiser for TwoPixels {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        _: OtherInputs,
    ) -> Tensor<4> {
        let [rows, ..] = z.dims();
        let points = z.reshape([rows, 2, 1, 1]);
        let answer = self.0.predict(points, log_snr, class);
        answer.reshape([rows, 1, 1, 2])
    }
}

fn draw(pixels: &TwoPixels, plan: Plan) -> Vec<f64> {
    let shape = [1, 1, 2];
    let mut run = Run::new(pixels, plan, Target::V, RANGE, shape, &Device::flex());
    while run.advance() {}
    run.denoised().into_data().iter::<f64>().collect()
}

fn plan(count: usize, solver: Solver, tileable: bool) -> Plan {
    Plan {
        tileable,
        ..Plan::new(vec![Some(0); count], 256)
            .with_seed(5)
            .with_sampler(solver)
            .with_clip(false)
    }
}

#[test]
fn no_place_is_special_in_tileable_images() {
    // The left pixel is bright and the right one dark.
    let pixels = TwoPixels(Mixture {
        means: vec![[0.5, -0.5]],
        deviations: vec![0.1],
        target: Target::V,
    });
    for solver in [Solver::Ddim, Solver::Ancestral] {
        let mean = |tileable: bool, pixel: usize| {
            let values = draw(&pixels, plan(500, solver, tileable));
            values.iter().skip(pixel).step_by(2).sum::<f64>() / 500.0
        };
        assert!((mean(false, 0) - 0.5).abs() < 0.02);
        assert!((mean(false, 1) + 0.5).abs() < 0.02);
        for pixel in 0..2 {
            let found = mean(true, pixel);
            assert!(found.abs() < 0.2, "{solver:?}, pixel {pixel}: {found}");
        }
    }
}

#[test]
fn a_network_that_knows_no_places_draws_the_same() {
    let pixels = TwoPixels(Mixture {
        means: vec![[0.2, 0.2], [-0.4, -0.4]],
        deviations: vec![0.1, 0.3],
        target: Target::V,
    });
    for solver in Solver::ALL {
        let of = |tileable: bool| draw(&pixels, plan(8, solver, tileable).with_guidance(1.0));
        let pairs = of(true).into_iter().zip(of(false));
        let error = pairs.fold(0.0f64, |error, (a, b)| error.max((a - b).abs()));
        assert!(error < 1e-5, "{solver:?}: {error}");
    }
}

#[test]
fn a_tileable_image_does_not_depend_on_its_batch() {
    let pixels = TwoPixels(Mixture::three(Target::V));
    let together = draw(&pixels, plan(3, Solver::Ancestral, true));
    let last = Plan {
        first_image: 2,
        ..plan(1, Solver::Ancestral, true)
    };
    let alone = draw(&pixels, last);
    assert!(
        alone
            .iter()
            .zip(&together[4..])
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
}
