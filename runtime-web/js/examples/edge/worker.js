// An edge worker that answers GET /?class=food-drink&seed=7&guidance=2 with a PNG. The model's folder is among the site's
// static files, which the binding ASSETS serves; see wrangler.toml.
import { InputError, loadModel, pictureToPng } from "freeguide/edge";
import runtime from "freeguide/wasm/cpu/freeguide_cpu_bg.wasm";

let model; // serves every request of this isolate

export default {
  async fetch(request, env) {
    const asked = new URL(request.url).searchParams;
    const numbers = ["seed", "guidance", "steps"].filter((name) => asked.has(name)).map((name) => [name, Number(asked.get(name))]);
    const options = { classes: [asked.get("class")], signal: request.signal, ...Object.fromEntries(numbers) };
    try {
      model ??= await loadModel("https://assets/models/emoji16/", { runtime, fetch: (url) => env.ASSETS.fetch(url) });
      const [picture] = await model.generate(options);
      return new Response(await pictureToPng(picture), { headers: { "Content-Type": "image/png" } });
    } catch (error) {
      if (error instanceof InputError) return new Response(`${error.message}\n`, { status: 400 });
      throw error;
    }
  },
};
