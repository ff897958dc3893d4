// The built page in a real browser, on the CPU runtime.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { decodePng } from "./png.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, forShipped, shipped, site, TOLERANCE } from "./setup.mjs";

const { name: shippedName, folder: shippedModel } = shipped();
let browser;
let server;

before(async () => {
  browser = await launch();
  server = await serve({ "/": site });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Opens the page in a fresh profile; the test fails on any error in the page that it does not expect. */
async function open(t, query = "", { base = server.url, expectErrors = false, ...context } = {}) {
  const profile = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
  const page = await profile.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  t.after(async () => {
    await profile.close();
    if (!expectErrors) assert.deepEqual(errors, [], "the page's errors");
  });
  await page.goto(`${base}/${forShipped(query)}`);
  return page;
}

const status = (page, pattern) =>
  page.waitForFunction((source) => new RegExp(source).test(document.getElementById("status").textContent), pattern.source, {
    timeout: 120_000,
  });
const drawn = (page) => status(page, /^Drew/);

/** Forgets what the status says, so that the next wait waits for news. */
const forget = (page) => page.evaluate(() => (document.getElementById("status").textContent = ""));

/** Pixels of the tiles on the sheet, in order. */
const pictures = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("#sheet .tile canvas")].map((canvas) => [
      ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data,
    ]),
  );

const small = "?device=cpu&class=food-drink&w=2&steps=6&n=4&seed=11";

test("the page loads the bundle, draws, and says what it did", async (t) => {
  const page = await open(t, "?device=cpu&steps=4");
  await drawn(page);
  const { length } = await pictures(page);
  assert.equal(length, 9);
  assert.match(await page.textContent("#meter-device"), /CPU/);
  assert.equal(await page.textContent("#meter-nfe"), "8", "two evaluations a guided step");
  assert.match(await page.textContent("#meter-step"), /\d/);
  const { provenance, name } = JSON.parse(await readFile(`${shippedModel}/config.json`, "utf8"));
  const credits = await page.textContent("#provenance");
  for (const part of [name, provenance.license, provenance.attribution]) assert.ok(credits.includes(part), part);
  const scaling = await page.evaluate(() => getComputedStyle(document.querySelector("#sheet canvas")).imageRendering);
  assert.equal(scaling, "pixelated");
});

test("every model that ships draws", async (t) => {
  const { models } = JSON.parse(await readFile(join(site, "models/index.json"), "utf8"));
  const sizes = models.map(({ size }) => size);
  assert.deepEqual(sizes, [...sizes].sort((a, b) => a - b));
  assert.ok(models.length > 1);
  for (const { folder, size } of models) {
    const page = await open(t, `?device=cpu&model=${folder}&steps=2&n=1&seed=3`);
    await drawn(page);
    assert.equal(await page.locator("#model").inputValue(), folder);
    const [{ length }] = await pictures(page);
    assert.equal(length, 4 * size * size);
    const { classes } = JSON.parse(await readFile(join(site, "models", folder, "config.json"), "utf8"));
    const chips = await page.textContent("#classes");
    for (const name of classes) assert.ok(chips.includes(name), `${folder}: ${name}`);
    await page.close();
  }
});

test("guidance that has no effect costs one evaluation a step", async (t) => {
  const page = await open(t, "?device=cpu&steps=3&n=1&w=0");
  await drawn(page);
  assert.equal(await page.textContent("#meter-nfe"), "3");
});

test("pictures appear step by step, and the steps can be looked at again", async (t) => {
  const page = await open(t, small);
  await drawn(page);
  const result = await pictures(page);
  const scrub = page.locator("#scrub");
  assert.equal(await scrub.getAttribute("max"), "6");
  await scrub.fill("1");
  const first = await pictures(page);
  assert.ok(difference(result[0], first[0]) > TOLERANCE, "the first step is another picture");
  await scrub.fill("6");
  assert.deepEqual(await pictures(page), result);
});

test("a run stops in the middle and another one can be drawn", async (t) => {
  const page = await open(t, "?device=cpu&steps=1000&n=9");
  await page.waitForFunction(() => /step [2-9]/.test(document.getElementById("scrub-at").textContent));
  await page.keyboard.press("Escape");
  await status(page, /^Stopped after \d+ of 1000 steps/);
  const before = await pictures(page);
  await page.waitForTimeout(500);
  assert.deepEqual(await pictures(page), before, "nothing is drawn any more");
  await page.fill("#steps", "2");
  await forget(page);
  await page.click("#draw");
  await drawn(page);
  assert.notDeepEqual(await pictures(page), before);
});

test("a saved picture is the native one and carries the same settings", async (t) => {
  const page = await open(t, small);
  await drawn(page);
  const native = await drawNatively({
    model: shippedModel,
    classes: ["food-drink"],
    guidance: 2,
    steps: 6,
    seed: 11,
    count: 4,
  });
  for (const at of [0, 3]) {
    await page.locator(".tile .open").nth(at).click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#detail-save")]);
    assert.match(download.suggestedFilename(), /food-drink.*\.png$/);
    const saved = decodePng(await readFile(await download.path()));
    assert.deepEqual([saved.width, saved.height], [native[at].width, native[at].height]);
    assert.deepEqual(saved.settings, native[at].settings);
    assert.ok(difference(saved.pixels, native[at].pixels) <= TOLERANCE);
    await page.keyboard.press("Escape");
  }
  assert.ok(difference(native[0].pixels, native[3].pixels) > TOLERANCE, "the pictures differ from each other");

  await page.click("#save");
  const [sheet] = await Promise.all([page.waitForEvent("download"), page.click("#export-save")]);
  const { settings } = decodePng(await readFile(await sheet.path()));
  assert.deepEqual(settings.map(({ image }) => image), [0, 1, 2, 3]);
});

test("a link draws the same pictures", async (t) => {
  const page = await open(t, "?device=cpu&steps=4&n=4&seed=1", { permissions: ["clipboard-read", "clipboard-write"] });
  await drawn(page);
  await page.click(".chip >> text=flags");
  await page.fill("#seed", "4503599627370497");
  await page.selectOption("#sampler", "ancestral");
  await page.locator("#guidance").fill("3.5");
  await forget(page);
  await page.click("#draw");
  await drawn(page);
  await page.click("#copy-link");
  await status(page, /copied/i);
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, /seed=4503599627370497/);

  const again = await open(t, link.slice(server.url.length + 1));
  await drawn(again);
  assert.deepEqual(await pictures(again), await pictures(page));

  const other = await open(t, link.slice(server.url.length + 1).replace("4503599627370497", "2"));
  await drawn(other);
  assert.ok(difference((await pictures(other))[0], (await pictures(page))[0]) > TOLERANCE, "the seed matters");
});

test("moving the guidance redraws the same seeds while live is on", async (t) => {
  const page = await open(t, small);
  await drawn(page);
  await page.locator("#live").setChecked(true);
  await drawn(page);
  const before = await pictures(page);
  await forget(page);
  await page.locator("#guidance").fill("-1");
  await drawn(page);
  const without = await pictures(page);
  assert.ok(difference(before[0], without[0]) > TOLERANCE);
  assert.match(page.url(), /w=-1/);
  await forget(page);
  await page.locator("#guidance").fill("2");
  await drawn(page);
  assert.deepEqual(await pictures(page), before, "back at the same strength, the same pictures");
});

test("a saved picture dropped on the page brings its settings back", async (t) => {
  const page = await open(t, small);
  await drawn(page);
  const before = await pictures(page);
  await page.locator(".tile .open").nth(3).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#detail-save")]);
  const file = [...(await readFile(await download.path()))];

  const other = await open(t, "?device=cpu&n=1&steps=2&seed=5");
  await drawn(other);
  await forget(other);
  await other.evaluate((bytes) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(bytes)], "saved.png", { type: "image/png" }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, file);
  await drawn(other);
  assert.deepEqual(await pictures(other), before);
});

test("a sweep shows the same seeds at several strengths", async (t) => {
  const page = await open(t, "?device=cpu&class=flags&steps=3&n=1&view=sweep&w=2&seed=9");
  await drawn(page);
  const sweep = await pictures(page);
  assert.equal(sweep.length, 6);
  await forget(page);
  await page.click(".head >> nth=3");
  await drawn(page);
  assert.ok(difference((await pictures(page))[0], sweep[3]) <= TOLERANCE);
  assert.ok(difference(sweep[0], sweep[5]) > TOLERANCE);
});

test("everything can be done with the keyboard", async (t) => {
  const page = await open(t, "?device=cpu&steps=3&n=1&w=2");
  await drawn(page);
  const focused = () => page.evaluate(() => document.activeElement.id);
  const reach = async (id) => {
    for (let turn = 0; turn < 60; turn += 1) {
      await page.keyboard.press("Tab");
      if ((await focused()) === id) return;
    }
    assert.fail(`#${id} cannot be reached with Tab`);
  };
  await reach("guidance");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.inputValue("#guidance"), "2.1");
  await forget(page);
  await page.keyboard.press("Enter");
  await drawn(page);
  assert.match(page.url(), /w=2\.1/);

  await page.focus("body");
  await page.evaluate(() => document.activeElement.blur());
  const seed = await page.inputValue("#seed");
  await forget(page);
  await page.keyboard.press("r");
  await drawn(page);
  assert.notEqual(await page.inputValue("#seed"), seed);

  await page.focus(".tile .open");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.getElementById("detail").open), true);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.getElementById("detail").open), false);

  await page.focus("#steps");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("999");
  await forget(page);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.getElementById("stop").hidden);
  await page.keyboard.press("Escape");
  await status(page, /^Stopped/);

  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, select, a")]
      .filter((element) => element.tabIndex >= 0 && element.checkVisibility())
      .filter((element) => {
        const label = element.labels?.[0]?.textContent ?? "";
        return !(element.getAttribute("aria-label") ?? (element.textContent + label + element.title)).trim();
      })
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, [], "controls without a name");
});

test("the page fits a phone and both themes", async (t) => {
  const page = await open(t, "?device=cpu&steps=2&n=4", { viewport: { width: 390, height: 844 }, colorScheme: "dark" });
  await drawn(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} pixels wide`);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.click("#theme");
  assert.notEqual(await paper(), dark);
  await page.reload();
  assert.notEqual(await paper(), dark, "the choice is kept");
});

test("a broken bundle is refused in words, and another try works", async (t) => {
  let broken = true;
  const { weights } = JSON.parse(await readFile(`${shippedModel}/config.json`, "utf8"));
  const name = weights[0].file;
  const original = await readFile(`${shippedModel}/${name}`);
  const flaky = await serve(
    { "/": site },
    {
      [`/models/${shippedName}/${name}`]: (_, response) => {
        const bytes = Buffer.from(original);
        if (broken) bytes[bytes.length - 5] ^= 0x10;
        response.end(bytes);
      },
    },
  );
  t.after(() => flaky.close());
  const page = await open(t, "?device=cpu&steps=2&n=1", { base: flaky.url });
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem-title"), /damaged/);
  assert.match(await page.textContent("#problem-detail"), /SHA-256|hash/i);
  assert.equal(await page.isVisible("#sheet"), false);
  broken = false;
  await page.click("#problem-retry");
  await drawn(page);
  assert.equal(await page.isVisible("#problem"), false);
});

test("loading can be stopped", async (t) => {
  const { weights } = JSON.parse(await readFile(`${shippedModel}/config.json`, "utf8"));
  const [{ file, bytes }] = weights;
  const beginning = (await readFile(`${shippedModel}/${file}`)).subarray(0, 1000);
  const stalled = await serve(
    { "/": site },
    {
      [`/models/${shippedName}/${file}`]: (_, response) => {
        response.writeHead(200, { "Content-Length": bytes });
        response.write(beginning);
      },
    },
  );
  t.after(() => stalled.close());
  const page = await open(t, "?device=cpu", { base: stalled.url });
  await page.waitForFunction(() => /Fetching the model/.test(document.getElementById("loading-words").textContent));
  assert.ok(Number(await page.getAttribute("#loading-bar", "aria-valuenow")) > 0);
  await page.click("#loading-stop");
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem-title"), /Stopped/);
  assert.equal(page.workers().length, 0, "the worker is gone");
});

test("an address that is no model says so", async (t) => {
  const page = await open(t, "?model=nowhere", { expectErrors: true });
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem-detail"), /404/);
});
