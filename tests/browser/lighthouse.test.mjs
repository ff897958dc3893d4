// Lighthouse on the built site, as a phone: accessibility and best practices must be 95 or more, the rest is reported.
// And axe on every part, in both themes, since Lighthouse sees only the first.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import lighthouse from "lighthouse";
import { launch } from "./browser.mjs";
import { laboratory, said } from "./lab.mjs";
import { serve } from "./server.mjs";
import { site } from "./setup.mjs";

const LEAST = 95;
let lab;

before(async () => {
  lab = await laboratory();
});
after(() => lab?.close());

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("Lighthouse", async (t) => {
  const port = await freePort();
  const server = await serve({ "/": site });
  const browser = await launch({ args: [`--remote-debugging-port=${port}`] });
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const { lhr } = await lighthouse(`${server.url}/?device=cpu&steps=2&n=1`, {
    port,
    output: "json",
    logLevel: "error",
    onlyCategories: ["accessibility", "best-practices", "performance"],
  });
  const score = (name) => Math.round(100 * lhr.categories[name].score);
  const figure = (name) => lhr.audits[name].displayValue;
  t.diagnostic(`accessibility ${score("accessibility")}, best practices ${score("best-practices")}, performance ${score("performance")}`);
  t.diagnostic(
    ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"]
      .map((name) => `${name} ${figure(name)}`)
      .join(", "),
  );
  for (const name of ["accessibility", "best-practices"]) {
    const failed = lhr.categories[name].auditRefs
      .map(({ id }) => lhr.audits[id])
      .filter(({ score, scoreDisplayMode }) => score !== null && score < 1 && scoreDisplayMode !== "informative")
      .map(({ id, details }) => `${id}: ${(details?.items ?? []).map(({ node }) => node?.snippet).join(" ")}`);
    if (failed.length > 0) t.diagnostic(`${name} loses points by ${failed.join("; ")}`);
    assert.ok(score(name) >= LEAST, `${name} ${score(name)}: ${failed.join("; ")}`);
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
