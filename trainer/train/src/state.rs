//! The state of a training.

use anyhow::{Context, Result, bail};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Tensor;
use freeguide::network::UNet;
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::distributed::Ranks;
use freeguide::training::Ema;
use crate::finite::is_finite;
use crate::precision::LossScale;
use crate::run_folder::RunFolder;
use freeguide_native::tell;
use freeguide_recipe::{Recipe, TrainRecipe};

/// A training between two steps. Random numbers need no state, because they are keyed by the step.
pub struct State {
    /// The number of steps taken.
    pub step: u64,
    /// The weights, in f32, with gradients.
    pub network: UNet,
    /// The averages of the weights, in the order of the recipe.
    pub averages: Vec<Ema>,
    /// The optimiser, with its moments.
    pub optimizer: ModuleOptimizer,
    /// For f16: the loss scale.
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

    /// The state in a checkpoint.
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
                        "warning: the checkpoint has no average with decay {decay}; a new one starts from the weights of step {step}"
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

    /// The default average, which is sampled.
    pub fn average(&self) -> UNet {
        match self.averages.first() {
            Some(average) => average.network.clone(),
            None => self.network.valid(),
        }
    }

    /// Checks that all ranks have the same weights.
    ///
    /// # Errors
    ///
    /// If they differ, because then the ranks do not train the same network.
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
    pub fn save(&self, folder: &RunFolder, train: &TrainRecipe) -> Result<()> {
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
            .save(&folder.checkpoints(), &train.keep_steps)
            .context("cannot save a checkpoint; the previous one is unchanged")
    }
}

/// Hashes all weights.
struct Weights(Sha256);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        for value in param.val().into_data().iter::<f32>() {
            self.0.update(value.to_le_bytes());
        }
    }
}

/// AdamW with the settings of the recipe, without moments yet.
pub fn optimizer(train: &TrainRecipe) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_beta_1(train.betas[0] as f32)
        .with_beta_2(train.betas[1] as f32)
        // PyTorch's value, which published learning rates assume; burn's default is 1e-5.
        .with_epsilon(1e-8)
        .with_weight_decay(train.weight_decay as f32)
        .init()
}

/// The error of a training whose values are not finite any more.
pub fn diverged(step: u64) -> String {
    format!(
        "the training has diverged: after step {step} some values are not finite; the last checkpoint, if there is one, is intact: lower train.learning_rate and continue with --resume"
    )
}
