//! The device that computes.

use burn::tensor::Device as Burn;
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

    /// Computes something with a known answer.
    ///
    /// # Errors
    ///
    /// Code `self-test`, where the answer is wrong: the device must not be used.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self) -> Result<(), Failure> {
        Ok(freeguide::self_test::self_test(&self.burn).await?)
    }
}

impl Device {
    pub(crate) fn burn(&self) -> &Burn {
        &self.burn
    }
}

#[cfg(feature = "cpu")]
async fn open() -> Result<Device, Failure> {
    Ok(Device {
        burn: Burn::flex(),
        name: "CPU (WebAssembly SIMD)".to_owned(),
    })
}

#[cfg(feature = "webgpu")]
async fn open() -> Result<Device, Failure> {
    use std::cell::RefCell;
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
    let device = Device {
        burn,
        name: name.unwrap_or_else(|| "WebGPU".to_owned()),
    };
    OPEN.set(Some(device.clone()));
    Ok(device)
}
