//! The level that a step leads to as an input of the network.

use serde::{Deserialize, Serialize};

use super::NetworkError;

/// The network of a flow map (Boffi et al. 2024, "Flow map matching"): it takes the level that a step leads to beside the
/// level that it starts from, and one DDIM step with its prediction lands where the guided probability flow would lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowMap {
    /// The most steps that the network was made for: 1, 2, 4 … up to this power of two.
    pub max_steps: usize,
}

/// The largest `max_steps`. With more, the model that it was distilled from does as well.
const MOST: usize = 64;

impl FlowMap {
    /// The numbers of steps that the network was made for.
    pub fn steps(&self) -> impl Iterator<Item = usize> + use<> {
        let most = self.max_steps;
        (0..usize::BITS)
            .map(|k| 1 << k)
            .take_while(move |&steps| steps <= most)
    }

    /// These numbers in words.
    pub fn steps_in_words(&self) -> String {
        let all: Vec<String> = self.steps().map(|steps| steps.to_string()).collect();
        match all.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    pub(super) fn validate(&self, guided: bool) -> Result<(), NetworkError> {
        let refuse = |expected: &str| {
            Err(NetworkError::Field {
                field: "flow_map",
                value: format!("for up to {} steps", self.max_steps),
                expected: expected.to_owned(),
            })
        };
        match self.max_steps {
            _ if !guided => refuse("it needs guidance as an input of the network too"),
            most if most.is_power_of_two() && most <= MOST => Ok(()),
            _ => refuse("max_steps must be a power of two from 1 to 64"),
        }
    }
}
