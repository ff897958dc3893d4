//! A run that a classifier guides.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::Run;
use super::counting::visits;
use crate::denoiser::Denoiser;
use crate::guidance::ClassGradient;

impl<D: Denoiser> Run<D> {
    /// The run with the classifier of its plan's [`classifier`](crate::sampler::Plan::classifier).
    pub fn with_classifier(mut self, classifier: Arc<dyn ClassGradient + Send + Sync>) -> Self {
        self.classifier = Some(classifier);
        self
    }

    /// Evaluations of the classifier and of its gradient in the whole run, for image `image`.
    pub fn gradient_evaluations(&self, image: usize) -> usize {
        let Some(guidance) = &self.plan.classifier else {
            return 0;
        };
        if guidance.asked(&self.plan.classes[image]).is_empty() {
            return 0;
        }
        let interval = self.plan.guidance_interval;
        visits(&self.plan, self.levels.len())
            .filter(|&step| guidance.guides(self.levels[step], interval))
            .count()
    }

    /// What the classifier adds to every prediction of the evaluation that the run awaits: with Δε̃ = −σ s ∇ log p(c | z) and
    /// Δx̃ = −Δε̃ σ/α, the difference of the run's target. `None` where it does not guide.
    pub(super) fn classifier_shift(&self) -> Option<Tensor<4>> {
        let (classifier, guidance) = (self.classifier.as_ref()?, self.plan.classifier.as_ref()?);
        let (level, z) = self.shown()?;
        if !guidance.guides(level, self.plan.guidance_interval) {
            return None;
        }
        let classes = self.plan.classes.iter();
        let asked: Vec<_> = classes.map(|condition| guidance.asked(condition)).collect();
        if asked.iter().all(Vec::is_empty) {
            return None;
        }
        let gradient = classifier.gradient(&z, level, &asked);
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let epsilon = gradient * (-sigma * guidance.strength);
        let x = epsilon.clone() * (-sigma / alpha);
        let scalar = |value: f64| {
            let data = TensorData::new(vec![value as f32], [1, 1, 1, 1]);
            Tensor::<4>::from_data(data, &self.device)
        };
        Some(self.target.of(x, epsilon, scalar(alpha), scalar(sigma)))
    }
}
