// Takes the pictures of the page that the documentation shows:
//   node screenshot.mjs OUT.png ['?class=flags&w=2'] [1280x900] [light|dark]
// The site is the one of the tests (FREEGUIDE_SITE), the pictures are the ones that its model draws.
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { site } from "./setup.mjs";

const [out, query = "", size = "1280x900", colorScheme = "light"] = process.argv.slice(2);
if (!out) {
  console.error("usage: node screenshot.mjs OUT.png [QUERY] [WIDTHxHEIGHT] [light|dark]");
  process.exit(2);
}
const [width, height] = size.split("x").map(Number);
const server = await serve({ "/": site });
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: 2 });
  await page.goto(`${server.url}/${query}`);
  await page.waitForFunction(() => /^Drew/.test(document.getElementById("status").textContent), undefined, {
    timeout: 600_000,
  });
  await page.screenshot({ path: out });
} finally {
  await browser.close();
  await server.close();
}
