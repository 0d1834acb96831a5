package extractor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// tiny is a network of one tensor: a region is a quarter of the picture, its feature the first pixel of it times the
// weights.
type tiny struct {
	weights []float32 // 3 x dim
	dim     int
	classes []string
	found   int // regions
}

func (n tiny) Dim() int          { return n.dim }
func (n tiny) Classes() []string { return n.classes }

func (n tiny) Check(width, _ int) error {
	if width < 2 {
		return fmt.Errorf("a picture of %d pixels, less than a patch", width)
	}
	return nil
}

func (n tiny) Run(_ engine.Device, p vision.Pixels) (vision.Output, error) {
	var out vision.Output
	for r := range n.found {
		x, y := r%2, r/2
		out.Boxes = append(out.Boxes, float32(x)/2, float32(y)/2, float32(x+1)/2, float32(y+1)/2)
		pixel := p.Values[3*(y*p.Height/2*p.Width+x*p.Width/2):][:3]
		out.Features = append(out.Features, n.times(pixel)...)
		for i := range n.classes {
			out.Classes = append(out.Classes, []float32{0.75, 0.25}[i])
		}
	}
	out.Global = n.times(p.Values[:3])
	return out, nil
}

func (n tiny) times(pixel []float32) []float32 {
	out := make([]float32, n.dim)
	for c, v := range pixel {
		for i := range out {
			out[i] += v * n.weights[c*n.dim+i]
		}
	}
	return out
}

// useTiny makes a family of tiny networks known for a test.
func useTiny(t testing.TB, regions int) {
	known := families
	t.Cleanup(func() { families = known })
	families = append(slices.Clone(known), family{
		name: "tiny", supported: "the tiny network",
		recognised: func(_ []byte, r checkpoint.Reader) bool { _, err := r.Info("tiny.weight"); return err == nil },
		open: func(_ engine.Device, config []byte, r checkpoint.Reader) (vision.Network, vision.Info, error) {
			values, _, err := checkpoint.Float32s(r, "tiny.weight")
			if err != nil {
				return nil, vision.Info{}, err
			}
			var c struct{ Classes []string }
			if err := json.Unmarshal(config, &c); config != nil && err != nil {
				return nil, vision.Info{}, err
			}
			n := tiny{slices.Clone(values), len(values) / 3, c.Classes, regions}
			return n, vision.Info{Architecture: "Tiny", Library: "tests", Config: config, Tensors: []string{"tiny.weight"}, Preprocessing: preprocess.TimmFamily, Side: 8}, nil
		},
	})
}

// tinyFolder writes a model of the family as a library would.
func tinyFolder(t testing.TB, config string, weights ...float32) string {
	t.Helper()
	dir := t.TempDir()
	err := checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), []checkpoint.Tensor{
		checkpoint.FromFloat32("tiny.weight", []int{3, len(weights) / 3}, weights),
		checkpoint.FromFloat32("classifier", []int{1}, []float32{float32(math.NaN())}), // which the network does not read
	}, nil)
	if err == nil && config != "" {
		err = os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepared is a copy of a folder with a network whose pictures are prepared in another way.
func prepared(t *testing.T, folder, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.CopyFS(dir, os.DirFS(filepath.Join("..", filepath.FromSlash(folder)))), os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testPicture(width, height int) *picture.Picture {
	p := &picture.Picture{Width: width, Height: height, Pix: make([]byte, 3*width*height)}
	for i := range p.Pix {
		p.Pix[i] = byte(7 * i)
	}
	return p
}

func extract(t *testing.T, x regions.Extractor, width, height int) *regions.Image {
	t.Helper()
	im := &regions.Image{Features: make([]float32, 100), Classes: []float32{9}} // of an image before
	if err := x.Extract(x.Prepare(testPicture(width, height)), width, height, im); err != nil {
		t.Fatal(err)
	}
	if err := im.Check(x.Dim()); err != nil {
		t.Fatal(err)
	}
	return im
}

// told is what people are told of an extractor.
func told(x regions.Extractor) string {
	var b strings.Builder
	Tell(slog.New(slog.NewTextHandler(&b, nil)), x)
	return b.String()
}

func same(a, b *regions.Image) bool {
	return slices.Equal(a.Boxes, b.Boxes) && slices.Equal(a.Features, b.Features) && slices.Equal(a.Global, b.Global) && slices.Equal(a.Classes, b.Classes)
}

// A network is opened from its library's files, kept in a folder, and opened from there to the same regions.
func TestOpenKeepOpen(t *testing.T) {
	useTiny(t, 4)
	dir := tinyFolder(t, `{"Classes": ["dog", "cat"]}`, 1, 2, 3, 4, 5, 6)
	x, err := Open(regions.Spec{Extractor: dir})
	if err != nil {
		t.Fatal(err)
	}
	spec := x.Spec()
	if spec.Extractor != "tiny" || spec.Architecture != "Tiny" || spec.Dim != 2 || !slices.Equal(spec.Classes, []string{"dog", "cat"}) || len(spec.Fingerprint) != 64 || spec.Weights != "" {
		t.Errorf("spec is %+v", spec)
	}
	if note := told(x); strings.Count(note, "no preprocessor_config.json") != 1 || !strings.Contains(note, "middle 8 x 8") {
		t.Errorf("told is %q", note)
	}
	if note := told(x); note != "" {
		t.Errorf("told the second time is %q", note)
	}
	want := extract(t, x, 30, 20)
	if want.Regions() != 4 || want.Width != 30 || want.Boxes[3] != float32(80./9) || len(want.Classes) != 8 || len(want.Global) != 2 {
		t.Errorf("image is %+v", want)
	}

	kept := t.TempDir()
	for range 2 { // the second time it is there
		if err := Keep(kept, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{kept, filepath.Join(kept, regions.WeightsFile)} {
		again, err := Open(regions.Spec{Extractor: path})
		if err != nil {
			t.Fatal(err)
		}
		if now := again.Spec(); !now.Equal(spec) || now.String() != spec.String() || now.Weights != filepath.Join(kept, regions.WeightsFile) || told(again) != "" {
			t.Errorf("spec is %+v, want %+v", now, spec)
		}
		if got := extract(t, again, 30, 20); !same(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		twice := t.TempDir()
		if err := Keep(twice, again); err != nil {
			t.Fatal(err)
		}
		if third, err := In(twice); err != nil || !third.Spec().Equal(spec) {
			t.Errorf("kept from a folder: %v", err)
		}
	}
	r, err := checkpoint.Open(filepath.Join(kept, regions.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if list := r.Tensors(); len(list) != 1 {
		t.Errorf("%v are kept, of which the network reads one", list)
	}
}

// The fingerprint goes by weights, configuration and preprocessing, not by where they are.
func TestFingerprint(t *testing.T) {
	useTiny(t, 4)
	of := func(config, processor string, weights ...float32) string {
		dir := tinyFolder(t, config, weights...)
		if processor != "" {
			if err := os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(processor), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		x, err := Open(regions.Spec{Extractor: dir})
		if err != nil {
			t.Fatal(err)
		}
		return x.Spec().Fingerprint
	}
	const processor = `{"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}}`
	first := of("", "", 1, 2, 3)
	if again := of("", "", 1, 2, 3); again != first {
		t.Error("the same network has another fingerprint")
	}
	all := []string{first, of("", "", 1, 2, 4), of("{}", "", 1, 2, 3), of("", processor, 1, 2, 3)}
	slices.Sort(all)
	if len(slices.Compact(all)) != 4 {
		t.Error("different networks have one fingerprint")
	}
}

// What a detector does not find is the picture as a whole.
func TestNothingFound(t *testing.T) {
	useTiny(t, 0)
	x, err := Open(regions.Spec{Extractor: tinyFolder(t, `{"Classes": ["dog", "cat"]}`, 1, 2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	im := extract(t, x, 30, 20)
	if im.Regions() != 1 || !slices.Equal(im.Classes, []float32{0.5, 0.5}) || !slices.Equal(im.Features, im.Global) || im.Boxes[3] != float32(160./9) {
		t.Errorf("%+v", im)
	}
}

func TestErrors(t *testing.T) {
	useTiny(t, 4)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	good := tinyFolder(t, "", 1, 2, 3)
	x, err := Open(regions.Spec{Extractor: good})
	if err != nil {
		t.Fatal(err)
	}
	kept := func(change func(dir string) error) string {
		dir := t.TempDir()
		if err := errors.Join(Keep(dir, x), change(dir)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	edit := func(old, now string) func(string) error {
		return func(dir string) error {
			path := filepath.Join(dir, regions.SpecFile)
			raw, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(raw), old) {
				return fmt.Errorf("%s has no %s (%v)", raw, old, err)
			}
			return os.WriteFile(path, []byte(strings.Replace(string(raw), old, now, 1)), 0o644)
		}
	}
	other := t.TempDir()
	if err := checkpoint.WriteSafetensors(filepath.Join(other, "model.safetensors"), []checkpoint.Tensor{checkpoint.FromFloat32("bert.embeddings", []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	named := t.TempDir()
	if err := errors.Join(os.CopyFS(named, os.DirFS(other)), os.WriteFile(filepath.Join(named, "config.json"), []byte(`{"model_type": "bert"}`), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec regions.Spec
		want string
	}{
		{"a misspelt name", regions.Spec{Extractor: "pathces"}, `unknown extractor "pathces"`},
		{"no file", regions.Spec{Extractor: filepath.Join(other, "x.pth")}, "x.pth"},
		{"another model", regions.Spec{Extractor: other}, `holds 1 tensors, the first "bert.embeddings", which is no picture encoder that is known; supported are`},
		{"another model by its configuration", regions.Spec{Extractor: named}, `holds a model of type "bert"`},
		{"sizes", regions.Spec{Extractor: good, ImageSize: 64}, "a trained network has its own"},
		{"too small a picture", regions.Spec{Extractor: prepared(t, "vit/testdata/vit", `{"image_processor_type": "ViTImageProcessor", "size": 3}`)}, "pictures are prepared to 3 x 3 pixels, which"},
		{"too large a picture", regions.Spec{Extractor: prepared(t, "vit/testdata/vit", `{"image_processor_type": "ViTImageProcessor", "size": 1200}`)}, "more than 4096"},
		{"another size than a detector's", regions.Spec{Extractor: prepared(t, "detector/testdata", `{"image_processor_type": "ViTImageProcessor", "size": 20}`) + "/nanodet.json"}, "cannot read: a picture of 20 x 20"},
		{"NaN", regions.Spec{Extractor: tinyFolder(t, "", 1, nan, 3)}, `tensor "tiny.weight" holds NaN at element 1`},
		{"infinity", regions.Spec{Extractor: tinyFolder(t, "", inf, 2, 3)}, `tensor "tiny.weight" holds +Inf at element 0`},
		{"without weights", regions.Spec{Extractor: kept(func(dir string) error { return os.Remove(filepath.Join(dir, regions.WeightsFile)) })}, "image_encoder.safetensors is not beside it"},
		{"of others' weights", regions.Spec{Extractor: kept(func(dir string) error {
			return os.Rename(filepath.Join(kept(func(string) error { return nil }), regions.WeightsFile), filepath.Join(dir, regions.WeightsFile))
		})}, ""},
		{"of another fingerprint", regions.Spec{Extractor: kept(edit(x.Spec().Fingerprint[:8], "00000000"))}, "do not belong together: fingerprint 00000000"},
		{"of an unknown family", regions.Spec{Extractor: kept(edit(`"extractor": "tiny"`, `"extractor": "huge"`))}, `unknown family of networks "huge"`},
		{"of a family without networks", regions.Spec{Extractor: kept(edit(`"extractor": "tiny"`, `"extractor": "patches"`))}, `unknown family of networks "patches"; choose one of detector, convnet`},
		{"without a fingerprint", regions.Spec{Extractor: kept(edit(`"fingerprint"`, `"footprint"`))}, `"tiny" is a trained network, but has no fingerprint`},
		{"of broken preprocessing", regions.Spec{Extractor: kept(edit(`"width": 8`, `"width": 0`))}, "preprocessing: a side of 0 pixels"},
	} {
		_, err := Open(c.spec)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := In(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder without extractor: %v", err)
	}
	if _, err := Of(regions.Spec{Extractor: "tiny", Architecture: "Tiny", Fingerprint: "ab"}); err == nil || !strings.Contains(err.Error(), "only what it computed is") {
		t.Errorf("a spec alone: %v", err)
	}
	// A file that changes between opening and keeping.
	raw, err := os.ReadFile(filepath.Join(tinyFolder(t, "", 1, 2, 4), "model.safetensors"))
	if err == nil {
		err = os.WriteFile(filepath.Join(good, "model.safetensors"), raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Keep(t.TempDir(), x); err == nil || !strings.Contains(err.Error(), "has changed since it was opened") {
		t.Errorf("a changed file: %v", err)
	}
	// Extractors that are not trained are as before, and nothing is kept of them.
	patches, err := Open(regions.Spec{Extractor: regions.Patches, ImageSize: 32})
	if err != nil || patches.Spec().PatchSize != 16 || told(patches) != "" {
		t.Errorf("patches: %v", err)
	}
	empty := t.TempDir()
	if err := Keep(empty, patches); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(empty); len(list) != 0 {
		t.Errorf("of patches is kept %v", list)
	}
}

// Several goroutines look at pictures at once.
func TestConcurrent(t *testing.T) {
	useTiny(t, 4)
	x, err := Open(regions.Spec{Extractor: tinyFolder(t, "", 1, 2, 3, 4, 5, 6)})
	if err != nil {
		t.Fatal(err)
	}
	want := extract(t, x, 20, 30)
	done := make(chan bool)
	for range 8 {
		go func() {
			im := &regions.Image{}
			err := x.Extract(x.Prepare(testPicture(20, 30)), 20, 30, im)
			done <- err == nil && same(im, want)
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("another image, or an error")
		}
	}
}

// Whatever stands in the two files, opening them ends with an error or an extractor that works.
func FuzzIn(f *testing.F) {
	useTiny(f, 4)
	dir := f.TempDir()
	x, err := Open(regions.Spec{Extractor: tinyFolder(f, `{"Classes": ["dog", "cat"]}`, 1, 2, 3)})
	if err == nil {
		err = Keep(dir, x)
	}
	var parts [2][]byte
	for i, name := range []string{regions.SpecFile, regions.WeightsFile} {
		if err == nil {
			parts[i], err = os.ReadFile(filepath.Join(dir, name))
		}
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(parts[0], parts[1])
	f.Add([]byte(`{"extractor":"patches"}`), []byte{})
	dir = f.TempDir() // of all that is tried: making one takes longer than opening it
	f.Fuzz(func(t *testing.T, spec, weights []byte) {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, regions.SpecFile), spec, 0o644), os.WriteFile(filepath.Join(dir, regions.WeightsFile), weights, 0o644)); err != nil {
			t.Fatal(err)
		}
		x, err := In(dir)
		if err != nil {
			if !strings.Contains(err.Error(), dir) {
				t.Fatalf("error %q does not name the file", err)
			}
			return
		}
		if x.Spec().Trained() {
			extract(t, x, 7, 5)
		}
	})
}

func TestStrangersAreNamed(t *testing.T) {
	for _, c := range []struct{ tensor, config, want string }{
		{"features.denseblock1.denselayer1.conv1.weight", "", "DenseNet"},
		{"features.0.weight", "", "VGG"},
		{"stages.0.blocks.0.conv1.weight", "", "ResNet v2"},
		{"patch_embed.proj.weight", "", "Vision Transformer"},
		{"a.b", `{"model_type": "convnext"}`, `"convnext"`},
		{"a.b", `{"architecture": "resnest50d"}`, `timm's "resnest50d"`},
		{"a.b", "", `1 tensors, the first "a.b"`},
	} {
		r, err := checkpoint.FromTensors("file", []checkpoint.Tensor{{Info: checkpoint.Info{Name: c.tensor, DType: checkpoint.F32, Shape: []int{1}}, Data: make([]byte, 4)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := describe([]byte(c.config), r); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q, want %q in it", c.tensor, c.config, got, c.want)
		}
	}
}

// A model of each family, kept in a folder, sees the same from there.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range []string{
		"convnet/testdata/resnet_basic.pth", "convnet/testdata/lukemelas_lite0.safetensors", "vit/testdata/vit", "vit/testdata/clip",
		"vit/testdata/dinov2-registers", "vit/testdata/siglip", "detector/testdata/nanodet.json", "detector/testdata/centernet.json",
	} {
		x, err := Open(regions.Spec{Extractor: filepath.Join("..", filepath.FromSlash(path))})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		spec := x.Spec()
		seen[spec.Extractor] = true
		if l, err := NewLearning(x); err == nil && !strings.Contains(told(l), "no preprocessor_config.json") {
			t.Errorf("%s: of what is to be trained nothing is told", path)
		}
		want := extract(t, x, 60, 40)
		if n := len(spec.Classes); n*want.Regions() != len(want.Classes) {
			t.Errorf("%s: %d probabilities for %d regions and %d classes", path, len(want.Classes), want.Regions(), n)
		}
		dir := t.TempDir()
		if err := Keep(dir, x); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		again, err := In(dir)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if now := again.Spec(); !now.Equal(spec) || now.String() != spec.String() || !slices.Equal(now.Classes, spec.Classes) {
			t.Errorf("%s: spec is %+v, want %+v", path, now, spec)
		}
		if !same(extract(t, again, 60, 40), want) {
			t.Errorf("%s: kept in a folder it sees something else", path)
		}
	}
	for _, f := range families {
		if !seen[f.name] {
			t.Errorf("no model of the family %s is tested", f.name)
		}
	}
}
