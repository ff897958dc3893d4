// What a visitor waits for: the WebAssembly files as a static host sends them, compressed by brotli at its level 11.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { packageFolder } from "./setup.mjs";

const compress = promisify(brotliCompress);
const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;

for (const [build, limit] of Object.entries({ cpu: 515_000, webgpu: 1_276_000 })) {
  test(`the ${build} runtime takes at most ${limit} bytes, and names no folder of the machine that built it`, async () => {
    const file = await readFile(join(packageFolder, `wasm/${build}/freeguide_${build}_bg.wasm`));
    // latin1 keeps every byte a character.
    assert.deepEqual(file.toString("latin1").match(/[ -~]*registry\/src\/[ -~]*/g) ?? [], []);
    const packed = await compress(file, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: file.length } });
    assert.ok(packed.length <= limit, `${packed.length} bytes`);
  });
}
