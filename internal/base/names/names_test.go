package names

import (
	"errors"
	"strings"
	"testing"
	"testing/quick"

	"pgregory.net/rapid"
)

var (
	tasks    = []string{"cnn-dailymail", "cola", "coqa", "flickr30k", "flickr8k", "gigaword", "mnli", "squad-qg", "sst-2", "sts-b"}
	settings = []string{"epochs", "max_steps", "batch_size", "learning_rate", "lr_scheduler", "weight_decay", "max_seq_len", "seed", "clip_norm", "beta1", "beta2"}
	flags    = []string{"data", "dev", "preset", "init", "vocab", "out", "resume", "config", "set", "grid", "learning-rate", "json", "device", "precision", "dev-share", "columns"}
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"sst-2": "sst-2", "sst2": "sst-2", "SST_2": "sst-2", "stsb": "sts-b", "STS-B": "sts-b", "cnndm": "cnn-dailymail", "cnn_dailymail": "cnn-dailymail",
		"squad": "squad-qg", "Flickr30K": "flickr30k", "sst": "sst-2",
	} {
		if got, err := Find("task", name, tasks); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := Find("split", "validation", []string{"train", "dev", "test"}); got != "dev" {
		t.Errorf("validation: got %q, %v", got, err)
	}
}

func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		name string
		list []string
		near string
	}{
		{"lr", settings, "learning_rate"}, {"learningrate", settings, "learning_rate"}, {"learnin_rate", settings, "learning_rate"}, {"bs", settings, "batch_size"},
		{"wd", settings, "weight_decay"}, {"epoch", settings, "epochs"}, {"max_length", settings, "max_seq_len"}, {"picture", settings, ""},
		{"num_train_epochs", settings, "epochs"}, {"sed", settings, "seed"}, {"beta3", settings, "beta1"}, {"max_grad_norm", settings, "clip_norm"},
		{"sentiment", tasks, "sst-2"}, {"gigawrod", tasks, "gigaword"}, {"flickr8", tasks, "flickr8k"}, {"imagenet", tasks, ""}, {"qqp", tasks, ""},
		{"output_dir", flags, "out"}, {"lr", flags, "learning-rate"}, {"gpu", flags, "device"}, {"fp16", flags, "precision"}, {"dev-size", flags, "dev-share"}, {"label-column", flags, "columns"}, {"dta", flags, "data"}, {"presett", flags, "preset"}, {"", flags, ""},
		{"eval", []string{"train", "dev", "test"}, "dev"}, {"tst", []string{"train", "dev", "test"}, "test"},
	} {
		err := Unknown("name", c.name, c.list)
		if err.Near != c.near {
			t.Errorf("%q: nearest is %q, want %q", c.name, err.Near, c.near)
		}
		if message := err.Error(); c.near != "" && !strings.Contains(message, "; did you mean "+c.near+"?") {
			t.Errorf("%q: got %s", c.name, message)
		}
	}
	if got := Unknown("preset", "xxl", []string{"mini", "base", "large"}).Error(); got != `unknown preset "xxl"; choose one of mini, base, large` {
		t.Errorf("got %s", got)
	}
	if got := Unknown("preset", "bass", []string{"mini", "base", "large"}).Error(); got != `unknown preset "bass"; did you mean base? There are mini, base, large` {
		t.Errorf("got %s", got)
	}
	if got := (&Error{Kind: "flag", Name: "--lr", Near: "--learning-rate"}).Error(); got != `unknown flag "--lr"; did you mean --learning-rate?` {
		t.Errorf("got %s", got)
	}
	long := Unknown("setting", "zzz", strings.Split(strings.Repeat("a_long_name_of_a_setting ", 20), " "))
	if len(long.Error()) > 60 {
		t.Errorf("got %s", long)
	}
	var found *Error
	if _, err := Find("task", "x", tasks); !errors.As(err, &found) || found.Kind != "task" {
		t.Errorf("got %v", err)
	}
}

// Every habit must lead to something that can be typed; a key that is not folded is never met.
func TestTablesAreFolded(t *testing.T) {
	for name, meant := range habits {
		for _, n := range append(meant, name) {
			if fold(n) != n {
				t.Errorf("%q is not folded", n)
			}
		}
	}
	for name, meant := range aliases {
		if fold(name) != name || fold(meant) != meant {
			t.Errorf("%q: %q is not folded", name, meant)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"modle", "model", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"epochs", "epoch", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
	symmetric := func(a, b string) bool { return distance(a, b) == distance(b, a) }
	if err := quick.Check(symmetric, nil); err != nil {
		t.Error(err)
	}
}

// One slip in a name of six letters or more is always recognised as that name or one as near.
func TestOneSlipIsRecognised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(settings).Draw(t, "name")
		if len(name) < 6 {
			return
		}
		i := rapid.IntRange(0, len(name)-1).Draw(t, "place")
		slip := name[:i] + name[i+1:]
		if err := Unknown("setting", slip, settings); err.Near == "" {
			t.Fatalf("%q is not recognised", slip)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("SST-2")
	f.Add("\xff-_./")
	f.Fuzz(func(t *testing.T, name string) {
		if got, err := Find("task", name, tasks); err == nil && got == "" {
			t.Errorf("%q means nothing", name)
		}
	})
}
