//! What a run costs, counted before it begins.

use super::guide;
use crate::guidance::Guide;
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::sampler::Plan;

/// Network evaluations (NFE) that a plan costs for each image, of a model that was trained on the
/// levels `trained`, as [`Run::evaluations`] counts them.
pub fn evaluations(plan: &Plan, trained: LogSnrRange) -> Vec<usize> {
    // Which id ∅ has makes no difference to the count.
    let guide = guide(plan, u32::MAX, plan.guide.as_ref());
    let levels = plan.levels(trained);
    (0..plan.classes.len())
        .map(|image| count_evaluations(plan, &guide, &levels, image))
        .collect()
}

/// The most rows that an evaluation of a plan has, of a model that was trained on the levels
/// `trained`.
pub fn rows(plan: &Plan, trained: LogSnrRange) -> usize {
    let guide = guide(plan, u32::MAX, plan.guide.as_ref());
    let levels = plan.levels(trained);
    let rows = levels.into_iter().map(|level| guide.rows(level).len());
    rows.max().unwrap_or(0)
}

/// The step whose level each evaluation of a run is at, in order, for a run of so many levels.
pub(super) fn visits(plan: &Plan, levels: usize) -> impl Iterator<Item = usize> {
    let last = levels.saturating_sub(1);
    (0..levels).flat_map(move |step| {
        let corrected = plan.is_corrected(step);
        let times = match corrected || step == last {
            true => 1,
            false => plan.resampling,
        };
        // A run that was stopped has no level behind its last step.
        let next = corrected.then_some((step + 1).min(last));
        std::iter::repeat_n(step, times).chain(next)
    })
}

/// Network evaluations for image `image`.
pub(super) fn count_evaluations(
    plan: &Plan,
    guide: &Guide,
    levels: &[LogSnr],
    image: usize,
) -> usize {
    let at = |step: usize| guide.rows(levels[step]).evaluations(image);
    visits(plan, levels.len()).map(at).sum()
}
