// What a guided step of models/emoji16 is on WebGPU: `node dispatches.mjs` draws one image in Chromium, counts the compute
// kernels that one step starts, by kind, times a few steps more and prints the tables of docs/results/webgpu-kernels.md.
//
//   --package NAME=FOLDER   a built package, by default runtime-web/js; several are measured in turns, in one browser
//   --steps N               steps that are timed at a time, the first one left out (default 4)
//   --rounds N              how often every package has its turn; the best counts (default 3)
//   --batch N               images (default 1)
//
// Needs the built package, as the tests do.
import { cpus } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { packageFolder } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    package: { type: "string", multiple: true, default: [`this=${packageFolder}`] },
    steps: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    batch: { type: "string", default: "1" },
  },
});
const packages = values.package.map((entry) => {
  const [name, folder] = entry.split("=");
  return { name, folder: resolve(folder), best: Infinity, work: Infinity, page: Infinity };
});

/** Kinds of kernels, by how burn's and this package's names of shaders begin. */
const kinds = [
  ["convolution, of an image that is normalised", /^normalized_convolution/],
  ["convolution, and the layers of attention", /^(plain_convolution|(direct_)?conv)/],
  ["attention", /^attention/],
  ["layers of the embedding", /^(vector_layer|linear)/],
  ["latents to the network's input, and its output to the answer", /^(un)?fold/],
  ["guidance and the solver's step", /^guided_step/],
  ["group norm by itself", /^group_norm/],
  ["product of matrices", /^matmul/],
  ["reduction", /^reduce/],
  ["element by element, fused", /^elemwise_fuse/],
  ["element by element, one operation", /^(kernel_(scalar_)?binop|unary|cast|mask|clamp)/],
  ["copy into another layout", /^copy|into_contiguous/],
  ["part of a tensor, or several joined", /^slice/],
  ["halving and doubling images", /^(pool|interpolate|halve|double)/],
  ["other", /./],
];

/** In the page, before anything else: counts what is handed to the device, by the name of the kernel. */
function count() {
  const fresh = () => ({ kernels: {}, passes: 0, submissions: 0 });
  let counted = fresh();
  const names = new WeakMap();
  const bound = new WeakMap();
  const after = (prototype, method, then) => {
    const original = prototype[method];
    prototype[method] = function (...args) {
      const result = original.apply(this, args);
      then(this, args, result);
      return result;
    };
  };
  after(GPUDevice.prototype, "createComputePipeline", (_, [{ compute, label }], pipeline) => names.set(pipeline, compute.entryPoint ?? label ?? "?"));
  after(GPUComputePassEncoder.prototype, "setPipeline", (pass, [pipeline]) => bound.set(pass, names.get(pipeline)));
  for (const method of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"])
    after(GPUComputePassEncoder.prototype, method, (pass) => {
      const name = bound.get(pass);
      counted.kernels[name] = (counted.kernels[name] ?? 0) + 1;
    });
  after(GPUCommandEncoder.prototype, "beginComputePass", () => (counted.passes += 1));
  after(GPUQueue.prototype, "submit", () => (counted.submissions += 1));
  globalThis.takeCounts = () => {
    const taken = counted;
    counted = fresh();
    return taken;
  };
}

/** In the page: what the last of three guided steps hands to the device, and milliseconds a step of `steps` more. */
async function measure([steps, batch]) {
  const { loadModel } = await import("/js/dist/index.js");
  const model = await loadModel("/model/", { device: "webgpu", worker: false });
  const classes = Array.from({ length: batch }, (_, at) => at % model.config.classes.length);
  const request = { guidance: 2, sampler: "ddim", preview: "none", classes };
  let counts;
  for await (const { step } of model.sample({ ...request, steps: 4 })) {
    const taken = globalThis.takeCounts();
    if (step === 3) counts = taken;
  }
  let begun;
  for await (const { step } of model.sample({ ...request, steps: steps + 1 })) {
    if (step > 1) continue;
    begun = performance.now();
    await globalThis.timing("begins");
  }
  await globalThis.timing("ends");
  return { counts, time: (performance.now() - begun) / steps };
}

/** What the software adapter has computed for, on all processors, whoever else was using them. */
async function gpuSeconds() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.find(({ type }) => type === "GPU").cpuTime;
}

const model = fileURLToPath(new URL("../../models/emoji16", import.meta.url));
const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
const browser = await launch({ webgpu: true });
const session = await browser.newBrowserCDPSession();
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const one of packages) {
    const server = await serve({ "/js/": one.folder, "/model/": model }, { "/": blank });
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error.message));
    await page.addInitScript(count);
    const spent = {};
    const metrics = await page.context().newCDPSession(page);
    await metrics.send("Performance.enable", { timeDomain: "threadTicks" });
    /** What the page's thread, on which the model runs, has been busy for. */
    const pageSeconds = async () => {
      const found = await metrics.send("Performance.getMetrics");
      return found.metrics.find(({ name }) => name === "TaskDuration").value;
    };
    await page.exposeFunction("timing", async (what) => (spent[what] = [await gpuSeconds(), await pageSeconds()]));
    await page.goto(server.url);
    const { counts, time } = await page.evaluate(measure, [Number(values.steps), Number(values.batch)]);
    const [work, busy] = [0, 1].map((at) => ((spent.ends[at] - spent.begins[at]) * 1000) / Number(values.steps));
    process.stderr.write(`round ${round + 1}, ${one.name}: ${time.toFixed(0)} ms a step, ${work.toFixed(0)} ms of processors, ${busy.toFixed(1)} ms of the page's thread\n`);
    Object.assign(one, { counts, best: Math.min(one.best, time), work: Math.min(one.work, work), page: Math.min(one.page, busy) });
    await page.close();
    await server.close();
  }
}
const version = browser.version();
await browser.close();

const row = (name, cells) => `| ${name} | ${cells.join(" | ")} |`;
const sums = packages.map(({ counts }) => {
  const sum = new Map(kinds.map(([kind]) => [kind, 0]));
  for (const [name, times] of Object.entries(counts.kernels)) {
    const [kind] = kinds.find(([, pattern]) => pattern.test(name));
    sum.set(kind, sum.get(kind) + times);
  }
  return sum;
});
console.log(row("kernels started in a guided step", packages.map(({ name }) => name)));
console.log(`|---|${"---:|".repeat(packages.length)}`);
for (const [kind] of kinds) if (sums.some((sum) => sum.get(kind) > 0)) console.log(row(kind, sums.map((sum) => sum.get(kind))));
console.log(row("**all**", sums.map((sum) => `**${[...sum.values()].reduce((a, b) => a + b)}**`)));
console.log(row("submissions", packages.map(({ counts }) => counts.submissions)));
console.log(row("ms a step, software adapter", packages.map(({ best }) => best.toFixed(0))));
console.log(row("ms of processors a step, software adapter", packages.map(({ work }) => work.toFixed(0))));
console.log(row("ms of the page's thread a step", packages.map(({ page }) => page.toFixed(1))));
console.log(`\nChromium ${version}, headless, on ${cpus().length} cores of ${cpus()[0].model}; batch ${values.batch}.`);
