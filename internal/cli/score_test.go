package cli

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// textFiles writes files of texts and returns their paths.
func textFiles(t *testing.T, contents ...string) []string {
	t.Helper()
	dir := t.TempDir()
	paths := make([]string, len(contents))
	for i, c := range contents {
		paths[i] = filepath.Join(dir, string(rune('a'+i))+".txt")
		writeFile(t, paths[i], c)
	}
	return paths
}

// scored calls "unimo score --json" and returns its numbers, NaN for null.
func scored(t *testing.T, args ...string) map[string]float64 {
	t.Helper()
	r := must(t, append([]string{"score", "--json"}, args...)...)
	var all map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		t.Fatalf("%v in %q", err, r.stdout)
	}
	numbers := map[string]float64{}
	for name, value := range all {
		switch v := value.(type) {
		case float64:
			numbers[name] = v
		case nil:
			numbers[name] = math.NaN()
		}
	}
	return numbers
}

func TestScore(t *testing.T) {
	f := textFiles(t, "the cat is here .\nThe dogs<q>bark.\n", "a cat was here .\nbark, dog\n", "the cat is here .\r\n\"The\" dogs barked!\r\n", "large big\n", "cat here\nx\n")
	hyp, one, two, synonyms := f[0], f[1], f[2], f[3]
	for _, c := range []struct {
		args []string
		want map[string]float64 // of some scores
	}{
		{[]string{"bleu", "--ref", one}, map[string]float64{"bleu-1": 3. / 7, "bleu-2": math.Sqrt(3. / 7 * 1 / 5)}},
		{[]string{"bleu", "--ref", one, "--ref", two}, map[string]float64{"bleu-1": 5. / 7}},
		{[]string{"bleu", "--ref", one, "--tokenize"}, map[string]float64{"bleu-1": 4. / 12}},
		{[]string{"caption-rouge-l", "--ref", two}, map[string]float64{"caption-rouge-l": .5}},
		{[]string{"rouge", "--ref", two, "--sep", "<q>"}, map[string]float64{"rouge-1-precision": 1, "rouge-l": 1}},
		{[]string{"rouge", "--ref", one, "--ref", two, "--best", "--sep", "<q>"}, map[string]float64{"rouge-1-recall": 1, "rouge-2-low": 1}},
		{[]string{"distinct"}, map[string]float64{"distinct-1": 1, "distinct-4": 1, "length": 3.5}},
		{[]string{"distinct", "--tokenize"}, map[string]float64{"distinct-1": 10. / 12}},
	} {
		t.Run(strings.Join(c.args[:1], " "), func(t *testing.T) {
			got := scored(t, append(c.args, "--hyp", hyp)...)
			for name, want := range c.want {
				if !(math.Abs(got[name]-want) < 1e-5) {
					t.Errorf("%v: %s is %v, want %v", c.args, name, got[name], want)
				}
			}
		})
	}
	questions := scored(t, "all-qg", "--hyp", hyp, "--ref", one, "--ref", two)
	for _, args := range [][]string{{"bleu"}, {"meteor"}, {"caption-rouge-l"}} {
		for name, want := range scored(t, append(args, "--hyp", hyp, "--ref", one, "--ref", two)...) {
			if questions[name] != want {
				t.Errorf("%s is %v alone and %v with the others", name, want, questions[name])
			}
		}
	}
	if got := must(t, "score", "distinct", "--hyp", f[4]).stdout; !strings.Contains(got, "distinct-3  undefined (0/0)") {
		t.Errorf("a score of 0/0 is printed as %q", got)
	}
	if got := scored(t, "distinct", "--hyp", f[4]); !math.IsNaN(got["distinct-3"]) {
		t.Errorf("a score of 0/0 is %v", got)
	}
	for _, c := range []struct{ args, want []string }{
		{nil, []string{`"meteor":0`, `"meteor-stages":["exact","stem"]`}},
		{[]string{"--wordnet", synonyms}, []string{`"meteor":0.`, `"meteor-stages":["exact","stem","synonym"]`}},
	} {
		words := textFiles(t, "large", "big")
		got := must(t, append([]string{"score", "meteor", "--json", "--hyp", words[0], "--ref", words[1]}, c.args...)...).stdout
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("METEOR with %v gives %s", c.args, got)
			}
		}
	}
}

// The scores of the conversations are those that CoQA's own script printed.
func TestScoreCoQA(t *testing.T) {
	const folder = "../../metrics/testdata/"
	args := []string{"coqa", "--hyp", folder + "coqa_predictions.json", "--ref", folder + "coqa.json"}
	got := scored(t, args...)
	for name, want := range map[string]float64{
		"f1": .603, "em": .296, "turns": 9, "missing": 1,
		"f1_mctest": .747, "em_mctest": .417, "turns_mctest": 4, "f1_cnn": .619, "em_cnn": .333, "f1_science": .292, "em_science": 0,
		"f1_in_domain": .692, "em_in_domain": .381, "f1_out_domain": .292, "turns_out_domain": 2,
	} {
		if !(math.Abs(got[name]-want) < 5.1e-4) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	r := must(t, append([]string{"score"}, args...)...)
	if !strings.Contains(r.stderr, "1 of 9 turns have no prediction") || !strings.HasPrefix(r.stdout, "f1 ") {
		t.Errorf("got %s%s", r.stdout, r.stderr)
	}
}

func TestScoreRefuses(t *testing.T) {
	f := textFiles(t, "one\ntwo\n", "one\n", "", "a\x00b\n", `[{"id": "story1", "turn_id": 1}]`, `{"id": 1}`,
		`[{"id": "s", "turn_id": 1, "answer": ""}, {"id": "s", "turn_id": 1, "answer": ""}]`, `[{"id": "s", "turn_id": "1"}]`, `[`,
		strings.Repeat("a", 1<<20+1), `[] []`, "car n 1")
	gold := "../../metrics/testdata/coqa.json"
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "score needs a metric: coqa,", nil},
		{exitUsage, `unknown metric "blue"`, []string{"blue", "--hyp", f[0]}},
		{exitUsage, `unknown metric "rouge-l"; did you mean caption-rouge-l?`, []string{"rouge-l", "--hyp", f[0], "--ref", f[0]}},
		{exitUsage, "score needs --hyp", []string{"bleu", "--ref", f[0]}},
		{exitUsage, "bleu compares with references", []string{"bleu", "--hyp", f[0]}},
		{exitUsage, "distinct compares with no references", []string{"distinct", "--hyp", f[0], "--ref", f[0]}},
		{exitUsage, "coqa takes one --ref", []string{"coqa", "--hyp", f[0], "--ref", gold, "--ref", gold}},
		{exitUsage, "--sep is not of bleu (but of rouge)", []string{"bleu", "--hyp", f[0], "--ref", f[0], "--sep", "x"}},
		{exitUsage, `unexpected argument "more"`, []string{"bleu", "more", "--hyp", f[0]}},
		{exitFailed, "a.txt has 2 lines and ", []string{"bleu", "--hyp", f[0], "--ref", f[1]}},
		{exitFailed, "c.txt: is empty", []string{"distinct", "--hyp", f[2]}},
		{exitFailed, "d.txt:1: contains a NUL byte", []string{"distinct", "--hyp", f[3]}},
		{exitFailed, "j.txt:1: the text is longer than", []string{"distinct", "--hyp", f[9]}},
		{exitFailed, "absent: does not exist", []string{"distinct", "--hyp", "absent"}},
		{exitFailed, "absent: does not exist", []string{"meteor", "--hyp", f[0], "--ref", f[0], "--wordnet", "absent"}},
		{exitFailed, `e.txt: item 1 lacks "id", "turn_id" or "answer"; give a JSON list`, []string{"coqa", "--hyp", f[4], "--ref", gold}},
		{exitFailed, "f.txt: is no JSON list", []string{"coqa", "--hyp", f[5], "--ref", gold}},
		{exitFailed, `g.txt: item 2 answers conversation "s", turn 1, again`, []string{"coqa", "--hyp", f[6], "--ref", gold}},
		{exitFailed, `h.txt: item 1 cannot be read: "turn_id" is a text, want a whole number`, []string{"coqa", "--hyp", f[7], "--ref", gold}},
		{exitFailed, "i.txt: ends within the list", []string{"coqa", "--hyp", f[8], "--ref", gold}},
		{exitFailed, "k.txt: has something behind the list", []string{"coqa", "--hyp", f[10], "--ref", gold}},
		{exitFailed, "a.txt", []string{"coqa", "--hyp", f[4], "--ref", f[0]}},
	} {
		r := call(t, "", append([]string{"score"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("score %v: code %d, %s%s; want %d, %s", c.args, r.code, r.stdout, r.stderr, c.code, c.want)
		}
	}
}

func TestScoreIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	go func() {
		<-started
		cancel()
	}()
	_, err := interruptibly(ctx, func() int {
		close(started)
		<-end
		return 1
	})
	if err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
