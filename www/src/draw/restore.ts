import type { ModelConfig, PictureSettings } from "freeguide";
import { classText, drawingOfPicture } from "freeguide/settings";
import { canBeGuided, chosenOf, COUNTS, defaultSettings, isSameClass, runsOf, type Chosen, type Settings, type View } from "../app/settings.js";

type Pictures = readonly Partial<PictureSettings>[];

/** The view whose pictures differ as these do. */
function viewOf(pictures: Pictures): View {
  const differ = (of: (picture: Partial<PictureSettings>) => unknown): boolean => new Set(pictures.map(of)).size > 1;
  if (differ(({ guidance }) => guidance)) return "sweep";
  if (differ(({ seed }) => seed)) return "seeds";
  if (differ(({ toward }) => toward?.seed)) return "variations";
  if (differ(({ toward }) => toward?.t)) return "between";
  return "sheet";
}

/** The shortest list of classes that, taken in turn, gives these. */
function turnOf(classes: readonly Chosen[]): Chosen[] {
  const period = classes.findIndex((_, length) => length > 0 && classes.every((name, at) => isSameClass(name, classes[at % length])));
  return classes.slice(0, period < 0 ? classes.length : period);
}

/** Whether a sheet with these settings has every one of the pictures. */
function hasAll(settings: Settings, pictures: Pictures, config: ModelConfig): boolean {
  const runs = runsOf(settings);
  return pictures.every(({ image = 0, guidance, seed, toward, class: name }) =>
    runs.some(({ drawing, classes }) => {
      const place = image - (drawing.firstImage ?? 0);
      return (
        (drawing.guidance === guidance || !canBeGuided(config)) &&
        drawing.seed === seed &&
        drawing.toward?.t === toward?.t &&
        drawing.toward?.seed === toward?.seed &&
        place in classes &&
        isSameClass(classes[place], chosenOf(name, config))
      );
    }),
  );
}

/** The smallest sheet that has so many pictures. */
const countFor = (wanted: number): number => COUNTS.find((count) => count >= wanted) ?? 16;

/** The sheet that shows the pictures of a saved file again, and what of it this model does not know. `guided`: whether another guides it. */
export function sheetOf(pictures: Pictures, config: ModelConfig, guided = false): { settings: Settings; unknown: string[] } {
  const [first = {}] = pictures;
  const settings = defaultSettings(config);
  const { drawing, unknown } = drawingOfPicture(first, config.sampling);
  // Which models guide is part of what is loaded, not of a drawing.
  if (first.guide !== undefined && !guided) unknown.push(`guided by “${first.guide}”`);
  settings.view = viewOf(pictures);
  settings.drawing = { ...settings.drawing, ...drawing };
  const classes = pictures.map((picture) => chosenOf(picture.class, config));
  pictures.forEach((picture, at) => {
    if (classes[at] === undefined) unknown.push(`class “${classText(picture.class ?? null)}”`);
  });
  // Of a sweep, whose pictures come row by row, the column of one strength.
  const shown = classes.filter((_, at) => settings.view !== "sweep" || pictures[at]?.guidance === first.guidance);
  const known = shown.filter((name) => name !== undefined);
  const images = pictures.map(({ image }) => Number(image) || 0);
  const last = Math.max(...images);
  // A picture's number is its place, where the sheet has as many.
  const from = last < 16 ? 0 : Math.min(...images);
  if (from > 0) settings.drawing.firstImage = from;
  else delete settings.drawing.firstImage;
  if (known.length > 0) settings.classes = turnOf(known);
  settings.count = countFor(last - from + 1);
  if (settings.view === "sweep") {
    settings.drawing.guidance = defaultSettings(config).drawing.guidance;
  } else if (settings.view !== "sheet") {
    settings.count = countFor(pictures.length);
  }
  if (settings.view === "seeds") settings.drawing.seed = Math.min(...pictures.map(({ seed = 0 }) => seed));
  if (settings.view === "between") {
    settings.otherSeed = first.toward?.seed ?? settings.otherSeed;
    delete settings.drawing.toward;
  }
  if (settings.view === "variations") {
    settings.otherSeed = Math.min(...pictures.map(({ toward }) => toward?.seed ?? 0));
    settings.variation = first.toward?.t ?? settings.variation;
    delete settings.drawing.toward;
  }
  if (!canBeGuided(config)) settings.drawing.guidance = 0;
  if (first.model !== config.name) unknown.push(`model “${String(first.model)}”`);
  else if (unknown.length === 0 && !hasAll(settings, pictures, config)) unknown.push("the order of these pictures");
  return { settings, unknown };
}
