package classify

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
)

// Where the files of train and dev are, and what goes with what.
func TestFilesOfARun(t *testing.T) {
	both := write(t, map[string]string{"train.tsv": "", "validation.csv": ""})
	one := write(t, map[string]string{"train.tsv": ""})
	train, dev := filepath.Join(both, "train.tsv"), filepath.Join(both, "validation.csv")
	alone := filepath.Join(one, "train.tsv")
	for _, c := range []struct {
		name, data, dev, share string
		want                   []run.File
		err                    string
		setting                bool // the error is of a setting
	}{
		{name: "a folder", data: both, want: []run.File{{Split: "train", Path: train}, {Split: "dev", Path: dev}}},
		{name: "two files", data: alone, dev: dev, want: []run.File{{Split: "train", Path: alone}, {Split: "dev", Path: dev}}},
		{name: "no dev", data: one, err: "with --dev-share 0.1"},
		{name: "one file", data: train, err: "is one file; name the dev file with --dev"},
		{name: "no dev there", data: both, dev: one, err: "has no dev file"},
		{name: "nothing", data: filepath.Join(one, "none"), err: "does not exist"},
		{name: "drawn", data: one, share: "0.2", want: []run.File{{Split: "train", Path: alone}, {Split: "dev", Path: alone}}},
		{name: "drawn of a file", data: train, share: "0.2", want: []run.File{{Split: "train", Path: train}, {Split: "dev", Path: train}}},
		{name: "drawn and named", data: one, dev: dev, share: "0.2", err: "--dev-share draws one; leave one of them out", setting: true},
		{name: "drawn and there", data: both, share: "0.2", err: "though " + dev + " is there", setting: true},
	} {
		env, _ := logged()
		j := jobOf(t, "classify", env, "dev_share="+max(c.share, "0"))
		files, err := j.Files(c.data, c.dev)
		var setting *run.SettingError
		if !slices.Equal(files, c.want) && c.err == "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || errors.As(err, &setting) != c.setting {
			t.Errorf("%s: %v, %v", c.name, files, err)
		}
	}
}

// What a run says of its data before it begins.
func TestReadTellsWhatIsOdd(t *testing.T) {
	const two = "text\tlabel\na\tx\nb\ty\n"
	for _, c := range []struct {
		name, task, train, dev string
		set                    []string
		err, log               string
	}{
		{name: "fine", task: "classify", train: two, dev: two},
		{name: "a column is passed over", task: "classify", train: "text\tlabel\tstars\na\tx\t1\nb\ty\t2\n", dev: two, log: `passed over: \"stars\"`},
		{name: "examples without label", task: "sst-2", train: "sentence\tlabel\na\t0\nb\t\n", dev: "sentence\tlabel\na\t0\n", log: "1 example without label left out"},
		{name: "unlike texts", task: "classify", train: two, dev: "text_a\ttext_b\tlabel\na\tc\tx\n", log: "different numbers of texts"},
		{name: "an unknown label", task: "classify", train: two, dev: "text\tlabel\na\tz\n", err: `label "z" is not one of x, y`},
		{name: "one label", task: "classify", train: "text\tlabel\na\tx\nb\tx\n", dev: two, err: `has the label "x" in all of 2 examples`},
		{name: "one score", task: "regress", train: "text\tscore\na\t1\nb\t1\n", dev: two, err: "has the score 1 in all of 2 examples"},
		{name: "no label", task: "sst-2", train: "sentence\tlabel\na\tmixed\n", dev: two, err: `label "mixed" is not one of negative (or 0), positive (or 1)`},
		{name: "no score", task: "sts-b", train: "sentence1\tsentence2\tscore\na\tb\t5.1\n", dev: two, err: `score "5.1" is not a number from 0 to 5`},
		{name: "no examples", task: "sst-2", train: "sentence\tlabel\n", dev: two, err: "has a header and no examples"},
		{name: "no columns", task: "sst-2", train: "words\tlabel\na\t1\n", dev: two, err: "words"},
		{name: "named columns", task: "sst-2", train: "words\tkind\na\t1\n", dev: "words\tkind\na\t0\n", set: []string{"columns=text=words,label=kind"}},
		{name: "drawn", task: "classify", train: two + "c\ty\n", set: []string{"dev_share=0.3", "dev_seed=5"}, log: "dev: 1 of 3 examples"},
		{name: "drawn from one text", task: "classify", train: "text\tlabel\na\tx\na\ty\n", set: []string{"dev_share=0.5"}, err: "has a single text, so no dev set can be drawn from it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, log := logged()
			j := jobOf(t, c.task, env, c.set...)
			files := map[string]string{"train.tsv": c.train}
			if c.dev != "" {
				files["dev.tsv"] = c.dev
			}
			found, err := j.Files(write(t, files), "")
			if err != nil {
				t.Fatal(err)
			}
			err = j.Read(found)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0 {
				t.Errorf("log is %q, want %q", log, c.log)
			}
		})
	}
}

// The texts of a vocabulary are those of training, in their order, and no others.
func TestTextsOfAVocabulary(t *testing.T) {
	env, _ := logged()
	j := jobOf(t, "classify", env)
	files, err := j.Files(write(t, map[string]string{"train.tsv": "text_a\ttext_b\tlabel\na\tb\tx\nc\td\ty\n", "dev.tsv": "text_a\ttext_b\tlabel\ne\tf\tx\n"}), "")
	if err == nil {
		err = j.Read(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(j.Texts()); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("texts are %q", got)
	}
	for text := range j.Texts() {
		if text == "b" {
			break // an iterator that goes on panics
		}
	}
	if d, err := j.Digests(); d != nil || err != nil {
		t.Errorf("%v, %v", d, err)
	}
}

// Labels in a listing: the most frequent of many, and no long ones whole.
func TestShares(t *testing.T) {
	env, _ := logged()
	table := "text\tlabel\n" + strings.Repeat("a\tz\n", 4)
	for _, label := range strings.Fields("b c d e f g h i j k l " + strings.Repeat("x", 50)) {
		table += "t\t" + label + "\n"
	}
	j := jobOf(t, "classify", env)
	dir := write(t, map[string]string{"train.tsv": table, "dev.tsv": table})
	files, err := j.Files(dir, "")
	if err == nil {
		err = j.Read(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := shares(j.schema, j.train)
	if !strings.HasPrefix(got, "z: 4 (25.0 %), b: 1 (6.2 %), c: ") || !strings.HasSuffix(got, ", and 3 labels more") {
		t.Error(got)
	}
	j.schema.Labels = []string{strings.Repeat("x", 50)}
	if got := shares(j.schema, j.train); got != `"`+strings.Repeat("x", 40)+`"...: 1 (6.2 %)` {
		t.Error(got)
	}
}
