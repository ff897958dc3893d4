// The package and the page in Firefox, where there is one: the variable FIREFOX, else one on PATH. It is driven through
// WebDriver BiDi, which needs no build of Firefox of its own.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, shipped, site, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

const found = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => ["firefox", "firefox-esr"].map((name) => join(folder, name)))
  .find((file) => existsSync(file));
const executablePath = process.env.FIREFOX ?? found;
const options = { skip: executablePath ? false : "no Firefox on this machine" };

let browser;
let tiny;
let server;

before(async () => {
  if (!executablePath) return;
  tiny = await tinyModel(freeguide);
  const html = (body) => (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><html lang="en"><title>t</title>${body}`);
  server = await serve(
    { "/": site, "/js/": packageFolder, "/tiny/": tiny.folder },
    {
      "/blank": html(""),
      "/element": html(`<script type="module" src="/js/dist/element.js"></script><freeguide-sampler model="/tiny/" device="cpu" steps="2" autodraw></freeguide-sampler>`),
    },
  );
  browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
});
after(async () => {
  await browser?.close();
  await server?.close();
  await tiny?.remove();
});

const request = { classes: [0, 1], guidance: 2, steps: 4, seed: 7 };

for (const worker of [true, false]) {
  test(`the pictures are the native ones ${worker ? "in a worker" : "on the calling thread"}`, options, async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/blank`);
    const { thread, drawn } = await page.evaluate(
      async (request, worker) => {
        const { loadModel } = await import("/js/dist/index.js");
        const model = await loadModel("/tiny/", { device: "cpu", worker });
        const drawn = (await model.generate(request)).map(({ data }) => [...data]);
        model.dispose();
        return { thread: model.device.thread, drawn };
      },
      request,
      worker,
    );
    assert.equal(thread, worker ? "worker" : "caller");
    const native = await drawNatively({ model: tiny.folder, ...request, count: 2 });
    native.forEach(({ pixels }, at) => assert.ok(difference(drawn[at], pixels) <= TOLERANCE));
    await page.close();
  });
}

test("the element draws", options, async () => {
  const page = await browser.newPage();
  await page.goto(`${server.url}/element`);
  await page.waitForFunction(() => document.querySelector("freeguide-sampler")?.pictures?.length === 4);
  await page.close();
});

test("the page draws, and again without its server", options, async () => {
  const own = await serve({ "/": site });
  const page = await browser.newPage();
  const address = `${own.url}/?model=${shipped().name}&device=cpu&steps=2&n=1&class=flags&w=1&seed=5`;
  const drawn = () => page.waitForFunction(() => /^Drew/.test(document.getElementById("status").textContent), { timeout: 60_000 });
  await page.goto(address);
  await drawn();
  const [native] = await drawNatively({ model: shipped().folder, classes: ["flags"], guidance: 1, steps: 2, seed: 5, count: 1 });
  const pixels = await page.evaluate(() => {
    const canvas = document.querySelector("#sheet canvas");
    return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
  });
  assert.ok(difference(pixels, native.pixels) <= TOLERANCE);
  // Runtime and model are kept in the background.
  const isKept = async () => {
    const kept = (await caches.keys()).filter((name) => name.startsWith("freeguide-offline"));
    const urls = kept[0] ? (await (await caches.open(kept[0])).keys()).map(({ url }) => url) : [];
    return ["config.json", "index.json", "_bg"].every((part) => urls.some((url) => url.includes(part)));
  };
  // waitForFunction does not wait for a promise, and takes it for true.
  for (let tries = 0; !(await page.evaluate(isKept)); tries += 1) {
    assert.ok(tries < 600, "the page's files are kept");
    await page.waitForTimeout(100);
  }
  await own.close();
  await page.goto(`${address}&again`);
  await drawn();
  await page.close();
});
