package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copyModel copies a model's folder to a new one.
func copyModel(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func fields(t *testing.T, r result) (all map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(strings.Split(r.stdout, "\n")[0]), &all); err != nil {
		t.Fatalf("%v in %+v", err, r)
	}
	return all
}

func TestCalibratePairs(t *testing.T) {
	model, data := copyModel(t, shapesModel), "../../testdata/shapes"
	bar := filepath.Join(shapesFolder, "red-bar.png")
	plain := must(t, "match", "-m", model, bar, "a red bar", "a blue square").stdout
	if strings.Count(plain, "\t") != 2 {
		t.Fatalf("without a calibration: %q", plain)
	}
	got := fields(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "train", "--model", model, "--calibrate", "--json"))
	file := filepath.Join(model, "calibration.json")
	if _, err := os.Stat(file); err != nil || got["calibration"] != file {
		t.Fatalf("%v, %v", got, err)
	}
	for _, key := range []string{"match_ece", "match_ece_before", "match_threshold", "match_equal_error", "similarity_ece", "similarity_ece_before"} {
		if x, ok := got[key].(float64); !ok || !(x >= 0 && x <= 1) {
			t.Errorf("%s is %v", key, got[key])
		}
	}
	again := fields(t, must(t, "evaluate", "flickr8k", "--data", data, "--split", "train", "--model", model, "--json")) // on halves, too
	if again["match_ece"] != got["match_ece"] || again["calibration"] != nil {
		t.Errorf("%v, then %v", got, again)
	}
	said := must(t, "match", "-m", model, bar, "a red bar", "a blue square")
	lines := strings.Split(said.stdout, "\n")
	for i, line := range strings.Split(strings.TrimSpace(plain), "\n") {
		score, text, _ := strings.Cut(line, "\t")
		parts := strings.Split(lines[i], "\t")
		if len(parts) != 3 || parts[0] != score || parts[2] != text {
			t.Errorf("%q, was %q", lines[i], line)
		}
	}
	fit := fields(t, must(t, "match", "-m", model, bar, "a red bar", "--json"))
	if p, ok := fit["probability"].(float64); !ok || !(p > 0.5) || fit["fits"] != true {
		t.Errorf("%v", fit)
	}
	none := must(t, "match", "-m", model, bar, "a blue square", "--json")
	if x := fields(t, none); x["fits"] != false || !strings.Contains(none.stderr, "nothing fits") {
		t.Errorf("%+v", none)
	}
	index := filepath.Join(t.TempDir(), "index")
	must(t, "index", shapesFolder, "-m", model, "-o", index)
	found := must(t, "search", "--index", index, "a red bar", "--json")
	if x := fields(t, found); x["fits"] != true || !strings.HasSuffix(x["path"].(string), "red-bar.png") || strings.Contains(found.stderr, "nothing fits") {
		t.Errorf("%+v", found)
	}
	if r := must(t, "search", "--index", index, "--image", bar, "--json"); strings.Contains(r.stdout, "probability") {
		t.Errorf("of pictures like one: %s", r.stdout)
	}

	// With the same weights it goes along, with others it does not, and is refused.
	half := filepath.Join(t.TempDir(), "half")
	if r := must(t, "convert", "--dtype", "float16", model, half); !strings.Contains(r.stderr, "calibration.json is left out") {
		t.Errorf("%+v", r)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(half, "calibration.json"), string(raw))
	if r := call(t, "", "match", "-m", half, bar, "a red bar"); r.code != exitFailed || !strings.Contains(r.stderr, "was fitted for other weights than these; remove it, or fit it again") {
		t.Errorf("%+v", r)
	}
	if r := must(t, "evaluate", "flickr8k", "--data", data, "--split", "train", "--model", half, "--calibrate"); !strings.Contains(r.stdout, "calibrated with "+filepath.Join(half, "calibration.json")) {
		t.Errorf("%+v", r)
	}
}

// Choices stay as they are.
func TestCalibrateLabels(t *testing.T) {
	texts := []string{"a gripping and funny film", "two hours i will never get back", "slow", "a funny film", "boring"}
	model := copyModel(t, filmsModel)
	ask := func() (labels []string, probabilities []float64) {
		for _, text := range texts {
			x := fields(t, must(t, "predict", "-m", model, text, "--json"))
			labels, probabilities = append(labels, x["label"].(string)), append(probabilities, x["probability"].(float64))
		}
		return labels, probabilities
	}
	labels, before := ask()
	// One label in four is wrong, so that the model is far too sure.
	data := filepath.Join(t.TempDir(), "dev.tsv")
	var b strings.Builder
	b.WriteString("text_a\tlabel\n")
	for i := range 120 {
		label := map[string]string{"positive": "1", "negative": "0"}[labels[i%2]]
		if i/2%4 == 3 {
			label = map[string]string{"1": "0", "0": "1"}[label]
		}
		b.WriteString(texts[i%2] + "\t" + label + "\n")
	}
	writeFile(t, data, b.String())
	got := fields(t, must(t, "evaluate", "sst-2", "--data", data, "--model", model, "--calibrate", "--json"))
	if !(got["ece"].(float64) < got["ece_before"].(float64)/2) {
		t.Errorf("%v", got)
	}
	now, after := ask()
	for i, label := range labels {
		if now[i] != label || !(after[i] < before[i]) || !(after[i] >= 0.5) {
			t.Errorf("%q: %s %v, then %s %v", texts[i], label, before[i], now[i], after[i])
		}
	}
}

func TestCalibrateIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{"coco-caption", "--model", captionsModel, "--data", "../../testdata/shapes"},
		{"gigaword", "--model", "../../testdata/headlines.model", "--data", "../../testdata/headlines/dev.jsonl"},
	} {
		if r := call(t, "", append([]string{"evaluate", "--calibrate"}, args...)...); r.code != exitUsage || !strings.Contains(r.stderr, "nothing to calibrate") {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
