// One Chromium, one run, the same weights: freeguide, ONNX Runtime Web and TensorFlow.js, on the CPU and on WebGPU.
// Started by `cargo xtask bench web`, which passes everything as one JSON argument and writes what this prints.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { processMemory } from "./memory.mjs";
import { serve } from "./server.mjs";

const settings = JSON.parse(process.argv[2]);
const { chromiumPath, packageFolder, model, onnx, compressed, rounds, steps, batches, webgpu } = settings;
const here = fileURLToPath(new URL(".", import.meta.url));
/** How long anything may take: WebGPU in software on a busy machine is slow. */
const PATIENCE = 10 * 60_000;
/** The longest step of WebGPU in software that is waited for, in milliseconds. */
const SLOW_STEP = 30_000;
/** How far two runtimes' answers may lie apart: they add up in different orders. */
const TOLERANCE = 1e-3;
/** How often a turn is begun, where the browser itself goes down. */
const ATTEMPTS = 3;

const dependency = (name) => join(here, "node_modules", name, "dist");
const { url, sent, close } = await serve({
  compressed,
  folders: {
    "/js/": packageFolder,
    "/model/": model,
    "/onnx/": onnx,
    "/ort/": dependency("onnxruntime-web"),
    "/tf/core/": dependency("@tensorflow/tfjs-core"),
    "/tf/wasm/": dependency("@tensorflow/tfjs-backend-wasm"),
    "/tf/webgpu/": dependency("@tensorflow/tfjs-backend-webgpu"),
    "/": join(here, "page"),
  },
});

const gpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader", "--enable-features=Vulkan", "--disable-vulkan-surface"];
const launch = () =>
  chromium.launch({
    executablePath: chromiumPath,
    headless: true,
    args: ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", ...(webgpu ? gpu : [])],
  });

const onnxFiles = readdirSync(onnx).filter((name) => name.endsWith(".onnx"));
/** freeguide's export has a file with a whole guided step beside the network. */
const onnxFile = onnxFiles.find((name) => name === "denoiser.onnx") ?? onnxFiles[0];
const contenders = [
  { name: "freeguide, one worker", page: "/freeguide.html", options: { device: "cpu", threads: 1 } },
  { name: "freeguide, two workers", page: "/freeguide.html", options: { device: "cpu", threads: 2 } },
  { name: "freeguide, by default", page: "/freeguide.html", options: { device: "cpu", settle: true } },
  { name: "ONNX Runtime Web, one thread", page: "/onnx.html", options: { provider: "wasm", threads: 1 } },
  { name: "ONNX Runtime Web, two threads (isolated)", page: "/isolated/onnx.html", options: { provider: "wasm", threads: 2 } },
  { name: "TensorFlow.js, one thread", page: "/tensorflow.html", options: { backend: "wasm", threads: 1 } },
  { name: "TensorFlow.js, two threads (isolated)", page: "/isolated/tensorflow.html", options: { backend: "wasm", threads: 2 } },
  ...(webgpu
    ? [
        { name: "freeguide, WebGPU in software", page: "/freeguide.html", options: { device: "webgpu" }, slow: true },
        { name: "ONNX Runtime Web, WebGPU in software", page: "/onnx.html", options: { provider: "webgpu", threads: 1 }, slow: true },
        { name: "TensorFlow.js, WebGPU in software", page: "/tensorflow.html", options: { backend: "webgpu", threads: 1 }, slow: true },
      ]
    : []),
];

/** Opens a page in a browser of its own, and closes it whatever happens. */
async function withPage(use) {
  const browser = await launch();
  try {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE);
    return await use(page, browser);
  } finally {
    await browser.close().catch(() => {});
  }
}

/** Rejects once the page dies, of which Playwright tells those who evaluate nothing. */
function death(page) {
  return new Promise((_, reject) => {
    page.on("crash", () => reject(new Error("the page crashed")));
    page.on("close", () => reject(new Error("the page was closed")));
  });
}

const timeout = (milliseconds) =>
  new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer in ${milliseconds / 1000} s`)), milliseconds).unref());

async function firstImage(page, address) {
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForFunction(() => globalThis.firstImage); // the page's module has run
  return page.evaluate(() => globalThis.firstImage);
}

function measure({ page: path, options, slow }) {
  return withPage(async (page, browser) => {
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    const work = async () => {
      const out = { steps: {} };
      const fragment = encodeURIComponent(JSON.stringify({ ...options, onnxFile, first: 4 }));
      for (const kind of ["cold", "cached"]) {
        const before = sent.bytes;
        out[kind] = await firstImage(page, `${url}${path}?${kind}#${fragment}`);
        if (kind === "cold") out.bytes = sent.bytes - before;
        await page.waitForTimeout(500); // the weights reach the cache beside the load
      }
      out.probe = await page.evaluate(() => globalThis.probe?.());
      for (const batch of batches) {
        // A renderer on the CPU: what one image takes says when a batch would take all day.
        if (slow && batch > 1 && out.steps[1] * batch > SLOW_STEP) continue;
        const count = slow ? Math.max(1, Math.min(steps, Math.ceil(4 / batch))) : steps;
        out.steps[batch] = await page.evaluate(([batch, count]) => globalThis.guidedSteps(batch, count), [batch, count]);
      }
      out.memory = await processMemory(browser);
      return out;
    };
    try {
      return await Promise.race([work(), death(page), timeout(PATIENCE)]);
    } catch (error) {
      throw new Error([String(error.message ?? error).split("\n")[0], ...complaints].join("; "));
    }
  });
}

async function turn(contender) {
  let last;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      const before = sent.compressed;
      const found = await measure(contender);
      // A visit that waited for the server to compress a file is none.
      if (sent.compressed > before) Object.assign(found, await measure(contender));
      return found;
    } catch (error) {
      last = error;
      process.stderr.write(`  ${error.message}${attempt < ATTEMPTS ? "; again" : ""}\n`);
    }
  }
  throw last;
}

const results = contenders.map(() => ({ steps: {} }));
/** What the first runtime that only answers for the network has answered. */
let probe;
const difference = (a, b) => (a ? Math.max(...a.map((value, at) => Math.abs(value - b[at]))) : 0);
const least = (a, b) => (a === undefined ? b : b === undefined ? a : Math.min(a, b));
const empty = await withPage(async (page, browser) => {
  await page.goto(`${url}/empty.html`);
  return processMemory(browser);
});
for (let round = 0; round < rounds; round += 1) {
  for (const [at, contender] of contenders.entries()) {
    const best = results[at];
    // WebGPU in software has one turn: it says nothing of a GPU, and takes as long as all others.
    if (best.error || (contender.slow && round > 0)) continue;
    process.stderr.write(`round ${round + 1} of ${rounds}: ${contender.name}\n`);
    let found;
    try {
      found = await turn(contender);
    } catch (error) {
      // What an earlier round has found counts.
      if (round === 0) best.error = error.message;
      continue;
    }
    const wrong = difference(found.probe, (probe ??= found.probe));
    if (!(wrong <= TOLERANCE)) best.error = `its answer differs by ${wrong}`;
    for (const batch of Object.keys(found.steps)) best.steps[batch] = least(best.steps[batch], found.steps[batch]);
    for (const key of ["cold", "cached", "memory"]) best[key] = least(best[key], found[key]);
    best.bytes = found.bytes;
  }
}
const version = await withPage((_, browser) => browser.version());
close();

const cell = (value, digits = 0) => (value === undefined ? "–" : value.toFixed(digits));
const { name, weights } = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
const megabytes = (weights.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6).toFixed(1);
const columns = [...batches.map((batch) => `ms a step, batch ${batch}`), "first image, ms", "cached, ms", "MB sent", "MB of memory"];
const rows = contenders.map(({ name }, at) => {
  const { steps, cold, cached, bytes, memory, error } = results[at];
  if (error) return `| ${name} | failed: ${error.replaceAll("|", "/")} |${" |".repeat(columns.length - 1)}`;
  const taken = memory === undefined ? undefined : (memory - empty) / 1e6;
  const cells = [...batches.map((batch) => cell(steps[batch], 1)), cell(cold), cell(cached), cell(bytes / 1e6, 1), cell(taken)];
  return `| ${name} | ${cells.join(" | ")} |`;
});
const ratio = (a, b, batch) => {
  const [one, other] = [a, b].map((at) => results[at].steps[batch]);
  return one && other ? (one / other).toFixed(2) : "–";
};
const ratios = batches.map((batch) => `${ratio(0, 3, batch)} and ${ratio(1, 4, batch)} at batch ${batch}`).join(", ");
const git = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: here, encoding: "utf8" }).trim();
const versionOf = (dependency) => JSON.parse(readFileSync(join(here, "package.json"), "utf8")).devDependencies[dependency];
console.log(`# Sampling in the browser

\`cargo xtask bench web\` samples with the same weights (${name}, ${megabytes} MB) in freeguide, in ONNX Runtime Web ${versionOf("onnxruntime-web")} and in
TensorFlow.js ${versionOf("@tensorflow/tfjs-core")}: in the same Chromium, in one run, in turns, each turn in a browser process of its own.

- A guided step is one evaluation of the network, for the conditional and the unconditional row of every image, and a step of DDIM.
  The time is the best of ${rounds} rounds, each the mean of ${steps} steps (one round of fewer steps on WebGPU; a dash where a batch would take
  too long).
- The first image is complete after 4 steps; its time is counted from navigation. “Cached” is a second visit.
- “MB sent” is what the server sent for the first visit: text and WebAssembly in brotli at level 11, as static hosts keep them, and
  uncompressed weights (16-bit floats for freeguide, 32-bit for ONNX).
- Memory is the peak of the page's process, minus that of an empty page (${cell(empty / 1e6)} MB). It does not include the GPU process.
- By default, freeguide finds out which number of workers is faster, in a run before the timed one.

| | ${columns.join(" | ")} |
|---|${"---|".repeat(columns.length)}
${rows.join("\n")}

freeguide's time relative to ONNX Runtime Web's, on one thread and on two: ${ratios}. Its workers need no
cross-origin isolation; the threads of the others do. [Other kernels that were tried](cpu-kernels.md).

Measured at commit ${git} with Chromium ${version}, headless, on ${cpus().length} cores of ${cpus()[0].model}, without a GPU. WebGPU ran in software
(SwiftShader), so its times say nothing about a GPU. TensorFlow.js does not read ONNX. Its page runs the nodes of freeguide's ONNX
export one by one with TensorFlow.js' own operations, in its image layout (channels last), and its output is checked against that of
ONNX Runtime.`);
