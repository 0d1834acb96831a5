package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/doubles"
)

var tiny = filepath.Join("..", "..", "..", "testdata")

func shape(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(tiny, "shapes", "images", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// With a precision of bf16 models are on a processor that rounds, where it pays.
func TestProcessorOfBFloat16(t *testing.T) {
	choice := device.Choice{Device: device.Processor, Precision: device.BFloat16, Devices: 1}
	want, err := device.Open(choice, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, Options{Device: choice}, "films")
	for _, h := range r.folders["films"].heads {
		if h.Model != nil && h.Model.Device.Name() != want.Name() {
			t.Errorf("the model is on %s, want %s", h.Model.Device.Name(), want.Name())
		}
	}
}

// serve opens models by the names of their folders in testdata.
func serve(t testing.TB, o Options, names ...string) *Registry {
	t.Helper()
	for _, name := range names {
		o.Models = append(o.Models, Source{name, filepath.Join(tiny, name+".model")})
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func get(t testing.TB, r *Registry, name string) Model {
	t.Helper()
	m, err := r.Model(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// question is something that a model is asked, and what the library answers, as the command line prints it.
type question struct {
	ask  func(ctx context.Context) (any, error)
	want any
}

// uncut leaves out what the library does not say.
func uncut(list []Score) []Score {
	for i := range list {
		list[i].Truncated = false
	}
	return list
}

func classless(list []run.Reply) []run.Reply {
	for i := range list {
		list[i].Class = 0
	}
	return list
}

// index makes the index of the pictures of shapes.
func index(t *testing.T) string {
	t.Helper()
	m, err := unimo.OpenRetriever(filepath.Join(tiny, "shapes.model"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dir := filepath.Join(t.TempDir(), "index")
	if err := m.WriteIndex(t.Context(), filepath.Join(tiny, "shapes", "images"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// all are questions of every kind.
func all(t *testing.T, r *Registry) (list []question) {
	ctx := context.Background()
	dir := func(name string) string { return filepath.Join(tiny, name+".model") }
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	texts := []string{"a gripping and funny film", "a blue square", "", "a long dull story without any end and with much rain, a bar, a square, and what not", "red"}
	pictures := [][]byte{shape(t, "red-square"), shape(t, "blue-bar"), shape(t, "green-bar")}

	films, err := unimo.Open(dir("films"))
	check(err)
	defer films.Close()
	for i := range texts {
		want, err := films.Predict(ctx, unimo.Input{Text: texts[i]}, unimo.Input{Text: texts[(i+1)%5], Pair: texts[i]})
		check(err)
		var all []run.Reply
		for _, p := range want {
			all = append(all, run.Reply{Label: p.Label, Probability: p.Probability, Probabilities: p.Probabilities, Score: p.Score, Truncated: p.Truncated})
		}
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, _, err := get(t, r, "films").Classify(ctx, []Input{{Text: texts[i]}, {Text: texts[(i+1)%5], Pair: texts[i]}})
			return classless(got), err
		}, all})
	}

	claims, err := unimo.Open(dir("claims"))
	check(err)
	defer claims.Close()
	for i, picture := range pictures {
		want, err := claims.Predict(ctx, unimo.Input{Text: texts[i], Picture: picture}, unimo.Input{Text: texts[4], Picture: pictures[0]})
		check(err)
		var all []run.Reply
		for _, p := range want {
			all = append(all, run.Reply{Label: p.Label, Probability: p.Probability, Probabilities: p.Probabilities, Score: p.Score, Truncated: p.Truncated})
		}
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, _, err := get(t, r, "claims").Classify(ctx, []Input{{Text: texts[i], Picture: picture}, {Text: texts[4], Picture: pictures[0]}})
			return classless(got), err
		}, all})
	}

	e, err := unimo.OpenEmbedder(dir("shapes"))
	check(err)
	defer e.Close()
	for i := range texts {
		words, err := e.Embed(ctx, texts[i:]...)
		check(err)
		seen, err := e.EmbedPictures(ctx, pictures...)
		check(err)
		var items []Item
		for _, text := range texts[i:] {
			items = append(items, Item{Text: text})
		}
		for _, picture := range pictures {
			items = append(items, Item{Picture: picture})
		}
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, err := get(t, r, "shapes").Embed(ctx, items, EmbedOptions{})
			return got.Vectors, err
		}, append(words, seen...)})
	}

	shapes, err := unimo.OpenRetriever(dir("shapes"))
	check(err)
	defer shapes.Close()
	for _, picture := range pictures {
		matches, err := shapes.Match(ctx, picture, texts...)
		check(err)
		var want []Score
		var documents []Item
		for i, m := range matches {
			want = append(want, Score{Value: float64(m.Score), Probability: m.Probability, Fits: m.Fits})
			documents = append(documents, Item{Text: texts[i]})
		}
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, err := get(t, r, "shapes").Score(ctx, Item{Picture: picture}, documents)
			return uncut(got.List), err
		}, want})
	}
	for i, text := range texts[:2] {
		var want []Score
		var documents []Item
		for _, picture := range pictures {
			match, err := shapes.Match(ctx, picture, text)
			check(err)
			want = append(want, Score{Value: float64(match[0].Score)})
			documents = append(documents, Item{Picture: picture})
		}
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, err := get(t, r, "shapes").Score(ctx, Item{Text: texts[i]}, documents)
			return uncut(got.List), err
		}, want})
	}

	x, err := unimo.OpenIndex(r.o.Index)
	check(err)
	defer x.Close()
	plain := func(list []unimo.Found) (plain []Found) {
		for _, f := range list {
			plain = append(plain, Found{ID: filepath.Base(f.Path), Similarity: f.Similarity, Ranked: f.Ranked, Score: Score{Value: f.Match}})
		}
		return plain
	}
	for i, text := range texts {
		want, err := x.Search(ctx, text, i+1)
		check(err)
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, _, err := get(t, r, "shapes").Search(ctx, Item{Text: text}, i+1)
			return got, err
		}, plain(want)})
	}
	for i, picture := range pictures {
		want, err := x.Similar(ctx, picture, i+1)
		check(err)
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, _, err := get(t, r, "shapes").Search(ctx, Item{Picture: picture}, i+1)
			return got, err
		}, plain(want)})
	}

	headlines, err := unimo.OpenGenerator(dir("headlines"))
	check(err)
	defer headlines.Close()
	for i, text := range texts {
		if text == "" {
			continue
		}
		for _, seed := range []uint64{0, 3} {
			d := headlines.Decoding()
			d.Sample, d.Seed, d.MaxLength = seed > 0, seed, d.MaxLength-i
			d.MinLength = min(d.MinLength, d.MaxLength)
			want, err := headlines.GenerateWith(ctx, d, unimo.Request{Texts: []string{text}})
			check(err)
			list = append(list, question{func(ctx context.Context) (any, error) {
				var told strings.Builder
				emit := func(piece string) error { told.WriteString(piece); return nil }
				if i%2 == 1 {
					emit = nil
				}
				got, err := get(t, r, "headlines").Generate(ctx, GenerateRequest{Texts: []string{text}, Decoding: Decoding{Sample: &d.Sample, Seed: &d.Seed, MaxLength: &d.MaxLength}}, emit)
				if emit != nil && err == nil && told.String() != got.Text {
					err = fmt.Errorf("told %q of %q", told.String(), got.Text)
				}
				return unimo.Text{Text: got.Text, Score: got.Score, Finished: got.Finished}, err
			}, want[0]})
		}
	}

	captions, err := unimo.OpenCaptioner(dir("captions"))
	check(err)
	defer captions.Close()
	for _, picture := range pictures {
		want, err := captions.Caption(ctx, picture)
		check(err)
		list = append(list, question{func(ctx context.Context) (any, error) {
			got, err := get(t, r, "captions").Caption(ctx, picture, Decoding{})
			return unimo.Text{Text: got.Text, Score: got.Score, Finished: got.Finished}, err
		}, want})
	}

	answerer, err := unimo.OpenAnswerer(dir("questions"))
	check(err)
	defer answerer.Close()
	for _, picture := range pictures {
		for k := range 2 {
			want, err := answerer.AskTop(ctx, k+1, picture, "what colour is it?")
			check(err)
			var all []run.Scored
			for _, a := range want[0] {
				all = append(all, run.Scored{Answer: a.Text, Probability: a.Probability})
			}
			list = append(list, question{func(ctx context.Context) (any, error) {
				got, _, err := get(t, r, "questions").Ask(ctx, picture, "what colour is it?", k+1)
				for i := range got.Best {
					got.Best[i].Logit = 0
				}
				return got.Best, err
			}, all})
		}
	}
	return list
}

// The answers to requests that go through the models together, whatever else is asked, are those of the library to each alone, bit for bit.
func TestAnswersDoNotDependOnTheBatch(t *testing.T) {
	doubles.NoLeak(t)
	threads(t, 3) // so many batches of a model at a time
	r := serve(t, Options{Index: index(t)}, "films", "claims", "shapes", "headlines", "captions", "questions")
	list := all(t, r)
	for i, q := range list {
		if got, err := q.ask(context.Background()); err != nil || !reflect.DeepEqual(got, q.want) {
			t.Errorf("question %d alone: %v, %v, want %v", i, got, err, q.want)
		}
	}
	for round := range 3 {
		rng := rand.New(rand.NewPCG(1, uint64(round)))
		var order []int
		for range 3 {
			order = append(order, rng.Perm(len(list))...)
		}
		// Some ask at once; while the gate is closed all of the others get into the queues.
		for range cap(r.gate) {
			r.gate <- struct{}{}
		}
		var wait sync.WaitGroup
		for _, i := range order {
			wait.Go(func() {
				q := list[i]
				if got, err := q.ask(context.Background()); err != nil || !reflect.DeepEqual(got, q.want) {
					t.Errorf("question %d among others: %v, %v, want %v", i, got, err, q.want)
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		for range cap(r.gate) {
			<-r.gate
		}
		wait.Wait()
	}
}

// counting counts batches.
type counting struct {
	silent
	mu      sync.Mutex
	batches []Batch
	refused int
}

func (c *counting) Ran(_ string, b Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches = append(c.batches, b)
}

func (c *counting) Refused(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
}

// held closes the gate of a registry, and returns what opens it.
func held(r *Registry) func() {
	for range cap(r.gate) {
		r.gate <- struct{}{}
	}
	return sync.OnceFunc(func() {
		for range cap(r.gate) {
			<-r.gate
		}
	})
}

// threads sets the number of threads for a test.
func threads(t *testing.T, n int) {
	before := parallel.Threads()
	parallel.SetThreads(n)
	t.Cleanup(func() { parallel.SetThreads(before) })
}

// queued waits until so many requests wait for a model.
func queued(t *testing.T, r *Registry, name string, n int) {
	t.Helper()
	q := r.folders[name].queue
	for range 500 {
		q.mu.Lock()
		have := len(q.waiting)
		q.mu.Unlock()
		if have == n {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("there are not %d requests in the queue", n)
}

// Requests of many clients go through the model together, also searches, and texts that are written with lengths and seeds of their own.
func TestRequestsShareBatches(t *testing.T) {
	threads(t, 2)
	dir := index(t)
	yes := true
	for _, c := range []struct {
		model, work string
		n, groups   int // requests, and groups of them that may go together
		ask         func(m Model, i int) error
	}{
		{"films", "classify", 20, 1, func(m Model, i int) error {
			_, _, err := m.Classify(t.Context(), []Input{{Text: fmt.Sprint("film ", i)}})
			return err
		}},
		{"headlines", "generate", 8, 1, func(m Model, i int) error {
			length := 3 + i
			_, err := m.Generate(t.Context(), GenerateRequest{Texts: []string{fmt.Sprint("film ", i)}, Decoding: Decoding{MaxLength: &length}}, nil)
			return err
		}},
		{"headlines", "generate", 8, 1, func(m Model, i int) error {
			seed := uint64(i)
			_, err := m.Generate(t.Context(), GenerateRequest{Texts: []string{"a film"}, Decoding: Decoding{Sample: &yes, Seed: &seed}}, func(string) error { return nil })
			return err
		}},
		{"captions", "generate", 6, 1, func(m Model, i int) error {
			_, err := m.Caption(t.Context(), shape(t, "red-bar"), Decoding{})
			return err
		}},
		{"shapes", "search", 20, 1, func(m Model, i int) error {
			_, _, err := m.Search(t.Context(), Item{Picture: shape(t, "red-bar")}, 1+i%3)
			return err
		}},
		{"shapes", "search", 6, 2, func(m Model, i int) error {
			_, _, err := m.Search(t.Context(), Item{Text: fmt.Sprint("a bar ", i)}, 1+i)
			return err
		}},
	} {
		var counted counting
		o := Options{Observer: &counted}
		if c.work == "search" {
			o.Index = dir
		}
		r := serve(t, o, c.model)
		open := held(r)
		var wait sync.WaitGroup
		for i := range c.n {
			wait.Go(func() {
				if err := c.ask(get(t, r, c.model), i); err != nil {
					t.Error(err)
				}
			})
		}
		queued(t, r, c.model, c.n)
		open()
		wait.Wait()
		// Two lanes have half each; a batch that ends before the next is taken leaves half of the rest to that, and so on.
		largest, sum := 0, 0
		for _, b := range counted.batches {
			largest, sum = max(largest, b.Requests), sum+b.Items
			if b.Work != c.work {
				t.Errorf("%s of %s: a batch of %s", c.work, c.model, b.Work)
			}
		}
		if sum != c.n || largest < c.n/c.groups/2 || len(counted.batches) > c.n/2+1 {
			t.Errorf("%s of %s: batches %+v", c.work, c.model, counted.batches)
		}
	}
}

// A long request does not keep short ones waiting until its end.
func TestLongRequestsShare(t *testing.T) {
	var c counting
	r := serve(t, Options{Observer: &c}, "films")
	open := held(r)
	var wait sync.WaitGroup
	ask := func(name string, n int) {
		wait.Go(func() {
			list, _, err := get(t, r, "films").Classify(context.Background(), slices.Repeat([]Input{{Text: strings.Repeat("a film ", 30)}}, n))
			if err != nil || len(list) != n || slices.ContainsFunc(list, func(p run.Reply) bool { return p.Label == "" }) {
				t.Errorf("%s: %d answers, %v", name, len(list), err)
			}
		})
	}
	ask("long", 500)
	queued(t, r, "films", 1)
	ask("short", 1)
	queued(t, r, "films", 2)
	open()
	wait.Wait()
	if len(c.batches) < 3 {
		t.Errorf("%d batches", len(c.batches))
	}
	for i, b := range c.batches {
		if b.Tokens > batchRows || b.Requests == 2 && i > len(c.batches)/2 { // the short one is in the first; others may end before it
			t.Errorf("batch %d: %+v", i, b)
		}
	}
	if !slices.ContainsFunc(c.batches, func(b Batch) bool { return b.Requests == 2 }) {
		t.Errorf("the short one waited for the long one: %+v", c.batches)
	}
}

func TestQueueIsBounded(t *testing.T) {
	var c counting
	r := serve(t, Options{Observer: &c, Queue: 3}, "films")
	open := held(r)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, _, err := get(t, r, "films").Classify(context.Background(), make([]Input, 3)); err != nil {
			t.Error(err)
		}
	})
	queued(t, r, "films", 1)
	begin := time.Now()
	_, _, err := get(t, r, "films").Classify(context.Background(), make([]Input, 1))
	if e := AsError(err); e == nil || e.Kind != Overloaded || e.RetryAfter < time.Second || e.Limit != 3 || c.refused != 1 || time.Since(begin) > time.Second {
		t.Errorf("%#v, %d refused", err, c.refused)
	}
	open()
	wait.Wait()
	if _, _, err := get(t, r, "films").Classify(context.Background(), make([]Input, 10)); err != nil { // more than the queue takes, when nothing waits
		t.Error(err)
	}
}

// A full queue refuses pictures before they are read, which these could not be.
func TestFullQueueReadsNoPictures(t *testing.T) {
	r := serve(t, Options{Queue: 3}, "shapes")
	open := held(r)
	texts := []Item{{Text: "a"}, {Text: "b"}, {Text: "c"}}
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := get(t, r, "shapes").Embed(context.Background(), texts, EmbedOptions{}); err != nil {
			t.Error(err)
		}
	})
	queued(t, r, "shapes", 1)
	none := []Item{{Picture: []byte("none")}}
	for _, want := range []Kind{Overloaded, Invalid} {
		if err := r.Busy(); (err != nil) != (want == Overloaded) {
			t.Errorf("busy: %v", err)
		}
		_, err := get(t, r, "shapes").Embed(context.Background(), none, EmbedOptions{})
		if e := AsError(err); e == nil || e.Kind != want {
			t.Errorf("%v, want %v", err, want)
		}
		open()
		wait.Wait()
	}
	if q := r.folders["shapes"].queue; q.items != 0 || q.rows != 0 || q.coming != 0 {
		t.Errorf("%d items, %d rows and %d that come are left", q.items, q.rows, q.coming)
	}
}

func TestClientsThatLeave(t *testing.T) {
	doubles.NoLeak(t)
	var c counting
	r := serve(t, Options{Observer: &c}, "films", "headlines")
	open := held(r)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			_, _, err := get(t, r, "films").Classify(ctx, make([]Input, 5))
			if e := AsError(err); e == nil || e.Kind != Canceled || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
	queued(t, r, "films", 10)
	cancel()
	wait.Wait()
	queued(t, r, "films", 0)
	if q := r.folders["films"].queue; q.items != 0 {
		t.Errorf("%d items are left in the queue", q.items)
	}
	open()
	// One that takes no more of a text.
	gone := errors.New("gone")
	_, err := get(t, r, "headlines").Generate(context.Background(), GenerateRequest{Texts: []string{"a film"}}, func(string) error { return gone })
	if e := AsError(err); e == nil || e.Kind != Canceled || !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, _, err := get(t, r, "films").Classify(context.Background(), make([]Input, 5)); err != nil {
		t.Error(err)
	}
}

// A batch that nobody waits for any more is stopped, and one request's error is not another's.
func TestBatchEndsWithItsCallers(t *testing.T) {
	q := newQueue("m", 100, 100, lanes{1, 1, batchRows}, make(chan struct{}, 1), silent{})
	defer q.close()
	running, stopped := make(chan struct{}), make(chan struct{})
	slow := &work{"slow", func(ctx context.Context, parts []part) error {
		close(running)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-running; cancel() }()
	if err := q.do(ctx, &request{work: slow, rows: []int{1}}); AsError(err).Kind != Canceled {
		t.Error(err)
	}
	<-stopped

	begun, hold := make(chan struct{}, 10), make(chan struct{})
	bad := &work{"bad", func(_ context.Context, parts []part) error {
		begun <- struct{}{}
		<-hold
		for _, p := range parts {
			if p.data == "panic" {
				panic("oh")
			}
			if p.data == "error" {
				return Errorf(Invalid, "input", "no")
			}
		}
		return nil
	}}
	var wait sync.WaitGroup
	wait.Go(func() { q.do(context.Background(), &request{work: bad, rows: []int{1}}) }) // keeps the model busy
	<-begun
	for data, want := range map[string]string{"good": "", "error": "no", "panic": "the server failed; its log says why"} {
		wait.Go(func() {
			err := q.do(context.Background(), &request{work: bad, rows: []int{1, 1}, data: data})
			if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
				t.Errorf("%s: %v", data, err)
			}
			if data == "panic" && !strings.Contains(errors.Unwrap(err).Error(), "queue.go") {
				t.Errorf("the log does not get the stack: %v", errors.Unwrap(err))
			}
		})
	}
	for {
		q.mu.Lock()
		n := len(q.waiting)
		q.mu.Unlock()
		if n == 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(hold)
	wait.Wait()
}

// As many batches of a model as threads are in it at a time, each has its part of what waits, and others' clients may leave meanwhile.
func TestBatchesSideBySide(t *testing.T) {
	threads(t, 2)
	gate := make(chan struct{}, 3)
	q := newQueue("m", 100, 1<<20, lanes{2, 2, batchRows}, gate, silent{})
	defer q.close()
	inside, ends := make(chan int, 10), make(chan error, 10)
	one := &work{"one", func(ctx context.Context, parts []part) error {
		inside <- len(parts)
		select {
		case err := <-ends:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	for range cap(gate) {
		gate <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for i := range 6 {
		wait.Go(func() {
			asks := context.Background()
			if i < 3 {
				asks = ctx
			}
			if err := q.do(asks, &request{work: one, rows: []int{10}}); (err != nil) != (i < 3) {
				t.Errorf("request %d: %v", i, err)
			}
		})
		for {
			q.mu.Lock()
			n := len(q.waiting)
			q.mu.Unlock()
			if n == i+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	for range cap(gate) {
		<-gate
	}
	if a, b := <-inside, <-inside; a != 3 || b != 3 {
		t.Errorf("batches of %d and %d requests, want 3 and 3", a, b)
	}
	cancel() // those of the first batch leave; the second goes on
	time.Sleep(10 * time.Millisecond)
	ends <- nil
	wait.Wait()
	if n := len(inside); n != 0 {
		t.Errorf("%d more batches", n)
	}
}

// While models are opened again requests are answered, those that came before as those that come after.
func TestReload(t *testing.T) {
	doubles.NoLeak(t)
	r := serve(t, Options{}, "films", "shapes")
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				m := get(t, r, "films")
				if _, _, err := m.Classify(context.Background(), []Input{{Text: "a film"}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	old := r.folders["films"]
	for range 5 {
		if err := r.Load(context.Background()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wait.Wait()
	if r.folders["films"] == old || !old.queue.closed {
		t.Error("the old model is still there")
	}
}

func TestReady(t *testing.T) {
	r, err := New(Options{Models: []Source{{"films", filepath.Join(tiny, "films.model")}}})
	if err != nil {
		t.Fatal(err)
	}
	if e := AsError(r.Ready()); e == nil || e.Kind != Unavailable || r.Loaded() == nil {
		t.Error(e, r.Loaded())
	}
	if _, err := r.Model(""); AsError(err).Kind != Unavailable {
		t.Error(err)
	}
	if err := r.Load(context.Background()); err != nil || r.Ready() != nil {
		t.Error(err, r.Ready())
	}
	r.Drain()
	if e := AsError(r.Ready()); e == nil || e.Kind != Unavailable || r.Loaded() != nil || len(r.List()) != 1 {
		t.Error(e, r.Loaded(), r.List())
	}
	if m, err := r.Model(""); err != nil {
		t.Error(err)
	} else if _, _, err := m.Classify(context.Background(), []Input{{Text: "x"}}); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil || r.Loaded() == nil {
		t.Error(err, r.Loaded())
	}
	if _, err := r.Model(""); AsError(err).Kind != Unavailable {
		t.Error(err)
	}
}

// The tasks of a model share its weights.
func TestTasksShareWeights(t *testing.T) {
	r, err := New(Options{Models: []Source{{"demo", filepath.Join("..", "..", "demo", "model")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	info := get(t, r, "").Info()
	if len(info.Details.Tasks) < 3 || len(r.List()) != 1+len(info.Details.Tasks) {
		t.Fatalf("%+v", info)
	}
	var sum int64
	for _, task := range info.Details.Tasks {
		sum += get(t, r, "demo/"+task).Info().Details.Parameters
	}
	if n := info.Details.Parameters; n == 0 || sum < 2*n {
		t.Errorf("%d parameters together, %d of the tasks: they share too few", n, sum)
	}
	if !info.Can.Has(CanClassifyPicture | CanCaption | CanAsk | CanMatch | CanScore | CanEmbedText | CanEmbedPicture) {
		t.Errorf("it can %s", info.Can)
	}
	// It was trained for vectors alone: pictures and texts are compared by these.
	if s, err := get(t, r, "").Score(context.Background(), Item{Text: "a red bar"}, []Item{{Picture: shape(t, "red-bar")}}); err != nil || !s.Similarity {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := r.Model("demo/none"); AsError(err).Kind != NotFound {
		t.Error(err)
	}
}

func TestSearch(t *testing.T) {
	dir := index(t)
	x, err := unimo.OpenIndex(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	r := serve(t, Options{Index: dir}, "films", "shapes")
	s := get(t, r, "shapes")
	want, err := x.Search(context.Background(), "a blue square", 3)
	if err != nil {
		t.Fatal(err)
	}
	got, use, err := s.Search(context.Background(), Item{Text: "a blue square"}, 3)
	if err != nil || len(got) != 3 || use != (Usage{Tokens: 15}) {
		t.Fatal(got, use, err)
	}
	for i, f := range got {
		if filepath.Base(want[i].Path) != f.ID || want[i].Similarity != f.Similarity || want[i].Match != f.Score.Value || !f.Ranked {
			t.Errorf("%+v, want %+v", f, want[i])
		}
	}
	like, use, err := s.Search(context.Background(), Item{Picture: shape(t, "red-bar")}, 100)
	if err != nil || len(like) != 6 || like[0].ID != "red-bar.png" || like[0].Similarity > 1 || use != (Usage{Pictures: 1}) {
		t.Error(like, use, err)
	}
	ids, total, err := s.Pictures(context.Background(), 4, 10)
	if err != nil || total != 6 || len(ids) != 2 {
		t.Error(ids, total, err)
	}
	if raw, err := s.Picture(context.Background(), "red-bar.png"); err != nil || string(raw) != string(shape(t, "red-bar")) {
		t.Error(err)
	}
	for _, id := range []string{"../captions.csv", "none.png", ""} {
		if _, err := s.Picture(context.Background(), id); AsError(err).Kind != NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, c := range []struct {
		r           *Registry
		model, says string
	}{
		{r, "films", "model films does not search; models for retrieval with vectors of pictures (contrast_size) do; it can: embed_text, classify"},
		{serve(t, Options{}, "shapes"), "shapes", "(--index)"},
	} {
		m := get(t, c.r, c.model)
		_, _, err := m.Search(t.Context(), Item{Text: "x"}, 1)
		_, _, listed := m.Pictures(t.Context(), 0, 1)
		_, shown := m.Picture(t.Context(), "red-bar.png")
		for _, err := range []error{err, listed, shown} {
			if e := AsError(err); e == nil || e.Kind != Cannot || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "--index") != strings.Contains(c.says, "--index") {
				t.Errorf("%s: %v", c.model, err)
			}
		}
	}
	bad, err := New(Options{Models: []Source{{"films", filepath.Join(tiny, "films.model")}}, Index: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if err := bad.Load(context.Background()); err == nil || !strings.Contains(err.Error(), "made by none") {
		t.Error(err)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	r := serve(t, Options{MaxTokens: 20}, "films")
	_, _, err := get(t, r, "films").Classify(context.Background(), slices.Repeat([]Input{{Text: "a film"}}, 10))
	if e := AsError(err); e == nil || e.Kind != TooLarge || e.Limit != 20 {
		t.Error(err)
	}
	if _, _, err := get(t, r, "films").Classify(context.Background(), []Input{{Text: "a film"}}); err != nil {
		t.Error(err)
	}
}

// A picture is not decoded any further for a client that has left.
func TestDecodingEndsWithItsCaller(t *testing.T) {
	r := serve(t, Options{}, "shapes")
	_, err := get(t, r, "shapes").Embed(doubles.Lasts(3), []Item{{Picture: shape(t, "red-bar")}}, EmbedOptions{})
	if e := AsError(err); e == nil || e.Kind != Canceled {
		t.Error(err)
	}
}

func TestWrongRequests(t *testing.T) {
	r := serve(t, Options{MaxPixels: 255}, "shapes", "films", "headlines", "captions", "claims")
	ctx := context.Background()
	m, films := get(t, r, "shapes"), get(t, r, "films")
	second := func(_ any, err error) error { return err }
	normal := false
	for name, c := range map[string]struct {
		err  error
		kind Kind
		says string
	}{
		"pixels":      {second(m.Embed(ctx, []Item{{Picture: shape(t, "red-bar")}}, EmbedOptions{})), TooLarge, "16 x 16"},
		"no picture":  {second(m.Embed(ctx, []Item{{Picture: []byte("hello")}}, EmbedOptions{})), Invalid, ""},
		"dimensions":  {second(m.Embed(ctx, []Item{{Text: "a"}}, EmbedOptions{Dimensions: 9})), Invalid, "vectors of 8"},
		"prompt":      {second(m.Embed(ctx, []Item{{Text: "a"}}, EmbedOptions{Prompt: "query"})), Invalid, "query"},
		"length":      {second(m.Embed(ctx, []Item{{Text: "a"}}, EmbedOptions{Normalize: &normal})), Invalid, "length 1"},
		"ids":         {second(m.Embed(ctx, []Item{{Tokens: []int{5, 100000}}}, EmbedOptions{})), Invalid, "100000"},
		"large ids":   {second(m.Embed(ctx, []Item{{Tokens: []int{1 << 40}}}, EmbedOptions{})), Invalid, "vocabulary"},
		"strict":      {second(m.Embed(ctx, []Item{{Text: strings.Repeat("film ", 50)}}, EmbedOptions{Strict: true})), TooLarge, "20 tokens"},
		"task":        {second(films.Embed(ctx, []Item{{Picture: shape(t, "red-bar")}}, EmbedOptions{})), Cannot, "films"},
		"no text":     {second(get(t, r, "headlines").Generate(ctx, GenerateRequest{}, nil)), Invalid, "text"},
		"passage":     {second(get(t, r, "headlines").Generate(ctx, GenerateRequest{Texts: []string{"a"}, Passage: "b"}, nil)), Invalid, "conversations"},
		"beam":        {second(get(t, r, "headlines").Generate(ctx, GenerateRequest{Texts: []string{"a"}, Decoding: Decoding{Beam: new(int)}}, nil)), Invalid, "beam_size"},
		"bad caption": {second(get(t, r, "captions").Caption(ctx, []byte("x"), Decoding{})), Invalid, ""},
	} {
		if e := AsError(c.err); e == nil || e.Kind != c.kind || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, c.err, c.kind, c.says)
		}
	}
	if _, _, err := get(t, r, "claims").Classify(ctx, []Input{{Text: "a"}}); AsError(err).Kind != Invalid {
		t.Error(err)
	}
}

func TestEmbedOptions(t *testing.T) {
	r := serve(t, Options{}, "shapes")
	m := get(t, r, "")
	all, err := m.Embed(context.Background(), []Item{{Text: "a blue square"}}, EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	some, err := m.Embed(context.Background(), []Item{{Text: "a blue square"}}, EmbedOptions{Dimensions: 3})
	if err != nil || len(some.Vectors[0]) != 3 {
		t.Fatal(some, err)
	}
	if n := dot(some.Vectors[0], some.Vectors[0]); n < 0.999999 || n > 1.000001 || some.Vectors[0][0]*all.Vectors[0][1] == 0 {
		t.Errorf("%v of %v", some, all)
	}
	// The ids of a text are the text, with those that stand around it or without.
	for _, special := range []bool{true, false} {
		list, err := m.Tokenize(context.Background(), "a blue square", special)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		for _, tok := range list {
			ids = append(ids, tok.ID)
		}
		again, err := m.Embed(context.Background(), []Item{{Tokens: ids}}, EmbedOptions{})
		if err != nil || !reflect.DeepEqual(again, all) {
			t.Errorf("%v, %v", again, err)
		}
	}
}

// A model that was trained for something else makes vectors of texts as "unimo embed" does, with the weights that it has.
func TestEncoders(t *testing.T) {
	for _, dir := range []string{"films", "headlines", "captions", "claims"} {
		r := serve(t, Options{}, dir)
		e, err := unimo.OpenEmbedder(filepath.Join(tiny, dir+".model"))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		want, err := e.Embed(t.Context(), "a blue square", "red")
		if err != nil {
			t.Fatal(err)
		}
		m := get(t, r, dir)
		got, err := m.Embed(t.Context(), []Item{{Text: "a blue square"}, {Text: "red"}}, EmbedOptions{})
		if err != nil || !reflect.DeepEqual(got.Vectors, want) {
			t.Errorf("%s: %v, %v, want %v", dir, got.Vectors, err, want)
		}
		if i := m.Info(); !i.Can.Has(CanEmbedText) || i.Can.Has(CanEmbedPicture) || i.Can.Has(CanScore) || !i.Details.Encoder || i.Dimension != len(want[0]) {
			t.Errorf("%s: %+v", dir, i)
		}
	}
}

// A folder of sentence-transformers is asked as it says, or otherwise where a request says so: the vectors are the library's.
func TestSentenceTransformers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "st")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "embed", "testdata", "bert"))); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"modules.json":                      `[{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}, {"path": "2_Normalize", "type": "a.Normalize"}]`,
		"1_Pooling/config.json":             `{"pooling_mode_mean_tokens": true, "include_prompt": false}`,
		"config_sentence_transformers.json": `{"prompts": {"query": "a dog ", "none": ""}}`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := New(Options{Models: []Source{{"st", dir}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	m, ctx := get(t, r, ""), context.Background()
	if info := m.Info(); !slices.Equal(info.Details.Prompts, []string{"none", "query"}) || !info.Details.Normalized || info.Details.Parameters == 0 || info.Can != CanEmbedText|CanScore {
		t.Errorf("%+v", info)
	}
	for name, want := range map[string]string{"": "", "none": "", "query": "a dog "} {
		if text, err := m.Prompt(ctx, name); text != want || err != nil {
			t.Errorf("prompt %q: %q %v", name, text, err)
		}
	}
	if _, err := m.Prompt(ctx, "passage"); AsError(err).Kind != Invalid || !strings.Contains(err.Error(), "query") {
		t.Error(err)
	}
	items := []Item{{Text: "a dog runs"}, {Text: "two men play chess and a dog"}, {Text: ""}}
	no := false
	var wait sync.WaitGroup
	for _, c := range []struct {
		o    EmbedOptions
		with []unimo.Option
	}{
		{EmbedOptions{}, nil}, {EmbedOptions{Prompt: "query"}, []unimo.Option{unimo.Prompt("query")}}, {EmbedOptions{Normalize: &no}, []unimo.Option{unimo.Normalized(false)}},
		{EmbedOptions{Prompt: "query", Normalize: &no}, []unimo.Option{unimo.Prompt("query"), unimo.Normalized(false)}},
	} {
		e, err := unimo.OpenEmbedder(dir, c.with...)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		want, err := e.Embed(ctx, items[0].Text, items[1].Text, items[2].Text)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			wait.Go(func() {
				if got, err := m.Embed(ctx, items, c.o); err != nil || !reflect.DeepEqual(got.Vectors, want) {
					t.Errorf("%+v: %v, %v, want %v", c.o, got.Vectors, err, want)
				}
			})
		}
	}
	wait.Wait()
	tokenVectors(t, m, items)
	s, err := m.Score(ctx, items[0], []Item{items[1], items[0]})
	if err != nil || !s.Similarity || s.List[1].Value < 0.99999 || s.List[0].Value >= s.List[1].Value {
		t.Errorf("%+v, %v", s, err)
	}
	bar := Item{Picture: shape(t, "red-bar")}
	for name, ask := range map[string]func() error{
		"score a text":    func() error { _, err := m.Score(ctx, items[0], []Item{bar}); return err },
		"score a picture": func() error { _, err := m.Score(ctx, bar, items); return err },
		"embed":           func() error { _, err := m.Embed(ctx, []Item{items[0], bar}, EmbedOptions{}); return err },
		"caption":         func() error { _, err := m.Caption(ctx, bar.Picture, Decoding{}); return err },
		"classify":        func() error { _, _, err := m.Classify(ctx, []Input{{Text: "a", Picture: bar.Picture}}); return err },
	} {
		const want = "model st does not read pictures; it can: embed_text, score"
		if err := ask(); AsError(err).Kind != Cannot || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// tokenVectors holds the vectors of tokens of a model with a mean of them against its vectors. They are the same bits alone and together.
func tokenVectors(t *testing.T, m Model, items []Item) {
	ctx, no := t.Context(), false
	for _, prompt := range []string{"", "query"} {
		together, use, err := m.EmbedTokens(ctx, items, EmbedOptions{Prompt: prompt})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := m.Embed(ctx, items, EmbedOptions{Prompt: prompt, Normalize: &no})
		if err != nil || whole.Usage != use {
			t.Fatal(whole.Usage, use, err)
		}
		for i, it := range items {
			alone, _, err := m.EmbedTokens(ctx, []Item{it}, EmbedOptions{Prompt: prompt})
			if err != nil || !reflect.DeepEqual(alone[0], together[i]) {
				t.Errorf("%q %+v: %v alone, %v together, %v", prompt, it, alone, together[i], err)
			}
			text, err := m.Tokenize(ctx, it.Text, true)
			if err != nil {
				t.Fatal(err)
			}
			rows := together[i][len(together[i])-len(text):] // without those of the prompt, which do not count
			if prompt == "" && len(rows) != len(together[i]) {
				t.Errorf("%d vectors of %d tokens", len(together[i]), len(text))
			}
			if prompt != "" {
				rows = rows[1:] // [CLS] is before the prompt
			}
			for k, want := range whole.Vectors[i] {
				sum := 0.0
				for _, row := range rows {
					sum += float64(row[k])
				}
				if got := sum / float64(len(rows)); math.Abs(got-float64(want)) > 1e-5 {
					t.Errorf("%q %+v: the mean of value %d is %v, want %v", prompt, it, k, got, want)
				}
			}
		}
	}
	if _, _, err := m.EmbedTokens(ctx, []Item{{Text: strings.Repeat("a dog ", 1000)}}, EmbedOptions{Strict: true}); AsError(err).Kind != TooLarge {
		t.Error(err)
	}
	most := m.Info().MaxTokens
	many := slices.Repeat([]Item{{Text: strings.Repeat("a ", most)}}, mostTokenValues/m.Info().Dimension/most+1)
	if _, _, err := m.EmbedTokens(ctx, many, EmbedOptions{}); AsError(err).Kind != TooLarge || AsError(err).Limit != mostTokenValues/m.Info().Dimension {
		t.Error(err)
	}
}

// What was cut into tokens is the text again, and tokens that no vocabulary has are named.
func TestDetokenize(t *testing.T) {
	r := serve(t, Options{}, "films", "shapes")
	m, ctx := get(t, r, "films"), t.Context()
	const text = "a gripping and funny film, isn't it?"
	list, err := m.Tokenize(ctx, text, true)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, token := range list {
		ids = append(ids, token.ID)
	}
	if prompt, err := m.Prompt(ctx, ""); prompt != "" || err != nil {
		t.Errorf("prompt %q, %v", prompt, err)
	}
	if _, err := m.Prompt(ctx, "query"); AsError(err).Kind != Invalid || !strings.Contains(err.Error(), "no prompts") {
		t.Error(err)
	}
	for special, want := range map[bool]string{false: text, true: "[CLS]" + text + "[SEP]"} {
		if got, err := m.Detokenize(ctx, ids, special); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	for _, id := range []int{-1, 1 << 20, 1 << 40} {
		if _, err := m.Detokenize(ctx, []int{ids[0], id}, true); AsError(err).Kind != Invalid || AsError(err).Param != "ids" || !strings.Contains(err.Error(), fmt.Sprint(id)) {
			t.Errorf("%d: %v", id, err)
		}
	}
	if _, _, err := get(t, r, "shapes").EmbedTokens(ctx, []Item{{Text: text}}, EmbedOptions{}); AsError(err).Kind != Cannot || !strings.Contains(err.Error(), "none for its tokens") {
		t.Error(err)
	}
}

// Classifiers and cross-encoders of transformers are served as they come.
func TestTransformersModels(t *testing.T) {
	var logged bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&logged, nil))}
	for i, name := range []string{"bert-classifier", "bert-scorer", "bert-encoder", "bert-classifier"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "model", "testdata", "huggingface", name))); err != nil {
			t.Fatal(err)
		}
		words := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\nis\ngood\nbad\n"
		for i := range 260 {
			words += fmt.Sprintf("w%d\n", i)
		}
		if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(words), 0o644); err != nil {
			t.Fatal(err)
		}
		if i == 3 { // its head is no classifier's
			raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			raw = bytes.Replace(raw, []byte("BertForSequence"), []byte("BertForToken"), 1)
			if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
				t.Fatal(err)
			}
			name = "tokens"
		}
		o.Models = append(o.Models, Source{name, dir})
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx := context.Background()
	if err := r.Load(ctx); err != nil {
		t.Fatal(err)
	}
	query, documents := "the film is good", []string{"the film", "bad", "is the film bad"}
	if log := logged.String(); strings.Count(log, "head is not used") != 1 || !strings.Contains(log, "it is of a BertForTokenClassification") {
		t.Errorf("logged: %s", log)
	}
	for i, can := range []Capability{CanClassify | CanEmbedText, CanClassify | CanScore | CanEmbedText, CanEmbedText | CanScore, CanEmbedText | CanScore} {
		m := get(t, r, o.Models[i].Name)
		info := m.Info()
		if info.Can != can || i == 0 && !slices.Equal(info.Labels, []string{"LABEL_0", "LABEL_1", "LABEL_2"}) || i > 0 && info.Labels != nil {
			t.Errorf("%+v", info)
		}
		if i >= 2 {
			continue
		}
		own, err := unimo.Open(o.Models[i].Dir)
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		var items []Item
		var inputs []Input
		var asked []unimo.Input
		for _, d := range documents {
			items, inputs, asked = append(items, Item{Text: d}), append(inputs, Input{Text: query, Pair: d}), append(asked, unimo.Input{Text: query, Pair: d})
		}
		want, err := own.Predict(ctx, asked...)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := m.Classify(ctx, inputs)
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if got[k].Score != want[k].Score || got[k].Label != want[k].Label || !slices.Equal(got[k].Probabilities, want[k].Probabilities) {
				t.Errorf("%s: %+v, want %+v", m.Info().ID, got[k], want[k])
			}
		}
		if !can.Has(CanScore) {
			continue
		}
		s, err := m.Score(ctx, Item{Text: query}, items)
		if err != nil || s.Similarity {
			t.Fatalf("%+v, %v", s, err)
		}
		for k := range want {
			if s.List[k].Value != want[k].Score || s.Relevance(k) != Logistic(want[k].Score) {
				t.Errorf("document %d: %+v, relevance %v, want %v", k, s.List[k], s.Relevance(k), want[k].Score)
			}
		}
	}
}

func TestTokenize(t *testing.T) {
	r := serve(t, Options{}, "shapes")
	const text = "A blue  square, café"
	list, err := get(t, r, "").Tokenize(context.Background(), text, true)
	if err != nil || len(list) < 4 || !list[0].Special || !list[len(list)-1].Special {
		t.Fatal(list, err)
	}
	at := 0
	for _, tok := range list[1 : len(list)-1] {
		if tok.Start < 0 {
			continue
		}
		if tok.Start < at || tok.Stop <= tok.Start || tok.Stop > len(text) {
			t.Errorf("%+v behind byte %d", tok, at)
		}
		at = tok.Stop
	}
	if at < len("A blue  square") {
		t.Errorf("no token has a place behind byte %d: %+v", at, list)
	}
}

// A folder that cannot be opened is an error, and leaves the models that are there.
func TestWhatCannotBeOpened(t *testing.T) {
	doubles.NoLeak(t)
	dir := filepath.Join(t.TempDir(), "m")
	r, err := New(Options{Models: []Source{{"films", filepath.Join(tiny, "films.model")}, {"m", dir}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(tiny, "films.model"))); err != nil {
		t.Fatal(err)
	}
	if err := r.Load(context.Background()); err != nil || r.Ready() != nil {
		t.Error(err, r.Ready())
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Load(context.Background()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, _, err := get(t, r, "m").Classify(context.Background(), make([]Input, 1)); err != nil || r.Ready() != nil {
		t.Error(err, r.Ready())
	}
}

func TestSourceOf(t *testing.T) {
	for arg, want := range map[string]Source{
		"RUN/best": {"RUN", "RUN/best"}, "a=b/c": {"a", "b/c"}, "models/MiniLM": {"MiniLM", "models/MiniLM"}, "x/y=z": {"x/y", "z"},
	} {
		if got, err := SourceOf(arg); err != nil || got != want {
			t.Errorf("%s: %v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "a=", "=b", "a b=c"} {
		if _, err := SourceOf(arg); err == nil {
			t.Errorf("%q is taken", arg)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("A blue  square, café", 2, " Blue")
	f.Add("\xff\xfe", 1, "\xfe")
	f.Fuzz(func(t *testing.T, text string, at int, letters string) {
		if at < 0 || at > len(text) {
			return
		}
		if start, stop, ok := place(text, at, letters); ok && (start < at || stop <= start || stop > len(text)) {
			t.Errorf("%d to %d of %q from %d on", start, stop, text, at)
		}
	})
}
