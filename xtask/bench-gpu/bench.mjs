// Runs every measurement on this machine and prints a page of Markdown. Needs nothing but this folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { steps: { type: "string", default: "16" }, batches: { type: "string", default: "1,16" }, limit: { type: "string", default: "120" } } });
const folder = fileURLToPath(new URL(".", import.meta.url));
const models = readdirSync(join(folder, "models"));
const cache = mkdtempSync(join(tmpdir(), "freeguide-gpu-"));
// Where drivers keep what they have compiled: an empty folder is a machine that has never seen these kernels.
const drivers = { MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache, __GL_SHADER_DISK_CACHE: "1" };

/** One measurement in a process of its own; undefined where it fails or takes too long. */
function measure(what) {
  process.stderr.write(`${JSON.stringify(what)}\n`);
  const done = spawnSync(process.execPath, [join(folder, "measure.mjs"), JSON.stringify({ steps: Number(values.steps), ...what })], {
    encoding: "utf8",
    env: { ...process.env, ...drivers },
    timeout: Number(values.limit) * 1000,
  });
  const line = (done.stdout ?? "").split("\n").find((text) => text.startsWith("{"));
  if (!line) process.stderr.write(`  ${done.error?.message ?? done.stderr.trim().split("\n").slice(-3).join(" | ")}\n`);
  return line && JSON.parse(line);
}

const milliseconds = (value) => (value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 0));
const rows = [];
let device;
for (const model of models) {
  for (const batch of values.batches.split(",").map(Number)) {
    const ways = [{ runtime: "webgpu", precision: "f16" }, { runtime: "webgpu", precision: "f32" }, { runtime: "cpu" }];
    if (existsSync(join(folder, "onnx", model))) ways.push({ runtime: "onnxruntime" });
    const found = ways.map((way, at) => {
      if (batch === 1 && at === 0) rmSync(cache, { recursive: true, force: true });
      const cold = measure({ ...way, model, batch });
      device ??= cold?.device;
      if (batch !== 1 || way.runtime !== "webgpu") return { way, cold };
      return { way, cold, warm: measure({ ...way, model, batch }) };
    });
    rows.push({ model, batch, found });
  }
}
rmSync(cache, { recursive: true, force: true });

const of = (found, runtime, precision) => found.find(({ way }) => way.runtime === runtime && way.precision === precision) ?? {};
console.log(`# Sampling on a GPU outside of a browser

\`cargo xtask bench gpu\` on ${device ?? "no GPU"}; ${cpus().length} cores of ${cpus()[0].model}. Milliseconds per guided step of ${values.steps}, and until the
first picture of one step in a process of its own, with the driver's cache empty and then filled. freeguide computes in 16 and
in 32 bits; onnxruntime's WebGPU provider runs the same network in 32. – was not measured, or took longer than ${values.limit} s.

| model | images | f16 | f32 | CPU build, one thread | onnxruntime | first picture, f16, empty cache | filled |
|---|---:|---:|---:|---:|---:|---:|---:|`);
for (const { model, batch, found } of rows) {
  const half = of(found, "webgpu", "f16");
  const steps = [half, of(found, "webgpu", "f32"), of(found, "cpu"), of(found, "onnxruntime")].map(({ cold, warm }) => milliseconds((warm ?? cold)?.step));
  const first = batch === 1 ? [half.cold, half.warm].map((one) => milliseconds(one?.firstPicture)) : ["", ""];
  console.log(`| ${[model, batch, ...steps, ...first].join(" | ")} |`);
}
