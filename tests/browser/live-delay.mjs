// How long a picture takes to follow the slider: from the slider's event to the first frame with another picture.
//
//   FREEGUIDE_SITE=dist/site node tests/browser/live-delay.mjs [MODEL] [cpu|webgpu]
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { site } from "./setup.mjs";

const [model = "emoji16-fast", device = "cpu"] = process.argv.slice(2);
const MOVES = 21;

const browser = await launch({ webgpu: device === "webgpu" });
const server = await serve({ "/": site });
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}/?model=${model}&device=${device}&n=1&w=1&seed=5`);
  await page.waitForFunction(() => /^Drew/.test(document.getElementById("status").textContent), undefined, { timeout: 120_000 });
  const times = await page.evaluate(async (moves) => {
    const slider = document.getElementById("guidance");
    const canvas = document.querySelector("#sheet .tile canvas");
    const picture = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.join();
    const rest = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
    const times = [];
    for (let move = 0; move < moves; move += 1) {
      // Longer than the page waits before it draws a resting thumb's picture again.
      await rest(800);
      const before = picture();
      const begun = performance.now();
      slider.value = String(move % 2 === 0 ? 4 : 0.5);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      while (picture() === before) await new Promise(requestAnimationFrame);
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b);
  }, MOVES);
  const at = (share) => `${Math.round(times[Math.floor(share * (times.length - 1))])} ms`;
  console.log(`${model} on the ${device} build: median ${at(0.5)}, from ${at(0)} to ${at(1)}, of ${MOVES} moves`);
} finally {
  await browser.close();
  await server.close();
}
