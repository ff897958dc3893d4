/**
 * `<freeguide-sampler model="…">` for pages without a line of JavaScript. Importing this module defines the element; it
 * is the one module of the package with an effect.
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

// A server that renders pages has no registry, and a page may import two copies.
if (globalThis.customElements && !customElements.get("freeguide-sampler")) {
  customElements.define("freeguide-sampler", FreeguideSampler);
}
