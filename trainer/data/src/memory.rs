//! Decoding a whole data set into memory.

use std::path::Path;

use rayon::prelude::*;

use super::decode;
use super::records::Records;
use super::{DataError, DataRecipe, Dataset, Transform, Warning, recognise::recognise};

/// Records that a thread takes at a time, one after another, since some layouts are read faster so.
const AT_A_TIME: usize = 64;

/// Finds the images in `path`, decodes them on all cores and brings them to the form that `recipe` describes, all of
/// them in memory.
///
/// What is wrong but can be skipped goes to `report`, in the order of the records.
///
/// # Errors
/// If `path` is no data set, more than half of all images or every image of a class cannot be read, the settings make no
/// sense, or the memory does not suffice.
pub fn load(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Dataset, DataError> {
    let found = recognise(path, recipe, report)?;
    decode_all(&*found.records, &recipe.transform(), report)
}

/// Decodes every image. The result does not depend on how many threads there are.
pub fn decode_all(
    records: &dyn Records,
    transform: &Transform,
    report: &mut dyn FnMut(Warning),
) -> Result<Dataset, DataError> {
    let (total, len) = (records.labels().len(), transform.image_len());
    let too_large = || DataError::TooLarge {
        total,
        size: transform.size as usize,
        channels: transform.channels as usize,
    };
    let mut images = Vec::new();
    let bytes = total.checked_mul(len).ok_or_else(too_large)?;
    images.try_reserve_exact(bytes).map_err(|_| too_large())?;
    images.resize(bytes, 0u8);

    let mut failures: Vec<(usize, String)> = images
        .par_chunks_mut(len * AT_A_TIME)
        .enumerate()
        .flat_map_iter(|(chunk, pixels)| {
            let first = chunk * AT_A_TIME;
            let mut failed = Vec::new();
            let range = first..first + pixels.len() / len;
            decode::read_range(records, range, &mut |index, image| match image {
                Ok(image) => {
                    pixels[(index - first) * len..][..len].copy_from_slice(&transform.apply(&image))
                }
                Err(reason) => failed.push((index, reason)),
            });
            failed
        })
        .collect();
    failures.sort_unstable_by_key(|(index, _)| *index);
    check(records, &failures)?;

    let mut labels = Vec::with_capacity(total);
    let failed: Vec<usize> = failures.iter().map(|(index, _)| *index).collect();
    let readable = |index: usize| failed.binary_search(&index).is_err();
    let beside = records.beside().retained(readable);
    let mut failures = failures.into_iter().peekable();
    for (index, &label) in records.labels().iter().enumerate() {
        match failures.next_if(|(failed, _)| *failed == index) {
            Some((_, reason)) => report(Warning::Unreadable {
                name: records.name(index),
                reason,
            }),
            None => {
                // Close the gaps that skipped images leave.
                images.copy_within(index * len..(index + 1) * len, labels.len() * len);
                labels.push(label);
            }
        }
    }
    images.truncate(labels.len() * len);
    Ok(Dataset {
        images,
        labels,
        beside,
        classes: records.classes().to_vec(),
        size: transform.size as usize,
        channels: transform.channels as usize,
    })
}

/// Whether what could be read is enough to be the data set that was meant.
fn check(records: &dyn Records, failures: &[(usize, String)]) -> Result<(), DataError> {
    let labels = records.labels();
    if let Some((first, reason)) = failures.first()
        && failures.len() * 2 > labels.len()
    {
        return Err(DataError::TooManyUnreadable {
            unreadable: failures.len(),
            total: labels.len(),
            first: records.name(*first),
            reason: reason.clone(),
        });
    }
    let mut left = vec![0usize; records.classes().len()];
    for &label in labels {
        left[label as usize] += 1;
    }
    for (index, _) in failures {
        left[labels[*index] as usize] -= 1;
    }
    for (first, reason) in failures {
        let class = labels[*first];
        if left[class as usize] == 0 {
            return Err(DataError::ClassUnreadable {
                class: records.classes()[class as usize].clone(),
                total: labels.iter().filter(|&&label| label == class).count(),
                first: records.name(*first),
                reason: reason.clone(),
            });
        }
    }
    Ok(())
}
