// The laboratory as an installed app: offline, installable, and silent towards other origins.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { laboratory, said } from "./lab.mjs";
import { decodePng } from "./png.mjs";
import { serve } from "./server.mjs";
import { site } from "./setup.mjs";

let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

test("after a visit the page draws without its server, from any path", async (t) => {
  const server = await serve({ "/some/where/": site });
  const page = await lab.open(t, "#own", { serviceWorkers: "allow" });
  const address = `${server.url}/some/where/?device=cpu&steps=2&n=1`;
  await page.goto(address);
  await said(page, /^Drew/);
  // Page, runtime, model and its weights are kept in the background.
  const isKept = async () => {
    const urls = [];
    for (const name of (await caches.keys()).filter((name) => name.startsWith("freeguide-"))) {
      urls.push(...(await (await caches.open(name)).keys()).map(({ url }) => url));
    }
    const parts = ["config.json", "index.json", "_bg", "/assets/worker-", "weights.freeguide.invalid/"];
    return Boolean(navigator.serviceWorker.controller) && parts.every((part) => urls.some((url) => url.includes(part)));
  };
  // waitForFunction does not wait for a promise, and takes it for true.
  for (let tries = 0; !(await page.evaluate(isKept)); tries += 1) {
    assert.ok(tries < 600, "the page's files are kept");
    await page.waitForTimeout(100);
  }
  const before = await page.evaluate(() => document.querySelector("#sheet canvas").toDataURL());
  await server.close();
  for (const part of ["#embed", "#draw"]) {
    await page.goto(`${server.url}/some/where/?device=cpu&steps=2&n=1&once=more${part}`);
    await page.reload();
    if (part === "#embed") await page.waitForSelector("#embed-element:not(:empty)");
  }
  await said(page, /^Drew/);
  assert.equal(await page.evaluate(() => document.querySelector("#sheet canvas").toDataURL()), before);
});

test("it can be installed: manifest and icons are what they say", async (t) => {
  const page = await lab.open(t, "?device=cpu&steps=2&n=1");
  await said(page, /^Drew/);
  const session = await page.context().newCDPSession(page);
  const { errors, data } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  assert.ok(["name", "short_name", "start_url", "display"].every((field) => manifest[field]));
  for (const { src, sizes, type } of manifest.icons.filter(({ type }) => type === "image/png")) {
    const { width, height } = decodePng(await readFile(`${site}/${src}`));
    assert.equal(`${width}x${height}`, sizes, `${src} (${type})`);
  }
  assert.ok(manifest.icons.some(({ purpose }) => purpose === "maskable"));
});

test("no part asks another origin for anything", async (t) => {
  const page = await lab.open(t, "#own", { serviceWorkers: "allow" });
  const asked = new Set();
  page.context().on("request", (request) => asked.add(new URL(request.url()).origin));
  await page.goto(`${lab.url}/?device=cpu&steps=2&n=1`);
  await said(page, /^Drew/);
  for (const part of ["guidance", "toy", "own", "embed"]) {
    await page.click(`#parts a[href="#${part}"]`);
    await page.waitForSelector(`#part-${part}:not([hidden]) :is(.exhibit, .toy, .prose) h2:visible`);
    await page.waitForTimeout(200);
  }
  assert.deepEqual([...asked].filter((origin) => origin !== "null"), [lab.url]);
});
