//! The device that computes.

#[cfg(feature = "webgpu")]
use std::cell::RefCell;

use burn::tensor::{DType, Device as Burn};
use freeguide::self_test::{self, SelfTestError};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;

/// A device, opened once for each instance of the module.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Device {
    burn: Burn,
    name: String,
}

#[wasm_bindgen]
impl Device {
    /// Opens the device that this build is for.
    ///
    /// # Errors
    ///
    /// Code `device`, where there is none or it refuses.
    pub async fn open() -> Result<Device, Failure> {
        open().await
    }

    /// What it is, for people.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Computes something with a known answer, on the kernels that sampling will run on, in f16 or in f32.
    ///
    /// # Errors
    ///
    /// Code `self-test`, where the answer is wrong: the device must not be used for that type.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self, half: bool) -> Result<(), Failure> {
        Ok(self
            .test(if half { DType::F16 } else { DType::F32 })
            .await?)
    }
}

impl Device {
    /// The self-test in a type, of what this build draws with.
    #[cfg(feature = "compiled-network")]
    async fn test(&self, dtype: DType) -> Result<(), SelfTestError> {
        match dtype {
            DType::F16 => self_test::self_test_half(&self.burn).await,
            _ => self_test::self_test(&self.burn).await,
        }
    }

    /// The self-test in 32 bits, of what this build draws with.
    #[cfg(all(feature = "cpu", not(feature = "compiled-network")))]
    async fn test(&self, _: DType) -> Result<(), SelfTestError> {
        self_test::cpu_self_test(&self.burn).await
    }

    /// The self-test in a type, of what this build draws with.
    #[cfg(all(feature = "webgpu", not(feature = "compiled-network")))]
    async fn test(&self, dtype: DType) -> Result<(), SelfTestError> {
        self_test::kernel_self_test(&self.burn, dtype).await
    }

    pub(crate) fn burn(&self) -> &Burn {
        &self.burn
    }

    /// Whether it has f16. A CPU has no arithmetic in f16 that would be faster.
    pub(crate) fn has_half(&self) -> bool {
        cfg!(feature = "webgpu") && self.burn.supports_dtype(DType::F16)
    }
}

#[cfg(feature = "cpu")]
async fn open() -> Result<Device, Failure> {
    Ok(Device {
        burn: Burn::flex(),
        name: "CPU (WebAssembly SIMD)".to_owned(),
    })
}

/// Kernels of a submission at most: all those of a step, so that a step is one submission.
#[cfg(feature = "webgpu")]
const TASKS: usize = 96;

#[cfg(feature = "webgpu")]
async fn open() -> Result<Device, Failure> {
    thread_local! {
        // burn's runtime can be initialised once only.
        static OPEN: RefCell<Option<Device>> = const { RefCell::new(None) };
    }
    if let Some(device) = OPEN.with_borrow(Clone::clone) {
        return Ok(device);
    }
    let (burn, setup) = Burn::wgpu_options()
        .tasks_max(TASKS)
        .init_with_setup_async()
        .await
        .map_err(|e| Failure::device(format!("the WebGPU device cannot be opened: {e}")))?;
    let info = setup.adapter.get_info();
    // Browsers tell little of the adapter, and some nothing.
    let name = [info.name, info.driver].into_iter().find(|s| !s.is_empty());
    let name = name.unwrap_or_else(|| "WebGPU".to_owned());
    let device = Device { burn, name };
    OPEN.set(Some(device.clone()));
    Ok(device)
}
