package preprocess

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// noise paints the picture that testdata/make_pixels.py paints.
func noise(w, h int, seed uint32) *picture.Picture {
	p := &picture.Picture{Width: w, Height: h, Pix: make([]byte, 3*w*h)}
	state := seed
	for i := range p.Pix {
		state = state*1664525 + 1013904223
		p.Pix[i] = byte(3*(i/3%w) + 5*(i/3/w)*(i%3+1) + int(state>>27))
	}
	return p
}

// Every bit of what transformers (with Pillow) and timm hand to a network.
func TestPixelsEqualLibraries(t *testing.T) {
	var golden struct {
		Pictures [][3]int
		Cases    []struct {
			File   json.RawMessage
			Pixels []struct {
				Size   [2]int
				SHA256 string
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "pixels.json"))
	if err == nil {
		err = json.Unmarshal(raw, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 20 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		config, err := Parse("x.json", c.File, "")
		if err != nil {
			t.Errorf("%s: %v", c.File, err)
			continue
		}
		for i, want := range c.Pixels {
			size := golden.Pictures[i]
			got := config.Pixels(config.Prepare(noise(size[0], size[1], uint32(size[2]))))
			sum := sha256.New()
			binary.Write(sum, binary.LittleEndian, got.Values)
			if got.Width != want.Size[0] || got.Height != want.Size[1] {
				t.Errorf("%s\n%v: %d x %d, want %v", c.File, size, got.Width, got.Height, want.Size)
			} else if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
				t.Errorf("%s\n%v: %v: values differ", c.File, size, config)
			}
		}
	}
}

func TestBoxes(t *testing.T) {
	cropped := Config{Library: Transformers, Resize: Shorter, ResizeWidth: 100, Width: 80, Height: 80}
	padded := Config{Library: Transformers, Resize: Keep, Width: 100, Height: 100}
	for _, c := range []struct {
		name          string
		config        Config
		width, height int
		box, want     [4]float32
	}{
		{"all of a squashed picture", Config{Library: Transformers, Resize: Exact, ResizeWidth: 10, ResizeHeight: 10, Width: 10, Height: 10},
			640, 480, [4]float32{0, 0, 1, 1}, [4]float32{0, 0, 640, 480}},
		// 400 x 200 becomes 200 x 100; the middle 80 x 80 begins at (60, 10).
		{"what a crop leaves", cropped, 400, 200, [4]float32{0, 0, 1, 1}, [4]float32{120, 20, 280, 180}},
		{"a quarter of it", cropped, 400, 200, [4]float32{0.5, 0.5, 1, 1}, [4]float32{200, 100, 280, 180}},
		// 40 x 60 lies at (30, 20) of 100 x 100.
		{"padding is no picture", padded, 40, 60, [4]float32{0, 0, 1, 1}, [4]float32{0, 0, 40, 60}},
		{"inside of padding", padded, 40, 60, [4]float32{0.4, 0.3, 0.5, 0.5}, [4]float32{10, 10, 20, 30}},
	} {
		got := c.box
		c.config.Boxes(got[:], c.width, c.height)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-4 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}

// Pictures of extreme sides cost no more than the network's size.
func TestExtremeSides(t *testing.T) {
	c, err := Default("clip", 224)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range [][2]int{{1, 65535}, {65535, 1}, {1, 1}} {
		if p := c.Prepare(noise(size[0], size[1], 1)); p.Width != 224 || p.Height != 224 {
			t.Errorf("%v becomes %d x %d", size, p.Width, p.Height)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{`{"image_processor_type": "DonutImageProcessor"}`, `DonutImageProcessor`},
		{`{"size": 224}`, "image_processor_type is missing"},
		{`{"image_processor_type": "ViTImageProcessor", "size": {"longest_edge": 224}}`, "shortest_edge"},
		{`{"image_processor_type": "ViTImageProcessor", "size": 1000000}`, "1 to 2048"},
		{`{"image_processor_type": "ViTImageProcessor", "size": 0}`, "1 to 2048"},
		{`{"image_processor_type": "ViTImageProcessor", "resample": 6}`, "0 to 5"},
		{`{"image_processor_type": "ViTImageProcessor", "image_std": [1, 0, 1]}`, "deviation 0 of green"},
		{`{"image_processor_type": "ViTImageProcessor", "image_mean": [1, 0]}`, "image_mean"},
		{`{"image_processor_type": "ViTImageProcessor", "image_mean": [1, 0, 1e300]}`, "would become"},
		{`{"image_processor_type": "ViTImageProcessor", "rescale_factor": 0}`, "times 0"},
		{`{"image_processor_type": "ViTImageProcessor", "do_resize": false}`, "do_resize is false and do_center_crop is off"},
		{`{"do_resize": false}`, "image_processor_type is missing"},
		{`{"do_center_crop": null}`, "says nothing"},
		{`{"image_processor_type": "CLIPImageProcessor", "do_center_crop": false}`, "of any size"},
		{`{"image_processor_type": "CLIPImageProcessor", "crop_size": {"shortest_edge": 224}}`, "crop_size"},
		{`{"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0}`, "crop_pct"},
		{`{"image_processor_type": "ConvNextImageProcessor", "size": {"height": 10, "width": 10}}`, "shortest_edge"},
		{`{"architecture": "x", "pretrained_cfg": {"input_size": [1, 28, 28]}}`, "in colour"},
		{`{"architecture": "x", "pretrained_cfg": {"interpolation": "random"}}`, "random"},
		{`{"architecture": "x", "pretrained_cfg": {"crop_mode": "corner"}}`, "crop_mode"},
		{`{"architecture": "x", "pretrained_cfg": {"crop_pct": -1}}`, "crop_pct"},
		{`{"model_type": "vit"}`, "says nothing"},
		{`{"image_mean": NaN}`, "NaN"},
		{`[]`, "p.json"},
		{``, "empty"},
	} {
		_, err := Parse("p.json", []byte(c.file), "")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "p.json") != 1 {
			t.Errorf("%s: %v, want p.json and %q", c.file, err, c.want)
		}
	}
}

// What is left out is the processor's own.
func TestProcessorOfModelType(t *testing.T) {
	old := `{"do_normalize": true, "do_resize": true, "size": 224, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}`
	got, err := Parse("p.json", []byte(old), "vit")
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := Default("vit", 224); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := Parse("p.json", []byte(`{"do_resize": false}`), "vit"); err == nil || !strings.Contains(err.Error(), "do_resize is false") {
		t.Errorf("not to be scaled, and nothing else: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	find := func(family string) (Config, string) {
		t.Helper()
		c, source, err := Find(dir, family, 64)
		if err != nil {
			t.Fatal(err)
		}
		return c, filepath.Base(source)
	}
	write("config.json", `{"model_type": "clip"}`)
	if c, source := find("clip"); source != "." || c.Width != 64 || c.Mean != clipMean {
		t.Errorf("defaults: %v from %s", c, source)
	}
	write("config.json", `{"architecture": "resnet10t", "input_size": [3, 32, 32]}`)
	if c, source := find("timm"); source != "config.json" || c.Width != 32 {
		t.Errorf("timm: %v from %s", c, source)
	}
	write("processor_config.json", `{"image_processor": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 48}, "crop_size": 48}}`)
	if c, source := find("clip"); source != "processor_config.json" || c.Width != 48 {
		t.Errorf("processor: %v from %s", c, source)
	}
	write("preprocessor_config.json", `{"image_processor_type": "Florence"}`)
	if _, _, err := Find(dir, "clip", 64); err == nil || !strings.Contains(err.Error(), "preprocessor_config.json") {
		t.Errorf("an unknown processor: %v", err)
	}
	if _, _, err := Find(t.TempDir(), "bert", 64); err == nil || !strings.Contains(err.Error(), "bert") {
		t.Errorf("no defaults: %v", err)
	}
}

func TestDefaultsAreValidAndSaved(t *testing.T) {
	for family := range families {
		c, err := Default(family, 224)
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again Config
		if err := json.Unmarshal(raw, &again); err != nil || again != c {
			t.Errorf("%s: %s: %+v, %v", family, raw, again, err)
		}
	}
	for _, side := range []int{0, 5000} {
		if _, err := Default("vit", side); err == nil {
			t.Errorf("a network of %d pixels is taken", side)
		}
	}
}

func TestString(t *testing.T) {
	c, err := Default(EfficientNetLite, 224)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.String(), "shorter side scaled to 256 (bicubic), middle 224 x 224, times 1, mean [127 127 127], deviation [128 128 128]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c, err = Default(CenterNet, 512); err != nil || c.String() != "scaled to 512 x 512 (bilinear), bytes as they are" {
		t.Errorf("%s, %v", c, err)
	}
}

func FuzzParse(f *testing.F) {
	for name := range processors {
		f.Add([]byte(`{"image_processor_type": "`+name+`ImageProcessor", "size": 32, "crop_size": [16, 8]}`), "vit")
	}
	f.Add([]byte(`{"architecture": "x", "pretrained_cfg": {"input_size": [3, 8, 8], "crop_mode": "border", "crop_pct": 0.5}}`), "")
	f.Add([]byte(`{"image_processor": {"size": {"shortest_edge": 5}, "crop_size": {"height": 3, "width": 4}}}`), "clip")
	p := noise(5, 7, 1)
	f.Fuzz(func(t *testing.T, raw []byte, family string) {
		c, err := Parse("p.json", raw, family)
		if err != nil {
			if !errors.Is(err, ErrSilent) && !strings.Contains(err.Error(), "p.json") {
				t.Fatalf("the error names no file: %v", err)
			}
			return
		}
		for _, v := range c.Pixels(c.Prepare(p)).Values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("%v makes %v", c, v)
			}
		}
		saved, err := json.Marshal(c)
		var again Config
		if err != nil || json.Unmarshal(saved, &again) != nil || again != c {
			t.Fatalf("%s: not kept", saved)
		}
	})
}
