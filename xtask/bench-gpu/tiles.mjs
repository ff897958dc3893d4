// GFLOP/s of a 3×3 convolution in several tilings, each a kernel written for this comparison, which the product's tile was chosen by.
//
//   node tiles.mjs [--shape ROWS,INPUTS,OUTPUTS,SIDE] [--rounds N] [--only WORDS]
//
// Needs npm's webgpu (npm ci) and a Vulkan driver. Prints a row of a table for each; all are counted as the direct convolution, and
// compared with the first. Loops have bounds that the driver does not know, as in the product: unrolled ones compile for minutes.
import { parseArgs } from "node:util";
import { create, globals } from "webgpu";
import { bytes, direct, shared, strips, winograd } from "./tile-kernels.mjs";

Object.assign(globalThis, globals);
// Of this object nothing may be left to the garbage collector.
globalThis.heldGpu = create(["backend=vulkan"]);
const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "1,128,128,64" },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const [rows, inputs, outputs, side] = values.shape.split(",").map(Number);
if (inputs % 32 || outputs % 64 || side % 16) throw new Error("inputs by 32s, outputs by 64s, the side by 16s");
const adapter = await globalThis.heldGpu.requestAdapter();
const halves = adapter.features.has("shader-f16");
const device = await adapter.requestDevice({ requiredFeatures: halves ? ["shader-f16"] : [] });
const shape = { rows, inputs, outputs, side };
const edge = side + 2;

// Small whole numbers, so that bytes and floats are exact, with a border of zeros around each image.
let state = 1;
const next = () => ((state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 24) % 17 - 8;
const image = new Int8Array(rows * inputs * edge * edge);
for (let plane = 0; plane < rows * inputs; plane += 1) {
  for (let y = 1; y <= side; y += 1) for (let x = 1; x <= side; x += 1) image[(plane * edge + y) * edge + x] = next();
}
/** [inputs, taps, outputs] */
const weights = Int8Array.from({ length: inputs * 9 * outputs }, next);

/** A whole number of 64ths in 16 bits. */
function half(value) {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) * 1024 + Math.trunc(Math.abs(value) / 2 ** (exponent - 10)) - 1024);
}

const unhalf = (bits) => {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  return (bits & 0x8000 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
};
const inType = (numbers, type) => (type === "f16" ? Uint16Array : Float32Array).from(numbers, type === "f16" ? half : (value) => value);
const sixtyFourths = (numbers, type) => inType(Float32Array.from(numbers, (value) => value / 64), type);

/** Winograd's transformed weights, [inputs, 16, outputs]. */
function transformed() {
  const g = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]];
  const out = new Float32Array(inputs * 16 * outputs);
  for (let at = 0; at < out.length; at += 1) {
    const [input, place, output] = [Math.floor(at / (16 * outputs)), Math.floor(at / outputs) % 16, at % outputs];
    let sum = 0;
    for (let tap = 0; tap < 9; tap += 1) {
      sum += g[place >> 2][Math.floor(tap / 3)] * g[place & 3][tap % 3] * weights[(input * 9 + tap) * outputs + output];
    }
    out[at] = sum / 64;
  }
  return out;
}

/** Four channels in each number of 32 bits: of planes of so many values. */
function packed(numbers, planes, values) {
  const out = new Uint8Array(planes * values);
  for (let plane = 0; plane < planes; plane += 1) {
    for (let at = 0; at < values; at += 1) out[((plane >> 2) * values + at) * 4 + (plane & 3)] = numbers[plane * values + at];
  }
  return out;
}

function buffer(data) {
  const made = device.createBuffer({ size: data.byteLength, usage: GPUBufferUsage.STORAGE, mappedAtCreation: true });
  new Uint8Array(made.getMappedRange()).set(new Uint8Array(data.buffer));
  made.unmap();
  return made;
}

async function prepare({ name, code, groups, type, data }) {
  device.pushErrorScope("validation");
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }), entryPoint: "main" } });
  const size = rows * outputs * side * side * (type === "f16" ? 2 : 4);
  const y = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const entries = [...data, y].map((resource, binding) => ({ binding, resource: { buffer: resource } }));
  const error = await device.popErrorScope();
  if (error) throw new Error(`${name}: ${error.message}`);
  return { name, pipeline, groups, type, y, bindings: device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }), best: Infinity };
}

/** Milliseconds of a run. */
async function run({ pipeline, bindings, groups }) {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindings);
  pass.dispatchWorkgroups(groups);
  pass.end();
  const before = performance.now();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - before;
}

async function read({ y, type }) {
  const out = device.createBuffer({ size: y.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(y, 0, out, 0, y.size);
  device.queue.submit([encoder.finish()]);
  await out.mapAsync(GPUMapMode.READ);
  const found = out.getMappedRange().slice(0);
  return type === "f16" ? Float32Array.from(new Uint16Array(found), unhalf) : new Float32Array(found);
}

const kernels = [];
for (const type of halves ? ["f32", "f16"] : ["f32"]) {
  const data = [buffer(sixtyFourths(image, type)), buffer(sixtyFourths(weights, type))];
  const add = (name, { code, groups }, given = data) => kernels.push({ name: `${name}, ${type}`, code, groups, type, data: given });
  add("64 pixels × 16 outputs, a thread 1 × 16", direct(shape, type));
  add("64 pixels × 16 outputs, a thread 4 × 4", strips(shape, type, 1));
  add("64 pixels × 64 outputs, a thread 4 × 16", strips(shape, type, 4));
  add("128 pixels × 64 outputs, weights in shared memory, a thread 8 × 8", shared(shape, type));
  add("Winograd F(2×2, 3×3), 64 pixels × 16 outputs, a thread 4 × 4", winograd(shape, type), [data[0], buffer(inType(transformed(), type))]);
}
const asBytes = [packed(image, rows * inputs, edge * edge), packed(weights, inputs, 9 * outputs)].map(buffer);
for (const dot of [true, false]) {
  const { code, groups } = bytes(shape, dot);
  const name = `bytes, ${dot ? "dot4I8Packed" : "shifts and dot"}, 64 pixels × 16 outputs, a thread 1 × 16`;
  kernels.push({ name, code, groups, type: "f32", data: asBytes });
}
const wanted = [];
for (const kernel of kernels.filter(({ name }, at) => at === 0 || name.includes(values.only))) wanted.push(await prepare(kernel));
for (const kernel of wanted) kernel.first = await run(kernel);
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const kernel of wanted) kernel.best = Math.min(kernel.best, await run(kernel));
}
const operations = 2 * rows * side * side * inputs * outputs * 9;
console.log(`${adapter.info.description}: ${rows} × ${inputs} channels to ${outputs}, ${side}×${side} pixels

| kernel | ms | GFLOP/s | ms of the first run | off by |
|---|---:|---:|---:|---:|`);
const exact = await read(wanted[0]);
for (const kernel of wanted) {
  const found = await read(kernel);
  const off = found.reduce((most, value, at) => Math.max(most, Math.abs(value - exact[at])), 0);
  console.log(`| ${kernel.name} | ${kernel.best.toFixed(1)} | ${(operations / kernel.best / 1e6).toFixed(2)} | ${kernel.first.toFixed(0)} | ${off.toPrecision(1)} |`);
}
process.exit(0);
