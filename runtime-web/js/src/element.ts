/**
 * `<freeguide-sampler model="…">` for pages without JavaScript of their own. Importing this module defines the element; it
 * and the worker are the only modules of the package with a side effect.
 *
 * ```html
 * <script type="module" src="./freeguide/dist/element.js"></script>
 * <freeguide-sampler model="./models/emoji16/" class-name="food-drink" guidance="2"></freeguide-sampler>
 * ```
 *
 * @packageDocumentation
 */
import { FreeguideSampler, type FreeguideSamplerEvents } from "./element/sampler-element.js";

export { FreeguideSampler, type FreeguideSamplerEvents };

declare global {
  interface HTMLElementTagNameMap {
    "freeguide-sampler": FreeguideSampler;
  }
  interface HTMLElementEventMap extends FreeguideSamplerEvents {}
}

// Servers that render pages have no registry, and a page may import two copies.
if (globalThis.customElements && !customElements.get("freeguide-sampler")) {
  customElements.define("freeguide-sampler", FreeguideSampler);
}
