// What loading a bundle of some 100 MB takes: `node peak-heap.mjs` trains one for a single step, loads it in Chromium on the
// CPU build, cold and from the cache, and prints the peak of the JavaScript heap and what WebAssembly's memory grew to.
// Needs the native command (FREEGUIDE) and the built package, as the tests do.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch } from "./browser.mjs";
import { encodePng } from "./png.mjs";
import { serve } from "./server.mjs";
import { freeguide, packageFolder } from "./setup.mjs";

const place = await mkdtemp(join(tmpdir(), "freeguide-heap-"));
const command = (...args) => promisify(execFile)(freeguide, args);
const recipe = fileURLToPath(new URL("tiny.toml", import.meta.url));
for (const name of ["a", "b"]) {
  await mkdir(join(place, "data", name), { recursive: true });
  await writeFile(join(place, "data", name, "0.png"), encodePng(new Uint8Array(8 * 8 * 3).fill(name === "a" ? 9 : 200), 8, 8));
}
const large = {
  "network.base_channels": 136,
  "network.channel_multipliers": "[1, 2, 2]",
  "network.head_channels": 136,
  "train.steps": 1,
  "train.batch": 2,
  "train.warmup": 0,
  "train.checkpoint_every": 1,
  "train.sample_every": 1,
};
const set = Object.entries(large).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
const [run, model] = ["run", "model"].map((name) => join(place, name));
await command("train", "--recipe", recipe, "--data", join(place, "data"), "--out", run, "--device", "cpu", "--quiet", ...set);
await command("export", "--run", run, "--out", model);
const { weights } = JSON.parse(await readFile(join(model, "config.json"), "utf8"));
const bytes = weights.reduce((sum, file) => sum + file.bytes, 0);

const browser = await launch({ args: ["--enable-precise-memory-info"] });
const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
const server = await serve({ "/js/": packageFolder, "/model/": model }, { "/": blank });
const page = await (await browser.newContext()).newPage();
await page.goto(server.url);
const mb = (value) => `${(value / 1e6).toFixed(1)} MB`;
for (const what of ["cold", "again"]) {
  const { cached, heap, wasm } = await page.evaluate(async () => {
    const { loadModel, cache } = await import("/js/dist/index.js");
    const before = performance.memory.usedJSHeapSize;
    let heap = 0;
    let cached;
    const onProgress = (progress) => {
      heap = Math.max(heap, performance.memory.usedJSHeapSize - before);
      if (progress.phase === "weights") cached = progress.cached;
    };
    const model = await loadModel("/model/", { device: "cpu", worker: false, onProgress });
    const glue = await import("/js/wasm/cpu/freeguide_cpu.js");
    const wasm = (await glue.default()).memory.buffer.byteLength;
    for (let turn = 0; turn < 500 && (await cache.list()).length < model.config.weights.length; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    model.dispose();
    return { cached, heap, wasm };
  });
  await page.reload();
  console.log(`${what}${cached ? " (cached)" : ""}: bundle ${mb(bytes)}, WebAssembly ${mb(wasm)}, JavaScript heap ${mb(heap)} at its peak`);
}
await browser.close();
await server.close();
await rm(place, { recursive: true });
