package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// demoSeed makes the demo's data.
const demoSeed = 1

// demoPart is a part of the demo: synthetic data, a model trained on it, and what it
// says of data whose combinations training never showed.
type demoPart struct {
	name    string
	about   string
	preset  *run.Preset
	set     []string // settings over those of the mini preset
	notice  string
	heldOut string                                                                           // the file of the held-out data, or
	split   string                                                                           // the split of the data's folder
	write   func(dir string) error                                                           // makes the data
	trivial func() []trivialScore                                                            // what answers that see or understand less reach; nil: see the docs
	show    func(a *app, ctx context.Context, model string) error                            // lets people try the model
	run     func(a *app, ctx context.Context, dir string, p demoPart) (train.Numbers, error) // what is done, if not the usual
	next    string                                                                           // the same with real data
}

var demoParts = []demoPart{
	{
		name: "opinions", about: "classifies short opinions", preset: run.Opinions, set: []string{"vocab_size=1024", "hidden_dropout_prob=0.1"},
		notice:  "Synthetic data: sentences made by a grammar of this program. The score says that the model learned to compose words it saw in other combinations; it says nothing about real reviews.",
		heldOut: "held-out.tsv", write: writeOpinions, show: (*app).tryOpinions,
		next: `SST-2 as GLUE has it (train.tsv, dev.tsv):
  unimo finetune sst-2 --data SST-2 --preset mini --out RUN
and with the released weights (unimo_base_en.tar.gz and its dict folder):
  unimo finetune sst-2 --data SST-2 --preset base --init unimo_base_en.tar.gz --vocab dict --out RUN`,
	},
	{
		name: "stories", about: "answers questions about little stories, each depending on those before", preset: run.Stories, set: storySettings,
		notice:  "Synthetic data: stories of a small world and conversations about them, made by this program. The score says that the model learned to find answers in stories it never saw; it says nothing about real texts.",
		heldOut: "held-out.json", write: writeStories, show: (*app).tryStories,
		trivial: storyBaselines,
		next: `CoQA (coqa-train-v1.0.json, coqa-dev-v1.0.json):
  unimo finetune coqa --data COQA --preset mini --out RUN
  unimo chat --model RUN/best --story FILE`,
	},
	{
		name: "scenes", about: "finds pictures for sentences and sentences for pictures", preset: run.Scenes, set: sceneSettings,
		notice: "Synthetic data: pictures of coloured shapes and sentences about them, made by this program. The score says that the model learned to see and name the things of pairs it never saw together; it says little about knowing which colour belongs to which shape, and nothing about photographs.",
		split:  "test", write: writeScenes, show: (*app).trySceneSearch, trivial: sceneBaselines,
		next: `Flickr8k (a folder with images/, captions.csv, train.txt and dev.txt; see docs/reference/images.md):
  unimo finetune flickr8k --data FLICKR8K --preset mini --out RUN
  unimo evaluate flickr8k --data FLICKR8K --model RUN/best --two-stage 20`,
	},
	{
		name: "pretraining", about: "learns from texts, pictures and pairs with UNIMO's own objectives before it is fine-tuned", preset: run.Scenes,
		notice: "Synthetic data: pictures of coloured shapes and sentences about them, made by this program. The scores say what pre-training on many scenes brings where fine-tuning has few; they say nothing about photographs.",
		split:  "test", write: writeWorld, run: (*app).demoPretraining,
		next: `your own (unimo pretrain --example prints a configuration to begin with):
  unimo pretrain --config pretrain.yaml --out RUN
  unimo finetune sst-2 --data SST-2 --init RUN --out TUNED`,
	},
}

func demoNames() []string {
	list := make([]string, len(demoParts))
	for i, p := range demoParts {
		list[i] = p.name
	}
	return list
}

func (a *app) demoCommand() *cobra.Command {
	var out string
	var open bool
	c := &cobra.Command{
		Use:   "demo [PART...]",
		Short: "Train small models on invented data and try them",
		Long: `Train mini models on data that generators of this program write (synthetic, no
downloads), score them on combinations they never saw, and try them. The parts are

  opinions     classify short opinions (one minute on two cores)
  stories      answer questions about little stories, which depend on those before (three minutes)
  scenes       find pictures for sentences and sentences for pictures (two and a half minutes)
  pretraining  learn from many scenes with UNIMO's own objectives, then find pictures with a tenth of them; against a tenth alone (two minutes)

Without names all parts run. Where a person types, each part can be tried. Each part leaves
an HTML report, scenes with pictures; --open opens them in the browser.`,
		Example:   "  unimo demo\n  unimo demo stories\n  unimo demo scenes --open\n  unimo demo --out RUN",
		ValidArgs: demoNames(),
		RunE: func(c *cobra.Command, args []string) error {
			parts, err := chooseParts(args)
			if err != nil {
				return err
			}
			return a.demo(c.Context(), out, open, parts)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the runs (default: a new one among the system's temporary files)")
	c.Flags().BoolVar(&open, "open", false, "open each part's report in the browser")
	return c
}

// chooseParts returns the parts of those names, in the demo's order; all without names.
func chooseParts(wanted []string) ([]demoPart, error) {
	for _, name := range wanted {
		if err := choice("part of the demo", name, demoNames()...); err != nil {
			return nil, err
		}
	}
	if len(wanted) == 0 {
		return demoParts, nil
	}
	var parts []demoPart
	for _, p := range demoParts {
		if slices.Contains(wanted, p.name) {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

func (a *app) demo(ctx context.Context, out string, open bool, parts []demoPart) error {
	if out == "" {
		dir, err := os.MkdirTemp("", "unimo-demo-")
		if err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
		out = dir
		defer a.log.Info("the demo is in " + out)
	}
	scores := map[string]train.Numbers{}
	for _, p := range parts {
		dir := filepath.Join(out, p.name)
		run := (*app).demoPart
		if p.run != nil {
			run = p.run
		}
		m, err := run(a, ctx, dir, p)
		if err != nil {
			return err
		}
		if open {
			a.openPage(filepath.Join(dir, "report.html"))
		}
		scores[p.name] = m
	}
	if a.json {
		return a.printJSON(scores)
	}
	return nil
}

// demoPart runs a part in the folder dir and returns its scores.
func (a *app) demoPart(ctx context.Context, dir string, p demoPart) (train.Numbers, error) {
	texts, err := a.demoData(dir, p)
	if err != nil {
		return nil, err
	}
	summary, err := a.demoRun(ctx, p, run.Options{Preset: p.preset, Data: texts, Out: filepath.Join(dir, "run"), Set: p.set})
	if err != nil {
		return nil, err
	}
	results, err := a.demoScore(ctx, p, summary, texts)
	if err != nil {
		return nil, err
	}
	page, err := demoPage(dir, p, summary, results)
	if err != nil {
		return nil, err
	}
	if a.json {
		return run.Metrics(results), nil
	}
	fmt.Fprintf(a.stdout, "\n%s, on combinations that training never showed:\n", p.preset.Title)
	a.printResults(p.preset, results)
	if p.trivial != nil {
		fmt.Fprintf(a.stdout, "For comparison (%s):\n", p.preset.Metric)
		for _, b := range p.trivial() {
			fmt.Fprintf(a.stdout, "  %.4f  %s\n", b.score, b.name)
		}
	}
	fmt.Fprintln(a.stdout)
	if err := p.show(a, ctx, summary.Dir.Best()); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(a.stdout, "\nThe curves and mistakes are in %s.\nTry the model yourself:\n%s\nThe same with real data, %s\n", page, p.preset.Use(shellQuote(summary.Dir.Best())), p.next)
	return run.Metrics(results), err
}

// demoData makes a part's data, unless an earlier demo has: they are the same.
func (a *app) demoData(dir string, p demoPart) (string, error) {
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(data); err != nil {
		if err := atomicfile.Mkdir(dir); err != nil {
			return "", fmt.Errorf("make a folder for the demo: %w", err)
		}
		if err := atomicfile.WriteDir(data, p.write); err != nil {
			return "", err
		}
	}
	a.log.Info(fmt.Sprintf("the demo's model %s; its synthetic data are in %s", p.about, data))
	return data, nil
}

// demoRun trains a model of a part; an earlier demo's run is gone on with, or shown again.
func (a *app) demoRun(ctx context.Context, p demoPart, o run.Options) (*run.Summary, error) {
	_, err := os.Stat(o.Out)
	progress := a.newProgress()
	defer progress.finish()
	progress.trains(o.Preset)
	defer a.saving.Store(false)
	o.Size, o.Resume, o.Notice = "mini", err == nil, p.notice
	o.Command, o.Version, o.Log, o.Observer = []string{"unimo", "demo", p.name}, runVersion(), a.log, progress
	return run.Finetune(ctx, o)
}

// demoScore scores the best model of a run on the data that training never showed.
func (a *app) demoScore(ctx context.Context, p demoPart, s *run.Summary, data string) ([]run.Result, error) {
	progress := a.newProgress()
	defer progress.finish()
	progress.Stage("scoring what training never showed")
	return run.Evaluate(ctx, p.preset, s.Dir.Best(), filepath.Join(data, p.heldOut), run.EvaluateOptions{
		Split: p.split, Tick: progress.Tick, Rank: run.RankOptions{ImageOptions: run.ImageOptions{Log: a.log}},
	})
}

// Sizes of the opinions' data, so that training takes about a minute on two cores.
const (
	opinionsTrain   = 12000
	opinionsDev     = 1000 // taken from the training combinations: chooses the best model
	opinionsHeldOut = 2000 // combinations that training never shows: scored once
)

func writeOpinions(dir string) error {
	trainSet, heldOut := synth.Opinions(demoSeed, opinionsTrain, opinionsHeldOut)
	for _, file := range []struct {
		name     string
		opinions []synth.Opinion
	}{{"train.tsv", trainSet[opinionsDev:]}, {"dev.tsv", trainSet[:opinionsDev]}, {"held-out.tsv", heldOut}} {
		err := atomicfile.Write(filepath.Join(dir, file.name), func(w io.Writer) error { return synth.WriteTSV(w, file.opinions) })
		if err != nil {
			return err
		}
	}
	return nil
}

// tryOpinions classifies examples and what the user types.
func (a *app) tryOpinions(ctx context.Context, model string) error {
	p, err := run.OpenPredictor(model)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := a.predict(ctx, p, synth.Examples(), false, 1); err != nil {
		return err
	}
	return a.converse(ctx, "an opinion", func(text string) error {
		return a.predict(ctx, p, []string{synth.Normalise(text)}, false, 1)
	})
}

// Sizes of the stories' data and the recipe, so that training takes about three minutes
// on two cores.
const (
	storiesTrain   = 10000
	storiesDev     = 100 // taken from the training combinations: chooses the best model
	storiesHeldOut = 300 // combinations that training never shows: scored once
)

// From random weights a model must find out by itself that a question's name is to be
// looked up in the story. A narrow one with large initial weights and no noise does in
// the fewest seconds: see docs/results/2026-11-25-text-to-text.md.
var storySettings = []string{
	"hidden_size=64", "num_attention_heads=4", "initializer_range=0.1", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
	"vocab_size=1024", "max_src_len=128", "max_out_len=24", "label_smooth=0", "learning_rate=2.5e-3", "epsilon=1e-10",
	"batch_size=32", "epochs=4", "max_steps=6000", "eval_steps=1500", "decode_examples=300", "eval_batch_size=256",
}

func writeStories(dir string) error {
	trainSet, heldOut := synth.Stories(demoSeed, storiesTrain, storiesHeldOut)
	for _, file := range []struct {
		name    string
		stories []synth.Story
	}{{"train.json", trainSet[storiesDev:]}, {"dev.json", trainSet[:storiesDev]}, {"held-out.json", heldOut}} {
		err := atomicfile.Write(filepath.Join(dir, file.name), func(w io.Writer) error { return synth.WriteStories(w, file.stories) })
		if err != nil {
			return err
		}
	}
	return nil
}

// tryStories shows a conversation about a story that training never showed, and holds
// one with the user.
func (a *app) tryStories(ctx context.Context, model string) error {
	g, err := run.OpenGenerator(model)
	if err != nil {
		return err
	}
	defer g.Close()
	story := synth.ExampleStories()[0]
	c := conversation{app: a, g: g, options: g.Decoding, story: story.Text}
	fmt.Fprintf(a.stdout, "%s\n", story.Text)
	for _, t := range story.Turns {
		fmt.Fprintf(a.stdout, "> %s\n", t.Question)
		if err := c.answer(ctx, t.Question); err != nil {
			return err
		}
	}
	if in := a.typist(); in != nil {
		fmt.Fprintf(a.stdout, "\nAsk more about this story (an empty line ends):\n")
		return c.hold(ctx, in)
	}
	return nil
}

// typist returns the terminal where a person types, nil where nobody can.
func (a *app) typist() io.Reader {
	if isTerminal(a.stdin) {
		return a.stdin
	}
	return nil
}

// ask asks for texts, line by line up to an empty one, where a command was given none and a person
// sits at the terminal. What is wrong with a text is said, and the next one is asked for. The
// prompt goes to standard error: standard output has the answers alone.
func (a *app) ask(ctx context.Context, what string, answer func(text string) error) error {
	lines := bufio.NewScanner(infile.Text(infile.Interruptible(ctx, a.stdin), standardInput))
	fmt.Fprintf(a.stderr, "Type %s; an empty line ends.\n", what)
	for fmt.Fprint(a.stderr, "> "); lines.Scan() && strings.TrimSpace(lines.Text()) != ""; fmt.Fprint(a.stderr, "> ") {
		if err := answer(lines.Text()); errors.Is(err, context.Canceled) || a.stdout.err != nil {
			return err
		} else if err != nil {
			a.log.Error(oneLine(err))
		}
	}
	fmt.Fprintln(a.stderr)
	return lines.Err()
}

// converse asks about what the user types until an empty line. Where nobody can
// type it returns at once.
func (a *app) converse(ctx context.Context, what string, ask func(text string) error) error {
	in := a.typist()
	if in == nil {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nType %s in words like these (an empty line ends):\n", what)
	return a.answer(ctx, in, ask)
}

// answer asks about the lines of in up to an empty one.
func (a *app) answer(ctx context.Context, in io.Reader, ask func(text string) error) error {
	lines := bufio.NewScanner(infile.Text(infile.Interruptible(ctx, in), standardInput))
	for fmt.Fprint(a.stdout, "> "); lines.Scan() && lines.Text() != ""; fmt.Fprint(a.stdout, "> ") {
		if err := ask(lines.Text()); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stdout)
	return lines.Err()
}

// trivialScore is what answers that see or understand less reach.
type trivialScore struct {
	name  string
	score float64
}

func storyBaselines() []trivialScore {
	var scores []trivialScore
	for _, b := range synth.StoryBaselines(synth.Stories(demoSeed, storiesTrain, storiesHeldOut)) {
		scores = append(scores, trivialScore{b.Name, b.ExactMatch})
	}
	return scores
}

// demoPage leaves a part's report as report.html in its folder and returns its path: of a part with
// pictures, what was found among those that training never showed.
func demoPage(dir string, p demoPart, summary *run.Summary, results []run.Result) (string, error) {
	page := filepath.Join(dir, "report.html")
	if p.preset.Retrieval != nil {
		return page, run.WriteGallery(page, p.preset, results[0], []report.Item{{Key: "data", Value: p.notice}, {Key: "curves", Value: "run/report.html", Link: "run/report.html"}})
	}
	return page, copyPage(page, summary.Dir.Report())
}

// copyPage copies a run's report. It is a web page that is meant, so [infile.Read], which refuses
// one in another file's place, is not for it.
func copyPage(to, from string) error {
	in, err := infile.Open(from)
	if err != nil {
		return fmt.Errorf("open the run's report: %w", err)
	}
	defer in.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// openPage opens a page in the user's browser, or says where it is.
func (a *app) openPage(path string) {
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
	}
	if err := exec.Command(command[0], append(command[1:], path)...).Start(); err != nil {
		a.log.Warn(fmt.Sprintf("no browser could be opened (%v); the page is %s", err, path))
	}
}

// Sizes of the scenes' data and the recipe, so that training takes about two and a half minutes
// on two cores.
const (
	scenesTrain   = 24000
	scenesDev     = 100 // taken from the training combinations: chooses the best model
	scenesHeldOut = 100 // combinations that training never shows: scored once
)

// A narrow model with patches of a quarter of the picture and small batches learns to see in the
// fewest seconds; first by vectors, which is cheap, then with the match head: see docs/results/2026-11-26-retrieval.md.
var sceneSettings = []string{
	"image_size=64", "patch_size=32", "hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4", "vocab_size=512",
	"hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "weight_decay=0.01", "learning_rate=1.5e-3", "min_crop_area=1", "flip=false",
	"epochs=3", "contrast_epochs=2", "contrast_batch_size=40", "batch_size=20", "negatives=4", "max_steps=5400",
	"eval_steps=1800", "eval_images=100", "eval_candidates=10",
}

func scenes() (trainSet, heldOut []synth.Scene) {
	return synth.Scenes(demoSeed, scenesTrain+scenesDev, scenesHeldOut)
}

func writeScenes(dir string) error {
	trainSet, heldOut := scenes()
	return synth.WriteScenes(dir, trainSet[scenesDev:], trainSet[:scenesDev], heldOut)
}

func sceneBaselines() []trivialScore {
	_, heldOut := scenes()
	var scores []trivialScore
	for _, b := range synth.SceneBaselines(heldOut) {
		scores = append(scores, trivialScore{b.Name, b.Recall})
	}
	return scores
}

// sceneQueries are searched for among the held-out scenes.
const sceneQueries = 3

// trySceneSearch makes an index of the pictures that training never showed and searches it, for
// captions and for what the user types.
func (a *app) trySceneSearch(ctx context.Context, model string) error {
	r, err := run.OpenRetriever(model)
	if err != nil {
		return err
	}
	defer r.Close()
	dir := filepath.Dir(filepath.Dir(model)) // of the demo's part: the model is its run's best
	pictures, index := filepath.Join(dir, "unseen"), filepath.Join(dir, "index")
	_, heldOut := scenes()
	if err := writePictures(pictures, heldOut); err != nil {
		return err
	}
	if _, err := r.Index(ctx, pictures, index, run.IndexOptions{Replace: true, Log: a.log, Tick: func(string, int, int) {}}); err != nil {
		return err
	}
	s, err := r.OpenIndex(index)
	if err != nil {
		return err
	}
	defer s.Close()
	ask := func(text string) error {
		hits, err := s.Text(ctx, text, 1, 20)
		if err != nil {
			return err
		}
		_, err = printable.Fprintf(a.stdout, "%.3f  %s\n", hits[0].Match, shownPath(s.Path(hits[0].ID)))
		return err
	}
	for _, scene := range heldOut[:sceneQueries] {
		fmt.Fprintf(a.stdout, "> %s\n", scene.Captions[0])
		if err := ask(scene.Captions[0]); err != nil {
			return err
		}
	}
	return a.converse(ctx, "a sentence", ask)
}

// writePictures writes the pictures of scenes into the folder dir, unless it is there.
func writePictures(dir string, scenes []synth.Scene) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	return atomicfile.WriteDir(dir, func(tmp string) error {
		for i, scene := range scenes {
			err := atomicfile.Write(filepath.Join(tmp, fmt.Sprintf("scene-%03d.png", i+1)), func(w io.Writer) error { return png.Encode(w, scene.Draw(64)) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}
