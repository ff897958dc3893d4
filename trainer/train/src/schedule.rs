//! The learning rate schedule.

use freeguide_recipe::TrainRecipe;

/// The learning rate of step `step`, counted from 0: a linear warm-up, then half a cosine from
/// the highest rate to `final_rate` of it (Loshchilov & Hutter 2017).
pub fn learning_rate(recipe: &TrainRecipe, step: u64) -> f64 {
    let warmup = recipe.warmup.min(recipe.steps);
    if step < warmup {
        return recipe.learning_rate * (step + 1) as f64 / warmup as f64;
    }
    let left = (recipe.steps - warmup).max(1) as f64;
    let progress = ((step - warmup) as f64 / left).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    recipe.learning_rate * (recipe.final_rate + (1.0 - recipe.final_rate) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_then_falls_to_its_end() {
        let recipe: TrainRecipe = toml::from_str(
            "steps = 100\nbatch = 1\nlearning_rate = 1e-3\nwarmup = 10\nfinal_rate = 0.1\nema_decay = 0.9\ncheckpoint_every = 1\nsample_every = 1",
        )
        .unwrap();
        let rate = |step| learning_rate(&recipe, step);
        assert!((rate(0) - 1e-4).abs() < 1e-12);
        assert!((rate(9) - 1e-3).abs() < 1e-12);
        assert!((rate(55) - 0.55e-3).abs() < 1e-12);
        assert!((rate(100) - 1e-4).abs() < 1e-12);
        assert!((10..99).all(|s| rate(s) > rate(s + 1)));
    }
}
