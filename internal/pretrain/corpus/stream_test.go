package corpus

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// brief writes a sample without its image.
func brief(s *Sample) string { return fmt.Sprint(s.Ref, s.Key, s.Text, s.Captions) }

// next returns the next n samples in brief.
func next(t interface{ Fatal(...any) }, s *Stream, n int) []string {
	var out []string
	for range n {
		x, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, brief(x))
	}
	return out
}

// checkResume saves a stream after some samples, and compares what follows.
func checkResume(t interface {
	Fatal(...any)
	Errorf(string, ...any)
}, c *Collection, o StreamOptions, after, more int) {
	s := c.Stream(o)
	next(t, s, after)
	raw, err := json.Marshal(s.State())
	if err != nil {
		t.Fatal(err)
	}
	var state State
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	other := c.Stream(o)
	if err := other.Restore(state); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(other.State(), s.State()) {
		t.Errorf("after %d: state %+v, want %+v", after, other.State(), s.State())
	}
	if got, want := next(t, other, more), next(t, s, more); !slices.Equal(got, want) {
		t.Errorf("after %d: %q, want %q", after, got, want)
	}
	if !reflect.DeepEqual(other.Report(), s.Report()) {
		t.Errorf("after %d: report %v, want %v", after, other.Report(), s.Report())
	}
}

// mixed is a collection of pairs in shards of all forms, with bad samples between.
func mixed(tb testing.TB) *Collection {
	files := map[string]string{}
	var lines []string
	for i := range 4 {
		files[fmt.Sprintf("p%d.png", i)] = dot(byte(i))
		lines = append(lines, fmt.Sprintf(`{"image":"p%d.png","caption":"line %d"}`, i, i), "", "bad")
	}
	files["a.jsonl"] = strings.Join(lines, "\n")
	files["b.jsonl.gz"] = pack(strings.Join(lines, "\n"))
	var entries []string
	for i := range 6 {
		name := fmt.Sprint("t", i)
		entries = append(entries, name+".png", dot(byte(100+i)), name+".txt", "entry "+name)
		if i%3 == 0 {
			entries = append(entries, name+"x.txt", "alone")
		}
	}
	files["c.tar"] = makeTar(entries...)
	files["d.tar.gz"] = pack(makeTar(entries...))
	cut := pack(makeTar(entries...))
	files["e.tar.gz"] = cut[:len(cut)/2]
	dir := writeFiles(tb, files)
	folder := writeFiles(tb, map[string]string{"captions.csv": "image,caption\na.png,a\nb.png,b\nc.png,c\n", "train.txt": "a.png\nb.png\nc.png\n", "images/a.png": dot(1), "images/c.png": dot(2)})
	return open(tb, Pairs, Options{Extractor: tiny, HeldOut: .2}, dir, folder)
}

func TestStream(t *testing.T) {
	c := mixed(t)
	sizes := map[Part]int{}
	expected := map[Part][]string{}
	for _, part := range []Part{All, Train, HeldOut} {
		samples, _ := all(t, c, part)
		sizes[part] = len(samples)
		for _, s := range samples {
			expected[part] = append(expected[part], brief(s))
		}
		slices.Sort(expected[part])
	}
	orders := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		o := StreamOptions{Seed: rapid.Uint64Range(0, 3).Draw(t, "seed"), Buffer: rapid.IntRange(0, 40).Draw(t, "buffer"), Part: rapid.SampledFrom([]Part{All, Train, HeldOut}).Draw(t, "part")}
		n := sizes[o.Part]
		s := c.Stream(o)
		for range 2 {
			epoch := next(t, s, n)
			orders[fmt.Sprint(o.Part, epoch)] = true
			if s.bytes != 0 {
				t.Errorf("nothing is kept, yet %d bytes", s.bytes)
			}
			slices.Sort(epoch)
			if !slices.Equal(epoch, expected[o.Part]) {
				t.Errorf("an epoch has %q, want %q", epoch, expected[o.Part])
			}
		}
		checkResume(t, c, o, rapid.IntRange(0, 2*n).Draw(t, "after"), 2*n)
	})
	if len(orders) < 50 {
		t.Errorf("only %d different orders", len(orders))
	}
	_, report := all(t, c, Train)
	s := c.Stream(StreamOptions{Part: Train})
	next(t, s, 5*sizes[Train])
	if got := s.Report(); !reflect.DeepEqual(got.Skipped, report.Skipped) || got.Samples != report.Samples {
		t.Errorf("after some epochs %v, want that of one: %v", got, report)
	}
}

// TestStreamStays: runs that are resumed must see what they would have seen.
func TestStreamStays(t *testing.T) {
	c := open(t, Text, Options{}, writeFiles(t, map[string]string{"a.txt": "1\n2\n3\n4\n5\n", "b.txt": "6\n7\n", "c.txt": "8\n"}))
	var got []string
	s := c.Stream(StreamOptions{Seed: 1, Buffer: 3})
	for range 16 {
		got = append(got, must(s.Next()).Text)
	}
	if want := "2185473614325768"; strings.Join(got, "") != want {
		t.Errorf("%s, want %s", strings.Join(got, ""), want)
	}
}

// TestStreamUniform: with a buffer for all, every order is as likely as another.
func TestStreamUniform(t *testing.T) {
	c := open(t, Text, Options{}, writeFiles(t, map[string]string{"a.txt": "1\n2\n3\n"}))
	s := c.Stream(StreamOptions{Seed: 3, Buffer: 3})
	const epochs = 3000
	counts := map[string]float64{}
	for range epochs {
		order := ""
		for range 3 {
			order += must(s.Next()).Text
		}
		counts[order]++
	}
	for order, n := range counts {
		if want := epochs / 6.; math.Abs(n-want) > 5*math.Sqrt(want) {
			t.Errorf("%s comes %v times, expected %v", order, n, want)
		}
	}
}

func TestStreamErrors(t *testing.T) {
	files := map[string]string{"a.txt": "1\n2\n3\n"}
	c := open(t, Text, Options{}, writeFiles(t, files))
	if _, err := c.Stream(StreamOptions{Part: HeldOut}).Next(); err == nil || !strings.Contains(err.Error(), "no usable sample") {
		t.Errorf("nothing is held out: %v", err)
	}
	s := c.Stream(StreamOptions{Buffer: 2})
	next(t, s, 1)
	good := s.State()
	other := open(t, Text, Options{}, writeFiles(t, map[string]string{"a.txt": "1\n2\n3\n4\n"}))
	if err := other.Stream(StreamOptions{}).Restore(good); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("another file: %v", err)
	}
	for name, spoil := range map[string]func(*State){
		"shard":  func(s *State) { s.Buffer = []Ref{{Shard: 7}} },
		"minus":  func(s *State) { s.Buffer = []Ref{{Number: -1}} },
		"offset": func(s *State) { s.Buffer = []Ref{{Offset: 1 << 40}} },
		"place":  func(s *State) { s.Place = 2 },
		"next":   func(s *State) { s.Next = &Ref{Shard: 1} },
		"end":    func(s *State) { s.Place = 1 },
		"draws":  func(s *State) { s.Draws = -1 },
	} {
		bad := good
		spoil(&bad)
		if err := c.Stream(StreamOptions{Buffer: 2}).Restore(bad); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
