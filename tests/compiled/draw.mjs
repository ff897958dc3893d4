// Draws with a package that `cargo xtask compile-onnx` has written, in Node:
//
//     node draw.mjs PACKAGE BUNDLE '{"classes":[0,1],"seed":7}' > pixels
//
// prints RGB bytes, image after image. With --refused in the place of the options, prints the error of loading BUNDLE.
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [folder, bundle, options] = process.argv.slice(2);
const { loadModel } = await import(pathToFileURL(resolve(folder, "dist/index.js")).href);
const load = () => loadModel(`${pathToFileURL(resolve(bundle)).href}/`, { device: "cpu", cache: false });
if (options === "--refused") {
  const error = await load().then(() => undefined, (error) => error);
  console.log(JSON.stringify({ code: error?.code, detail: error?.detail, message: error?.message }));
} else {
  const model = await load();
  const images = await model.generate(JSON.parse(options));
  for (const { data } of images) process.stdout.write(Buffer.from(data.filter((_, at) => at % 4 !== 3)));
  model.dispose();
}
