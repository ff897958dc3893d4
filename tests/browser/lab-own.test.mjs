// Bring your own model, and take it away again: folders, addresses, refusals, snippets.
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { command, emptyFolder } from "./fresh.mjs";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, shipped, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let lab;
let tiny;
let config;

before(async () => {
  tiny = await tinyModel(freeguide);
  config = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
  lab = await laboratory({ folders: { "/elsewhere/": tiny.folder } });
});
after(async () => {
  await lab?.close();
  await tiny?.remove();
});

test("a folder from the visitor's disk is opened, described and drawn with", async (t) => {
  const folder = join(await emptyFolder(t), "my-model");
  await cp(tiny.folder, folder, { recursive: true });
  const page = await lab.open(t, "?device=cpu#own");
  await page.setInputFiles("#own-folder", folder);
  await said(page, /Opened my-model/);
  const card = await page.textContent("#own-card");
  for (const name of config.classes) assert.ok(card.includes(name), name);
  assert.equal(await page.locator("#model option:checked").textContent(), "my-model");
  await forget(page);
  await page.click("#own-card a >> text=Draw with it");
  await said(page, /^Drew/);
  await page.fill("#steps", "2");
  await page.locator("#count label", { hasText: /^1$/ }).click();
  await forget(page);
  await page.click("#draw");
  await said(page, /^Drew 1 /);
  const { seed, w } = Object.fromEntries(new URL(page.url()).searchParams);
  const [native] = await drawNatively({ model: tiny.folder, classes: [config.classes[0]], guidance: Number(w), steps: 2, seed: Number(seed), count: 1 });
  const [drawn] = await pixelsOf(page, "#sheet .tile canvas");
  assert.ok(difference(drawn, native.pixels) <= TOLERANCE);
  assert.doesNotMatch(page.url(), /model=/, "a link cannot name what is on a disk");
});

test("a folder that is damaged is refused in words and the one before can be opened again", async (t) => {
  const folder = join(await emptyFolder(t), "broken");
  await cp(tiny.folder, folder, { recursive: true });
  const file = join(folder, config.weights[0].file);
  const weights = await readFile(file);
  weights[weights.length - 3] ^= 0x20;
  await writeFile(file, weights);
  const page = await lab.open(t, "?device=cpu#own");
  await page.setInputFiles("#own-folder", folder);
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem-title"), /damaged/);
  assert.match(await page.textContent("#problem-detail"), /SHA-256|hash/i);
  await page.setInputFiles("#own-folder", tiny.folder);
  await said(page, /^Opened/);
  assert.equal(await page.isVisible("#problem"), false);

  const empty = await emptyFolder(t);
  await writeFile(join(empty, "readme.txt"), "nothing");
  await page.setInputFiles("#own-folder", empty);
  await said(page, /no config\.json/);
});

test("a model without a null class draws, and nothing on the page offers to guide it", async (t) => {
  const folder = join(await emptyFolder(t), "conditional");
  const fixture = fileURLToPath(new URL("../fixtures/import/diffusers_class", import.meta.url));
  await command(freeguide, ["import", "--from", "diffusers", fixture, "--out", folder]);
  const page = await lab.open(t, "?device=cpu&steps=2&n=1#own");
  await page.setInputFiles("#own-folder", folder);
  await said(page, /^Opened/);
  await forget(page);
  await page.click("#own-card a >> text=Draw with it");
  await said(page, /^Drew/);
  assert.equal(await page.isDisabled("#guidance"), true);
  assert.equal(await page.inputValue("#guidance"), "0");
  assert.equal(await page.locator(".chip", { hasText: "no class" }).count(), 0);
  await page.click('#parts a[href="#guidance"]');
  await page.waitForSelector("#no-guidance:not([hidden])");
  assert.equal(await page.isVisible(".branches"), false);
});

test("an address is opened, a Hugging Face repository too", async (t) => {
  const page = await lab.open(t, "?device=cpu#own");
  await page.fill("#own-address", `${lab.url}/elsewhere/config.json`);
  await page.keyboard.press("Enter");
  await said(page, /^Opened elsewhere/);

  const asked = [];
  await page.context().route("https://huggingface.co/**", async (route) => {
    const url = new URL(route.request().url());
    asked.push(url.pathname);
    const name = url.pathname.split("/").pop();
    await route.fulfill({ body: await readFile(join(tiny.folder, name)), headers: { "Access-Control-Allow-Origin": "*" } });
  });
  await forget(page);
  await page.fill("#own-address", "someone/pictures");
  await page.keyboard.press("Enter");
  await said(page, /^Opened pictures/);
  assert.equal(asked[0], "/someone/pictures/resolve/main/config.json");
  assert.match(decodeURIComponent(page.url()), /model=https:\/\/huggingface\.co\/someone\/pictures\/resolve\/main\//);

  await page.fill("#own-address", "not an address");
  await page.keyboard.press("Enter");
  assert.match(await page.locator("#own-address").evaluate((input) => input.validationMessage), /https:\/\//);
});

test("the snippets carry the settings, and work as they are on a page of their own", async (t) => {
  const { name } = shipped();
  const page = await lab.open(t, "?device=cpu&class=flags&w=1.5&steps=3&n=2&seed=9#embed");
  await page.waitForFunction(() => document.getElementById("embed-model")?.value);
  const model = await page.inputValue("#embed-model");
  assert.equal(model, `./models/${name}/`);
  const [element, plain, command] = await Promise.all(["element", "page", "command"].map((id) => page.textContent(`#embed-${id}`)));
  assert.match(element, /class-name="flags"/);
  assert.match(command, /--class flags[\s\S]*--guidance 1\.5 --steps 3 --sampler ddim --seed 9/);

  const html = (body) => (_, response) =>
    response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><html lang="en"><title>t</title><link rel="icon" href="data:,">${body}`);
  const server = await serve({ "/freeguide/": packageFolder, [`/models/${name}/`]: shipped().folder }, { "/element": html(element), "/page": html(plain) });
  t.after(() => server.close());
  const native = await drawNatively({ model: shipped().folder, classes: ["flags"], guidance: 1.5, steps: 3, seed: 9, count: 1 });

  await page.goto(`${server.url}/page`);
  await page.waitForFunction(() => document.querySelectorAll("#pictures canvas").length > 0, undefined, { timeout: 60_000 });
  await page.goto(`${server.url}/element`);
  const sampler = page.locator("freeguide-sampler");
  await sampler.getByRole("button", { name: "Draw" }).click({ timeout: 60_000 });
  await sampler.getByText(/^Drew/).waitFor({ timeout: 60_000 });
  const [drawn] = await sampler.evaluate(({ pictures }) => pictures.map(({ data }) => [...data]));
  assert.ok(difference(drawn, native[0].pixels) <= TOLERANCE);
});

test("the documentation of the package is a link away, and describes its exports", async (t) => {
  const page = await lab.open(t, "#embed");
  await page.click("#embed-reference");
  await page.waitForURL(/\/reference\/$/);
  assert.match(await page.textContent("h1"), /freeguide for JavaScript/);
  await page.goto(new URL("functions/index.loadModel.html", page.url()).href);
  assert.match(await page.textContent("h1"), /loadModel/);
});

test("the element is shown where its snippet is", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&steps=2&n=1#embed");
  await page.click("#embed-show");
  await page.locator("#embed-preview freeguide-sampler").getByText(/is ready/).waitFor({ timeout: 60_000 });
});
