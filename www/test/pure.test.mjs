// What of the page needs no page: addresses that visitors type, settings in addresses, snippets.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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
let restore;

before(async () => {
  vite = await createServer({
    configFile: false,
    root: fileURLToPath(new URL("..", import.meta.url)),
    logLevel: "error",
    appType: "custom",
    server: { middlewareMode: true, hmr: false, ws: false },
    optimizeDeps: { noDiscovery: true },
  });
  [address, settings, snippets, metrics, figures, labels, restore] = await Promise.all(
    ["own/address", "app/settings", "embed/snippets", "guidance/metrics", "guidance/figures", "guidance/labels", "draw/restore"].map((name) => vite.ssrLoadModule(`/src/${name}.ts`)),
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

test("what a distilled model does not take is left out of an address", () => {
  const student = { ...model, network: { guidance: { kind: "input", min: -1, max: 4 } } };
  const read = (query, config) => settings.readSettings(new URLSearchParams(query), config);
  const asked = "w=6&policy=apg&from=-3&until=3&steps=8";
  const { settings: found, unknown } = read(asked, student);
  assert.deepEqual(found.drawing, { guidance: 1, steps: 8, sampler: "ddim", seed: 2 });
  assert.equal(unknown.length, 4);
  assert.ok(unknown.every((text) => text.includes("with a distilled model")), unknown.join());
  assert.equal(read("w=4", student).settings.drawing.guidance, 4);
  assert.equal(read(asked, model).settings.drawing.guidance, 6);
});

test("settings go into an address and come out the same", () => {
  const all = {
    classes: ["a & b", null],
    count: 16,
    view: "between",
    otherSeed: 99,
    variation: 0.2,
    drawing: {
      guidance: -0.4,
      steps: 12,
      sampler: "dpm++2m",
      seed: 2 ** 53 - 1,
      guidancePolicy: { kind: "apg" },
      guidanceInterval: { min: -3, max: 5.5 },
    },
  };
  const query = settings.writeSettings(all, new URLSearchParams("model=x&device=cpu"));
  assert.equal(query.get("model"), "x");
  assert.deepEqual(settings.readSettings(new URLSearchParams(query.toString()), model), { settings: all, unknown: [] });
  const mixed = { ...all, view: "sheet", classes: [{ cat: 0.25, "a & b": 0.75 }, "fish", null] };
  const address = settings.writeSettings(mixed, new URLSearchParams("model=x"));
  assert.deepEqual(settings.readSettings(new URLSearchParams(address.toString()), model).settings.classes, mixed.classes);
  const plain = settings.defaultSettings(model);
  const back = settings.writeSettings(plain, query);
  assert.deepEqual([...back.keys()].sort(), ["class", "class", "class", "device", "model", "n", "sampler", "seed", "steps", "w"]);
  assert.deepEqual(settings.readSettings(back, model).settings, { ...plain });
});

test("links of earlier versions are read as they were meant", () => {
  const read = (query, own) => {
    const config = { ...model, sampling: { ...model.sampling, ...own } };
    const { settings: found, unknown } = settings.readSettings(new URLSearchParams(query), config);
    assert.deepEqual(unknown, []);
    return found;
  };
  const old = "class=cat&w=2&steps=8&sampler=ddim&seed=5&n=4";
  const drawing = { guidance: 2, steps: 8, sampler: "ddim", seed: 5 };
  assert.deepEqual(read(old).drawing, drawing);
  assert.deepEqual(read(`${old}&rescale=0.5&from=-3`).drawing, {
    ...drawing,
    guidancePolicy: { rescale: 0.5 },
    guidanceInterval: { min: -3, max: 40 },
  });
  const apg = { guidance_policy: { kind: "apg" } };
  assert.deepEqual(read(`${old}&rescale=0.5`, apg).drawing.guidancePolicy, { kind: "cfg", rescale: 0.5 });
  const between = read(`${old}&view=between&toward=31`);
  assert.deepEqual([between.view, between.otherSeed, between.drawing], ["between", 31, drawing]);
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

test("a model of letters spells words", () => {
  const letters = { ...model, classes: [..."0123abcdefghilmnorstuAB"] };
  const read = (query) => settings.readSettings(new URLSearchParams(query), letters).settings;
  const first = read("");
  assert.deepEqual([first.word, first.count, first.classes.join("")], ["free guide", 9, "freeguide"]);
  // The other case stands in for a letter that is not there; other characters are left out.
  assert.equal(settings.spelling(" Hello,  B é! ", letters), "hello B");
  assert.equal([...settings.spelling("a".repeat(60), letters)].length, 24);
  const written = settings.writeSettings(settings.spelled(first, "ab ba"), new URLSearchParams("model=glyphs"));
  assert.equal(written.get("word"), "ab ba");
  assert.deepEqual([written.has("n"), written.has("class")], [false, false]);
  const again = read(written);
  assert.deepEqual([again.word, again.classes, settings.runsOf(again)[0].classes], ["ab ba", [..."abba"], [..."abba"]]);
  // Classes and numbers of pictures are asked for as of any other model.
  assert.equal(read("class=a&n=4").word, undefined);
  assert.deepEqual(settings.runsOf(read("class=a&n=4"))[0].classes, [..."aaaa"]);
  // Words are for models of letters alone.
  assert.equal(settings.readSettings(new URLSearchParams("word=cat"), model).settings.word, undefined);
});

test("what an address asks for and nobody knows is said", () => {
  const { settings: read, unknown } = settings.readSettings(
    new URLSearchParams("class=dog&sampler=magic&seed=-1&policy=best&w=1e9&steps=0&from=9&until=2"),
    model,
  );
  assert.equal(unknown.length, 7);
  assert.deepEqual(read, settings.defaultSettings(model));
  const other = settings.readSettings(new URLSearchParams("policy=apg&rescale=0.5"), model);
  assert.deepEqual(other.unknown, ["rescale “0.5” with the policy apg"]);
});

test("settings that a model has of its own are left to it", () => {
  const own = { ...model, sampling: { ...model.sampling, guidance_policy: { kind: "apg", eta: 0.5 }, guidance_interval: { min: -3, max: 4 } } };
  const { drawing } = settings.defaultSettings(own);
  assert.deepEqual(drawing, { guidance: 1, steps: 8, sampler: "ddim", seed: 2 });
  assert.equal(settings.policyOf(drawing, own), "apg");
});

// Written by the tests of src/settings: every value of every setting, as a picture's file has it and as the command says it.
const { bundles, cases } = JSON.parse(readFileSync(new URL("../../tests/fixtures/settings.json", import.meta.url), "utf8"));
// A model of attributes and a number where a picture has them.
const ofConditions = ({ class: asked, number }) => ({
  ...(Array.isArray(asked) && { conditions: "attributes" }),
  ...(number !== undefined && { number: { name: "age", min: 0, max: 90 } }),
});
const pets = (bundle, picture = {}) => ({ name: "pets", classes: ["cat", "dog"], image: { size: 16 }, sampling: bundles[bundle], network: ofConditions(picture) });

/** The arguments of every `freeguide` that a shell runs of a snippet. */
function commandsOf(snippet) {
  const script = `freeguide() { printf '%s\\0' "$@"; printf '\\n'; }\n${snippet}`;
  const lines = execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\n").filter((line) => line !== "");
  return lines.map((line) => line.split("\0").slice(0, -1));
}

/** What of a command's arguments the view decides, and the rest. */
function split(words) {
  const view = {};
  const rest = [];
  for (let at = words[0] === "sample" ? 1 : 0; at < words.length; at += 1) {
    const name = words[at].replace(/^--/, "");
    if (["model", "class", "count", "out", "first-image"].includes(name)) view[name] = words[(at += 1)];
    else rest.push(words[at]);
  }
  return { view, rest };
}

/** The options with which a program calls `sample`. */
async function optionsOf(program) {
  const calls = [];
  const loadModel = async () => ({
    async *sample(options) {
      calls.push(options);
    },
  });
  const body = program.replace(/^import .*$/m, "");
  await new (Object.getPrototypeOf(async () => {}).constructor)("loadModel", "document", body)(loadModel, {});
  return calls;
}

test("every setting goes from a picture to the page, an address and a snippet, into the command that draws it", async () => {
  for (const { bundle, picture, class: asked, arguments: expected } of cases) {
    const config = pets(bundle, picture);
    const { settings: dropped, unknown } = restore.sheetOf([picture], config);
    assert.deepEqual(unknown, []);
    const query = settings.writeSettings(dropped, new URLSearchParams("model=pets")).toString();
    const opened = settings.readSettings(new URLSearchParams(query), config);
    assert.deepEqual(opened, { settings: dropped, unknown: [] });
    const embedding = { packageFolder: "./freeguide/", model: "./pets/", settings: opened.settings };

    const [command, ...others] = commandsOf(snippets.commandSnippet(embedding, "models/pets"));
    assert.deepEqual(others, []);
    const { view, rest } = split(command);
    assert.deepEqual(rest, split(expected).rest);
    assert.deepEqual([view.model, view.class], ["models/pets", asked]);
    const place = picture.image - Number(view["first-image"] ?? 0);
    assert.ok(place >= 0 && place < Number(view.count), "the picture is among those that the command draws");

    const [options] = await optionsOf(snippets.moduleSnippet(embedding));
    const { classes, ...drawing } = options;
    assert.deepEqual(drawing, opened.settings.drawing);
    assert.deepEqual(classes[place], picture.class);
  }
});

test("the snippets of every view draw its runs", async () => {
  for (const view of ["sheet", "sweep", "seeds", "between", "variations"]) {
    const query = new URLSearchParams(`class=cat&class=dog&w=2&steps=4&sampler=ddim&seed=20&n=4&view=${view}${view === "between" ? "&toward=31" : view === "variations" ? "&toward=31&t=0.35" : ""}&policy=apg&eta=0.5`);
    const { settings: read } = settings.readSettings(query, pets("plain"));
    const runs = settings.runsOf(read);
    const embedding = { packageFolder: "./freeguide/", model: "./pets/", settings: read };
    const options = await optionsOf(snippets.moduleSnippet(embedding));
    assert.deepEqual(options, runs.map(({ drawing, classes }) => ({ ...drawing, classes })));
    const commands = commandsOf(snippets.commandSnippet(embedding, "models/pets")).map((words) => words.join(" "));
    assert.equal(commands.length, runs.length);
    runs.forEach(({ drawing, classes }, at) => {
      const { guidance, seed, toward } = drawing;
      const words = [`--guidance ${guidance} `, `--seed ${seed} `, `--count ${classes.length} `, "--apg-eta 0.5 ", ...(toward ? [`--toward ${toward.seed}:${toward.t} `] : [])];
      for (const word of words) assert.ok(commands[at].includes(word), `${commands[at]} has ${word}`);
    });
    assert.equal(new Set(commands).size, runs.length, "each into a folder of its own");
  }
});

test("the pictures of a saved sheet are laid out as they were", () => {
  const config = pets("plain");
  for (const address of ["class=cat&class=dog&n=9&w=2", "class=cat:0.3,dog:0.7&class=dog&n=4&w=2", "class=dog&n=4&view=sweep", "class=cat&n=4&view=seeds&seed=7&w=1", "class=cat&n=4&view=between&toward=31&w=1", "class=cat&n=4&view=variations&toward=31&t=0.35&w=1"]) {
    const { settings: saved } = settings.readSettings(new URLSearchParams(`${address}&steps=4&sampler=ddim`), config);
    const runs = settings.runsOf(saved);
    // Row by row, as they are saved.
    const pictures = runs[0].classes.flatMap((name, image) =>
      runs.map(({ drawing: { guidance, steps, sampler, seed, toward } }) => ({
        ...{ model: "pets", class: name, guidance, steps, sampler, seed, image },
        ...(toward && { toward }),
      })),
    );
    const { settings: found, unknown } = restore.sheetOf(pictures, config);
    assert.deepEqual(unknown, []);
    if (saved.view === "sweep") found.drawing.guidance = saved.drawing.guidance; // a sweep has none of its own
    assert.deepEqual({ ...found, otherSeed: 0 }, { ...saved, otherSeed: 0 });
    assert.ok(!["between", "variations"].includes(saved.view) || found.otherSeed === 31);
  }
  const shuffled = [0, 1, 2].map((image) => ({ model: "pets", class: "cat", guidance: 1.5 + (image === 1), steps: 4, sampler: "ddim", seed: 1, image }));
  assert.deepEqual(restore.sheetOf(shuffled, config).unknown, ["the order of these pictures"]);
  const guided = [{ ...shuffled[0], guide: "early" }];
  assert.deepEqual(restore.sheetOf(guided, config).unknown, ["guided by “early”"]);
  assert.deepEqual(restore.sheetOf(guided, config, true).unknown, []);
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
  const guided = { ...embedding, guide: "./models/early/" };
  assert.ok(snippets.elementSnippet(guided).includes('guide="./models/early/"'));
  assert.match(snippets.moduleSnippet(guided), /loadModel\("[^"]*", \{ guide: "\.\/models\/early\/" \}\)/);
  assert.match(snippets.commandSnippet(guided, "m"), /--model m --guide models\/early --class/);
});

test("what is measured of pictures that a classifier has looked at", () => {
  const seen = (requested, probabilities, features) => ({ requested, probabilities: Float32Array.from(probabilities), features: Float32Array.from(features) });
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
