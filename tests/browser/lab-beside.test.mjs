// Models that were distilled to few steps, in the laboratory: live from the start, and beside their teacher.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { difference, drawNatively, site, TOLERANCE } from "./setup.mjs";

const fast = "emoji16-fast";
const folder = join(site, "models", fast);
const skip = !existsSync(folder) && `${fast} does not ship`;
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

const tiles = "#sheet .tile canvas";

test("pictures of few steps follow the slider from the start", { skip }, async (t) => {
  const page = await lab.open(t, `?model=${fast}&device=cpu&w=1&n=1&seed=5&class=flags`);
  await said(page, /^Drew 1/);
  assert.equal(await page.isChecked("#live"), true);
  const { sampling } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  assert.equal(await page.textContent("#meter-nfe"), String(sampling.steps));
  await forget(page);
  await page.fill("#guidance", "3");
  await said(page, /^Drew 1/);
  const [native] = await drawNatively({ model: folder, classes: ["flags"], guidance: 3, steps: sampling.steps, seed: 5, count: 1 });
  const [drawn] = await pixelsOf(page, tiles);
  assert.ok(difference(drawn, native.pixels) <= TOLERANCE);
});

test("fast and teacher side by side, from the same noise, with what they cost", { skip }, async (t) => {
  const page = await lab.open(t, `?model=${fast}&device=cpu&w=2&n=4&seed=3&class=flags&class=symbols&steps=2`);
  await said(page, /^Drew 4/);
  const sheet = await pixelsOf(page, tiles);
  await page.click("#beside-open");
  await said(page, /^Drew the pictures of both models/);
  assert.deepEqual(await pixelsOf(page, "#beside-fast canvas"), sheet);
  const { provenance } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const teacher = join(site, "models", provenance.teacher);
  const { sampling } = JSON.parse(readFileSync(join(teacher, "config.json"), "utf8"));
  const native = await drawNatively({ model: teacher, classes: ["flags", "symbols"], guidance: 2, steps: sampling.steps, sampler: sampling.sampler, seed: 3, count: 4 });
  const drawn = await pixelsOf(page, "#beside-teacher canvas");
  assert.equal(drawn.length, 4);
  drawn.forEach((pixels, at) => assert.ok(difference(pixels, native[at].pixels) <= TOLERANCE, `picture ${at}`));
  assert.match(await page.textContent("#beside-fast-cost"), /^2 network evaluations a picture, [\d.]+ m?s$/);
  assert.match(await page.textContent("#beside-teacher-cost"), new RegExp(`^${2 * sampling.steps} network evaluations a picture, [\\d.]+ m?s$`));
});

test("what a model of few steps cannot do is not offered, with the reason", { skip }, async (t) => {
  const page = await lab.open(t, `?model=${fast}&device=cpu&w=2&n=1&seed=3&negative=flags&steps=3`);
  await said(page, /Drew 1/);
  assert.equal(new URL(page.url()).searchParams.has("negative"), false);
  await page.click("#easel summary");
  assert.match(await page.textContent("#easel-words"), /distilled to a few steps, which begin with noise/);
  assert.equal(await page.isVisible("#easel-canvas"), false);
  await page.click("#more summary");
  assert.equal(await page.isVisible("#setting-negative"), false);
  assert.equal(await page.isVisible("#setting-policy"), false);
  // Another model can.
  await page.selectOption("#model", "emoji16");
  await forget(page);
  await said(page, /Drew/);
  assert.equal(await page.isVisible("#easel-canvas"), true);
  assert.equal(await page.isVisible("#beside-open"), false);
});
