import type { ModelConfig, PictureOptions, Sampler } from "freeguide";
import { attributesOfNames, classText, isAttributes, parseClass, readQuery, SETTINGS, settingAt, settingOf, withSetting, writeQuery, type ClassChoice, type ClassMix, type Drawing, type Setting, type SettingValue } from "freeguide/settings";

/** What pictures are drawn with. Settings that it leaves out are the model's own. */
export type PageDrawing = Drawing & Required<Pick<Drawing, "guidance" | "steps" | "sampler" | "seed">>;

/** What a picture is drawn of: a class by its name, the unconditional model (null), several attributes, or a mix of classes. */
export type Chosen = string | null | readonly string[] | ClassMix;

/** What a sheet of pictures is drawn with. Lives in the address, so that a link reproduces it. */
export interface Settings {
  /** Picture k takes entry k modulo their number. */
  classes: Chosen[];
  /** Pictures on the sheet: 1, 4, 9 or 16. */
  count: number;
  /** What the pictures spell, where every class is a character. A space begins a new line. */
  word?: string;
  view: View;
  /** The seed that the view `between` leads to, and the first whose noise `variations` add. */
  otherSeed: number;
  /** How far `variations` go from the picture: the t of seed interpolation. */
  variation: number;
  drawing: PageDrawing;
  /** What pictures start from, if not from noise. It is not in the address. */
  picture?: PictureOptions;
}

/** The page's words for the guidance policies. */
export const POLICIES: ReadonlyMap<string, { readonly name: string; readonly words: string }> = new Map([
  ["cfg", { name: "the paper’s mix (CFG)", words: "(1 + w) times the conditional estimate, minus w times the unconditional one (Ho & Salimans 2022)." }],
  ["apg", { name: "projected (APG)", words: "Mostly the part of the update that is orthogonal to the conditional estimate: less oversaturation at a high w (Sadat et al. 2024)." }],
  ["cfg++", { name: "CFG++", words: "Adds the noise of the unconditional estimate in each step. Made for w from −1 to 0 (Chung et al. 2024)." }],
]);

/**
 * `sheet`: one seed, one strength of guidance. `sweep`: the same seeds at several strengths. `seeds`: the first picture of
 * neighbouring seeds. `between`: from the first picture of one seed to that of another. `variations`: the first picture, part of
 * the way to other seeds.
 */
export type View = "sheet" | "sweep" | "seeds" | "between" | "variations";

const VIEWS: readonly string[] = ["sheet", "sweep", "seeds", "between", "variations"] satisfies View[];

/** `text` as a view; `sheet` if it is not one. */
export function viewOf(text: string | null): View {
  return text !== null && VIEWS.includes(text) ? (text as View) : "sheet";
}

/** The page's words for the samplers. */
export const SAMPLERS: ReadonlyMap<Sampler, { readonly name: string; readonly words: string }> = new Map([
  ["ddim", { name: "DDIM", words: "Deterministic: depends on the seed alone" }],
  ["ancestral", { name: "ancestral", words: "Fresh noise at every step: Algorithm 2 of the paper" }],
  ["dpm++2m", { name: "DPM-Solver++", words: "DPM-Solver++(2M), second order: as good with half the steps" }],
  ["heun", { name: "Heun", words: "Second order, with two evaluations a step" }],
]);

export const COUNTS = [1, 4, 9, 16];
/** The strengths of guidance that a sweep shows: no class, the conditional model, and more. */
export const SWEEP = [-1, 0, 1, 2, 4, 8];
/** Most seeds that a sweep shows. */
export const SWEEP_ROWS = 4;

const FIELDS_OF_POLICIES = SETTINGS.filter(({ applies }) => applies?.path.join(".") === "guidancePolicy.kind");

/** What the page needs to know of a model to fit settings to it. */
export interface Drawable {
  readonly classes: readonly string[];
  readonly sampling: Pick<ModelConfig["sampling"], "sampler" | "steps" | "guidance" | "guidance_policy" | "guidance_interval" | "grid">;
  readonly image: { readonly size: number };
  readonly null_class?: boolean;
  readonly network?: Pick<ModelConfig["network"], "guidance" | "flow_map" | "conditions" | "number">;
}

/** The strengths of a distilled model, which takes w as an input; undefined if guidance mixes two estimates. */
export function strengthsOf({ network }: Pick<Drawable, "network">): { readonly min: number; readonly max: number } | undefined {
  return network?.guidance;
}

/** Whether a picture may have several of a model's classes, which are attributes then. */
export function hasAttributes({ network }: Pick<Drawable, "network">): boolean {
  return network?.conditions === "attributes";
}

/** Whether a setting has an effect with a model: those of attributes and of a number are not for every model. */
export function isOfConditions({ ofNumber, ofAttributes }: Setting, model: Pick<Drawable, "network">): boolean {
  const number = model.network?.number !== undefined;
  return ofNumber ? number : !ofAttributes || number || hasAttributes(model);
}

/** At most `steps` steps that a model can take: one that was distilled to few steps takes powers of two only. */
export function stepsNear({ network }: Pick<Drawable, "network">, steps: number): number {
  const most = network?.flow_map?.max_steps;
  return most === undefined ? steps : 2 ** Math.floor(Math.log2(Math.max(1, Math.min(steps, most))));
}

/** Whether a setting is about the mix of two estimates, which a distilled model does not make. */
export function isOfTheMix({ path }: Setting): boolean {
  return path[0] === "guidancePolicy" || path[0] === "guidanceInterval";
}

/** Whether a model can be guided: it needs classes and the null class. */
export function canBeGuided({ classes, null_class }: Pick<Drawable, "classes" | "null_class">): boolean {
  return null_class !== false && classes.length > 0;
}

/** How far variations go unless another way is chosen: the picture stays what it is, and its details change. */
const VARIATION = 0.2;

/** The most pictures of the first sheet. */
export const FIRST_SHEET = 9;

/** At most `count` entries of a list, equally spaced. */
function spread<T>(list: readonly T[], count: number): T[] {
  const length = Math.min(list.length, count);
  const places = new Set(Array.from({ length }, (_, at) => Math.floor((at * list.length) / length)));
  return list.filter((_, at) => places.has(at));
}

/** Whether pictures can spell words: every class is one character. */
export function canSpell({ classes }: Pick<Drawable, "classes">): boolean {
  return classes.length > 1 && classes.every((name) => [...name].length === 1);
}

/** The most characters that the pictures of a sheet spell. */
const LONGEST_WORD = 24;

/** What of a text the classes can spell, without spaces at its ends; each character that no class has is replaced by the same letter in the other case, or left out. */
export function spelling(text: string, { classes }: Pick<Drawable, "classes">): string {
  const known = (character: string): string | undefined =>
    [character, character.toLowerCase(), character.toUpperCase()].find((other) => classes.includes(other));
  let length = 0;
  const spelled = [...text].map((character) => {
    if (/\s/.test(character)) return " ";
    const found = known(character);
    length += found === undefined ? 0 : 1;
    return length > LONGEST_WORD ? "" : (found ?? "");
  });
  return spelled.join("").replace(/ +/g, " ").trim();
}

/** The settings that spell a word. */
export function spelled(settings: Settings, word: string): Settings {
  const { word: before, ...others } = settings;
  const classes = [...word].filter((character) => character !== " ");
  return classes.length > 0 ? { ...others, word, classes, count: classes.length } : others;
}

/** What a model whose classes are characters draws first. */
const FIRST_WORD = "free guide";

/** The settings of an address that says nothing: every class once, or as many as the sheet has pictures. */
export function defaultSettings(config: Drawable): Settings {
  const { sampler, steps, guidance } = config.sampling;
  const settings: Settings = {
    classes: config.classes.length > 0 ? spread(config.classes, FIRST_SHEET) : [null],
    count: config.image.size > 64 ? 4 : FIRST_SHEET,
    view: "sheet",
    otherSeed: 8,
    variation: VARIATION,
    drawing: { guidance: canBeGuided(config) ? guidance : 0, steps, sampler, seed: 2 },
  };
  return canSpell(config) ? spelled(settings, spelling(FIRST_WORD, config)) : settings;
}

/** A seed: digits that make an integer up to 2⁵³ − 1, or undefined. */
export function parseSeed(text: string): number | undefined {
  const seed = Number(text);
  return /^\d+$/.test(text.trim()) && Number.isSafeInteger(seed) ? seed : undefined;
}

/** A seed that people can read out: six digits. */
export function randomSeed(): number {
  const [value] = crypto.getRandomValues(new Uint32Array(1));
  return (value ?? 0) % 1_000_000;
}

/** The class that a text names, by its name or id; undefined if the model has no such class. */
export function findClass(text: string, config: Drawable): string | null | undefined {
  const found = chosenOf(text, config);
  return isAttributes(found) || typeof found === "object" && found !== null ? undefined : found;
}

/** What a text, or what a picture's file says of its class, is of this model; undefined if the model has no such class. */
export function chosenOf(class_: unknown, config: Drawable): Chosen | undefined {
  if (isAttributes(class_)) {
    const known = class_.every((name) => typeof name === "string" && config.classes.includes(name));
    return known && hasAttributes(config) ? attributesOfNames(class_.map(String), config.classes) : undefined;
  }
  const text = typeof class_ === "object" ? classText(class_ as ClassChoice) : String(class_ ?? classText(null));
  const found = parseClass(text, config.classes);
  if (isAttributes(found) && !hasAttributes(config)) return undefined;
  return found === null && config.null_class === false ? undefined : found;
}

/** Whether two are the same class or mix. */
export function isSameClass(a: Chosen | undefined, b: Chosen | undefined): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && a !== null && b !== null && classText(a) === classText(b));
}

const POLICY = settingAt("guidancePolicy.kind");

/** The model's own value of a setting, which counts if `drawing` leaves it out; undefined if the model has none. */
export function modelsOwn(setting: Setting, { sampling }: Pick<Drawable, "sampling">): SettingValue | undefined {
  let value: unknown = sampling;
  for (const name of setting.field) value = (value as Record<string, unknown> | undefined)?.[name];
  return value as SettingValue | undefined;
}

/** The policy that pictures are drawn with. */
export function policyOf(drawing: Readonly<Drawing>, config: Pick<Drawable, "sampling">): string {
  return String(settingOf(drawing, POLICY) ?? modelsOwn(POLICY, config) ?? "cfg");
}

/** Removes settings of other policies than the drawing's, and adds them to `unknown`. */
function ofOnePolicy(drawing: Drawing, config: Drawable, unknown: string[]): Drawing {
  const policy = policyOf(drawing, config);
  let fitting = drawing;
  for (const setting of FIELDS_OF_POLICIES) {
    const value = settingOf(drawing, setting);
    if (value === undefined || setting.applies?.values.includes(policy)) continue;
    unknown.push(`${setting.address} “${value}” with the policy ${policy}`);
    fitting = withSetting(fitting, setting, undefined);
  }
  return fitting;
}

/** Whether a distilled model refuses a value. */
function isRefused(setting: Setting, value: SettingValue, config: Drawable): boolean {
  const range = strengthsOf(config);
  const few = config.network?.flow_map !== undefined;
  switch (setting.path[0]) {
    case "guidance":
      return range !== undefined && (Number(value) < range.min || Number(value) > range.max);
    case "steps":
      return stepsNear(config, Number(value)) !== Number(value);
    case "sampler":
      return few && value !== config.sampling.sampler;
    case "grid":
      return few;
    // Guidance leads away from the unconditional estimate, which the model has learnt.
    case "negative":
      return true;
    default:
      return isOfTheMix(setting);
  }
}

/** Removes what a distilled model does not take, and adds it to `unknown`. */
function ofStudent(drawing: Drawing, config: Drawable, unknown: string[]): Drawing {
  if (!strengthsOf(config)) return drawing;
  let fitting = drawing;
  for (const setting of SETTINGS) {
    const value = settingOf(drawing, setting);
    if (value === undefined || !isRefused(setting, value, config)) continue;
    unknown.push(`${setting.address} “${value}” with a distilled model`);
    fitting = withSetting(fitting, setting, undefined);
  }
  return fitting;
}

/** Removes what is of attributes or of a number with a model that has none, or of a number beyond the model's, and adds it to `unknown`. */
function ofConditions(drawing: Drawing, config: Drawable, unknown: string[]): Drawing {
  let fitting = drawing;
  for (const setting of SETTINGS) {
    const value = settingOf(drawing, setting);
    const { min = -Infinity, max = Infinity } = (setting.ofNumber && config.network?.number) || {};
    if (value === undefined || (isOfConditions(setting, config) && !(Number(value) < min || Number(value) > max))) continue;
    unknown.push(`${setting.address} “${value}” with this model`);
    fitting = withSetting(fitting, setting, undefined);
  }
  return fitting;
}

/** The classes that an address names, each once, and those that the model does not know. */
function readClasses(query: URLSearchParams, config: Drawable): { classes: Chosen[]; unknown: string[] } {
  const classes: Chosen[] = [];
  const unknown: string[] = [];
  for (const text of query.getAll("class")) {
    const found = chosenOf(text, config);
    if (found === undefined) unknown.push(`class “${text}”`);
    else if (!classes.some((other) => isSameClass(other, found))) classes.push(found);
  }
  return { classes, unknown };
}

/** The settings of an address, and what this model does not know of them. */
export function readSettings(query: URLSearchParams, config: Drawable): { settings: Settings; unknown: string[] } {
  let settings = defaultSettings(config);
  const { classes, unknown } = readClasses(query, config);
  const count = Number(query.get("n"));
  if (classes.length > 0 || COUNTS.includes(count)) settings = spelled(settings, "");
  if (classes.length > 0) settings.classes = classes;
  if (COUNTS.includes(count)) settings.count = count;
  const word = query.get("word");
  if (word !== null && canSpell(config)) settings = spelled(settings, spelling(word, config));
  settings.view = viewOf(query.get("view"));
  const asked = readQuery(query);
  unknown.push(...asked.unknown);
  let { drawing } = asked;
  // Links of earlier versions leave the policy out if it is the paper's.
  if (query.has("rescale") && !query.has("policy") && policyOf({}, config) !== "cfg") drawing = withSetting(drawing, POLICY, "cfg");
  drawing = ofConditions(ofOnePolicy(ofStudent(drawing, config, unknown), config, unknown), config, unknown);
  if (settings.view === "between" || settings.view === "variations") {
    const { toward, ...others } = drawing;
    settings.otherSeed = toward?.seed ?? settings.otherSeed;
    settings.variation = (settings.view === "variations" ? toward?.t : undefined) ?? settings.variation;
    drawing = others;
  }
  if (!canBeGuided(config)) delete drawing.guidance;
  settings.drawing = { ...settings.drawing, ...drawing };
  return { settings, unknown };
}

/** The address's query for `settings`; what else the address says (model, device) stays. */
export function writeSettings({ classes, count, word, view, otherSeed, variation, drawing }: Settings, before: URLSearchParams): URLSearchParams {
  const query = new URLSearchParams(before);
  for (const name of ["class", "n", "word"]) query.delete(name);
  if (word === undefined) for (const choice of classes) query.append("class", classText(choice));
  writeQuery(drawing, query);
  if (word === undefined) query.set("n", String(count));
  else query.set("word", word);
  if (view === "sheet") query.delete("view");
  else query.set("view", view);
  if (view === "between") {
    query.set("toward", String(otherSeed));
    query.delete("t");
  }
  if (view === "variations") {
    query.set("toward", String(otherSeed));
    query.set("t", String(variation));
  }
  return query;
}

/** One run of a view: pictures of one strength of guidance and one seed. */
export interface ViewRun {
  readonly drawing: PageDrawing;
  /** The class of each picture. */
  readonly classes: readonly Chosen[];
}

/** What `drawing` asks of a model, from a picture or without one. */
export function optionsOf({ strength, resampling, ...drawing }: PageDrawing, picture: PictureOptions | undefined): PageDrawing & PictureOptions {
  if (!picture) return drawing;
  return { ...drawing, ...(strength !== undefined && { strength }), ...(resampling !== undefined && { resampling }), ...picture };
}

/** The runs that draw what `settings` ask for. */
export function runsOf({ classes, count, view, otherSeed, variation, drawing }: Settings): ViewRun[] {
  const inTurn = (length: number): Chosen[] => Array.from({ length }, (_, at) => classes[at % classes.length] ?? null);
  const each = (make: (at: number) => PageDrawing): ViewRun[] =>
    Array.from({ length: count }, (_, at) => ({ drawing: make(at), classes: inTurn(1) }));
  switch (view) {
    case "sheet":
      return [{ drawing, classes: inTurn(count) }];
    case "sweep":
      return SWEEP.map((guidance) => ({ drawing: { ...drawing, guidance }, classes: inTurn(Math.min(count, SWEEP_ROWS)) }));
    // One class: what changes is the noise.
    case "seeds":
      return each((at) => ({ ...drawing, seed: Math.min(Number.MAX_SAFE_INTEGER, drawing.seed + at) }));
    case "between":
      return each((at) => ({ ...drawing, toward: { seed: otherSeed, t: at / Math.max(1, count - 1) } }));
    case "variations":
      return each((at) => ({ ...drawing, toward: { seed: Math.min(Number.MAX_SAFE_INTEGER, otherSeed + at), t: variation } }));
  }
}

/** A number for people: no trailing zeros, a real minus sign. */
export function showNumber(value: number, digits = 2): string {
  return String(Number(value.toFixed(digits))).replace("-", "−");
}
