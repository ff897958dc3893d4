// Every setting goes round once: a command draws a picture, the page takes its settings out of the file, puts them into its
// address and its snippets, and the command of the snippet draws the same picture with the same settings inside.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { decodePng } from "./png.mjs";
import { difference, freeguide, shipped, TOLERANCE } from "./setup.mjs";

const run = promisify(execFile);
const { name, folder: model } = shipped();
const tiles = "#sheet .tile canvas";
let lab;
let place;
let own;

before(async () => {
  place = await mkdtemp(join(tmpdir(), "freeguide-settings-"));
  // A model with settings of its own.
  own = join(place, "own");
  await cp(model, own, { recursive: true });
  const config = JSON.parse(await readFile(join(own, "config.json"), "utf8"));
  Object.assign(config.sampling, {
    guidance_policy: { kind: "apg", eta: 0.5, momentum: -0.25 },
    guidance_interval: { min: -4, max: 5 },
    grid: { spacing: "uniform-lambda" },
  });
  await writeFile(join(own, "config.json"), JSON.stringify(config));
  lab = await laboratory({ folders: { "/own/": own } });
});
after(async () => {
  await lab?.close();
  if (place !== undefined) await rm(place, { recursive: true });
});

/** The pictures that a shell's commands draw, by file name; `freeguide` is the native command. */
async function drawnBy(script) {
  const folder = await mkdtemp(join(place, "drawn-"));
  await run("sh", ["-ec", `freeguide() { "$FREEGUIDE" "$@" --device cpu; }\n${script}`], { cwd: folder, env: { ...process.env, FREEGUIDE: freeguide } });
  const files = (await run("find", [folder, "-name", "*.png"])).stdout.trim().split("\n").sort();
  return new Map(await Promise.all(files.map(async (file) => [file.slice(folder.length + 1), await readFile(file)])));
}

async function drop(page, png) {
  await forget(page);
  await page.evaluate((bytes) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(bytes)], "saved.png", { type: "image/png" }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, [...png]);
}

/** The file of a picture on the sheet, as a visitor saves it. */
async function saved(page, at) {
  await page.locator(".tile .open").nth(at).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#detail-save")]);
  await page.click("#detail-close");
  return decodePng(await readFile(await download.path()));
}

/** The command of the page's snippet. */
async function command(page) {
  await page.evaluate(() => (location.hash = "#embed"));
  await page.waitForFunction(() => document.getElementById("embed-command")?.textContent);
  return page.textContent("#embed-command");
}

const everything = [
  "--guidance 1.5 --guidance-policy apg --apg-eta 0.25 --apg-momentum -0.4 --apg-norm 6 --guidance-interval -6,7",
  "--guidance 2.5 --guidance-policy cfg --guidance-rescale 0.5 --sampler ancestral --variance-interpolation 0.8",
].map((guidance) => `${guidance} --steps 5 --grid karras --grid-range -8,9 --grid-rho 5 --full-order-last --seed 20 --toward 31:0.25 --first-image 2 --no-clip`);

test("every setting goes from a command through a picture, the page, its address and a snippet into a command", async (t) => {
  for (const options of everything) {
    const [[, bytes]] = await drawnBy(`freeguide sample --model '${model}' --class flags ${options} --count 1 --out out/`);
    const native = decodePng(bytes);

    const page = await lab.open(t, "?device=cpu&n=1&steps=2&seed=5");
    await said(page, /^Drew/);
    await drop(page, bytes);
    await said(page, /^Drew/);
    const { image } = native.settings;
    const shown = (await pixelsOf(page, tiles))[image];
    assert.ok(difference(shown, native.pixels) <= TOLERANCE, "the page draws the picture again");
    assert.deepEqual((await saved(page, image)).settings, native.settings, "and writes the same into its file");

    const linked = await lab.open(t, new URL(page.url()).search);
    await said(linked, /^Drew/);
    assert.deepEqual((await pixelsOf(linked, tiles))[image], shown, "its address draws it too");

    const snippet = (await command(linked)).replace(`--model models/${name}`, `--model '${model}'`);
    const again = decodePng((await drawnBy(snippet)).get(`pictures/0000${image}.png`));
    assert.deepEqual(again.settings, native.settings);
    assert.deepEqual(again.pixels, native.pixels);
  }
});

test("a model's own policy, interval and grid are used, and are in the files of its pictures", async (t) => {
  const [[, bytes]] = await drawnBy(`freeguide sample --model '${own}' --class flags --guidance 2 --steps 4 --seed 3 --count 1 --out out/`);
  const native = decodePng(bytes);
  assert.deepEqual(native.settings.guidance_policy, { kind: "apg", eta: 0.5, momentum: -0.25 });
  const page = await lab.open(t, "?device=cpu&model=/own/&class=flags&w=2&steps=4&n=1&seed=3");
  await said(page, /^Drew/);
  assert.ok(difference((await pixelsOf(page, tiles))[0], native.pixels) <= TOLERANCE);
  assert.deepEqual((await saved(page, 0)).settings, native.settings);

  // A picture of the paper's policy on all levels stays one when it is dropped on this model.
  const [[, plain]] = await drawnBy(`freeguide sample --model '${model}' --class flags --guidance 2 --steps 4 --seed 3 --count 1 --out out/`);
  await drop(page, plain);
  await said(page, /^Drew/);
  assert.ok(difference((await pixelsOf(page, tiles))[0], decodePng(plain).pixels) <= TOLERANCE);
});

test("the command of every view draws the view's pictures", async (t) => {
  for (const view of ["seeds", "between", "variations", "sweep"]) {
    const page = await lab.open(t, `?device=cpu&class=flags&w=2&steps=3&n=4&seed=20&view=${view}${["between", "variations"].includes(view) ? "&toward=31" : ""}`);
    await said(page, /^Drew/);
    const shown = await pixelsOf(page, tiles);
    const snippet = (await command(page)).replace(`--model models/${name}`, `--model '${model}'`);
    const drawn = [...(await drawnBy(snippet)).values()].map((bytes) => decodePng(bytes).pixels);
    assert.equal(drawn.length, shown.length);
    for (const picture of shown) assert.ok(drawn.some((native) => difference(picture, native) <= TOLERANCE), view);
  }
});

test("fields that are left empty are the model's own, and links keep what was typed", async (t) => {
  const page = await lab.open(t, "?device=cpu&model=/own/&class=flags&steps=2&n=1&seed=3");
  await said(page, /^Drew/);
  await page.click("#more > summary");
  assert.equal(await page.getAttribute("#setting-from", "placeholder"), "-4");
  assert.match(await page.locator("#setting-policy option").first().textContent(), /projected.*\(the model’s own\)/);
  await page.selectOption("#setting-policy", "cfg");
  assert.equal(await page.isVisible("#setting-eta"), false);
  await page.fill("#setting-rescale", "0.5");
  await page.fill("#setting-from", "-2");
  await page.selectOption("#setting-clip", "false");
  await forget(page);
  await page.click("#draw");
  await said(page, /^Drew/);
  const query = new URL(page.url()).searchParams;
  const typed = { policy: "cfg", rescale: "0.5", from: "-2", until: "40", clip: "false" };
  assert.deepEqual(Object.fromEntries(Object.keys(typed).map((key) => [key, query.get(key)])), typed);
  const { settings } = await saved(page, 0);
  assert.deepEqual([settings.guidance_policy, settings.guidance_interval, settings.clip], [{ kind: "cfg", rescale: 0.5 }, { min: -2, max: 40 }, false]);
});
