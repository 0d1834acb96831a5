package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// blankPictures writes a folder with n pictures and a file that is none.
func blankPictures(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))+".png"))
		if err != nil {
			t.Fatal(err)
		}
		p := &picture.Picture{Width: 20 + i, Height: 10, Pix: make([]byte, 3*(20+i)*10)}
		if err := p.WritePNG(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "bb.jpg"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFeatures(t *testing.T) {
	dir := blankPictures(t, 5)
	out := filepath.Join(t.TempDir(), "features")
	args := []string{"features", "extract", dir, out, "--image-size", "16", "--patch-size", "4", "--json"}
	if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "bb.jpg") || !strings.Contains(r.stderr, "--skip-bad") {
		t.Fatalf("%d: %s", r.code, r.stderr)
	}
	args = append(args, "--skip-bad")
	// What came before the broken picture was kept: blankPictures names it in the middle.
	for _, fresh := range []int{3, 0} {
		var e extraction
		if err := json.Unmarshal([]byte(must(t, args...).stdout), &e); err != nil {
			t.Fatal(err)
		}
		if e.Images != 5 || e.New != fresh || e.Bad != 1 || e.Dim != 48 {
			t.Errorf("%+v, want %d new", e, fresh)
		}
	}
	var info regions.Info
	r := must(t, "features", "info", out, "--json")
	if err := json.Unmarshal([]byte(r.stdout), &info); err != nil {
		t.Fatal(err)
	}
	if info.Images != 5 || info.MinRegions != 16 || info.Dim != 48 || info.Extractor.PatchSize != 4 {
		t.Errorf("%+v", info)
	}
	if r := must(t, "features", "info", out); !strings.Contains(r.stdout, "patches, image size 16, patch size 4") {
		t.Error(r.stdout)
	}
	lines := filepath.Join(t.TempDir(), "features.tsv")
	args = []string{"features", "extract", dir, lines, "--extractor", "statistics", "--format", "reference", "--skip-bad"}
	if r := must(t, args...); !strings.Contains(r.stdout, "5 images") || !strings.Contains(r.stdout, "1 pictures left out") {
		t.Error(r.stdout)
	}
	if r := must(t, "features", "info", lines, "--skip-bad"); !strings.Contains(r.stdout, "width first") || !strings.Contains(r.stdout, "46 an image") {
		t.Error(r.stdout)
	}
	if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "exists; choose a new name") {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
}

func TestFeaturesUsage(t *testing.T) {
	dir := blankPictures(t, 1)
	for want, args := range map[string][]string{
		"unknown extractor":     {"extract", dir, "x", "--extractor", "resnet"},
		"must divide":           {"extract", dir, "x", "--patch-size", "17"},
		"store, reference":      {"extract", dir, "x", "--format", "csv"},
		"--max-pixels is 0":     {"extract", dir, "x", "--max-pixels", "0"},
		"choose one of width":   {"info", dir, "--order", "depth"},
		"--max-regions is -1":   {"info", dir, "--max-regions", "-1"},
		"needs DIR and OUT":     {"extract", dir},
		`unknown flag "--size"`: {"info", dir, "--size", "3"},
	} {
		if r := call(t, "", append([]string{"features"}, args...)...); r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s, want %q", args, r.code, r.stderr, want)
		}
	}
	for want, args := range map[string][]string{
		"holds no pictures": {"extract", t.TempDir(), "x"},
		"holds pictures":    {"info", dir},
		"200 pixels":        {"extract", dir, filepath.Join(t.TempDir(), "x"), "--max-pixels", "50"},
	} {
		if r := call(t, "", append([]string{"features"}, args...)...); r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s, want %q", args, r.code, r.stderr, want)
		}
	}
}

// The regions of an image are shown with what a detector takes them for.
func TestFeaturesInfoShowsRegions(t *testing.T) {
	out := filepath.Join(t.TempDir(), "features")
	must(t, "features", "extract", shapesFolder, out, "--extractor", "../vision/detector/testdata/centernet.json")
	r := must(t, "features", "info", out, "red-bar.png")
	if lines := strings.Split(strings.TrimSpace(r.stdout), "\n"); len(lines) < 12 || !strings.HasPrefix(lines[0], "red-bar.png: ") ||
		strings.Join(strings.Fields(lines[1]), " ") != "region x1 y1 x2 y2 class probability" || !strings.Contains(lines[2], "0.") {
		t.Error(r.stdout)
	}
	var shown shownImage
	if err := json.Unmarshal([]byte(must(t, "features", "info", out, "red-bar.png", "--json").stdout), &shown); err != nil {
		t.Fatal(err)
	}
	if first := shown.Regions[0]; len(shown.Regions) < 10 || len(first.Box) != 4 || first.Probability <= 0 || strings.Trim(first.Class, "abcdefghijklmnopqrstuvwxyz ") != "" {
		t.Errorf("%+v", shown)
	}
	if r := call(t, "", "features", "info", out, "none.png"); r.code != exitFailed || !strings.Contains(r.stderr, "none.png") {
		t.Errorf("%+v", r)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	must(t, "features", "extract", shapesFolder, plain, "--extractor", "statistics")
	if r := must(t, "features", "info", plain, "red-bar.png"); !strings.Contains(r.stdout, "46 regions\nregion  x1 y1 x2 y2\n1       0.0 0.0 ") {
		t.Error(r.stdout)
	}
	// What is no store of features, and a store where a model is wanted, is told apart.
	refused(t, exitUsage, []string{"inspect", plain}, "is a store of features; 'unimo features info")
	model := t.TempDir()
	writeFile(t, filepath.Join(model, "config.json"), "{}")
	refused(t, exitFailed, []string{"features", "info", model}, "is a model, and holds no features")
}
