import { query, setQuery, type ModelHost } from "./host.js";
import { writeSettings, type Settings } from "./settings.js";

/** Keeps the settings in the address, so that a link reproduces what is seen. */
export function remember(settings: Settings, host: ModelHost): void {
  const before = query();
  if (host.asked === undefined) before.delete("model");
  else before.set("model", host.asked);
  setQuery(writeSettings(settings, before));
}
