// The example worker of the package in workerd: PNGs for requests, one after another, at once, and after requests that end early.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { project, tarball } from "../browser/fresh.mjs";
import { decodePng } from "../browser/png.mjs";
import { program, request, run } from "./programs.mjs";
import { noWorkerd, startExample } from "./workerd.mjs";

const skip = { skip: noWorkerd };
const address = ({ classes, ...numbers }) => `/?${new URLSearchParams({ class: classes[0], ...numbers })}`;

let worker;
let drawn;

before(async () => {
  if (noWorkerd) return;
  const folder = await project({ after }, { "main.mjs": program() });
  ({ pixels: drawn } = await run("node", join(folder, "main.mjs")));
  worker = await startExample(folder);
});
after(async () => {
  await worker?.stop();
  await (await tarball()).remove();
});

async function draw(asked = request, init = {}) {
  const response = await fetch(worker.url + address(asked), { signal: AbortSignal.timeout(60_000), ...init });
  assert.equal(response.status, 200, worker.errors());
  assert.equal(response.headers.get("Content-Type"), "image/png");
  return [...decodePng(Buffer.from(await response.arrayBuffer())).pixels];
}

test("a request is answered with the picture that Node draws", skip, async () => assert.deepEqual(await draw(), drawn));

test("the model serves many requests, also at once", skip, async () => {
  for (let round = 0; round < 3; round += 1) assert.deepEqual(await draw(), drawn);
  const seeds = [1, 2, 3];
  const alone = [];
  for (const seed of seeds) alone.push(await draw({ ...request, seed }));
  assert.deepEqual(await Promise.all(seeds.map((seed) => draw({ ...request, seed }))), alone);
  assert.notDeepEqual(alone[0], alone[1]);
});

test("a request that is given up in the middle of its run holds up no other", skip, async () => {
  const control = new AbortController();
  const lost = draw({ ...request, steps: 500 }, { signal: control.signal });
  setTimeout(() => control.abort(), 300);
  await assert.rejects(lost, { name: "AbortError" });
  assert.deepEqual(await draw(), drawn);
});

test("what cannot be drawn is answered in words", skip, async () => {
  for (const [query, words] of [["?class=unicorn", /unicorn/], ["?class=food-drink&seed=-1", /seed must be/], ["?class=food-drink&steps=0", /steps/]]) {
    const response = await fetch(`${worker.url}/${query}`);
    assert.equal(response.status, 400);
    assert.match(await response.text(), words);
  }
});
