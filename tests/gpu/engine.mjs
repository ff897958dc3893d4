// In the program that draws, in Node, Deno or Bun: its GPU, as it is or made to look otherwise, and what is asked of it.

/** The GPU object of this engine: its own, else that of npm's webgpu. */
export async function findGpu() {
  if (globalThis.navigator?.gpu) return navigator.gpu;
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  return create(["backend=vulkan"]);
}

/** Counts what is started from now on. */
export function countWork() {
  const counts = { kernels: 0, submissions: 0, pipelines: 0 };
  const counting = (prototype, method, key) => {
    const original = prototype[method];
    prototype[method] = function (...given) {
      counts[key] += 1;
      return original.apply(this, given);
    };
  };
  counting(GPUComputePassEncoder.prototype, "dispatchWorkgroups", "kernels");
  counting(GPUComputePassEncoder.prototype, "dispatchWorkgroupsIndirect", "kernels");
  counting(GPUQueue.prototype, "submit", "submissions");
  counting(GPUDevice.prototype, "createComputePipeline", "pipelines");
  return counts;
}

/** `object` with other properties, which may be changed; its methods are those of the object itself. */
function changed(object, others) {
  return new Proxy(others, {
    get(target, name) {
      if (Object.hasOwn(target, name)) return target[name];
      const value = Reflect.get(object, name, object);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
}

/** The least that every adapter of WebGPU has (WebGPU, section 3.6.2), as far as it concerns computing. */
const lowest = {
  maxBindGroups: 4,
  maxBindingsPerBindGroup: 1000,
  maxBufferSize: 268_435_456,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxDynamicStorageBuffersPerPipelineLayout: 4,
  maxDynamicUniformBuffersPerPipelineLayout: 8,
  maxStorageBufferBindingSize: 134_217_728,
  maxStorageBuffersPerShaderStage: 8,
  maxUniformBufferBindingSize: 65_536,
  maxUniformBuffersPerShaderStage: 12,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
};

/** Has the kernels in whose code something is do nothing. */
function disable(device, something) {
  const { createShaderModule } = device;
  device.createShaderModule = (descriptor) => {
    const { code } = descriptor;
    const nothing = code.replace(/(@compute[^{]*\bfn\b[^{]*\{)/, "$1 if (true) { return; }");
    return createShaderModule.call(device, { ...descriptor, code: something.test(code) ? nothing : code });
  };
}

/** Ways in which a GPU may be bad, each of which changes what `gpu` gives. */
const faults = {
  /** Nothing: only that it is no software renderer. */
  real: {},
  "no-timestamps": { features: (has) => has.filter((feature) => feature !== "timestamp-query") },
  "no-f16": { features: (has) => has.filter((feature) => feature !== "shader-f16") },
  "lowest-limits": { limits: (has) => ({ ...has, ...lowest }) },
  /** The device goes away at its third pipeline. */
  "lost-while-compiling": {
    device(device) {
      const { createComputePipeline } = device;
      let count = 0;
      device.createComputePipeline = (descriptor) => {
        if ((count += 1) === 3) device.destroy();
        return createComputePipeline.call(device, descriptor);
      };
    },
  },
  /** Every kernel that computes in 16 bits does nothing. */
  "wrong-f16": { device: (device) => disable(device, /enable\s+f16/) },
  /** Every kernel does nothing. */
  wrong: { device: (device) => disable(device, /@compute/) },
};

/** `gpu` with a fault; its adapters say of themselves that they are real ones, which `auto` takes. */
export function withFault(gpu, fault) {
  const { features = (has) => has, limits = (has) => has, device: change } = faults[fault];
  const requestAdapter = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    const own = {};
    for (const name in adapter.limits) own[name] = adapter.limits[name];
    const requestDevice = async (descriptor) => {
      const device = await adapter.requestDevice(descriptor);
      change?.(device);
      return device;
    };
    return changed(adapter, {
      isFallbackAdapter: false,
      info: { vendor: "a real one", architecture: fault, device: "", description: "", isFallbackAdapter: false },
      features: new Set(features([...adapter.features])),
      limits: limits(own),
      requestDevice,
    });
  };
  return changed(gpu, { requestAdapter });
}
