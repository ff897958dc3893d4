// Settings as text. The cases are written by the tests of src/settings, one for every value of every setting, for a model
// with settings of its own and one without: what the command writes into a PNG has to come out of an address and of a
// command the same.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { requestJson } from "../dist/options.js";
import * as text from "../dist/settings.js";

const { bundles, cases } = JSON.parse(await readFile(new URL("../../../tests/fixtures/settings.json", import.meta.url), "utf8"));

/** The drawing that a picture's file stands for, which has to be all of it. */
function drawingOf({ picture, bundle }) {
  const { drawing, unknown } = text.drawingOfPicture(picture, bundles[bundle]);
  assert.deepEqual(unknown, []);
  return drawing;
}

test("every setting goes from a picture through an address into the command that draws it again", () => {
  assert.ok(cases.length > 2 * text.SETTINGS.length);
  for (const each of cases) {
    const drawing = drawingOf(each);
    const query = new URLSearchParams("model=x");
    text.writeQuery(drawing, query);
    const read = text.readQuery(new URLSearchParams(query.toString()));
    assert.deepEqual(read, { drawing, unknown: [] });
    assert.equal(query.get("model"), "x");
    assert.deepEqual(text.commandArguments(read.drawing), each.arguments);
    const attributes = new Map(text.attributesOf(drawing));
    assert.deepEqual(text.drawingOfAttributes((name) => attributes.get(name) ?? null), read);
  }
});

test("every class goes from a picture into a text and back", () => {
  for (const each of cases) {
    assert.equal(text.classText(each.picture.class), each.class);
    assert.deepEqual(text.parseClass(each.class, ["cat", "dog"]), each.picture.class);
  }
  assert.ok(cases.some(({ picture }) => typeof picture.class === "object" && picture.class !== null));
  const names = ["tench, Tinca tinca", "a:b", "12"];
  const read = (words) => text.parseClass(words, names);
  assert.deepEqual(read("tench, Tinca tinca:0.7,a:b:0.3"), { "tench, Tinca tinca": 0.7, "a:b": 0.3 });
  assert.deepEqual(read("12:0.5, 0:5e-1"), { 12: 0.5, "tench, Tinca tinca": 0.5 });
  assert.deepEqual([read("a:b"), read("1"), read("12:1,1:0"), read("none")], ["a:b", "a:b", "12", null]);
  for (const wrong of ["cow", "3", "12:0.5", "12:0.5,a:b", "12:1.5,a:b:-0.5", "12:0.5,none:0.5", "12:0.5,:0.5", ""]) assert.equal(read(wrong), undefined, wrong);
});

test("several attributes are a text with + between them", () => {
  const names = ["hat", "C++", "hat+C", "12"];
  const read = (words) => text.parseClass(words, names);
  assert.deepEqual(read("12 + hat"), ["hat", "12"], "in the model's order");
  assert.deepEqual([read("C++"), read("hat+C+12"), read("1+0"), read("hat+hat")], ["C++", ["hat+C", "12"], ["hat", "C++"], "hat"]);
  for (const wrong of ["hat+dog", "hat+", "+", "hat+none", "hat+7"]) assert.equal(read(wrong), undefined, wrong);
  assert.deepEqual([text.classText(["smiling", "hat"]), text.classText([]), text.classText(["hat"])], ["smiling+hat", "none", "hat"]);
  assert.deepEqual(text.attributesOfNames(["12", "hat"], names), ["hat", "12"]);
  assert.deepEqual([text.attributesOfNames(["hat"], names), text.attributesOfNames([], names)], ["hat", null]);
});

test("attributes and numbers are checked before they reach the runtime", () => {
  const request = (options) => JSON.parse(requestJson(options));
  const asked = request({ classes: [["smiling", "hat"], [0]], number: [20, 40], composition: "each" });
  assert.deepEqual(asked, { classes: [["smiling", "hat"], [0]], number: [20, 40], composition: "each" });
  assert.deepEqual(request({ classes: [null], number: 30 }), { classes: [null], number: 30 });
  assert.throws(() => requestJson({ classes: [["smiling", null]] }), /names or ids of attributes/);
  assert.throws(() => requestJson({ classes: [["smiling", -1]] }), /names or ids of attributes/);
  assert.throws(() => requestJson({ classes: [null], number: NaN }), /number must be a finite number/);
  assert.throws(() => requestJson({ classes: [null], composition: 1 }), /one of joint, each/);
});

test("options reach the runtime as the requests that were checked natively", () => {
  for (const { request } of cases) {
    let drawing = {};
    for (const setting of text.SETTINGS) {
      const value = setting.field.reduce((fields, name) => fields?.[name], request);
      if (value !== undefined) drawing = text.withSetting(drawing, setting, value);
    }
    assert.deepEqual(JSON.parse(requestJson({ classes: request.classes, ...drawing })), request);
  }
});

test("every setting is in some case, with each of its names", () => {
  for (const { path, field, names } of text.SETTINGS) {
    const values = cases.map(({ request }) => field.reduce((fields, name) => fields?.[name], request));
    for (const name of names ?? []) assert.ok(values.includes(name), `${path.join(".")} ${name}`);
    assert.ok(values.some((value) => value !== undefined), path.join("."));
  }
});

test("what an address leaves out is left to the model, and what it writes wrongly is said", () => {
  const read = (query) => text.readQuery(new URLSearchParams(query));
  assert.deepEqual(read("steps=8&policy="), { drawing: { steps: 8 }, unknown: ["policy “”"] });
  assert.deepEqual(read("from=-3").drawing, { guidanceInterval: { min: -3, max: 40 } }, "an open end");
  assert.deepEqual(read("until=3").drawing, { guidanceInterval: { min: -40, max: 3 } });
  assert.deepEqual(read("grid-from=-3&rho=5").drawing, { grid: { rho: 5 } }, "levels need both ends");
  assert.deepEqual(read("toward=9").drawing, { toward: { seed: 9 } });
  assert.deepEqual(read("t=0.5").drawing, {});
  const wrong = "w=strong&steps=1.5&steps=2&seed=-1&clip=yes&sampler=euler&rescale=2&seed=1e3";
  assert.deepEqual(read(wrong).drawing, {});
  assert.deepEqual(read(wrong).unknown, ["w “strong”", "rescale “2”", "steps “1.5”", "sampler “euler”", "seed “-1”", "clip “yes”"]);
  assert.deepEqual(read("from=9&until=2&steps=3"), { drawing: { steps: 3 }, unknown: ["from and until “9” and “2”"] });
  const query = new URLSearchParams("nu=0.5&n=4");
  text.writeQuery({ steps: 3 }, query);
  assert.equal(query.toString(), "n=4&steps=3");
});

test("a name alone stands for its group", () => {
  const drawing = { guidancePolicy: "apg", grid: "karras" };
  assert.deepEqual(text.commandArguments(drawing), ["--guidance-policy", "apg", "--grid", "karras"]);
  const changed = text.withSetting(drawing, text.settingAt("grid.rho"), 5);
  assert.deepEqual(changed, { guidancePolicy: "apg", grid: { spacing: "karras", rho: 5 } });
  assert.equal(drawing.grid, "karras", "the drawing itself stays as it was");
  assert.deepEqual(text.withSetting({ grid: { rho: 5 } }, text.settingAt("grid.rho"), undefined), {});
});

test("attributes say what is wrong with them", () => {
  const read = (attributes) => text.drawingOfAttributes((name) => attributes[name] ?? null);
  assert.deepEqual(read({ "guidance-interval": "-3,4", toward: "8" }).drawing, { guidanceInterval: { min: -3, max: 4 }, toward: { seed: 8 } });
  for (const wrong of [{ "guidance-interval": "-3" }, { "guidance-interval": "1,2,3" }, { toward: "8:" }, { steps: "3,4" }, { clip: "" }]) {
    const [[name, value]] = Object.entries(wrong);
    assert.deepEqual(read(wrong), { drawing: {}, unknown: [`${name} “${value}”`] });
  }
});

test("what a foreign picture says wrongly is said", () => {
  const picture = { steps: "many", seed: 3, clip: 1, guidance_policy: { kind: "apg" }, toward: { t: 1 } };
  assert.deepEqual(text.drawingOfPicture(picture, {}), {
    drawing: { guidancePolicy: { kind: "apg" }, seed: 3 },
    unknown: ["steps “many”", "clip “1”"],
  });
});
