// The toy: exact densities and sampled points of three Gaussians.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { laboratory, pixelsOf, said } from "./lab.mjs";
import { packageFolder } from "./setup.mjs";

let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

const classes = [
  { mean: [0.5, 0], deviation: 0.2 },
  { mean: [-0.3, 0.45], deviation: 0.25 },
  { mean: [-0.25, -0.4], deviation: 0.15 },
];

test("its densities are the exact ones", async () => {
  const { openToy } = await import(pathToFileURL(`${packageFolder}/dist/toy.js`));
  const toy = (await openToy()).mixture(classes);
  const [side, extent] = [16, 1.5];
  const normal = ([x, y], { mean, deviation }) =>
    Math.exp(-0.5 * ((x - mean[0]) ** 2 + (y - mean[1]) ** 2) / deviation ** 2) / (2 * Math.PI * deviation ** 2);
  for (const [chosen, w] of [[0, 0], [0, 2], [2, 4], [1, -0.5], [null, 3]]) {
    const exact = [];
    for (let row = 0; row < side; row += 1) {
      for (let column = 0; column < side; column += 1) {
        const point = [extent * ((2 * column + 1) / side - 1), -extent * ((2 * row + 1) / side - 1)];
        const all = classes.reduce((sum, each) => sum + normal(point, each), 0) / 3;
        exact.push(chosen === null ? all : normal(point, classes[chosen]) * (normal(point, classes[chosen]) / all) ** w);
      }
    }
    const largest = Math.max(...exact);
    const found = toy.density({ class: chosen, guidance: w, side, extent });
    exact.forEach((value, at) => assert.ok(Math.abs(found[at] - value / largest) < 1e-5, `class ${chosen}, w ${w}, cell ${at}`));
  }
  toy.dispose();
});

test("its points have the moments of their class, and w = −1 those of the mixture", async () => {
  const { openToy } = await import(pathToFileURL(`${packageFolder}/dist/toy.js`));
  const toy = (await openToy()).mixture(classes);
  const points = 4000;
  const draw = async (request) => {
    let last;
    let frames = 0;
    for await (const frame of toy.sample({ points, steps: 64, sampler: "dpm++2m", seed: 3, ...request })) {
      last = frame;
      frames += 1;
    }
    assert.equal(frames, 65, "the noise and every step");
    return [0, 1].map((axis) => {
      const values = last.filter((_, at) => at % 2 === axis);
      const mean = values.reduce((sum, value) => sum + value, 0) / points;
      return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / points];
    });
  };
  for (const [chosen, { mean, deviation }] of classes.entries()) {
    const moments = await draw({ class: chosen, guidance: 0 });
    moments.forEach(([found, variance], axis) => {
      // Five standard errors of each.
      assert.ok(Math.abs(found - mean[axis]) < (5 * deviation) / Math.sqrt(points), `class ${chosen}: mean ${found}`);
      assert.ok(Math.abs(variance / deviation ** 2 - 1) < 5 * Math.sqrt(2 / points) + 0.03, `class ${chosen}: variance ${variance}`);
    });
  }
  const guided = await draw({ class: 0, guidance: 4 });
  assert.ok(guided[0][0] > classes[0].mean[0] + 0.05, "guidance pushes away from the others");
  toy.dispose();
});

test("what is no mixture is refused", async () => {
  const { openToy } = await import(pathToFileURL(`${packageFolder}/dist/toy.js`));
  const runtime = await openToy();
  for (const wrong of [[], [{ mean: [0, 0], deviation: 0 }], [{ mean: [0, NaN], deviation: 1 }]]) {
    assert.throws(() => runtime.mixture(wrong), { code: "input" });
  }
  const toy = runtime.mixture(classes);
  assert.throws(() => toy.density({ class: 3, guidance: 0, side: 4, extent: 1 }), { code: "input" });
  await assert.rejects(toy.sample({ class: 0, guidance: 0, points: 1, steps: 0, sampler: "ddim", seed: 0 }).next(), { code: "input" });
  toy.dispose();
});

test("on the page a class is moved with the keyboard and with the pointer, and the map follows", async (t) => {
  const page = await lab.open(t, "#toy", { reducedMotion: "reduce" });
  await said(page, /Density of class A with w 2; 400 points/);
  const map = async () => (await pixelsOf(page, ".density"))[0];
  const dots = async () => (await pixelsOf(page, ".points"))[0];
  const before = [await map(), await dots()];
  const handle = page.getByRole("slider", { name: /^Class A/ });
  await handle.focus();
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction(() => document.querySelector(".handle").getAttribute("aria-valuetext").startsWith("at 0.50, 0.05"));
  await said(page, /class A/);
  await page.waitForFunction((was) => {
    const canvas = document.querySelector(".density");
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.join() !== was;
  }, before[0].join());
  const box = await page.locator(".handle .dot").first().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 - 120, box.y + box.height / 2 - 60, { steps: 5 });
  await page.mouse.up();
  const [x] = (await handle.getAttribute("aria-valuetext")).match(/-?[\d.]+/);
  assert.ok(Number(x) < 0.1, `moved to ${x}`);
  await page.locator("#toy-class label", { hasText: "no class" }).click();
  await said(page, /Density of all classes/);
  assert.notDeepEqual(await dots(), before[1]);
});

test("the rail steers the toy, and the film can be gone back through", async (t) => {
  const page = await lab.open(t, "#toy", { reducedMotion: "reduce" });
  await said(page, /w 2; 400 points/);
  const dots = async () => (await pixelsOf(page, ".points"))[0];
  const last = await dots();
  await page.locator("#toy-scrub").fill("0");
  assert.notDeepEqual(await dots(), last);
  await page.locator("#guidance").fill("6");
  await said(page, /w 6; 400 points/);
});
