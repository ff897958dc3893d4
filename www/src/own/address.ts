/** Turns what visitors type into the address of a bundle's folder. */

const HUB = "https://huggingface.co/";

/**
 * The address of the folder that `text` names: an https address, a page of a Hugging Face repository (or of a folder in
 * it), or `user/repository`. Undefined if it is none of these.
 */
export function bundleAddress(text: string): string | undefined {
  const trimmed = text.trim();
  if (/^(hf:)?[\w.-]+\/[\w.-]+$/.test(trimmed)) return `${HUB}${trimmed.replace(/^hf:/, "")}/resolve/main/`;
  let url: URL;
  try {
    url = new URL(/^[\w.-]+\.[a-z]{2,}\//i.test(trimmed) ? `https://${trimmed}` : trimmed);
  } catch {
    return undefined;
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  url.hash = "";
  if (url.href.startsWith(HUB)) {
    // /user/repository, /user/repository/tree/BRANCH/folder, /user/repository/blob/BRANCH/folder/config.json
    const [user, repository, kind, branch = "main", ...folder] = url.pathname.split("/").filter(Boolean);
    if (!user || !repository || user === "datasets" || user === "spaces") return undefined;
    if (kind !== undefined && !["tree", "blob", "resolve"].includes(kind)) return undefined;
    const path = folder.at(-1) === "config.json" ? folder.slice(0, -1) : folder;
    return `${HUB}${[user, repository, "resolve", branch, ...path].join("/")}/`;
  }
  url.pathname = url.pathname.replace(/\/config\.json$/, "/");
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}
