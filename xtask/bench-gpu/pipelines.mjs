// How long a model's pipelines take to compile one after another, as the runtime has them made, and together, by
// createComputePipelineAsync. The runtime's own kernels, each in a process of its own with an empty cache of the driver.
//
//   node pipelines.mjs --package FOLDER --model FOLDER [--rounds N]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
const { values } = parseArgs({
  options: {
    package: { type: "string", default: fileURLToPath(new URL("package", import.meta.url)) },
    model: { type: "string", default: fileURLToPath(new URL("models/emoji16", import.meta.url)) },
    rounds: { type: "string", default: "3" },
    // Of the processes that this one starts.
    shaders: { type: "string" },
    way: { type: "string" },
  },
});
// Of this object nothing may be left to the garbage collector.
globalThis.heldGpu = create(["backend=vulkan"]);

/** The code of every pipeline that a model makes while it loads. */
async function shadersOf() {
  const { loadModel } = await import(pathToFileURL(resolve(values.package, "dist/index.js")).href);
  const codes = new Map();
  const used = [];
  const { createShaderModule, createComputePipeline } = GPUDevice.prototype;
  GPUDevice.prototype.createShaderModule = function (descriptor) {
    const module = createShaderModule.call(this, descriptor);
    codes.set(module, descriptor.code);
    return module;
  };
  GPUDevice.prototype.createComputePipeline = function (descriptor) {
    const { module, entryPoint } = descriptor.compute;
    used.push({ code: codes.get(module), entryPoint });
    return createComputePipeline.call(this, descriptor);
  };
  await loadModel(`${pathToFileURL(resolve(values.model)).href}/`, { device: "webgpu", gpu: globalThis.heldGpu });
  return used;
}

/** Milliseconds until all pipelines are made, and until each has run once, on buffers of zeros, with which it has nothing to do. */
async function compile(shaders, way) {
  const adapter = await globalThis.heldGpu.requestAdapter();
  const requiredFeatures = ["shader-f16"].filter((feature) => adapter.features.has(feature));
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: { maxStorageBuffersPerShaderStage: adapter.limits.maxStorageBuffersPerShaderStage } });
  const descriptors = shaders.map(({ code, entryPoint }) => ({ layout: "auto", compute: { module: device.createShaderModule({ code }), entryPoint } }));
  const begun = performance.now();
  const pipelines =
    way === "together"
      ? await Promise.all(descriptors.map((descriptor) => device.createComputePipelineAsync(descriptor)))
      : descriptors.map((descriptor) => device.createComputePipeline(descriptor));
  const made = performance.now() - begun;
  for (const [at, pipeline] of pipelines.entries()) {
    const bindings = [...shaders[at].code.matchAll(/@binding\((\d+)\)\s*var<(storage|uniform)/g)];
    const entries = bindings.map(([, binding, kind]) => {
      const usage = kind === "uniform" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
      return { binding: Number(binding), resource: { buffer: device.createBuffer({ size: 4096, usage }) } };
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }
  await device.queue.onSubmittedWorkDone();
  return { made, ran: performance.now() - begun };
}

if (values.shaders) {
  console.log(JSON.stringify(await compile(JSON.parse(readFileSync(values.shaders, "utf8")), values.way)));
  process.exit(0);
}
const place = mkdtempSync(join(tmpdir(), "freeguide-pipelines-"));
const file = join(place, "shaders.json");
const shaders = await shadersOf();
writeFileSync(file, JSON.stringify(shaders));
const best = { "one after another": {}, together: {} };
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const [way, least] of Object.entries(best)) {
    const env = { ...process.env, MESA_SHADER_CACHE_DIR: mkdtempSync(join(place, "cache-")) };
    const done = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--shaders", file, "--way", way], { encoding: "utf8", env });
    const line = done.stdout.split("\n").find((text) => text.startsWith("{"));
    if (!line) throw new Error(done.stderr);
    for (const [key, value] of Object.entries(JSON.parse(line))) least[key] = Math.min(least[key] ?? Infinity, value);
  }
}
rmSync(place, { recursive: true });
console.log(`${shaders.length} pipelines\n\n| made | ms until they are made | and have run |\n|---|---:|---:|`);
for (const [way, { made, ran }] of Object.entries(best)) console.log(`| ${way} | ${made.toFixed(0)} | ${ran.toFixed(0)} |`);
process.exit(0);
