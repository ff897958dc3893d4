//! freeguide's sampler for browsers.
//!
//! A thin skin over the library for JavaScript, in two builds with the same interface: `cpu` (burn
//! flex with WebAssembly SIMD) and `webgpu` (burn wgpu). Everything that a page sees, such as the
//! worker, the cache and the device that is chosen, is in the TypeScript package around it (`js/`).
//!
//! Whatever fails throws a JavaScript `Error` with a `code`. After a panic the instance is dead:
//! its message goes to the console and to [`on_panic`], and the package takes care of the rest.

#[cfg(feature = "cpu")]
mod classifier;
mod device;
mod error;
mod loader;
#[cfg(feature = "cpu")]
mod mixture;
mod network;
mod panic;
mod run;
mod start;

#[cfg(feature = "cpu")]
pub use classifier::Classifier;
pub use device::Device;
pub use loader::{Loader, Model};
#[cfg(feature = "cpu")]
pub use mixture::{Mixture, MixtureRun};
pub use panic::{on_panic, panic_for_tests};
pub use run::{Part, Run};

#[cfg(all(feature = "cpu", feature = "webgpu"))]
compile_error!("the features `cpu` and `webgpu` are two builds, not one");
#[cfg(not(any(feature = "cpu", feature = "webgpu")))]
compile_error!("one of the features `cpu` and `webgpu` is needed");
