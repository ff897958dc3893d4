// The laboratory's exhibits of guidance: estimates side by side, strengths against classes, variety, fidelity, figures.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { difference, drawNatively, packageFolder, shipped, TOLERANCE } from "./setup.mjs";

const { folder: model, name: modelName } = shipped();
const samples = 500;
let lab;

const figures = {
  written_by: "freeguide 0.1.0",
  machine: "a test",
  command: "freeguide eval <b>--model</b>",
  samples,
  networks: [
    {
      name: "emoji16-classes",
      distance: "FD-Net",
      score: "IS-Net",
      floor: { images: 100, metrics: { frechet_distance: 0.5, inception_score: 3, precision: 0.8, recall: 0.9, accuracy: null } },
      cells: [0, 2].map((guidance) => ({
        sampler: "ddim",
        steps: 16,
        guidance,
        metrics: { frechet_distance: 1 + guidance, inception_score: 2, precision: 0.5, recall: 0.25, accuracy: 0.75 },
      })),
    },
  ],
};
const json = (value) => (_, response) => response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));

before(async () => {
  lab = await laboratory({
    routes: {
      [`/models/${modelName}/figures.json`]: json(figures),
      "/models/index.json": json({ models: [{ folder: modelName, name: modelName, classes: 9, size: 16, figures: true, classifier: "emoji16-classes" }] }),
    },
  });
});
after(() => lab?.close());

const evaluation = "[aria-labelledby=evaluation-title] .figures";
const small = "?device=cpu&class=flags&steps=4&n=1&seed=11";
const estimates = ".branch .estimate"; // without a class, with it, guided

test("the three estimates are shown at every step, and the last guided one is the picture", async (t) => {
  const page = await lab.open(t, `${small}&w=2#guidance`);
  await said(page, /4 steps, three estimates/);
  const [without, withClass, early] = await pixelsOf(page, estimates);
  assert.ok(difference(without, withClass) > TOLERANCE && difference(withClass, early) > TOLERANCE);
  await page.locator("#branches-step").fill("4");
  const [, , guided] = await pixelsOf(page, estimates);
  const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 11, count: 1 });
  assert.ok(difference(guided, native.pixels) <= TOLERANCE);
  await page.locator("#branches-step").fill("1");
  const first = await pixelsOf(page, estimates);
  assert.ok(difference(first[2], guided) > TOLERANCE, "the first step is another picture");
  assert.match(await page.textContent(".exhibit .time output"), /step 1 of 4/);
});

test("dragging w draws the same seed, and what is not needed is left out", async (t) => {
  const page = await lab.open(t, `${small}&w=2#guidance`);
  await said(page, /w 2:/);
  const before = await pixelsOf(page, estimates);
  await page.locator("#guidance").fill("0");
  await said(page, /w 0:/);
  assert.equal(await page.locator(".branch.unconditional .estimate.skipped").count(), 1, "one pass at w = 0");
  const plain = await pixelsOf(page, estimates);
  assert.deepEqual(plain[1], plain[2], "the class alone is the picture");
  await page.locator("#guidance").fill("2");
  await said(page, /w 2:/);
  assert.deepEqual(await pixelsOf(page, estimates), before);
  assert.match(page.url(), /w=2/);
});

test("the grid has every class at every strength from the same noise", async (t) => {
  const page = await lab.open(t, `${small}&w=1#guidance`);
  await said(page, /three estimates/);
  await forget(page);
  await page.click("#grid-draw");
  await said(page, /9 classes at 6 strengths/);
  const cells = await pixelsOf(page, ".strengths canvas");
  assert.equal(cells.length, 54);
  const [flags, column] = [2, 3]; // the third class; w = 2
  const [native] = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 4, seed: 11, count: 1 });
  assert.ok(difference(cells[flags * 6 + column], native.pixels) <= TOLERANCE);
  // Without a class they are all the same picture.
  assert.deepEqual(cells[0], cells[6]);
});

test("variety is measured on pictures that are shown", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags&steps=2&n=1&seed=11#guidance");
  await said(page, /three estimates/);
  await forget(page);
  await page.click("#variety-draw");
  await said(page, /Measured 64 pictures/);
  const label = await page.getAttribute(".chart", "aria-label");
  const shown = [...label.matchAll(/w (−?[\d.]+): ([\d.]+)/g)].map(([, w, value]) => [w, Number(value)]);
  assert.equal(shown.length, 8);
  const pictures = await pixelsOf(page, ".samples > div:nth-child(3) canvas");
  let sum = 0;
  let terms = 0;
  for (let a = 0; a < pictures.length; a += 1) {
    for (let b = a + 1; b < pictures.length; b += 1) {
      for (let at = 0; at < pictures[a].length; at += 1) {
        if (at % 4 === 3) continue;
        sum += (pictures[a][at] - pictures[b][at]) ** 2;
        terms += 1;
      }
    }
  }
  assert.equal(shown[2][0], "0");
  assert.ok(Math.abs(shown[2][1] - Math.sqrt(sum / terms)) <= 0.051);
});

test("the figures of an evaluation are shown as they were written, as text", async (t) => {
  const page = await lab.open(t, `${small}#guidance`);
  await page.waitForSelector(evaluation);
  const rows = await page.locator(`${evaluation} tbody tr`).allTextContents();
  assert.deepEqual(rows, ["0ddim, 161.002.0075 %50 %25 %", "2ddim, 163.002.0075 %50 %25 %", "real100 images0.503.00–80 %90 %"]);
  assert.equal(await page.locator(`${evaluation} .best`).count(), 1);
  assert.equal(await page.getByText("freeguide eval <b>--model</b>").count(), 1);
});

const classifierFile = join(model, "classifier.safetensors");

test("fidelity and diversity are measured by a classifier, beside what was measured before", async (t) => {
  const page = await lab.open(t, "?device=cpu&steps=2&n=1&seed=11#guidance");
  await said(page, /three estimates/);
  await page.waitForSelector("#fidelity-draw");
  await forget(page);
  await page.click("#fidelity-draw");
  await said(page, /Measured 90 pictures by their class/);
  const rows = await page.locator("#fidelity-figures tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(rows.map(([w, count]) => `${w}: ${count}`), ["0: 18", "0.5: 18", "1: 18", "2: 18", "4: 18"]);
  // The evaluation has figures at w = 0 and 2 only.
  assert.deepEqual(rows.map((row) => `${row[3]} ${row[5]}`), ["75 % 2.00", "– –", "– –", "75 % 2.00", "– –"]);
  for (const [, , recognised, , score, , variety] of rows) {
    assert.match(recognised, /^\d+ %$/);
    assert.ok(Number(score) >= 1 && Number(score) <= 9 && Number(variety) > 0, `${score} ${variety}`);
  }
  const label = await page.getAttribute(".chart.trade-off", "aria-label");
  assert.equal([...label.matchAll(/show their class/g)].length, 5);
  assert.match(label, new RegExp(`w 2: ${rows[3][2]} show their class, variety ${rows[3][6]}`));
});

test("the package classifies pictures one by one or many at once, and refuses what it cannot", async () => {
  const { loadClassifier } = await import(pathToFileURL(`${packageFolder}/dist/classifier.js`));
  const classifier = await loadClassifier(pathToFileURL(classifierFile));
  const { classes } = JSON.parse(await readFile(join(model, "config.json"), "utf8"));
  assert.deepEqual(classifier.classes, classes);
  assert.ok(classifier.accuracy > 0.5 && classifier.accuracy < 1);
  const native = await drawNatively({ model, classes: ["flags"], guidance: 2, steps: 8, seed: 11, count: 3 });
  const pictures = native.map(({ pixels }) => ({ data: Uint8ClampedArray.from(pixels), width: classifier.size, height: classifier.size }));
  const answers = await classifier.classify(pictures);
  assert.equal(answers.length, 3);
  for (const { probabilities, features } of answers) {
    assert.ok(Math.abs(probabilities.reduce((a, b) => a + b) - 1) < 1e-5);
    assert.ok(features.length > classes.length && features.every((value) => value >= 0 && Number.isFinite(value)));
  }
  // An answer does not depend on the batch.
  const [alone] = await classifier.classify(pictures.slice(1, 2));
  alone.probabilities.forEach((p, at) => assert.ok(Math.abs(p - answers[1].probabilities[at]) < 1e-5));
  // Pictures of another size are resized: of one colour they stay what they are.
  const plain = (side) => ({ data: new Uint8ClampedArray(4 * side * side).fill(90), width: side, height: side });
  const [[own], [other]] = [await classifier.classify([plain(classifier.size)]), await classifier.classify([plain(37)])];
  own.probabilities.forEach((p, at) => assert.ok(Math.abs(p - other.probabilities[at]) < 1e-5));
  assert.ok(Math.max(...own.probabilities.map((p, at) => Math.abs(p - answers[0].probabilities[at]))) > 1e-3);
  await assert.rejects(classifier.classify([plain(16), plain(32)]), { code: "input", message: /of one size, not of 16×16 and 32×32 pixels/ });
  await assert.rejects(classifier.classify([{ ...plain(16), height: 4 }]), { code: "input" });
  classifier.dispose();
  await assert.rejects(loadClassifier(pathToFileURL(join(model, "model.safetensors"))), { code: "bundle" });
  await assert.rejects(loadClassifier(pathToFileURL(join(model, "nothing.safetensors"))), { code: "network" });
});

test("without a classifier the page says what is missing", async (t) => {
  const bare = await laboratory({
    routes: { "/models/index.json": json({ models: [{ folder: modelName, name: modelName, classes: 9, size: 16, figures: false, classifier: null }] }) },
  });
  t.after(() => bare.close());
  const page = await bare.open(t, `${small}#guidance`);
  await page.getByText(/needs a classifier, and the model has none/).waitFor();
  assert.equal(await page.locator("#fidelity-draw").isVisible(), false);
});
