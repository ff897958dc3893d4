// WebGPU on a software adapter: correct and slow, so a tiny model and few steps.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, site, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let patched;
let server;

before(async () => {
  tiny = await tinyModel(freeguide);
  patched = await tinyModel(freeguide, ...["data.size=16", "network.patch=2", "network.input_skip=true"].flatMap((set) => ["--set", set]));
  browser = await launch({ webgpu: true });
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder, "/half/": tiny.half, "/patched/": patched.folder, "/site/": site }, { "/": blank });
});
after(async () => {
  await browser?.close();
  await server?.close();
  await tiny?.remove();
  await patched?.remove();
});

test("there is an adapter to test with", async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  const found = await page.evaluate(async () => (await navigator.gpu?.requestAdapter())?.info?.architecture ?? "an adapter");
  assert.ok(found);
  assert.notEqual(await page.evaluate(async () => await navigator.gpu?.requestAdapter()), null);
  await page.close();
});

test("auto leaves a software adapter alone and says why, without fetching its runtime", async () => {
  const page = await browser.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(server.url);
  const device = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "auto" });
    await model.generate({ classes: [0], steps: 1 });
    return model.device;
  });
  assert.equal(device.kind, "cpu");
  assert.match(device.refused[0].reason, /software/);
  assert.deepEqual(asked.filter((url) => url.includes("webgpu_bg.wasm")), []);
  await page.close();
});

test("on WebGPU the pictures are the native ones, at every step", async () => {
  const requests = [
    { classes: [0, 1], guidance: 2, steps: 4, seed: 7 },
    { classes: [1], guidance: 0, steps: 3, seed: 8 },
    { classes: [0], guidance: 1, steps: 3, seed: 9, sampler: "ancestral" },
  ];
  const page = await browser.newPage();
  await page.goto(server.url);
  const { kind, name, drawn, previews } = await page.evaluate(async (all) => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "webgpu" });
    const drawn = [];
    const previews = [];
    for (const request of all) {
      let last;
      for await (const { images } of model.sample(request)) {
        previews.push(images.length);
        last = images;
      }
      drawn.push(last.map(({ data }) => [...data]));
    }
    model.dispose();
    return { ...model.device, drawn, previews };
  }, requests);
  assert.equal(kind, "webgpu");
  assert.ok(name);
  assert.equal(previews.length, 10);
  assert.ok(previews.every((count) => count > 0));
  for (const [at, { classes, ...request }] of requests.entries()) {
    const native = await drawNatively({ model: tiny.folder, classes, count: classes.length, ...request });
    native.forEach(({ pixels }, image) => {
      const most = difference(drawn[at][image], pixels);
      assert.ok(most <= TOLERANCE, `${JSON.stringify(request)}: picture ${image} differs by ${most}`);
    });
  }
  await page.close();
});

test("a network that sees patches of pixels and has an input skip draws the native pictures on both devices", async () => {
  const request = { guidance: 2, steps: 3, seed: 5 };
  const page = await browser.newPage();
  await page.goto(server.url);
  const drawn = await page.evaluate(async (request) => {
    const { loadModel } = await import("/js/dist/index.js");
    const drawn = {};
    for (const device of ["cpu", "webgpu"]) {
      const model = await loadModel("/patched/", { device });
      const images = await model.generate({ classes: [0, 1], ...request });
      drawn[model.device.kind] = images.map(({ data }) => [...data]);
      model.dispose();
    }
    return drawn;
  }, request);
  assert.deepEqual(Object.keys(drawn), ["cpu", "webgpu"]);
  const native = await drawNatively({ model: patched.folder, classes: [0, 1], count: 2, ...request });
  for (const [device, images] of Object.entries(drawn)) {
    native.forEach(({ pixels }, image) => {
      assert.equal(pixels.length, images[image].length);
      const most = difference(images[image], pixels);
      assert.ok(most <= TOLERANCE, `${device}: picture ${image} differs by ${most}`);
    });
  }
  await page.close();
});

test("a page's own device is used, with no more than its feature for timing, and stays the page's", async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  const { data, ...found } = await page.evaluate(async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const gpuDevice = await adapter.requestDevice({ requiredFeatures: ["timestamp-query"] });
    let buffers = 0;
    const { createBuffer } = gpuDevice;
    gpuDevice.createBuffer = (descriptor) => {
      buffers += 1;
      return createBuffer.call(gpuDevice, descriptor);
    };
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { gpuDevice });
    const [{ data }] = await model.generate({ classes: [0], guidance: 2, steps: 4, seed: 7 });
    const { kind, thread, precision } = model.device;
    model.dispose();
    // Still the page's: a buffer of its own is written and read.
    const buffer = createBuffer.call(gpuDevice, { size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    gpuDevice.queue.writeBuffer(buffer, 0, Uint32Array.of(7));
    await buffer.mapAsync(GPUMapMode.READ);
    const [read] = new Uint32Array(buffer.getMappedRange());
    const plain = await (await navigator.gpu.requestAdapter()).requestDevice();
    const refused = await loadModel("/tiny/", { gpuDevice: plain }).catch(({ code, message }) => ({ code, message }));
    return { kind, thread, precision, read, refused, buffers, data: [...data] };
  });
  const { buffers, refused, ...rest } = found;
  assert.deepEqual(rest, { kind: "webgpu", thread: "caller", precision: "f32", read: 7 });
  assert.ok(buffers > 20, `${buffers} buffers were made on the page's device`);
  assert.equal(refused.code, "input");
  assert.match(refused.message, /timestamp-query/);
  const [{ pixels }] = await drawNatively({ model: tiny.folder, classes: [0], count: 1, guidance: 2, steps: 4, seed: 7 });
  const most = difference(data, pixels);
  assert.ok(most <= TOLERANCE, `the picture differs by ${most}`);
  await page.close();
});

test("weights in 16 bits are computed with in 16 bits where the adapter can, and else in 32", async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  const { able, auto, full, cpu } = await page.evaluate(async () => {
    const able = (await navigator.gpu.requestAdapter()).features.has("shader-f16");
    const { loadModel } = await import("/js/dist/index.js");
    const precision = async (options) => {
      const model = await loadModel("/half/", options);
      model.dispose();
      return model.device.precision;
    };
    const auto = await precision({ device: "webgpu" });
    return { able, auto, full: await precision({ device: "webgpu", precision: "f32" }), cpu: await precision({ device: "cpu" }) };
  });
  assert.deepEqual({ auto, full, cpu }, { auto: able ? "f16" : "f32", full: "f32", cpu: "f32" });
  await page.close();
});

test("the page draws on WebGPU when it is told to", async () => {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`${server.url}/site/?device=webgpu&model=${encodeURIComponent(`${server.url}/tiny/`)}&steps=2&n=1`);
  await page.waitForFunction(() => /^Drew/.test(document.getElementById("status").textContent), undefined, { timeout: 180_000 });
  assert.equal(await page.getAttribute("#meter-device", "data-kind"), "webgpu");
  assert.deepEqual(errors, []);
  await page.close();
});
