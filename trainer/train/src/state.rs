//! What changes from step to step.

use anyhow::{Context, Result, bail};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Tensor;
use freeguide::network::UNet;
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::distributed::Ranks;
use crate::ema::Ema;
use crate::finite::is_finite;
use crate::precision::LossScale;
use crate::run_folder::RunFolder;
use freeguide_native::tell;
use freeguide_recipe::{Recipe, TrainRecipe};

/// A training between two steps. What is random needs no state: it is keyed by the step.
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// The weights, in f32, with gradients.
    pub network: UNet,
    /// Their averages, in the order of the recipe.
    pub averages: Vec<Ema>,
    /// The optimiser with its moments.
    pub optimizer: ModuleOptimizer,
    /// For f16: the factor on the loss.
    pub loss_scale: Option<LossScale>,
}

impl State {
    /// The state before the first step.
    pub fn fresh(network: UNet, recipe: &Recipe) -> Self {
        let train = &recipe.train;
        let decays = train.ema_decay.all().iter();
        Self {
            step: 0,
            averages: decays.map(|&decay| Ema::new(&network, decay)).collect(),
            network,
            optimizer: optimizer(train),
            loss_scale: LossScale::for_precision(train.precision),
        }
    }

    /// The state that a checkpoint holds.
    pub fn resume(checkpoint: Checkpoint, recipe: &Recipe) -> Self {
        let train = &recipe.train;
        let Checkpoint {
            step,
            network,
            averages: mut saved,
            optimizer,
            loss_scale,
        } = checkpoint;
        let mut averages = Vec::new();
        for &decay in train.ema_decay.all() {
            match saved.iter().position(|average| average.decay == decay) {
                Some(place) => averages.push(saved.swap_remove(place)),
                None => {
                    tell!(
                        "warning: the checkpoint has no average of decay {decay}; one begins at the weights of step {step}"
                    );
                    averages.push(Ema::new(&network, decay));
                }
            }
        }
        Self {
            step,
            network,
            averages,
            optimizer,
            loss_scale: LossScale::for_precision(train.precision)
                .map(|fresh| loss_scale.unwrap_or(fresh)),
        }
    }

    /// The average that is sampled unless one says otherwise.
    pub fn average(&self) -> UNet {
        match self.averages.first() {
            Some(average) => average.network.clone(),
            None => self.network.valid(),
        }
    }

    /// Makes sure that all ranks have the same weights.
    ///
    /// # Errors
    ///
    /// If they differ: the ranks are not training one network.
    pub fn agree(&self, ranks: &Ranks) -> Result<()> {
        if ranks.size() == 1 {
            return Ok(());
        }
        let mut hash = Weights(Sha256::new());
        self.network.visit(&mut hash);
        let what = format!("the network after {} steps", self.step);
        ranks.agree(&what, hash.0.finalize().into())
    }

    /// Writes a checkpoint.
    pub fn save(&self, folder: &RunFolder) -> Result<()> {
        let mut networks = self.averages.iter().map(|average| &average.network);
        if !is_finite(&self.network) || !networks.all(is_finite) {
            bail!(diverged(self.step));
        }
        let checkpoint = Checkpoint {
            step: self.step,
            network: self.network.clone(),
            averages: self.averages.clone(),
            optimizer: self.optimizer.clone(),
            loss_scale: self.loss_scale,
        };
        checkpoint
            .save(&folder.checkpoints())
            .context("cannot save a checkpoint; the one before it is untouched")
    }
}

/// Digests every weight.
struct Weights(Sha256);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        for value in param.val().into_data().iter::<f32>() {
            self.0.update(value.to_le_bytes());
        }
    }
}

/// The recipe's AdamW, with no moments yet.
pub fn optimizer(train: &TrainRecipe) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_beta_1(train.betas[0] as f32)
        .with_beta_2(train.betas[1] as f32)
        // PyTorch's, which every published learning rate presumes; burn's default is 1e-5.
        .with_epsilon(1e-8)
        .with_weight_decay(train.weight_decay as f32)
        .init()
}

/// What to say of a training whose values are no numbers any more.
pub fn diverged(step: u64) -> String {
    format!(
        "the training has diverged: after step {step} there are values that are no numbers; the last checkpoint, if there is one, is good: lower train.learning_rate and go on with --resume"
    )
}
