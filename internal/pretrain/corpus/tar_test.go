package corpus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// TestColumnsAsWebDataset: samples are those that webdataset has, as testdata/record.py recorded.
func TestColumnsAsWebDataset(t *testing.T) {
	raw, err := os.ReadFile("testdata/webdataset.json")
	if err != nil {
		t.Fatal(err)
	}
	var archives []struct {
		Name    string
		Entries []string
		Refused bool
		Samples []struct {
			Key     string
			Columns map[string]int
		}
	}
	if err := json.Unmarshal(raw, &archives); err != nil {
		t.Fatal(err)
	}
	for _, archive := range archives {
		t.Run(archive.Name, func(t *testing.T) {
			var entries []string
			for i, name := range archive.Entries {
				content := fmt.Sprint(i)
				if picture.IsPicture(name) {
					content = dot(byte(i))
				}
				entries = append(entries, name, content)
			}
			var want []string
			for _, s := range archive.Samples {
				caption, ok := s.Columns["txt"]
				if text, second := s.Columns["text"]; second {
					caption, ok = text, true
				}
				for _, column := range []string{"jpg", "jpeg", "png"} {
					if i, has := s.Columns[column]; has && ok {
						want = append(want, fmt.Sprintf("a.tar:%s||%d||%d", strings.TrimPrefix(s.Key, "./"), caption, i))
					}
				}
			}
			for file, content := range map[string]string{"a.tar": makeTar(entries...), "a.tar.gz": pack(makeTar(entries...))} {
				c, err := Open(Pairs, []string{filepath.Join(writeFiles(t, map[string]string{file: content}), file)}, Options{Extractor: tiny})
				if err != nil {
					if len(want) > 0 {
						t.Error(err)
					}
					continue
				}
				defer c.Close()
				samples, report := all(t, c, All)
				got := showAll(samples)
				for i := range got {
					got[i] = strings.Replace(got[i], "a.tar.gz", "a.tar", 1)
				}
				if archive.Refused {
					if len(got) == 0 || report.Skipped[Twice] == 0 {
						t.Errorf("%q, and %v", got, report.Skipped)
					}
				} else if !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", file, got, want)
				}
			}
		})
	}
}

// TestTarSamples: what must not be merged, taken or lost in silence.
func TestTarSamples(t *testing.T) {
	one, two, three := dot(1), dot(2), dot(3)
	for name, test := range map[string]struct {
		kind    Kind
		tar     string
		want    []string
		skipped map[string]int
	}{
		"two pictures":                 {Pairs, makeTar("0.jpg", one, "0.png", two, "0.txt", "x", "1.jpg", three, "1.txt", "y"), []string{"a.tar:1||y||3"}, map[string]int{Twice: 1}},
		"two texts":                    {Pairs, makeTar("0.jpg", one, "0.txt", "x", "0.text", "z", "1.jpg", three, "1.txt", "y"), []string{"a.tar:1||y||3"}, map[string]int{Twice: 1}},
		"texts of images do not count": {Images, makeTar("0.jpg", one, "0.txt", "x", "0.text", "z"), []string{"a.tar:0||||1"}, nil},
		"a name again in a row":        {Pairs, makeTar("0.jpg", one, "0.txt", "x", "0.jpg", two, "0.txt", "z", "1.jpg", three, "1.txt", "y"), []string{"a.tar:1||y||3"}, map[string]int{Twice: 1}},
		"two JSON files":               {Images, makeTar("0.jpg", one, "0.json", "{}", "0.json", "{}", "1.jpg", three), []string{"a.tar:1||||3"}, map[string]int{Twice: 1}},
		"hidden in a folder":           {Pairs, makeTar("d/._0.jpg", two, "d/0.jpg", one, "d/._0.txt", "\x00\x05", "d/0.txt", "x", "d/.x.jpg", two), []string{"a.tar:d/0||x||1"}, nil},
		"dots": {Pairs, makeTar("v0.0.jpg", one, "v0.0.txt", "x", "v0.1.jpg", two, "v0.1.txt", "y", "1.jpg", three, "1.en.txt", "z", "2.jpg", one, "2.txt", "x"),
			[]string{"a.tar:2||x||1"}, map[string]int{NoPicture + Dotted: 1, NoCaption + Dotted: 1}},
		"keys of no use": {Pairs, makeTar("0.jpg", one, "0.json", `{"image":{"w":1},"id":[],"caption":"x","Caption":7,"Objects":7}`, "1.jpg", two, "1.json", `{"image":7,"text":"y","captions":null}`),
			[]string{"a.tar:0||x||1", "a.tar:1||y||2"}, nil},
		"other names of captions": {Pairs, makeTar("0.jpg", one, "0.json", `{"Sentence":"x"}`, "1.jpg", two, "1.txt", "y", "1.json", `{"title":"z"}`), []string{"a.tar:0||x||1", "a.tar:1||y||2"}, nil},
		"JSON that is no object":  {Pairs, makeTar("0.jpg", one, "0.txt", "x", "0.json", `[[1,2],[3,4]]`, "1.jpg", two, "1.txt", "y", "1.json", `[1`), []string{"a.tar:0||x||1"}, map[string]int{NotJSON: 1}},
		"captions of no use":      {Images, makeTar("0.jpg", one, "0.json", `{"caption":7,"objects":["dog"]}`), []string{"a.tar:0|||dog|1"}, nil},
		"a list of captions":      {Pairs, makeTar("0.jpg", one, "0.json", `{"caption":["x","y"],"text":"z"}`), []string{"a.tar:0||x;y;z||1"}, nil},
		"a number as caption":     {Pairs, makeTar("0.jpg", one, "0.json", `{"caption":7}`, "1.jpg", two, "1.txt", "y"), []string{"a.tar:1||y||2"}, map[string]int{NotJSON: 1}},
		"objects of another form": {Pairs, makeTar("0.jpg", one, "0.json", `{"caption":"x","objects":[{"box":[1,2]}]}`), []string{"a.tar:0||x||1"}, map[string]int{OddObjects: 1}},
		"byte order marks":        {Pairs, makeTar("0.jpg", one, "0.txt", "\ufeffx", "0.json", "\ufeff"+`{"caption":"y"}`), []string{"a.tar:0||x;y||1"}, nil},
		"made one by cat": {Pairs, makeTar("0.jpg", one, "0.txt", "x") + strings.Repeat("\x00", 9<<10) + makeTar("0.jpg", two, "0.txt", "y", "1.jpg", three, "1.txt", "z"),
			[]string{"a.tar:0||x||1", "a.tar:0||y||2", "a.tar:1||z||3"}, nil},
		"more than an archive": {Pairs, makeTar("0.jpg", one, "0.txt", "x") + strings.Repeat("no archive\n", 100), []string{"a.tar:0||x||1"}, map[string]int{CutOff: 1}},
	} {
		for file, content := range map[string]string{"a.tar": test.tar, "a.tgz": pack(test.tar)} {
			t.Run(name+"/"+file, func(t *testing.T) {
				c := open(t, test.kind, Options{Extractor: tiny}, filepath.Join(writeFiles(t, map[string]string{file: content}), file))
				samples, report := all(t, c, All)
				got := showAll(samples)
				for i := range got {
					got[i] = strings.Replace(got[i], "a.tgz", "a.tar", 1)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("%q, want %q", got, test.want)
				}
				if fmt.Sprint(report.Skipped) != fmt.Sprint(test.skipped) {
					t.Errorf("%v are passed over, want %v", report.Skipped, test.skipped)
				}
				for _, s := range samples {
					again, err := c.At(s.Ref)
					if err != nil {
						t.Fatal(err)
					}
					if show(again) != show(s) {
						t.Errorf("%v: %q, want %q", s.Ref, show(again), show(s))
					}
				}
				checkResume(t, c, StreamOptions{Buffer: 1}, len(samples), 2)
			})
		}
	}
}

// TestOnlyDots: an archive whose names are all cut short says why nothing is of use.
func TestOnlyDots(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.tar": makeTar("v0.0.jpg", dot(1), "v0.0.txt", "x")})
	_, err := Open(Pairs, []string{filepath.Join(dir, "a.tar")}, Options{})
	if err == nil || !strings.Contains(err.Error(), "a.tar: v0 (0.jpg, 0.txt): "+NoPicture+Dotted) {
		t.Error(err)
	}
}

// TestNoPairsAtAll: what a sample without picture or caption has instead is said.
func TestNoPairsAtAll(t *testing.T) {
	for want, tar := range map[string]string{
		"a.tar: 0 (bmp, txt): " + NoPicture:                                                        makeTar("0.bmp", "BM", "0.txt", "x"),
		"a.tar: 0 (jpg, caption): " + NoCaption:                                                    makeTar("0.jpg", dot(1), "0.caption", "x"),
		"(jpg): no caption; put the parts of a sample one after the other, with 'tar --sort=name'": makeTar("0.jpg", dot(1), "1.jpg", dot(2), "0.txt", "x", "1.txt", "y"),
		"a.tar: 0 (json, jpg): " + NotJSON:                                                         makeTar("0.json", `["x"]`, "0.jpg", dot(1)),
	} {
		_, err := Open(Pairs, []string{filepath.Join(writeFiles(t, map[string]string{"a.tar": tar}), "a.tar")}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestPackedByContent: the first bytes of a shard say whether it is compressed.
func TestPackedByContent(t *testing.T) {
	tar := makeTar("0.jpg", dot(1), "0.txt", "x")
	for name, content := range map[string]string{"a.tar": pack(tar), "a.tar.gz": pack(tar)} {
		samples, report := all(t, open(t, Pairs, Options{Extractor: tiny}, filepath.Join(writeFiles(t, map[string]string{name: content}), name)), All)
		if got := showAll(samples); len(got) != 1 || len(report.Skipped) > 0 {
			t.Errorf("%s: %q, %v", name, got, report.Skipped)
		}
	}
	for want, content := range map[string]string{"is not compressed with gzip, as its name says; take .gz off": tar, "compressed with xz": "\xfd7zXZ\x00 and so on", "a ZIP archive": "PK\x03\x04 and so on"} {
		name := "a.tar"
		if content == tar {
			name += ".gz"
		}
		_, err := Open(Pairs, []string{filepath.Join(writeFiles(t, map[string]string{name: content}), name)}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestHiddenShards: files that a system lays beside others are no shards.
func TestHiddenShards(t *testing.T) {
	dir := writeFiles(t, map[string]string{"._a.txt": "\x00\x05", "a.txt": "one", ".d/b.txt": "hidden", "d/b.txt": "two", "d/._b.txt": "\x00", ".only/c.txt": "three"})
	for pattern, want := range map[string]string{"*.txt": "one", "*/*.txt": "two", "": "one two", ".on*/*.txt": "three", "*/._*.txt": "not UTF-8", "e*.txt": "does not exist", ".d/b.txt": "hidden"} {
		c, err := Open(Text, []string{filepath.Join(dir, pattern)}, Options{})
		var got []string
		if err == nil {
			samples, report := all(t, c, All)
			for _, s := range samples {
				got = append(got, s.Text)
			}
			if len(report.Skipped) > 0 {
				t.Errorf("%s: %v", pattern, report.Skipped)
			}
		} else {
			got = []string{err.Error()}
		}
		if !strings.Contains(strings.Join(got, " "), want) {
			t.Errorf("%q: %q, want %q", pattern, got, want)
		}
	}
}

// TestLinesLookAtWhatTheyUse: other keys of JSON lines may be of any form.
func TestLinesLookAtWhatTheyUse(t *testing.T) {
	for _, test := range []struct {
		kind       Kind
		line, want string
	}{
		{Text, `{"text":"x","image":{"bytes":null},"captions":7,"objects":{},"TEXT":1}`, "a.jsonl:1|x||"},
		{Pairs, `{"image":"a.png","caption":"x","id":{},"Image":7}`, "a.png||x||1"},
		{Images, `{"image":"a.png","caption":7,"text":[]}`, "a.png||||1"},
		{Images, `{"image":"a.png","objects":"dog"}`, "a.png|||dog|1"},
		{Pairs, `{"file_name":"a.png","title":"x","id":1}`, "a.png||x||1"},
		{Pairs, `{"filepath":"a.png","caption":["x","y"],"title":7}`, "a.png||x;y||1"},
		{Pairs, `{"image":"a.png","path":7,"sentences":["x"]}`, "a.png||x||1"},
		{Text, `{"content":"x","id":1}`, "a.jsonl:1|x||"},
		{Text, `{"sentence":"x","text":null}`, "a.jsonl:1|x||"},
	} {
		dir := writeFiles(t, map[string]string{"a.png": dot(1), "a.jsonl": test.line})
		samples, _ := all(t, open(t, test.kind, Options{Extractor: tiny}, filepath.Join(dir, "a.jsonl")), All)
		if got := showAll(samples); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, want %q", test.line, got, test.want)
		}
	}
}
