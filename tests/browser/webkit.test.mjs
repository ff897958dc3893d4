// The package, the element and the page in WebKit, the engine of Safari, where WebKitGTK and its driver are installed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, shipped, site, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";
import { launchWebKit, noWebKit } from "./webkit.mjs";

const options = { skip: noWebKit };
const request = { classes: [0, 1], guidance: 2, steps: 4, seed: 7 };

let browser;
let tiny;
let server;

before(async () => {
  if (noWebKit) return;
  tiny = await tinyModel(freeguide);
  const html = (body) => (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><html lang="en"><title>t</title>${body}`);
  server = await serve(
    { "/": site, "/js/": packageFolder, "/tiny/": tiny.folder },
    {
      "/blank": html(""),
      "/element": html('<script type="module" src="/js/dist/element.js"></script><freeguide-sampler model="/tiny/" count="4" steps="2" autodraw device="cpu"></freeguide-sampler>'),
    },
  );
  browser = await launchWebKit();
});
after(async () => {
  await browser?.close();
  await server?.close();
  await tiny?.remove();
});

for (const [entry, worker] of [["index", true], ["index", false], ["inline", true]]) {
  test(`${entry}.js draws the native pictures ${worker ? "in a worker" : "on the calling thread"}`, options, async () => {
    await browser.open(`${server.url}/blank`);
    const { thread, drawn } = await browser.evaluate(
      async (entry, request, worker) => {
        const { loadModel } = await import(`/js/dist/${entry}.js`);
        const model = await loadModel("/tiny/", { device: "cpu", worker });
        const drawn = (await model.generate(request)).map(({ data }) => [...data]);
        model.dispose();
        return { thread: model.device.thread, drawn };
      },
      entry,
      request,
      worker,
    );
    assert.equal(thread, worker ? "worker" : "caller");
    const native = await drawNatively({ model: tiny.folder, ...request, count: 2 });
    native.forEach(({ pixels }, at) => assert.ok(difference(drawn[at], pixels) <= TOLERANCE));
  });
}

test("auto says in words that there is no WebGPU, and draws", options, async () => {
  await browser.open(`${server.url}/blank`);
  const { kind, refused } = await browser.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/");
    await model.generate({ classes: [0], steps: 1 });
    return model.device;
  });
  assert.equal(kind, "cpu");
  assert.deepEqual(refused.map(({ kind, reason }) => [kind, reason]), [["webgpu", "this browser has no WebGPU"]]);
});

/** Waits until a function of the page's says that it is so. */
async function until(what, isSo) {
  for (let tries = 0; !(await browser.evaluate(isSo)); tries += 1) {
    assert.ok(tries < 900, what);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test("the element draws", options, async () => {
  await browser.open(`${server.url}/element`);
  await until("four pictures", async () => document.querySelector("freeguide-sampler")?.pictures?.length === 4);
});

test("the page draws, and again without its server", options, async () => {
  const own = await serve({ "/": site });
  const address = `${own.url}/?model=${shipped().name}&device=cpu&steps=2&n=1&class=flags&w=1&seed=5`;
  const drawn = () => until("a picture", async () => /^Drew/.test(document.getElementById("status")?.textContent ?? ""));
  await browser.open(address);
  await drawn();
  const pixels = await browser.evaluate(async () => {
    const canvas = document.querySelector("#sheet canvas");
    return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
  });
  const [native] = await drawNatively({ model: shipped().folder, classes: ["flags"], guidance: 1, steps: 2, seed: 5, count: 1 });
  assert.ok(difference(pixels, native.pixels) <= TOLERANCE);
  // Runtime and model are kept in the background.
  await until("the page's files are kept", async () => {
    const kept = (await caches.keys()).filter((name) => name.startsWith("freeguide-offline"));
    const urls = kept[0] ? (await (await caches.open(kept[0])).keys()).map(({ url }) => url) : [];
    return ["config.json", "index.json", "_bg"].every((part) => urls.some((url) => url.includes(part)));
  });
  await own.close();
  await browser.open(`${address}&again`);
  await drawn();
});
