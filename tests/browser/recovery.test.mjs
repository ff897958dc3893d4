// A GPU that goes away in the middle of a run: on a software adapter, with a tiny model.
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
