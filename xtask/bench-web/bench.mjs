// One Chromium, one run, the same weights: freeguide and ONNX Runtime Web, on the CPU and on WebGPU. Started by
// `cargo xtask bench web`, which passes everything as one JSON argument and writes what this prints.
import { execFileSync } from "node:child_process";
import { createReadStream, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { cpus } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const { chromiumPath, packageFolder, model, onnx, rounds, steps, batches, webgpu } = JSON.parse(process.argv[2]);
const here = fileURLToPath(new URL(".", import.meta.url));

const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Serves the folders; every address under /isolated/ is the same with cross-origin isolation. Counts what it sends. */
function serve(folders) {
  const sent = { bytes: 0 };
  const server = createServer((request, response) => {
    let path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const headers = { "Cache-Control": "max-age=3600" };
    if (path.startsWith("/isolated/")) {
      path = path.slice("/isolated".length);
      headers["Cross-Origin-Opener-Policy"] = "same-origin";
      headers["Cross-Origin-Embedder-Policy"] = "require-corp";
    }
    const prefix = Object.keys(folders).find((candidate) => path.startsWith(candidate));
    const file = prefix && join(folders[prefix], normalize(`/${path.slice(prefix.length)}`));
    try {
      const size = statSync(file).size;
      response.writeHead(200, { ...headers, "Content-Type": types[extname(file)] ?? "application/octet-stream", "Content-Length": size });
      sent.bytes += size;
      createReadStream(file).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}`, sent, server }));
  });
}

const ort = join(here, "node_modules/onnxruntime-web/dist");
const { url, sent, server } = await serve({
  "/js/": packageFolder,
  "/model/": model,
  "/onnx/": onnx,
  "/ort/": ort,
  "/": join(here, "page"),
});
const browser = await chromium.launch({
  executablePath: chromiumPath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-background-networking",
    ...(webgpu
      ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader", "--enable-features=Vulkan", "--disable-vulkan-surface"]
      : []),
  ],
});

const onnxFile = readdirSync(onnx).find((name) => name.endsWith(".onnx"));
const contenders = [
  { name: "freeguide, CPU, one worker", page: "/freeguide.html", options: { device: "cpu", threads: 1 } },
  { name: "freeguide, CPU, two workers", page: "/freeguide.html", options: { device: "cpu", threads: 2 } },
  { name: "ONNX Runtime Web, wasm, 1 thread", page: "/onnx.html", options: { provider: "wasm", threads: 1, onnxFile } },
  { name: "ONNX Runtime Web, wasm, 2 threads (isolated)", page: "/isolated/onnx.html", options: { provider: "wasm", threads: 2, onnxFile } },
  ...(webgpu
    ? [
        { name: "freeguide, WebGPU (software)", page: "/freeguide.html", options: { device: "webgpu" }, slow: true },
        { name: "ONNX Runtime Web, WebGPU (software)", page: "/onnx.html", options: { provider: "webgpu", threads: 1, onnxFile }, slow: true },
      ]
    : []),
];

async function measure({ page: address, options, slow }) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(error.message));
  const out = { steps: {} };
  try {
    for (const kind of ["cold", "cached"]) {
      const before = sent.bytes;
      const fragment = encodeURIComponent(JSON.stringify({ ...options, first: 4 }));
      await page.goto(`${url}${address}?${kind}#${fragment}`);
      await page.waitForFunction(() => globalThis.firstImage); // the page's module has run
      out[kind] = await page.evaluate(() => globalThis.firstImage);
      if (kind === "cold") out.bytes = sent.bytes - before;
      // The weights reach the cache beside the load.
      await page.waitForTimeout(500);
    }
    for (const batch of slow ? batches.slice(0, 1) : batches) {
      const count = slow ? Math.min(2, steps) : steps;
      out.steps[batch] = await page.evaluate(([batch, count]) => globalThis.guidedSteps(batch, count), [batch, count]);
    }
  } finally {
    await context.close();
  }
  return out;
}

const results = contenders.map(() => ({ steps: {} }));
const least = (a, b) => (a === undefined ? b : b === undefined ? a : Math.min(a, b));
for (let round = 0; round < rounds; round += 1) {
  for (const [at, contender] of contenders.entries()) {
    process.stderr.write(`round ${round + 1} of ${rounds}: ${contender.name}\n`);
    let found;
    try {
      found = await measure(contender);
    } catch (error) {
      results[at].error = String(error.message ?? error).split("\n")[0];
      continue;
    }
    const best = results[at];
    for (const batch of Object.keys(found.steps)) best.steps[batch] = least(best.steps[batch], found.steps[batch]);
    best.cold = least(best.cold, found.cold);
    best.cached = least(best.cached, found.cached);
    best.bytes = found.bytes;
  }
}
const version = browser.version();
await browser.close();
server.close();

const cell = (value, digits = 0) => (value === undefined ? "–" : value.toFixed(digits));
const { name, weights } = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
const rows = contenders.map(({ name }, at) => {
  const { steps, cold, cached, bytes, error } = results[at];
  if (error) return `| ${name} | failed: ${error} |${" |".repeat(batches.length + 2)}`;
  const times = batches.map((batch) => cell(steps[batch], 1));
  return `| ${name} | ${times.join(" | ")} | ${cell(cold)} | ${cell(cached)} | ${cell(bytes / 1e6, 1)} |`;
});
const git = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: here, encoding: "utf8" }).trim();
console.log(`# Sampling in the browser

The same weights (${name}, ${(weights.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6).toFixed(1)} MB) in freeguide and in ONNX Runtime Web, in one Chromium, in one run, in turns: \`cargo xtask
bench web\`. A guided step is one evaluation of the network for the conditional and the unconditional row of every image,
and the step of DDIM; the time is that of the best of ${rounds} rounds, each the mean of ${steps} steps (fewer on WebGPU). The first image
is after 4 steps, counted from navigation; cached means a second visit. Bytes are what the server sent for the first
visit, uncompressed.

| | ${batches.map((batch) => `ms a step, batch ${batch}`).join(" | ")} | first image, ms | cached, ms | MB |
|---|${"---|".repeat(batches.length + 3)}
${rows.join("\n")}

Commit ${git}, Chromium ${version}, headless, on ${cpus().length} cores of ${cpus()[0].model}, without a GPU: WebGPU is a renderer on the CPU
(SwiftShader), which says nothing of a GPU. TensorFlow.js is not among them: it reads no ONNX, and the network would
have to be written again in its layers.`);
