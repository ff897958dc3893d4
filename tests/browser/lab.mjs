// What the tests of the laboratory share: the built site in fresh profiles, and what can be read off it.
import assert from "node:assert/strict";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { forShipped, site } from "./setup.mjs";

/** A browser and a server of the site for one test file; `open` makes pages that fail their test on any error. */
export async function laboratory({ folders = {}, routes = {} } = {}) {
  const browser = await launch();
  const server = await serve({ "/": site, ...folders }, routes);
  return {
    url: server.url,
    async open(t, address = "", { expectErrors = false, ...context } = {}) {
      const profile = await browser.newContext({ viewport: { width: 1280, height: 900 }, serviceWorkers: "block", ...context });
      profile.setDefaultTimeout(PATIENCE);
      const page = await profile.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      t.after(async () => {
        await profile.close();
        if (!expectErrors) assert.deepEqual(errors, [], "the page's errors");
      });
      await page.goto(`${server.url}/${forShipped(address)}`);
      return page;
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** Milliseconds that a page may go without a sign of life, on a machine that is busy. */
const PATIENCE = Number(process.env.PATIENCE ?? 120_000);

/**
 * Waits until the page says something. However long it takes, the page may go on as long as its step, its progress or its words
 * change; one that stands still fails the test with what it said last.
 */
export async function said(page, pattern) {
  const failure = await page.evaluate(
    ([source, patience]) =>
      new Promise((resolve) => {
        const signs = ["status", "problem", "loading-words", "loading-bar", "scrub-at", "meter-step", "meter-nfe", "meter-device"].map((id) => document.getElementById(id));
        const [status, problem] = signs;
        const done = (words) => {
          observer.disconnect();
          clearTimeout(timer);
          resolve(words);
        };
        const idle = () =>
          done(`nothing changes any more; the page says "${status.textContent}"${problem.hidden ? "" : ` and shows "${problem.textContent}"`}`);
        let timer = setTimeout(idle, patience);
        const look = () => {
          clearTimeout(timer);
          if (new RegExp(source).test(status.textContent)) return done(null);
          timer = setTimeout(idle, patience);
        };
        const observer = new MutationObserver(look);
        for (const sign of signs) observer.observe(sign, { subtree: true, childList: true, characterData: true, attributes: true });
        look();
      }),
    [pattern.source, PATIENCE],
  );
  if (failure !== null) assert.fail(`waiting for ${pattern}: ${failure}`);
}

/** Forgets what was said, so that the next wait waits for news. */
export const forget = (page) => page.evaluate(() => (document.getElementById("status").textContent = ""));

/** RGBA pixels of every canvas that a selector finds, in order. */
export const pixelsOf = (page, selector) =>
  page.evaluate(
    (selector) =>
      [...document.querySelectorAll(selector)].map((canvas) => [
        ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data,
      ]),
    selector,
  );
