//! Loading a bundle, and the model that comes of it.

use freeguide::bundle;
use freeguide::condition::Joint;
use freeguide::noise_level::LogSnr;
use freeguide::sampler::Evaluation;
use freeguide::settings::{ImageSettings, Plan, Request};
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::error::Failure;
use crate::network::{Drawing, Network, drawing};
use crate::run::{Run, tensor, values};

/// Takes a bundle's bytes as they arrive. See the library's `bundle::Loader`, whose steps these
/// are.
#[wasm_bindgen]
pub struct Loader {
    inner: bundle::NetworkLoader<Network>,
    device: Device,
}

#[wasm_bindgen]
impl Loader {
    /// Reads `config.json`. `half`: weights that all come in f16 stay so, and the network computes
    /// in f16, where the device can.
    ///
    /// # Errors
    ///
    /// Code `bundle`, with the kind of error as `detail`.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str, device: &Device, half: bool) -> Result<Loader, Failure> {
        let loader = bundle::NetworkLoader::new(config_json, device.burn())?;
        loader.config().draws_alone()?;
        // The constants of a network that was compiled in are in f32.
        let half = half && device.has_half() && !cfg!(feature = "compiled-network");
        Ok(Self {
            inner: if half { loader.keep_half() } else { loader },
            device: device.clone(),
        })
    }

    /// The weights files that are wanted, in order, as JSON: `[{ "name", "bytes", "sha256" }]`.
    pub fn files(&self) -> String {
        let files: Vec<_> = self
            .inner
            .files()
            .iter()
            .map(|f| json!({ "name": f.file, "bytes": f.bytes, "sha256": f.sha256 }))
            .collect();
        json!(files).to_string()
    }

    /// The memory that the model will need, in bytes, as JSON: `{ "weights", "largest", "kept",
    /// "row", "activation" }`, as the library's `MemoryEstimate`.
    pub fn memory(&self) -> String {
        let memory = self.inner.memory();
        let bundle::MemoryEstimate {
            weights,
            largest,
            cached_weights,
            row,
            activation,
        } = memory;
        json!({ "weights": weights, "largest": largest, "kept": cached_weights, "row": row, "activation": activation })
            .to_string()
    }

    /// Begins the next file.
    ///
    /// # Errors
    ///
    /// Code `bundle`.
    pub fn begin(&mut self, name: &str) -> Result<(), Failure> {
        Ok(self.inner.begin(name)?)
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    ///
    /// Code `bundle`.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        Ok(self.inner.push(chunk)?)
    }

    /// Ends the file; length and SHA-256 are checked.
    ///
    /// # Errors
    ///
    /// Code `bundle`.
    pub fn end(&mut self) -> Result<(), Failure> {
        Ok(self.inner.end()?)
    }

    /// The model. The loader is gone after this.
    ///
    /// # Errors
    ///
    /// Code `bundle`, where a file or a tensor is missing.
    pub fn finish(self) -> Result<Model, Failure> {
        Ok(Model {
            inner: drawing(self.inner.finish()?)?,
            device: self.device,
        })
    }
}

/// A model that has been loaded whole.
#[wasm_bindgen]
pub struct Model {
    inner: bundle::Model<Drawing>,
    device: Device,
}

#[wasm_bindgen]
impl Model {
    /// The bundle's configuration, as JSON.
    #[wasm_bindgen(getter)]
    pub fn config(&self) -> String {
        self.inner.config().to_json()
    }

    /// Whether the network computes in f16.
    #[wasm_bindgen(getter)]
    pub fn half(&self) -> bool {
        self.inner.computes_in_half()
    }

    /// Has `guide` give the other estimate of runs from now on; it may be freed afterwards. Both are on the same device.
    ///
    /// # Errors
    ///
    /// Code `input`, where the two do not fit.
    #[wasm_bindgen(js_name = guideBy)]
    pub fn guide_by(&mut self, guide: &Model) -> Result<(), Failure> {
        let model = self.inner.clone().guided_by(guide.inner.clone());
        self.inner = model.map_err(Failure::input)?;
        Ok(())
    }

    /// What devices that compute this model rightly agree about: z after a step in the middle of the noise levels. Has a
    /// GPU's driver compile what steps need.
    ///
    /// # Errors
    ///
    /// Code `device`, where the device does not answer.
    pub async fn probe(&self) -> Result<Vec<f32>, Failure> {
        let mut run = self.inner.probe()?;
        run.advance();
        let data = run.latent().into_data_async().await;
        Ok(data.map_err(Failure::device)?.iter::<f32>().collect())
    }

    /// Checks a request (JSON) and says what it costs and what its images would be drawn with:
    /// `{ "steps", "nfe", "levels", "rows", "settings" }`, where `nfe` counts the network evaluations
    /// for the image that needs most, `levels` are the λ that the steps visit, in nats, `rows` the
    /// most rows of one evaluation, and `settings` what the PNG of each image carries.
    ///
    /// # Errors
    ///
    /// Code `input`.
    pub fn plan(&self, request: &str) -> Result<String, Failure> {
        let plan = self.checked(request)?;
        let trained = self.inner.config().diffusion.log_snr;
        let levels = plan.levels(trained);
        let levels: Vec<f64> = levels.into_iter().map(|level| level.0).collect();
        let nfe = self.inner.evaluations(&plan);
        let rows = self.inner.rows(&plan);
        let config = self.inner.config();
        let settings = ImageSettings::of_plan(&plan, &config.name, &config.classes);
        let plan = json!({ "steps": plan.steps_taken(), "nfe": nfe, "levels": levels, "rows": rows, "settings": settings });
        Ok(plan.to_string())
    }

    /// Begins a sampling; no step is taken yet.
    ///
    /// # Errors
    ///
    /// Code `input`, naming the field and what it may be.
    pub fn sample(&self, request: &str) -> Result<Run, Failure> {
        let plan = self.checked(request)?;
        let shape = self.inner.config().image.dims();
        Ok(Run::new(self.inner.run(plan), shape, self.device.clone()))
    }

    /// Continues a run of the same request, of this or of another instance: after its step `step`, with
    /// the values of [`Run::state`].
    ///
    /// # Errors
    ///
    /// Code `input`, as [`sample`](Self::sample), and where the state is not one of such a run.
    pub fn resume(&self, request: &str, step: usize, state: &[f32]) -> Result<Run, Failure> {
        let mut run = self.sample(request)?;
        run.resume(step, state)?;
        Ok(run)
    }

    /// The network's answer to rows that [`Run::divide`] of another instance has set apart. `guidance` is w of each row
    /// and `next_log_snr` λ that the step leads to, where the network takes them as inputs; `joints` is the attributes and
    /// numbers of the rows.
    ///
    /// # Errors
    ///
    /// Code `input`, where values, classes and strengths do not fit each other or the model.
    pub fn predict(
        &self,
        z: &[f32],
        log_snr: f64,
        classes: Vec<u32>,
        guidance: Option<Vec<f64>>,
        next_log_snr: Option<f64>,
        joints: Option<String>,
    ) -> Result<Vec<f32>, Failure> {
        let config = self.inner.config();
        let joints = match joints {
            Some(json) => Some(self.joints(&json, classes.len())?),
            None => None,
        };
        let wanted = config.guidance_input().map(|_| classes.len());
        if guidance.as_ref().map(Vec::len) != wanted {
            return Err(Failure::input(match wanted {
                Some(rows) => format!("{rows} guidance strengths are wanted, one a row"),
                None => "this model does not take guidance strengths".to_owned(),
            }));
        }
        if next_log_snr.is_some() != config.flow_map().is_some() {
            return Err(Failure::input(
                "the next level is given to models of few steps, and to no others",
            ));
        }
        let null = config.classes.len() as u32;
        if let Some(class) = classes.iter().find(|&&class| class > null) {
            return Err(Failure::input(format!("there is no class {class}")));
        }
        let [channels, height, width] = config.image.dims();
        let shape = [classes.len(), channels, height, width];
        let rows = Evaluation {
            z: tensor(z, shape, self.device.burn())?,
            level: LogSnr(log_snr),
            classes,
            joints,
            guidance,
            next: next_log_snr.map(LogSnr),
        };
        values(rows.predict(self.inner.network()))
    }
}

impl Model {
    /// Attributes and numbers of so many rows.
    fn joints(&self, json: &str, rows: usize) -> Result<Vec<Joint>, Failure> {
        let joints: Vec<Joint> = serde_json::from_str(json).map_err(Failure::input)?;
        let classes = self.inner.config().classes.len();
        let known = |joint: &Joint| joint.labels.iter().all(|&id| (id as usize) < classes);
        match joints.len() == rows && joints.iter().all(known) {
            true => Ok(joints),
            false => Err(Failure::input("the attributes are not those of the rows")),
        }
    }

    fn checked(&self, request: &str) -> Result<Plan, Failure> {
        let request: Request = serde_json::from_str(request).map_err(Failure::input)?;
        Ok(self.inner.plan(&request)?)
    }
}
