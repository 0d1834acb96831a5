// What the scripts that make goldens share: graphs by hand, TensorFlow.js to run them, safetensors to keep what it says.
// They run in a folder where "npm install @tensorflow/tfjs@4.22.0" was run.
const tf = require(require.resolve('@tensorflow/tfjs', { paths: [process.cwd()] }));
const fs = require('fs'), path = require('path');

let seed = 7;
const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647 - 0.5; };
const count = (shape) => shape.reduce((a, b) => a * b, 1);
const text = (s) => Buffer.from(s).toString('base64');
const dims = (shape) => ({ dim: shape.map((d) => (d === 0 ? {} : { size: String(d) })) });

// A graph: nodes are added in order; constants become weights, float32 ones in half precision where half is set.
class Graph {
  constructor(half) { this.half = half; this.nodes = []; this.weights = []; this.bytes = []; this.inputs = {}; this.outputs = {}; }
  add(name, op, input, attr = {}) { this.nodes.push({ name, op, input, attr: { T: { type: 'DT_FLOAT' }, ...attr } }); return name; }
  placeholder(name, shape) {
    this.inputs[name] = { name, dtype: 'DT_FLOAT', tensorShape: dims(shape) };
    this.nodes.push({ name, op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: dims(shape) } } });
    return name;
  }
  constant(name, shape, values, dtype = 'float32') {
    const type = dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT';
    this.nodes.push({ name, op: 'Const', attr: { dtype: { type }, value: { tensor: { dtype: type, tensorShape: dims(shape) } } } });
    const w = { name, shape, dtype };
    if (dtype === 'float32' && this.half && values.length > 1) {
      w.quantization = { dtype: 'float16', original_dtype: 'float32' };
      for (const v of values) { const h = toHalf(v); this.bytes.push(h & 255, h >> 8); }
    } else {
      this.bytes.push(...Buffer.from((dtype === 'int32' ? Int32Array : Float32Array).from(values).buffer));
    }
    this.weights.push(w);
    return name;
  }
  weight(name, shape, size = 1, base = 0) { return this.constant(name, shape, Array.from({ length: count(shape) }, () => base + size * random())); }
  ints(name, values, shape = [values.length]) { return this.constant(name, shape, values, 'int32'); }
  output(name, shape) { this.outputs[name] = { name, dtype: 'DT_FLOAT', tensorShape: dims(shape) }; }
  description(file) {
    return { format: 'graph-model', generatedBy: 'by hand', convertedBy: null, signature: { inputs: this.inputs, outputs: this.outputs },
      modelTopology: { node: this.nodes, library: {}, versions: {} }, weightsManifest: [{ paths: [file], weights: this.weights }] };
  }
  save(dir, name) {
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, name + '.bin'), Buffer.from(this.bytes));
    fs.writeFileSync(path.join(dir, name + '.json'), JSON.stringify(this.description(name + '.bin')) + '\n');
    return load(path.join(dir, name + '.json'));
  }
}

// toHalf rounds a small number to half precision (towards zero, which is enough: what is stored counts).
function toHalf(v) {
  if (v === 0) return 0;
  const sign = v < 0 ? 0x8000 : 0, a = Math.abs(v);
  const e = Math.max(Math.floor(Math.log2(a)), -14);
  const f = Math.floor((a / 2 ** e) * 1024);
  return f < 1024 ? sign | f : sign | ((e + 15) << 10) | (f - 1024);
}

function load(file) {
  const model = JSON.parse(fs.readFileSync(file));
  const specs = [], parts = [];
  for (const g of model.weightsManifest) {
    for (const p of g.paths) parts.push(fs.readFileSync(path.join(path.dirname(file), p)));
    specs.push(...g.weights);
  }
  const all = Buffer.concat(parts);
  return tf.loadGraphModel(tf.io.fromMemory({ modelTopology: model.modelTopology, weightSpecs: specs, signature: model.signature, format: model.format,
    weightData: all.buffer.slice(all.byteOffset, all.byteOffset + all.length) }));
}

// safetensors writes { name: tensor or { shape, data } }.
function safetensors(file, tensors) {
  const header = { __metadata__: { tensorflowjs: tf.version.tfjs } }, data = [];
  let at = 0;
  for (const [name, t] of Object.entries(tensors)) {
    const bytes = Buffer.from(Float32Array.from(t.dataSync ? t.dataSync() : t.data).buffer);
    header[name] = { dtype: 'F32', shape: t.shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
    data.push(bytes);
  }
  let json = JSON.stringify(header);
  json += ' '.repeat((8 - (json.length % 8)) % 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  fs.writeFileSync(file, Buffer.concat([size, Buffer.from(json), ...data]));
}

// picture is numbers that Go makes in the same way (see testPixels).
function picture(height, width, scale = 255) {
  let s = 12345;
  const data = new Float32Array(height * width * 3);
  for (let i = 0; i < data.length; i++) {
    s = (s * 48271) % 2147483647;
    const x = Math.floor(i / 3) % width, y = Math.floor(i / 3 / width);
    data[i] = Math.fround(scale * Math.fround(((x * 7 + y * 3 + (i % 3) * 40 + (s % 64)) % 256) / 256));
  }
  return data;
}

const same = { padding: { s: text('SAME') } }, valid = { padding: { s: text('VALID') } };
const list = (i) => ({ list: { i: i.map(String) } });
const stride = (n) => ({ strides: list([1, n, n, 1]), dilations: list([1, 1, 1, 1]), data_format: { s: text('NHWC') } });
const fused = (...ops) => ({ fused_ops: { list: { s: ops.map(text) } }, num_args: { i: '1' }, epsilon: { f: 0 } });
module.exports = { tf, fs, path, Graph, load, safetensors, picture, random, count, text, list, dims, same, valid, stride, fused };
