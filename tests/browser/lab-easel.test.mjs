// The laboratory's easel: pictures that start from a picture.
import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { difference, drawNatively, shipped, TOLERANCE } from "./setup.mjs";

const { folder: model } = shipped();
const address = "?device=cpu&class=flags&w=2&steps=6&n=1&seed=20&sampler=ddim";
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

const drawn = (page) => pixelsOf(page, "#sheet .tile canvas").then(([first]) => first);
const easel = (page) => pixelsOf(page, "#easel-canvas").then(([first]) => first);

/** Draws once more, and waits for it. */
async function draw(page) {
  await page.waitForFunction(() => !document.body.classList.contains("busy"));
  await forget(page);
  await page.locator("#draw").click();
  await said(page, /^Drew/);
}

/** A stroke across the easel, from and to fractions of its side. */
async function stroke(page, from, to) {
  const box = await page.locator("#easel-canvas").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), { steps: 4 });
  await page.mouse.up();
}

async function open(t) {
  const page = await lab.open(t, address);
  await said(page, /^Drew/);
  await page.locator("#live").evaluate((live) => {
    if (live.checked) live.click();
  });
  await page.locator("#easel > summary").click();
  return page;
}

test("what is painted is drawn from, near or far, as the command does it", async (t) => {
  const page = await open(t);
  const without = await drawn(page);
  await stroke(page, [0.2, 0.5], [0.8, 0.5]);
  const painted = await easel(page);
  assert.ok(painted.some((value) => value < 255), "the stroke is on the easel");
  await page.locator("#easel-strength").fill("0.35");
  await draw(page);
  const near = await drawn(page);
  assert.ok(difference(near, without) > 30, "the picture counts");

  const folder = await mkdtemp(join(tmpdir(), "easel-"));
  const file = join(folder, "painted.png");
  const png = await page.locator("#easel-canvas").evaluate((canvas) => canvas.toDataURL("image/png"));
  await writeFile(file, Buffer.from(png.split(",")[1], "base64"));
  const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 6, seed: 20, count: 1, more: ["--image", file, "--strength", "0.35"] });
  assert.ok(difference(near, native.pixels) <= TOLERANCE, "the command draws the same");

  await page.locator("#easel-clear").click();
  await draw(page);
  assert.ok(difference(await drawn(page), without) <= 1, "a cleared easel has no effect");
});

test("a drawn picture goes onto the easel, and what the brush leaves out is kept", async (t) => {
  const page = await open(t);
  const before = await drawn(page);
  await page.locator("#sheet .tile").first().click();
  await page.locator("#detail-easel").click();
  assert.deepEqual(await easel(page), before);
  await page.locator('input[name="easel-tool"][value="anew"]').check({ force: true });
  await stroke(page, [0.1, 0.2], [0.9, 0.2]);
  await page.locator("#seed").fill("33");
  await draw(page);
  const after = await drawn(page);
  const side = Math.sqrt(before.length / 4);
  const row = (pixels, y) => pixels.slice(y * side * 4, (y + 1) * side * 4);
  const last = side - 1;
  assert.ok(difference(row(after, last), row(before, last)) <= 1, "the rest is kept");
  const marked = Math.floor(0.2 * side);
  assert.ok(difference(row(after, marked), row(before, marked)) > 10, "the marked part is new");
});

test("a file that is no picture is refused in words", async (t) => {
  const page = await open(t);
  await page.locator("#easel-file").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") });
  await page.waitForFunction(() => document.getElementById("easel-words").textContent.includes("notes.txt cannot be read"));
});

test("guidance leads away from a class that is chosen", async (t) => {
  const page = await open(t);
  const without = await drawn(page);
  await page.locator("#more > summary").click();
  await page.locator("#setting-negative").selectOption("symbols");
  await draw(page);
  assert.ok(difference(await drawn(page), without) > 10);
  assert.equal(new URL(page.url()).searchParams.get("negative"), "symbols");
  const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 6, seed: 20, count: 1, more: ["--negative", "symbols"] });
  assert.ok(difference(await drawn(page), native.pixels) <= TOLERANCE, "the command draws the same");
});
