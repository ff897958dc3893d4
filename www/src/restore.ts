import type { ModelConfig, PictureSettings } from "freeguide";
import { COUNTS, defaultSettings, readSettings, type Settings } from "./settings.js";

/** The sheet that shows the pictures of a saved file again, and what of it this model does not know. */
export function sheetOf(
  pictures: readonly Partial<PictureSettings>[],
  config: ModelConfig,
): { settings: Settings; unknown: string[] } {
  const [first] = pictures;
  const was = defaultSettings(config);
  const asked = new URLSearchParams({
    w: String(first?.guidance ?? was.guidance),
    steps: String(first?.steps ?? was.steps),
    sampler: String(first?.sampler ?? was.sampler),
    seed: String(first?.seed ?? was.seed),
  });
  for (const picture of pictures) asked.append("class", String(picture.class ?? "none"));
  const { settings, unknown } = readSettings(asked, config);
  // The smallest sheet that has all of them: a picture's number is its place.
  const most = Math.max(...pictures.map(({ image }) => Number(image) || 0));
  settings.count = COUNTS.find((count) => count > most) ?? 16;
  if (first?.model !== config.name) unknown.push(`model “${String(first?.model)}”`);
  return { settings, unknown };
}
