//! Weights that are packed once, for a network that only samples.
//!
//! Packing takes as long as the products of a few pixels do: a tenth of a guided step of a small network. In training
//! weights change at every step, and nothing is kept: the first step gives back what sampling has left.

use std::fmt;
#[cfg(feature = "flex")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

#[cfg(feature = "flex")]
use burn::backend::{DispatchDevice, flex::FlexTensor};
#[cfg(feature = "flex")]
use burn::tensor::Bytes;
use burn::tensor::Device;

#[cfg(feature = "flex")]
use super::convolution::{Packed, Weights};
#[cfg(feature = "flex")]
use super::patches::Images;

/// The largest packed weights of a convolution that are kept, in bytes. They come on top of the weights, and those of
/// large layers would take more memory than the network has.
const LARGEST: u64 = 4 << 20;

/// Bytes that a network with weights of these shapes keeps beside them, at most, when it samples on a device.
pub(crate) fn kept_weights<'a>(
    shapes: impl IntoIterator<Item = &'a Vec<usize>>,
    device: &Device,
) -> u64 {
    if !keeps(device) {
        return 0;
    }
    let of = |shape: &Vec<usize>| match shape[..] {
        [outputs, inputs, kernel, _] => kept_bytes([outputs, inputs, kernel]),
        _ => 0,
    };
    shapes.into_iter().map(of).sum()
}

fn keeps(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return matches!(device.as_dispatch(), DispatchDevice::Flex(_));
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Bytes that are kept at most for a convolution of such weights, `[outputs, inputs, kernel, kernel]`.
fn kept_bytes([outputs, inputs, kernel]: [usize; 3]) -> u64 {
    // What Winograd's transform makes of 3×3; tiles have at most 12 channels.
    let values = if kernel == 3 { 16 } else { kernel * kernel };
    let bytes = (outputs.next_multiple_of(12) * inputs * values * size_of::<f32>()) as u64;
    if bytes <= LARGEST { bytes } else { 0 }
}

/// What a convolution remembers of its weights, for as long as they are the same.
#[derive(Default)]
pub struct KeptWeights {
    #[cfg(feature = "flex")]
    last: Mutex<Option<Kept>>,
}

/// The weights are known by their memory, which nothing writes to while somebody else refers to it: burn copies a
/// shared tensor before it changes it, and its address belongs to nobody else before the last reference is gone.
#[cfg(feature = "flex")]
struct Kept {
    memory: Weak<Bytes>,
    range: (usize, usize),
    packed: Arc<Packed>,
}

impl fmt::Debug for KeptWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptWeights")
    }
}

impl KeptWeights {
    /// Gives back the memory.
    #[cfg(feature = "autodiff")]
    pub(super) fn forget(&self) {
        #[cfg(feature = "flex")]
        drop(self.lock().take());
    }
}

#[cfg(feature = "flex")]
impl KeptWeights {
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
        if let Some(kept) = &*self.lock()
            && kept.memory.ptr_eq(&memory)
            && kept.range == range
            && kept.packed.serves(shape, weights)
        {
            return kept.packed.clone();
        }
        let packed = Arc::new(Packed::new(shape, weights));
        if kept_bytes(size) > 0 {
            *self.lock() = Some(Kept {
                memory,
                range,
                packed: packed.clone(),
            });
        }
        packed
    }

    #[cfg(test)]
    pub(super) fn packed(&self) -> Option<Arc<Packed>> {
        self.lock().as_ref().map(|kept| kept.packed.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
