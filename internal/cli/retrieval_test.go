package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/demo/synth"
)

// scenesFolder writes a data folder of synthetic pictures.
func scenesFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, heldOut := synth.Scenes(7, 30, 6)
	if err := synth.WriteScenes(dir, trainSet[6:], trainSet[:6], heldOut); err != nil {
		t.Fatal(err)
	}
	return dir
}

func flickrArgs(data, out string, settings ...string) []string {
	return seenArgs(data, out, append([]string{"image_size=32", "patch_size=16"}, settings...)...)
}

// seenArgs are the same for pictures that a network sees, which has its own sizes.
func seenArgs(data, out string, settings ...string) []string {
	args := []string{"finetune", "flickr8k", "--data", data, "--preset", "mini", "--out", out}
	own := []string{
		"contrast_epochs=1", "batch_size=12", "contrast_batch_size=12", "eval_images=4", "eval_candidates=3", "min_crop_area=0.5", "flip=true",
	}
	return withSettings(args, slices.Concat(tiny, own, settings)...)
}

// checkRanking compares files of what was found with the metrics.
func checkRanking(t *testing.T, dir string, metrics map[string]float64) {
	t.Helper()
	type line struct {
		Text, Image string
		Found       []struct {
			Text, Image string
			Score       float64
		}
	}
	for _, direction := range []string{"image", "text"} {
		lines := strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, "test."+direction+"s.jsonl"))), "\n")
		for k, key := range map[int]string{1: "@1", 5: "@5"} {
			right := 0
			for _, raw := range lines {
				var l line
				if err := json.Unmarshal([]byte(raw), &l); err != nil || len(l.Found) < 5 || l.Found[0].Score < l.Found[1].Score {
					t.Fatalf("%v: %s", err, raw)
				}
				for _, f := range l.Found[:k] {
					if f.Image == l.Image {
						right++
						break
					}
				}
			}
			if got, want := float64(right)/float64(len(lines)), metrics[direction+"_recall"+key]; got != want {
				t.Errorf("%s_recall%s is %v by the file, %v by the metrics", direction, key, got, want)
			}
		}
	}
}

// The whole chain of retrieval from pictures: train, evaluate both ways, match, index, search.
func TestRetrievalChain(t *testing.T) {
	data, run := scenesFolder(t), filepath.Join(t.TempDir(), "run")
	r := must(t, append(flickrArgs(data, run, "epochs=2"), "--json")...)
	keys := []string{"image_recall@1", "image_recall@5", "image_recall@10", "text_recall@1", "text_recall@5", "text_recall@10", "mean_rank", "recall@1"}
	for _, key := range keys {
		if _, ok := numbers(t, r.stdout)[key]; !ok {
			t.Errorf("finetune --json has no %s: %s", key, r.stdout)
		}
	}
	for _, name := range []string{"best/image_processor.json", "best/model.safetensors", "report.html"} {
		if _, err := os.Stat(filepath.Join(run, name)); err != nil {
			t.Error(err)
		}
	}
	if page := read(t, filepath.Join(run, "report.html")); !strings.Contains(page, "data:image/jpeg;base64,") {
		t.Error("the report shows no picture")
	}

	to := filepath.Join(t.TempDir(), "predictions")
	exhaustive := numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run, "--predictions", to, "--json").stdout)
	checkRanking(t, to, exhaustive)
	if exhaustive["images"] != 6 || exhaustive["examples"] != 18 {
		t.Errorf("evaluate: %v, want 6 images and 18 captions", exhaustive)
	}
	// With all as candidates two stages say the same.
	page := filepath.Join(t.TempDir(), "found.html")
	two := numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run, "--two-stage", "18", "--compare", "100", "--report", page, "--json").stdout)
	for _, key := range keys {
		if two[key] != exhaustive[key] {
			t.Errorf("%s is %v in two stages, %v of all pairs", key, two[key], exhaustive[key])
		}
		if strings.Contains(key, "_recall") && (two["compared_lost_"+key] != 0 || two["compared_exhaustive_"+key] != exhaustive[key]) {
			t.Errorf("compared %s: %v", key, two)
		}
	}
	if !strings.Contains(read(t, page), "data:image/") {
		t.Error("the page of evaluate shows no picture")
	}
	for _, want := range []string{"18 captions found their picture first", "6 pictures found one of their captions first", "by chance 0.1667", "6 pictures searched; recall says nothing"} {
		if !strings.Contains(read(t, page), want) {
			t.Errorf("the page of evaluate lacks %q", want)
		}
	}
	if !regexp.MustCompile(`<img [^>]*alt="[a-z]+ [a-z ,]+"`).MatchString(read(t, page)) {
		t.Error("no picture has its caption as a description")
	}
	scores := filepath.Join(t.TempDir(), "scores")
	for range 2 { // computed, then read
		kept := numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run, "--scores", scores, "--json").stdout)
		if kept["mean_rank"] != exhaustive["mean_rank"] {
			t.Errorf("mean rank %v with a folder of scores, %v without", kept["mean_rank"], exhaustive["mean_rank"])
		}
	}

	picture := filepath.Join(data, "images", "test-00001.png")
	lines := strings.Split(strings.TrimSpace(must(t, "match", "--model", run, picture, "a big red circle", "a small\tblue star").stdout), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[1], "\ta small blue star") {
		t.Errorf("match prints %q", lines)
	}
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", filepath.Join(data, "images"), "--model", run, "--out", index)
	out := must(t, "search", "--model", run, "--index", index, "-k", "3", "--json", "a big red circle").stdout
	var first answer.Found
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &first); err != nil || first.Rank != 1 || first.Match == nil {
		t.Errorf("search prints %q (%v)", out, err)
	}
	like := must(t, "search", "--model", run, "--index", index, "-k", "1", "--image", picture).stdout
	if !strings.Contains(like, "test-00001.png") {
		t.Errorf("most like a picture is %q, want itself", like)
	}
}

// The chain from region features in the reference's own form.
func TestRetrievalFromFeatures(t *testing.T) {
	data, dir := scenesFolder(t), t.TempDir()
	features := filepath.Join(dir, "features.tsv")
	must(t, "features", "extract", filepath.Join(data, "images"), features, "--extractor", "statistics", "--format", "reference")
	run := filepath.Join(dir, "run")
	must(t, append(flickrArgs(data, run, "epochs=2"), "--features", features)...)
	m := numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--features", features, "--model", run, "--json").stdout)
	if m["images"] != 6 {
		t.Errorf("evaluate: %v", m)
	}
	must(t, "match", "--model", run, "--features", features, "test-00001.png", "a big red circle")
	index := filepath.Join(dir, "index")
	must(t, "index", features, "--features", "--model", run, "--out", index)
	must(t, "search", "--model", run, "--index", index, "a big red circle")

	// An image without features is an error that names it, or left out.
	raw := strings.SplitAfter(read(t, features), "\n")
	writeFile(t, features, strings.Join(slices.DeleteFunc(raw, func(l string) bool { return strings.HasPrefix(l, "dev-00002.png\t") }), ""))
	r := call(t, "", "evaluate", "flickr8k", "--data", data, "--features", features, "--model", run)
	if r.code != exitFailed || !strings.Contains(r.stderr, "dev-00002.png") || !strings.Contains(r.stderr, "dev.txt: line 2") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	m = numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--features", features, "--model", run, "--skip-bad", "--json").stdout)
	if m["images"] != 5 {
		t.Errorf("with --skip-bad: %v, want 5 images", m)
	}
	// A model of features from elsewhere has no way to read pictures.
	r = call(t, "", "evaluate", "flickr8k", "--data", data, "--model", run)
	if r.code != exitFailed || !strings.Contains(r.stderr, "--features") {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
}

func TestRetrievalErrors(t *testing.T) {
	data, run := scenesFolder(t), filepath.Join(t.TempDir(), "run")
	must(t, flickrArgs(data, run, "epochs=1", "contrast_epochs=0", "hard_negatives=false", "negatives=5")...)
	bad := filepath.Join(data, "images", "test-00002.png")
	writeFile(t, bad, "no picture")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"bad picture", []string{"evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run}, exitFailed, "test-00002.png"},
		{"bad picture of match", []string{"match", "--model", run, bad, "text"}, exitFailed, "test-00002.png"},
		{"no text", []string{"match", "--model", run, bad}, exitUsage, "one text"},
		{"bad picture of an index", []string{"index", filepath.Join(data, "images"), "--model", run, "--out", filepath.Join(t.TempDir(), "i")}, exitFailed, "--skip-bad"},
		{"no index", []string{"search", "--model", run, "--index", data, "text"}, exitFailed, "unimo index"},
		{"two queries", []string{"search", "--model", run, "--index", data, "--image", bad, "text"}, exitUsage, "--image"},
		{"no such split", []string{"evaluate", "flickr8k", "--data", data, "--split", "tset", "--model", run}, exitUsage, "train, dev, test"},
		{"flag of another task", []string{"evaluate", "sst-2", "--data", data, "--model", run, "--two-stage", "3"}, exitUsage, "--two-stage"},
		{"crops need pictures", flickrArgs(data, filepath.Join(t.TempDir(), "r"), "min_crop_area=0"), exitUsage, "min_crop_area"},
		{"vectors are needed", flickrArgs(data, filepath.Join(t.TempDir(), "r"), "contrast_size=0"), exitUsage, "contrast_size"},
		{"patches do not fit", flickrArgs(data, filepath.Join(t.TempDir(), "r"), "patch_size=15"), exitUsage, "patch_size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := call(t, "", c.args...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
				t.Errorf("exit code %d, %q; want %d and %q", r.code, r.stderr, c.code, c.want)
			}
		})
	}
	m := numbers(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "test", "--model", run, "--skip-bad", "--json").stdout)
	if m["images"] != 5 {
		t.Errorf("with --skip-bad: %v, want 5 images", m)
	}
	must(t, "index", filepath.Join(data, "images"), "--model", run, "--out", filepath.Join(t.TempDir(), "index"), "--skip-bad")
}

// A model of a detector's features goes on from pixels: all but the embedding of regions is kept.
func TestRetrievalFromAnotherKindOfImages(t *testing.T) {
	data, dir := scenesFolder(t), t.TempDir()
	features, first := filepath.Join(dir, "features"), filepath.Join(dir, "first")
	must(t, "features", "extract", filepath.Join(data, "images"), features, "--extractor", "statistics")
	must(t, append(flickrArgs(data, first), "--features", features)...)
	r := must(t, append(flickrArgs(data, filepath.Join(dir, "second"), "learning_rate=0", "extractor=patches"), "--init", first)...)
	if !strings.Contains(r.stderr, "regions of another size") {
		t.Errorf("finetune says %q, want that the embedding of regions starts anew", r.stderr)
	}
}
