// The laboratory's slider from one class to another.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { forget, laboratory, pixelsOf, said } from "./lab.mjs";
import { difference, drawNatively, shipped, TOLERANCE } from "./setup.mjs";

const { folder: model } = shipped();
const address = "?device=cpu&class=flags&class=symbols&w=2&steps=6&n=1&seed=20&sampler=ddim";
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

const drawn = (page) => pixelsOf(page, "#sheet .tile canvas").then(([first]) => first);
const native = async (name) => (await drawNatively({ model, classes: [name], guidance: 2, steps: 6, seed: 20, count: 1 }))[0].pixels;

async function draw(page) {
  await page.waitForFunction(() => !document.body.classList.contains("busy"));
  await forget(page);
  await page.locator("#draw").click();
  await said(page, /^Drew/);
}

test("a slider goes from one class to another, as the command does it", async (t) => {
  const page = await lab.open(t, address);
  await said(page, /^Drew/);
  await page.locator("#live").evaluate((live) => {
    if (live.checked) live.click();
  });
  await page.locator("#blend").check({ force: true });
  const slider = page.getByRole("slider", { name: "From the first class to the second" });
  for (const [weight, text] of [["0", "flags"], ["0.3", "flags:0.7,symbols:0.3"], ["1", "symbols"]]) {
    await slider.fill(weight);
    await draw(page);
    assert.ok(difference(await drawn(page), await native(text)) <= TOLERANCE, text);
    assert.deepEqual(new URL(page.url()).searchParams.getAll("class"), [text]);
  }
  // A link to a mix opens with the slider where it was.
  const again = await lab.open(t, "?device=cpu&class=flags:0.65,symbols:0.35&w=2&steps=6&n=1&seed=20&sampler=ddim");
  await said(again, /^Drew/);
  assert.equal(await again.locator("#blend-weight").inputValue(), "0.35");
  assert.equal(await again.locator("#blend").isChecked(), true);
  assert.deepEqual(await again.locator('.chip[aria-pressed="true"]').allTextContents(), ["flags", "symbols"]);
  await again.locator(".chip", { hasText: "objects" }).click();
  assert.equal(await again.locator("#blend-field").isHidden(), true, "three classes take turns");
});

test("a mix that makes no sense is said to be unknown", async (t) => {
  const page = await lab.open(t, "?device=cpu&class=flags:0.5,symbols:0.2&w=2&steps=2&n=1&seed=20&sampler=ddim");
  await page.waitForFunction(() => document.body.textContent.includes("does not know class “flags:0.5,symbols:0.2”"));
});
