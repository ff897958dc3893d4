//! The device that computes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burn::tensor::{DType, Device as Burn};
use freeguide::self_test;
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

    /// Computes something with a known answer, and again in f16 where the device has that, which
    /// it is not used for otherwise.
    ///
    /// # Errors
    ///
    /// Code `self-test`, where the answer is wrong: the device must not be used.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self) -> Result<(), Failure> {
        self_test::self_test(&self.burn).await?;
        // A CPU has no arithmetic in f16 that would be faster.
        let able = cfg!(feature = "webgpu") && self.burn.supports_dtype(DType::F16);
        if able {
            let tested = self_test::self_test_half(&self.burn).await;
            self.half.set(tested.is_ok());
            self.half_refused
                .replace(tested.err().map(|e| e.to_string()));
        }
        Ok(())
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
