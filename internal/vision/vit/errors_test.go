package vit

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/vision"
)

// changed returns the model of testdata/vit after a change of each of its tensors; without values a tensor is left out.
func changed(t testing.TB, change func(x *checkpoint.Tensor, values []float32) []float32) ([]byte, checkpoint.Reader) {
	t.Helper()
	config, r := read(t, "testdata/vit")
	defer r.Close()
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		values, _, err := checkpoint.Float32s(r, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		x := checkpoint.Tensor{Info: info}
		if values := change(&x, slices.Clone(values)); values != nil {
			tensors = append(tensors, checkpoint.FromFloat32(x.Name, x.Shape, values))
		}
	}
	made, err := checkpoint.FromTensors("model.safetensors", tensors)
	if err != nil {
		t.Fatal(err)
	}
	return config, made
}

func TestBadModels(t *testing.T) {
	whole := func(_ *checkpoint.Tensor, values []float32) []float32 { return values }
	set := func(key, value string) func(map[string]json.RawMessage) {
		return func(c map[string]json.RawMessage) { c[key] = json.RawMessage(value) }
	}
	same := func(map[string]json.RawMessage) {}
	for name, c := range map[string]struct {
		config func(map[string]json.RawMessage)
		tensor func(x *checkpoint.Tensor, values []float32) []float32
		want   []string
	}{
		"no configuration": {nil, whole, []string{"no config.json", "number of attention heads"}},
		"another model": {set("model_type", `"swin"`), whole, []string{
			`model_type is "swin"`, "clip, clip_vision_model, dinov2, dinov2_with_registers, siglip, siglip_vision_model, vit",
		}},
		"another model's weights":    {set("model_type", `"clip_vision_model"`), whole, []string{"no tensor embeddings.patch_embedding.weight", "belongs to another model"}},
		"heads that do not divide":   {set("num_attention_heads", "3"), whole, []string{"hidden_size is 16", "num_attention_heads, 3"}},
		"too many layers":            {set("num_hidden_layers", "3"), whole, []string{"encoder.layer.2.", "missing"}},
		"another size":               {set("hidden_size", "32"), whole, []string{"[1 1 16]", "[1 1 32]"}},
		"a huge size":                {set("hidden_size", "1000000000"), whole, []string{"hidden_size is 1000000000"}},
		"a patch above the picture":  {set("patch_size", "13"), whole, []string{"model.safetensors: config.json: patch_size is 13, want 1 to 12"}},
		"grey pictures":              {set("num_channels", "1"), whole, []string{"num_channels is 1"}},
		"an unknown activation":      {set("hidden_act", `"gelu2"`), whole, []string{"hidden_act", "gelu2"}},
		"a size that is none":        {set("image_size", `"big"`), whole, []string{`"big" is no size`}},
		"an epsilon that is none":    {set("layer_norm_eps", "0"), whole, []string{"layer_norm_eps is 0"}},
		"SwiGLU where there is none": {set("use_swiglu_ffn", "true"), whole, []string{"only DINOv2"}},
		"a missing tensor": {same, func(x *checkpoint.Tensor, values []float32) []float32 {
			if x.Name == "encoder.layer.1.output.dense.bias" {
				return nil
			}
			return values
		}, []string{"encoder.layer.1.output.dense.bias", "missing"}},
		"NaN": {same, func(x *checkpoint.Tensor, values []float32) []float32 {
			if x.Name == "encoder.layer.1.layernorm_after.weight" {
				values[3] = float32(math.NaN())
			}
			return values
		}, []string{"encoder.layer.1.layernorm_after.weight", "NaN"}},
		"an infinite weight": {same, func(x *checkpoint.Tensor, values []float32) []float32 {
			if x.Name == "encoder.layer.0.output.dense.weight" {
				values[3] = float32(math.Inf(-1))
			}
			return values
		}, []string{"encoder.layer.0.output.dense.weight", "-Inf"}},
	} {
		t.Run(name, func(t *testing.T) {
			raw, r := changed(t, c.tensor)
			var config []byte
			if c.config != nil {
				var keys map[string]json.RawMessage
				if err := json.Unmarshal(raw, &keys); err != nil {
					t.Fatal(err)
				}
				c.config(keys)
				var err error
				if config, err = json.Marshal(keys); err != nil {
					t.Fatal(err)
				}
			}
			if !Recognised(config, r) {
				t.Error("not recognised")
			}
			n, _, err := Open(cpu.New(), config, r)
			if err == nil {
				t.Fatalf("opened %v", n)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestStrangersAreNotRecognised(t *testing.T) {
	r, err := checkpoint.FromTensors("bert", []checkpoint.Tensor{checkpoint.FromFloat32("bert.embeddings.word_embeddings.weight", []int{2, 2}, make([]float32, 4))})
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"", "{}", `{"model_type": "bert"}`, "[", `{"model_type": 3}`} {
		if Recognised([]byte(config), r) {
			t.Errorf("%q is taken for a Vision Transformer", config)
		}
	}
}

func TestPicturesOfWrongSize(t *testing.T) {
	n, _ := open(t, "testdata/vit")
	for _, p := range []vision.Pixels{
		{Width: 3, Height: 40, Values: make([]float32, 3*40*3)}, {Width: 40, Height: 3, Values: make([]float32, 3*40*3)}, {},
	} {
		if _, err := n.Run(cpu.New(), p); err == nil || !strings.Contains(err.Error(), "less than a patch of 4 x 4") {
			t.Errorf("%d x %d: %v", p.Width, p.Height, err)
		}
	}
	if _, err := n.Run(cpu.New(), vision.Pixels{Width: 260, Height: 256, Values: make([]float32, 260*256*3)}); err == nil || !strings.Contains(err.Error(), "4160 patches") {
		t.Errorf("too many patches: %v", err)
	}
	if _, err := n.Run(cpu.New(), vision.Pixels{Width: 4, Height: 4, Values: make([]float32, 47)}); err == nil {
		t.Error("a picture with a value too few is read")
	}
}

// One network serves many goroutines, whatever the sizes of their pictures.
func TestGoroutinesShareANetwork(t *testing.T) {
	for _, dir := range []string{"testdata/vit", "testdata/siglip", "testdata/dinov2-registers"} {
		n, _ := open(t, dir)
		all := goldens(t, dir)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				d := cpu.NewLimited(1)
				for size, g := range all {
					out, err := n.Run(d, g.pixels)
					if err != nil || !(difference(out.Features, g.regions) <= tolerance) {
						t.Errorf("%s, %s: %v", dir, size, err)
					}
				}
			})
		}
		wait.Wait()
	}
}

func TestBoxesAreThePlacesOfPatches(t *testing.T) {
	n, _ := open(t, "testdata/vit")
	out, err := n.Run(cpu.New(), vision.Pixels{Width: 10, Height: 4, Values: make([]float32, 120)})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0, 0, 0.4, 1, 0.4, 0, 0.8, 1}; !slices.Equal(out.Boxes, want) {
		t.Errorf("%v, want %v: what no patch covers belongs to none", out.Boxes, want)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, dir := range []string{"vit", "clip", "siglip-headless", "dinov2-giant", "dinov2-registers"} {
		config, r := read(f, "testdata/"+dir)
		r.Close()
		f.Add(config)
	}
	f.Add([]byte(`{"model_type": "vit", "image_size": [224, 112], "patch_size": [16, 8]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		if c.Layers <= 3 {
			(source{cfg: c, pooler: true}).specs()
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ParseConfig(again); err != nil || same.String() != c.String() || same.inner() != c.inner() || same.bias() != c.bias() {
			t.Errorf("%s: %v (%v), and before %v", again, same, err, c)
		}
	})
}

// What a configuration leaves out of a file is listed; of models as transformers saves them that is nothing.
func TestUnread(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/config.json")
	if err != nil || len(dirs) < 10 {
		t.Fatal(dirs, err)
	}
	for _, c := range []struct{ dir, change, want string }{
		{"testdata/vit", `"num_hidden_layers": 1`, "encoder.layer.1."},
		{"testdata/vit", `"qkv_bias": false`, ".bias"},
		{"testdata/siglip-vision", `"vision_use_head": false`, "head."},
		{"testdata/dinov2-registers", `"model_type": "dinov2", "num_register_tokens": 0`, "embeddings.register_tokens"},
	} {
		config, r := read(t, c.dir)
		config = append(bytes.TrimRight(config, "} \n"), ", "+c.change+"}"...) // the last of a key counts
		_, info, err := Open(cpu.New(), config, r)
		if err != nil || len(info.Unread) == 0 || !strings.Contains(info.Unread[0], c.want) {
			t.Errorf("%s with %s: %q, %v", c.dir, c.change, info.Unread, err)
		}
		r.Close()
	}
	for _, path := range dirs {
		config, r := read(t, filepath.Dir(path))
		if _, info, err := Open(cpu.New(), config, r); err != nil || info.Unread != nil {
			t.Errorf("%s: %q, %v", path, info.Unread, err)
		}
		r.Close()
	}
}
