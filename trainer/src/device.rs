//! Devices: which there are, and the one that was asked for.

use anyhow::{Result, bail};
use burn::tensor::Device;
use serde::Serialize;

use crate::usage::Usage;

/// A device that `--device` can name.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The name for `--device`.
    pub name: &'static str,
    /// What it is.
    pub description: String,
    /// Why it cannot be used, if so.
    pub unavailable: Option<String>,
}

/// Every kind of device that freeguide knows, usable or not.
pub fn list() -> Vec<Found> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        Found {
            name: "cpu",
            description: format!("CPU, {threads} threads (burn flex)"),
            unavailable: None,
        },
        vulkan::found(),
    ]
}

/// Opens the device that `name` names: `auto`, `cpu` or `vulkan`.
///
/// `auto` is Vulkan where this program was built with it and finds a real adapter, else the CPU.
pub fn open(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        "vulkan" => match vulkan::found().unavailable {
            None => vulkan::open(),
            Some(reason) => bail!(
                "--device vulkan: {reason}; there is {} here",
                usable().join(", ")
            ),
        },
        "auto" => match vulkan::found().unavailable {
            None if vulkan::is_gpu() => vulkan::open(),
            _ => Ok(Device::flex()),
        },
        other => Err(Usage(format!(
            "there is no device {other:?}; there is {} (see `freeguide devices`)",
            usable().join(", ")
        ))
        .into()),
    }
}

/// The names of the devices that can be used.
fn usable() -> Vec<&'static str> {
    let usable = list().into_iter().filter(|d| d.unavailable.is_none());
    usable.map(|device| device.name).collect()
}

#[cfg(feature = "vulkan")]
mod vulkan {
    use super::Found;
    use anyhow::{Context, Result, anyhow};
    use burn::tensor::{Device, DeviceKind};

    /// Asking for an adapter panics inside the GPU library where there is no Vulkan at all.
    fn identity() -> Result<String, String> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = std::panic::catch_unwind(|| {
            let device = Device::vulkan(DeviceKind::default());
            device.identity().map(|identity| format!("{identity:?}"))
        });
        std::panic::set_hook(hook);
        match found {
            Ok(identity) => Ok(identity.unwrap_or_else(|| "an unnamed adapter".to_owned())),
            Err(_) => Err(
                "no Vulkan adapter was found: is a driver installed (try vulkaninfo)?".to_owned(),
            ),
        }
    }

    pub(super) fn found() -> Found {
        match identity() {
            Ok(identity) => Found {
                name: "vulkan",
                description: format!("GPU through Vulkan: {identity}"),
                unavailable: None,
            },
            Err(reason) => Found {
                name: "vulkan",
                description: "GPU through Vulkan".to_owned(),
                unavailable: Some(reason),
            },
        }
    }

    /// Not one of the drivers that compute on the CPU, which are slower than burn's own.
    pub(super) fn is_gpu() -> bool {
        identity().is_ok_and(|name| {
            let name = name.to_lowercase();
            !["swiftshader", "llvmpipe", "lavapipe"]
                .iter()
                .any(|s| name.contains(s))
        })
    }

    /// A driver may compile a kernel wrongly and say nothing, so the device has to pass the library's
    /// self-test before it is used.
    pub(super) fn open() -> Result<Device> {
        let device = std::panic::catch_unwind(|| Device::vulkan(DeviceKind::default()))
            .map_err(|_| anyhow!("the Vulkan device could not be opened"))?;
        wait(freeguide::self_test::self_test(&device))
            .context("the Vulkan device cannot be used; --device cpu can")?;
        Ok(device)
    }

    /// Waits for a future that some other thread completes.
    fn wait<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            match future.as_mut().poll(&mut context) {
                std::task::Poll::Ready(value) => return value,
                std::task::Poll::Pending => std::thread::yield_now(),
            }
        }
    }
}

#[cfg(not(feature = "vulkan"))]
mod vulkan {
    use super::Found;
    use anyhow::{Result, bail};
    use burn::tensor::Device;

    const REASON: &str = "this freeguide was built without it; build it with `cargo build --release -p freeguide-trainer --features vulkan`";

    pub(super) fn found() -> Found {
        Found {
            name: "vulkan",
            description: "GPU through Vulkan".to_owned(),
            unavailable: Some(REASON.to_owned()),
        }
    }

    pub(super) fn is_gpu() -> bool {
        false
    }

    pub(super) fn open() -> Result<Device> {
        bail!(REASON)
    }
}
