// A model of attributes and a number, in the package and on the page: the pictures of the native command.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { encodePng } from "./png.mjs";
import { difference, drawNatively, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";

const SIZE = 8;
let place;
let model;
let lab;

/** Pictures with a red left half or not and a green upper half or not, of which older ones are more blue; a list says so. */
async function drawData(folder) {
  const lines = [];
  for (let n = 0; n < 16; n += 1) {
    const [red, green, age] = [n % 2 === 1, n % 4 > 1, 25 * (n >> 2)];
    const pixels = new Uint8Array(SIZE * SIZE * 3);
    for (let at = 0; at < SIZE * SIZE; at += 1) {
      pixels.set([red && at % SIZE < 4 ? 220 : 10, green && at < SIZE * 4 ? 220 : 10, 2 * age + n], at * 3);
    }
    await writeFile(join(folder, `${n}.png`), encodePng(pixels, SIZE, SIZE));
    const labels = [red && "red", green && "green"].filter(Boolean);
    lines.push(JSON.stringify({ file_name: `${n}.png`, labels, age }));
  }
  await writeFile(join(folder, "metadata.jsonl"), lines.join("\n"));
}

before(async () => {
  place = await mkdtemp(join(tmpdir(), "freeguide-attributes-"));
  const [data, run] = ["data", "run"].map((name) => join(place, name));
  model = join(place, "model");
  await mkdir(data);
  await drawData(data);
  const recipe = fileURLToPath(new URL("tiny.toml", import.meta.url));
  const set = ["network.conditions=attributes", "network.number={ name = 'age', min = 0, max = 100, unit = 'years' }", "data.number_column=age"];
  const command = (...args) => promisify(execFile)(freeguide, args);
  await command("train", "--recipe", recipe, "--data", data, "--out", run, "--device", "cpu", "--quiet", ...set.flatMap((one) => ["--set", one]));
  await command("export", "--run", run, "--out", model);
  lab = await laboratory({ folders: { "/js/": packageFolder, "/attributes/": model } });
});
after(async () => {
  await lab?.close();
  if (place) await rm(place, { recursive: true });
});

/** The first picture that the command draws. */
async function natively(label, more, settings = {}) {
  const [picture] = await drawNatively({ model, classes: [label], guidance: 2, steps: 3, seed: 7, count: 1, more, ...settings });
  return picture.pixels;
}

test("the package draws any subset, together or one by one, with a number or without", async (t) => {
  const page = await lab.open(t);
  const cases = [
    [{ classes: [["green", "red"]], number: 90 }, "green+red", ["--number", "90"]],
    [{ classes: [[0, 1]], number: 90, composition: "each" }, "green+red", ["--number", "90", "--composition", "each"]],
    [{ classes: ["red"] }, "red", []],
    [{ classes: [["red"]], number: 10 }, "red", ["--number", "10"]],
    [{ classes: [null], number: 10 }, "none", ["--number", "10"]],
  ];
  const { drawn, together, refused } = await page.evaluate(async (all) => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/attributes/", { device: "cpu" });
    const common = { guidance: 2, steps: 3, seed: 7, sampler: "ddim" };
    const drawn = [];
    for (const options of all) drawn.push([...(await model.generate({ ...common, ...options }))[0].data]);
    // One picture with a number and one without, in one run.
    const both = await model.generate({ ...common, classes: [["green", "red"], "red"], number: 90 });
    const refused = {};
    const bad = { label: { classes: [["red", "blue"]] }, number: { classes: ["red"], number: 101 }, composition: { classes: ["red"], composition: "sum" } };
    for (const [name, options] of Object.entries(bad)) {
      refused[name] = await model.generate({ ...common, ...options }).then(() => "drawn", ({ code, message }) => `${code}: ${message}`);
    }
    return { drawn, together: [...both[0].data], refused };
  }, cases.map(([options]) => options));
  for (const [at, [options, label, more]] of cases.entries()) {
    const most = difference(drawn[at], await natively(label, more));
    assert.ok(most <= TOLERANCE, `${JSON.stringify(options)} differs by ${most}`);
  }
  for (const [at, pixels] of drawn.entries()) {
    assert.ok(drawn.slice(0, at).every((other) => difference(pixels, other) > TOLERANCE), `case ${at} is one of its own`);
  }
  assert.ok(difference(together, drawn[0]) <= TOLERANCE, "an image does not depend on its batch");
  assert.match(refused.label, /^input: .*"blue"/);
  assert.match(refused.number, /^input: .*from 0 to 100 years/);
  assert.match(refused.composition, /^input: composition must be one of joint, each/);
});

test("on the page attributes are ticked and the number is a slider", async (t) => {
  const page = await lab.open(t, "?device=cpu#own");
  await page.fill("#own-address", `${lab.url}/attributes/`);
  await page.press("#own-address", "Enter");
  await said(page, /Opened/);
  await forget(page);
  await page.click("#own-card a >> text=Draw with it");
  await said(page, /^Drew/);
  assert.equal(await page.textContent("#classes-title"), "Attributes");
  const chips = page.locator("#classes .chip");
  assert.deepEqual(await chips.evaluateAll((all) => all.map((chip) => chip.getAttribute("role"))), ["checkbox", "checkbox", "checkbox"]);
  await chips.filter({ hasText: "none" }).click();
  await chips.filter({ hasText: "red" }).click();
  await chips.filter({ hasText: "green" }).click();
  assert.deepEqual(await chips.evaluateAll((all) => all.map((chip) => chip.getAttribute("aria-checked"))), ["true", "true", "false"]);
  await page.fill("#number", "90");
  assert.equal(await page.textContent("#number-name"), "age");
  assert.equal(await page.textContent("#number-value"), "90 years");
  await page.fill("#steps", "3");
  await page.locator("#count label", { hasText: /^1$/ }).click();
  await forget(page);
  await page.click("#draw");
  await said(page, /^Drew 1 /);
  const { seed, w } = Object.fromEntries(new URL(page.url()).searchParams);
  const [drawn] = await pixelsOf(page, "#sheet .tile canvas");
  const wanted = await natively("green+red", ["--number", "90"], { guidance: Number(w), seed: Number(seed) });
  assert.ok(difference(drawn, wanted) <= TOLERANCE);
});
