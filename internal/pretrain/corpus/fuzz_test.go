package corpus

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// fuzzShard reads a shard of anything: samples have what they need, come again by their
// place, and a stream of them goes on where it was.
func fuzzShard(f *testing.F, kind Kind, name string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		for file, content := range map[string][]byte{path: content, filepath.Join(dir, "a.png"): []byte(dot(1))} {
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Open(kind, []string{path}, Options{Extractor: tiny})
		if err != nil {
			if known := new(textfile.FileError); !errors.As(err, &known) {
				t.Error(err)
			}
			return
		}
		samples, _ := all(t, c, All)
		for i, s := range samples {
			if kind == Text && s.Text == "" || kind == Pairs && len(s.Captions) == 0 || !utf8.ValidString(s.Text+strings.Join(s.Captions, "")) {
				t.Errorf("%+v passes", s)
			}
			if i > 20 {
				break
			}
			again, err := c.At(s.Ref)
			if err != nil {
				t.Fatal(err)
			}
			if show(again) != show(s) {
				t.Errorf("%q, then %q", show(s), show(again))
			}
		}
		checkResume(t, c, StreamOptions{Buffer: 2}, min(len(samples), 10)/2, min(len(samples), 10))
	})
}

func FuzzText(f *testing.F) {
	fuzzShard(f, Text, "a.txt", "one\ntwo", "\ufeffx\r\n\xff\n\x00\n", "")
}

func FuzzPacked(f *testing.F) {
	packed := pack("one\ntwo\nthree")
	fuzzShard(f, Text, "a.tsv.gz", packed, packed[:len(packed)-5], packed+packed, packed+"x", "", "\x1f\x8b")
}

func FuzzJSONTexts(f *testing.F) {
	fuzzShard(f, Text, "a.jsonl", `{"text":"x","id":"y"}`, `{"text":"x","id":7.5}`+"\n{", "[]", `{"text":"\ud800"}`)
}

func FuzzJSONPairs(f *testing.F) {
	fuzzShard(f, Pairs, "a.jsonl", `{"image":"a.png","captions":["x",""],"objects":["dog"]}`, `{"image":"/a.png","caption":"x"}`, `{"image":"x/../a.png","text":"x"}`, `{"image":"a.png\u0000","caption":"x"}`)
}

func FuzzTar(f *testing.F) {
	whole := makeTar("a.png", dot(1), "a.txt", "one", "b.json", `{"caption":"two"}`, "b.png", dot(2), "c.txt", "three")
	fuzzShard(f, Pairs, "a.tar", whole, whole[:1000], whole[:2048], "", strings.Repeat("\x00", 1024))
}

func FuzzPackedTar(f *testing.F) {
	whole := makeTar("a.png", dot(1), "a.txt", "one", "b.json", `{"caption":"two"}`, "b.png", dot(2), "c.txt", "three")
	fuzzShard(f, Pairs, "a.tar.gz", pack(whole), pack(whole[:1000]), pack(whole)[:300])
}

func FuzzState(f *testing.F) {
	c := mixed(f)
	s := c.Stream(StreamOptions{Buffer: 5})
	for range 3 {
		if _, err := s.Next(); err != nil {
			f.Fatal(err)
		}
	}
	raw, err := json.Marshal(s.State())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(strings.ReplaceAll(string(raw), "0", "9223372036854775807")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var state State
		if json.Unmarshal(raw, &state) != nil {
			return
		}
		state.Collection = c.Fingerprint()
		s := c.Stream(StreamOptions{Buffer: 5})
		if s.Restore(state) != nil {
			return
		}
		for range 3 {
			if _, err := s.Next(); err != nil {
				t.Error(err)
			}
		}
	})
}
