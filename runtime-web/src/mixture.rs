//! A mixture of Gaussians, for pages that show what guidance does where the answer is known.

use burn::tensor::Tensor;
use freeguide::denoiser::Class;
use freeguide::gaussian_mixture::{GaussianMixture, POINT_SHAPE};
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler;
use freeguide::settings::{Request, SamplingDefaults};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::error::Failure;

/// The levels of a sampling: nearly clean at its end, and no nearer, where 32 bits cannot tell ε.
const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};
/// The most cells of a density's side.
const MAX_SIDE: usize = 1024;

/// One Gaussian in the plane for each class.
#[wasm_bindgen]
pub struct Mixture {
    inner: GaussianMixture,
    device: Device,
}

#[wasm_bindgen]
impl Mixture {
    /// `means`: x and y of each class in turn; `deviations`: one for each class.
    ///
    /// # Errors
    ///
    /// Code `input`, where the numbers of both do not fit, one is not finite or a deviation is not
    /// positive.
    #[wasm_bindgen(constructor)]
    pub fn new(means: &[f64], deviations: &[f64], device: &Device) -> Result<Mixture, Failure> {
        if deviations.is_empty() || means.len() != 2 * deviations.len() {
            return Err(Failure::input(
                "a mixture needs two coordinates and one deviation for each class",
            ));
        }
        if !means.iter().all(|m| m.is_finite())
            || !deviations.iter().all(|d| d.is_finite() && *d > 0.0)
        {
            return Err(Failure::input(
                "means must be finite, and deviations finite and more than 0",
            ));
        }
        Ok(Self {
            inner: GaussianMixture {
                means: means.chunks_exact(2).map(|m| [m[0], m[1]]).collect(),
                deviations: deviations.to_vec(),
                target: Target::Epsilon,
            },
            device: device.clone(),
        })
    }

    /// The density that guidance of strength w stands for, of class `class` or, for −1, of all: at
    /// the middles of `side` × `side` cells of the square from −`extent` to `extent`, row by row
    /// from the top, the largest value 1.
    ///
    /// # Errors
    ///
    /// Code `input`, where there is no such class or a number makes no sense.
    pub fn density(
        &self,
        class: i32,
        guidance: f64,
        side: usize,
        extent: f64,
    ) -> Result<Vec<f32>, Failure> {
        let class = self.class(class)?;
        if !(1..=MAX_SIDE).contains(&side) || !(extent > 0.0 && extent.is_finite()) {
            return Err(Failure::input(format!(
                "side must be from 1 to {MAX_SIDE} and extent a finite number above 0"
            )));
        }
        let middle = |cell: usize| extent * ((2 * cell + 1) as f64 / side as f64 - 1.0);
        let mut logs = Vec::with_capacity(side * side);
        for row in 0..side {
            for column in 0..side {
                let x = [middle(column), -middle(row)];
                logs.push(match class {
                    Some(class) => self.inner.log_guided_density(x, class, guidance),
                    // w = −1 of any class is the whole mixture.
                    None => self.inner.log_guided_density(x, 0, -1.0),
                });
            }
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Ok(logs.iter().map(|l| (l - largest).exp() as f32).collect())
    }

    /// Begins a sampling of a request (JSON), whose classes are ids; no step is taken yet.
    ///
    /// # Errors
    ///
    /// Code `input`, naming the field and what it may be.
    pub fn sample(&self, request: &str) -> Result<MixtureRun, Failure> {
        let request: Request = serde_json::from_str(request).map_err(Failure::input)?;
        let ids = 0..self.inner.means.len();
        let names = ids.map(|k| k.to_string()).collect();
        let plan = request.plan(&names, &SamplingDefaults::default(), RANGE)?;
        let plan = plan.on_timesteps(None)?;
        let (mixture, target) = (self.inner.clone(), self.inner.target);
        let device = self.device.burn();
        Ok(MixtureRun {
            inner: sampler::Run::new(mixture, plan, target, RANGE, POINT_SHAPE, device),
        })
    }
}

impl Mixture {
    fn class(&self, class: i32) -> Result<Class, Failure> {
        let count = self.inner.means.len();
        match u32::try_from(class) {
            Err(_) => Ok(None),
            Ok(class) if (class as usize) < count => Ok(Some(class)),
            Ok(class) => Err(Failure::input(format!(
                "there is no class {class}: there are {count}, from 0"
            ))),
        }
    }
}

/// One sampling of points, step by step.
#[wasm_bindgen]
pub struct MixtureRun {
    inner: sampler::Run<GaussianMixture>,
}

#[wasm_bindgen]
impl MixtureRun {
    /// Steps in all.
    #[wasm_bindgen(getter)]
    pub fn steps(&self) -> usize {
        self.inner.steps()
    }

    /// Steps taken.
    #[wasm_bindgen(getter)]
    pub fn step(&self) -> usize {
        self.inner.step()
    }

    /// Takes one step.
    pub fn advance(&mut self) {
        self.inner.advance();
    }

    /// x and y of every point in turn, of `"denoised"` (x̃) or `"latent"` (z).
    ///
    /// # Errors
    ///
    /// Code `input` for another `kind`; code `device` where the device does not answer.
    pub async fn points(&self, kind: &str) -> Result<Vec<f32>, Failure> {
        let points: Tensor<4> = match kind {
            "denoised" => self.inner.denoised(),
            "latent" => self.inner.latent(),
            other => {
                return Err(Failure::input(format!(
                    "there are \"denoised\" and \"latent\" points, not {other:?}"
                )));
            }
        };
        let data = points.into_data_async().await.map_err(Failure::device)?;
        Ok(data.iter::<f32>().collect())
    }
}
