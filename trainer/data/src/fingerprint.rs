//! What a streamed data set is known by, without reading all of it.

use sha2::{Digest, Sha256};

use super::records::{Records, Stored};
use super::{DataError, Transform, decode};

/// How many images are read for a fingerprint, spread evenly over the set.
const SAMPLES: usize = 1024;

/// SHA-256, in lower-case hexadecimal, over the form of the images, the class names, every label, the stored length of
/// every image and the contents of 1,024 of them, spread evenly. A set in which images were added, removed, reordered
/// or relabelled has another; one in which a few of very many images were changed and kept their length may not.
pub fn sampled(records: &dyn Records, transform: &Transform) -> Result<String, DataError> {
    let labels = records.labels();
    let mut hash = Sha256::new();
    hash.update(b"freeguide streamed data set 1\n");
    let form = [transform.size, transform.channels].map(u64::from);
    let counts = [records.classes().len() as u64, labels.len() as u64];
    for number in form.into_iter().chain(counts) {
        hash.update(number.to_le_bytes());
    }
    for class in records.classes() {
        hash.update((class.len() as u64).to_le_bytes());
        hash.update(class.as_bytes());
    }
    for (index, label) in labels.iter().enumerate() {
        hash.update(label.to_le_bytes());
        hash.update(records.stored_len(index).unwrap_or(u64::MAX).to_le_bytes());
    }
    records.beside().feed_hash(&mut |bytes| hash.update(bytes));
    let samples = SAMPLES.min(labels.len());
    for sample in 0..samples {
        let index = (sample as u128 * labels.len() as u128 / samples as u128) as usize;
        match decode::stored(records, index) {
            Ok(Stored::Encoded(bytes)) => hash.update(bytes),
            Ok(Stored::Pixels(image)) => hash.update(image.as_bytes()),
            // It is named when training comes across it.
            Err(_) => hash.update(b"unreadable"),
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
