package regions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

func writeStore(tb testing.TB, dir string, h Header, s Source) {
	tb.Helper()
	w, err := NewWriter(dir, h, Refuse)
	if err != nil {
		tb.Fatal(err)
	}
	for im, err := range Read(s, s.IDs()) {
		if err == nil {
			err = w.Add(im)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// testPictures is a source of pictures.
func testPictures(tb testing.TB, spec Spec, n int) *Pictures {
	tb.Helper()
	dir := tb.TempDir()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%d.png", i))
		savePicture(tb, filepath.Join(dir, names[i]), testPicture(20+i, 30-i))
	}
	x, err := NewExtractor(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return NewPictures(dir, names, x, picture.Limits{}, 1<<30)
}

func TestStore(t *testing.T) {
	patches := testPictures(t, Spec{Extractor: Patches, ImageSize: 16, PatchSize: 4}, 5)
	statistics := testPictures(t, Spec{Extractor: Statistics, ImageSize: 16, Grid: 4}, 5)
	for _, c := range []struct {
		source *Pictures
		bytes  bool
	}{{patches, true}, {patches, false}, {statistics, false}} {
		spec := c.source.Extractor().Spec()
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".DS_Store"), nil, 0o644); err != nil { // a hidden file is none
			t.Fatal(err)
		}
		writeStore(t, dir, Header{Dim: c.source.Dim(), Bytes: c.bytes, Extractor: &spec}, c.source)
		s, info := openTest(t, dir, Options{SkipBad: true})
		sameSources(t, s, c.source)
		if info.Format != FormatStore || info.Images != 5 || info.Bad != 0 || !info.Extractor.Equal(spec) || info.Bytes == 0 {
			t.Errorf("%+v", info)
		}
		path := filepath.Join(t.TempDir(), "lines")
		if err := WriteReference(path, c.source.Dim(), Read(s, s.IDs())); err != nil {
			t.Fatal(err)
		}
		lines, info := openTest(t, path, Options{})
		sameSources(t, lines, c.source)
		if info.Format != FormatReference {
			t.Errorf("%+v", info)
		}
	}
}

// TestStoreGoesOn stops a writer at every image, once with a shard finished and once
// without, and goes on.
func TestStoreGoesOn(t *testing.T) {
	s := testPictures(t, Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4}, 4)
	h := Header{Dim: s.Dim(), Bytes: true}
	var im Image
	for stop := range 5 {
		for _, closed := range []bool{true, false} {
			dir := t.TempDir()
			w, err := NewWriter(dir, h, Resume)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range s.IDs()[:stop] {
				if err := s.Image(id, &im); err != nil {
					t.Fatal(err)
				}
				if err := w.Add(&im); err != nil {
					t.Fatal(err)
				}
			}
			if closed {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				w.lock.Release() // the kernel does, when the process ends
			}
			// What a killed process leaves: a file that never got its name, a shard not listed.
			save(t, filepath.Join(dir, ".unimo-partial-1"), []byte("half"))
			save(t, filepath.Join(dir, "features-00002.safetensors"), []byte("half"))
			if w, err = NewWriter(dir, h, Resume); err != nil {
				t.Fatal(err)
			}
			done := 0
			for im, err := range Read(s, s.IDs()) {
				if err != nil {
					t.Fatal(err)
				}
				if w.Has(im.ID) {
					done++
				} else if err := w.Add(im); err != nil {
					t.Fatal(err)
				}
			}
			if want := map[bool]int{true: stop}[closed]; done != want {
				t.Errorf("%d images were there, want %d", done, want)
			}
			if err := w.Add(&im); stop > 0 && (err == nil || !strings.Contains(err.Error(), "there already")) {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, _ := openTest(t, dir, Options{})
			sameSources(t, got, s)
			if _, err := NewWriter(dir, Header{Dim: s.Dim()}, Resume); err == nil || !strings.Contains(err.Error(), "another kind") {
				t.Error(err)
			}
			if _, err := NewWriter(dir, h, Refuse); err == nil || !strings.Contains(err.Error(), "holds features already") {
				t.Error(err)
			}
			if err := os.Remove(filepath.Join(dir, "features-00001.safetensors")); err != nil {
				t.Fatal(err)
			}
			if _, err := NewWriter(dir, h, Resume); !errors.As(err, new(*ShardError)) || !strings.Contains(err.Error(), "--replace") {
				t.Errorf("without a shard: %v", err)
			}
			if err := s.Image(s.IDs()[0], &im); err != nil {
				t.Fatal(err)
			}
			if w, err = NewWriter(dir, h, Replace); err != nil || w.Images() >= len(s.IDs()) {
				t.Errorf("a damaged shard stays: %v", err)
			} else if err := errors.Join(w.Add(&im), w.Close()); err != nil {
				t.Errorf("after a damaged shard: %v", err)
			}
		}
	}
}

// A store belongs to its writer until that is closed, also after an error.
func TestWriterOwnsItsFolder(t *testing.T) {
	dir, h := t.TempDir(), Header{Dim: 4}
	w, err := NewWriter(dir, h, Refuse)
	if err != nil {
		t.Fatal(err)
	}
	var locked *atomicfile.LockedError
	if _, err := NewWriter(dir, h, Resume); !errors.As(err, &locked) {
		t.Errorf("a second writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "thesis.txt"), nil)
	for range 2 {
		if _, err := NewWriter(dir, h, Refuse); err == nil || errors.As(err, &locked) {
			t.Errorf("a folder of other files: %v", err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	if _, err := NewWriter(t.TempDir(), Header{}, Refuse); err == nil {
		t.Error("features of no values")
	}
	dir := t.TempDir()
	save(t, filepath.Join(dir, "thesis.txt"), nil)
	if _, err := NewWriter(dir, Header{Dim: 4}, Resume); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Error(err)
	}
	w, err := NewWriter(t.TempDir(), Header{Dim: 4, Bytes: true}, Refuse)
	if err != nil {
		t.Fatal(err)
	}
	nan := testImage("a", 1, 4, 9, 9)
	nan.Features[2] = float32(math.NaN())
	for want, im := range map[string]*Image{
		"no byte/127.5-1": testImage("a", 1, 4, 9, 9),
		"is NaN":          nan,
		"an id of 0":      {Width: 9, Height: 9, Boxes: []float32{0, 0, 1, 1}, Features: []float32{1, 1, 1, 1}},
		"feature values":  testImage("a", 1, 5, 9, 9),
		"four a region":   {ID: "a", Width: 9, Height: 9},
	} {
		if err := w.Add(im); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "x")
	bad := func(yield func(*Image, error) bool) { yield(testImage("a\tb", 1, 4, 9, 9), nil) }
	if err := WriteReference(path, 4, bad); err == nil || !strings.Contains(err.Error(), "tab") {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file with a bad image is left")
	}
}

// TestBadStore changes parts of a store.
func TestBadStore(t *testing.T) {
	const first = "features-00001.safetensors"
	s := testPictures(t, Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4}, 2)
	manifest := func(change func(m map[string]any)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, storeFile)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			raw, _ = json.Marshal(m)
			save(t, path, raw)
		}
	}
	shard := func(change func(tensors map[string]*checkpoint.Tensor, metadata map[string]string)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, first)
			r, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			tensors := map[string]*checkpoint.Tensor{}
			for _, info := range r.Tensors() {
				data, _ := r.Bytes(info.Name)
				tensors[info.Name] = &checkpoint.Tensor{Info: info, Data: append([]byte(nil), data...)}
			}
			metadata := r.Metadata()
			r.Close()
			change(tensors, metadata)
			var list []checkpoint.Tensor
			for _, tensor := range tensors {
				list = append(list, *tensor)
			}
			if err := checkpoint.WriteSafetensors(path, list, metadata); err != nil {
				t.Fatal(err)
			}
		}
	}
	type tensors = map[string]*checkpoint.Tensor
	nan := math.Float32bits(float32(math.NaN()))
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"format":   {manifest(func(m map[string]any) { m["format"] = "other" }), storeFile},
		"version":  {manifest(func(m map[string]any) { m["version"] = 9 }), "version 9"},
		"dim":      {manifest(func(m map[string]any) { m["dim"] = -1 }), "-1 values"},
		"other":    {manifest(func(m map[string]any) { m["dim"] = 47 }), `tensor "features" is U8 [8 48]`},
		"type":     {manifest(func(m map[string]any) { m["bytes"] = false }), "features.json says otherwise"},
		"escape":   {manifest(func(m map[string]any) { m["shards"] = []manifestShard{{"../x", 1}} }), "not the name of a file"},
		"missing":  {manifest(func(m map[string]any) { m["shards"] = []manifestShard{{"x", 1}} }), "does not exist"},
		"images":   {manifest(func(m map[string]any) { m["shards"] = []manifestShard{{first, 3}} }), "3 images"},
		"twice":    {manifest(func(m map[string]any) { m["shards"] = []manifestShard{{first, 2}, {first, 2}} }), "there already"},
		"no JSON":  {func(t *testing.T, dir string) { save(t, filepath.Join(dir, storeFile), []byte("{")) }, storeFile},
		"large":    {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, storeFile), maxStoreFile+1) }, "larger than"},
		"cut":      {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, first), 300) }, first},
		"empty":    {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, first), 0) }, first},
		"ids":      {shard(func(_ tensors, m map[string]string) { m["ids"] = `["a"]` }), "1 ids"},
		"no ids":   {shard(func(_ tensors, m map[string]string) { delete(m, "ids") }), "ids"},
		"offsets":  {shard(func(x tensors, _ map[string]string) { x["offsets"].Data[8] = 8 }), "offsets do not increase"},
		"last":     {shard(func(x tensors, _ map[string]string) { x["offsets"].Data[16] = 9 }), "offsets end at 9"},
		"negative": {shard(func(x tensors, _ map[string]string) { x["offsets"].Data[15] = 255 }), "offsets do not increase"},
		"no boxes": {shard(func(x tensors, _ map[string]string) { delete(x, "boxes") }), "boxes"},
		"box": {shard(func(x tensors, _ map[string]string) {
			x["boxes"].Data[3], x["boxes"].Data[2] = byte(nan>>24), byte(nan>>16)
		}), "image \"0.png\": box 1"},
		"size": {shard(func(x tensors, _ map[string]string) { x["sizes"].Data[3] = 0xff }), "pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeStore(t, filepath.Join(dir, "s"), Header{Dim: s.Dim(), Bytes: true}, s)
			dir = filepath.Join(dir, "s")
			c.change(t, dir)
			got, _, err := Open(dir, Options{})
			if err == nil {
				defer got.Close()
				err = got.Image("0.png", new(Image))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestAppendRows(t *testing.T) {
	var features, locations []float32
	a, c := testImage("a", 3, 4, 100, 50), testImage("cc", 1, 4, 10, 10)
	for range 2 { // the second time in the same memory
		features, locations = a.AppendRows(features[:0], locations[:0])
		features, locations = c.AppendRows(features, locations)
		if len(features) != 6*4 || len(locations) != 6*LocationSize {
			t.Fatalf("%d features, %d locations", len(features), len(locations))
		}
		for i := range 4 {
			mean := (a.Features[i] + a.Features[4+i] + a.Features[8+i]) / 3
			if features[i] != mean || features[16+i] != c.Features[i] || features[20+i] != c.Features[i] {
				t.Errorf("value %d of the global regions: %v and %v, want %v and %v", i, features[i], features[16+i], mean, c.Features[i])
			}
		}
	}
	a.Global = []float32{4, 3, 2, 1}
	if features, _ := a.AppendRows(nil, nil); len(features) != 4*4 || !slices.Equal(features[:4], a.Global) || !slices.Equal(features[4:], a.Features) {
		t.Errorf("with a global feature: %v", features)
	}
	if n := testing.AllocsPerRun(10, func() { features, locations = a.AppendRows(features[:0], locations[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStatistics(t *testing.T) {
	x, err := NewExtractor(Spec{Extractor: Statistics, ImageSize: 32, Grid: 4})
	if err != nil {
		t.Fatal(err)
	}
	left, right := [3]byte{255, 0, 0}, [3]byte{0, 0, 255}
	p := testPicture(32, 32)
	for i := range p.Pix {
		if i/3%32 < 16 {
			p.Pix[i] = left[i%3]
		} else {
			p.Pix[i] = right[i%3]
		}
	}
	var im Image
	x.Extract(p, 320, 160, &im)
	if err := im.Check(x.Dim()); err != nil || im.Regions() != 16+4+1 {
		t.Fatal(im.Regions(), err)
	}
	row := func(r int) []float32 { return im.Features[r*statisticsDim:][:statisticsDim] }
	red, blue, all := row(0), row(3), row(20)
	near := func(what string, got, want float32) {
		t.Helper()
		if math.Abs(float64(got-want)) > 0.02 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("red's red", red[meanAt], 1)
	near("red's blue", red[meanAt+2], -1)
	near("red's deviation", red[deviateAt], 0)
	near("red's hue", red[hueAt], 1)
	near("blue's hue", blue[hueAt+8], 1)
	near("blue's chroma", blue[chromaAt], 1)
	near("all's red", all[meanAt], 0)
	near("all's deviation", all[deviateAt], 1)
	near("all's hues", all[hueAt], float32(math.Sqrt(0.5)))
	near("red's edges", red[strengthAt], 0)
	// The edge between the halves goes up and down: its gradient points to the left or right.
	edge := row(1)
	for q := range 4 {
		for o := range orientations {
			want := float32(0)
			if o == 0 && q%2 == 1 {
				want = float32(math.Sqrt(0.5))
			}
			near(fmt.Sprintf("edge in quarter %d, direction %d", q, o), edge[gradientAt+q*orientations+o], want)
		}
	}
	for i, v := range im.Features {
		if v < -1 || v > 2 {
			t.Fatalf("value %d is %v", i, v)
		}
	}
	for want, spec := range map[string]Spec{
		"grid 33":       {Extractor: Statistics, Grid: 33},
		"image_size 8":  {Extractor: Statistics, Grid: 6, ImageSize: 8},
		"patch_size 16": {Extractor: Statistics, PatchSize: 16},
	} {
		if _, err := NewExtractor(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
