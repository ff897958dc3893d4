//! The embedding of (λ, class) as operators. It always uses 32-bit floats, because the angles of its sinusoids reach
//! 1000.

use freeguide::bundle::{Config, Network};
use freeguide::network::{Conditions, UNetConfig};
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

/// What images are conditioned on.
#[derive(Clone)]
pub(super) struct Labels {
    /// Class ids, `[batch]`, of a network with classes.
    pub class: Option<Value>,
    /// 1 or 0 for each attribute, `[batch, attributes]`, of a network with attributes.
    pub attributes: Option<Value>,
    /// A number and whether there is one, 1 or 0, `[batch]` both, of a network with a number.
    pub number: Option<[Value; 2]>,
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

impl Labels {
    /// The inputs of a network of this configuration.
    pub fn of(config: &Config) -> Self {
        let (conditions, number) = match &config.network {
            Network::UNet(network) => (network.conditions, network.number.is_some()),
            Network::Compiled(_) => Default::default(),
        };
        let attributes = conditions == Conditions::Attributes;
        let named = |name: &str| name.to_owned();
        Self {
            class: (!attributes).then(|| named("class")),
            attributes: attributes.then(|| named("attributes")),
            number: number.then(|| [named("number"), named("has_number")]),
        }
    }
}

impl Graph<'_> {
    /// silu(MLP(sinusoids of λ) + embedding of the labels), `[batch, channels]`, from λ `[batch]` and the labels. A student adds an MLP of the sinusoids of each of its other inputs.
    pub(super) fn conditioning(
        &mut self,
        config: &UNetConfig,
        log_snr: &Value,
        labels: &Labels,
        others: &OtherInputs,
    ) -> Result<Value, OnnxError> {
        self.set_scope("conditioning");
        let time = self.time(config, log_snr);
        let layers = ["conditioning.log_snr_in", "conditioning.log_snr_out"];
        let time = self.embedding(&time, config.frequency_shift, layers)?;
        let table = self.precise_weight("conditioning.class.weight")?;
        let class = match (&labels.class, &labels.attributes) {
            (Some(class), _) => self.node("Gather", &[&table, class], vec![integer("axis", 0)]),
            (None, Some(attributes)) => self.sum_of_attributes(&table, attributes),
            (None, None) => return Err(OnnxError::MissingTensor("class".to_owned())),
        };
        let mut sum = self.node("Add", &[&time, &class], vec![]);
        if let (Some(input), Some([number, given])) = (&config.number, &labels.number) {
            let (slope, offset) = input.argument();
            let [slope, offset] = [slope, offset].map(|v| self.floats(&[v as f32], &[1]));
            let column = self.reshape(number, &[-1, 1]);
            let scaled = self.node("Mul", &[&column, &slope], vec![]);
            let argument = self.node("Add", &[&scaled, &offset], vec![]);
            let layers = ["conditioning.number.input", "conditioning.number.output"];
            let given = self.reshape(given, &[-1, 1]);
            let embedding = self.embedding_of(&argument, Some(&given), 0.0, layers)?;
            sum = self.node("Add", &[&sum, &embedding], vec![]);
        }
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

    /// The sum of the embeddings of the attributes that each row has, or that of ∅, the last of the table, where it has none.
    fn sum_of_attributes(&mut self, table: &Value, attributes: &Value) -> Value {
        let axis = self.integers(&[1]);
        let count = self.node(
            "ReduceSum",
            &[attributes, &axis],
            vec![integer("keepdims", 1)],
        );
        let one = self.floats(&[1.0], &[1]);
        let missing = self.node("Sub", &[&one, &count], vec![]);
        let none = self.node("Relu", &[&missing], vec![]);
        let all = self.node("Concat", &[attributes, &none], vec![integer("axis", 1)]);
        self.node("MatMul", &[&all, table], vec![])
    }

    /// An MLP of the sinusoids of `argument`, `[batch, 1]`.
    fn embedding(
        &mut self,
        argument: &Value,
        shift: f64,
        layers: [&str; 2],
    ) -> Result<Value, OnnxError> {
        self.embedding_of(argument, None, shift, layers)
    }

    /// The same where the argument is given, 1, and of zeros where it is not, 0, `[batch, 1]`.
    fn embedding_of(
        &mut self,
        argument: &Value,
        given: Option<&Value>,
        shift: f64,
        [input, output]: [&str; 2],
    ) -> Result<Value, OnnxError> {
        let channels = match self.tensors.shape(&format!("{input}.weight"))? {
            [channels, ..] => *channels,
            [] => 0,
        };
        let mut sinusoids = self.sinusoids(argument, channels / 2, shift);
        if let Some(given) = given {
            sinusoids = self.node("Mul", &[&sinusoids, given], vec![]);
        }
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
