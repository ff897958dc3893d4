use burn::tensor::Device;
use freeguide::bundle::parameters;

use super::*;

#[test]
fn every_recipe_that_ships_is_good() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let recipe = Recipe::load(&path, &[]).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str(), Some(&*recipe.name));
        assert!(recipe.train.ema_decay.all().len() >= 2, "{}", recipe.name);
        // What is written into a run folder is read again as the same recipe.
        let written = recipe.to_toml().unwrap();
        assert_eq!(Recipe::parse(&written, &[]).unwrap(), recipe);
        names.push(recipe.name);
    }
    assert!(names.len() >= 5, "{names:?}");
}

#[test]
fn a_recipe_of_several_processes_can_be_read_again() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes"));
    let recipe = |batch: usize| {
        let set = [format!("train.batch={batch}")];
        Recipe::load(&folder.join("emoji16.toml"), &set).unwrap()
    };
    let both = recipe(32_768).for_processes(2).unwrap();
    assert_eq!(both.train.batch, 65_536);
    assert_eq!(Recipe::parse(&both.to_toml().unwrap(), &[]).unwrap(), both);
    let refused = recipe(40_000).for_processes(2).unwrap_err();
    assert!(refused.is::<Usage>());
    assert_eq!(
        refused.to_string(),
        "2 processes with a batch of 40000 each: train.batch must be from 1 to 65536"
    );
    assert!(recipe(3).for_processes(usize::MAX).is_err());
}

#[test]
fn the_papers_recipes_are_the_paper() {
    for (name, p_uncond) in [("p01", 0.1), ("p02", 0.2), ("p05", 0.5)] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes");
        let path = format!("{folder}/imagenet64-{name}.toml");
        let recipe = Recipe::load(Path::new(&path), &[]).unwrap();
        let objective = recipe.objective();
        assert_eq!(objective.p_uncond, p_uncond);
        assert_eq!(objective.target, Target::Epsilon);
        assert_eq!(objective.log_snr, LogSnrRange::PAPER);
        assert_eq!(objective.levels, Levels::Uniform);
        assert_eq!(objective.weighting, Weighting::Uniform);
        assert_eq!(recipe.sampling.steps, 256);
        assert_eq!(recipe.sampling.sampler.name(), "ancestral");
        assert_eq!(recipe.sampling.variance_interpolation, 0.3);
        // ADM's network for 64×64 has 296 million parameters, with learned variances.
        let network = recipe.network.init(64, 3, 1000, &Device::flex());
        let count: usize = parameters(&network)
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        assert!((294_000_000..298_000_000).contains(&count), "{count}");
    }
}
