//! What a recipe and a data set let one expect, in sentences.

use freeguide_recipe::Recipe;

/// A class with fewer images than this is likely to be learnt badly.
const FEW_IN_A_CLASS: usize = 50;
/// The ratio of the largest class to the smallest from which the smallest is likely to be learnt badly.
const UNEVEN: usize = 10;
/// How often an image is seen before a network that is large enough can draw it again.
const OFTEN: f64 = 100.0;
/// Pictures that are this many times larger than the network's lose most of their detail.
const FAR_LARGER: u32 = 8;

/// What is known of a training before its first step.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Class names.
    pub classes: &'a [String],
    /// The number of images of each class.
    pub counts: &'a [usize],
    /// Median width and height of the pictures as they are stored, in pixels.
    pub original_size: Option<(u32, u32)>,
    /// Parameters of the network.
    pub parameters: u64,
}

/// Warnings about a training, one sentence each; none if nothing is unusual.
pub fn advice(recipe: &Recipe, facts: &Facts) -> Vec<String> {
    [
        small_classes(facts),
        uneven_classes(facts),
        memorisation(recipe, facts),
        resizing(recipe, facts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How often the training sees each image.
pub fn epochs(recipe: &Recipe, images: usize) -> f64 {
    let seen = recipe.train.steps as f64 * recipe.train.batch as f64;
    seen / images.max(1) as f64
}

fn small_classes(facts: &Facts) -> Option<String> {
    let few: Vec<&str> = facts
        .counts
        .iter()
        .zip(facts.classes)
        .filter(|&(&count, _)| count < FEW_IN_A_CLASS)
        .map(|(_, name)| name.as_str())
        .collect();
    let (first, rest) = few.split_first()?;
    let which = match rest.len() {
        0 => format!("the class {first} has"),
        1 => format!("the classes {first} and {} have", rest[0]),
        more => format!("{first} and {more} other classes have"),
    };
    Some(format!(
        "{which} fewer than {FEW_IN_A_CLASS} images: expect their samples to look like single images; add images, or fine-tune a model with --init"
    ))
}

fn uneven_classes(facts: &Facts) -> Option<String> {
    let (smallest, largest) = (facts.counts.iter().min()?, facts.counts.iter().max()?);
    (*largest >= UNEVEN * (*smallest).max(1)).then(|| {
        format!(
            "the largest class has {largest} images and the smallest {smallest}: every image is seen equally often, so the small classes are learnt last"
        )
    })
}

/// Networks with more parameters than the data has values, and which see each image often, can store the images (Gu et
/// al. 2023, "On Memorization in Diffusion Models").
fn memorisation(recipe: &Recipe, facts: &Facts) -> Option<String> {
    let images: usize = facts.counts.iter().sum();
    let side = f64::from(recipe.data.size);
    let values = images as f64 * side * side * f64::from(recipe.data.channels);
    let seen = epochs(recipe, images);
    (facts.parameters as f64 > values && seen > OFTEN).then(|| {
        format!(
            "the network has {:.1} parameters for each value of the data, and the training sees each image {seen:.0} times: it is likely to learn images by heart; take fewer steps, a smaller network.base_channels or more images",
            facts.parameters as f64 / values.max(1.0)
        )
    })
}

fn resizing(recipe: &Recipe, facts: &Facts) -> Option<String> {
    let (width, height) = facts.original_size?;
    let (side, size) = (width.min(height), recipe.data.size);
    if side < size {
        Some(format!(
            "the pictures are {width}×{height} pixels and are enlarged to {size}×{size}: data.size = {side} or less costs less and loses nothing"
        ))
    } else if side >= FAR_LARGER * size {
        Some(format!(
            "the pictures are {width}×{height} pixels and are reduced to {size}×{size}: small things in them vanish; crop the pictures, or train with a larger data.size"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/recipes/emoji16.toml"
        );
        Recipe::load(std::path::Path::new(path), &[]).unwrap()
    }

    fn about(counts: &[usize], original_size: (u32, u32), parameters: u64) -> Vec<String> {
        let classes = ["ants", "bees", "cats", "dogs"].map(str::to_owned);
        let facts = Facts {
            classes: &classes[..counts.len()],
            counts,
            original_size: Some(original_size),
            parameters,
        };
        advice(&recipe(), &facts)
    }

    #[test]
    fn nothing_unusual_needs_no_words() {
        assert_eq!(about(&[500, 700], (16, 16), 300_000), Vec::<String>::new());
        assert_eq!(
            about(&[500, 700], (127, 200), 300_000),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_risk_has_its_sentence() {
        let [only] = &about(&[480, 49], (16, 16), 300_000)[..] else {
            panic!("one sentence for a small class");
        };
        assert!(only.starts_with("the class bees has fewer than 50 images"));
        let few = &about(&[5, 6, 7, 500], (16, 16), 300_000)[0];
        assert!(few.starts_with("ants and 2 other classes have"), "{few}");
        let uneven = &about(&[500, 50], (16, 16), 300_000)[0];
        assert!(uneven.starts_with("the largest class has 500 images and the smallest 50"));
        // 2,500 steps of 64 images.
        let stored = &about(&[400, 400], (16, 16), 1_228_800)[0];
        assert!(
            stored.starts_with("the network has 2.0 parameters for each value of the data, and the training sees each image 200 times"),
            "{stored}"
        );
        let enlarged = &about(&[500, 700], (12, 40), 300_000)[0];
        assert!(enlarged.contains("data.size = 12 or less"), "{enlarged}");
        let reduced = &about(&[500, 700], (128, 300), 300_000)[0];
        assert!(reduced.contains("reduced to 16×16"), "{reduced}");
    }
}
