//! Whether the labels of a data set are what a network is conditioned on.

use anyhow::{Result, bail};
use freeguide::network::{Conditions, NumberInput};
use freeguide_data::TrainingSet;
use freeguide_recipe::Recipe;

/// Refuses a data set whose labels do not fit the network of a recipe.
///
/// # Errors
///
/// In words, with what to set.
pub fn check_labels(recipe: &Recipe, data: &TrainingSet) -> Result<()> {
    let network = &recipe.network;
    if network.conditions == Conditions::Classes && data.beside.attributes.is_some() {
        bail!(
            "images of this data set have several labels, and the network is conditioned on one class: set network.conditions = \"attributes\""
        );
    }
    match (&network.number, range(data)) {
        (None, None) => Ok(()),
        (Some(number), None) => bail!(
            "network.number is the {}, and no image has one: data.number_column names the column, the key or the array that holds it",
            number.name
        ),
        (None, Some((min, max))) => bail!(
            "data.number_column is set, and network.number is not: set network.number = {{ name = \"…\", min = {min}, max = {max} }}, or leave data.number_column out"
        ),
        (Some(number), Some((min, max))) if number.contains(min) && number.contains(max) => Ok(()),
        (Some(NumberInput { name, min, max, .. }), Some((least, most))) => bail!(
            "the {name} of an image is from {least} to {most} in the data set, and network.number is from {min} to {max}: widen it"
        ),
    }
}

/// The smallest and the largest number of an image, if any has one.
fn range(data: &TrainingSet) -> Option<(f64, f64)> {
    let numbers = data.beside.numbers.iter().flatten().flatten();
    numbers.fold(None, |range, &number| {
        let (min, max) = range.unwrap_or((number, number));
        Some((min.min(number), max.max(number)))
    })
}
