package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// imagesRun trains a tiny model on synthetic pictures and returns the data and the run.
func imagesRun(t *testing.T) (data, run string) {
	t.Helper()
	data, run = scenesFolder(t), filepath.Join(t.TempDir(), "run")
	must(t, flickrArgs(data, run, "epochs=1", "contrast_epochs=1")...)
	return data, run
}

// copyPictures copies some pictures of the data into a folder, under other names: to, from, ...
func copyPictures(t *testing.T, data, dir string, names ...string) {
	t.Helper()
	for i := 0; i < len(names); i += 2 {
		file := filepath.Join(dir, names[i])
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, read(t, filepath.Join(data, "images", names[i+1])))
	}
}

// searched returns the similarity of the best hit for a picture, and its path.
func searched(t *testing.T, index, picture string) (float32, string) {
	t.Helper()
	var first answer.Found
	r := must(t, "search", "--index", index, "-k", "1", "--image", picture, "--json")
	if err := json.Unmarshal([]byte(r.stdout), &first); err != nil {
		t.Fatal(err)
	}
	return first.Similarity, first.Path
}

func TestIndexIsOfTheFilesThatAreThere(t *testing.T) {
	data, run := imagesRun(t)
	a, b, index := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "index")
	copyPictures(t, data, a, "1.png", "test-00001.png", "2.png", "test-00002.png")
	copyPictures(t, data, b, "1.png", "test-00003.png", "2.png", "test-00004.png", "deep/3.png", "test-00005.png")
	must(t, "index", a, "--model", run, "--out", index)
	r := call(t, "", "index", b, "--model", run, "--out", index)
	if r.code != exitFailed || !strings.Contains(r.stderr, regions.Place(a)) || !strings.Contains(r.stderr, "--replace") {
		t.Errorf("exit code %d, %q; want an error that says what the index is of", r.code, r.stderr)
	}
	if out := must(t, "index", b, "--model", run, "--out", index, "--replace").stdout; !strings.Contains(out, "3 images") || !strings.Contains(out, "3 of them new") {
		t.Errorf("index prints %q", out)
	}
	for _, name := range []string{"1.png", "deep/3.png"} {
		if score, path := searched(t, index, filepath.Join(b, name)); score < 0.9999 || path != filepath.Join(b, name) {
			t.Errorf("the nearest of %s is %s with %v, want itself", name, path, score)
		}
	}
	// Edited in place; and in a folder where the paths are short.
	copyPictures(t, data, b, "1.png", "test-00006.png")
	must(t, "index", b, "--model", run, "--out", index)
	if score, _ := searched(t, index, filepath.Join(b, "1.png")); score < 0.9999 {
		t.Errorf("a picture that was edited finds itself with %v", score)
	}
	t.Chdir(b)
	if out := must(t, "search", "--index", index, "-k", "1", "--image", "deep/3.png").stdout; !strings.HasSuffix(out, "\t"+filepath.Join("deep", "3.png")+"\n") {
		t.Errorf("search prints %q, want a path relative to the folder", out)
	}
	t.Chdir(a)
	if err := os.Rename(b, b+"2"); err != nil {
		t.Fatal(err)
	}
	if r := must(t, "search", "--index", index, "text"); !strings.Contains(r.stdout, filepath.Join(b, "1.png")) || !strings.Contains(r.stderr, "not where they were") {
		t.Errorf("search prints %q and %q", r.stdout, r.stderr)
	}
	// The model is where it was, or named.
	if err := os.Rename(run, run+"2"); err != nil {
		t.Fatal(err)
	}
	if r := call(t, "", "search", "--index", index, "text"); r.code != exitFailed || !strings.Contains(r.stderr, "--model") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	must(t, "search", "--index", index, "--model", run+"2", "text")
}

func TestFeaturesAreOfTheFilesThatAreThere(t *testing.T) {
	data := scenesFolder(t)
	a, b, out := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "store")
	copyPictures(t, data, a, "1.png", "test-00001.png", "2.png", "test-00002.png")
	copyPictures(t, data, b, "1.png", "test-00003.png", "2.png", "test-00002.png")
	extract := func(dir string, flags ...string) extraction {
		t.Helper()
		var e extraction
		args := append([]string{"features", "extract", dir, out, "--extractor", "statistics", "--json"}, flags...)
		if err := json.Unmarshal([]byte(must(t, args...).stdout), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	extract(a)
	if r := call(t, "", "features", "extract", b, out, "--extractor", "statistics"); r.code != exitFailed || !strings.Contains(r.stderr, "--replace") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	if e := extract(b, "--replace"); e.Images != 2 || e.New != 1 {
		t.Errorf("%+v, want 1 of 2 computed: the other has the same content", e)
	}
	copyPictures(t, data, b, "2.png", "test-00004.png", "3.png", "test-00005.png")
	if err := os.Remove(filepath.Join(b, "1.png")); err != nil {
		t.Fatal(err)
	}
	if e := extract(b); e.Images != 2 || e.New != 2 {
		t.Errorf("%+v, want both computed", e)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	must(t, "features", "extract", b, fresh, "--extractor", "statistics")
	got, want := features(t, out), features(t, fresh)
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("the features of %s are not those of the picture", id)
		}
	}
}

// features returns the digests of a store's images.
func features(t *testing.T, path string) map[string]string {
	t.Helper()
	s, _, err := regions.Open(path, regions.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	digests := map[string]string{}
	for im, err := range regions.Read(s, s.IDs()) {
		if err != nil {
			t.Fatal(err)
		}
		digests[im.ID] = im.Digest()
	}
	return digests
}

// Scores that were kept are used for the same model, captions and images only.
func TestScoresAreOfTheFilesThatAreThere(t *testing.T) {
	data, run := imagesRun(t)
	images := filepath.Join(data, "images")
	evaluate := func(flags ...string) []string {
		return append([]string{"evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run, "--json"}, flags...)
	}
	swap := func(a, b string) {
		one, two := read(t, a), read(t, b)
		writeFile(t, a, two)
		writeFile(t, b, one)
	}
	edit := func(file, old, now string) func() {
		return func() {
			content := read(t, file)
			if !strings.Contains(content, old) {
				t.Fatalf("%s has no %q", file, old)
			}
			writeFile(t, file, strings.Replace(content, old, now, 1))
		}
	}
	for _, c := range []struct {
		name, want string
		flags      []string
		change     func()
	}{
		{"pictures exchanged", "other images", nil, func() { swap(filepath.Join(images, "test-00001.png"), filepath.Join(images, "test-00002.png")) }},
		{"captions", "other captions", nil, edit(filepath.Join(data, "captions.csv"), "test-00001.png,", "test-00001.png,a ")},
		{"fewer images", "other captions", []string{"--first", "3"}, func() {}},
		{"configuration", "another model", nil, edit(filepath.Join(run, "best", "config.json"), `"hidden_size"`, "\"layer_norm_eps\": 0.1,\n\"hidden_size\"")},
		{"extractor", "another model", nil, func() {
			for _, name := range []string{"config.json", "image_processor.json"} {
				edit(filepath.Join(run, "best", name), `"image_size": 32`, `"image_size": 48`)()
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scores := filepath.Join(t.TempDir(), "scores")
			must(t, evaluate("--scores", scores)...)
			c.change()
			r := call(t, "", evaluate(append([]string{"--scores", scores}, c.flags...)...)...)
			if r.code != exitFailed || !strings.Contains(r.stderr, c.want) {
				t.Errorf("exit code %d, %q, want an error about %s", r.code, r.stderr, c.want)
			}
			must(t, evaluate(c.flags...)...)
		})
	}
}

func TestFilesOfOtherKindsAreCounted(t *testing.T) {
	dir, out := blankPictures(t, 2), filepath.Join(t.TempDir(), "store")
	for _, name := range []string{"a.HEIC", "b.heic", "c.tiff", "notes", ".hidden.bmp", "Thumbs.db"} {
		writeFile(t, filepath.Join(dir, name), "x")
	}
	r := must(t, "features", "extract", dir, out, "--skip-bad", "--image-size", "16", "--patch-size", "4")
	if want := "4 of other kinds: 2 .heic (convert to JPEG), 1 .tiff (convert to JPEG), 1 without an ending"; !strings.Contains(r.stderr, want) {
		t.Errorf("%q, want %q", r.stderr, want)
	}
}

// Names that are not UTF-8 go through an index, and search finds the file.
func TestNamesThatAreNotUTF8(t *testing.T) {
	data, run := imagesRun(t)
	dir, index := t.TempDir(), filepath.Join(t.TempDir(), "index")
	name := filepath.Join(dir, "caf\xe9.png")
	if err := os.WriteFile(name, []byte(read(t, filepath.Join(data, "images", "test-00001.png"))), 0o644); err != nil {
		t.Skipf("not run: the system refuses such names: %v", err)
	}
	copyPictures(t, data, dir, "plain.png", "test-00002.png")
	for range 2 {
		must(t, "index", dir, "--model", run, "--out", index)
	}
	t.Chdir(dir)
	if out := must(t, "search", "--index", index, "-k", "1", "--image", name).stdout; !strings.HasPrefix(out, "1\t1.0000\t") || !strings.Contains(out, "caf") {
		t.Errorf("search prints %q", out)
	}
	if r := must(t, "search", "--index", index, "-k", "1", "--image", name, "--json"); !strings.Contains(r.stdout, "caf%E9.png") || strings.Contains(r.stderr, "not where") {
		t.Errorf("search prints %q and %q", r.stdout, r.stderr)
	}
	store := filepath.Join(t.TempDir(), "store")
	must(t, "features", "extract", dir, store)
	s, _, err := regions.Open(store, regions.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var im regions.Image
	if err := s.Image("caf%E9.png", &im); err != nil {
		t.Error(err)
	}
	if file, err := picture.Find(dir, "caf%E9.png"); err != nil || file != name {
		t.Errorf("the id leads to %q (%v), want %q", file, err, name)
	}
}

// The page of a search shows the pictures, whatever they are called.
func TestSearchPage(t *testing.T) {
	data, run := imagesRun(t)
	dir, index, page := t.TempDir(), filepath.Join(t.TempDir(), "index"), filepath.Join(t.TempDir(), "found.html")
	copyPictures(t, data, dir, "a & b.png", "test-00001.png", "sub/50%.png", "test-00002.png", "c.png", "test-00003.png")
	must(t, "index", dir, "--model", run, "--out", index)
	if err := os.Remove(filepath.Join(dir, "c.png")); err != nil {
		t.Fatal(err)
	}
	must(t, "search", "--index", index, "a <big> circle", "--candidates", "3", "--html", page) // which a model of vectors alone has to be told
	html := read(t, page)
	for _, want := range []string{"a &lt;big&gt; circle", "a &amp; b.png", "/a%20&amp;%20b.png", "/sub/50%25.png", "of 3 pictures", "no picture to show", "match "} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(html, "data:image/jpeg;base64,"); n != 2 {
		t.Errorf("the page has %d pictures, want 2", n)
	}
	must(t, "search", "--index", index, "--image", filepath.Join(dir, "a & b.png"), "--html", page)
	if html := read(t, page); !strings.Contains(html, "Like a &amp; b.png") || !strings.Contains(html, `class="sought"`) {
		t.Error("the page does not show the picture that was searched with")
	}
}
