// What engines do differently, as far as it shows without the runtime: other globals, other workers, no GPU of their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WasmBuild } from "../dist/build.js";
import { compile } from "../dist/compile.js";
import { DeviceError, InputError, loadModel, NetworkError } from "../dist/index.js";
import { openPackaged } from "../dist/packaged.js";
import { engine } from "../dist/platform.js";
import { bundle, config, eventually, fakeBuild, loadFake, serve } from "./helpers.mjs";

/** Gives a global a value until the test ends. */
function stub(t, name, value) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
}

test("Node is told by what it is, not by what libraries leave in it", async (t) => {
  assert.equal(engine(), "node");
  stub(t, "window", globalThis);
  stub(t, "self", globalThis);
  let started = 0;
  stub(t, "Worker", class {
    constructor() {
      started += 1;
    }
  });
  assert.equal(engine(), "node");
  for (const worker of [undefined, true, "./worker.js"]) {
    const link = await openPackaged(worker);
    assert.equal(link.thread, "caller");
    link.close();
  }
  assert.equal(started, 0);
});

test("a worker that fails in its first lines is done without", async (t) => {
  stub(t, "process", { ...process, release: {}, versions: {}, cwd: () => "/" });
  stub(t, "location", { href: "http://localhost/" });
  assert.equal(engine(), "browser");
  const ended = [];
  stub(t, "Worker", class {
    constructor(url) {
      this.url = String(url);
      queueMicrotask(() => this.onerror({ message: "no such thing", preventDefault() {} }));
    }
    terminate() {
      ended.push(this.url);
    }
  });
  const link = await openPackaged(true, "http://localhost/freeguide/");
  assert.equal(link.thread, "caller");
  assert.deepEqual(ended, ["http://localhost/freeguide/dist/worker.js"], "of the copy that was named");
});

test("words for the engine: Node has no WebGPU, and which object may be passed", async (t) => {
  const { url } = await serve(t, bundle);
  await assert.rejects(loadFake(`${url}/m`, { device: "webgpu" }), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.match(error.message, /^Node has no WebGPU of its own.*passed as gpu/);
    return true;
  });
  await assert.rejects(loadModel(`${url}/m`, { gpu: {} }), InputError);
  await assert.rejects(loadModel(`${url}/m`, { runtime: "http://[" }), { code: "input", detail: "runtime" });
});

test("a GPU object that is passed is used, and what the runtime looks for around it is gone once it has asked", async (t) => {
  const { url } = await serve(t, bundle);
  const globals = () => ["window", "Window", "navigator"].map((name) => Object.hasOwn(globalThis, name));
  const before = globals();
  const seen = [];
  const requestDevice = async () => {
    seen.push(["device", globals()]);
    return { lost: new Promise(() => {}), limits: {}, features: new Set() };
  };
  const adapter = { info: { vendor: "real" }, limits: {}, features: new Set(["timestamp-query"]), requestDevice };
  const gpu = { requestAdapter: async () => adapter };
  const { requestAdapter } = gpu;
  const webgpu = fakeBuild("webgpu", {
    gpu: true,
    onOpen: () => seen.push(["open", Object.hasOwn(globalThis, "Window"), globalThis instanceof globalThis.Window, {} instanceof globalThis.Window]),
  });
  const model = await loadFake(`${url}/m`, { device: "webgpu", gpu }, { webgpu });
  assert.equal(model.device.kind, "webgpu");
  assert.deepEqual(seen, [
    ["open", true, true, false],
    ["device", before],
  ]);
  assert.deepEqual(globals(), before);
  assert.equal(gpu.requestAdapter, requestAdapter);
  model.dispose();

  // The same where it fails before it has asked.
  const failing = fakeBuild("webgpu", { failOpen: new WebAssembly.RuntimeError("unreachable") });
  const auto = await loadFake(`${url}/m`, { gpu }, { webgpu: failing });
  await eventually(() => !auto.device.preparing, "the end of the preparation");
  assert.equal(auto.device.kind, "cpu");
  assert.equal(auto.device.refused.length, 1);
  assert.deepEqual(globals(), before);
  assert.equal(gpu.requestAdapter, requestAdapter);
});

test("a trap that no call rejects with is told by the instance, and ends no process", async (t) => {
  const { url } = await serve(t, bundle);
  const cpu = fakeBuild("cpu", { hangAtStep: 2, onHang: () => cpu.ledger.trap(new WebAssembly.RuntimeError("unreachable")) });
  const model = await loadFake(`${url}/m`, { device: "cpu" }, { cpu });
  await assert.rejects(model.generate({ classes: [0] }), { code: "poisoned" });
});

test("a page in place of the runtime is recognised, and so is a file that is not there", async (t) => {
  const { url } = await serve(t, { "/page.wasm": "\n<!doctype html><title>All paths lead here</title>", "/broken.wasm": "\0asm and nothing else" });
  const compiled = (name) => compile(new URL(`${url}/${name}`), 0, new AbortController().signal, () => {});
  for (const [name, detail] of [["page.wasm", "html"], ["nowhere.wasm", "404"]]) {
    await assert.rejects(compiled(name), (error) => {
      assert.ok(error instanceof NetworkError, error.name);
      assert.equal(error.detail, detail);
      assert.match(error.message, /bundler.*give its address to loadModel as runtime/);
      return true;
    });
  }
  await assert.rejects(compiled("broken.wasm"), (error) => error instanceof DeviceError && /^Node cannot compile broken\.wasm: /.test(error.message));
});

test("the cache needs no address of the page: workers from a blob, Deno and workerd have none", async (t) => {
  const stored = new Map();
  const deleted = [];
  const cache = (name) => ({
    match: async (address) => stored.get(`${name} ${address}`)?.clone(),
    put: async (address, response) => void stored.set(`${name} ${address}`, new Response(await response.arrayBuffer(), response)),
    delete: async (address) => stored.delete(`${name} ${address}`),
    keys: async () => [],
  });
  stub(t, "caches", { open: async (name) => cache(name), delete: async (name) => Boolean(deleted.push(name)) });
  assert.equal(globalThis.location, undefined);
  const { url, asked } = await serve(t, bundle);
  for (const round of [1, 2]) {
    const model = await loadFake(`${url}/m`, { device: "cpu" });
    const { sha256 } = config.weights[0];
    await eventually(() => stored.has(`freeguide-weights-v2 https://weights.freeguide.invalid/sha256/${sha256}`), `entry, round ${round}`);
    model.dispose();
  }
  assert.equal(asked.filter((path) => path.endsWith("safetensors")).length, 1);
  assert.deepEqual(deleted, ["freeguide-weights-v1"], "entries of older versions are dropped, once");
});

test("a worker of another version is refused in words, and not done without", async (t) => {
  stub(t, "process", { ...process, release: {}, versions: {}, cwd: () => "/" });
  stub(t, "location", { href: "http://localhost/" });
  let ended = 0;
  stub(t, "Worker", class {
    constructor() {
      queueMicrotask(() => this.onmessage({ data: { type: "hello", version: "9.9.9" } }));
    }
    terminate() {
      ended += 1;
    }
  });
  await assert.rejects(openPackaged("./of-mine.js"), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.match(error.message, /^the worker's file is of freeguide version 9\.9\.9, and this package is version /);
    return true;
  });
  assert.equal(ended, 1);
});

test("a build starts one instance for all that want it at once, and a fresh one after a crash", async () => {
  const made = [];
  const source = {
    glue(instance) {
      made.push(instance);
      return { async default() {} };
    },
    compile: async () => "module",
  };
  const build = new WasmBuild("cpu", source);
  const { signal } = new AbortController();
  const start = () => build.start(signal, () => {});
  const [one, other] = await Promise.all([start(), start()]);
  assert.equal(one, other);
  build.abandon();
  build.abandon();
  assert.notEqual(await start(), one);
  assert.deepEqual(made, [0, 1]);

  // A start that fails is in nobody's way.
  const failing = new WasmBuild("cpu", { ...source, compile: () => (made.length < 4 ? Promise.reject(new NetworkError("gone")) : "module") });
  const begin = () => failing.start(signal, () => {});
  await assert.rejects(begin(), NetworkError);
  await begin();
});

test("glue and WebAssembly that do not fit each other are refused in words", async () => {
  // (module (import "a" "b" (func)))
  const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0));
  const glue = { default: async ({ module_or_path }) => void (await WebAssembly.instantiate(module_or_path, { a: { c() {} } })) };
  const build = new WasmBuild("cpu", { glue: () => glue, compile: async () => module });
  await assert.rejects(
    build.start(new AbortController().signal, () => {}),
    (error) => error instanceof DeviceError && error.detail === "version" && /does not fit/.test(error.message),
  );
});
