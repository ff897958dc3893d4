//! What images have beside one class: several labels, or a number.

/// What images have beside one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// Their attributes, where an image may have several labels. Then the class of every image is 0 and means nothing.
    pub attributes: Option<Attributes>,
    /// The number of each image, such as an age; none where it has none.
    pub numbers: Option<Vec<Option<f64>>>,
}

/// The attributes of images, as ids in the list of classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Those of all images, one image after another.
    ids: Vec<u32>,
    /// Where those of each image end.
    ends: Vec<usize>,
}

impl Attributes {
    /// Adds an image with these attributes, in any order and each once or more.
    pub fn push(&mut self, of_image: impl IntoIterator<Item = u32>) {
        let begin = self.ids.len();
        for id in of_image {
            // By an eighth: doubling would need three times the memory for a moment.
            if self.ids.len() == self.ids.capacity() {
                self.ids.reserve_exact(self.ids.len() / 8 + 64);
            }
            self.ids.push(id);
        }
        self.ids[begin..].sort_unstable();
        let mut kept = begin;
        for at in begin..self.ids.len() {
            if at == begin || self.ids[at] != self.ids[kept - 1] {
                self.ids[kept] = self.ids[at];
                kept += 1;
            }
        }
        self.ids.truncate(kept);
        self.ends.push(kept);
    }

    /// Those of image `index`, in the order of their ids.
    pub fn of(&self, index: usize) -> &[u32] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[begin..self.ends[index]]
    }

    /// Those of all images.
    pub fn all(&self) -> &[u32] {
        &self.ids
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl Beside {
    /// Attributes, and no numbers.
    pub fn of_attributes(attributes: Option<Attributes>) -> Self {
        Self {
            attributes,
            numbers: None,
        }
    }

    /// Without the images that `keep` says no to.
    pub fn retained(&self, keep: impl Fn(usize) -> bool) -> Self {
        let attributes = self.attributes.as_ref().map(|all| {
            let mut kept = Attributes::default();
            let images = (0..all.len()).filter(|&index| keep(index));
            images.for_each(|index| kept.push(all.of(index).iter().copied()));
            kept
        });
        let numbers = self.numbers.as_ref().map(|all| {
            let kept = all.iter().enumerate().filter(|(index, _)| keep(*index));
            kept.map(|(_, number)| *number).collect()
        });
        Self {
            attributes,
            numbers,
        }
    }

    /// How many images each of so many classes has.
    pub fn counts(&self, labels: &[u32], classes: usize) -> Vec<usize> {
        let ids = match &self.attributes {
            Some(attributes) => attributes.all(),
            None => labels,
        };
        let mut counts = vec![0; classes];
        for &id in ids {
            counts[id as usize] += 1;
        }
        counts
    }

    /// Hands all of it to a hash, and nothing where there is nothing: what was known by its hash before is known still.
    pub fn feed_hash(&self, update: &mut dyn FnMut(&[u8])) {
        if let Some(attributes) = &self.attributes {
            update(b"attributes\n");
            for index in 0..attributes.len() {
                let ids = attributes.of(index);
                update(&(ids.len() as u64).to_le_bytes());
                ids.iter().for_each(|id| update(&id.to_le_bytes()));
            }
        }
        if let Some(numbers) = &self.numbers {
            update(b"numbers\n");
            for number in numbers {
                // No number of a file is NaN.
                update(&number.unwrap_or(f64::NAN).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Beside {
        let mut attributes = Attributes::default();
        attributes.push([2, 0, 2]);
        attributes.push([]);
        attributes.push([1]);
        Beside {
            attributes: Some(attributes),
            numbers: Some(vec![Some(1.0), None, Some(3.0)]),
        }
    }

    #[test]
    fn attributes_are_sorted_and_each_is_there_once() {
        let beside = three();
        let attributes = beside.attributes.as_ref().unwrap();
        let of = [0, 1, 2].map(|index| attributes.of(index).to_vec());
        assert_eq!(of, [vec![0, 2], vec![], vec![1]]);
        assert_eq!(beside.counts(&[0; 3], 4), [1, 1, 1, 0]);
        let kept = beside.retained(|index| index != 0);
        assert_eq!(kept.attributes.as_ref().unwrap().all(), [1]);
        assert_eq!(kept.numbers.unwrap(), [None, Some(3.0)]);
    }

    #[test]
    fn a_hash_tells_all_apart() {
        let bytes = |beside: &Beside| {
            let mut all = Vec::new();
            beside.feed_hash(&mut |bytes| all.extend_from_slice(bytes));
            all
        };
        assert!(bytes(&Beside::default()).is_empty());
        let mut other = three();
        other.numbers.as_mut().unwrap()[0] = None;
        assert_ne!(bytes(&three()), bytes(&other));
        let mut moved = Attributes::default();
        moved.push([0]);
        moved.push([2]);
        moved.push([1]);
        let other = Beside {
            attributes: Some(moved),
            ..three()
        };
        assert_ne!(bytes(&three()), bytes(&other));
    }
}
