package images

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// network is an extractor as a trained network is one: patches that it counts.
type network struct {
	regions.Extractor
	print string
	seen  *atomic.Int64
}

func newNetwork(t *testing.T, print string) network {
	t.Helper()
	x, err := cutter()
	if err != nil {
		t.Fatal(err)
	}
	return network{x, strings.Repeat(print, 64), new(atomic.Int64)}
}

func (n network) Spec() regions.Spec {
	return regions.Spec{Extractor: "convnet", Architecture: "Net " + n.print[:1], Dim: n.Dim(), Fingerprint: n.print}
}

func (n network) Extract(p *picture.Picture, width, height int, dst *regions.Image) error {
	n.seen.Add(1)
	return n.Extractor.Extract(p, width, height, dst)
}

func TestTrainedCheck(t *testing.T) {
	a, b := newNetwork(t, "a").Spec(), newNetwork(t, "b").Spec()
	wide := b
	wide.Dim++
	patches, statistics := regions.Spec{Extractor: regions.Patches}, regions.Spec{Extractor: regions.Statistics}
	for _, c := range []struct {
		name        string
		model, made *regions.Spec
		starts, ok  bool
	}{
		{"the same", &a, &a, false, true},
		{"another", &a, &b, false, false},
		{"another to start from", &a, &b, true, false},
		{"another of another size", &a, &wide, false, false},
		{"another of another size to start from", &a, &wide, true, true},
		{"not known", &a, nil, false, true},
		{"not known of the model", nil, &a, false, true},
		{"one that is not trained", &a, &patches, false, false},
		{"a model that knows one that is not trained", &patches, &a, false, false},
		{"neither is trained", &patches, &statistics, false, true},
	} {
		dim := 0
		if c.made != nil {
			dim = c.made.Dim
		}
		err := Trained{Name: "RUN", Spec: c.model, Starts: c.starts}.Check("FEATURES", dim, c.made)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.model.String()) || !strings.Contains(err.Error(), c.made.String())) {
			t.Errorf("%s: %v does not name both", c.name, err)
		}
	}
}

func TestStart(t *testing.T) {
	dir := t.TempDir()
	write := func(s regions.Spec) {
		if err := os.WriteFile(filepath.Join(dir, regions.SpecFile), s.File(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var cfg model.Config
	start := func() Cut {
		c := Default.Cut
		if err := c.Start(dir, cfg); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := start(); c != Default.Cut {
		t.Errorf("a folder without extractor changes %+v", c)
	}
	write(regions.Spec{Extractor: regions.Statistics, ImageSize: 64, Grid: 4})
	if c := start(); c.Extractor != regions.Statistics || c.ImageSize != 64 || c.Grid != 4 {
		t.Errorf("statistics: %+v", c)
	}
	trained := newNetwork(t, "a").Spec()
	write(trained)
	if c := start(); c.Extractor != dir || c.model.Name != dir || !c.model.Starts || !c.model.Spec.Equal(trained) {
		t.Errorf("a trained network: %+v", c)
	}
	if cfg.ImageExtractor = &trained; start().Extractor != dir {
		t.Error("the network that the configuration has, too, is not taken")
	}
	other := newNetwork(t, "b").Spec()
	cfg.ImageExtractor = &other
	if err := new(Cut).Start(dir, cfg); err == nil || !strings.Contains(err.Error(), "the model was trained with Net b") {
		t.Errorf("files of another network: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, regions.SpecFile)); err != nil {
		t.Fatal(err)
	}
	if c := start(); c.Extractor != Default.Extractor || !c.model.Spec.Equal(other) {
		t.Errorf("a folder without the network: %+v", c)
	}
	if err := os.WriteFile(filepath.Join(dir, regions.SpecFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := new(Cut).Start(dir, cfg); err == nil {
		t.Error("a broken spec is no error")
	}
	if err := new(Cut).Start(filepath.Join(dir, regions.SpecFile), cfg); err != nil {
		t.Errorf("a file: %v", err)
	}
}

// A network sees each picture once, whatever is asked for afterwards; the second time it sees none.
func TestCompute(t *testing.T) {
	set, out := drawn(t), t.TempDir()
	var log bytes.Buffer
	env := (&run.Env{Out: out, Log: slog.New(slog.NewTextHandler(&log, nil))}).Ready()
	for round := range 2 {
		for _, control := range []string{"", Shuffled, Hidden} {
			x := newNetwork(t, "a")
			o := Options{SkipBad: true, Pictures: control, Seed: 1, Log: env.Log}
			source, spec, sets, err := Open(o, func() (regions.Extractor, error) { return x, nil }, picture.DefaultLimits, 1<<20, set)
			if err != nil {
				t.Fatal(err)
			}
			if n := x.seen.Load(); n != 0 {
				t.Errorf("%d pictures were seen before the run began", n)
			}
			if !Once(source, spec) {
				t.Error("pictures may be changed at random")
			}
			if source, spec, err = Compute(t.Context(), env, o, source, spec); err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(out, run.FeaturesFolder, regions.WeightsFile); spec.Weights != want {
				t.Errorf("the network is in %s, want %s", spec.Weights, want)
			}
			files, copies := Companions(spec)
			if copies[regions.WeightsFile] != spec.Weights || !bytes.Equal(files[regions.SpecFile], spec.File()) {
				t.Errorf("companions %v %v", files, copies)
			}
			var im regions.Image
			for _, name := range sets[0].Images {
				if err := source.Image(name, &im); err != nil || im.Check(x.Dim()) != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			want := int64(0)
			if round == 0 && control == "" {
				want = 2
			}
			if n := x.seen.Load(); n != want {
				t.Errorf("round %d, %q: %d pictures were seen, want %d", round, control, n, want)
			}
			if err := source.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(log.String(), "are computed once") {
		t.Errorf("log is %s", &log)
	}
	// Others stay as they are.
	source, spec, _, err := Open(Options{Log: env.Log, SkipBad: true}, cutter, picture.DefaultLimits, 1<<20, set)
	if err != nil {
		t.Fatal(err)
	}
	if Once(source, spec) {
		t.Error("patches cannot be changed at random")
	}
	same, _, err := Compute(t.Context(), env, Options{}, source, spec)
	if err != nil || same != source {
		t.Errorf("patches are computed: %v", err)
	}
	if files, copies := Companions(nil); files != nil || copies != nil {
		t.Error("companions of features from elsewhere")
	}
	if got := unique([]string{"b", "a", "b"}); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("unique names are %v", got)
	}
}

// What was computed once and is damaged, or of another network, can be computed again, which is said.
func TestComputeDamaged(t *testing.T) {
	set := drawn(t)
	first, second := newNetwork(t, "a"), newNetwork(t, "b")
	for name, damage := range map[string]func(shard string) error{
		"gone":              os.Remove,
		"cut off":           func(shard string) error { return os.Truncate(shard, 100) },
		"empty":             func(shard string) error { return os.Truncate(shard, 0) },
		"another network's": func(string) error { first = second; return nil },
	} {
		env := (&run.Env{Out: t.TempDir()}).Ready()
		o := Options{Log: env.Log, SkipBad: true}
		dir := filepath.Join(env.Out, run.FeaturesFolder)
		compute := func() error {
			x := first
			source, spec, _, err := Open(o, func() (regions.Extractor, error) { return x, nil }, picture.DefaultLimits, 1<<20, set)
			if err != nil {
				return err
			}
			if source, _, err = Compute(t.Context(), env, o, source, spec); err != nil {
				return err
			}
			return source.Close()
		}
		if err := errors.Join(compute(), damage(filepath.Join(dir, "features-00001.safetensors"))); err != nil {
			t.Fatal(err)
		}
		if err := compute(); err == nil || !strings.Contains(err.Error(), "remove the folder") || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "--replace") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A picture that cannot be read ends the run when it is looked at, with its name.
func TestComputeBadPicture(t *testing.T) {
	set := drawn(t)
	env := (&run.Env{Out: t.TempDir()}).Ready()
	x := newNetwork(t, "a")
	o := Options{Log: env.Log}
	source, spec, _, err := Open(o, func() (regions.Extractor, error) { return x, nil }, picture.DefaultLimits, 1<<20, set)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Compute(t.Context(), env, o, source, spec); err == nil || !strings.Contains(err.Error(), filepath.Join(captions.ImageDir(set.Dir), "bad.png")) {
		t.Errorf("error is %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(env.Out, run.FeaturesFolder)); err != nil || len(entries) == 0 {
		t.Errorf("what was computed is gone: %v", err)
	}
}
