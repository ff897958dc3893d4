import { chromium } from "playwright-core";

const quiet = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** A WebGPU adapter without a GPU. Correct and slow: for tiny models only. */
const softwareGpu = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--use-vulkan=swiftshader",
  "--enable-features=Vulkan",
  "--disable-vulkan-surface",
];

/** Starts the Chromium that CHROMIUM names, Debian's if it names none. */
export function launch({ webgpu = false, args = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [...quiet, ...(webgpu ? softwareGpu : []), ...args],
  });
}
