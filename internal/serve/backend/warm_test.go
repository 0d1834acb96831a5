//go:build linux || darwin

package backend

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/doubles"
)

func TestMain(m *testing.M) { accelerator.Main(m) }

// blankDevice chooses a device that computes nothing. It compiles so many programs, and hangs with the next one.
func blankDevice(t *testing.T, programs int) device.Choice {
	c := device.Default
	c.Device = accelerator.Blank(t, programs)
	return c
}

const endless = 1 << 20

// encoder is a model of another library.
var encoder = Source{"bert", filepath.Join("..", "..", "embed", "testdata", "bert")}

// answering is a model that writes answers to questions about pictures: that for captions, which is asked. What it says makes no sense.
func answering(t *testing.T) Source {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "answers.model")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(tiny, "captions.model"))); err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]string{
		"config.json":            {`"captioning"`, `"free_answering"`, `"coco-caption"`, `"vqa"`},
		"generation_config.json": {"  \"max_obj_len\": 100,\n  \"max_regions\": 100,\n", "", `"beam_size": 5`, `"beam_size": 3`},
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(strings.NewReplacer(changes...).Replace(string(raw))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Source{"answers", dir}
}

// words draws a text as people write them.
func words(rng *rand.Rand) string {
	n := int(min(40, max(1, 12*math.Exp(0.6*rng.NormFloat64()))))
	return strings.Join(slices.Repeat([]string{"film"}, n), " ")
}

// askAll asks about 1 to 16 texts in each of many requests, of which some come at a time.
func askAll(t *testing.T, requests int, ask func(rng *rand.Rand, texts []string) error) {
	t.Helper()
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(client)))
			for range requests / 8 {
				texts := make([]string, []int{1, 2, 3, 5, 8, 16}[rng.IntN(6)])
				for i := range texts {
					texts[i] = words(rng)
				}
				if err := ask(rng, texts); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
}

// Once a model was warmed up, requests about texts meet no program that is not there.
func TestWarmUp(t *testing.T) {
	classes := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(_ *rand.Rand, texts []string) error {
			inputs := make([]Input, len(texts))
			for i := range texts {
				inputs[i].Text = texts[i]
			}
			_, _, err := m.Classify(context.Background(), inputs)
			return err
		}
	}
	items := func(texts []string) []Item {
		list := make([]Item, len(texts))
		for i := range texts {
			list[i].Text = texts[i]
		}
		return list
	}
	vectors := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			o := EmbedOptions{}
			if yes := true; rng.IntN(2) == 0 {
				o.Normalize = &yes
			}
			_, err := m.Embed(context.Background(), items(texts), o)
			return err
		}
	}
	tokens := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(_ *rand.Rand, texts []string) error {
			_, _, err := m.EmbedTokens(context.Background(), items(texts), EmbedOptions{})
			return err
		}
	}
	picture := func(rng *rand.Rand) []byte { return shape(t, []string{"red-bar", "green-square"}[rng.IntN(2)]) }
	pictureVectors := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			list := items(texts)
			for i := range list {
				if i == 0 || rng.IntN(2) == 0 {
					list[i] = Item{Picture: picture(rng)}
				}
			}
			_, err := m.Embed(context.Background(), list, EmbedOptions{})
			return err
		}
	}
	matches := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			query, documents := Item{Picture: picture(rng)}, items(texts)
			if rng.IntN(2) == 0 {
				query = Item{Text: texts[0]}
				for i := range documents {
					documents[i] = Item{Picture: picture(rng)}
				}
			}
			_, err := m.Score(context.Background(), query, documents)
			return err
		}
	}
	searches := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			query := Item{Text: texts[0]}
			if rng.IntN(2) == 0 {
				query = Item{Picture: picture(rng)}
			}
			_, _, err := m.Search(context.Background(), query, 2)
			return err
		}
	}
	statements := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			inputs := make([]Input, len(texts))
			for i := range texts {
				inputs[i] = Input{Text: texts[i], Picture: picture(rng)}
			}
			_, _, err := m.Classify(context.Background(), inputs)
			return err
		}
	}
	asked := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			_, _, err := m.Ask(context.Background(), picture(rng), texts[0], 1+rng.IntN(2))
			return err
		}
	}
	answers := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			_, _, err := m.Ask(context.Background(), picture(rng), texts[0], 1+rng.IntN(decode.MostBeams))
			return err
		}
	}
	decoding := func(rng *rand.Rand) (d Decoding) {
		if rng.IntN(2) == 0 {
			longest := 1 + rng.IntN(16)
			if rng.IntN(20) == 0 {
				longest = 1 + rng.IntN(256)
			}
			d.MaxLength = &longest
		}
		yes, beam, likeliest, share := true, 1+rng.IntN(decode.MostBeams), rng.IntN(100), 0.9
		switch rng.IntN(4) {
		case 0:
			d.Beam = &beam
		case 1:
			d.Sample = &yes
		case 2:
			d.Sample, d.TopK, d.TopP = &yes, &likeliest, &share
		}
		return d
	}
	texts := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, texts []string) error {
			_, err := m.Generate(context.Background(), GenerateRequest{Texts: texts[:1], Decoding: decoding(rng)}, nil)
			return err
		}
	}
	captions := func(m Model) func(rng *rand.Rand, texts []string) error {
		return func(rng *rand.Rand, _ []string) error {
			_, err := m.Caption(context.Background(), picture(rng), decoding(rng))
			return err
		}
	}
	for _, c := range []struct {
		name, which string
		model       Source
		ask         []func(m Model) func(rng *rand.Rand, texts []string) error
		programs    int // at most
	}{
		{"classes", WarmUpCommon, Source{"films", filepath.Join(tiny, "films.model")}, []func(m Model) func(*rand.Rand, []string) error{classes}, 21},
		{"classes and vectors", WarmUpAll, Source{"films", filepath.Join(tiny, "films.model")}, []func(m Model) func(*rand.Rand, []string) error{classes, vectors, tokens}, 80},
		{"pictures and texts", WarmUpCommon, Source{"shapes", filepath.Join(tiny, "shapes.model")}, []func(m Model) func(*rand.Rand, []string) error{vectors, pictureVectors, matches, searches}, 100},
		{"statements about pictures", WarmUpCommon, Source{"claims", filepath.Join(tiny, "claims.model")}, []func(m Model) func(*rand.Rand, []string) error{statements}, 30},
		{"questions about pictures", WarmUpCommon, Source{"questions", filepath.Join(tiny, "questions.model")}, []func(m Model) func(*rand.Rand, []string) error{asked}, 30},
		{"texts for texts", WarmUpAll, Source{"headlines", filepath.Join(tiny, "headlines.model")}, []func(m Model) func(*rand.Rand, []string) error{texts}, 250},
		{"captions", WarmUpAll, Source{"captions", filepath.Join(tiny, "captions.model")}, []func(m Model) func(*rand.Rand, []string) error{captions}, 200},
		{"answers that are written", WarmUpAll, answering(t), []func(m Model) func(*rand.Rand, []string) error{answers}, 200},
		{"answers as the model writes them", WarmUpCommon, answering(t), []func(m Model) func(*rand.Rand, []string) error{asked}, 30},
		{"vectors of another library's", WarmUpCommon, encoder, []func(m Model) func(*rand.Rand, []string) error{vectors}, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := new(doubles.Log)
			o := Options{Device: blankDevice(t, endless), WarmUp: c.which, Models: []Source{c.model}, Log: slog.New(slog.NewTextHandler(log, nil))}
			if c.model.Name == "shapes" {
				o.Index = index(t)
			}
			r := serve(t, o)
			warm, _ := r.DeviceUse()
			if warm.Compiled == 0 || warm.Compiled > c.programs || !strings.Contains(log.String(), "warmed up") {
				t.Errorf("%d programs, want 1 to %d; the log: %s", warm.Compiled, c.programs, log)
			}
			for _, ask := range c.ask {
				askAll(t, 200, ask(get(t, r, c.model.Name)))
			}
			now, _ := r.DeviceUse()
			t.Logf("%d programs, run %d times for requests, padding %.0f %%", now.Compiled, now.Ran-warm.Ran, 100*now.Padding)
			if now.Compiled != warm.Compiled {
				t.Errorf("%d programs were prepared, and requests met %d others", warm.Compiled, now.Compiled-warm.Compiled)
			}
			if err := r.Load(context.Background()); err != nil {
				t.Fatal(err)
			}
			if again, _ := r.DeviceUse(); again.Compiled != warm.Compiled {
				t.Errorf("the same model, loaded again, has %d other programs", again.Compiled-warm.Compiled)
			}
		})
	}
}

// The programs of batches that are filled up can be written for every kind of question, alone and together with others.
func TestFilledUpProgramsAreWhole(t *testing.T) {
	r := serve(t, Options{Device: blankDevice(t, endless), WarmUp: WarmUpNone, Index: index(t)}, "films", "claims", "shapes", "headlines", "captions", "questions")
	list := all(t, r)
	var clients sync.WaitGroup
	for i, q := range list {
		clients.Go(func() {
			if _, err := q.ask(context.Background()); err != nil {
				t.Errorf("question %d: %v", i, err)
			}
		})
	}
	clients.Wait()
}

// Nothing is prepared where nobody wants it, nor on the processor.
func TestNoWarmUp(t *testing.T) {
	r := serve(t, Options{Device: blankDevice(t, endless), WarmUp: WarmUpNone}, "films")
	if u, _ := r.DeviceUse(); u.Compiled > 1 { // one looks at the weights
		t.Errorf("%d programs were compiled", u.Compiled)
	}
	log := new(doubles.Log)
	serve(t, Options{WarmUp: WarmUpAll, Log: slog.New(slog.NewTextHandler(log, nil))}, "films")
	if strings.Contains(log.String(), "warm") {
		t.Errorf("the processor is warmed up: %s", log)
	}
	if _, err := New(Options{WarmUp: "some", Models: []Source{encoder}}); err == nil || !strings.Contains(err.Error(), `"some"`) {
		t.Errorf("an unknown warm-up: %v", err)
	}
}

// A server that is to end waits neither for the rest of the preparation nor for a program that is being compiled, and its model takes no
// requests before that.
func TestWarmUpEnds(t *testing.T) {
	doubles.NoLeak(t)
	for _, programs := range []int{0, 5} {
		ctx, end := context.WithCancel(context.Background())
		r, err := New(Options{Device: blankDevice(t, programs), Models: []Source{{"films", filepath.Join(tiny, "films.model")}}})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for u, _ := r.DeviceUse(); u.Compiled < programs && !u.Lost; u, _ = r.DeviceUse() {
				time.Sleep(time.Millisecond)
			}
			end()
		}()
		if err := r.Load(ctx); err == nil || r.Ready() == nil || r.Lost() != nil {
			t.Errorf("after %d programs: %v, %v, %v", programs, err, r.Ready(), r.Lost())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// While a model is warmed up that is to take the place of another, that one answers. A server that is to end gives up what it waits for.
func TestWarmUpBeforeAModelIsReplaced(t *testing.T) {
	dir := t.TempDir()
	put := func(from string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(tiny, "films.model"))
	const first, more = 21, 3
	r := serve(t, Options{Device: blankDevice(t, first+more), Models: []Source{{"m", dir}}})
	was := get(t, r, "m")
	put(encoder.Dir)
	ctx, end := context.WithCancel(context.Background())
	loaded := make(chan error, 1)
	go func() { loaded <- r.Load(ctx) }()
	for u, _ := r.DeviceUse(); u.Compiled < first+more; u, _ = r.DeviceUse() {
		time.Sleep(time.Millisecond)
	}
	if now := get(t, r, "m").Info(); r.Ready() != nil || now.Can != was.Info().Can {
		t.Errorf("%v; the model can %s, want %s", r.Ready(), now.Can, was.Info().Can)
	}
	end()
	r.Abandon()
	if err := <-loaded; err == nil {
		t.Error("it is loaded")
	}
}

// The lengths for a size make a batch of that size. Batches of items that are neither shorter nor longer have no other sizes than those that there are
// lengths for.
func TestLengthsFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, r := range []rehearsal{
		{least: 2, most: 3, taken: 1}, {least: 2, most: 12, taken: 1}, {least: 2, most: 64, taken: 1}, {least: 2, most: 100, taken: 1}, {least: 2, most: 512, taken: 1}, {least: 2, most: 4096, taken: 1},
		{least: 5, most: 5, taken: 1}, {least: 50, most: 50, taken: 1}, {least: 101, most: 101, taken: 1}, {least: 2, most: 101, taken: 1},
		{least: 7, most: 25, taken: 2}, {least: 52, most: 114, taken: 2}, {least: 103, most: 165, taken: 2}, {least: 103, most: 613, taken: 2}, {least: 4, most: 165, taken: 2},
	} {
		size := func(lengths []int) engine.Size {
			s := engine.Size{Sequences: r.taken * len(lengths), Longest: slices.Max(lengths)}
			for _, n := range lengths {
				s.Rows += n
			}
			return xla.Smallest(sizes, s)
		}
		type kind struct {
			engine.Size
			alone bool
		}
		there := map[kind]bool{}
		for _, z := range sizes {
			for _, lengths := range r.lengthsFor(z) {
				there[kind{z, len(lengths) == 1}] = true
				if got := size(lengths); got != z || slices.Max(lengths) > r.most || slices.Min(lengths) < r.least || len(lengths)*slices.Max(lengths) > batchRows {
					t.Errorf("%v for %+v, of items of %d to %d, make %+v", lengths, z, r.least, r.most, got)
				}
			}
		}
		for range 3000 {
			longest := r.least + rng.IntN(min(r.most, batchRows)-r.least+1)
			lengths := []int{longest}
			for range rng.IntN(batchRows / max(batches.LeastPlaces, longest)) {
				lengths = append(lengths, r.least+rng.IntN(longest-r.least+1))
			}
			if z := size(lengths); z.Rows == 0 || !there[kind{z, len(lengths) == 1}] {
				t.Fatalf("%v make %+v, and there are no lengths for it", lengths, z)
			}
		}
		t.Logf("%d programs for items of %d to %d, of each of which %d rows are taken", len(there), r.least, r.most, r.taken)
	}
}
