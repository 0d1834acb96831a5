// Writes small random graphs with the operations that run, and what TensorFlow.js computes with them:
//
//	node internal/vision/graph/testdata/make_goldens.js internal/vision/graph/testdata
const { tf, path, Graph, safetensors, picture, text, list, same, valid, stride, fused } = require('./tfjs.js');
const dir = process.argv[2];

// mobile is as CenterNet on MobileNet v3 is: fused convolutions, hard swish in parts with a factor that was rounded to half
// precision, squeeze and excitation, corners resized, sums with what lies before.
function mobile() {
  const g = new Graph(true);
  let x = g.placeholder('images', [1, 23, 26, 3]);
  const conv = (name, x, k, cin, cout, s, ...ops) => g.add(name, '_FusedConv2D', [x, g.weight(name + '/w', [k, k, cin, cout], 1.5 / Math.sqrt(cin)), g.weight(name + '/b', [cout])],
    { ...same, ...stride(s), ...fused('BiasAdd', ...ops) });
  const depth = (name, x, k, c, s, ...ops) => g.add(name, 'FusedDepthwiseConv2dNative', [x, g.weight(name + '/w', [k, k, c, 1], 0.8), g.weight(name + '/b', [c])],
    { ...same, ...stride(s), ...fused('BiasAdd', ...ops) });
  const swish = (name, x) => {
    const part = g.add(name + '/mul', 'Mul', [g.constant(name + '/sixth', [], [0.1666259765625]), x]);
    const sum = g.add(name + '/add', 'Add', [x, g.constant(name + '/three', [], [3])]);
    return g.add(name + '/mul_1', 'Mul', [part, g.add(name + '/Relu6', 'Relu6', [sum])]);
  };
  x = g.add('scaled', 'Mul', [x, g.constant('scale', [], [1 / 255])]);
  const c1 = swish('swish1', conv('c1', x, 3, 3, 8, 2));
  const d1 = depth('d1', c1, 3, 8, 1, 'Relu');
  const r1 = g.add('r1', 'Add', [conv('p1', d1, 1, 8, 8, 1), c1]);
  const e2 = swish('swish2', conv('e2', r1, 1, 8, 16, 1));
  const d2 = swish('swish3', depth('d2', e2, 5, 16, 2));
  const m = g.add('se/mean', 'Mean', [d2, g.ints('se/axes', [1, 2])], { keep_dims: { b: true } });
  const se = conv('se/b', conv('se/a', m, 1, 16, 4, 1, 'Relu'), 1, 4, 16, 1);
  const gate = g.add('se/gate', 'Mul', [g.constant('se/sixth', [], [0.1666259765625]), g.add('se/relu6', 'Relu6', [g.add('se/add', 'Add', [se, g.constant('se/three', [], [3])])])]);
  const p2 = conv('p2', g.add('se/mul', 'Mul', [gate, d2]), 1, 16, 8, 1);
  const deep = swish('swish4', p2);
  // the neck: a depthwise convolution without bias, resized, beside what came before
  const dw = g.add('neck/dw', 'DepthwiseConv2dNative', [deep, g.weight('neck/dw/w', [3, 3, 8, 2], 0.8)], { ...same, ...stride(1) });
  const up = g.add('neck/up', 'ResizeBilinear', [dw, g.ints('neck/size', [12, 13])], { align_corners: { b: false }, half_pixel_centers: { b: false } });
  const joined = g.add('neck/relu', 'Relu', [g.add('neck/concat', 'ConcatV2', [r1, up, g.ints('neck/axis', [3], [])], { N: { i: '2' } })]);
  const scores = g.add('scores', 'Sigmoid', [g.add('head', 'Conv2D', [joined, g.weight('head/w', [1, 1, 24, 5], 0.5)], { ...same, ...stride(1) })]);
  g.output(g.add('keypoints', 'Identity', [scores]), [1, 12, 13, 5]);
  g.output(g.add('peaks', 'MaxPool', [scores], { ...same, ...stride(1), ksize: list([1, 3, 3, 1]) }), [1, 12, 13, 5]);
  g.output(deep, [1, 6, 7, 8]);
  return g;
}

// torch is as a graph that came from PyTorch by way of ONNX: channels first, with a transposition on both sides of every convolution.
function torch() {
  const g = new Graph(true);
  let x = g.placeholder('input_1', [1, 3, 21, 26]);
  let n = 0;
  const pads = (name, p) => g.ints(name, [0, 0, 0, 0, p, p, p, p], [4, 2]);
  const conv = (x, k, cin, cout, s, act = true) => {
    const name = 'c' + n++;
    if (k > 1) x = g.add(name + '/pad', 'Pad', [x, pads(name + '/pads', k >> 1)]);
    const t = g.add(name + '/nhwc', 'Transpose', [x, g.ints(name + '/p1', [0, 2, 3, 1])]);
    const c = g.add(name + '/conv', 'Conv2D', [t, g.weight(name + '/w', [k, k, cin, cout], 2 / Math.sqrt(cin * k * k))], { ...valid, ...stride(s) });
    const b = g.add(name + '/add', 'Add', [c, g.weight(name + '/b', [cout])]);
    const back = g.add(name + '/nchw', 'Transpose', [b, g.ints(name + '/p2', [0, 3, 1, 2])]);
    return act ? g.add(name + '/act', 'LeakyRelu', [back], { alpha: { f: 0.1 } }) : back;
  };
  const moved = (name, op, x, more, attr) => {
    const t = g.add(name + '/nhwc', 'Transpose', [x, g.ints(name + '/p1', [0, 2, 3, 1])]);
    return g.add(name + '/nchw', 'Transpose', [g.add(name, op, [t, ...more], attr), g.ints(name + '/p2', [0, 3, 1, 2])]);
  };
  x = conv(x, 3, 3, 8, 2); // 11 x 13
  const padded = g.add('pool/pad', 'PadV2', [x, pads('pool/pads', 1), g.constant('pool/inf', [], [-Infinity])]);
  const p = moved('pool', 'MaxPool', padded, [], { ...valid, ...stride(2), ksize: list([1, 3, 3, 1]) }); // 6 x 7
  const a = conv(p, 3, 8, 6, 1), b = conv(a, 1, 6, 6, 1);
  const fine = g.add('fine', 'ConcatV2', [b, a, g.ints('fine/axis', [1], [])], { N: { i: '2' } });
  const coarse = conv(fine, 3, 12, 10, 2); // 3 x 4
  const up = moved('up', 'ResizeBilinear', conv(coarse, 1, 10, 12, 1, false), [g.ints('up/size', [6, 7])], { align_corners: { b: false }, half_pixel_centers: { b: true } });
  const sum = g.add('sum', 'Add', [fine, up]);
  const head = conv(sum, 1, 12, 9, 1, false);
  g.add('split', 'SplitV', [head, g.ints('split/sizes', [5, 4]), g.ints('split/axis', [1], [])], { num_split: { i: '2' } });
  // shapes that are computed from constants
  const shape = (name, c) => g.add(name, 'AddV2', [g.ints(name + '/a', [1, c, -1]), g.add(name + '/zeros', 'SparseToDense',
    [g.ints(name + '/where', [], [0, 1]), g.ints(name + '/size', [3]), g.ints(name + '/none', [], [0]), g.ints(name + '/zero', [0], [])])], { T: { type: 'DT_INT32' } });
  const flat = (name, x, c) => g.add(name, 'Transpose', [g.add(name + '/reshape', 'Reshape', [x, shape(name + '/shape', c)]), g.ints(name + '/perm', [0, 2, 1])]);
  g.output(flat('classes', g.add('sigmoid', 'Sigmoid', ['split']), 5), [1, 42, 5]);
  g.output(flat('boxes', 'split:1', 4), [1, 42, 4]);
  g.output(coarse, [1, 10, 3, 4]);
  g.output(g.add('mean', 'Mean', [coarse, g.ints('mean/axes', [2, 3])], { keep_dims: { b: false } }), [1, 10]);
  // what cannot stay as it lies
  g.output(g.add('rows', 'Reshape', [coarse, g.ints('rows/shape', [5, -1])]), [5, 24]);
  g.output(g.add('more', 'PadV2', [coarse, g.ints('more/pads', [0, 0, 1, 0, 0, 2, 1, 1], [4, 2]), g.constant('more/value', [], [0.5])]), [1, 11, 5, 6]);
  g.output(g.add('mixed', 'Mul', [coarse, g.weight('mixed/w', [1, 1, 3, 1])]), [1, 10, 3, 4]);
  g.output(g.add('stacked', 'ConcatV2', [coarse, coarse, g.ints('stacked/axis', [2], [])], { N: { i: '2' } }), [1, 10, 6, 4]);
  return g;
}

// others has the rest, in no sensible order.
function others() {
  const g = new Graph(false);
  let x = g.placeholder('x', [-1, 17, 14, 3]);
  x = g.add('sub', 'Sub', [g.add('div', 'RealDiv', [x, g.constant('d', [], [128])]), g.constant('s', [3], [1, 0.9, 0.8])]);
  const norm = (name, x, c) => g.add(name, 'FusedBatchNormV3', [x, g.weight(name + '/scale', [c], 1, 1), g.weight(name + '/offset', [c]), g.weight(name + '/mean', [c]), g.weight(name + '/var', [c], 0.5, 1)],
    { epsilon: { f: 0.001 }, is_training: { b: false }, data_format: { s: text('NHWC') } });
  const c1 = g.add('c1', 'Conv2D', [x, g.weight('c1/w', [3, 3, 3, 6])], { ...same, ...stride(2) });
  const a1 = g.add('elu', 'Elu', [norm('n1', c1, 6)]); // 9 x 7 x 6
  const c2 = g.add('c2', 'Conv2D', [a1, g.weight('c2/w', [3, 2, 6, 8])], { ...valid, strides: list([1, 1, 1, 1]), dilations: list([1, 2, 2, 1]) }); // 5 x 5
  const b2 = g.add('bias', 'BiasAdd', [c2, g.weight('bias/b', [8])]);
  const silu = g.add('silu', 'Mul', [b2, g.add('sigmoid', 'Sigmoid', [b2])]);
  const avg = g.add('avg', 'AvgPool', [silu, ], { ...same, ...stride(2), ksize: list([1, 3, 3, 1]) }); // 3 x 3
  const explicit = g.add('explicit', 'DepthwiseConv2dNative', [silu, g.weight('explicit/w', [3, 3, 8, 1])],
    { padding: { s: text('EXPLICIT') }, explicit_paddings: list([0, 0, 1, 1, 1, 1, 0, 0]), ...stride(2) }); // 3 x 3
  const two = g.add('max', 'Maximum', [avg, explicit]);
  const near = g.add('near', 'ResizeNearestNeighbor', [two, g.ints('near/size', [6, 6])], { align_corners: { b: false }, half_pixel_centers: { b: false } });
  const aligned = g.add('aligned', 'ResizeBilinear', [two, g.ints('aligned/size', [6, 6])], { align_corners: { b: true }, half_pixel_centers: { b: false } });
  const diff = g.add('diff', 'Sub', [near, aligned]);
  g.output(diff, [1, 6, 6, 8]);
  g.add('halves', 'Split', [g.ints('halves/axis', [3], []), diff], { num_split: { i: '2' } });
  const product = g.add('product', 'Mul', ['halves', 'halves:1']);
  const line = g.add('line', 'Minimum', [product, g.weight('line/w', [6, 1])]); // broadcast along a row
  g.output(g.add('cut', 'StridedSlice', [line, g.ints('cut/b', [0, 1, -3, 0]), g.ints('cut/e', [0, 0, 6, 0]), g.ints('cut/s', [1, 1, 1, 1])],
    { begin_mask: { i: '1' }, end_mask: { i: '11' }, shrink_axis_mask: { i: '0' }, ellipsis_mask: { i: '0' }, new_axis_mask: { i: '0' } }), [1, 5, 3, 4]);
  // a shape that is computed from a shape
  const shape = g.add('shape', 'Shape', [diff], { T: { type: 'DT_FLOAT' }, out_type: { type: 'DT_INT32' } });
  const first = g.add('first', 'StridedSlice', [shape, g.ints('first/b', [0]), g.ints('first/e', [1]), g.ints('first/s', [1])],
    { begin_mask: { i: '0' }, end_mask: { i: '0' }, shrink_axis_mask: { i: '1' }, ellipsis_mask: { i: '0' }, new_axis_mask: { i: '0' } });
  const packed = g.add('packed', 'Pack', [first, g.ints('minus', [-1], [])], { N: { i: '2' }, axis: { i: '0' } });
  const flat = g.add('flat', 'Reshape', [diff, packed]);
  const dense = g.add('dense', '_FusedMatMul', [flat, g.weight('dense/w', [288, 7], 0.2), g.weight('dense/b', [7])],
    { ...fused('BiasAdd', 'Relu6'), transpose_a: { b: false }, transpose_b: { b: false } });
  const logits = g.add('logits', 'MatMul', [dense, g.weight('logits/w', [4, 7])], { transpose_a: { b: false }, transpose_b: { b: true } });
  g.output(g.add('softmax', 'Softmax', [logits]), [1, 4]);
  const pooled = g.add('pooled', 'Mean', [diff, g.ints('pooled/axes', [1, 2])], { keep_dims: { b: true } });
  g.output(g.add('squeezed', 'Squeeze', [g.add('tanh', 'Tanh', [pooled])], { squeeze_dims: list([1, 2]) }), [1, 8]);
  g.output(g.add('expanded', 'ExpandDims', [g.add('exp', 'Exp', [pooled]), g.ints('expanded/at', [0], [])]), [1, 1, 1, 1, 8]);
  g.output(g.add('added', 'AddV2', [diff, pooled]), [1, 6, 6, 8]);
  return g;
}

(async () => {
  await tf.setBackend('cpu');
  for (const [name, make] of Object.entries({ mobile, torch, others })) {
    const g = make();
    const model = await g.save(dir, name);
    const shape = Object.values(g.inputs)[0].tensorShape.dim.map((d) => Math.abs(Number(d.size)));
    let x;
    if (name === 'torch') x = tf.transpose(tf.tensor(picture(shape[2], shape[3], 4), [1, shape[2], shape[3], 3]), [0, 3, 1, 2]);
    else x = tf.tensor(picture(shape[1], shape[2]), shape);
    const outputs = Object.keys(g.outputs);
    const values = model.execute(x, outputs);
    const want = {};
    outputs.forEach((o, i) => { want[o] = values[i]; console.log(name, o, values[i].shape, Math.max(...values[i].dataSync().map(Math.abs))); });
    safetensors(path.join(dir, name + '.safetensors'), want);
  }
  console.log('TensorFlow.js', tf.version.tfjs);
})();
