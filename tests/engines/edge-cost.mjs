// What the example worker costs in workerd: bytes, memory, and processor time to load and to draw. Prints it; nothing fails.
//
//     cd tests/engines && npm ci && node edge-cost.mjs      (after `cargo xtask wasm`; on Linux)
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { installPacked, tarball, writeFiles } from "../browser/fresh.mjs";
import { startExample } from "./workerd.mjs";

const folder = await mkdtemp(join(tmpdir(), "freeguide-edge-"));
await writeFiles(folder, { "package.json": JSON.stringify({ name: "cost", private: true, type: "module" }) });
await installPacked(folder);
const worker = await startExample(folder);

/** Seconds of processor time so far: user and system, in ticks of a hundredth (proc(5)). */
async function processorTime() {
  const fields = (await readFile(`/proc/${worker.pid}/stat`, "utf8")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
async function cost(what, query) {
  const before = await processorTime();
  const response = await fetch(`${worker.url}/${query}`);
  await response.arrayBuffer();
  console.log(`${what}: ${((await processorTime()) - before).toFixed(2)} s of processor time`);
}

const wasm = await readFile(join(folder, "runtime.wasm"));
const script = await readFile(join(folder, "worker.js"));
const packed = gzipSync(Buffer.concat([script, wasm]), { level: 9 }).length;
console.log(`script ${script.length} bytes and runtime ${wasm.length} bytes, together ${packed} in gzip`);
console.log(`weights ${(await stat(join(folder, "public/models/emoji16/model.safetensors"))).size} bytes`);
// The model was loaded for the request that `startExample` waits for.
console.log(`loaded and answered once: ${(await processorTime()).toFixed(2)} s of processor time since the start`);
for (const steps of [32, 32, 32, 16]) await cost(`one picture, ${steps} steps`, `?class=food-drink&steps=${steps}`);
const status = await readFile(`/proc/${worker.pid}/status`, "utf8");
console.log(`memory of the whole process at its peak: ${/VmHWM:\s+(\d+)/.exec(status)[1]} kB`);
await worker.stop();
await (await tarball()).remove();
await rm(folder, { recursive: true });
