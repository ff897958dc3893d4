import { createServer } from "node:http";
import { Engine } from "../dist/engine.js";
import { engineLink } from "../dist/link.js";
import { loadModelOver } from "../dist/load.js";
import { fakeBoundary } from "./fake-boundary.mjs";

/** The stand-in for SHA-256 that the fake boundary checks. */
export function fakeSum(bytes) {
  let sum = 0;
  for (const byte of bytes) sum = (sum * 31 + byte) >>> 0;
  return sum.toString(16).padStart(8, "0");
}

export const weights = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7) & 255);

export const config = {
  format_version: 1,
  written_by: "freeguide 0.1.0",
  name: "fake",
  image: { size: 4, channels: 3 },
  classes: ["cat", "dog", "fish"],
  network: { kind: "none" },
  diffusion: { target: "v", log_snr: { min: -20, max: 20 } },
  sampling: { sampler: "ddim", steps: 8, guidance: 2, clip: true, variance_interpolation: 0.3 },
  weights: [{ file: "model.safetensors", bytes: weights.length, sha256: fakeSum(weights) }],
  provenance: {},
};

/** A server of `files` (path → string, bytes, or a function of request and response). */
export async function serve(t, files) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    const file = files[request.url];
    if (typeof file === "function") file(request, response);
    else if (file === undefined) response.writeHead(404).end("no such file");
    else response.writeHead(200, { "Content-Length": Buffer.byteLength(file) }).end(file);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, asked };
}

export const bundle = { "/m/config.json": JSON.stringify(config), "/m/model.safetensors": weights };

/** A build around a fake boundary. */
export function fakeBuild(kind, options) {
  const { boundary, ledger } = fakeBoundary(options);
  const build = {
    kind,
    starts: 0,
    abandoned: 0,
    ledger,
    async start(signal, onBytes) {
      build.starts += 1;
      if (options?.failStart) throw options.failStart;
      onBytes(5, 10, `${kind}.wasm`);
      onBytes(10, 10, `${kind}.wasm`);
      return boundary;
    },
    abandon() {
      build.abandoned += 1;
      build.gpu = undefined;
    },
    module: undefined,
    gpu: undefined,
  };
  return build;
}

/** Loads a model over fake builds; `engines` collects the engines so that a test can crash one. */
export function loadFake(url, loadOptions = {}, { cpu = fakeBuild("cpu"), webgpu = fakeBuild("webgpu"), engines = [] } = {}) {
  const open = async () =>
    engineLink((post) => {
      const engine = new Engine({ cpu, webgpu }, post);
      engines.push(engine);
      return engine;
    });
  return loadModelOver(open, url, loadOptions);
}

/** Waits until `check` holds. */
export async function eventually(check, what = "the condition") {
  for (let turn = 0; turn < 500; turn += 1) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what} did not come true`);
}
