// Measures one thing, in a process of its own, and prints it as a line of JSON: { runtime, model, batch, steps, precision, package }.
// `runtime`: the WebGPU or the CPU build of the freeguide package in that folder, or onnxruntime's WebGPU provider.
import { readFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { sample } from "./sampler.mjs";

const begun = performance.now();
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { runtime, model, batch, steps, precision, package: folder = here("package") } = JSON.parse(process.argv[2]);
const bundle = here(`models/${model}/`);

/** Opens freeguide; what it gives draws so many steps. */
async function freeguide() {
  const { loadModel } = await import(pathToFileURL(`${folder}/dist/index.js`));
  const options = { device: "cpu" };
  if (runtime === "webgpu") {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    // Of this object nothing may be left to the garbage collector.
    globalThis.heldGpu = create(["backend=vulkan"]);
    Object.assign(options, { device: "webgpu", gpu: globalThis.heldGpu, precision: precision === "f32" ? "f32" : "auto" });
  }
  const loaded = await loadModel(pathToFileURL(bundle), options);
  const classes = Array.from({ length: batch }, (_, at) => at % loaded.config.classes.length);
  const draw = (count) => loaded.generate({ classes, guidance: 2, steps: count, sampler: "ddim", seed: 7 });
  return { draw, device: loaded.device.name, precision: loaded.device.precision };
}

/** Opens onnxruntime with the same network. */
async function onnxruntime() {
  const { InferenceSession, Tensor } = (await import("onnxruntime-node")).default;
  const config = JSON.parse(await readFile(`${bundle}config.json`, "utf8"));
  const session = await InferenceSession.create(here(`onnx/${model}/denoiser.onnx`), { executionProviders: ["webgpu"], logSeverityLevel: 3 });
  const predict = async (z, shape, logSnr, classes) => {
    const answer = await session.run({
      z: new Tensor("float32", z, shape),
      log_snr: new Tensor("float32", logSnr, [shape[0]]),
      class: new Tensor("int64", BigInt64Array.from(classes, BigInt), [shape[0]]),
    });
    return Object.values(answer)[0].data;
  };
  return { draw: (count) => sample(config, predict, batch, count), device: "onnxruntime-node", precision: "f32" };
}

const { draw, ...about } = await (runtime === "onnxruntime" ? onnxruntime() : freeguide());
await draw(1);
const firstPicture = performance.now() - begun;
await draw(2);
const before = performance.now();
const used = process.cpuUsage();
await draw(steps);
const { user, system } = process.cpuUsage(used);
const step = (performance.now() - before) / steps;
console.log(JSON.stringify({ ...about, firstPicture, step, processor: (user + system) / 1000 / steps }));
process.exit(0);
