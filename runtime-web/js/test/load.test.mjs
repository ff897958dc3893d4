import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { BundleError, DeviceError, InputError, NetworkError, PoisonedError, SelfTestError } from "../dist/index.js";
import { bundleUrl } from "../dist/load.js";
import { FakeError } from "./fake-boundary.mjs";
import { bundle, config, eventually, fakeBuild, loadFake, serve, weights } from "./helpers.mjs";

test("a bundle loads, with progress over all its bytes", async (t) => {
  const { url } = await serve(t, bundle);
  const seen = [];
  const model = await loadFake(`${url}/m`, { device: "cpu", onProgress: (progress) => seen.push(progress) });
  assert.deepEqual(model.config, config);
  assert.equal(model.device.kind, "cpu");
  assert.equal(model.device.thread, "caller");
  assert.deepEqual(model.device.refused, []);
  assert.deepEqual([...new Set(seen.map(({ phase }) => phase))], ["runtime", "self-test", "weights", "ready"]);
  const ofWeights = seen.filter(({ phase }) => phase === "weights");
  assert.ok(ofWeights.every(({ total }) => total === weights.length));
  assert.equal(ofWeights.at(-1).loaded, weights.length);
  model.dispose();
});

test("another bundle guides the model", async (t) => {
  const guide = JSON.stringify({ ...config, name: "worse" });
  const { url } = await serve(t, { ...bundle, "/g/config.json": guide, "/g/model.safetensors": weights });
  const cpu = fakeBuild("cpu");
  const model = await loadFake(`${url}/m`, { device: "cpu", guide: `${url}/g/config.json` }, { cpu });
  const { settings } = await model.plan({ classes: ["cat"] });
  assert.equal(settings[0].guide, "worse");
  assert.equal(cpu.ledger.models, 1, "the guide's own handle is freed");
  model.dispose();
  await eventually(() => cpu.ledger.models === 0 && cpu.ledger.devices === 0, "freeing");
});

test("a guide that does not fit, or is not there, ends the load", async (t) => {
  const other = JSON.stringify({ ...config, name: "others", classes: ["cow"] });
  const { url } = await serve(t, { ...bundle, "/g/config.json": other, "/g/model.safetensors": weights });
  const cpu = fakeBuild("cpu");
  const refused = (guide) => loadFake(`${url}/m`, { device: "cpu", guide }, { cpu });
  await assert.rejects(refused(`${url}/g`), (error) => error instanceof InputError && /others cannot guide fake/.test(error.message));
  await assert.rejects(refused(`${url}/nowhere`), NetworkError);
  await assert.rejects(refused("http://["), (error) => error instanceof InputError && error.detail === "guide");
  await eventually(() => cpu.ledger.models === 0 && cpu.ledger.loaders === 0 && cpu.ledger.devices === 0, "freeing");
});

/** Cuts the connection after each of `cuts` bytes; `ranges` is what the server makes of a Range header. */
function dropping(cuts, asked, ranges) {
  let turn = 0;
  return (request, response) => {
    asked.push([request.headers.range, request.headers["if-range"]]);
    const from = ranges && request.headers.range ? Number(/bytes=(\d+)-/.exec(request.headers.range)[1]) : 0;
    const headers = { "Content-Length": weights.length - from, ETag: '"v1"' };
    if (from > 0) headers["Content-Range"] = `bytes ${from}-${weights.length - 1}/${weights.length}`;
    response.writeHead(from > 0 ? 206 : 200, headers);
    const cut = cuts[turn++];
    if (cut === undefined) response.end(weights.slice(from));
    else response.write(weights.slice(from, cut), () => setTimeout(() => response.destroy(), 20));
  };
}

test("a dropped connection is taken up where it was", async (t) => {
  for (const ranges of [true, false]) {
    const asked = [];
    const { url } = await serve(t, { ...bundle, "/m/model.safetensors": dropping([30_000, 70_000], asked, ranges) });
    const seen = [];
    const onProgress = ({ phase, loaded }) => phase === "weights" && seen.push(loaded);
    const model = await loadFake(`${url}/m`, { device: "cpu", onProgress });
    assert.deepEqual(asked, [
      [undefined, undefined],
      ["bytes=30000-", '"v1"'],
      ["bytes=70000-", '"v1"'],
    ]);
    assert.equal(seen.at(-1), weights.length);
    assert.ok(seen.every((loaded, at) => at === 0 || loaded >= seen[at - 1]), "no byte is counted twice");
    model.dispose();
  }
});

test("a connection that drops without a byte is given up, and an abort does not wait", async (t) => {
  const asked = [];
  const { url } = await serve(t, { ...bundle, "/m/model.safetensors": dropping(Array(9).fill(30_000), asked, false) });
  await assert.rejects(loadFake(`${url}/m`, { device: "cpu" }), NetworkError);
  assert.equal(asked.length, 4);
  const control = new AbortController();
  const load = loadFake(`${url}/m`, { device: "cpu", signal: control.signal });
  await eventually(() => asked.length === 6, "the second attempt");
  control.abort();
  await assert.rejects(load, { code: "aborted" });
});

test("a model that cannot fit is refused in words before its weights are fetched", async (t) => {
  const { url, asked } = await serve(t, bundle);
  const refusal = async (memory) => {
    const cpu = fakeBuild("cpu", { memory });
    let error;
    await assert.rejects(loadFake(`${url}/m`, { device: "cpu" }, { cpu }), (thrown) => Boolean((error = thrown)));
    await eventually(() => cpu.ledger.devices === 0 && cpu.ledger.loaders === 0, "freeing");
    return error;
  };
  const error = await refusal({ weights: 2 * 2 ** 30, largest: 2 ** 20, kept: 2 ** 30, row: 2 ** 30 });
  assert.ok(error instanceof DeviceError);
  assert.equal(error.detail, "memory");
  assert.match(error.message, /needs about 5\.0 GiB.*WebAssembly can have 3\.9 GiB/);
  assert.deepEqual(asked, ["/m/config.json"]);
});

test("progress counts bytes over several files", async (t) => {
  const split = {
    ...config,
    weights: ["a", "b"].map((file) => ({ file, bytes: weights.length, sha256: config.weights[0].sha256 })),
  };
  const { url, asked } = await serve(t, { "/m/config.json": JSON.stringify(split), "/m/a": weights, "/m/b": weights });
  const seen = [];
  await loadFake(`${url}/m/`, { device: "cpu", onProgress: (progress) => seen.push(progress) });
  const last = seen.filter(({ phase }) => phase === "weights").at(-1);
  assert.deepEqual([last.loaded, last.total, last.file], [2 * weights.length, 2 * weights.length, "b"]);
  assert.deepEqual(asked, ["/m/config.json", "/m/a", "/m/b"]);
});

test("a file: address works where files can be read", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "freeguide-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "model.safetensors"), weights);
  const model = await loadFake(pathToFileURL(folder), { device: "cpu" });
  assert.equal(model.config.name, "fake");
  await assert.rejects(loadFake(pathToFileURL(join(folder, "nowhere")), { device: "cpu" }), NetworkError);
});

test("addresses of bundles", () => {
  assert.equal(bundleUrl("models/x", "https://h/p/"), "https://h/p/models/x/");
  assert.equal(bundleUrl("https://h/x/config.json"), "https://h/x/");
  assert.equal(bundleUrl("../x/#a", "https://h/p/q/"), "https://h/p/x/");
  assert.throws(() => bundleUrl("http://[", "https://h/"), InputError);
});

test("what is broken is refused with its kind, and nothing is kept", async (t) => {
  const cases = [
    [{}, NetworkError, "404"],
    [{ "/m/config.json": "<!doctype html>" }, BundleError, "bad-json"],
    [{ "/m/config.json": JSON.stringify({ ...config, format_version: 9 }) }, BundleError, "newer-version"],
    [{ ...bundle, "/m/model.safetensors": undefined }, NetworkError, "404"],
    [{ ...bundle, "/m/model.safetensors": weights.slice(1) }, BundleError, "wrong-length"],
    [{ ...bundle, "/m/model.safetensors": weights.map((byte) => byte ^ 1) }, BundleError, "wrong-hash"],
    [
      {
        ...bundle,
        "/m/model.safetensors": (_, response) => {
          response.writeHead(200, { "Content-Length": weights.length });
          response.write(weights.slice(0, 1000), () => response.destroy());
        },
      },
      NetworkError,
      undefined,
    ],
  ];
  for (const [files, kind, detail] of cases) {
    const { url } = await serve(t, files);
    const cpu = fakeBuild("cpu");
    await assert.rejects(loadFake(`${url}/m`, { device: "cpu" }, { cpu }), (error) => {
      assert.ok(error instanceof kind, `${error.name} for ${kind.name}: ${error.message}`);
      assert.equal(error.detail, detail);
      return true;
    });
    await eventually(() => cpu.ledger.devices === 0 && cpu.ledger.loaders === 0 && cpu.ledger.models === 0, "freeing");
  }
});

test("a load is aborted before, during and in the middle of a download", async (t) => {
  const { url } = await serve(t, {
    ...bundle,
    "/slow/config.json": () => {},
    "/m2/config.json": JSON.stringify(config),
    "/m2/model.safetensors": (_, response) => {
      response.writeHead(200, { "Content-Length": weights.length });
      response.write(weights.slice(0, 1000));
    },
  });
  const isAbort = (error) => error.code === "aborted" && error.name === "AbortError" && error.cause === "reason";
  await assert.rejects(loadFake(`${url}/m`, { signal: AbortSignal.abort("reason") }), isAbort);

  const early = new AbortController();
  const load = loadFake(`${url}/slow`, { device: "cpu", signal: early.signal });
  setTimeout(() => early.abort("reason"), 20);
  await assert.rejects(load, isAbort);

  const late = new AbortController();
  const cpu = fakeBuild("cpu");
  const onProgress = ({ phase, loaded }) => phase === "weights" && loaded > 0 && late.abort("reason");
  await assert.rejects(loadFake(`${url}/m2`, { device: "cpu", signal: late.signal, onProgress }, { cpu }), isAbort);
  await eventually(() => cpu.ledger.devices === 0 && cpu.ledger.loaders === 0, "freeing");
});

test("auto says why a device was refused and goes on", async (t) => {
  const { url } = await serve(t, bundle);
  const withGpu = async (gpu, webgpuOptions, device = "auto") => {
    const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
    Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
    try {
      const webgpu = fakeBuild("webgpu", webgpuOptions);
      const model = await loadFake(`${url}/m`, { device }, { webgpu });
      await eventually(() => !model.device.preparing, "the end of the preparation");
      return { model, webgpu };
    } finally {
      if (before) Object.defineProperty(globalThis, "navigator", before);
      else delete globalThis.navigator;
    }
  };
  const real = { requestAdapter: async () => ({ info: { vendor: "nvidia", architecture: "hopper" } }) };

  const none = await withGpu(undefined);
  assert.equal(none.model.device.kind, "cpu");
  assert.match(none.model.device.refused[0].reason, /no WebGPU/);
  assert.equal(none.webgpu.starts, 0, "the runtime is not fetched without an adapter");

  assert.match((await withGpu({ requestAdapter: async () => null })).model.device.refused[0].reason, /no adapter/);
  for (const adapter of [
    { info: { isFallbackAdapter: true } },
    { isFallbackAdapter: true, info: {} },
    { info: { vendor: "google", architecture: "swiftshader" } },
    { info: { description: "llvmpipe (LLVM 15)" } },
  ]) {
    const { model, webgpu } = await withGpu({ requestAdapter: async () => adapter });
    assert.equal(model.device.kind, "cpu");
    assert.match(model.device.refused[0].reason, /software/);
    assert.equal(webgpu.starts, 0);
    assert.equal((await withGpu({ requestAdapter: async () => adapter }, {}, "webgpu")).model.device.kind, "webgpu");
  }

  const untimed = await withGpu({ requestAdapter: async () => ({ info: {}, features: new Set(["shader-f16"]) }) });
  assert.match(untimed.model.device.refused[0].reason, /timestamp-query/);
  assert.equal(untimed.webgpu.starts, 0);

  const ready = await withGpu(real);
  assert.deepEqual([ready.webgpu.starts, ready.webgpu.ledger.models, ready.model.device.refused], [1, 1, []]);
  assert.equal(ready.model.device.kind, "cpu", "until it is found to be faster");
  // With the model on the CPU as well, a step of both is compared, in the type that the model has there.
  assert.deepEqual([ready.webgpu.ledger.tested, ready.webgpu.ledger.probed], [[], ["f32"]]);
  const half = await withGpu(real, { half: true });
  assert.deepEqual([half.webgpu.ledger.tested, half.webgpu.ledger.probed], [[], ["f16"]]);
  for (const off of [0.5, NaN]) {
    const wrong = await withGpu(real, { off });
    assert.equal(wrong.model.device.kind, "cpu");
    const [{ kind, code, reason }] = wrong.model.device.refused;
    assert.deepEqual([kind, code], ["webgpu", "self-test"]);
    assert.match(reason, /computes wrongly: a step is off from the CPU's by (1\.00|NaN) where 0\.002 is allowed/);
    assert.deepEqual([wrong.webgpu.ledger.devices, wrong.webgpu.ledger.models], [0, 0]);
  }
  const rough = await withGpu(real, { half: true, halfOff: -0.6 });
  assert.deepEqual(rough.model.device.refused.map(({ precision, code }) => [precision, code]), [["f16", "self-test"]]);
  assert.deepEqual([rough.webgpu.ledger.probed, rough.webgpu.ledger.models], [["f16", "f32"], 1], "it computes in 32 bits");
  const panicked = await withGpu(real, { failProbe: new WebAssembly.RuntimeError("unreachable") });
  assert.equal(panicked.model.device.refused[0].code, "poisoned");
  assert.equal(panicked.webgpu.abandoned, 1);
  assert.equal((await panicked.model.generate({ classes: [0] })).length, 1, "the CPU is not touched");

  // Alone, it first computes something whose answer is known, in the type of the model.
  const alone = await withGpu(real, { half: true }, "webgpu");
  assert.deepEqual([alone.webgpu.ledger.tested, alone.webgpu.ledger.probed], [["f16"], ["f16"]]);
  const narrow = await withGpu(real, { half: true, failHalf: new FakeError("self-test", "off by 3") }, "webgpu");
  assert.deepEqual(narrow.model.device.refused, [{ kind: "webgpu", precision: "f16", code: "self-test", reason: "off by 3" }]);
  assert.deepEqual([narrow.webgpu.ledger.tested, narrow.model.device.precision], [["f16", "f32"], "f32"]);
  await assert.rejects(withGpu(real, { failSelfTest: new FakeError("self-test", "off by 3") }, "webgpu"), SelfTestError);
  await assert.rejects(withGpu(real, { off: NaN }, "webgpu"), /values are not finite/);
  await assert.rejects(withGpu(undefined, {}, "webgpu"), DeviceError);
  await assert.rejects(withGpu(real, { failOpen: new FakeError("device", "no") }, "webgpu"), DeviceError);
  await assert.rejects(withGpu(real, { failOpen: new WebAssembly.RuntimeError("x") }, "webgpu"), PoisonedError);
  await assert.rejects(loadFake(`${url}/m`, { device: "tpu" }), InputError);
});
