//! The tensors of a network, which the graph uses up one by one.

use std::collections::BTreeMap;

use super::OnnxError;
use crate::weights::{Weight, Weights};

/// The tensors of a network that no operator has used yet.
pub struct Tensors<'a> {
    left: BTreeMap<&'a str, &'a Weight>,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self {
            left: weights.iter().map(|w| (w.name.as_str(), w)).collect(),
        }
    }

    /// Whether there is a tensor with this prefix.
    pub(super) fn has(&self, prefix: &str) -> bool {
        self.left
            .range(prefix..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&'a [usize], OnnxError> {
        match self.left.get(name) {
            Some(weight) => Ok(&weight.shape),
            None => Err(OnnxError::MissingTensor(name.to_owned())),
        }
    }

    /// Takes a tensor. Each can be taken once.
    pub(super) fn take(&mut self, name: &str) -> Result<&'a Weight, OnnxError> {
        self.left
            .remove(name)
            .ok_or_else(|| OnnxError::MissingTensor(name.to_owned()))
    }

    /// Fails if a tensor was not taken, because then the graph is not the whole network.
    pub(super) fn all_taken(&self) -> Result<(), OnnxError> {
        match self.left.first_key_value() {
            Some((tensor, _)) => Err(OnnxError::LeftOver {
                tensor: (*tensor).to_owned(),
                left: self.left.len(),
            }),
            None => Ok(()),
        }
    }
}
