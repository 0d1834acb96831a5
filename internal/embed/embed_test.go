package embed

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classify"
)

type golden struct {
	Texts []string
	Cases []struct {
		Name, Pooling, Prompt string
		Files                 map[string]string // base64
		Vectors               [][]float64
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "cases.json"))
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// folder makes a folder of the encoder and of files by their names; a file of nothing is left out.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	bert := filepath.Join("testdata", "bert")
	entries, err := os.ReadDir(bert)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(bert, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(raw)
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func nothing(int, int) {}

func TestVectorsAreThoseOfSentenceTransformers(t *testing.T) {
	g := readGolden(t)
	if len(g.Cases) < 30 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		files := map[string]string{}
		for name, content := range c.Files {
			raw, err := base64.StdEncoding.DecodeString(content)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(raw)
		}
		e, err := Open(folder(t, files), Options{Pooling: c.Pooling, Prompt: c.Prompt}, run.Env{Threads: 1})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		got, err := e.Texts(t.Context(), g.Texts, nothing)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		worst := 0.0
		for i, want := range c.Vectors {
			if len(want) != e.Size || len(got[i].Values) != e.Size {
				t.Fatalf("%s: vectors of %d values, want %d; Size %d", c.Name, len(got[i].Values), len(want), e.Size)
			}
			for k, x := range want {
				worst = max(worst, math.Abs(float64(got[i].Values[k])-x)/max(1, math.Abs(x)))
			}
		}
		if !(worst <= 1e-5) {
			t.Errorf("%s: differs by %g", c.Name, worst)
		}
		if cut := got[4].Truncated; cut != (c.Name == "max_seq_length") {
			t.Errorf("%s: a text is cut: %v", c.Name, cut)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNormalizeIsAFlagToo(t *testing.T) {
	dir := folder(t, nil)
	yes, no := true, false
	for _, c := range []struct {
		normalize *bool
		want      bool
	}{{&yes, true}, {&no, false}, {nil, false}} {
		e, err := Open(dir, Options{Normalize: c.normalize}, run.Env{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Texts(t.Context(), []string{"the cat sits"}, nothing)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range got[0].Values {
			sum += float64(x) * float64(x)
		}
		if unit := math.Abs(sum-1) < 1e-5; unit != c.want || e.Normalized != c.want || e.Pooling[0] != Mean {
			t.Errorf("length² %g, normalized %v, pooling %v", sum, e.Normalized, e.Pooling)
		}
		e.Close()
	}
}

// The models of this program: any that reads texts, and one for retrieval, which reads pictures, too.
func TestOwnModels(t *testing.T) {
	root := filepath.Join("..", "..", "testdata")
	e, err := Open(filepath.Join(root, "films.model"), Options{Pooling: Pooled}, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := e.Texts(t.Context(), []string{"a funny film", "a boring film"}, nothing)
	if err != nil || len(got[1].Values) != e.Size {
		t.Fatal(got, err)
	}
	for _, x := range got[0].Values {
		if x < 0 {
			t.Fatalf("UNIMO's pooler ends with ReLU, but there is %g", x)
		}
	}
	if _, err := e.Pictures(t.Context(), nil, nothing); !errors.Is(err, ErrNoPictures) {
		t.Errorf("pictures: %v", err)
	}
	r, err := Open(filepath.Join(root, "shapes.model"), Options{}, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	im, err := r.Picture(filepath.Join(root, "shapes", "images", "red-bar.png"))
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := r.Pictures(t.Context(), []*regions.Image{im, im}, nothing)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := r.Texts(t.Context(), []string{"a red bar"}, nothing)
	if err != nil {
		t.Fatal(err)
	}
	product := 0.0
	for k, x := range texts[0].Values {
		product += float64(x) * float64(pictures[1].Values[k])
	}
	if !(product > 0.3) || len(pictures) != 2 {
		t.Errorf("the picture of a red bar and these words: %g", product)
	}
}

// The encoder of a folder that is open has its variables, and so its prepared weights, whichever is opened before the other.
func TestEncoderOfAnOpenFolder(t *testing.T) {
	for _, before := range []bool{false, true} {
		d := cpu.New()
		shared := run.NewShared(d)
		env := run.Env{Device: d, Shared: shared}.Ready()
		dir := filepath.Join("..", "..", "testdata", "films.model")
		var e *Embedder
		var p *classify.Predictor
		steps := []func() error{
			func() (err error) { p, err = classify.Open(dir, *env); return err },
			func() (err error) { e, err = Open(dir, Options{}, *env); return err },
		}
		if before {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		for _, own := range e.encoder.Params {
			if !slices.ContainsFunc(p.Params, func(q model.Parameter) bool { return q.Var == own.Var }) {
				t.Errorf("encoder opened before: %v: %s is another variable", before, own.Name)
			}
		}
		if err := errors.Join(e.Close(), p.Close(), shared.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Encoders of another library's folder that share what they are opened from have one set of variables.
func TestEncodersOfAFolder(t *testing.T) {
	d := cpu.New()
	shared := run.NewShared(d)
	env := run.Env{Device: d, Shared: shared}.Ready()
	var all [2]*Embedder
	for i := range all {
		var err error
		if all[i], err = Open(filepath.Join("testdata", "bert"), Options{}, *env); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range all[0].encoder.Params {
		if p.Var != all[1].encoder.Params[i].Var {
			t.Errorf("%s is another variable", p.Name)
		}
	}
	if err := errors.Join(all[0].Close(), all[1].Close(), shared.Close()); err != nil {
		t.Error(err)
	}
}

// An extractor alone has the features of pictures as wholes.
func TestExtractor(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "shapes", "images")
	for _, name := range []string{"patches", filepath.Join("..", "vision", "convnet", "testdata", "torchvision_mobilenet_v2.safetensors")} {
		yes := true
		plain, err := Open("", Options{}, run.Env{Extractor: name})
		if err != nil {
			t.Fatal(err)
		}
		unit, err := Open("", Options{Normalize: &yes}, run.Env{Extractor: name})
		if err != nil {
			t.Fatal(err)
		}
		a, err := plain.Picture(filepath.Join(root, "red-bar.png"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := plain.Picture(filepath.Join(root, "blue-bar.png"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := plain.Pictures(t.Context(), []*regions.Image{a, b}, nothing)
		if err != nil || len(got) != 2 || len(got[1].Values) != plain.Size || plain.Normalized || !unit.Normalized {
			t.Fatal(len(got), err)
		}
		whole := a.Global
		if whole == nil { // of patches the mean
			whole = make([]float32, plain.Size)
			for i, x := range a.Features {
				whole[i%plain.Size] += x / float32(a.Regions())
			}
		}
		scaled, err := unit.Pictures(t.Context(), []*regions.Image{a}, nothing)
		if err != nil {
			t.Fatal(err)
		}
		length := 0.0
		for k, x := range whole {
			length += float64(x) * float64(x)
			if d := got[0].Values[k] - x; d > 1e-5 || d < -1e-5 {
				t.Fatalf("%s: value %d is %v, want %v", name, k, got[0].Values[k], x)
			}
		}
		for k, x := range whole {
			if d := float64(scaled[0].Values[k]) - float64(x)/math.Sqrt(length); d > 1e-5 || d < -1e-5 {
				t.Fatalf("%s: of length 1 value %d is %v", name, k, scaled[0].Values[k])
			}
		}
		if _, err := plain.Texts(t.Context(), []string{"a"}, nothing); !errors.Is(err, ErrNoTexts) {
			t.Errorf("texts: %v", err)
		}
		if err := errors.Join(plain.Close(), unit.Close()); err != nil {
			t.Error(err)
		}
	}
	var setting *run.SettingError
	if _, err := Open("", Options{Pooling: Mean}, run.Env{Extractor: "patches"}); !errors.As(err, &setting) {
		t.Errorf("a pooling: %v", err)
	}
}

func TestAnotherOrderOfThreadsChangesNothing(t *testing.T) {
	texts := strings.Split(strings.Repeat("a dog\nthe cat sits on the beach with a ball\n!\n", 300), "\n")
	var all [2][]Vector
	for i := range all {
		e, err := Open(folder(t, nil), Options{}, run.Env{Threads: 1 + i})
		if err != nil {
			t.Fatal(err)
		}
		if all[i], err = e.Texts(t.Context(), texts, nothing); err != nil {
			t.Fatal(err)
		}
		e.Close()
	}
	for i, v := range all[0] {
		for k, x := range v.Values {
			if x != all[1][i].Values[k] || x != all[0][i%3].Values[k] && i < 900 {
				t.Fatalf("text %d (%q), value %d: %g, %g", i, texts[i], k, x, all[1][i].Values[k])
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	e, err := Open(folder(t, nil), Options{}, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Texts(ctx, []string{"a"}, nothing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

const (
	transformer = `{"path": "", "type": "sentence_transformers.models.Transformer"}`
	pool        = `{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}`
	denseModule = `{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}`
)

func TestErrors(t *testing.T) {
	root := filepath.Join("..", "..", "testdata")
	mean := map[string]string{"modules.json": "[" + transformer + "," + pool + "]", "1_Pooling/config.json": `{"pooling_mode": "mean"}`}
	with := func(files map[string]string) map[string]string {
		all := map[string]string{}
		for _, part := range []map[string]string{mean, files} {
			for name, content := range part {
				all[name] = content
			}
		}
		return all
	}
	for _, c := range []struct {
		name    string
		dir     string
		files   map[string]string
		options Options
		want    string
	}{
		{"nothing", "testdata/none", nil, Options{}, "does not exist"},
		{"a file", "embed_test.go", nil, Options{}, "embed_test.go: is no folder"},
		{"no model", "testdata", nil, Options{}, "no config.json there"},
		{"no modules", "", with(map[string]string{"modules.json": "[]"}), Options{}, "lists 0 modules, want 1"},
		{"not JSON", "", with(map[string]string{"modules.json": "[{"}), Options{}, "modules.json"},
		{"another module", "", with(map[string]string{"modules.json": `[` + transformer + `,{"path":"x","type":"sentence_transformers.models.LSTM"}]`}), Options{}, `"sentence_transformers.models.LSTM"; Transformer, one Pooling`},
		{"no transformer", "", with(map[string]string{"modules.json": "[" + pool + "]"}), Options{}, "a Transformer comes first"},
		{"outside", "", with(map[string]string{"modules.json": `[` + transformer + `,{"path":"../x","type":"a.Pooling"}]`}), Options{}, "outside of its folder"},
		{"pooling twice", "", with(map[string]string{"modules.json": "[" + transformer + "," + pool + "," + pool + "]"}), Options{}, "one Pooling"},
		{"unknown mode", "", with(map[string]string{"1_Pooling/config.json": `{"pooling_mode": "mode"}`}), Options{}, `unknown pooling "mode"`},
		{"a mode of ours", "", with(map[string]string{"1_Pooling/config.json": `{"pooling_mode": "pooled"}`}), Options{}, `unknown pooling "pooled"`},
		{"wrong type", "", with(map[string]string{"1_Pooling/config.json": `{"pooling_mode_cls_token": 3}`}), Options{}, "pooling_mode_cls_token"},
		{"short", "", with(map[string]string{"sentence_bert_config.json": `{"max_seq_length": 1}`}), Options{}, "want 3 or more"},
		{"negative", "", with(map[string]string{"sentence_bert_config.json": `{"max_seq_length": -1}`}), Options{}, "want 1 or more"},
		{"default prompt", "", with(map[string]string{"config_sentence_transformers.json": `{"default_prompt_name": "x"}`}), Options{}, "none of its prompts"},
		{"prompt", "", with(map[string]string{"config_sentence_transformers.json": `{"prompts": {"query": "q: "}}`}), Options{Prompt: "qury"}, "did you mean query?"},
		{"no prompts", "", mean, Options{Prompt: "query"}, "the model has no prompts"},
		{"dense without weights", "", with(map[string]string{"modules.json": "[" + transformer + "," + pool + "," + denseModule + "]", "2_Dense/config.json": `{"in_features": 16}`}), Options{}, "2_Dense"},
		{"activation", "", with(map[string]string{"modules.json": "[" + transformer + "," + pool + "," + denseModule + "]", "2_Dense/config.json": `{"activation_function": "mine.Tanh"}`}), Options{}, `"mine.Tanh"; those of torch.nn`},
		{"residual", "", with(map[string]string{"modules.json": "[" + transformer + "," + pool + "," + denseModule + "]", "2_Dense/config.json": `{"use_residual": true}`}), Options{}, "use_residual"},
		{"pooling flag", "", mean, Options{Pooling: "men"}, "did you mean mean?"},
		{"no pooler", filepath.Join(root, "headlines.model"), nil, Options{Pooling: Pooled}, "has no pooler"},
		{"prompt of retrieval", filepath.Join(root, "shapes.model"), nil, Options{Prompt: "query"}, "the model has no prompts"},
		{"broken encoder", "", with(map[string]string{"config.json": `{"model_type": "albert"}`}), Options{}, "albert"},
	} {
		dir := c.dir
		if dir == "" {
			dir = folder(t, c.files)
		}
		e, err := Open(dir, c.options, run.Env{})
		if err == nil {
			e.Close()
			t.Errorf("%s: no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	var setting *run.SettingError
	if _, err := Open(folder(t, nil), Options{}, run.Env{Task: "sst-2"}); !errors.As(err, &setting) {
		t.Errorf("a task: %v", err)
	}
}

// FuzzRecipe: no folder makes reading panic or take more memory than its files.
func FuzzRecipe(f *testing.F) {
	f.Add([]byte("["+transformer+","+pool+"]"), []byte(`{"pooling_mode": ["mean", "cls"]}`), []byte(`{"max_seq_length": 9}`), []byte(`{"prompts": {"a": null}}`))
	f.Add([]byte("["+transformer+"]"), []byte(`{"pooling_mode_max_tokens": true}`), []byte(`{}`), []byte(`{"default_prompt_name": "a"}`))
	f.Fuzz(func(t *testing.T, modules, pooling, bert, prompts []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{ModulesFile: modules, "1_Pooling/config.json": pooling, transformerFiles[0]: bert, promptsFile: prompts} {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r, err := readRecipe(nil, dir)
		if err == nil && r.maxTokens < 0 {
			t.Errorf("reads %d tokens", r.maxTokens)
		}
	})
}
