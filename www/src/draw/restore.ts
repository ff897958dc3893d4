import type { ModelConfig, PictureSettings } from "freeguide";
import { COUNTS, defaultSettings, readSettings, type Settings } from "../app/settings.js";

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
  const { guidance_policy: policy, guidance_interval: interval, toward } = first ?? {};
  if (policy !== undefined) asked.set("policy", String(policy.kind));
  if (policy?.["rescale"] !== undefined) asked.set("rescale", String(policy["rescale"]));
  if (interval !== undefined) {
    asked.set("from", String(interval.min));
    asked.set("until", String(interval.max));
  }
  if (toward !== undefined) {
    asked.set("view", "between");
    asked.set("toward", String(toward.seed));
  }
  for (const picture of pictures) asked.append("class", String(picture.class ?? "none"));
  const { settings, unknown } = readSettings(asked, config);
  // The smallest sheet that has all of them: a picture's number is its place.
  const most = Math.max(...pictures.map(({ image }) => Number(image) || 0));
  settings.count = COUNTS.find((count) => count > most) ?? 16;
  if (first?.model !== config.name) unknown.push(`model “${String(first?.model)}”`);
  return { settings, unknown };
}
