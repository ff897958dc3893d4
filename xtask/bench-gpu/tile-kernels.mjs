// The kernels that tiles.mjs compares: code in WGSL, and how many groups of threads it takes. Images are [rows, inputs, side + 2,
// side + 2] with a border of zeros, weights [inputs, 9, outputs], results [rows, outputs, side, side].

const times = (count, line) => Array.from({ length: count }, (_, at) => line(at)).join(" ");

/** What all have in common. `side`, `inputs` … are constants; `three` and `deep` the driver does not know. */
function head({ rows, inputs, outputs, side }, type, across, tile, blocks, depth) {
  return `${type === "f16" ? "enable f16;" : ""}
@group(0) @binding(0) var<storage, read> x: array<${type}>;
@group(0) @binding(1) var<storage, read> w: array<vec4<${type}>>;
@group(0) @binding(2) var<storage, read_write> y: array<${type}>;
const inputs = ${inputs}u; const outputs = ${outputs}u; const vectors = outputs / 4u; const side = ${side}u; const edge = side + 2u;
struct Place { row: u32, block: u32, top: u32, left: u32 }
fn place(group: u32) -> Place {
  let tiles = side / ${across}u * (side / ${tile / across}u);
  let tile = group / ${blocks}u % tiles;
  return Place(group / ${blocks}u / tiles, group % ${blocks}u, tile / (side / ${across}u) * ${tile / across}u, tile % (side / ${across}u) * ${across}u);
}
fn pixel(row: u32, input: u32, py: u32, px: u32) -> u32 { return ((row * inputs + input) * edge + py) * edge + px; }
fn result(row: u32, output: u32, py: u32, px: u32) -> u32 { return ((row * outputs + output) * side + py) * side + px; }
@compute @workgroup_size(${tile === 128 ? 128 : 64})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) u: u32) {
  let at = place(group.x);
  let one = arrayLength(&y) / arrayLength(&y); let three = 3u * one; let deep = ${depth}u * one;`.replace("@compute", "BEFORE@compute");
}

const groups = ({ rows, outputs, side }, pixels, each) => ((rows * side * side) / pixels) * (outputs / each);
const withMemory = (code, memory) => code.replace("BEFORE", `${memory}\n`);

/** A thread has a pixel and 16 outputs; all threads of a group read the same weights. */
export function direct(shape, type) {
  const code = `${head(shape, type, 8, 64, shape.outputs / 16, 8)}
  let down = u / 8u; let across = u % 8u;
  var sums: array<vec4f, 4>;
  for (var chunk = 0u; chunk < inputs; chunk += 8u) {
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) { for (var s = u; s < 100u; s += 64u) {
      seen[i * 100u + s] = f32(x[pixel(at.row, chunk + i, at.top + s / 10u, at.left + s % 10u)]);
    } }
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) {
      var begin = (chunk + i) * 9u * vectors + at.block * 4u;
      for (var ky = 0u; ky < three; ky++) { for (var kx = 0u; kx < three; kx++) {
        let v = seen[i * 100u + (down + ky) * 10u + across + kx];
        ${times(4, (k) => `sums[${k}] += vec4f(w[begin + ${k}u]) * v;`)}
        begin += vectors;
      } }
    }
  }
  for (var k = 0u; k < 4u; k++) { for (var j = 0u; j < 4u; j++) {
    y[result(at.row, at.block * 16u + k * 4u + j, at.top + down, at.left + across)] = ${type}(sums[k][j]);
  } }
}`;
  return { code: withMemory(code, "var<workgroup> seen: array<f32, 800>;"), groups: groups(shape, 64, 16) };
}

/** A thread has 4 pixels of a row and `wide` vectors of outputs, and reads the pixels of a row once for its three taps. */
export function strips(shape, type, wide) {
  const depth = wide > 1 ? 4 : 8;
  const tap = (kx, k) =>
    `{ let f = vec4f(w[begin + ${kx}u * vectors + ${k}u]); ${times(4, (p) => `sums[${p * wide + k}] += f * v${p + kx};`)} }`;
  const code = `${head(shape, type, 8, 64, shape.outputs / (16 * wide), depth)}
  let strip = u % 16u; let own = u / 16u * ${wide}u; let down = strip / 2u; let across = strip % 2u * 4u;
  var sums: array<vec4f, ${4 * wide}>;
  for (var chunk = 0u; chunk < inputs; chunk += ${depth}u) {
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) { for (var s = u; s < 100u; s += 64u) {
      seen[i * 100u + s] = f32(x[pixel(at.row, chunk + i, at.top + s / 10u, at.left + s % 10u)]);
    } }
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) {
      var begin = (chunk + i) * 9u * vectors + at.block * ${4 * wide}u + own;
      for (var ky = 0u; ky < three; ky++) {
        let b = i * 100u + (down + ky) * 10u + across;
        ${times(6, (p) => `let v${p} = seen[b + ${p}u];`)}
        ${times(3, (kx) => times(wide, (k) => tap(kx, k)))}
        begin += 3u * vectors;
      }
    }
  }
  for (var p = 0u; p < 4u; p++) { for (var k = 0u; k < ${wide}u; k++) { for (var j = 0u; j < 4u; j++) {
    y[result(at.row, at.block * ${16 * wide}u + (own + k) * 4u + j, at.top + down, at.left + across + p)] = ${type}(sums[p * ${wide}u + k][j]);
  } } }
}`;
  return { code: withMemory(code, `var<workgroup> seen: array<f32, ${100 * depth}>;`), groups: groups(shape, 64, 16 * wide) };
}

/** A group has 16×8 pixels and 64 outputs, with their weights in shared memory; a thread 8 pixels of a row and 8 outputs. */
export function shared(shape, type) {
  const code = `${head(shape, type, 16, 128, shape.outputs / 64, 4)}
  let strip = u % 16u; let own = u / 16u * 2u; let down = strip / 2u; let across = strip % 2u * 8u;
  var sums: array<vec4f, 16>;
  for (var chunk = 0u; chunk < inputs; chunk += 4u) {
    workgroupBarrier();
    for (var s = u; s < 720u; s += 128u) {
      let rest = s % 180u;
      seen[s] = f32(x[pixel(at.row, chunk + s / 180u, at.top + rest / 18u, at.left + rest % 18u)]);
    }
    for (var s = u; s < 576u; s += 128u) { held[s] = vec4f(w[(chunk * 9u + s / 16u) * vectors + at.block * 16u + s % 16u]); }
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) { for (var ky = 0u; ky < three; ky++) {
      let b = i * 180u + (down + ky) * 18u + across;
      for (var kx = 0u; kx < three; kx++) {
        let begin = (i * 9u + ky * 3u + kx) * 16u + own;
        let f = held[begin]; let g = held[begin + 1u];
        ${times(8, (p) => `{ let v = seen[b + kx + ${p}u]; sums[${2 * p}] += f * v; sums[${2 * p + 1}] += g * v; }`)}
      }
    } }
  }
  for (var p = 0u; p < 8u; p++) { for (var k = 0u; k < 2u; k++) { for (var j = 0u; j < 4u; j++) {
    y[result(at.row, at.block * 64u + (own + k) * 4u + j, at.top + down, at.left + across + p)] = ${type}(sums[2u * p + k][j]);
  } } }
}`;
  return { code: withMemory(code, "var<workgroup> seen: array<f32, 720>;\nvar<workgroup> held: array<vec4f, 576>;"), groups: groups(shape, 128, 64) };
}

/** Winograd's F(2×2, 3×3) in one kernel: a group has 16 tiles of 2×2 pixels, a thread one of them and 4 outputs. */
export function winograd(shape, type) {
  const code = `${head(shape, type, 8, 64, shape.outputs / 16, 8)}
  let tile = u % 16u; let own = u / 16u;
  var m: array<vec4f, 16>;
  for (var chunk = 0u; chunk < inputs; chunk += 8u) {
    workgroupBarrier();
    for (var s = u; s < 128u; s += 64u) {
      let q = s % 16u;
      let begin = pixel(at.row, chunk + s / 16u, at.top + q / 4u * 2u, at.left + q % 4u * 2u);
      var d: array<vec4f, 4>;
      ${times(4, (r) => `d[${r}] = vec4f(${[0, 1, 2, 3].map((c) => `f32(x[begin + ${r}u * edge + ${c}u])`).join(", ")});`)}
      let e = array<vec4f, 4>(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
      ${times(4, (r) => `{ let v = e[${r}]; let to = s / 16u * 256u + ${64 * r}u + q; seen[to] = v.x - v.z; seen[to + 16u] = v.y + v.z; seen[to + 32u] = v.z - v.y; seen[to + 48u] = v.y - v.w; }`)}
    }
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) {
      let begin = (chunk + i) * 16u * vectors + at.block * 4u + own;
      ${times(16, (k) => `m[${k}] += vec4f(w[begin + ${k}u * vectors]) * seen[i * 256u + tile + ${16 * k}u];`)}
    }
  }
  var a: array<vec4f, 8>;
  ${times(4, (c) => `a[${c}] = m[${c}] + m[${4 + c}] + m[${8 + c}]; a[${4 + c}] = m[${4 + c}] - m[${8 + c}] - m[${12 + c}];`)}
  for (var r = 0u; r < 2u; r++) {
    let l = a[4u * r] + a[4u * r + 1u] + a[4u * r + 2u]; let h = a[4u * r + 1u] - a[4u * r + 2u] - a[4u * r + 3u];
    for (var j = 0u; j < 4u; j++) {
      let to = result(at.row, at.block * 16u + own * 4u + j, at.top + tile / 4u * 2u + r, at.left + tile % 4u * 2u);
      y[to] = ${type}(l[j]); y[to + 1u] = ${type}(h[j]);
    }
  }
}`;
  return { code: withMemory(code, "var<workgroup> seen: array<f32, 2048>;"), groups: groups(shape, 64, 16) };
}

/** As `direct`, on bytes, of which four channels are in a number. With `dot`, by WGSL's dot product of such numbers. */
export function bytes(shape, dot) {
  const signed = (name) => `vec4i(bitcast<i32>(${name} << 24u) >> 24u, bitcast<i32>(${name} << 16u) >> 24u, bitcast<i32>(${name} << 8u) >> 24u, bitcast<i32>(${name}) >> 24u)`;
  const quarter = { ...shape, inputs: shape.inputs / 4 };
  const code = `${head(quarter, "f32", 8, 64, shape.outputs / 16, 8)}
  let down = u / 8u; let across = u % 8u;
  var sums: array<vec4i, 4>;
  for (var chunk = 0u; chunk < inputs; chunk += 8u) {
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) { for (var s = u; s < 100u; s += 64u) {
      seen[i * 100u + s] = x[pixel(at.row, chunk + i, at.top + s / 10u, at.left + s % 10u)];
    } }
    workgroupBarrier();
    for (var i = 0u; i < deep; i++) {
      var begin = (chunk + i) * 9u * vectors + at.block * 4u;
      for (var ky = 0u; ky < three; ky++) { for (var kx = 0u; kx < three; kx++) {
        let v = seen[i * 100u + (down + ky) * 10u + across + kx];
        ${times(4, (k) => `{ let f = w[begin + ${k}u]; sums[${k}] += vec4i(product(f.x, v), product(f.y, v), product(f.z, v), product(f.w, v)); }`)}
        begin += vectors;
      } }
    }
  }
  for (var k = 0u; k < 4u; k++) { for (var j = 0u; j < 4u; j++) {
    y[result(at.row, at.block * 16u + k * 4u + j, at.top + down, at.left + across)] = f32(sums[k][j]) / 4096.0;
  } }
}`;
  const product = `fn product(a: u32, b: u32) -> i32 { return ${dot ? "dot4I8Packed(a, b)" : `dot(${signed("a")}, ${signed("b")})`}; }`;
  const typed = code.replace("x: array<f32>", "x: array<u32>").replace("w: array<vec4<f32>>", "w: array<vec4u>");
  return { code: withMemory(typed, `var<workgroup> seen: array<u32, 800>;\n${product}`), groups: groups(shape, 64, 16) };
}
