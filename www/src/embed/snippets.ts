import { attributesOf, classText, commandArguments, type Drawing } from "freeguide/settings";
import { runsOf, showNumber, type Chosen, type Settings } from "../app/settings.js";

/** What snippets contain. */
export interface Embedding {
  /** The folder of the package on the author's site, relative to the page. */
  readonly packageFolder: string;
  /** The folder of the bundle. */
  readonly model: string;
  /** The folder of the bundle that guides it, if another does. */
  readonly guide?: string | undefined;
  readonly settings: Settings;
}

/** `text` as an HTML attribute's value, quotes included. */
function attribute(text: string): string {
  return `"${text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")}"`;
}

/** `value` as JavaScript that may stand inside a script element. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{ ${Object.entries(value).map(([name, field]) => `${/^[a-z]\w*$/i.test(name) ? name : literal(name)}: ${literal(field)}`).join(", ")} }`;
  }
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** `text` as one word of a shell. */
function shellWord(text: string): string {
  return /^[\w./:,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The setting in which the runs of a view differ, its values, and how the command takes it. */
interface Loop {
  readonly variable: "guidance" | "seed" | "t" | "other";
  readonly values: readonly number[];
  readonly option: string;
  readonly text: string;
  /** The drawing without what the loop sets. */
  readonly rest: Drawing;
}

function loopOf(settings: Settings): Loop | undefined {
  const { view, drawing, otherSeed, variation } = settings;
  const runs = runsOf(settings);
  const { guidance, seed, toward, ...others } = drawing;
  const t = { ...(toward && { toward }) };
  switch (view) {
    case "sheet":
      return undefined;
    case "sweep":
      return { variable: "guidance", values: runs.map((run) => run.drawing.guidance), option: "--guidance", text: "$guidance", rest: { ...others, ...t, seed } };
    case "seeds":
      return { variable: "seed", values: runs.map((run) => run.drawing.seed), option: "--seed", text: "$seed", rest: { ...others, ...t, guidance } };
    case "between":
      return { variable: "t", values: runs.map((run) => run.drawing.toward?.t ?? 0), option: "--toward", text: `${otherSeed}:$t`, rest: { ...others, guidance, seed } };
    case "variations":
      return { variable: "other", values: runs.map((run) => run.drawing.toward?.seed ?? 0), option: "--toward", text: `$other:${variation}`, rest: { ...others, guidance, seed } };
  }
}

/** The classes of a run's pictures. */
function classesOf(settings: Settings): readonly Chosen[] {
  return runsOf(settings)[0]?.classes ?? [];
}

/** The attributes of the custom element, which draws the first run of a view. */
export function elementAttributes({ settings, guide }: Pick<Embedding, "settings" | "guide">): [name: string, text: string][] {
  const [first] = runsOf(settings);
  if (!first) return [];
  const guided: [string, string][] = guide === undefined ? [] : [["guide", guide]];
  return [...guided, ["class-name", classText(first.classes[0] ?? null)], ...attributesOf(first.drawing), ["count", String(first.classes.length)]];
}

/** The element as HTML. */
export function elementSnippet(embedding: Embedding): string {
  const { packageFolder, model } = embedding;
  const attributes = [["model", model] as const, ...elementAttributes(embedding)].map(([name, text]) => `${name}=${attribute(text)}`);
  return `<script type="module" src=${attribute(`${packageFolder}dist/element.js`)}></script>

<freeguide-sampler
  ${attributes.join("\n  ")}
></freeguide-sampler>
`;
}

/** The options of one run, one a line. */
function options({ settings }: Embedding): string {
  const loop = loopOf(settings);
  const { guidance, ...rest } = loop?.rest ?? settings.drawing;
  const lines = [`classes: ${literal(classesOf(settings))}`];
  if (typeof guidance === "number") {
    lines.push(`guidance: ${guidance}, // w; other tools call this scale ${showNumber(1 + guidance).replace("−", "-")}`);
  }
  for (const [name, value] of Object.entries(rest)) lines.push(`${name}: ${literal(value)}`);
  if (loop?.variable === "t") lines.push(`toward: { seed: ${settings.otherSeed}, t }`);
  else if (loop?.variable === "other") lines.push(`toward: { seed: other, t: ${settings.variation} }`);
  else if (loop) lines.push(loop.variable);
  return `{\n${lines.map((line) => `  ${line.includes(" // ") ? line : `${line},`}`).join("\n")}\n}`;
}

/** The package on a plain page. */
export function pageSnippet(embedding: Embedding): string {
  const body = program(embedding, `${embedding.packageFolder}dist/index.js`);
  return `<div id="pictures"></div>
<script type="module">
${body.replace(/^(?=.)/gm, "  ")}</script>
`;
}

/** The package in a project with a bundler. */
export function moduleSnippet(embedding: Embedding): string {
  return `// npm install freeguide-0.1.0.tgz\n${program(embedding, "freeguide")}`;
}

function program(embedding: Embedding, from: string): string {
  const loop = loopOf(embedding.settings);
  const run = `const contexts = [];
for await (const { images } of model.sample(${options(embedding)})) {
  images.forEach((image, at) => {
    contexts[at] ??= document.getElementById("pictures")
      .appendChild(Object.assign(document.createElement("canvas"), { width: image.width, height: image.height }))
      .getContext("2d");
    contexts[at].putImageData(image, 0, 0); // the picture as it emerges
  });
}
`;
  const runs = loop ? `for (const ${loop.variable} of ${literal(loop.values)}) {\n${run.replace(/^(?=.)/gm, "  ")}}\n` : run;
  return `import { loadModel } from ${literal(from)};

const model = await loadModel(${[embedding.model, ...(embedding.guide === undefined ? [] : [{ guide: embedding.guide }])].map(literal).join(", ")});
${runs}`;
}

/** The command line that draws the same pictures. */
export function commandSnippet({ settings, guide }: Embedding, model: string): string {
  const loop = loopOf(settings);
  const names = settings.view === "sheet" || settings.view === "sweep" ? settings.classes : settings.classes.slice(0, 1);
  const classes = names.map((name) => `--class ${shellWord(classText(name))}`).join(" ");
  const words = commandArguments(loop?.rest ?? settings.drawing).map(shellWord);
  if (loop) words.push(loop.option, loop.text);
  const out = loop ? `pictures/${loop.variable}$${loop.variable}/` : "pictures/";
  const command = `freeguide sample --model ${shellWord(model)}${guide === undefined ? "" : ` --guide ${shellWord(guide.replace(/^\.\//, "").replace(/\/$/, ""))}`} ${classes} \\
  ${words.join(" ")} --count ${classesOf(settings).length} --out ${out}
`;
  return loop ? `for ${loop.variable} in ${loop.values.join(" ")}; do\n${command.replace(/^(?=.)/gm, "  ")}done\n` : command;
}
