// Lighthouse on the built site, as a phone: accessibility and best practices must be 95 or more, the rest is reported.
// And axe on every part, in both themes, since Lighthouse sees only the first.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { laboratory, said } from "./lab.mjs";
import { audit, CATEGORIES, FIGURES, score } from "./lighthouse.mjs";

const LEAST = 95;
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

test("Lighthouse", async (t) => {
  const lhr = await audit();
  t.diagnostic(CATEGORIES.map((name) => `${name} ${score(lhr, name)}`).join(", "));
  t.diagnostic(FIGURES.map((name) => `${name} ${lhr.audits[name].displayValue}`).join(", "));
  for (const name of ["accessibility", "best-practices"]) {
    const failed = lhr.categories[name].auditRefs
      .map(({ id }) => lhr.audits[id])
      .filter(({ score, scoreDisplayMode }) => score !== null && score < 1 && scoreDisplayMode !== "informative")
      .map(({ id, details }) => `${id}: ${(details?.items ?? []).map(({ node }) => node?.snippet).join(" ")}`);
    if (failed.length > 0) t.diagnostic(`${name} loses points by ${failed.join("; ")}`);
    assert.ok(score(lhr, name) >= LEAST, `${name} ${score(lhr, name)}: ${failed.join("; ")}`);
  }
});

const parts = {
  draw: (page) => said(page, /^Drew/),
  guidance: (page) => said(page, /^Drew/),
  toy: (page) => said(page, /points/),
  own: (page) => page.waitForSelector("#own-address"),
  embed: (page) => page.waitForSelector("#embed-element:not(:empty)"),
};

for (const [name, ready] of Object.entries(parts)) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing in ${name}, ${colorScheme}`, async (t) => {
      const page = await lab.open(t, `?device=cpu&steps=2&n=1#${name}`, { colorScheme });
      await ready(page);
      await page.evaluate(await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8"));
      const found = await page.evaluate(async () => (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`));
      assert.deepEqual(found, []);
    });
  }
}
