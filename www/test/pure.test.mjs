// What of the page needs no page: addresses that visitors type, settings in addresses, snippets.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

let vite;
let address;
let settings;
let snippets;
let metrics;
let figures;
let labels;

before(async () => {
  vite = await createServer({
    configFile: false,
    root: fileURLToPath(new URL("..", import.meta.url)),
    logLevel: "error",
    appType: "custom",
    server: { middlewareMode: true, hmr: false, ws: false },
    optimizeDeps: { noDiscovery: true },
  });
  [address, settings, snippets, metrics, figures, labels] = await Promise.all(
    ["own/address", "app/settings", "embed/snippets", "guidance/metrics", "guidance/figures", "guidance/labels"].map((name) => vite.ssrLoadModule(`/src/${name}.ts`)),
  );
});
after(() => vite?.close());

test("addresses of bundles, and of Hugging Face repositories", () => {
  const hub = "https://huggingface.co/someone/pictures/resolve";
  const known = {
    "https://example.org/models/mine": "https://example.org/models/mine/",
    " https://example.org/models/mine/config.json ": "https://example.org/models/mine/",
    "https://example.org/m/?key=1#top": "https://example.org/m/?key=1",
    "example.org/models/mine/": "https://example.org/models/mine/",
    "http://localhost:8080/m": "http://localhost:8080/m/",
    "someone/pictures": `${hub}/main/`,
    "hf:someone/pictures": `${hub}/main/`,
    "https://huggingface.co/someone/pictures": `${hub}/main/`,
    "huggingface.co/someone/pictures/tree/main": `${hub}/main/`,
    "https://huggingface.co/someone/pictures/tree/v2/emoji/16": `${hub}/v2/emoji/16/`,
    "https://huggingface.co/someone/pictures/blob/main/config.json": `${hub}/main/`,
  };
  for (const [typed, expected] of Object.entries(known)) assert.equal(address.bundleAddress(typed), expected, typed);
  for (const wrong of ["", "a b", "javascript:alert(1)", "file:///etc/", "https://huggingface.co/datasets/a/b", "https://huggingface.co/someone"]) {
    assert.equal(address.bundleAddress(wrong), undefined, wrong);
  }
});

const model = { classes: ["cat", "a & b", "fish"], sampling: { sampler: "ddim", steps: 8, guidance: 1 }, image: { size: 16 } };

test("settings go into an address and come out the same", () => {
  const all = {
    classes: ["a & b", null],
    guidance: -0.4,
    steps: 12,
    sampler: "dpm++2m",
    seed: 2 ** 53 - 1,
    count: 16,
    view: "between",
    toward: 99,
    policy: "apg",
    rescale: 0,
    interval: { min: -3, max: 5.5 },
  };
  const query = settings.writeSettings(all, new URLSearchParams("model=x&device=cpu"));
  assert.equal(query.get("model"), "x");
  assert.deepEqual(settings.readSettings(new URLSearchParams(query.toString()), model), { settings: all, unknown: [] });
  const plain = settings.defaultSettings(model);
  const back = settings.writeSettings(plain, query);
  assert.deepEqual([...back.keys()].filter((name) => ["policy", "from", "until", "toward", "view"].includes(name)), []);
  assert.deepEqual(settings.readSettings(back, model).settings, { ...plain });
});

test("a first sheet shows classes from all of a model's, each once", () => {
  const first = (count) => {
    const classes = Array.from({ length: count }, (_, at) => String(at));
    return settings.defaultSettings({ ...model, classes }).classes.join(" ");
  };
  assert.equal(first(2), "0 1");
  assert.equal(first(10), "0 1 2 3 4 5 6 7 8");
  assert.equal(first(20), "0 2 4 6 8 11 13 15 17");
  assert.deepEqual(settings.defaultSettings({ ...model, classes: [] }).classes, [null]);
});

test("what an address asks for and nobody knows is said", () => {
  const { settings: read, unknown } = settings.readSettings(
    new URLSearchParams("class=dog&sampler=magic&seed=-1&policy=best&w=1e9&steps=0&from=9&until=2"),
    model,
  );
  assert.equal(unknown.length, 4);
  assert.deepEqual([read.guidance, read.steps, read.interval, read.policy], [100, 1, undefined, "cfg"]);
});

test("snippets are safe whatever classes and folders are called", () => {
  const embedding = {
    packageFolder: `./"><script>alert(1)</script>/`,
    model: `./it's/`,
    settings: { ...settings.defaultSettings(model), classes: [`</script><b a="b">&`], count: 2 },
  };
  const element = snippets.elementSnippet(embedding);
  assert.equal(element.match(/<script/g).length, 1);
  assert.ok(element.includes("class-name=\"&lt;/script>&lt;b a=&quot;b&quot;>&amp;\""));
  const page = snippets.pageSnippet(embedding);
  assert.equal(page.match(/<\/script/g).length, 1);
  assert.match(snippets.commandSnippet(embedding, "a b"), /--model 'a b'/);
});

test("what is measured of pictures that a classifier has looked at", () => {
  const seen = (asked, probabilities, features) => ({ asked, probabilities: Float32Array.from(probabilities), features: Float32Array.from(features) });
  const near = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-6, `${found}, not ${expected}`);
  for (const each of [metrics.recognised, metrics.inceptionScore, metrics.variety]) assert.equal(each([]), undefined);
  const pictures = [seen(0, [1, 0], [0, 0]), seen(0, [0, 1], [3, 4]), seen(1, [0, 1], [9, 9]), seen(1, [1, 0], [9, 10])];
  near(metrics.recognised(pictures), 0.5);
  // Certain and even over two classes: 2. All alike: 1. In between: exp of the mutual information.
  near(metrics.inceptionScore(pictures), 2);
  near(metrics.inceptionScore([pictures[0], pictures[0]]), 1);
  const unsure = [seen(0, [0.75, 0.25], [0]), seen(1, [0.25, 0.75], [0])];
  near(metrics.inceptionScore(unsure), Math.exp(0.75 * Math.log(1.5) + 0.25 * Math.log(0.5)));
  // 5 within the first class, 1 within the second; pictures of two classes do not count.
  near(metrics.variety(pictures), 3);
  assert.equal(metrics.variety([pictures[0], pictures[2]]), undefined);
});

test("of a report that compares models, the figures of one", () => {
  const cells = [0, 1, 0].map((model, place) => ({ model, guidance: place }));
  const report = { models: [{ label: "a" }, { label: "b" }], networks: [{ name: "n", cells }] };
  const strengths = (name) => figures.only(name, report).networks[0].cells.map(({ guidance }) => guidance);
  assert.deepEqual([strengths("a"), strengths("b"), strengths("neither")], [[0, 2], [1], [0, 1, 2]]);
});

test("labels of near points lie neither on one another nor on a point, nor outside", () => {
  // As fidelity and diversity come out for a good model: all in a corner.
  const points = [[510, 90], [520, 74], [516, 62], [500, 56], [470, 52], [594, 47]].map(([x, y]) => ({ x, y }));
  const placed = labels.placeLabels(points, [640, 260]);
  assert.equal(placed.length, points.length);
  for (const [k, { x, y }] of placed.entries()) {
    assert.ok(x >= 22 && x <= 618 && y >= 8 && y <= 252, `${x}, ${y}`);
    assert.ok(Math.hypot(x - points[k].x, y - points[k].y) <= 80);
    for (const other of placed.slice(k + 1)) assert.ok(Math.abs(other.x - x) >= 44 || Math.abs(other.y - y) >= 16);
    for (const mark of points) assert.ok(Math.abs(mark.x - x) >= 22 || Math.abs(mark.y - y) >= 8);
  }
  assert.deepEqual(labels.placeLabels([{ x: 100, y: 100 }], [640, 260]), [{ x: 100, y: 83 }]);
});
