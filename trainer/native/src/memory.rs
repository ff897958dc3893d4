//! Checks, before drawing, whether a batch fits into memory.

use burn::tensor::Device;
use freeguide::bundle::MemoryEstimate;

use crate::machine::available_memory;
use crate::usage::Usage;

/// Refuses a batch that needs more memory than this machine has left after loading the weights. The system would kill
/// the program without a message. `rows` gives the number of rows of a batch of that many images.
///
/// Nothing is refused if the free memory is not known, as on GPUs.
pub fn check_batch(
    estimate: MemoryEstimate,
    device: &Device,
    batch: usize,
    rows: impl Fn(usize) -> usize,
) -> Result<(), Usage> {
    match (*device == Device::flex()).then(available_memory).flatten() {
        Some(available) => check(estimate, available, batch, rows),
        None => Ok(()),
    }
}

fn check(
    estimate: MemoryEstimate,
    available: u64,
    batch: usize,
    rows: impl Fn(usize) -> usize,
) -> Result<(), Usage> {
    let taken = |images: usize| estimate.run(rows(images)) - estimate.weights;
    if taken(batch) <= available {
        return Ok(());
    }
    let mut fits = batch;
    while fits > 1 && taken(fits) > available {
        fits /= 2;
    }
    let advice = match taken(fits) <= available {
        true => format!("--batch {fits} would fit"),
        false => "not even one image at a time would fit".to_owned(),
    };
    let [needed, available] = [taken(batch), available].map(|bytes| bytes >> 20);
    Err(Usage(format!(
        "a batch of {batch} images needs about {needed} MiB, but this machine has {available} MiB left: {advice}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATE: MemoryEstimate = MemoryEstimate {
        weights: 1 << 30,
        largest: 1 << 20,
        cached_weights: 10 << 20,
        row: 20 << 20,
        activation: 1 << 20,
    };

    #[test]
    fn a_batch_that_does_not_fit_is_refused_and_another_named() {
        let guided = |images: usize| 2 * images;
        // 10 + 2 · 8 · 20 MiB.
        assert!(check(ESTIMATE, 330 << 20, 8, guided).is_ok());
        let refused = check(ESTIMATE, 329 << 20, 8, guided).expect_err("too much");
        assert_eq!(
            refused.to_string(),
            "a batch of 8 images needs about 330 MiB, but this machine has 329 MiB left: --batch 4 would fit"
        );
        let refused = check(ESTIMATE, 49 << 20, 8, guided).expect_err("too much");
        assert!(
            refused
                .to_string()
                .ends_with("not even one image at a time would fit")
        );
    }
}
