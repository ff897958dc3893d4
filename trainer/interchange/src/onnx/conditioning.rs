//! The embedding of (λ, class) as operators. It always uses 32-bit floats, because the angles of its sinusoids reach
//! 1000.

use freeguide::bundle::Config;
use freeguide::network::UNetConfig;
use freeguide::timesteps::Timesteps;

use super::OnnxError;
use super::graph::{Graph, Value, integer};
use super::proto::tensor_proto::DataType;

/// Inputs that not all networks take, `[batch]` each.
#[derive(Default)]
pub(super) struct OtherInputs {
    /// w.
    pub guidance: Option<Value>,
    /// λ that the step leads to.
    pub next_log_snr: Option<Value>,
}

impl OtherInputs {
    /// Those that a network of this configuration takes.
    pub fn of(config: &Config) -> Self {
        Self {
            guidance: config.guidance_input().map(|_| "guidance".to_owned()),
            next_log_snr: config.flow_map().map(|_| "next_log_snr".to_owned()),
        }
    }
}

impl Graph<'_> {
    /// silu(MLP(sinusoids of λ) + embedding of the class), `[batch, channels]`, from λ `[batch]` and the class ids
    /// `[batch]`. A student adds an MLP of the sinusoids of each of its other inputs.
    pub(super) fn conditioning(
        &mut self,
        config: &UNetConfig,
        log_snr: &Value,
        class: &Value,
        others: &OtherInputs,
    ) -> Result<Value, OnnxError> {
        self.set_scope("conditioning");
        let time = self.time(config, log_snr);
        let layers = ["conditioning.log_snr_in", "conditioning.log_snr_out"];
        let time = self.embedding(&time, config.frequency_shift, layers)?;
        let table = self.precise_weight("conditioning.class.weight")?;
        let class = self.node("Gather", &[&table, class], vec![integer("axis", 0)]);
        let mut sum = self.node("Add", &[&time, &class], vec![]);
        if let (Some(input), Some(w)) = (config.guidance, &others.guidance) {
            let (slope, offset) = input.argument();
            let [slope, offset] = [slope, offset].map(|v| self.floats(&[v as f32], &[1]));
            let column = self.reshape(w, &[-1, 1]);
            let scaled = self.node("Mul", &[&column, &slope], vec![]);
            let argument = self.node("Add", &[&scaled, &offset], vec![]);
            let layers = [
                "conditioning.guidance.input",
                "conditioning.guidance.output",
            ];
            let embedding = self.embedding(&argument, 0.0, layers)?;
            sum = self.node("Add", &[&sum, &embedding], vec![]);
        }
        if let (Some(_), Some(next)) = (config.flow_map, &others.next_log_snr) {
            let column = self.reshape(next, &[-1, 1]);
            let opposite = self.node("Neg", &[&column], vec![]);
            let variance = self.node("Sigmoid", &[&opposite], vec![]);
            let scale = self.floats(&[100.0], &[1]);
            let argument = self.node("Mul", &[&variance, &scale], vec![]);
            let layers = [
                "conditioning.next_log_snr.input",
                "conditioning.next_log_snr.output",
            ];
            let embedding = self.embedding(&argument, 0.0, layers)?;
            sum = self.node("Add", &[&sum, &embedding], vec![]);
        }
        let embedding = self.silu(&sum);
        Ok(match self.computes_in() {
            DataType::Float => embedding,
            other => self.cast(&embedding, other),
        })
    }

    /// An MLP of the sinusoids of `argument`, `[batch, 1]`.
    fn embedding(
        &mut self,
        argument: &Value,
        shift: f64,
        [input, output]: [&str; 2],
    ) -> Result<Value, OnnxError> {
        let channels = match self.tensors.shape(&format!("{input}.weight"))? {
            [channels, ..] => *channels,
            [] => 0,
        };
        let sinusoids = self.sinusoids(argument, channels / 2, shift);
        let hidden = self.precise_linear(input, &sinusoids)?;
        let hidden = self.silu(&hidden);
        self.precise_linear(output, &hidden)
    }

    fn sinusoids(&mut self, argument: &Value, half: usize, shift: f64) -> Value {
        let last = half as f64 - shift;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| (-(10_000f64.ln()) * i as f64 / last).exp() as f32)
            .collect();
        let frequencies = self.floats(&frequencies, &[1, half]);
        let angles = self.node("Mul", &[argument, &frequencies], vec![]);
        let cosines = self.node("Cos", &[&angles], vec![]);
        let sines = self.node("Sin", &[&angles], vec![]);
        self.node("Concat", &[&cosines, &sines], vec![integer("axis", 1)])
    }

    /// t, the argument of the sinusoids: `[batch, 1]`.
    fn time(&mut self, config: &UNetConfig, log_snr: &Value) -> Value {
        let column = self.reshape(log_snr, &[-1, 1]);
        if let Some(timesteps) = &config.timesteps {
            return self.timestep(timesteps, &column);
        }
        let scaling = config.log_snr_embedding;
        let max = self.floats(&[scaling.max as f32], &[1]);
        let distance = self.node("Sub", &[&max, &column], vec![]);
        let factor = scaling.scale / (scaling.max - scaling.min);
        let factor = self.floats(&[factor as f32], &[1]);
        self.node("Mul", &[&distance, &factor], vec![])
    }

    /// The timestep of λ `[batch, 1]`, interpolated linearly between the schedule's levels: the sum over t of
    /// clamp((λ_t − λ)/(λ_t − λ_{t+1}), 0, 1).
    fn timestep(&mut self, timesteps: &Timesteps, log_snr: &Value) -> Value {
        let levels: Vec<f32> = timesteps.levels().iter().map(|l| l.0 as f32).collect();
        let slopes: Vec<f32> = levels.windows(2).map(|p| 1.0 / (p[0] - p[1])).collect();
        let count = slopes.len();
        let starts = self.floats(&levels[..count], &[1, count]);
        let slopes = self.floats(&slopes, &[1, count]);
        let beyond = self.node("Sub", &[&starts, log_snr], vec![]);
        let steps = self.node("Mul", &[&beyond, &slopes], vec![]);
        let [zero, one] = [0.0, 1.0].map(|limit| self.floats(&[limit], &[]));
        let steps = self.node("Clip", &[&steps, &zero, &one], vec![]);
        let axis = self.integers(&[1]);
        let sum = self.node("ReduceSum", &[&steps, &axis], vec![integer("keepdims", 1)]);
        let scale = self.floats(&[timesteps.scale as f32], &[1]);
        self.node("Mul", &[&sum, &scale], vec![])
    }

    /// Casts a value to another type.
    pub(super) fn cast(&mut self, x: &Value, to: DataType) -> Value {
        self.node("Cast", &[x], vec![integer("to", i64::from(to as i32))])
    }
}
