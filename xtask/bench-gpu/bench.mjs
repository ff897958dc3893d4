// Runs every measurement on this machine and prints a page of Markdown. Needs nothing but this folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const folder = fileURLToPath(new URL(".", import.meta.url));
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "16" },
    batches: { type: "string", default: "1,16" },
    models: { type: "string", default: readdirSync(join(folder, "models")).join(",") },
    // NAME=FOLDER: another build of the package, measured in the same run.
    also: { type: "string", multiple: true, default: [] },
    limit: { type: "string", default: "120" },
  },
});
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

/** What a model is measured in: a name, and what measure.mjs is told. */
function ways(model) {
  const builds = [{ name: "freeguide" }, ...values.also.map((given) => ({ name: given.split("=")[0], package: given.split("=")[1] }))];
  const onGpu = ({ name, package: from }) =>
    ["f16", "f32"].map((precision) => ({ name: `${name}, ${precision}`, told: { runtime: "webgpu", precision, package: from } }));
  const peer = existsSync(join(folder, "onnx", model)) ? [{ name: "onnxruntime's WebGPU, f32", told: { runtime: "onnxruntime" } }] : [];
  return [...builds.flatMap(onGpu), ...peer, { name: "freeguide's CPU build, one thread", told: { runtime: "cpu" } }];
}

const milliseconds = (value) => (value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 0));
const lines = [];
let device;
for (const model of values.models.split(",")) {
  for (const batch of values.batches.split(",").map(Number)) {
    for (const { name, told } of ways(model)) {
      const twice = batch === 1 && told.runtime !== "cpu";
      if (twice) rmSync(cache, { recursive: true, force: true });
      const first = measure({ ...told, model, batch });
      const again = twice ? measure({ ...told, model, batch }) : undefined;
      if (told.runtime === "webgpu") device ??= first?.device;
      const pictures = batch === 1 ? [first, again].map((one) => (one ? milliseconds(one.firstPicture) : "")) : ["", ""];
      lines.push(`| ${[model, batch, name, milliseconds((again ?? first)?.step), ...pictures].join(" | ")} |`);
    }
  }
}
rmSync(cache, { recursive: true, force: true });

console.log(`# Sampling on a GPU outside of a browser

\`cargo xtask bench gpu\` on ${device ?? "no GPU"}; ${cpus().length} cores of ${cpus()[0].model}. Milliseconds per guided step of ${values.steps}, and until the
first picture of one step in a process of its own, loading included, with the driver's cache empty and then filled. onnxruntime runs
the same network through a sampler in JavaScript. – was not measured, or took longer than ${values.limit} s.

| model | images | in | ms per step | ms to the first picture, empty cache | filled |
|---|---:|---|---:|---:|---:|
${lines.join("\n")}`);
