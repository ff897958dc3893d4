// <freeguide-sampler>: what a page's author and its visitors do with it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let names;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
  names = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8")).classes;
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

/** A page whose body is `markup`, with every event of the element collected. */
async function open(t, markup, routes = {}) {
  const html = `<!doctype html><html lang="en"><title>element</title><link rel="icon" href="data:,">
    <script type="module" src="/js/dist/element.js"></script>
    <script>
      globalThis.heard = [];
      for (const name of ["load", "step", "draw", "error"])
        addEventListener("freeguide-" + name, ({ type, detail }) => heard.push([type, detail.step ?? detail.seed ?? detail.error?.code]));
    </script><body>${markup}`;
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, {
    "/": (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(html),
    ...routes,
  });
  const profile = await browser.newContext({ viewport: { width: 800, height: 700 } });
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  const page = await profile.newPage();
  await page.goto(server.url);
  return page;
}

const heard = (page, type) =>
  page.waitForFunction((type) => globalThis.heard.some(([name]) => name === `freeguide-${type}`), type, { timeout: 60_000 });
const pixels = (page) =>
  page.evaluate(() => document.querySelector("freeguide-sampler").pictures.map(({ data }) => [...data]));

test("it loads, offers the classes, draws what its attributes say, and tells the page", async (t) => {
  const page = await open(t, `<freeguide-sampler model="/tiny/" device="cpu" class-name="${names[1]}" guidance="1.5" steps="3" seed="11" count="2"></freeguide-sampler>`);
  await heard(page, "load");
  const sampler = page.locator("freeguide-sampler");
  assert.deepEqual(await sampler.locator("option").allTextContents(), [...names, "no class"]);
  await sampler.getByRole("button", { name: "Draw" }).click();
  await heard(page, "draw");
  const native = await drawNatively({ model: tiny.folder, classes: [names[1]], guidance: 1.5, steps: 3, seed: 11, count: 2 });
  const drawn = await pixels(page);
  native.forEach((picture, at) => assert.ok(difference(drawn[at], picture.pixels) <= TOLERANCE, `picture ${at}`));
  assert.deepEqual(await page.evaluate(() => globalThis.heard), [
    ["freeguide-load", undefined],
    ["freeguide-step", 1],
    ["freeguide-step", 2],
    ["freeguide-step", 3],
    ["freeguide-draw", 11],
  ]);
  const shown = await sampler.locator("canvas").first().evaluate((canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]);
  assert.deepEqual(shown, drawn[0], "the canvas shows the picture");
  assert.match(await sampler.getByRole("status").textContent(), /Drew 2 pictures/);
});

test("every control has a name and works from the keyboard", async (t) => {
  const page = await open(t, `<freeguide-sampler model="/tiny/" device="cpu" steps="2" count="1" guidance="2" seed="3"></freeguide-sampler>`);
  await heard(page, "load");
  const sampler = page.locator("freeguide-sampler");
  for (const [role, name] of [["combobox", "Class"], ["textbox", "Seed"], ["slider", "Guidance w"], ["button", "New random seed"], ["button", "Draw"], ["progressbar", "Progress"], ["img", /not drawn yet/]]) {
    assert.equal(await sampler.getByRole(role, { name }).count(), 1, `${role} ${name}`);
  }
  await sampler.getByRole("slider").focus();
  await page.keyboard.press("ArrowRight");
  await sampler.getByRole("textbox").focus();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("21");
  await page.keyboard.press("Enter");
  await heard(page, "draw");
  const label = await sampler.getByRole("img").getAttribute("aria-label");
  assert.match(label, /guidance 2\.1, seed 21/);
  assert.equal(await sampler.getByRole("status").count(), 1);
});

test("a run is stopped from the button, and a change of attributes is taken over", async (t) => {
  const page = await open(t, `<freeguide-sampler model="/tiny/" device="cpu" steps="1000" count="1"></freeguide-sampler>`);
  await heard(page, "load");
  const sampler = page.locator("freeguide-sampler");
  await sampler.getByRole("button", { name: "Draw" }).click();
  await heard(page, "step");
  await sampler.getByRole("button", { name: "Stop" }).click();
  await sampler.getByRole("button", { name: "Draw" }).waitFor();
  assert.equal(await sampler.getByRole("status").textContent(), "Stopped");
  await sampler.evaluate((element) => {
    element.setAttribute("steps", "2");
    element.setAttribute("seed", "5");
    element.setAttribute("count", "3");
  });
  const count = await sampler.evaluate(async (element) => (await element.draw()).length);
  assert.equal(count, 3);
  assert.deepEqual((await page.evaluate(() => globalThis.heard)).at(-1), ["freeguide-draw", 5]);
});

test("with a canvas, drawing starts from what is painted and draws anew what is marked", async (t) => {
  const page = await open(t, `<freeguide-sampler model="/tiny/" device="cpu" class-name="${names[0]}" steps="6" count="1" seed="4" strength="0.5" canvas></freeguide-sampler>`);
  await heard(page, "load");
  const sampler = page.locator("freeguide-sampler");
  const draw = async () => (await sampler.evaluate(async (element) => (await element.draw()).map(({ data }) => [...data])))[0];
  const without = await draw();
  const canvas = sampler.getByRole("img", { name: /drawing starts from/ });
  const stroke = async (height) => {
    // Whoever uses the controls below it scrolls it away.
    await canvas.evaluate((element) => element.scrollIntoView({ block: "center" }));
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + 0.1 * box.width, box.y + height * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.9 * box.width, box.y + height * box.height, { steps: 4 });
    await page.mouse.up();
  };
  await sampler.getByLabel("Colour").fill("#0000ff");
  await stroke(0.5);
  const painted = await draw();
  assert.ok(difference(painted, without) > 5, "the picture counts");

  // The picture itself, of which a stroke at the top is drawn anew.
  await sampler.evaluate((element, data) => {
    const side = Math.sqrt(data.length / 4);
    return element.show({ data: new Uint8ClampedArray(data), width: side, height: side });
  }, painted);
  await sampler.getByLabel("Brush", { exact: true }).selectOption("anew");
  await stroke(0.1);
  const filled = await draw();
  const row = (pixels, y) => pixels.slice(y * 8 * 4, (y + 1) * 8 * 4);
  assert.ok(difference(row(filled, 7), row(painted, 7)) <= 1, "the rest is kept");
  await sampler.getByRole("button", { name: "Clear" }).click();
  assert.ok(difference(await draw(), without) <= 1, "an empty canvas has no effect");

  await sampler.getByLabel("Photo").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") });
  await page.waitForFunction(() => document.querySelector("freeguide-sampler").shadowRoot.querySelector("[part=problem]").textContent.includes("cannot be read as a picture"));
  await sampler.evaluate((element) => element.removeAttribute("canvas"));
  assert.equal(await canvas.count(), 0);
});

test("what goes wrong is said in words, and can be tried again", async (t) => {
  let there = false;
  const page = await open(t, `<freeguide-sampler model="/m/" device="cpu" steps="2"></freeguide-sampler>`, {
    "/m/config.json": async (_, response) => {
      if (!there) return response.writeHead(404).end();
      response.end(await readFile(`${tiny.folder}/config.json`));
    },
    "/m/model.safetensors": async (_, response) => response.end(await readFile(`${tiny.folder}/model.safetensors`)),
  });
  await heard(page, "error");
  const sampler = page.locator("freeguide-sampler");
  const alert = await sampler.getByRole("alert").textContent();
  assert.match(alert, /could not be fetched/);
  assert.match(alert, /404/);
  there = true;
  await sampler.getByRole("button", { name: "Try again" }).click();
  await heard(page, "load");
  assert.equal(await sampler.getByRole("alert").isVisible(), false);

  const other = await open(t, `<freeguide-sampler></freeguide-sampler>`);
  await heard(other, "error");
  assert.match(await other.locator("freeguide-sampler").getByRole("alert").textContent(), /attribute model/);
});

test("it loads when it is seen, is styled from outside, and lets go of its worker", async (t) => {
  const page = await open(t, `
    <style>freeguide-sampler { --freeguide-accent: rgb(1, 2, 3); } freeguide-sampler::part(picture) { border-radius: 50%; }</style>
    <div style="height: 3000px"></div><freeguide-sampler model="/tiny/" device="cpu" count="1"></freeguide-sampler>`);
  await page.waitForTimeout(300);
  assert.deepEqual(await page.evaluate(() => globalThis.heard), []);
  await page.locator("freeguide-sampler").scrollIntoViewIfNeeded();
  await heard(page, "load");
  const style = await page.evaluate(() => {
    const root = document.querySelector("freeguide-sampler").shadowRoot;
    return [getComputedStyle(root.querySelector("[part=draw]")).backgroundColor, getComputedStyle(root.querySelector("canvas")).borderRadius];
  });
  assert.deepEqual(style, ["rgb(1, 2, 3)", "50%"]);
  assert.ok(page.workers().length > 0);
  // Moved, it stays what it is; removed, it is gone.
  await page.evaluate(() => document.body.prepend(document.querySelector("freeguide-sampler")));
  await page.waitForTimeout(100);
  assert.equal(await page.evaluate(() => document.querySelector("freeguide-sampler").loaded !== undefined), true);
  await page.evaluate(() => document.querySelector("freeguide-sampler").remove());
  for (let turn = 0; turn < 50 && page.workers().length > 0; turn += 1) await page.waitForTimeout(20);
  assert.equal(page.workers().length, 0);
});
