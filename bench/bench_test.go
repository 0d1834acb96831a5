package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
)

// The test program is its own fake contender.
func TestMain(m *testing.M) {
	switch os.Getenv("BENCH_FAKE") {
	case "":
		os.Exit(m.Run())
	case "good":
		err := serve(os.Stdin, os.Stdout, "fake 1.0", func(round int) (reply, error) {
			if round == 7 {
				return reply{}, errors.New("seven")
			}
			return reply{Seconds: []float64{float64(round)}, Tokens: []int{10 * round}}, nil
		}, peakBytes)
		if err != nil {
			os.Stdout.WriteString(`{"error": "` + err.Error() + `"}` + "\n")
			os.Exit(1)
		}
	case "missing":
		os.Stdout.WriteString(`{"error": "ImportError: no such library"}` + "\n")
		os.Exit(1)
	case "chatty":
		os.Stdout.WriteString("hello\n")
	case "silent":
		io.Copy(io.Discard, os.Stdin)
	case "line":
		os.Stdout.WriteString("first\nsecond\n")
	}
}

func fake(t *testing.T, kind string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "BENCH_FAKE="+kind)
	return cmd
}

func TestWorkerAnswers(t *testing.T) {
	ctx := context.Background()
	w, about, err := startWorker(ctx, fake(t, "good"), io.Discard, time.Minute)
	if err != nil || about != "fake 1.0" {
		t.Fatalf("started: %q, %v", about, err)
	}
	for _, round := range []int{0, 3} {
		r, err := w.ask(ctx, request{Run: round})
		if err != nil || !slices.Equal(r.Seconds, []float64{float64(round)}) || !slices.Equal(r.Tokens, []int{10 * round}) {
			t.Errorf("round %d: %+v, %v", round, r, err)
		}
	}
	peak, err := w.quit(ctx)
	if err != nil || (peak <= 0 && peakBytes() > 0) {
		t.Errorf("peak %d, %v", peak, err)
	}
}

func TestWorkerFails(t *testing.T) {
	for kind, want := range map[string]string{
		"missing": "ImportError: no such library", "chatty": `not a reply: "hello"`, "silent": "no answer within",
	} {
		limit := time.Minute
		if kind == "silent" {
			limit = 100 * time.Millisecond
		}
		if _, _, err := startWorker(context.Background(), fake(t, kind), io.Discard, limit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
	if _, _, err := startWorker(context.Background(), exec.Command("no-such-program-here"), io.Discard, time.Minute); err == nil {
		t.Error("a program that does not exist was started")
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := startWorker(canceled, fake(t, "silent"), io.Discard, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	w, _, err := startWorker(context.Background(), fake(t, "good"), io.Discard, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask(context.Background(), request{Run: 7}); err == nil || err.Error() != "seven" {
		t.Errorf("round 7: %v", err)
	}
	w.kill()
}

// A contender that fails is dropped, the others go on.
func TestInterleave(t *testing.T) {
	d := &driver{log: io.Discard, status: io.Discard}
	sides := []*side{{title: "a"}, {title: "b"}, {title: "c"}, {title: "d", rounds: 1}}
	for i, kind := range []string{"good", "missing", "good", "good"} {
		sides[i].fresh = func() *exec.Cmd { return fake(t, kind) }
	}
	d.interleave(context.Background(), workload{name: "w"}, sides, 2)
	for _, i := range []int{0, 2} {
		if s := sides[i]; s.err != nil || len(s.replies) != 2 || s.replies[1].Seconds[0] != 2 {
			t.Errorf("side %d: %+v", i, s)
		}
	}
	if len(sides[3].replies) != 1 {
		t.Errorf("the side of one round: %+v", sides[3])
	}
	if sides[1].err == nil || len(sides[1].replies) > 0 {
		t.Errorf("the failing side: %+v", sides[1])
	}
}

func TestFirstLine(t *testing.T) {
	seconds, line, err := firstLine(fake(t, "line"), io.Discard)
	if err != nil || line != "first\n" || seconds <= 0 {
		t.Errorf("%v s, %q, %v", seconds, line, err)
	}
	if _, _, err := firstLine(fake(t, "missing"), io.Discard); err == nil || !strings.Contains(err.Error(), "no such library") {
		t.Errorf("a failing process: %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		before := slices.Clone(c.x)
		if got := median(c.x); got != c.want || !slices.Equal(c.x, before) {
			t.Errorf("median of %v is %v, want %v", before, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
	if got := geometricMean([]float64{1, 100}); math.Abs(got-10) > 1e-12 {
		t.Errorf("geometric mean %v, want 10", got)
	}
}

func TestMetrics(t *testing.T) {
	rounds := []reply{
		{Seconds: []float64{1, 1}, Tokens: []int{10, 30}},
		{Seconds: []float64{2, 8}, Tokens: []int{50, 50}},
		{Seconds: []float64{0.5, 0.5}, Tokens: []int{1000, 1000}},
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"throughput": {throughput.of(rounds), 20}, "latency": {latency.of(rounds), 1000}, "start": {startUp.of(rounds), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s %v, want %v", name, c.got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name         string
		m            metric
		ours, theirs float64
		t            target
		ratio        float64
		reached      bool
	}{
		{"faster", throughput, 300, 150, atLeast(2), 2, true},
		{"not fast enough", throughput, 200, 150, atLeast(2), 4. / 3, false},
		{"latency", latency, 6, 10, atMost(0.75), 10. / 6, true},
		{"latency missed", latency, 8, 10, atMost(0.75), 1.25, false},
		{"memory", memoryPeak, 2, 2, atMost(0.7), 1, false},
	} {
		if r := compare("w", c.m, c.ours, "p", c.theirs, c.t); r.Ratio != c.ratio || r.Reached != c.reached {
			t.Errorf("%s: %+v, want ratio %v, reached %v", c.name, r, c.ratio, c.reached)
		}
	}
}

func replies(seconds float64, tokens int) []reply {
	return []reply{{Seconds: []float64{seconds}, Tokens: []int{tokens}}}
}

func TestRows(t *testing.T) {
	w := workload{
		title: "t", metric: throughput, memory: true,
		peers: []contender{
			{name: "A", target: atLeast(2), memory: atMost(0.7)}, {name: "B", group: "g"}, {name: "C", group: "g"}, {name: "D"},
		},
	}
	sides := []*side{
		{replies: replies(1, 100), peak: 1e9},
		{replies: replies(1, 50), peak: 2e9}, {replies: replies(1, 60)}, {replies: replies(1, 70)}, {err: errors.New("absent")},
	}
	rows := w.rows(sides)
	var peers []string
	for _, r := range rows {
		peers = append(peers, r.Peer)
	}
	if want := []string{"A", "C", "D", "A"}; !slices.Equal(peers, want) {
		t.Fatalf("rows of %v, want %v", peers, want)
	}
	if !rows[0].Reached || rows[2].NotRun != "absent" || rows[3].Unit != "GB" || rows[3].Ratio != 2 || !rows[3].Reached {
		t.Errorf("rows %+v", rows)
	}
	sides[0].err = errors.New("no data")
	if rows := w.rows(sides); len(rows) == 0 || rows[0].NotRun != "no data" {
		t.Errorf("without ours: %+v", rows)
	}
}

func TestProductRows(t *testing.T) {
	sets := []kernels.ISA{kernels.AVX2, kernels.AVX512}
	ours, torch := map[string]float64{}, map[string]float64{}
	for _, isa := range sets {
		for _, n := range threadCounts(2) {
			for _, s := range productShapes() {
				for _, form := range append(productForms, packedForm) {
					key := productKey(isa.String(), n, s, form)
					ours["peak:"+key], ours[key] = 100, 90
					torch[productKey("", n, s, form)] = 45
				}
			}
		}
	}
	ours[productKey(kernels.AVX512.String(), 1, productShapes()[0], "TN")] = 50
	rows, lines := workloads[0].productRows([]*side{{replies: []reply{{Values: ours}}}, {replies: []reply{{Values: torch}}}, {err: errors.New("absent")}}, sets, 2)
	if r := rows[0]; r.Ours != 50 || r.Reached || r.Target != "at least 88 %" {
		t.Errorf("first row %+v", r)
	}
	if r := rows[1]; r.Peer != "torch.mm" || math.Abs(r.Ours/r.Theirs-r.Ratio) > 1e-9 || math.Abs(r.Theirs-45) > 1e-9 {
		t.Errorf("against torch %+v", r)
	}
	if r := rows[2]; r.Peer != "gomlx" || r.NotRun != "absent" {
		t.Errorf("against gomlx %+v", r)
	}
	if r := rows[4]; math.Abs(r.Ratio-2) > 1e-9 || !r.Reached {
		t.Errorf("against torch, without a slow one %+v", r)
	}
	if want := len(sets) * 2 * len(productShapes()); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
}

func TestMarkdown(t *testing.T) {
	r := result{
		Header: []string{"machine"},
		Rows: []row{
			compare("latency", latency, 6, "A", 10, atMost(0.75)),
			{Workload: "latency", Unit: "ms", Digits: 2, Ours: 6, Peer: "B", NotRun: "absent"},
			{Workload: "start", Unit: "s", Digits: 2, Ours: 0.25, Target: "at most 0.5 s", Reached: true},
			{Workload: "none", Unit: "s", NotRun: "absent"},
		},
		Products: []productRow{{"avx2", 1, "2x3x4", map[string]float64{"NN": 90, "NT": 80, "TN": 70, "packed": 95}, map[string]float64{"NN": 9, "NT": 8, "TN": 7, "packed": 9.5}, map[string]map[string]float64{"gomlx": {"NN": 5}}}},
	}
	var b bytes.Buffer
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"- machine\n",
		"| latency | ms | 6.00 | A | 10.00 | 1.67 (0.60) | ours at most 0.75 of it | yes |\n",
		"|  | ms | 6.00 | B | not run [1] |  |  |  |\n",
		"| start | s | 0.25 |  |  |  | at most 0.5 s | yes |\n",
		"| none | s | not run [1] |  |  |  |  |  |\n",
		"[1] absent\n",
		"| avx2 | 1 | 2x3x4 | 90 % (9) | 80 % (8) | 70 % (7) | 95 % (10) | not run | not run | not run | 5 | not run | not run |\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no line %q in\n%s", line, b.String())
		}
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := writeJSON(path, r); err != nil {
		t.Fatal(err)
	}
	joined, err := readResults([]string{path, path})
	if err != nil || len(joined.Rows) != 8 || !reflect.DeepEqual(joined.Header, r.Header) || !reflect.DeepEqual(joined.Rows[4:], r.Rows) {
		t.Errorf("joined: %+v, %v", joined, err)
	}
}

func TestBatches(t *testing.T) {
	batches := inBatches([][]int32{{1}, {2, 3}, {4}, {5}, {6}}, []string{"a", "b", "c", "d", "e"}, 2)
	if len(batches) != 2 || batches[0].size() != 3 || batches[1].Texts[1] != "d" || !slices.Equal(batches[0].Labels, []int32{0, 1}) {
		t.Errorf("batches %+v", batches)
	}
	w, err := cut(slices.Repeat(batches, 2), 2, 3)
	if err != nil || len(w.Rounds) != 3 || len(w.Rounds[2]) != 3 || len(w.Rounds[0]) != 2 {
		t.Errorf("rounds %+v, %v", w, err)
	}
	if _, err := cut(batches, 1, 3); err == nil {
		t.Error("a round larger than the data was cut")
	}
}

// What is learnt to be written counts as tokens; where it is searched for, sequences count.
func TestTargets(t *testing.T) {
	batches := searched(inBatches([][]int32{{0, 5, 2}, {0, 2}, {0, 6, 7, 2}}, nil, 1), 3, 2, 3)
	if got := []int{batches[0].Length, batches[1].Length, batches[2].Length}; !slices.Equal(got, []int{2, 3, 2}) || batches[1].Beams != 3 || batches[2].size() != 1 {
		t.Errorf("searched: %+v", batches)
	}
	b := batch{Sequences: [][]int32{{0, 5, 2}, {0, 2}}, Targets: [][]int32{{8, 9}, {9}}}
	if b.size() != 8 {
		t.Errorf("size %d, want 8", b.size())
	}
	var in model.Input
	for range 2 { // the second time in the memory of the first
		pack(&in, b)
		for name, c := range map[string][2][]int32{
			"tokens": {in.Text.Tokens, {0, 5, 2, 0, 8, 0, 2, 0}}, "positions": {in.Text.Positions, {2, 3, 4, 2, 3, 2, 3, 2}},
			"offsets": {in.Text.Offsets, {0, 5, 8}}, "sources": {in.Text.Sources, {3, 2}},
		} {
			if !slices.Equal(c[0], c[1]) {
				t.Errorf("%s %v, want %v", name, c[0], c[1])
			}
		}
	}
	if pack(&in, batches[0]); len(in.Text.Sources) != 0 {
		t.Errorf("sources %v of a text without targets", in.Text.Sources)
	}
}

// Images and captions that are in several pairs come once.
func TestPairs(t *testing.T) {
	p := (&corpus{}).paired(nil)
	for caption := range 2 {
		p.texts[7+caption] = caption // as if their tokens were there
		for _, image := range []int{30, 10, 30} {
			p.add(image, 7+caption)
		}
	}
	if want := [][2]int{{0, 0}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {0, 1}}; p.Images != 2 || !reflect.DeepEqual(p.Pairs, want) {
		t.Errorf("%d images, pairs %v", p.Images, p.Pairs)
	}
	if p.size() != 6 {
		t.Errorf("%d pairs to score", p.size())
	}
	if p.Group = 3; p.size() != 2 {
		t.Errorf("%d groups to learn from", p.size())
	}
	all := newPictures()
	one := all.of(batch{Images: 1, Regions: 2})
	three := all.of(batch{Images: 3, Regions: 2})
	again := all.of(batch{Images: 1, Regions: 2})
	for _, im := range []model.Images{one, three, again} {
		if err := im.Check(model.Base); err != nil {
			t.Error(err)
		}
	}
	if three.Sequences() != 3 || !reflect.DeepEqual(one, again) {
		t.Error("images are not the same at every call")
	}
}

// Every round of sorted batches covers all lengths, and no batch comes twice.
func TestSorted(t *testing.T) {
	c := &corpus{}
	for i := range 3200 {
		c.train = append(c.train, labelled.Record{Tokens: make([]int32, 3+i*37%40)})
		c.trainText = append(c.trainText, "")
	}
	const rounds = 3
	w := c.sorted(rounds)
	seen := map[*int32]bool{}
	tokens := 0
	for r, round := range w.Rounds {
		if len(round) != sortedPerRound {
			t.Fatalf("a round of %d", len(round))
		}
		for _, b := range round {
			if r > 0 {
				tokens += b.size()
			}
			if first := &b.Sequences[0][0]; seen[first] {
				t.Error("a batch comes twice")
			} else {
				seen[first] = true
			}
		}
	}
	if mean := float64(tokens) / rounds / sortedPerRound / sstBatch; math.Abs(mean-22.5) > 0.3 {
		t.Errorf("%v tokens a sentence, want about 22.5", mean)
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose("6, 1")
	if err != nil || len(chosen) != 2 || chosen[0].name != "products" || chosen[1].name != "start" {
		t.Errorf("%+v, %v", chosen, err)
	}
	for _, bad := range []string{"", "24", "x", "1,,2"} {
		if _, err := choose(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// What the description of a workload names must exist.
func TestWorkloads(t *testing.T) {
	files := (&corpus{}).files(1)
	for _, w := range workloads {
		if w.chip {
			files[w.batches] = nil // TestDrawn makes them
		}
		if _, ok := files[w.batches]; !ok && w.batches != "products" {
			t.Errorf("%s: no batches %s", w.name, w.batches)
		}
		for _, p := range w.peers {
			if p.module != "" {
				if _, err := os.Stat(filepath.Join("peers", p.module, "go.mod")); err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
				continue
			}
			if p.script == "" && p.worker != "" {
				continue
			}
			if _, err := peerScripts.ReadFile("peers/" + p.script); err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
			if _, ok := files[p.batches]; !ok && p.batches != "" {
				t.Errorf("%s: no batches %s", w.name, p.batches)
			}
		}
	}
}
