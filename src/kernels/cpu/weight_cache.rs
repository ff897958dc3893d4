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
    // What Winograd's transform makes of 3×3; tiles have at most 12 channels.
    let values = if kernel == 3 { 16 } else { kernel * kernel };
    let bytes = (outputs.next_multiple_of(12) * inputs * values * size_of::<f32>()) as u64;
    if bytes <= LARGEST { bytes } else { 0 }
}

/// What a convolution remembers of its weights, for as long as they are the same.
#[derive(Default)]
pub struct WeightCache {
    last: Mutex<Option<Entry>>,
}

/// The weights are known by their memory, which nothing writes to while somebody else refers to it: burn copies a
/// shared tensor before it changes it, and its address belongs to nobody else before the last reference is gone.
struct Entry {
    memory: Weak<Bytes>,
    range: (usize, usize),
    packed: Arc<Packed>,
}

impl fmt::Debug for WeightCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeightCache")
    }
}

impl WeightCache {
    /// Gives back the memory.
    #[cfg(feature = "autodiff")]
    pub(in crate::kernels) fn clear(&self) {
        drop(self.lock().take());
    }

    /// The packed weights, from memory where it has those of this tensor. `weights` are its values.
    pub(super) fn pack(
        &self,
        tensor: &FlexTensor,
        shape: Images,
        weights: Weights<'_>,
    ) -> Arc<Packed> {
        let size = [weights.outputs, weights.inputs, weights.kernel];
        let Some(range) = tensor.layout().contiguous_offsets() else {
            return Arc::new(Packed::new(shape, weights));
        };
        let memory = Arc::downgrade(&tensor.data_arc());
        // Not locked while it packs, on all threads: one of them might come here again for the same layer.
        if let Some(entry) = &*self.lock()
            && entry.memory.ptr_eq(&memory)
            && entry.range == range
            && entry.packed.serves(shape, weights)
        {
            return entry.packed.clone();
        }
        let packed = Arc::new(Packed::new(shape, weights));
        if cached_bytes(size) > 0 {
            *self.lock() = Some(Entry {
                memory,
                range,
                packed: packed.clone(),
            });
        }
        packed
    }

    /// Where the packed weights are in memory, and their bytes.
    #[cfg(test)]
    pub(in crate::kernels) fn packed(&self) -> Option<(usize, u64)> {
        let entry = self.lock();
        let packed = &entry.as_ref()?.packed;
        Some((Arc::as_ptr(packed).addr(), packed.bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Entry>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
