// Makes the list of crates the same each time: without the moment, the number and the author of its making, and without the
// paths and the names of folders of this machine.
//
//     node bom.mjs FROM TO CHECKOUT
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The list as JSON text. `checkout`: the folder that paths are made relative to. */
export function settled(text, checkout) {
  const bom = JSON.parse(text);
  delete bom.serialNumber;
  const { metadata = {} } = bom;
  const { component } = metadata;
  delete metadata.timestamp;
  delete metadata.authors;
  if (component) component.name = "freeguide";
  const key = ({ "bom-ref": name, ref = name }) => String(ref);
  for (const list of [bom.components, bom.dependencies, component?.components]) list?.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  for (const { dependsOn } of bom.dependencies ?? []) dependsOn?.sort();
  return `${JSON.stringify(bom, null, 2).replaceAll(checkout, ".")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to, checkout] = process.argv.slice(2);
  writeFileSync(to, settled(readFileSync(from, "utf8"), checkout));
}
