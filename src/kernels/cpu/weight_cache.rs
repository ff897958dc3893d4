//! Weights that are packed once, for a network that only samples.
//!
//! Packing takes as long as the products of a few pixels do: a tenth of a guided step of a small network. In training
//! weights change at every step, and nothing is kept: the first step gives back what sampling has left.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use burn::backend::{DispatchDevice, flex::FlexTensor};
use burn::tensor::Bytes;
use burn::tensor::Device;

use super::convolution::Packed;
use super::patches::Images;
use super::weights::Weights;
use super::winograd;

/// The largest packed weights of a convolution that are kept, in bytes. They come on top of the weights, and those of
/// large layers would take more memory than the network has.
const LARGEST: u64 = 4 << 20;

/// Bytes that a network with weights of these shapes keeps beside them, at most, when it samples on a device.
pub(crate) fn cached_weight_bytes<'a>(
    shapes: impl IntoIterator<Item = &'a Vec<usize>>,
    device: &Device,
) -> u64 {
    if !caches(device) {
        return 0;
    }
    let of = |shape: &Vec<usize>| match shape[..] {
        [outputs, inputs, kernel, _] => cached_bytes([outputs, inputs, kernel]),
        _ => 0,
    };
    shapes.into_iter().map(of).sum()
}

fn caches(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Bytes that are kept at most for a convolution of such weights, `[outputs, inputs, kernel, kernel]`.
fn cached_bytes([outputs, inputs, kernel]: [usize; 3]) -> u64 {
    // As they are, and what either of Winograd's transforms makes of 3×3.
    let taps: &[usize] = if kernel == 3 {
        &[9, 16, 36]
    } else {
        &[kernel * kernel]
    };
    let bytes = taps
        .iter()
        .map(|&taps| packed_bytes([outputs, inputs], taps));
    bytes.filter(|&bytes| bytes <= LARGEST).max().unwrap_or(0)
}

/// Bytes of packed weights with so many values for a pair of channels, at most: the last tile or panel has fewer than 16
/// channels too many.
fn packed_bytes([outputs, inputs]: [usize; 2], taps: usize) -> u64 {
    (outputs.next_multiple_of(16) * inputs * taps * size_of::<f32>()) as u64
}

/// Whether weights are kept that have so many values for a pair of channels, `[outputs, inputs]`.
pub(super) fn keeps(channels: [usize; 2], taps: usize) -> bool {
    packed_bytes(channels, taps) <= LARGEST
}

/// What a layer remembers of its weights, as kernels read them, for as long as they are the same.
pub struct WeightCache<Layout = Packed> {
    last: Mutex<Option<Entry<Layout>>>,
}

/// The weights are known by their memory, which nothing writes to while somebody else refers to it: burn copies a
/// shared tensor before it changes it, and its address belongs to nobody else before the last reference is gone.
struct Entry<Layout> {
    memory: Weak<Bytes>,
    range: (usize, usize),
    packed: Arc<Layout>,
}

impl<Layout> Default for WeightCache<Layout> {
    fn default() -> Self {
        let last = Mutex::new(None);
        Self { last }
    }
}

impl<Layout> fmt::Debug for WeightCache<Layout> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeightCache")
    }
}

impl<Layout> WeightCache<Layout> {
    /// Gives back the memory.
    pub(crate) fn clear(&self) {
        drop(self.lock().take());
    }

    /// What `pack` makes of a tensor's values, from memory where that `serves` and is of this tensor. It is kept where
    /// `keeps` says so.
    pub(super) fn get(
        &self,
        tensor: &FlexTensor,
        keeps: bool,
        serves: impl Fn(&Layout) -> bool,
        pack: impl FnOnce() -> Layout,
    ) -> Arc<Layout> {
        let Some(range) = tensor.layout().contiguous_offsets() else {
            return Arc::new(pack());
        };
        let memory = Arc::downgrade(&tensor.data_arc());
        // Not locked while it packs, on all threads: one of them might come here again for the same layer.
        if let Some(entry) = &*self.lock()
            && entry.memory.ptr_eq(&memory)
            && entry.range == range
            && serves(&entry.packed)
        {
            return entry.packed.clone();
        }
        let packed = Arc::new(pack());
        if keeps {
            let packed = packed.clone();
            *self.lock() = Some(Entry {
                memory,
                range,
                packed,
            });
        }
        packed
    }

    /// Whether it holds weights.
    #[cfg(test)]
    pub(in crate::kernels) fn keeps(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Entry<Layout>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WeightCache {
    /// The packed weights of a convolution. `weights` are the tensor's values.
    pub(super) fn pack(
        &self,
        tensor: &FlexTensor,
        shape: Images,
        weights: Weights<'_>,
    ) -> Arc<Packed> {
        let taps = match winograd::pays(shape, weights) {
            true => winograd::PRODUCTS,
            false => weights.kernel * weights.kernel,
        };
        let keeps = keeps([weights.outputs, weights.inputs], taps);
        let serves = |packed: &Packed| packed.serves(shape, weights);
        self.get(tensor, keeps, serves, || Packed::new(shape, weights))
    }

    /// Where the packed weights are in memory, and their bytes.
    #[cfg(test)]
    pub(in crate::kernels) fn packed(&self) -> Option<(usize, u64)> {
        let entry = self.lock();
        let packed = &entry.as_ref()?.packed;
        Some((Arc::as_ptr(packed).addr(), packed.bytes()))
    }
}
