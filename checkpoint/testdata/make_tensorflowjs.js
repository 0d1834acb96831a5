// Writes tensorflowjs/: a model.json with weights of every type and quantisation in two files, and what TensorFlow.js
// reads from them (want.json). Run in a folder where "npm install @tensorflow/tfjs@4.22.0" was run:
//
//	node make_tensorflowjs.js checkpoint/testdata/tensorflowjs
const tf = require(require.resolve('@tensorflow/tfjs', { paths: [process.cwd()] }));
const fs = require('fs'), path = require('path');
const dir = process.argv[2];
let seed = 1;
const byte = () => { seed = (seed * 48271) % 2147483647; return seed & 255; };

const affine = (dtype, scale, min, original) => ({ dtype, scale, min, original_dtype: original || 'float32' });
const weights = [
  { name: 'plain', shape: [2, 3], dtype: 'float32' },
  { name: 'half', shape: [2, 4], dtype: 'float32', quantization: { dtype: 'float16', original_dtype: 'float32' } },
  { name: 'byte', shape: [5], dtype: 'float32', quantization: affine('uint8', 0.0123456789, -1.57) },
  { name: 'short', shape: [3, 1], dtype: 'float32', quantization: affine('uint16', 0.000031415926, -1) },
  { name: 'whole', shape: [6], dtype: 'int32', quantization: affine('uint8', 0.5, -64, 'int32') },
  { name: 'int', shape: [], dtype: 'int32' },
  { name: 'flags', shape: [4], dtype: 'bool' },
  { name: 'none', shape: [0, 3], dtype: 'float32' },
];
const size = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 };
const bytes = [];
for (const w of weights) {
  const n = w.shape.reduce((a, b) => a * b, 1);
  for (let i = 0; i < n; i++) {
    if (w.name === 'plain') bytes.push(...Buffer.from(Float32Array.of(byte() / 64 - 2).buffer));
    else if (w.name === 'half') bytes.push(byte(), (byte() & 0x83) | 0x34);
    else if (w.name === 'flags') bytes.push(byte() & 1);
    else for (let k = 0; k < size[w.quantization ? w.quantization.dtype : w.dtype]; k++) bytes.push(byte());
  }
}
const all = Buffer.from(bytes), cut = 30; // within a tensor
fs.mkdirSync(dir, { recursive: true });
fs.writeFileSync(path.join(dir, 'group1-shard1of2.bin'), all.subarray(0, cut));
fs.writeFileSync(path.join(dir, 'group1-shard2of2.bin'), all.subarray(cut));
fs.writeFileSync(path.join(dir, 'model.json'), JSON.stringify({
  format: 'graph-model', generatedBy: 'by hand', convertedBy: null, modelTopology: { node: [] },
  weightsManifest: [{ paths: ['group1-shard1of2.bin', 'group1-shard2of2.bin'], weights }],
}, null, 1) + '\n');
const read = tf.io.decodeWeights(all.buffer.slice(all.byteOffset, all.byteOffset + all.length), weights);
const want = {};
for (const w of weights) want[w.name] = Array.from(read[w.name].dataSync());
fs.writeFileSync(path.join(dir, 'want.json'), JSON.stringify(want, null, 1) + '\n');
console.log('TensorFlow.js', tf.version.tfjs);
