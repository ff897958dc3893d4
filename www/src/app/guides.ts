import type { ModelConfig } from "freeguide";
import { byId, make } from "./dom.js";
import { shippedModels } from "./models.js";

const field = byId("guide-field");
const pick = byId<HTMLSelectElement>("guide");

/** The choice of another model that guides the one that is open. */
export class Guides {
  /** `onChange` is called with the folder that is chosen, or undefined for the model's own unconditional estimate. */
  constructor(onChange: (folder: string | undefined) => void) {
    pick.addEventListener("change", () => onChange(pick.value || undefined));
  }

  /** Offers the models that ship and have as many classes and pixels; hidden where there are none, or nothing is combined. */
  async offer({ classes, image, network }: ModelConfig, folder: string | undefined, guide: string | undefined): Promise<void> {
    const shipped = await shippedModels();
    const fitting = shipped.filter(
      (other) => other.folder !== folder && other.size === image.size && other.classes === classes.length && other.distilled !== true,
    );
    const options = fitting.map((other) => make("option", { value: other.folder }, other.name));
    pick.replaceChildren(make("option", { value: "" }, "this model without a class"), ...options);
    // An address may name one that does not ship.
    if (guide !== undefined && !fitting.some((other) => other.folder === guide)) pick.append(make("option", { value: guide }, guide));
    pick.value = guide ?? "";
    field.hidden = network.guidance !== undefined || pick.options.length < 2;
  }
}
