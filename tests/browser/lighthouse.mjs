// Lighthouse on the built site, as a phone: the package's CPU build, one picture in two steps. `node lighthouse.mjs` writes
// docs/results/lighthouse.md, the median of three runs.
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import lighthouse from "lighthouse";
import { freePort } from "../common/free-port.mjs";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { site } from "./setup.mjs";

export const CATEGORIES = ["accessibility", "best-practices", "performance"];
export const FIGURES = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"];
const RUNS = 3;

/** One run of Lighthouse, in a browser of its own. */
export async function audit() {
  const port = await freePort();
  const server = await serve({ "/": site });
  const browser = await launch({ args: [`--remote-debugging-port=${port}`] });
  try {
    const options = { port, output: "json", logLevel: "error", onlyCategories: CATEGORIES };
    const { lhr } = await lighthouse(`${server.url}/?device=cpu&steps=2&n=1`, options);
    return lhr;
  } finally {
    await browser.close();
    await server.close();
  }
}

/** A category's score, of 100. */
export const score = (lhr, name) => Math.round(100 * lhr.categories[name].score);

async function report() {
  const runs = [];
  for (let run = 0; run < RUNS; run += 1) runs.push(await audit());
  const median = (values) => values.sort((a, b) => a - b)[RUNS >> 1];
  const range = (values) => `${Math.min(...values)} to ${Math.max(...values)}`;
  const row = (name, values) => `| ${name} | ${median([...values])} | ${range(values)} |`;
  const figure = (name) => {
    const unit = runs[0].audits[name].numericUnit === "millisecond" ? ", ms" : "";
    const digits = unit ? 0 : 3;
    return row(`${name.replaceAll("-", " ")}${unit}`, runs.map((lhr) => Number(lhr.audits[name].numericValue.toFixed(digits))));
  };
  const [{ lighthouseVersion, configSettings }] = runs;
  const { rttMs, throughputKbps, cpuSlowdownMultiplier } = configSettings.throttling;
  const text = `# Lighthouse

Lighthouse ${lighthouseVersion} in Chromium loads the built site as a phone, with the CPU build: \`node tests/browser/lighthouse.mjs\`, with
\`FREEGUIDE_SITE\` naming the built site. It simulates ${rttMs} ms of latency, ${throughputKbps} kbit/s, and a processor ${cpuSlowdownMultiplier} times slower than this
machine's (${cpus().length} cores of an ${cpus()[0].model}). The server does not compress; hosts that do are faster.

| | median of ${RUNS} | range |
|---|---|---|
${CATEGORIES.map((name) => row(`${name.replaceAll("-", " ")}, of 100`, runs.map((lhr) => score(lhr, name)))).join("\n")}
${FIGURES.map(figure).join("\n")}

The tests require at least 95 for accessibility and best practices. Performance is only reported, because it also depends on the
machine.
`;
  await writeFile(fileURLToPath(new URL("../../docs/results/lighthouse.md", import.meta.url)), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await report();
