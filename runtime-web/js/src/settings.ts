/**
 * Drawing settings as text: in an address, in a command, and out of the file of a picture. Everything here is read off the
 * one table of settings (`SETTINGS`), so that a setting that is added there is written and read everywhere.
 */
import { GROUPS, SETTINGS, SPACING_OF, type Attributes, type ClassChoice, type ClassMix, type DrawOptions, type PictureSettings, type Setting } from "./settings-table.js";

export { SETTINGS, SPACING_OF, type Attributes, type ClassChoice, type ClassMix, type Setting } from "./settings-table.js";

/** Everything that can be set but the classes, of which each image has its own; one strength of guidance and one number for all images. */
export type Drawing = Omit<DrawOptions, "classes" | "guidance" | "number"> & { guidance?: number; number?: number };

/** What one setting is set to. */
export type SettingValue = number | boolean | string;

type Fields = { [name: string]: unknown };

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function at(fields: unknown, path: readonly string[]): unknown {
  let value = fields;
  for (const [depth, name] of path.entries()) {
    if (isFields(value)) value = Object.hasOwn(value, name) ? value[name] : undefined;
    // A name alone stands for the group that it begins: `grid: "karras"`.
    else if (typeof value === "string" && GROUPS[path.slice(0, depth).join(".")]?.shorthand === name) return value;
    else return undefined;
  }
  return value;
}

function put(fields: Fields, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    if (value === undefined) delete fields[name];
    else fields[name] = value;
    return;
  }
  const shorthand = GROUPS[name]?.shorthand;
  const before = fields[name];
  const inner: Fields = isFields(before) ? { ...before } : typeof before === "string" && shorthand ? { [shorthand]: before } : {};
  put(inner, rest, value);
  if (Object.keys(inner).length > 0) fields[name] = inner;
  else delete fields[name];
}

const isValue = (value: unknown): value is SettingValue =>
  (typeof value === "number" && Number.isFinite(value)) || typeof value === "boolean" || typeof value === "string";

/** What `drawing` sets a setting to; undefined where it leaves it to the model. */
export function settingOf(drawing: Readonly<Drawing>, setting: Setting): SettingValue | undefined {
  const value = at(drawing, setting.path);
  return isValue(value) ? value : undefined;
}

/** `drawing` with one setting changed; undefined leaves it to the model. */
export function withSetting(drawing: Readonly<Drawing>, setting: Setting, value: SettingValue | undefined): Drawing {
  const changed: Fields = { ...drawing };
  put(changed, setting.path, value);
  return changed as Drawing;
}

/** The setting at a place in `DrawOptions`, such as `grid.rho`. */
export function settingAt(path: string): Setting {
  const setting = SETTINGS.find((candidate) => candidate.path.join(".") === path);
  if (!setting) throw new TypeError(`there is no setting ${path}`);
  return setting;
}

/** The value that `text` gives a setting, or undefined where it is none or out of range. */
export function parseSetting(setting: Setting, text: string): SettingValue | undefined {
  const trimmed = text.trim();
  switch (setting.kind) {
    case "class":
      return trimmed === "" ? undefined : trimmed;
    case "name":
      return setting.names?.includes(trimmed) ? trimmed : undefined;
    case "switch":
      return trimmed === "true" ? true : trimmed === "false" ? false : undefined;
    default: {
      const value = trimmed === "" ? NaN : Number(trimmed);
      const { min = -Infinity, max = Infinity } = setting;
      if (!Number.isFinite(value) || value < min || value > max) return undefined;
      if (setting.kind !== "integer") return value;
      return /^\d+$/.test(trimmed) && Number.isSafeInteger(value) ? value : undefined;
    }
  }
}

/** Writes every setting into an address's query, and takes those out that `drawing` leaves to the model. */
export function writeQuery(drawing: Readonly<Drawing>, query: URLSearchParams): void {
  for (const setting of SETTINGS) {
    const value = settingOf(drawing, setting);
    if (value === undefined) query.delete(setting.address);
    else query.set(setting.address, String(value));
  }
}

/** The settings that an address's query asks for, and what of it is no value of its setting, as `key “text”`. */
export function readQuery(query: URLSearchParams): { drawing: Drawing; unknown: string[] } {
  let drawing: Drawing = {};
  const unknown: string[] = [];
  for (const setting of SETTINGS) {
    const text = query.get(setting.address);
    if (text === null) continue;
    const value = parseSetting(setting, text);
    if (value === undefined) unknown.push(`${setting.address} “${text}”`);
    else drawing = withSetting(drawing, setting, value);
  }
  return { drawing: completed(drawing, unknown), unknown };
}

/** The settings that make a group whole, by the group's place. */
function requiredByGroup(): Map<string, Setting[]> {
  const groups = new Map<string, Setting[]>();
  for (const setting of SETTINGS.filter(({ required }) => required)) {
    const group = setting.path.slice(0, -1).join(".");
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  return groups;
}

/** Fills in the other end of a range that may be open, and drops groups that are not whole; `unknown` hears of empty ranges. */
function completed(drawing: Drawing, unknown: string[]): Drawing {
  let whole = drawing;
  for (const [group, required] of requiredByGroup()) {
    const path = group.split(".");
    if (at(drawing, path) === undefined) continue;
    for (const setting of required) {
      if (settingOf(whole, setting) === undefined && setting.unlimited !== undefined) {
        whole = withSetting(whole, setting, setting.unlimited);
      }
    }
    const values = required.map((setting) => settingOf(whole, setting));
    const [min, max] = values;
    const isEmpty = typeof min === "number" && typeof max === "number" && min >= max;
    if (!isEmpty && values.every((value) => value !== undefined)) continue;
    if (isEmpty) unknown.push(`${required.map(({ address }) => address).join(" and ")} “${min}” and “${max}”`);
    const without: Fields = { ...whole };
    put(without, path, undefined);
    whole = without as Drawing;
  }
  return whole;
}

/** How texts call the unconditional model. */
const NO_CLASS = "none";

/** A class as a text: `cat`, `none` for the unconditional model, `smiling+hat` for several attributes, or `cat:0.7,dog:0.3` for a mix. */
export function classText(choice: ClassChoice): string {
  if (choice === null) return NO_CLASS;
  if (isAttributes(choice)) return choice.length === 0 ? NO_CLASS : choice.join("+");
  if (typeof choice !== "object") return String(choice);
  return Object.entries(choice)
    .map(([name, weight]) => `${name}:${weight}`)
    .join(",");
}

/** Whether a choice is a list of attributes. */
export function isAttributes(choice: unknown): choice is Attributes {
  return Array.isArray(choice);
}

/** Several attributes in the order of a model's, each once; one alone is a class, and none is the unconditional model. */
export function attributesOfNames(chosen: readonly string[], names: readonly string[]): string | null | readonly string[] {
  const inOrder = names.filter((name) => chosen.includes(name));
  const [first = null, second] = inOrder;
  return second === undefined ? first : inOrder;
}

/**
 * The class that a text is, of a model with these classes: a name, else `none`, else an id, else several attributes, else a
 * mix; undefined if it is none of them.
 */
export function parseClass(text: string, names: readonly string[]): string | null | readonly string[] | ClassMix | undefined {
  const one = parseOneClass(text, names);
  if (one !== undefined) return one;
  const several = parseAttributes(text, names);
  if (several !== undefined) return attributesOfNames(several, names);
  const weights = new Map<string, number>();
  let rest = "";
  for (const piece of text.split(",")) {
    rest += rest === "" ? piece : `,${piece}`;
    const colon = rest.lastIndexOf(":");
    const number = rest.slice(colon + 1).trim();
    const weight = number === "" ? NaN : Number(number);
    if (colon < 0 || Number.isNaN(weight)) continue;
    const name = parseOneClass(rest.slice(0, colon).trim(), names);
    if (typeof name !== "string" || weight < 0) return undefined;
    weights.set(name, (weights.get(name) ?? 0) + weight);
    rest = "";
  }
  const sum = [...weights.values()].reduce((all, weight) => all + weight, 0);
  if (rest !== "" || Math.abs(sum - 1) > 1e-6) return undefined;
  const parts = [...weights].filter(([, weight]) => weight > 0);
  const [first, second] = parts;
  return first && !second ? first[0] : Object.fromEntries(parts);
}

/** Names or ids with `+` between them. A name may contain `+`: the longest that there are, are taken from the left. */
function parseAttributes(text: string, names: readonly string[]): string[] | undefined {
  let rest = text.split("+");
  if (rest.length < 2) return undefined;
  const found: string[] = [];
  while (rest.length > 0) {
    const counts = rest.map((_, at) => rest.length - at);
    const count = counts.find((most) => most === 1 || names.includes(rest.slice(0, most).join("+").trim())) ?? 1;
    const name = parseOneClass(rest.slice(0, count).join("+").trim(), names);
    if (typeof name !== "string") return undefined;
    found.push(name);
    rest = rest.slice(count);
  }
  return found;
}

function parseOneClass(text: string, names: readonly string[]): string | null | undefined {
  if (names.includes(text)) return text;
  if (text === NO_CLASS) return null;
  return /^\d+$/.test(text) ? names[Number(text)] : undefined;
}

/** The settings as attributes of `<freeguide-sampler>`: name and text, one for each option of `freeguide sample`. */
export function attributesOf(drawing: Readonly<Drawing>): [name: string, text: string][] {
  const out = new Map<string, string>();
  for (const setting of SETTINGS) {
    const value = settingOf(drawing, setting);
    if (value === undefined) continue;
    const before = out.get(setting.option);
    out.set(setting.option, before === undefined ? String(value) : `${before}${setting.separator ?? ""}${value}`);
  }
  return [...out];
}

/** What attributes set, of which `textOf` gives the text or null, and what of it is no value of its setting. */
export function drawingOfAttributes(textOf: (name: string) => string | null): { drawing: Drawing; unknown: string[] } {
  let drawing: Drawing = {};
  const unknown: string[] = [];
  for (const option of new Set(SETTINGS.map(({ option: name }) => name))) {
    const text = textOf(option);
    if (text === null) continue;
    const settings = SETTINGS.filter((setting) => setting.option === option);
    const parts = settings.length > 1 ? text.split(settings[0]?.separator ?? "") : [text];
    const values = settings.map((setting, place) => (place in parts ? parseSetting(setting, parts[place] ?? "") : undefined));
    const wrong = parts.length > settings.length || settings.some((setting, place) => values[place] === undefined && (place in parts || setting.required));
    if (wrong) {
      unknown.push(`${option} “${text}”`);
      continue;
    }
    settings.forEach((setting, place) => {
      drawing = withSetting(drawing, setting, values[place]);
    });
  }
  return { drawing: completed(drawing, unknown), unknown };
}

/** The options of `freeguide sample` that say the same, one after another. */
export function commandArguments(drawing: Readonly<Drawing>): string[] {
  const switches = new Map(SETTINGS.filter(({ kind }) => kind === "switch").map(({ option, off }) => [option, off]));
  return attributesOf(drawing).flatMap(([name, text]) => {
    if (!switches.has(name)) return [`--${name}`, text];
    return [`--${text === "false" ? switches.get(name) : name}`];
  });
}

/** What of a model's own settings a picture may have been drawn without. */
export interface OwnSettings {
  readonly sampler?: string;
  readonly guidance_policy?: unknown;
  readonly guidance_interval?: unknown;
  readonly grid?: unknown;
}

/**
 * The settings that draw a picture again with a model of these own settings (`config.sampling`). A picture's file is
 * complete: where it says nothing of guidance's policy, its interval or the grid, it was drawn with the paper's policy, at
 * all levels, on the sampler's own grid, and another model has to be told so.
 */
export function drawingOfPicture(
  picture: Readonly<Partial<PictureSettings>>,
  own: OwnSettings,
): { drawing: Drawing; unknown: string[] } {
  const complete: Fields = { ...picture };
  if (own.guidance_policy !== undefined && picture.guidance_policy === undefined) complete["guidance_policy"] = { kind: "cfg" };
  if (own.guidance_interval !== undefined && picture.guidance_interval === undefined) {
    const { unlimited: max = 0 } = settingAt("guidanceInterval.max");
    complete["guidance_interval"] = { min: -max, max };
  }
  if (own.grid !== undefined && picture.grid === undefined && picture.sampler !== undefined && picture.sampler === own.sampler) {
    complete["grid"] = { spacing: SPACING_OF[picture.sampler] };
  }
  let drawing: Drawing = {};
  const unknown: string[] = [];
  for (const setting of SETTINGS) {
    const value = at(complete, setting.picture);
    if (value === undefined) continue;
    // Whoever made the file may have written anything.
    const known = isValue(value) ? parseSetting(setting, String(value)) : undefined;
    if (known === undefined) unknown.push(`${setting.picture.join(".")} “${String(value)}”`);
    else drawing = withSetting(drawing, setting, known);
  }
  return { drawing: completed(drawing, unknown), unknown };
}
