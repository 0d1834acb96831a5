package onnx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// question is one to ONNX Runtime; see testdata/run.py.
type question struct {
	Graph string           `json:"graph,omitempty"`
	Feeds map[string]array `json:"feeds,omitempty"`

	First []int32 `json:"first,omitempty"` // positions of the targets' first tokens
	CLS   int32   `json:"cls"`
	End   int32   `json:"end"`
	Never []int32 `json:"never"`
	Least int     `json:"least"`
	Most  int     `json:"most,omitempty"`

	README string `json:"readme,omitempty"`

	about  string
	want   map[string][]float32 // of outputs
	within float64              // they may differ by so much, as where a rounding turns over; 0: by the tolerance
	target [][]int32
}

// answer is one of ONNX Runtime.
type answer struct {
	outputs map[string]array
	Error   string    `json:"error"`
	Written [][]int32 `json:"written"`
	Said    string    `json:"said"`
}

func (a *answer) UnmarshalJSON(raw []byte) error {
	type plain answer
	if err := json.Unmarshal(raw, (*plain)(a)); err != nil || a.Error != "" || a.Written != nil || bytes.HasPrefix(raw, []byte(`{"said"`)) {
		return err
	}
	return json.Unmarshal(raw, &a.outputs)
}

// TestONNXRuntime compares what ONNX Runtime makes of exported models with our own answers, on batches of texts and pictures of several
// lengths, and checks the graphs with onnx.checker. UNIMO_ONNXRUNTIME lists the folders bin of its versions.
func TestONNXRuntime(t *testing.T) {
	list := os.Getenv("UNIMO_ONNXRUNTIME")
	if list == "" {
		t.Skip(`not run: needs ONNX Runtime; "make onnx" installs it and runs this`)
	}
	questions := slices.Concat(classifierQuestions(t), pairQuestions(t), retrievalQuestions(t), vectorQuestions(t), generatorQuestions(t), quantisedQuestions(t), demoQuestions(t))
	asked, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	for _, bin := range filepath.SplitList(list) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, filepath.Join(bin, "python"), filepath.Join("testdata", "run.py"))
		var stderr strings.Builder
		c.Stdin, c.Stderr = bytes.NewReader(asked), &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", bin, err, stderr.String())
		}
		var said struct {
			Version string
			Answers []answer
		}
		if err := json.Unmarshal(out, &said); err != nil || len(said.Answers) != len(questions) {
			t.Fatalf("%s: %d answers, %v", bin, len(said.Answers), err)
		}
		largest := 0.0
		for i, q := range questions {
			largest = max(largest, q.compare(t, said.Version, said.Answers[i]))
		}
		t.Logf("ONNX Runtime %s: %d questions, outputs differ by %.1e at most", said.Version, len(questions), largest)
	}
}

// tolerance is how far outputs may differ, of those above 1 in proportion.
const tolerance = 1e-5

// compare returns the largest difference of an answer.
func (q question) compare(t *testing.T, version string, a answer) (largest float64) {
	t.Helper()
	if a.Error != "" {
		t.Errorf("%s: %s: %s", version, q.about, a.Error)
		return 0
	}
	if q.README != "" && strings.TrimSpace(a.Said) == "" {
		t.Errorf("%s: %s: the README's example prints nothing", version, q.about)
	}
	if q.target != nil && fmt.Sprint(a.Written) != fmt.Sprint(q.target) {
		t.Errorf("%s: %s: wrote %v, want %v", version, q.about, a.Written, q.target)
	}
	for name, want := range q.want {
		got := a.outputs[name].Floats
		if len(got) != len(want) {
			t.Errorf("%s: %s: %s has %d values, want %d", version, q.about, name, len(got), len(want))
			continue
		}
		for i := range want {
			d := math.Abs(float64(got[i]-want[i])) / max(1, math.Abs(float64(want[i])))
			if !(d <= cmp.Or(q.within, tolerance)) {
				t.Errorf("%s: %s: %s[%d] is %v, want %v", version, q.about, name, i, got[i], want[i])
				break
			}
			if q.within == 0 {
				largest = max(largest, d)
			}
		}
	}
	return largest
}

// exportTo exports a model's folder into a new one.
func exportTo(t *testing.T, dir string, o Options, task string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "onnx")
	if _, err := Export(t.Context(), dir, out, o, run.Env{Task: task}); err != nil {
		t.Fatal(err)
	}
	return out
}

func readmeOf(dir, about string) question { return question{README: dir, about: about + ": README"} }

var lengths = []int{5, 1, 9, 3}

// variants are the ways in which encoders differ.
var variants = []struct {
	name   string
	change func(c *model.Config)
}{
	{"usual", nil},
	{"relu", func(c *model.Config) { c.HiddenAct = "relu" }},
	{"types, tanh, another epsilon", func(c *model.Config) { c.SegmentTypes, c.PoolerAct, c.LayerNormEpsilon = 2, "tanh", 1e-12 }},
	{"three types, gelu", func(c *model.Config) { c.SegmentTypes, c.PoolerAct = 3, "gelu" }},
	{"one layer", func(c *model.Config) { c.Layers = 1 }},
	{"no layers", func(c *model.Config) { c.Layers = 0 }},
}

func classifierQuestions(t *testing.T) (list []question) {
	for i, v := range variants {
		c := tiny(t, model.Classification, v.change)
		m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
		var scales *calibration.Calibration
		if i == 0 {
			scales = &calibration.Calibration{Temperature: 2.5}
		}
		dir := exportTo(t, save(t, c, m.Params, scales, nil), Options{}, "")
		for _, left := range []bool{false, true} {
			b := newRagged(c, lengths, left)
			logits := values(func(tape *autograd.Tape) *autograd.Var { return m.Logits(tape, b.Input) })
			list = append(list, question{
				about: "classification, " + v.name, Graph: filepath.Join(dir, "model.onnx"), Feeds: b.feeds,
				want: map[string][]float32{outputLogits: logits, outputProbabilities: probabilities(logits, c.NumLabels, scales.Classes)},
			})
		}
		list = append(list, readmeOf(dir, v.name))
	}
	c := tiny(t, model.Regression, func(c *model.Config) { c.ScoreMean, c.ScoreScale = 2.5, 1.5 })
	m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
	dir := exportTo(t, save(t, c, m.Params, nil, nil), Options{most: 4 << 10}, "") // with weights beside the graph
	b := newRagged(c, lengths, false)
	logits := values(func(tape *autograd.Tape) *autograd.Var { return m.Logits(tape, b.Input) })
	scores := make([]float32, len(logits))
	for i, x := range logits {
		scores[i] = c.Score(x)
	}
	return append(list, question{about: "regression", Graph: filepath.Join(dir, "model.onnx"), Feeds: b.feeds, want: map[string][]float32{outputLogits: logits, outputScores: scores}})
}

// probabilities makes those of each row of logits.
func probabilities(logits []float32, n int, of func(logits []float32) []float64) []float32 {
	var list []float32
	for row := range slices.Chunk(logits, n) {
		for _, p := range of(row) {
			list = append(list, float32(p))
		}
	}
	return list
}

func pairQuestions(t *testing.T) (list []question) {
	scales := &calibration.Calibration{Answers: &calibration.Scaling{Scale: 0.4}}
	for _, problem := range []string{model.Entailment, model.Answering} {
		for _, v := range variants {
			c := tiny(t, problem, v.change)
			c.PoolerAct = ""
			m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
			of := (*calibration.Calibration)(nil).Classes
			var fitted *calibration.Calibration
			if problem == model.Answering {
				fitted = scales
				of = func(logits []float32) []float64 {
					list := make([]float64, len(logits))
					for i, x := range logits {
						list[i] = scales.Answer(x)
					}
					return list
				}
			}
			dir := exportTo(t, save(t, c, m.Params, fitted, nil), Options{}, "")
			b := newRagged(c, lengths, false)
			b.addImages(c, []int{2, 5, 1, 4})
			logits := values(func(tape *autograd.Tape) *autograd.Var { return m.Logits(tape, b.Input) })
			list = append(list, readmeOf(dir, problem+", "+v.name), question{
				about: problem + ", " + v.name, Graph: filepath.Join(dir, "model.onnx"), Feeds: b.feeds,
				want: map[string][]float32{outputLogits: logits, outputProbabilities: probabilities(logits, c.NumLabels, of)},
			})
		}
	}
	return list
}

func retrievalQuestions(t *testing.T) (list []question) {
	for _, v := range variants {
		for _, size := range []int{0, 7} {
			c := tiny(t, model.Retrieval, v.change)
			c.PoolerAct, c.ContrastSize = "", size
			m := newModel(t, c, func(m *model.Retriever) model.Parameters { return m.Params })
			scales := &calibration.Calibration{Match: &calibration.Pairs{Scaling: calibration.Scaling{Scale: 0.7, Bias: -1}}}
			dir := exportTo(t, save(t, c, m.Params, scales, nil), Options{}, "")
			b := newRagged(c, lengths, false)
			text := b.Input
			b.addImages(c, []int{2, 5, 1, 4})
			about := fmt.Sprintf("retrieval, %s, %d", v.name, size)
			scores := values(func(tape *autograd.Tape) *autograd.Var {
				images, texts := m.Side(tape, model.Input{Images: b.Images}), m.Side(tape, text)
				return m.Scores(tape, images, texts, []model.Pair{{}, {Image: 1, Text: 1}, {Image: 2, Text: 2}, {Image: 3, Text: 3}})
			})
			fit := make([]float32, len(scores))
			for i, s := range scores {
				fit[i] = float32(scales.Match.Probability(float64(s)))
			}
			list = append(list, readmeOf(dir, about), question{
				about: about, Graph: filepath.Join(dir, "match.onnx"), Feeds: b.feeds, want: map[string][]float32{outputScores: scores, outputProbabilities: fit},
			})
			if size == 0 {
				continue
			}
			list = append(list,
				question{about: about + ", image", Graph: filepath.Join(dir, "image.onnx"), Feeds: b.only(inputFeatures, inputPlaces, inputRegions), want: map[string][]float32{
					outputImageVector: values(func(tape *autograd.Tape) *autograd.Var {
						return m.ImageVectors(tape, m.Side(tape, model.Input{Images: b.Images}))
					}),
				}},
				question{about: about + ", text", Graph: filepath.Join(dir, "text.onnx"), Feeds: b.only(inputIDs, inputMask, inputTypes), want: map[string][]float32{
					outputVector: values(func(tape *autograd.Tape) *autograd.Var { return m.TextVectors(tape, m.Side(tape, text)) }),
				}},
			)
		}
	}
	return list
}

// vectorQuestions are about vectors of texts, which the embedder itself makes.
func vectorQuestions(t *testing.T) (list []question) {
	texts := []string{"a gripping and funny film", "dull", "the film is not as good as they say"}
	yes, no := true, false
	ask := func(about, dir string, o embed.Options, vectors bool) {
		e, err := embed.Open(dir, o, run.Env{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		out := exportTo(t, dir, Options{Vectors: vectors, Embed: o}, "")
		var b ragged
		var want []float32
		var read []embed.Text
		for _, text := range texts {
			x, err := e.Read(text, "")
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, x)
			b.Text.Append(x.Tokens)
		}
		made, err := e.Vectors(t.Context(), read, nil, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range made {
			want = append(want, v.Values...)
		}
		feeds := padded(b.Text, e.Config().SegmentTypes > 1)
		list = append(list, readmeOf(out, about), question{about: about, Graph: filepath.Join(out, "model.onnx"), Feeds: feeds, want: map[string][]float32{outputVector: want}})
	}
	root := filepath.Join("..", "..", "..", "testdata")
	for _, pooling := range embed.Poolings {
		ask("vectors, "+pooling, filepath.Join(root, "films.model"), embed.Options{Pooling: pooling}, true)
	}
	bert := filepath.Join("..", "..", "embed", "testdata", "bert")
	ask("vectors of a BERT", bert, embed.Options{}, false)
	ask("vectors of a BERT, of length 1", bert, embed.Options{Normalize: &yes}, true)
	ask("vectors of a BERT, pooled", bert, embed.Options{Pooling: embed.Pooled, Normalize: &no}, true)
	ask("vectors of a model for pictures", filepath.Join(root, "shapes.model"), embed.Options{Pooling: embed.Max}, true)
	for _, activation := range []string{"Identity", "Tanh", "ReLU", "Sigmoid", "GELU"} {
		ask("vectors of sentence-transformers, "+activation, sentenceFolder(t, bert, activation), embed.Options{}, false)
	}
	return list
}

// sentenceFolder is a folder of sentence-transformers with a dense layer and a prompt, whose encoder is that of a folder.
func sentenceFolder(t *testing.T, encoder, activation string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(encoder)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"modules.json": `[{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
			{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}, {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]`,
		"1_Pooling/config.json":             `{"pooling_mode": ["mean", "max"]}`,
		"2_Dense/config.json":               `{"in_features": 32, "out_features": 6, "activation_function": "torch.nn.modules.activation.` + activation + `"}`,
		"config_sentence_transformers.json": `{"prompts": {"query": "the film: "}, "default_prompt_name": "query"}`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	err := checkpoint.WriteSafetensors(filepath.Join(dir, "2_Dense", "model.safetensors"), []checkpoint.Tensor{
		checkpoint.FromFloat32("linear.weight", []int{6, 32}, toSlice(r, 6*32, 0.2)), checkpoint.FromFloat32("linear.bias", []int{6}, toSlice(r, 6, 0.2)),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// padded makes feeds of texts.
func padded(texts model.Text, types bool) map[string]array {
	n, longest := texts.Sequences(), 0
	for i := range n {
		longest = max(longest, int(texts.Offsets[i+1]-texts.Offsets[i]))
	}
	ids, mask := make([]int64, n*longest), make([]int64, n*longest)
	for i := range n {
		for k, id := range texts.Tokens[texts.Offsets[i]:texts.Offsets[i+1]] {
			ids[i*longest+k], mask[i*longest+k] = int64(id), 1
		}
	}
	shape := []int{n, longest}
	feeds := map[string]array{inputIDs: {Shape: shape, Ints: ids}, inputMask: {Shape: shape, Ints: mask}}
	if types {
		feeds[inputTypes] = array{Shape: shape, Ints: make([]int64, n*longest)}
	}
	return feeds
}

func generatorQuestions(t *testing.T) (list []question) {
	for _, problem := range writing {
		for _, v := range slices.Concat(variants, []struct {
			name   string
			change func(c *model.Config)
		}{{"untied, no specials", func(c *model.Config) { c.UntiedEmbeddings, c.NoSpecials = true, true }}}) {
			c := tiny(t, problem, v.change)
			if c.Layers == 0 {
				continue // it has no cache, and is refused
			}
			c.PoolerAct = ""
			m := newModel(t, c, func(m *model.Generator) model.Parameters { return m.Params })
			files := map[string]string{"generation_config.json": `{"max_out_len": 9, "min_out_len": 2}`}
			dir := exportTo(t, save(t, c, m.Params, nil, files), Options{}, "")
			q := writingQuestion(t, m, c)
			q.about, q.Graph = problem+", "+v.name, filepath.Join(dir, "model.onnx")
			list = append(list, q, readmeOf(dir, q.about))
		}
	}
	return list
}

// quantisedQuestions are about models whose weights are bytes: with the numbers that these stand for outputs are ours; where bytes are
// multiplied, they are those of our products of bytes, but for an activation that lies between two steps.
func quantisedQuestions(t *testing.T) (list []question) {
	c := tiny(t, model.Classification, func(c *model.Config) { c.SegmentTypes = 2; c.InitRange = 0.1 })
	m := newModel(t, c, func(m *model.Classifier) model.Parameters { return m.Params })
	dir := save(t, c, m.Params, nil, nil)
	plain, stored := both[*model.Classifier](t, c, dir)
	b := newRagged(c, lengths, false)
	w := tiny(t, model.Generation, func(c *model.Config) { c.InitRange = 0.1 })
	g := newModel(t, w, func(m *model.Generator) model.Parameters { return m.Params })
	writes := save(t, w, g.Params, nil, nil)
	plainWriter, storedWriter := both[*model.Generator](t, w, writes)
	for _, form := range []Weights{Float32, Int8, DynamicInt8} {
		ours, writer, within := plain, plainWriter, 0.0
		if form == DynamicInt8 {
			ours, writer, within = stored, storedWriter, 3e-3
		}
		out, written := exportTo(t, dir, Options{Weights: form}, ""), exportTo(t, writes, Options{Weights: form}, "")
		target := writingQuestion(t, writer, w)
		target.about, target.Graph = "quantised writing, "+string(form), filepath.Join(written, "model.onnx")
		list = append(list, target, readmeOf(written, target.about), readmeOf(out, "quantised, "+string(form)), question{
			about: "quantised, " + string(form), Graph: filepath.Join(out, "model.onnx"), Feeds: b.feeds, within: within,
			want: map[string][]float32{outputLogits: values(func(tape *autograd.Tape) *autograd.Var { return ours.Logits(tape, b.Input) })},
		})
	}
	return list
}

// both quantises the model in a folder, and opens it with the numbers that its weights stand for, and with the bytes.
func both[M model.Heads](t *testing.T, c model.Config, dir string) (plain, stored M) {
	t.Helper()
	plain, err := model.Open[M](device, c, quantise(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := modeldir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	if stored, err = model.Open[M](device, c, folder.Weights); err != nil {
		t.Fatal(err)
	}
	return plain, stored
}

// writingQuestion asks for the targets of sources of several lengths.
func writingQuestion(t *testing.T, m *model.Generator, c model.Config) question {
	t.Helper()
	tok := vocabulary(t)
	d := decode.New(device, m, tok)
	all := newRagged(c, lengths, false)
	all.Text.Segments = nil // a source is of type 0
	if c.SegmentTypes > 1 {
		clear(all.feeds[inputTypes].Ints)
	}
	n, longest := len(lengths), slices.Max(lengths)
	positions, roles, turns := make([]int64, n*longest), make([]int64, n*longest), make([]int64, n*longest)
	mask := all.feeds[inputMask].Ints
	for i, length := range lengths {
		for k := range length {
			positions[i*longest+k] = int64(model.FirstPosition + k)
			roles[i*longest+k], turns[i*longest+k] = int64(k%3), int64((k+i)%5)
			if c.ProblemType == model.Dialogue {
				all.Text.Roles, all.Text.Turns = append(all.Text.Roles, int32(k%3)), append(all.Text.Turns, int32((k+i)%5))
			}
		}
	}
	all.feeds[inputPosition] = array{Shape: []int{n, longest}, Ints: positions}
	if c.ProblemType == model.Dialogue {
		all.feeds[inputRoles], all.feeds[inputTurns] = array{Shape: []int{n, longest}, Ints: roles}, array{Shape: []int{n, longest}, Ints: turns}
	}
	counts := []int{2, 5, 1, 4}
	if c.ReadsImages() {
		all.addImages(c, counts)
		regions := all.feeds[inputRegions]
		delete(all.feeds, inputRegions)
		most := regions.Shape[1]
		var joint []int64
		for i := range n {
			joint = append(append(joint, regions.Ints[i*most:(i+1)*most]...), mask[i*longest:(i+1)*longest]...)
		}
		all.feeds[inputMask] = array{Shape: []int{n, most + longest}, Ints: joint}
	}
	q := question{Feeds: all.feeds, Never: []int32{}, CLS: tok.CLS(), End: tok.MASK(), Least: 2, Most: 9}
	if c.NoSpecials {
		q.Never = []int32{tok.UNK(), tok.PAD(), tok.CLS()}
	}
	var sources []decode.Source
	for i := range n {
		first := int32(model.FirstPosition)
		if i%2 == 1 { // as with continuous positions
			first += int32(lengths[i])
		}
		q.First = append(q.First, first)
		in := model.Input{Text: sequence(all.Text, i)}
		if c.ReadsImages() {
			lo, hi := int(all.Images.Offsets[i]), int(all.Images.Offsets[i+1])
			in.Images = model.Images{
				Features: all.Images.Features[lo*c.ImageEmbeddingSize : hi*c.ImageEmbeddingSize], Locations: all.Images.Locations[lo*model.LocationSize : hi*model.LocationSize],
				Offsets: []int32{0, int32(hi - lo)},
			}
			if c.ProblemType == model.Captioning { // what it reads are the names of objects
				in.Objects, in.Text = in.Text, model.Text{}
			}
		}
		sources = append(sources, decode.Source{Input: in, TargetPosition: first})
	}
	o := decode.Default
	o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength = 1, 0, q.Least, q.Most
	results, err := d.Run(t.Context(), sources, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		q.target = append(q.target, append([]int32{}, r.Best().IDs...))
	}
	return q
}

// sequence is one of a batch of texts.
func sequence(all model.Text, i int) model.Text {
	lo, hi := all.Offsets[i], all.Offsets[i+1]
	text := model.Text{Tokens: all.Tokens[lo:hi], Positions: all.Positions[lo:hi], Offsets: []int32{0, hi - lo}}
	if all.Roles != nil {
		text.Roles, text.Turns = all.Roles[lo:hi], all.Turns[lo:hi]
	}
	return text
}

// demoQuestions are about the READMEs of the models in the repository.
func demoQuestions(t *testing.T) (list []question) {
	root := filepath.Join("..", "..", "..")
	for _, name := range []string{"films", "headlines", "captions", "claims", "questions", "shapes"} {
		list = append(list, readmeOf(exportTo(t, filepath.Join(root, "testdata", name+".model"), Options{}, ""), name))
	}
	for _, task := range []string{"vqa", "snli-ve", "coco-caption", "flickr8k"} {
		list = append(list, readmeOf(exportTo(t, filepath.Join(root, "internal", "demo", "model"), Options{}, task), task))
	}
	return list
}
