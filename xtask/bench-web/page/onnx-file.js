// Reads what is needed of an ONNX file, which is one message of protocol buffers
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): nodes, constants, and the name of the output.

/** An integer that begins at a place, and where it ends. */
function varint(bytes, start) {
  let value = 0n;
  for (let at = start, shift = 0n; ; at += 1, shift += 7n) {
    value |= BigInt(bytes[at] & 127) << shift;
    if (bytes[at] < 128) return [Number(BigInt.asIntN(64, value)), at + 1];
  }
}

/** The integers of a repeated field, of which one or a packed row of them was found. */
function integers(found) {
  if (typeof found === "number") return [found];
  const all = [];
  for (let at = 0; at < found.length; ) {
    const [value, next] = varint(found, at);
    all.push(value);
    at = next;
  }
  return all;
}

/** The fields of a message: [number, value], where a value is a number or, of fields with a length, their bytes. */
function* fields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const integer = () => {
    const [value, next] = varint(bytes, at);
    at = next;
    return value;
  };
  while (at < bytes.length) {
    const key = integer();
    const number = key >>> 3;
    switch (key & 7) {
      case 0:
        yield [number, integer()];
        break;
      case 2: {
        const length = integer();
        yield [number, bytes.subarray(at, at + length)];
        at += length;
        break;
      }
      case 5:
        yield [number, view.getFloat32(at, true)];
        at += 4;
        break;
      default:
        throw new Error("an ONNX file has no such field");
    }
  }
}

const text = (bytes) => new TextDecoder().decode(bytes);

function attribute(bytes) {
  let name;
  let value;
  const many = [];
  for (const [number, found] of fields(bytes)) {
    if (number === 1) name = text(found);
    else if (number === 2 || number === 3) value = found;
    else if (number === 4) value = text(found);
    else if (number === 8) many.push(...integers(found));
  }
  return [name, many.length > 0 ? many : value];
}

function node(bytes) {
  const out = { operation: "", inputs: [], outputs: [], attributes: {} };
  for (const [number, value] of fields(bytes)) {
    if (number === 1) out.inputs.push(text(value));
    else if (number === 2) out.outputs.push(text(value));
    else if (number === 4) out.operation = text(value);
    else if (number === 5) {
      const [name, found] = attribute(value);
      out.attributes[name] = found;
    }
  }
  return out;
}

const types = { 1: Float32Array, 7: BigInt64Array };

function tensor(bytes) {
  let name;
  let type;
  let raw = new Uint8Array();
  const dims = [];
  for (const [number, value] of fields(bytes)) {
    if (number === 1) dims.push(...integers(value));
    else if (number === 2) type = value;
    else if (number === 8) name = text(value);
    else if (number === 9) raw = value;
  }
  return { name, dims, values: new types[type](raw.slice().buffer) };
}

/** Nodes in order, constants, and the name of the first output. */
export function readOnnx(buffer) {
  const model = [...fields(new Uint8Array(buffer))];
  const [, graph] = model.find(([number]) => number === 7);
  const nodes = [];
  const initializers = [];
  let output;
  for (const [number, value] of fields(graph)) {
    if (number === 1) nodes.push(node(value));
    else if (number === 5) initializers.push(tensor(value));
    else if (number === 12) output ??= text([...fields(value)].find(([number]) => number === 1)[1]);
  }
  return { nodes, initializers, output };
}
