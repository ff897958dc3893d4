// Runs every measurement on this machine and prints a page of Markdown. Needs nothing but this folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { trainings } from "./training.mjs";
import { writeWeights } from "./weights.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "16" },
    batches: { type: "string", default: "1,16" },
    // Of which the best counts; all ways take their turns in each.
    rounds: { type: "string", default: "2" },
    models: { type: "string", default: readdirSync(join(folder, "models")).join(",") },
    // NAME=FOLDER: another build of the package, measured in the same run.
    also: { type: "string", multiple: true, default: [] },
    // Only these, of f16 and f32.
    precisions: { type: "string", default: "f16,f32" },
    // A rehearsal: fewer steps, one image, one round, a small network to train.
    quick: { type: "boolean", default: false },
    "no-training": { type: "boolean", default: false },
    limit: { type: "string", default: "300" },
  },
});
const steps = values.quick ? 2 : Number(values.steps);
const batches = values.quick ? [1] : values.batches.split(",").map(Number);
const rounds = values.quick ? 1 : Number(values.rounds);
const cache = mkdtempSync(join(tmpdir(), "freeguide-gpu-"));
// Where drivers keep what they have compiled: an empty folder is a machine that has never seen these kernels.
const drivers = { MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache, __GL_SHADER_DISK_CACHE: "1" };

/** One measurement in a process of its own; undefined where it fails or takes too long. */
function measure(what) {
  process.stderr.write(`${JSON.stringify(what)}\n`);
  const done = spawnSync(process.execPath, [join(folder, "measure.mjs"), JSON.stringify({ steps, ...what })], {
    encoding: "utf8",
    env: { ...process.env, ...drivers },
    timeout: Number(values.limit) * 1000,
  });
  const line = (done.stdout ?? "").split("\n").find((text) => text.startsWith("{"));
  if (!line) process.stderr.write(`  ${done.error?.message ?? done.stderr.trim().split("\n").slice(-3).join(" | ")}\n`);
  return line && JSON.parse(line);
}

/** What a model is measured in: a name, and what measure.mjs is told. */
function ways(model) {
  const builds = [{ name: "freeguide" }, ...values.also.map((given) => ({ name: given.split("=")[0], package: given.split("=")[1] }))];
  const onGpu = ({ name, package: from }) =>
    values.precisions.split(",").map((precision) => ({ name: `${name}, ${precision}`, told: { runtime: "webgpu", precision, package: from } }));
  const peer = existsSync(join(folder, "onnx", model)) ? [{ name: "onnxruntime's WebGPU, f32", told: { runtime: "onnxruntime" } }] : [];
  return [...builds.flatMap(onGpu), ...peer, { name: "freeguide's CPU build, one thread", told: { runtime: "cpu" } }];
}

/** The smaller of two numbers, of which either may be missing. */
const least = (a, b) => (a === undefined ? b : b === undefined ? a : Math.min(a, b));

/** A way measured once more: the best of each number. With `cold`, first with an empty cache of the driver, then a filled one. */
function again(best, told, cold) {
  if (cold) rmSync(cache, { recursive: true, force: true });
  const first = measure(told);
  const second = cold ? measure(told) : undefined;
  const run = second ?? first;
  return {
    device: best.device ?? first?.device,
    step: least(best.step, run?.step),
    processor: least(best.processor, run?.processor),
    empty: cold ? least(best.empty, first?.firstPicture) : undefined,
    filled: cold ? least(best.filled, second?.firstPicture) : undefined,
  };
}

const milliseconds = (value) => (value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 0));
const models = values.models.split(",");
for (const model of models) writeWeights(join(folder, "models", model));
const lines = [];
let device;
for (const model of models) {
  for (const batch of batches) {
    const measured = ways(model).map((way) => ({ ...way, best: {} }));
    for (let round = 0; round < rounds; round += 1) {
      for (const way of measured) way.best = again(way.best, { ...way.told, model, batch }, batch === 1 && way.told.runtime !== "cpu");
    }
    for (const { name, told, best } of measured) {
      if (told.runtime === "webgpu") device ??= best.device;
      const pictures = batch === 1 && told.runtime !== "cpu" ? [best.empty, best.filled].map(milliseconds) : ["", ""];
      lines.push(`| ${[model, batch, name, milliseconds(best.step), milliseconds(best.processor), ...pictures].join(" | ")} |`);
    }
  }
}
rmSync(cache, { recursive: true, force: true });
const trained = values["no-training"] ? [] : trainings(folder, { quick: values.quick, limit: 2 * Number(values.limit) });

console.log(`# On a GPU outside of a browser

\`cargo xtask bench gpu\` on ${device ?? "no GPU"}; ${cpus().length} cores of ${cpus()[0].model}.${values.quick ? " A rehearsal (`--quick`): of too few steps to compare anything." : ""}

## Sampling

Milliseconds of a guided step, of ${steps}, and of all threads of the processor for it; and until the first picture of one step in a
process of its own, loading included, with the driver's cache empty and then filled. The best of ${rounds} ${rounds === 1 ? "round" : "rounds, in which all ways take turns"}. onnxruntime
runs the same network through a sampler in JavaScript. – was not measured, or took longer than ${values.limit} s.

| model | images | in | ms per step | ms of the processor per step | ms to the first picture, empty cache | filled |
|---|---:|---|---:|---:|---:|---:|
${lines.join("\n")}`);
if (trained.length > 0) {
  console.log(`
## Training

Images a second of a whole step (data, noise, both passes, clipping, AdamW, average): a long training less a short one. PyTorch as
\`tests/pytorch/bench_train.py\` runs it, in its fastest form. – is not packed, not installed, or failed.

| network | batch | in | freeguide | PyTorch |
|---|---:|---|---:|---:|
${trained.join("\n")}`);
}
