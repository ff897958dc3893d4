//! The device that computes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

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
    /// Whether it computes in f16, and rightly.
    half: Rc<Cell<bool>>,
    /// Why f16 is not used, where the device has it.
    half_refused: Rc<RefCell<Option<String>>>,
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

    /// Computes something with a known answer, on the kernels that sampling will run on: with `half` in f16 where the device
    /// has that, and in f32 where it has not, where f16 came out wrong, and without `half`. So nothing is compiled for a
    /// precision that is not used.
    ///
    /// # Errors
    ///
    /// Code `self-test`, where the answer in f32 is wrong: the device must not be used.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self, half: Option<bool>) -> Result<(), Failure> {
        // A CPU has no arithmetic in f16 that would be faster.
        let able = cfg!(feature = "webgpu") && self.burn.supports_dtype(DType::F16);
        if able && half == Some(true) {
            let tested = self.test(DType::F16).await;
            self.half.set(tested.is_ok());
            self.half_refused
                .replace(tested.err().map(|e| e.to_string()));
            if self.half.get() {
                return Ok(());
            }
        }
        Ok(self.test(DType::F32).await?)
    }

    /// Why f16 is not used, where the device has it and the self-test in it has failed.
    #[wasm_bindgen(getter, js_name = halfRefused)]
    pub fn half_refused(&self) -> Option<String> {
        self.half_refused.borrow().clone()
    }
}

impl Device {
    fn new(burn: Burn, name: String) -> Self {
        Self {
            burn,
            name,
            half: Rc::default(),
            half_refused: Rc::default(),
        }
    }

    /// The self-test in a type, of what this build draws with.
    #[cfg(not(all(feature = "webgpu", not(feature = "compiled-network"))))]
    async fn test(&self, dtype: DType) -> Result<(), SelfTestError> {
        match dtype {
            DType::F16 => self_test::self_test_half(&self.burn).await,
            _ => self_test::self_test(&self.burn).await,
        }
    }

    /// The self-test in a type, of what this build draws with.
    #[cfg(all(feature = "webgpu", not(feature = "compiled-network")))]
    async fn test(&self, dtype: DType) -> Result<(), SelfTestError> {
        self_test::kernel_self_test(&self.burn, dtype).await
    }

    pub(crate) fn burn(&self) -> &Burn {
        &self.burn
    }

    pub(crate) fn computes_in_half(&self) -> bool {
        self.half.get()
    }
}

#[cfg(feature = "cpu")]
async fn open() -> Result<Device, Failure> {
    Ok(Device::new(
        Burn::flex(),
        "CPU (WebAssembly SIMD)".to_owned(),
    ))
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
    let device = Device::new(burn, name.unwrap_or_else(|| "WebGPU".to_owned()));
    OPEN.set(Some(device.clone()));
    Ok(device)
}
