import { showNumber, type Settings } from "../app/settings.js";

/** What a snippet is filled in with. */
export interface Embedding {
  /** Where the package lies on the author's site, as the page sees it. */
  readonly packageFolder: string;
  /** Where the bundle lies. */
  readonly model: string;
  readonly settings: Settings;
}

/** `text` as an HTML attribute's value, quotes included. */
function attribute(text: string): string {
  return `"${text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")}"`;
}

/** `value` as JavaScript that may stand inside a script element. */
function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** The custom element: no line of JavaScript. */
export function elementSnippet({ packageFolder, model, settings }: Embedding): string {
  const { classes, guidance, steps, sampler, seed, count } = settings;
  const attributes = [
    `model=${attribute(model)}`,
    `class-name=${attribute(classes[0] ?? "none")}`,
    `guidance=${attribute(String(guidance))}`,
    `steps=${attribute(String(steps))}`,
    `sampler=${attribute(sampler)}`,
    `seed=${attribute(String(seed))}`,
    `count=${attribute(String(count))}`,
  ];
  return `<script type="module" src=${attribute(`${packageFolder}dist/element.js`)}></script>

<freeguide-sampler
  ${attributes.join("\n  ")}
></freeguide-sampler>
`;
}

function call({ settings }: Embedding): string {
  const { classes, guidance, steps, sampler, seed, count } = settings;
  const list = Array.from({ length: count }, (_, at) => classes[at % classes.length] ?? null);
  return `{
  classes: ${literal(list).replaceAll(",", ", ")},
  guidance: ${guidance}, // w; other tools call this scale ${showNumber(1 + guidance).replace("−", "-")}
  steps: ${steps},
  sampler: ${literal(sampler)},
  seed: ${seed},
}`;
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
  return `import { loadModel } from ${literal(from)};

const model = await loadModel(${literal(embedding.model)});
const contexts = [];
for await (const { images } of model.sample(${call(embedding)})) {
  images.forEach((image, at) => {
    contexts[at] ??= document.getElementById("pictures")
      .appendChild(Object.assign(document.createElement("canvas"), { width: image.width, height: image.height }))
      .getContext("2d");
    contexts[at].putImageData(image, 0, 0); // the picture as it emerges
  });
}
`;
}

/** The command line that draws the same pictures. */
export function commandSnippet({ settings }: Embedding, model: string): string {
  const { classes, guidance, steps, sampler, seed, count } = settings;
  const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  const names = classes.map((name) => `--class ${quoted(name ?? "none")}`).join(" ");
  return `freeguide sample --model ${quoted(model)} ${names} \\
  --guidance ${guidance} --steps ${steps} --sampler ${sampler} --seed ${seed} --count ${count} --out pictures/
`;
}
