// Bundles whose files are at hand, such as a folder that was dropped on a page.
import assert from "node:assert/strict";
import { openAsBlob } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let tiny;
let weightsName;
const request = { classes: [0], guidance: 1, steps: 3, seed: 5 };

before(async () => {
  tiny = await tinyModel(freeguide);
  weightsName = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8")).weights[0].file;
});
after(() => tiny?.remove());

test("in a worker, under a policy that allows no blob: addresses", async (t) => {
  const policy = { "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'", "Content-Type": "text/html" };
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, {
    "/": (_, response) => response.writeHead(200, policy).end(`<!doctype html><script type="module" src="/main.js"></script>`),
    "/main.js": (_, response) =>
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(`globalThis.freeguide = await import("/js/dist/index.js");`),
  });
  const browser = await launch();
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => globalThis.freeguide);
  const found = await page.evaluate(
    async ([weights, request]) => {
      const take = async (name) => [name, await (await fetch(`/tiny/${name}`)).blob()];
      const files = new Map(await Promise.all(["config.json", weights].map(take)));
      const model = await freeguide.loadModel(files, { device: "cpu", cache: false });
      const [{ data }] = await model.generate(request);
      model.dispose();
      files.delete(weights);
      const missing = await freeguide.loadModel(files, { device: "cpu", cache: false }).catch(({ code, message }) => `${code}: ${message}`);
      return { thread: model.device.thread, data: [...data], missing };
    },
    [weightsName, request],
  );
  assert.equal(found.thread, "worker");
  assert.match(found.missing, new RegExp(`^network: .*${weightsName}`));
  const [native] = await drawNatively({ model: tiny.folder, ...request, count: 1 });
  assert.ok(difference(found.data, native.pixels) <= TOLERANCE);
});

test("in Node", async () => {
  const { loadModel } = await import(pathToFileURL(`${packageFolder}/dist/index.js`));
  const take = async (name) => [name, await openAsBlob(`${tiny.folder}/${name}`)];
  const model = await loadModel(new Map(await Promise.all(["config.json", weightsName].map(take))), { device: "cpu" });
  const [{ data }] = await model.generate(request);
  model.dispose();
  const [native] = await drawNatively({ model: tiny.folder, ...request, count: 1 });
  assert.ok(difference(data, native.pixels) <= TOLERANCE);
});
