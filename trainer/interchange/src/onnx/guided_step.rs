//! One guided sampling step as operators: both passes of the network and their mix, the estimate of the clean image and
//! the DDIM step to the next level.

use freeguide::prediction::Target;

use super::Opset;
use super::conditioning::Labels;
use super::graph::{Graph, Value, integer};

/// The inputs of a step besides the network's own.
pub(super) struct Step<'a> {
    /// λ after the step, `[batch]`.
    pub next_log_snr: &'a Value,
    /// The target of the network.
    pub target: Target,
}

impl Graph<'_> {
    /// The rows of the network: every image with its labels, then every image with ∅, whose id `null` is.
    pub(super) fn guided_rows(
        &mut self,
        [z, log_snr]: [&Value; 2],
        labels: &Labels,
        null: usize,
    ) -> ([Value; 2], Labels) {
        self.set_scope("rows");
        let class = labels.class.as_ref().map(|class| {
            let zero = self.integers(&[0]);
            let id = self.integers(&[null as i64]);
            let nothing = self.node("Mul", &[class, &zero], vec![]);
            let nulls = self.node("Add", &[&nothing, &id], vec![]);
            self.one_after_the_other(class, &nulls)
        });
        let rows = [z, log_snr].map(|rows| self.one_after_the_other(rows, rows));
        let attributes = labels.attributes.as_ref();
        let attributes = attributes.map(|flags| self.followed_by_zeros(flags));
        let number = labels.number.as_ref().map(|[number, given]| {
            let twice = self.one_after_the_other(number, number);
            [twice, self.followed_by_zeros(given)]
        });
        let labels = Labels {
            class,
            attributes,
            number,
        };
        (rows, labels)
    }

    fn one_after_the_other(&mut self, first: &Value, second: &Value) -> Value {
        self.node("Concat", &[first, second], vec![integer("axis", 0)])
    }

    fn followed_by_zeros(&mut self, values: &Value) -> Value {
        let zero = self.floats(&[0.0], &[1]);
        let zeros = self.node("Mul", &[values, &zero], vec![]);
        self.one_after_the_other(values, &zeros)
    }

    /// What the network is shown of z, by its target.
    pub(super) fn network_input(&mut self, z: &Value, log_snr: &Value, target: Target) -> Value {
        self.set_scope("input");
        let divisors = match target {
            Target::Epsilon | Target::V => return z.clone(),
            Target::Velocity => {
                let (alpha, sigma) = self.alpha_sigma(log_snr);
                self.node("Add", &[&alpha, &sigma], vec![])
            }
            Target::Edm => self.edm_root(log_snr),
        };
        self.node("Div", &[z, &divisors], vec![])
    }

    /// The guided prediction, from the one for [`guided_rows`](Self::guided_rows) and w `[batch]` (Ho & Salimans 2022,
    /// equation 6).
    pub(super) fn mixed(&mut self, prediction: &Value, guidance: &Value) -> Value {
        self.set_scope("guidance");
        let mut parts = vec![integer("axis", 0)];
        // Before opset 18, the outputs are as many as are named.
        if self.opset == Opset::V21 {
            parts.push(integer("num_outputs", 2));
        }
        let [conditional, unconditional] = self.halves("Split", &[prediction], parts);
        let w = self.reshape(guidance, &[-1, 1, 1, 1]);
        let direction = self.node("Sub", &[&conditional, &unconditional], vec![]);
        let change = self.node("Mul", &[&w, &direction], vec![]);
        self.node("Add", &[&conditional, &change], vec![])
    }

    /// The next z and x̃, from the guided prediction (Ho & Salimans 2022, Algorithm 2 with x̃ clipped; Song et al. 2020
    /// for the step).
    pub(super) fn ddim_step(
        &mut self,
        guided: &Value,
        z: &Value,
        log_snr: &Value,
        step: &Step,
    ) -> [Value; 2] {
        self.set_scope("estimate");
        let (alpha, sigma) = self.alpha_sigma(log_snr);
        let noise = self.node("Mul", &[&sigma, guided], vec![]);
        let x = match step.target {
            Target::Velocity => {
                let signal = self.node("Sub", &[z, &noise], vec![]);
                let sum = self.node("Add", &[&alpha, &sigma], vec![]);
                self.node("Div", &[&signal, &sum], vec![])
            }
            // x̃ = (d α z/r + σ F) d/r.
            Target::Edm => {
                let root = self.edm_root(log_snr);
                let half = self.floats(&[0.5], &[1]);
                let share = self.node("Div", &[&half, &root], vec![]);
                let signal = self.node("Mul", &[&alpha, z], vec![]);
                let signal = self.node("Mul", &[&signal, &share], vec![]);
                let sum = self.node("Add", &[&signal, &noise], vec![]);
                self.node("Mul", &[&sum, &share], vec![])
            }
            Target::Epsilon => {
                let signal = self.node("Sub", &[z, &noise], vec![]);
                self.node("Div", &[&signal, &alpha], vec![])
            }
            Target::V => {
                let signal = self.node("Mul", &[&alpha, z], vec![]);
                self.node("Sub", &[&signal, &noise], vec![])
            }
        };
        let [low, high] = [-1.0, 1.0].map(|limit| self.floats(&[limit], &[]));
        let x = self.node("Clip", &[&x, &low, &high], vec![]);
        let signal = self.node("Mul", &[&alpha, &x], vec![]);
        let noise = self.node("Sub", &[z, &signal], vec![]);
        let epsilon = self.node("Div", &[&noise, &sigma], vec![]);

        self.set_scope("step");
        let (alpha, sigma) = self.alpha_sigma(step.next_log_snr);
        let signal = self.node("Mul", &[&alpha, &x], vec![]);
        let noise = self.node("Mul", &[&sigma, &epsilon], vec![]);
        [self.node("Add", &[&signal, &noise], vec![]), x]
    }

    /// r = √(σ² + d² α²) with d = ½, `[batch, 1, 1, 1]`.
    fn edm_root(&mut self, log_snr: &Value) -> Value {
        let pixels = self.reshape(log_snr, &[-1, 1, 1, 1]);
        let opposite = self.node("Neg", &[&pixels], vec![]);
        let [signal, noise] =
            [pixels, opposite].map(|log_snr| self.node("Sigmoid", &[&log_snr], vec![]));
        let quarter = self.floats(&[0.25], &[1]);
        let signal = self.node("Mul", &[&signal, &quarter], vec![]);
        let sum = self.node("Add", &[&noise, &signal], vec![]);
        self.node("Sqrt", &[&sum], vec![])
    }

    /// α = √sigmoid(λ) and σ = √sigmoid(−λ), `[batch, 1, 1, 1]`.
    fn alpha_sigma(&mut self, log_snr: &Value) -> (Value, Value) {
        let pixels = self.reshape(log_snr, &[-1, 1, 1, 1]);
        let opposite = self.node("Neg", &[&pixels], vec![]);
        let [alpha, sigma] = [pixels, opposite].map(|log_snr| {
            let variance = self.node("Sigmoid", &[&log_snr], vec![]);
            self.node("Sqrt", &[&variance], vec![])
        });
        (alpha, sigma)
    }
}
