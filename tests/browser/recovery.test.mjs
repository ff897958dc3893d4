// A GPU that goes away in the middle of a run, and a GPU that belongs to the page: on a software adapter, with a tiny
// model.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch({ webgpu: true });
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

/** An empty page; in its workers a message on the channel "gpu" destroys the device that the runtime has. */
async function open(t) {
  const glue = await readFile(`${packageFolder}/wasm/webgpu/freeguide_webgpu.js`, "utf8");
  const reach = `
    const { requestDevice } = GPUAdapter.prototype;
    let device;
    GPUAdapter.prototype.requestDevice = async function (descriptor) {
      device = await requestDevice.call(this, descriptor);
      return device;
    };
    new BroadcastChannel("gpu").onmessage = () => device?.destroy();`;
  const weights = [];
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  const { weights: files } = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
  const file = await readFile(`${tiny.folder}/${files[0].file}`);
  const server = await serve(
    { "/js/": packageFolder, "/tiny/": tiny.folder },
    {
      "/": blank,
      "/js/wasm/webgpu/freeguide_webgpu.js": (_, response) =>
        response.writeHead(200, { "Content-Type": "text/javascript" }).end(glue + reach),
      [`/tiny/${files[0].file}`]: (_, response) => {
        weights.push(1);
        response.end(file);
      },
    },
  );
  const profile = await browser.newContext();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  const page = await profile.newPage();
  await page.goto(server.url);
  return { page, weights };
}

// Few rows and steps: the software adapter is slow, and every new device compiles its shaders again.
const request = { classes: [1], guidance: 2, steps: 3, seed: 7, sampler: "ancestral" };

test("a GPU destroyed in mid-run: the run goes on and ends in the same image", async (t) => {
  const { page, weights } = await open(t);
  const found = await page.evaluate(async (request) => {
    const { loadModel, cache } = await import("/js/dist/index.js");
    const lost = [];
    const onDeviceLost = (reason) => lost.push(reason);
    const model = await loadModel("/tiny/", { device: "webgpu", onDeviceLost });
    const wanted = (await model.generate(request)).map(({ data }) => [...data]);
    for (let turn = 0; turn < 100 && (await cache.list()).length === 0; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const channel = new BroadcastChannel("gpu");
    const steps = [];
    let drawn;
    for await (const { step, images } of model.sample(request)) {
      steps.push(step);
      drawn = images.map(({ data }) => [...data]);
      if (step === 1) channel.postMessage("destroy");
    }
    const { kind, thread } = model.device;
    model.dispose();
    return { wanted, drawn, steps, lost, kind, thread };
  }, request);
  assert.deepEqual([found.kind, found.thread], ["webgpu", "worker"]);
  assert.deepEqual(found.steps, [1, 2, 3], "every step is shown once");
  assert.equal(found.lost.length, 1);
  found.wanted.forEach((pixels, at) => {
    assert.ok(difference(found.drawn[at], pixels) <= TOLERANCE, "the interrupted run");
  });
  assert.equal(weights.length, 1, "the weights came from the cache the second time");
});

test("the page's own device computes, and the page goes on using it", async (t) => {
  const { page } = await open(t);
  const found = await page.evaluate(async (request) => {
    const { loadModel } = await import("/js/dist/index.js");
    const adapter = await navigator.gpu.requestAdapter();
    const gpuDevice = await adapter.requestDevice();
    let pipelines = 0;
    const { createShaderModule } = gpuDevice;
    gpuDevice.createShaderModule = function (descriptor) {
      pipelines += 1;
      return createShaderModule.call(this, descriptor);
    };
    const model = await loadModel("/tiny/", { gpuDevice });
    const drawn = (await model.generate(request)).map(({ data }) => [...data]);
    const buffer = gpuDevice.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    gpuDevice.queue.writeBuffer(buffer, 0, new Uint8Array([1, 2, 3, 4]));
    await buffer.mapAsync(GPUMapMode.READ);
    const own = [...new Uint8Array(buffer.getMappedRange(0, 8))].slice(0, 4);
    const cpu = await loadModel("/tiny/", { device: "cpu" });
    const wanted = (await cpu.generate(request)).map(({ data }) => [...data]);
    return { drawn, wanted, own, pipelines, device: model.device, untouched: !Object.hasOwn(navigator.gpu, "requestAdapter") };
  }, request);
  assert.deepEqual([found.device.kind, found.device.thread], ["webgpu", "caller"]);
  assert.ok(found.pipelines > 0, "the runtime's shaders are on the page's device");
  assert.deepEqual(found.own, [1, 2, 3, 4]);
  assert.ok(found.untouched);
  found.wanted.forEach((pixels, at) => assert.ok(difference(found.drawn[at], pixels) <= TOLERANCE));
});
