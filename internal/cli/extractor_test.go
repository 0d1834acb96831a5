package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Small networks of random weights, as their libraries save them.
var (
	eyes      = filepath.Join("..", "vision", "convnet", "testdata", "lukemelas_lite0.safetensors")
	otherEyes = filepath.Join("..", "vision", "convnet", "testdata", "torchvision_mobilenet_v2.safetensors")
)

// refused says that a call ends with an exit code and an error that holds all of some words.
func refused(t *testing.T, code int, args []string, words ...string) {
	t.Helper()
	r := call(t, "", args...)
	if r.code != code {
		t.Errorf("unimo %s: exit code %d, want %d: %s", strings.Join(args, " "), r.code, code, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("unimo %s: %q is not in %q", strings.Join(args, " "), word, r.stderr)
		}
	}
}

func specOf(t *testing.T, dir string) regions.Spec {
	t.Helper()
	s, err := regions.ReadSpec(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Weights); err != nil {
		t.Error(err)
	}
	return s
}

// A network that is named once, for training, sees the pictures of every command from then on.
func TestTrainedExtractor(t *testing.T) {
	data, dir := scenesFolder(t), t.TempDir()
	run, index, store := filepath.Join(dir, "run"), filepath.Join(dir, "index"), filepath.Join(dir, "store")
	own := filepath.Join(dir, "eyes.safetensors")
	writeFile(t, own, read(t, eyes))
	r := must(t, seenArgs(data, run, "extractor="+own)...)
	for _, want := range []string{"no preprocessor_config.json", "are computed once, into " + filepath.Join(run, "features"), "neither cropped nor mirrored", "160 features"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not in %q", want, r.stderr)
		}
	}
	if err := os.Remove(own); err != nil { // it is not needed any more
		t.Fatal(err)
	}
	spec := specOf(t, filepath.Join(run, "best"))
	for _, folder := range []string{"last", "features"} {
		if s := specOf(t, filepath.Join(run, folder)); !s.Equal(spec) {
			t.Errorf("%s has %s, best %s", folder, s, spec)
		}
	}

	picture := filepath.Join(data, "images", "test-00001.png")
	must(t, "index", filepath.Join(data, "images"), "--model", run, "--out", index)
	if score, path := searched(t, index, picture); score < 0.9999 || path != picture {
		t.Errorf("the nearest of %s is %s with %v", picture, path, score)
	}
	alone := must(t, "match", "--model", run, picture, "a dog", "two men").stdout
	if named := must(t, "match", "--model", run, "--extractor", eyes, picture, "a dog", "two men").stdout; named != alone {
		t.Errorf("with the network named match prints %q, else %q", named, alone)
	}
	must(t, "features", "extract", filepath.Join(data, "images"), store, "--extractor", run)
	if s := specOf(t, store); !s.Equal(spec) {
		t.Errorf("the store has %s, want %s", s, spec)
	}
	if r := must(t, "features", "info", store); !strings.Contains(r.stdout, spec.String()) {
		t.Errorf("info prints %q", r.stdout)
	}
	evaluate := func(args ...string) string {
		return must(t, append([]string{"evaluate", "flickr8k", "--model", run, "--data", data, "--json"}, args...)...).stdout
	}
	if pictures, features := evaluate(), evaluate("--features", store); pictures != features {
		t.Errorf("from pictures %s, from features %s", pictures, features)
	}

	// From a store, and from the model that was trained, nothing needs to be named.
	second, third := filepath.Join(dir, "second"), filepath.Join(dir, "third")
	if r := must(t, seenArgs(data, second, "features="+store, "extractor="+otherEyes)...); !strings.Contains(r.stderr, "not used") {
		t.Errorf("a network that is named beside features is not said to be of no use: %s", r.stderr)
	}
	must(t, append(seenArgs(data, third), "--init", second)...)
	for _, run := range []string{second, third} {
		if s := specOf(t, filepath.Join(run, "best")); !s.Equal(spec) {
			t.Errorf("%s has %s, want %s", run, s, spec)
		}
	}
	small := filepath.Join(dir, "small")
	must(t, "convert", "--dtype", "float16", second, small)
	must(t, "match", "--model", small, picture, "a dog")

	// What is of another network is refused, with both named.
	others := filepath.Join(dir, "others")
	must(t, "features", "extract", filepath.Join(data, "images"), others, "--extractor", otherEyes)
	both := []string{specOf(t, others).String(), spec.String()}
	for _, args := range [][]string{
		{"match", "--model", run, "--extractor", otherEyes, picture, "a dog"},
		{"match", "--model", run, "--features", others, "test-00001.png", "a dog"},
		{"index", filepath.Join(data, "images"), "--model", run, "--extractor", otherEyes, "--out", filepath.Join(dir, "no")},
		{"index", others, "--features", "--model", run, "--out", filepath.Join(dir, "no")},
		{"evaluate", "flickr8k", "--model", run, "--data", data, "--features", others},
		{"evaluate", "flickr8k", "--model", run, "--data", data, "--extractor", otherEyes},
		{"features", "extract", filepath.Join(data, "images"), store, "--extractor", otherEyes},
	} {
		refused(t, exitFailed, args, both...)
	}

	// The model itself says what it was trained with: another network's two files in the place of its own are refused. Models
	// of before do not say it.
	best, match := filepath.Join(second, "best"), []string{"match", "--model", second, picture, "a dog"}
	for _, name := range []string{regions.SpecFile, regions.WeightsFile} {
		if err := os.Remove(filepath.Join(best, name)); err != nil { // a link: folders share the network
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(best, name), read(t, filepath.Join(others, name)))
	}
	refused(t, exitFailed, match, both...)
	refused(t, exitFailed, append(seenArgs(data, filepath.Join(dir, "no")), "--init", second), both...)
	for _, name := range []string{regions.SpecFile, regions.WeightsFile} {
		if err := os.Remove(filepath.Join(best, name)); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, exitFailed, match, spec.String(), "is not there", "--extractor")
	refused(t, exitFailed, append(match, "--extractor", otherEyes), both...)
	must(t, append(match, "--extractor", eyes)...)
	config := filepath.Join(run, "best", "config.json")
	older := regexp.MustCompile(`(?s)"image_extractor": \{.*?\},\s*`).ReplaceAllString(read(t, config), "")
	if strings.Contains(older, "image_extractor") || strings.Contains(older, spec.Fingerprint) {
		t.Fatal(older)
	}
	writeFile(t, config, older)
	if again := must(t, "match", "--model", run, picture, "a dog", "two men").stdout; again != alone {
		t.Errorf("a model without image_extractor prints %q, want %q", again, alone)
	}
}

// A model that knows features from elsewhere is given pictures by naming what made the features.
func TestExtractorOfAModelWithout(t *testing.T) {
	data, dir := scenesFolder(t), t.TempDir()
	run, store, lines := filepath.Join(dir, "run"), filepath.Join(dir, "store"), filepath.Join(dir, "lines.tsv")
	must(t, "features", "extract", filepath.Join(data, "images"), lines, "--extractor", eyes, "--format", "reference")
	must(t, flickrArgs(data, run, "features="+lines)...)
	picture := filepath.Join(data, "images", "test-00001.png")
	refused(t, exitFailed, []string{"match", "--model", run, picture, "a dog"}, "region features from elsewhere", "--extractor")
	if from, want := must(t, "match", "--model", run, "--extractor", eyes, picture, "a dog").stdout, must(t, "match", "--model", run, "--features", lines, "test-00001.png", "a dog").stdout; from != want {
		t.Errorf("from the picture %q, from its features %q", from, want)
	}
	refused(t, exitFailed, []string{"match", "--model", run, "--extractor", "statistics", picture, "a dog"}, "64 values", "160")

	// Interrupted, a command goes on; other weights are refused.
	must(t, "features", "extract", filepath.Join(data, "images"), store, "--extractor", eyes)
	if r := must(t, "features", "extract", filepath.Join(data, "images"), store, "--extractor", eyes); !strings.Contains(r.stdout, "there already") {
		t.Errorf("the second time it prints %q", r.stdout)
	}
	refused(t, exitUsage, []string{"features", "extract", data, filepath.Join(dir, "x"), "--extractor", "statisticks"}, "statistics")
	refused(t, exitUsage, []string{"match", "--model", run, picture, "a dog", "--extractor", "statisticks"}, "statistics")
	refused(t, exitUsage, []string{"features", "extract", data, filepath.Join(dir, "x"), "--extractor", "patches", "--patch-size", "7"}, "must divide")
	refused(t, exitFailed, []string{"features", "extract", data, filepath.Join(dir, "x"), "--extractor", filepath.Join(run, "best", "model.safetensors")}, "no picture encoder that is known", "supported are")
	refused(t, exitFailed, []string{"features", "extract", data, filepath.Join(dir, "x"), "--extractor", changedViT(t)}, "model.safetensors: config.json", "unknown hidden_act")
	refused(t, exitFailed, []string{"finetune", "flickr8k", "--data", data, "--out", filepath.Join(dir, "x"), "--extractor", filepath.Join(dir, "none.pth")}, "none.pth")
	refused(t, exitFailed, append(seenArgs(data, filepath.Join(dir, "x")), "--extractor", filepath.Join(run, "best", "model.safetensors")), "no picture encoder that is known")
	refused(t, exitUsage, []string{"features", "extract", data, filepath.Join(dir, "x"), "--extractor", eyes, "--image-size", "100"}, "has its own")
	refused(t, exitUsage, []string{"finetune", "flickr8k", "--data", data, "--out", filepath.Join(dir, "x"), "--extractor", eyes, "--patch-size", "16"}, "patch_size", "has its own")
}

// changedViT is a folder with a network of an activation that there is not.
func changedViT(t *testing.T) string {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "model.safetensors"), read(t, "../vision/vit/testdata/vit/model.safetensors"))
	config := read(t, "../vision/vit/testdata/vit/config.json")
	writeFile(t, filepath.Join(dir, "config.json"), strings.Replace(config, `"gelu"`, `"goblu"`, 1))
	return dir
}

// A picture that cannot be read ends a run with its name and what to do; what was computed stays.
func TestRunKeepsWhatWasComputed(t *testing.T) {
	data, run := scenesFolder(t), filepath.Join(t.TempDir(), "run")
	pictures, err := filepath.Glob(filepath.Join(data, "images", "train-*.png"))
	if err != nil || len(pictures) == 0 {
		t.Fatal(pictures, err)
	}
	bad := pictures[len(pictures)-1]
	writeFile(t, bad, "no picture")
	refused(t, exitFailed, seenArgs(data, run, "extractor="+eyes), filepath.Base(bad), "skip_bad")
	if _, err := os.Stat(filepath.Join(run, "features", "features-00001.safetensors")); err != nil {
		t.Errorf("what was computed is gone: %v", err)
	}
	must(t, seenArgs(data, run+"2", "extractor="+eyes, "skip_bad=true")...)
	// The picture is corrected: the run goes on, with what was computed of the others.
	writeFile(t, bad, read(t, pictures[0]))
	if r := must(t, append(seenArgs(data, run, "extractor="+eyes), "--resume")...); !strings.Contains(r.stderr, "the data have changed") {
		t.Errorf("stderr is %q", r.stderr)
	}
	must(t, "features", "info", filepath.Join(run, "features"), filepath.Base(bad))
	specOf(t, filepath.Join(run+"2", "best"))
}

// A detector's names of objects reach a captioning model in training and afterwards, from pictures and from features.
func TestDetectorNamesObjects(t *testing.T) {
	data, dir := scenesFolder(t), t.TempDir()
	run, store := filepath.Join(dir, "run"), filepath.Join(dir, "store")
	detector := filepath.Join("..", "vision", "detector", "testdata", "nanodet.json")
	args := []string{"finetune", "coco-caption", "--data", data, "--preset", "mini", "--out", run}
	must(t, withSettings(args, append(slices.Clone(tiny), "batch_size=12", "max_tgt_len=12", "max_out_len=8", "beam_size=1", "decode_examples=2", "extractor="+detector)...)...)
	if s := specOf(t, filepath.Join(run, "best")); len(s.Classes) < 2 || s.Extractor != "detector" {
		t.Errorf("spec is %+v", s)
	}
	must(t, "features", "extract", filepath.Join(data, "images"), store, "--extractor", run+"/best")
	picture := filepath.Join(data, "images", "test-00001.png")
	from, features := must(t, "caption", "--model", run, picture).stdout, must(t, "caption", "--model", run, "--features", store, "test-00001.png").stdout
	if _, a, _ := strings.Cut(from, "\t"); a != "" {
		if _, b, _ := strings.Cut(features, "\t"); a != b {
			t.Errorf("from the picture %q, from its features %q", a, b)
		}
	}
	evaluate := func(args ...string) string {
		return must(t, append([]string{"evaluate", "--model", run, "--data", data, "--json"}, args...)...).stdout
	}
	if pictures, features := evaluate(), evaluate("--features", store); pictures != features {
		t.Errorf("from pictures %s, from features %s", pictures, features)
	}
}
