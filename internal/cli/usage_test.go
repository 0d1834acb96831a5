package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/tasks/pretrained"
)

// What is wrong with a call has the documented exit code, one line in plain words that says what
// to do, and leaves nothing behind. No words of the libraries' pass through.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	data := opinionsFolder(t)
	none := filepath.Join(dir, "none")
	picture, text := filepath.Join(dir, "x.png"), filepath.Join(dir, "x.txt")
	writeFile(t, picture, "no picture")
	writeFile(t, text, "one text\n")
	wrong := filepath.Join(dir, "wrong.yaml")
	writeFile(t, wrong, "epochs: 1\nlr: 2\n")
	model := filepath.Join(dir, "model")
	if err := os.Mkdir(model, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(model, "config.json"), `{"hidden_size": "big"}`)
	untold := filepath.Join(dir, "untold")
	if err := os.Mkdir(untold, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(untold, "config.json"), `{"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 34}`)
	answers := filepath.Join(dir, "answers.json")
	writeFile(t, answers, `[{"id": "a", "turn_id": "1", "answer": "x"}]`)
	out := filepath.Join(dir, "out")
	finetune := func(more ...string) []string {
		return append([]string{"finetune", "sst-2", "--data", data, "--out", out}, more...)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--version"}, exitDone, ""},
		{[]string{"version"}, exitDone, ""},
		{nil, exitDone, ""},
		{[]string{"help"}, exitDone, ""},
		{[]string{"help", "train"}, exitDone, ""},
		{[]string{"data"}, exitDone, ""},
		{[]string{"settings", "SST2"}, exitDone, ""},
		{[]string{"completion", "bash"}, exitDone, ""},
		{[]string{"pretrain", "--example"}, exitDone, ""},

		{[]string{"finetun"}, exitUsage, `unknown command "finetun"; did you mean finetune? (see 'unimo --help')`},
		{[]string{"finetun", "--data", data}, exitUsage, "did you mean finetune?"},
		{[]string{"serve"}, exitUsage, "serve needs --model (see 'unimo serve --help')"},
		{[]string{"help", "nosuch"}, exitUsage, `unknown command "nosuch"`},
		{[]string{"help", "data", "prepar"}, exitUsage, "did you mean prepare?"},
		{[]string{"help", "version", "x"}, exitUsage, `unexpected argument "x"`},
		{[]string{"data", "prepar", "coqa"}, exitUsage, `did you mean prepare? There are prepare, validate (see 'unimo data --help')`},
		{[]string{"tokenizer", "tokenize"}, exitUsage, `did you mean encode?`},
		{[]string{"--bogus"}, exitUsage, `unknown flag "--bogus"`},
		{[]string{"version", "-x"}, exitUsage, `unknown flag "-x"`},
		{[]string{"version", "---x"}, exitUsage, `"---x" is no flag`},
		{[]string{"version", "more"}, exitUsage, `unexpected argument "more"`},
		{[]string{"version", "--threads"}, exitUsage, "--threads needs a value"},
		{[]string{"version", "--threads", "many"}, exitUsage, `--threads is "many", want a whole number`},
		{[]string{"version", "--verbose", "false"}, exitUsage, "--FLAG=false"},
		{[]string{"demo", "opinion"}, exitUsage, "did you mean opinions?"},
		{[]string{"completion", "tcsh"}, exitUsage, `unknown shell "tcsh"`},
		{[]string{"settings", "sst3"}, exitUsage, "did you mean sst-2?"},
		{[]string{"settings", "sst-2", "--preset", "small"}, exitUsage, "did you mean mini?"},

		{[]string{"finetune"}, exitUsage, "finetune needs a task"},
		{[]string{"finetune", "sentiment", "--data", data}, exitUsage, "did you mean sst-2?"},
		{[]string{"finetune", "sst-2"}, exitUsage, "finetune sst-2 needs --data and --out (see 'unimo finetune sst-2 --help')"},
		{finetune("extra"), exitUsage, `unexpected argument "extra"`},
		{finetune("--lr", "1"), exitUsage, "did you mean --learning-rate? (see 'unimo finetune sst-2 --help')"},
		{[]string{"finetune", "sst-2", "--data", data, "--out", ""}, exitUsage, "finetune sst-2 needs --out"},
		{[]string{"finetune", "sst-2", "--data", data, "--out", text}, exitFailed, "is a file; name a new folder"},
		{[]string{"finetune", "sst-2", "--data", data, "--out", text + "/run"}, exitFailed, "; name a folder that can be made"},
		{[]string{"finetune", "sst-2", "--data", data, "--out", "/dev/null/run"}, exitFailed, "; name a folder that can be made"},
		{[]string{"resume"}, exitUsage, "resume needs RUN (see 'unimo resume --help')"},
		{[]string{"runs", "a", "b"}, exitUsage, `unexpected argument "b"`},
		{[]string{"runs", none}, exitFailed, "does not exist; check the path"},
		{[]string{"runs", text}, exitFailed, "is no folder"},
		{[]string{"compare", dir}, exitUsage, "compare needs RUN and another RUN, and RUN only was given"},
		{[]string{"compare", dir, dir, "--report", text}, exitUsage, "end its name with .html"},
		{finetune("--num_train_epochs", "1"), exitUsage, "did you mean --epochs?"},
		{finetune("--output_dir", "x"), exitUsage, "did you mean --out?"},
		{finetune("--learning-rate", "fast"), exitUsage, "learning_rate is fast, want a number"},
		{finetune("--set", "learning_rate=fast"), exitUsage, "learning_rate is fast, want a number"},
		{finetune("--set", "lr=1"), exitUsage, "did you mean learning_rate? (see 'unimo settings sst-2')"},
		{finetune("--set", "lr"), exitUsage, "key=value"},
		{finetune("--set", "epochs="), exitUsage, "epochs= has no value"},
		{finetune("--epochs", "3", "--set", "epochs=2"), exitUsage, "epochs is given twice: --epochs 3 and --set epochs=2"},
		{finetune("--epochs", "0"), exitUsage, "epochs is 0, want 1 or more"},
		{finetune("--config", none), exitFailed, "does not exist"},
		{finetune("--config", dir), exitFailed, "is a folder"},
		{finetune("--config", wrong), exitUsage, "wrong.yaml:2: unknown setting \"lr\"; did you mean learning_rate?"},
		{finetune("--preset", "bas"), exitUsage, "did you mean base?"},
		{finetune("--grid", "lr=1,2"), exitUsage, "did you mean learning_rate?"},
		{finetune("--init", none), exitFailed, none},
		{finetune("--vocab", none), exitFailed, none},
		{[]string{"finetune", "sst-2", "--data", none, "--out", out}, exitFailed, none},
		{[]string{"pretrain"}, exitUsage, "--config"},
		{[]string{"pretrain", "--config", none, "--out", out}, exitFailed, "does not exist"},
		{[]string{"pretrain", "--text", none, "-o", out}, exitFailed, none},
		{[]string{"pretrain", "--texts", none, "-o", out}, exitUsage, "did you mean --text?"},

		{[]string{"evaluate"}, exitUsage, "evaluate needs a task"},
		{[]string{"evaluate", "-d", data, "-m", untold}, exitUsage, "does not say which task it is for; name one of classify"},
		{[]string{"eval", "sst2", "-d", data}, exitUsage, "evaluate sst-2 needs --model"},
		{[]string{"evaluate", "sst-2", "--data", text, "--model", none}, exitFailed, none},
		{[]string{"evaluate", "sst-2", "--data", data, "--model", none, "--epochs", "3"}, exitUsage, `unknown flag "--epochs"`},
		{[]string{"predict", "text"}, exitUsage, "predict needs --model"},
		{[]string{"predict", "-m", none, "text"}, exitFailed, none},
		{[]string{"predict", "-m", text, "text"}, exitFailed, "model " + text + ": it is no folder (not a directory); give the folder of a model (or of a run)"},
		{[]string{"evaluate", "-d", data, "-m", text}, exitFailed, "it is no folder (not a directory)"},
		{[]string{"predict", "-m", model, "text"}, exitFailed, `"hidden_size" is a text, want a whole number`},
		{[]string{"score", "coqa", "--hyp", answers, "--ref", answers}, exitFailed, "answers.json"},
		{[]string{"generate", "-m", none, "text"}, exitFailed, none},
		{[]string{"generate", "-m", none, "--beam", "x", "text"}, exitUsage, `--beam is "x", want a whole number`},
		{[]string{"chat", "-m", none}, exitUsage, "chat needs --story"},
		{[]string{"chat", "-m", none, "--story", none}, exitFailed, none},
		{[]string{"match", "-m", none, picture, "-"}, exitUsage, "match reads no standard input"},
		{[]string{"search", "--index", none, "-"}, exitUsage, "search reads no standard input"},
		{[]string{"match", "-m", none, picture}, exitUsage, "a picture and one text"},
		{[]string{"match", "-m", none, picture, "a dog"}, exitFailed, none},
		{[]string{"match", "-m", dir, "a dog", picture}, exitFailed, "a dog is no file: the picture comes first, then the texts"},
		{[]string{"predict", "-m", "all-MiniLM-L6-v2", "text"}, exitFailed, "all-MiniLM-L6-v2 is no folder here; fetch it with 'unimo pull hf:sentence-transformers/all-MiniLM-L6-v2' and call it hf:sentence-transformers/all-MiniLM-L6-v2"},
		{finetune("--init", "FacebookAI/roberta-base"), exitFailed, "'unimo pull hf:FacebookAI/roberta-base'"},
		{finetune("--init", "https://huggingface.co/google-bert/bert-base-uncased"), exitFailed, "hf:google-bert/bert-base-uncased is not on this machine; fetch it with 'unimo pull hf:google-bert/bert-base-uncased'"},
		{finetune("--vocab", "bert-base-uncased"), exitFailed, "unimo pull hf:google-bert/bert-base-uncased"},
		{[]string{"convert", "roberta-large", out}, exitFailed, "unimo pull hf:FacebookAI/roberta-large"},
		{[]string{"features", "extract", dir, out, "--extractor", "facebook/dinov2-base"}, exitFailed, "unimo pull hf:facebook/dinov2-base"},
		{[]string{"finetune", "flickr8k", "-d", dir, "-o", out, "--extractor", "facebook/dinov2-base"}, exitFailed, "unimo pull hf:facebook/dinov2-base"},
		{[]string{"features", "extract", dir, out, "--extractor", "nets/resnet50.pth"}, exitFailed, "nets/resnet50.pth: does not exist; check the path"},
		{[]string{"inspect", "unimo_base_en"}, exitFailed, "docs/guides/weights-and-data.md says where models come from"},
		{[]string{"inspect", "RUN/best"}, exitFailed, "RUN/best: does not exist; check the path"},
		{[]string{"finetune", "sst-2", "-d", "SST-2", "-o", out}, exitFailed, "docs/guides/weights-and-data.md says where to get the data of sst-2"},
		{[]string{"finetune", "coqa", "-d", "https://example.org/coqa.json", "-o", out}, exitFailed, "is an address, and data are not downloaded; fetch"},
		{[]string{"index", "-m", none, "-o", out}, exitUsage, "one folder of pictures"},
		{[]string{"index", dir, "-m", none, "-o", out}, exitFailed, none},
		{[]string{"search", "-m", none, "--index", none, "a dog"}, exitFailed, none},
		{[]string{"search", "-m", none, "--index", none, "-k", "0", "a dog"}, exitUsage, "-k is 0, want 1 or more"},
		{[]string{"search", "--index", dir, "--html", picture, "a dog"}, exitUsage, "end its name with .html"},
		{[]string{"search", "--index", dir, "--html", filepath.Join(none, "x.html"), "a dog"}, exitFailed, "make it first"},
		{[]string{"evaluate", "flickr8k", "--data", dir, "--model", dir, "--report", picture}, exitUsage, "end its name with .html"},
		{[]string{"features", "extract", dir}, exitUsage, "features extract needs DIR and OUT"},
		{[]string{"features", "extract", none, out}, exitFailed, none},
		{[]string{"features", "extract", dir, out, "--extractor", "patch"}, exitUsage, "patch"},
		{[]string{"features", "extract", dir, out, "--format", "csv"}, exitUsage, "store, reference"},
		{[]string{"features", "info", none}, exitFailed, none},
		{[]string{"rewrite", "--data", none}, exitFailed, none},
		{[]string{"data", "prepare", "coqa", none, out}, exitFailed, none},
		{[]string{"data", "prepare", "sst-2", data, out}, exitUsage, "need no preparing"},
		{[]string{"data", "prepare", "coqa"}, exitUsage, "data prepare needs TASK, SRC and DST"},
		{[]string{"data", "validate", "sst2", none}, exitFailed, none},
		{[]string{"data", "validate", "poetry", dir}, exitUsage, `unknown task "poetry"`},
		{[]string{"score", "rouge-2", "--hyp", text, "--ref", text}, exitUsage, `did you mean rouge?`},
		{[]string{"score", "bleu", "--hyp", none, "--ref", text}, exitFailed, none},
		{[]string{"score", "bleu", "--ref", text}, exitUsage, "score needs --hyp"},
		{[]string{"score", "meteor", "--hyp", text, "--ref", text, "--wordnet", none}, exitFailed, none},
		{[]string{"convert"}, exitUsage, "convert needs SRC and DST (see 'unimo convert --help')"},
		{[]string{"convert", text, out, "more"}, exitUsage, `unexpected argument "more"`},
		{[]string{"convert", none, out}, exitFailed, none},
		{[]string{"convert", text, out, "--format", "onnx"}, exitUsage, `unknown format "onnx"`},
		{[]string{"convert", text, out, "--size", "mini", "--config", text}, exitUsage, "--size and --config exclude each other"},
		{[]string{"inspect"}, exitUsage, "inspect needs MODEL"},
		{[]string{"inspect", none}, exitFailed, none},
		{[]string{"tokenizer", "train", text}, exitUsage, "tokenizer train needs --out"},
		{[]string{"tokenizer", "train", "--out", out, none}, exitFailed, none},
		{[]string{"tokenizer", "train", "--out", out, "--vocab-size", "1", text}, exitUsage, "--vocab-size"},
		{[]string{"tokenizer", "encode", "--vocab", none, "text"}, exitFailed, none},
		{[]string{"tokenizer", "encode", "text"}, exitUsage, "tokenizer encode needs --vocab"},
	} {
		r := call(t, "", c.args...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("unimo %s: exit code %d, want %d and %q: %s", strings.Join(c.args, " "), r.code, c.code, c.want, r.stderr)
		}
		for _, foreign := range []string{"arg(s)", "flag(s)", "!!", "interface", "[]string", "float64", " json: ", " yaml: ", "cannot unmarshal", "Go struct", "strconv"} {
			if strings.Contains(r.stderr, foreign) {
				t.Errorf("unimo %s: %q in %s", strings.Join(c.args, " "), foreign, r.stderr)
			}
		}
		if c.code != exitDone && (r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "unimo: ")) {
			t.Errorf("unimo %s: printed %q, said %q", strings.Join(c.args, " "), r.stdout, r.stderr)
		}
		if _, err := os.Lstat(out); err == nil {
			t.Fatalf("unimo %s: left %s behind", strings.Join(c.args, " "), out)
		}
	}
}

// Every command refuses what no command takes, with exit code 2 and the way to its help.
func TestEveryCommandRefusesUnknownFlags(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		if c.Name() == "finetune" || c.Name() == evaluateName {
			return // a task is missing, which counts first
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--no-such-flag")
		if r := call(t, "", args...); r.code != exitUsage || !strings.Contains(r.stderr, `unknown flag "--no-such-flag"`) || !strings.Contains(r.stderr, c.CommandPath()+" --help'") {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	})
}

// Too many or too few arguments are wrong use of every command, in words of this program.
func TestEveryCommandCountsItsArguments(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if c.Name() == "demo" {
			return // it needs none, and takes minutes
		}
		for _, args := range [][]string{path, append(path, "a", "b", "c", "d", "e")} {
			if c.Name() == "health" && len(args) == len(path) {
				continue // it needs none, and asks a server that may run on this machine
			}
			if r := call(t, "", args...); strings.Contains(r.stderr, "arg(s)") || r.code == exitFailed && !strings.Contains(r.stderr, "is no file") && !strings.Contains(r.stderr, "a: does not exist") {
				t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
			}
		}
	})
}

func TestErrorsAsJSON(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{{[]string{"convert", "--json"}, exitUsage}, {[]string{"inspect", "none", "--json"}, exitFailed}, {[]string{"version", "--bogus", "--json"}, exitUsage}} {
		r := call(t, "", c.args...)
		var f failure
		if err := json.Unmarshal([]byte(r.stdout), &f); err != nil || f.Code != c.code || r.code != c.code || f.Error == "" || !strings.Contains(r.stderr, f.Error) {
			t.Errorf("%v: exit code %d, printed %q, said %q", c.args, r.code, r.stdout, r.stderr)
		}
	}
}

func TestSettingsAsFlags(t *testing.T) {
	data := opinionsFolder(t)
	out := filepath.Join(t.TempDir(), "run")
	file := filepath.Join(t.TempDir(), "c.yaml")
	writeFile(t, file, "hidden_size: 16\nnum_hidden_layers: 1\nnum_attention_heads: 2\nvocab_size: 400\nbatch_size: 8\nepochs:\nseed: 4\n")
	must(t, "train", "SST2", "-d", data, "-o", out, "--config", file, "--max-steps", "1", "--max-steps", "2", "--learning_rate=5e-3", "--in-tokens=false", "--batch_size", "16", "--set", "batch-size=16")
	for _, want := range []string{`"max_steps": 2,`, `"learning_rate": 0.005,`, `"in_tokens": false,`, `"batch_size": 16,`, `"seed": 4,`, `"epochs": 1,`, `"task": "sst-2"`} {
		if info := read(t, filepath.Join(out, "run.json")); !strings.Contains(info, want) {
			t.Errorf("run.json lacks %s: %s", want, info)
		}
	}
}

func TestSettingFlagAssignments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--text", "a b.txt"}, `text=["a b.txt"]`},
		{[]string{"--text", "a", "--text", "b"}, `text=["a","b"]`},
		{[]string{"--text", "[a, b]"}, `text=[a, b]`},
		{[]string{"--features", `C:\x: #1`}, `features="C:\\x: #1"`},
		{[]string{"--in-tokens"}, `in_tokens=true`},
		{[]string{"--max-steps", "7"}, `max_steps=7`},
	} {
		var s settingFlags
		cmd := &cobra.Command{Use: "pretrain"}
		s.registerTraining(cmd, pretrained.Task)
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		if got, err := s.merge(nil); err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%v: got %q, %v, want %q", c.args, got, err, c.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	cuda, strange := filepath.Join(dir, "xla_cuda_plugin.so"), filepath.Join(dir, "pjrt_plugin_of_mine.so")
	for _, path := range []string{cuda, strange} {
		writeFile(t, path, "")
	}
	t.Setenv("UNIMO_PJRT_PATH", cuda+string(filepath.ListSeparator)+strange)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"evaluate", ""}, "sst-2\t"},
		{[]string{"data", "prepare", ""}, "flickr\n"},
		{[]string{"data", "validate", ""}, "cola\n"},
		{[]string{"score", ""}, "all-qg\n"},
		{[]string{"settings", ""}, "pretrain\n"},
		{[]string{"finetune", "sst-2", "--preset", ""}, "large\n"},
		{[]string{"finetune", "sst-2", "--set", ""}, "learning_rate=\t"},
		{[]string{"finetune", "sst-2", "--grid", ""}, "batch_size=\t"},
		{[]string{"finetune", "sst-2", "--out", ""}, ":16\n"},
		{[]string{"evaluate", "mnli", "--split", ""}, "dev_mm\n"},
		{[]string{"features", "extract", "--extractor", ""}, "statistics\n"},
		{[]string{"evaluate", "snli-ve", "--pictures", ""}, "shuffled\nhidden\n"},
		{[]string{"convert", "--format", ""}, "safetensors-folder\n"},
		{[]string{"predict", "--device", ""}, "cpu\tthis machine's processor\ncuda\t" + cuda + "\npjrt:" + strange + "\t"},
		{[]string{"finetune", "sst-2", "--device", ""}, "cuda\t"},
		{[]string{"serve", "--precision", ""}, "tf32\nbf16\n"},
		{[]string{"help", "data", ""}, "validate\t"},
		{[]string{"completion", ""}, "fish\n"},
	} {
		if r := must(t, append([]string{"__complete"}, c.args...)...); !strings.Contains(r.stdout, c.want) {
			t.Errorf("%q: got %q, want %q", c.args, r.stdout, c.want)
		}
	}
}

// A separator behind the name of an output changes nothing, and a folder that is not there is
// said before the work.
func TestNamesOfOutputs(t *testing.T) {
	dir := t.TempDir()
	texts, pairs := filepath.Join(dir, "texts.txt"), pairsFolder(t)
	writeFile(t, texts, strings.Repeat("the red ball is here\n", 20))
	scenes, opinions := scenesFolder(t), opinionsFolder(t)
	vocab := filepath.Join(dir, "vocab")
	must(t, "tokenizer", "train", "--out", vocab+"/", "--vocab-size", "300", texts)
	run := filepath.Join(dir, "run")
	must(t, finetuneArgs(opinions, run+"/")...)
	for i, args := range [][]string{
		{"tokenizer", "train", "--vocab-size", "300", texts, "--out"},
		{"data", "prepare", "squad-qg", pairs},
		{"data", "prepare", "flickr", scenes},
		{"features", "extract", filepath.Join(scenes, "images")},
		{"features", "extract", filepath.Join(scenes, "images"), "--image-size", "32", "--format", "reference"},
		{"convert", run},
		{"convert", filepath.Join(run, "best")},
		{"evaluate", "sst-2", "--data", opinions, "--model", run, "--predictions"},
	} {
		out := filepath.Join(dir, "out"+string(rune('a'+i)))
		must(t, append(args, out+"/")...)
		if _, err := os.Stat(out); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		if args[0] == "tokenizer" || args[0] == "data" || args[0] == "convert" || strings.Contains(strings.Join(args, " "), "reference") {
			absent := filepath.Join(dir, "absent")
			r := call(t, "", append(args, filepath.Join(absent, "out"))...)
			if r.code != exitFailed || !strings.Contains(r.stderr, "its folder "+absent+" does not exist; make it first") {
				t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
			}
			if r := call(t, "", append(args, out+"/")...); r.code != exitFailed || !strings.Contains(r.stderr, "exists; choose a new name") {
				t.Errorf("%v again: exit code %d, %s", args, r.code, r.stderr)
			}
		}
	}
}
