//! Lists and opens devices.

use anyhow::{Result, anyhow, bail};
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
    /// Why it cannot be used, if it cannot.
    pub unavailable: Option<String>,
}

/// Every kind of device that freeguide knows, whether usable or not.
pub fn list() -> Vec<Found> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = Found {
        name: "cpu",
        description: format!("CPU, {threads} threads (burn flex)"),
        unavailable: None,
    };
    std::iter::once(cpu)
        .chain(gpu::Api::ALL.map(gpu::found))
        .collect()
}

/// Opens a device by name: `auto`, `cpu`, `vulkan` or `wgpu`.
///
/// `auto` is a GPU if this program was built for one and finds it, otherwise the CPU.
pub fn open(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::flex());
    }
    if name == "auto" {
        return match gpu::Api::ALL.into_iter().find(|&api| gpu::is_real(api)) {
            Some(api) => gpu::open(api),
            None => Ok(Device::flex()),
        };
    }
    match gpu::Api::ALL.into_iter().find(|api| api.name() == name) {
        Some(api) => gpu::open(api).map_err(|reason| {
            anyhow!(
                "--device {name}: {reason:#}; available here: {}",
                usable().join(", ")
            )
        }),
        None => bail!(Usage(format!(
            "there is no device {name:?}; available here: {} (see `freeguide devices`)",
            usable().join(", ")
        ))),
    }
}

/// The names of the devices that can be used.
fn usable() -> Vec<&'static str> {
    let usable = list().into_iter().filter(|d| d.unavailable.is_none());
    usable.map(|device| device.name).collect()
}

#[cfg(feature = "wgpu")]
mod gpu {
    use std::sync::OnceLock;

    use anyhow::{Context, Result, anyhow, bail};
    use burn::tensor::Device;
    use burn::tensor::wgpu::{WgpuBackend, wgpu};
    use futures_lite::future::block_on;

    use super::Found;
    pub(super) use super::api::Api;

    /// An open device and its adapter.
    struct Gpu {
        device: Device,
        adapter: wgpu::AdapterInfo,
    }

    /// The adapter of this API. A runtime can be set up only once in a process, so it is cached.
    fn gpu(api: Api) -> Result<&'static Gpu, &'static str> {
        static VULKAN: OnceLock<Result<Gpu, String>> = OnceLock::new();
        static ANY: OnceLock<Result<Gpu, String>> = OnceLock::new();
        let (slot, backend) = match api {
            Api::Vulkan => (&VULKAN, WgpuBackend::Vulkan),
            Api::Any => (&ANY, WgpuBackend::Auto),
        };
        slot.get_or_init(|| {
            let (device, setup) = Device::wgpu_options()
                .graphics_api(backend)
                .init_with_setup()
                .map_err(|e| {
                    format!("no adapter was found; is its driver installed? ({e})")
                        .replace('\n', " ")
                })?;
            Ok(Gpu {
                device,
                adapter: setup.adapter.get_info(),
            })
        })
        .as_ref()
        .map_err(String::as_str)
    }

    fn is_software(adapter: &wgpu::AdapterInfo) -> bool {
        adapter.device_type == wgpu::DeviceType::Cpu
    }

    pub(super) fn found(api: Api) -> Found {
        match gpu(api) {
            Ok(gpu) => Found {
                name: api.name(),
                description: format!(
                    "{}: {} ({}{})",
                    api.description(),
                    gpu.adapter.name,
                    gpu.adapter.backend,
                    if is_software(&gpu.adapter) {
                        ", a software driver"
                    } else {
                        ""
                    }
                ),
                unavailable: unfit(&gpu.adapter),
            },
            Err(reason) => Found {
                name: api.name(),
                description: api.description().to_owned(),
                unavailable: Some(reason.to_owned()),
            },
        }
    }

    /// An environment variable that, set to 1, allows a software driver to a build with SPIR-V kernels: for tests.
    const SOFTWARE_ALLOWED: &str = "FREEGUIDE_SOFTWARE_VULKAN";

    /// Software drivers report support for buffer addresses, which SPIR-V kernels use, but some compute wrong results:
    /// SwiftShader passes one self-test and fails the next.
    fn unfit(adapter: &wgpu::AdapterInfo) -> Option<String> {
        let software = is_software(adapter) && adapter.backend == wgpu::Backend::Vulkan;
        let allowed = std::env::var_os(SOFTWARE_ALLOWED).is_some_and(|value| value == "1");
        (cfg!(feature = "vulkan") && software && !allowed).then(|| {
            format!(
                "software drivers need a build with `--features wgpu` instead of `vulkan`; to test one all the same, set {SOFTWARE_ALLOWED}=1"
            )
        })
    }

    /// Whether there is a real GPU. A software driver is slower than burn's own CPU backend.
    pub(super) fn is_real(api: Api) -> bool {
        gpu(api).is_ok_and(|gpu| !is_software(&gpu.adapter))
    }

    /// Opens the device. A driver may silently miscompile a kernel, so the device must pass the library's self-test.
    pub(super) fn open(api: Api) -> Result<Device> {
        let gpu = gpu(api).map_err(|reason| anyhow!(reason))?;
        let adapter = &gpu.adapter.name;
        if let Some(reason) = unfit(&gpu.adapter) {
            bail!("{adapter}: {reason}");
        }
        block_on(freeguide::self_test::self_test(&gpu.device))
            .with_context(|| format!("{adapter} cannot be used"))?;
        Ok(gpu.device.clone())
    }
}

/// The APIs for a GPU.
mod api {
    /// A graphics API, or whichever the system has.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Api {
        /// Vulkan: Linux, Windows, Android.
        Vulkan,
        /// Vulkan, Metal or Direct3D 12, whichever wgpu prefers.
        Any,
    }

    impl Api {
        pub const ALL: [Api; 2] = [Api::Vulkan, Api::Any];

        /// The name for `--device`.
        pub fn name(self) -> &'static str {
            match self {
                Api::Vulkan => "vulkan",
                Api::Any => "wgpu",
            }
        }

        pub fn description(self) -> &'static str {
            match self {
                Api::Vulkan => "GPU through Vulkan",
                Api::Any => "GPU through the system's API",
            }
        }
    }
}

#[cfg(not(feature = "wgpu"))]
mod gpu {
    use anyhow::{Result, bail};
    use burn::tensor::Device;

    use super::Found;
    pub(super) use super::api::Api;

    const REASON: &str = "this freeguide was built without GPU support; build it with `cargo build --release -p freeguide-trainer --features vulkan` (or `--features wgpu` for Metal and Direct3D)";

    pub(super) fn found(api: Api) -> Found {
        Found {
            name: api.name(),
            description: api.description().to_owned(),
            unavailable: Some(REASON.to_owned()),
        }
    }

    pub(super) fn is_real(_: Api) -> bool {
        false
    }

    pub(super) fn open(_: Api) -> Result<Device> {
        bail!(REASON)
    }
}
