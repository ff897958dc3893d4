// The laboratory's generator beyond one sheet: variations, and saving in bulk.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unzipSync } from "../../www/node_modules/fflate/esm/index.mjs";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { decodePng } from "./png.mjs";
import { difference, drawNatively, shipped, site, TOLERANCE } from "./setup.mjs";

const { folder: model } = shipped();
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

const tiles = "#sheet .tile canvas";

test("neighbouring seeds are the first pictures of those seeds", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&w=2&steps=4&n=4&seed=20&view=seeds");
  await said(page, /^Drew/);
  const drawn = await pixelsOf(page, tiles);
  for (const at of [0, 3]) {
    const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 20 + at, count: 1 });
    assert.ok(difference(drawn[at], native.pixels) <= TOLERANCE, `seed ${20 + at}`);
  }
  assert.deepEqual(await page.locator("#sheet figcaption").allTextContents(), ["seed 20", "seed 21", "seed 22", "seed 23"]);
});

test("between two seeds lie the pictures that the command line draws there", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&w=2&steps=4&n=4&seed=20&view=between&toward=31");
  await said(page, /^Drew/);
  const drawn = await pixelsOf(page, tiles);
  const captions = await page.locator("#sheet figcaption").allTextContents();
  assert.equal(captions.length, drawn.length);
  assert.deepEqual([captions.at(0), captions.at(-1)], ["seed 20", "seed 31"]);
  for (const at of [0, 1, drawn.length - 1]) {
    const t = at / (drawn.length - 1);
    const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 20, toward: `31:${t}`, count: 1 });
    assert.ok(difference(drawn[at], native.pixels) <= TOLERANCE, captions[at]);
  }
});

test("variations are stronger or weaker, and those that the command line draws", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&w=2&steps=4&n=4&seed=20&view=variations&toward=31&t=0.15");
  await said(page, /^Drew/);
  assert.equal(await page.locator("#variation").inputValue(), "0.15");
  const weak = await pixelsOf(page, tiles);
  for (const at of [0, 3]) {
    const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 20, toward: `${31 + at}:0.15`, count: 1 });
    assert.ok(difference(weak[at], native.pixels) <= TOLERANCE, `towards ${31 + at}`);
  }
  const [itself] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 20, count: 1 });
  await forget(page);
  await page.locator("#variation").fill("0.6");
  await page.click("#draw");
  await said(page, /^Drew/);
  const strong = await pixelsOf(page, tiles);
  const mean = (a, b) => a.reduce((sum, value, at) => sum + Math.abs(value - b[at]), 0) / a.length;
  weak.forEach((picture, at) => assert.ok(mean(picture, itself.pixels) < mean(strong[at], itself.pixels), `picture ${at}`));
  assert.match(page.url(), /t=0\.6/);
});

test("from a picture's window to its neighbours", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&class=symbols&w=1&steps=2&n=4&seed=3");
  await said(page, /^Drew/);
  const before = await pixelsOf(page, tiles);
  await page.locator(".tile .open").first().click();
  await forget(page);
  await page.click("#detail-seeds");
  await said(page, /^Drew 9/);
  assert.match(page.url(), /view=seeds/);
  assert.deepEqual((await pixelsOf(page, tiles))[0], before[0], "it begins with the picture itself");
});

/** Opens the window that saves, chooses, and takes the file. */
async function save(page, kind, { count, factor }) {
  await page.click("#save");
  await page.locator(`#export input[value=${kind}]`).check();
  await page.fill("#export-count", String(count));
  await page.selectOption("#export-factor", String(factor));
  const [download] = await Promise.all([page.waitForEvent("download", { timeout: 120_000 }), page.click("#export-save")]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

const squares = (pixels, width, times) => {
  const side = width / times;
  const small = [];
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const at = (y * times * width + x * times) * 4;
      for (let dy = 0; dy < times; dy += 1) {
        for (let dx = 0; dx < times; dx += 1) {
          const other = at + (dy * width + dx) * 4;
          assert.deepEqual(pixels.slice(other, other + 4), pixels.slice(at, at + 4), "a pixel is one square");
        }
      }
      small.push(...pixels.slice(at, at + 4));
    }
  }
  return small;
};

test("a ZIP has more pictures than the sheet, each the native one, enlarged by whole pixels", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=food-drink&class=flags&w=2&steps=3&n=4&seed=11");
  await said(page, /^Drew/);
  const { name, bytes } = await save(page, "zip", { count: 18, factor: 2 });
  assert.match(name, /seed11\.zip$/);
  const files = Object.entries(unzipSync(bytes));
  assert.equal(files.length, 18);
  const classes = ["food-drink", "flags"];
  for (const at of [0, 17]) {
    const file = files.find(([file]) => file.includes(String(at).padStart(5, "0")));
    const { width, pixels, settings } = decodePng(Buffer.from(file[1]));
    assert.deepEqual([settings.image, settings.class, settings.seed, settings.guidance], [at, classes[at % 2], 11, 2]);
    const [native] = await drawNatively({ model, classes: [classes[at % 2]], guidance: 2, steps: 3, seed: 11, count: 1, first: at });
    assert.equal(width, 2 * native.width);
    assert.ok(difference(squares([...pixels], width, 2), native.pixels) <= TOLERANCE, `picture ${at}`);
  }
});

test("a sprite sheet has the sheet's own pictures edge to edge", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=food-drink&w=2&steps=3&n=4&seed=11");
  await said(page, /^Drew/);
  const shown = await pixelsOf(page, tiles);
  const { bytes } = await save(page, "sprites", { count: 4, factor: 1 });
  const { width, height, pixels, settings } = decodePng(bytes);
  assert.deepEqual(settings.map(({ image }) => image), [0, 1, 2, 3]);
  const side = width / 2;
  assert.equal(height, 2 * side);
  const last = [];
  for (let y = side; y < height; y += 1) last.push(...pixels.subarray((y * width + side) * 4, (y + 1) * width * 4));
  assert.deepEqual(last, shown[3]);
});

test("saving in bulk is stopped by closing the window", async (t) => {
  const page = await lab.open(t, "?device=cpu&steps=2&n=1");
  await said(page, /^Drew/);
  await page.fill("#steps", "500");
  await page.click("#save");
  await page.locator("#export input[value=zip]").check();
  await page.fill("#export-count", "1000");
  await page.click("#export-save");
  await page.waitForSelector("#export progress:not([hidden])");
  await forget(page);
  await page.click("#export-cancel");
  await said(page, /Nothing was saved/);
});

test("the page opens with the model that its list names", async (t) => {
  const { opened } = JSON.parse(await readFile(join(site, "models/index.json"), "utf8"));
  const page = await lab.open(t, "#own");
  await page.goto(`${lab.url}/?device=cpu`);
  await page.reload();
  await said(page, /^Drew/);
  assert.equal(await page.inputValue("#model"), opened);
  assert.equal(new URL(page.url()).searchParams.get("model"), opened, "every link names its model");
  // It is distilled: where guidance is looked at, it leads to its teacher.
  await page.click('#parts a[href="#guidance"]');
  await page.waitForSelector("#no-estimates a:visible");
  const { provenance } = JSON.parse(await readFile(join(site, "models", opened, "config.json"), "utf8"));
  assert.equal(await page.getAttribute("#no-estimates a", "href"), `?model=${provenance.teacher}#guidance`);
});

test("a model of letters spells words, and pictures follow the typing", async (t) => {
  const page = await lab.open(t, "?device=cpu&model=glyphs32&word=cab&steps=2&sampler=ddim&w=2&seed=5");
  await said(page, /^Drew 3/);
  const [first] = await pixelsOf(page, tiles);
  const [native] = await drawNatively({ model: join(site, "models/glyphs32"), classes: [..."cab"], guidance: 2, steps: 2, seed: 5, count: 3 });
  assert.ok(difference(first, native.pixels) <= TOLERANCE, "the letter c");
  await page.locator("#live").check();
  await forget(page);
  await page.fill("#word", "Cab é 19");
  await said(page, /^Drew 5/);
  const captions = await page.locator("#sheet figcaption").allTextContents();
  assert.deepEqual(captions, [..."Cab19"]);
  const tops = await page.locator("#sheet .tile").evaluateAll((all) => all.map((tile) => tile.offsetTop));
  assert.deepEqual(tops, [tops[0], tops[0], tops[0], tops[3], tops[3]]);
  assert.ok(tops[3] > tops[0], "a line for each word");
  assert.equal(new URL(page.url()).searchParams.get("word"), "Cab 19");
  // A chip draws its class again, and as many pictures as the sheet had.
  await page.locator("#mix").uncheck();
  await forget(page);
  await page.locator("#classes .chip", { hasText: /^z$/ }).click();
  await said(page, /^Drew 9/);
  assert.deepEqual(new URL(page.url()).searchParams.getAll("class"), ["z"]);
  assert.equal(await page.inputValue("#word"), "");
});
