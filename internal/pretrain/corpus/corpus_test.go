package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/golden"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

// writeFiles writes files with their contents into a new folder.
func writeFiles(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func pack(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

// dot is a picture whose pixels have one grey.
func dot(grey byte) string {
	m := image.NewGray(image.Rect(0, 0, 4, 4))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	m.Set(0, 0, color.Gray{grey})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// makeTar returns an archive of names and contents in turn.
func makeTar(entries ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		h := &tar.Header{Name: entries[i], Size: int64(len(entries[i+1])), Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		w.WriteHeader(h)
		w.Write([]byte(entries[i+1]))
	}
	w.Close()
	return b.String()
}

var tiny = func() regions.Extractor {
	x, err := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 4, PatchSize: 2})
	if err != nil {
		panic(err)
	}
	return x
}()

func open(tb testing.TB, kind Kind, o Options, paths ...string) *Collection {
	tb.Helper()
	c, err := Open(kind, paths, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// all returns the samples of a part, and the report.
func all(tb testing.TB, c *Collection, part Part) ([]*Sample, Report) {
	tb.Helper()
	var samples []*Sample
	var report Report
	for s, err := range c.each(context.Background(), part, &report) {
		if err != nil {
			tb.Fatal(err)
		}
		samples = append(samples, s)
	}
	if report.Samples != len(samples) {
		tb.Errorf("%d samples are reported, %d were given", report.Samples, len(samples))
	}
	return samples, report
}

// show writes a sample as the tables below have it: with the grey of its image.
func show(s *Sample) string {
	out := fmt.Sprintf("%s|%s|%s|%s", s.Key, s.Text, strings.Join(s.Captions, ";"), strings.Join(s.Objects, ","))
	if s.image == nil {
		return out
	}
	var im regions.Image
	if err := s.Image(&im); err != nil {
		return out + "|" + Reason(err)
	}
	return fmt.Sprintf("%s|%.0f", out, (float64(im.Features[0])+1)*127.5)
}

func showAll(samples []*Sample) []string {
	var out []string
	for _, s := range samples {
		out = append(out, show(s))
	}
	return out
}

// features are of one region an image, as the reference writes them.
func features(tb testing.TB, ids ...string) string { return classified(tb, 0, ids...) }

// classified are features with probabilities of classes, of which image i most likely has the one of that number.
func classified(tb testing.TB, classes int, ids ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "features.tsv")
	err := regions.WriteReference(path, 12, func(yield func(*regions.Image, error) bool) {
		for i, id := range ids {
			im := &regions.Image{ID: id, Width: 10, Height: 10, Boxes: []float32{0, 0, 10, 10}, Features: make([]float32, 12)}
			im.Features[0] = float32(i+1)/127.5 - 1
			for c := range classes {
				im.Classes = append(im.Classes, .5/float32(classes-1))
				if c == i {
					im.Classes[c] = .5
				}
			}
			if !yield(im, nil) {
				return
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestForms(t *testing.T) {
	dog, cat := dot(10), dot(20)
	long := strings.Repeat("x", maxText+1)
	far := strings.Repeat("é/", 100) + "0" // needs a header of its own
	archive := makeTar("s/", "", far+".png", cat, far+".txt", "far", "s/1.png", dog, "s/1.txt", "a dog\n\na brown dog\n", "s/1.json", `{"caption":"a dog","objects":["dog"," "]}`, "s/1.cls", "7",
		"2.txt", "no picture", "3.jpg", "no jpeg", "3.txt", "broken", "4.png", cat, "4.txt", " ", "5.png", cat, "6.PNG", cat, "6.json", `{"text":"a cat","captions":["","cat"]}`,
		"7.png", cat, "7.json", "{", "8.png", cat, "8.txt", "\xff", "9.png", dog, "9.txt", long)
	archiveSamples := []string{"a.tar:" + far + "||far||20", "a.tar:s/1||a dog;a brown dog|dog|10", "a.tar:3||broken||" + BadPicture, "a.tar:6||cat;a cat||20"}
	archiveSkipped := map[string]int{NoPicture: 1, EmptyCaption: 2, NoCaption: 1, NotJSON: 1, NotUTF8: 1, LongLine: 1}
	packed := func(samples []string) (out []string) {
		for _, s := range samples {
			out = append(out, strings.Replace(s, "a.tar", "a.tar.gz", 1))
		}
		return out
	}
	folder := map[string]string{"captions.csv": "image,caption\na.png,a dog\nb/c.png,a cat\na.png,a brown dog\nd.png,nothing\ndev.png,never\n",
		"train.txt": "a.png\nb/c.png\nd.png\n", "dev.txt": "dev.png\n", "images/a.png": dog, "images/b/c.png": cat, "images/dev.png": cat}
	for name, test := range map[string]struct {
		kind    Kind
		files   map[string]string
		path    string // within the files' folder
		o       Options
		want    []string
		skipped map[string]int
	}{
		"txt": {kind: Text, files: map[string]string{"a.txt": "\ufeffone\r\n\n  two \n\xff\nthree\x00\n" + long + "\nlast"},
			want: []string{"a.txt:1|one||", "a.txt:3|two||", "a.txt:7|last||"}, skipped: map[string]int{NotUTF8: 2, LongLine: 1}},
		"gz": {kind: Text, files: map[string]string{"a.txt.gz": pack("one\ntwo\n") + pack("three\n")}, want: []string{"a.txt.gz:1|one||", "a.txt.gz:2|two||", "a.txt.gz:3|three||"}},
		"tsv": {kind: Text, files: map[string]string{"a.tsv": "1\tx\tone\n2\t\ntwo\n"},
			want: []string{"a.tsv:1|one||", "a.tsv:3|two||"}, skipped: map[string]int{EmptyText: 1}},
		"jsonl": {kind: Text, files: map[string]string{"a.jsonl": `{"text":"one","id":7,"url":{}}` + "\n" + `{"text":null}` + "\n[]\n" + `{"id":"x"}` + "\n" + `{"text":"t`},
			want: []string{"a.jsonl:1|one||"}, skipped: map[string]int{EmptyText: 2, NotJSON: 2}},
		"folder of texts": {kind: Text, files: map[string]string{"b.txt": "b", "a/x.txt": "ax", "a/x.md": "no", ".h/x.txt": "hidden", "a.png": "no"}, want: []string{"a/x.txt:1|ax||", "b.txt:1|b||"}},
		"pattern":         {kind: Text, files: map[string]string{"b1.txt": "1", "b2.txt": "2", "c.txt": "c"}, path: "b*.txt", want: []string{"b1.txt:1|1||", "b2.txt:1|2||"}},
		"pictures": {kind: Images, files: map[string]string{"b.png": dog, "a/x.PNG": cat, "z.jpg": "none", "notes.md": "", "lfs.jpg": lfs},
			want: []string{"a/x.PNG||||20", "b.png||||10", "lfs.jpg||||is a Git LFS pointer, not the file itself", "z.jpg||||" + BadPicture}},
		"images of JSON lines": {kind: Images, path: "x/a.jsonl", files: map[string]string{"x/y/a.png": dog, "x/a.jsonl": `{"image":"y/a.png","objects":["dog"]}` + "\n" +
			`{"image":"../b.png"}` + "\n" + `{"image":"c.png"}` + "\n{}\n"},
			want: []string{"y/a.png|||dog|10"}, skipped: map[string]int{Outside: 1, NoPicture: 2}},
		"pairs of JSON lines": {kind: Pairs, files: map[string]string{"a.png": dog, "a.jsonl": `{"image":"a.png","captions":["a dog","","dog"],"caption":"a dog"}` + "\n" +
			`{"image":"a.png","caption":" "}` + "\n" + `{"image":"a.png"}` + "\n" + `{"image":"./a.png","caption":"x"}`},
			want: []string{"a.png||a dog;dog||10", "a.png||x||10"}, skipped: map[string]int{EmptyCaption: 2, NoCaption: 1}},
		"archive":            {kind: Pairs, files: map[string]string{"a.tar": archive}, want: archiveSamples, skipped: archiveSkipped},
		"compressed archive": {kind: Pairs, files: map[string]string{"a.tar.gz": pack(archive)}, want: packed(archiveSamples), skipped: archiveSkipped},
		"images of an archive": {kind: Images, files: map[string]string{"a.tar": archive},
			want: []string{"a.tar:" + far + "||||20", "a.tar:s/1|||dog|10", "a.tar:3||||" + BadPicture, "a.tar:4||||20", "a.tar:5||||20", "a.tar:6||||20", "a.tar:8||||20", "a.tar:9||||10"}, skipped: map[string]int{NoPicture: 1, NotJSON: 1}},
		"folder of data":      {kind: Pairs, files: folder, want: []string{"a.png||a dog;a brown dog||10", "b/c.png||a cat||20"}, skipped: map[string]int{NoPicture: 1}},
		"its images":          {kind: Images, files: folder, want: []string{"a.png||||10", "b/c.png||||20"}, skipped: map[string]int{NoPicture: 1}},
		"pairs with features": {kind: Pairs, files: folder, o: Options{Features: features(t, "a", "d.png", "b.png")}, want: []string{"a.png||a dog;a brown dog||1", "d.png||nothing||2"}, skipped: map[string]int{NoPicture: 1}},
		"archive with features": {kind: Images, files: map[string]string{"a.tar": archive, "b.tgz": pack(archive)}, o: Options{Features: features(t, "s/1", "4.png")},
			want: []string{"a.tar:s/1|||dog|1", "a.tar:4||||2", "b.tgz:s/1|||dog|1", "b.tgz:4||||2"}, skipped: map[string]int{NoPicture: 14, NotJSON: 2}},
		"features": {kind: Images, files: map[string]string{"f.tsv": string(must(os.ReadFile(features(t, "x", "y"))))}, path: "f.tsv", want: []string{"x||||1", "y||||2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.o.Features == "" {
				test.o.Extractor = tiny
			}
			c := open(t, test.kind, test.o, filepath.Join(writeFiles(t, test.files), test.path))
			samples, report := all(t, c, All)
			if got := showAll(samples); !slices.Equal(got, test.want) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
			if !maps.Equal(report.Skipped, test.skipped) {
				t.Errorf("%v are passed over, want %v; %v", report.Skipped, test.skipped, report.First)
			}
			for _, s := range samples {
				again, err := c.At(s.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if show(again) != show(s) || again.Where != s.Where || again.Ref != s.Ref {
					t.Errorf("%v: %+v, want %+v", s.Ref, again, s)
				}
			}
			if test.kind != Text && c.Dim() != 12 {
				t.Errorf("features of %d values", c.Dim())
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestCutOff cuts shards off everywhere: what is whole comes as it was, the rest is counted once.
func TestCutOff(t *testing.T) {
	text := "one\ntwo\nthree\nfour\n"
	archive := makeTar("1.png", dot(1), "1.txt", "one", "2.png", dot(2), "2.txt", "two", "3.png", dot(3), "3.txt", "three")
	for name, content := range map[string]string{"a.txt.gz": pack(text), "a.tar": archive, "a.tar.gz": pack(archive)} {
		t.Run(name, func(t *testing.T) {
			kind := Pairs
			if name == "a.txt.gz" {
				kind = Text
			}
			dir := writeFiles(t, map[string]string{name: content})
			path := filepath.Join(dir, name)
			whole, _ := all(t, open(t, kind, Options{Extractor: tiny}, path), All)
			want := showAll(whole)
			step, most := max(1, len(content)/100), 0
			for cut := 0; cut < len(content); cut += step {
				if err := os.WriteFile(path, []byte(content[:cut]), 0o644); err != nil {
					t.Fatal(err)
				}
				c, err := Open(kind, []string{path}, Options{Extractor: tiny})
				var known *textfile.FileError
				if errors.As(err, &known) {
					continue // nothing is left
				}
				if err != nil {
					t.Fatal(err)
				}
				samples, report := all(t, c, All)
				got := showAll(samples)
				if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
					t.Errorf("cut to %d bytes: %q", cut, got)
				}
				if report.Skipped[CutOff] > 1 || report.Skipped[CutOff] == 0 && name != "a.tar" && len(got) < len(want) {
					t.Errorf("cut to %d bytes: %v", cut, report.Skipped)
				}
				most = max(most, len(got))
				checkResume(t, c, StreamOptions{Buffer: 1}, len(got), 3)
			}
			if most < len(want)-1 {
				t.Errorf("at most %d of %d samples were found", most, len(want))
			}
		})
	}
}

// lfs is what Git leaves in place of a large file that was not fetched.
const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 12345\n"

func TestOpenErrors(t *testing.T) {
	dir := writeFiles(t, map[string]string{"empty.txt": "\n\n", "bad.jsonl": "[]\n", "x.pdf": "x", "none/x.pdf": "x", "a.txt": "x", "p/a.png": dot(1), "a.tar": "no archive", "a.txt.gz": "not packed",
		"d/train.txt": "a.png", "d/captions.csv": "image,caption\na.png,x", "utf16.txt": "o\x00n\x00e\x00\n\x00",
		"lfs.tar": lfs, "lfs.tar.gz": lfs, "lfs.txt": lfs, "page.jsonl": "<!DOCTYPE html><html>"})
	for _, test := range []struct {
		kind  Kind
		paths []string
		o     Options
		want  string
	}{
		{Text, nil, Options{}, "without files"},
		{"films", []string{"a.txt"}, Options{}, "choose one of text, images, pairs"},
		{Text, []string{"a.txt"}, Options{HeldOut: 1.5}, "from 0 to 1"},
		{Text, []string{"missing.txt"}, Options{}, "does not exist"},
		{Text, []string{"miss*.txt"}, Options{}, "does not exist"},
		{Text, []string{"a.txt", "x.pdf"}, Options{}, "of no form in which text are read"},
		{Text, []string{"none"}, Options{}, "has no file in which text are read"},
		{Pairs, []string{"p"}, Options{}, "has no file in which pairs are read"},
		{Text, []string{"d"}, Options{}, "name it among the pairs"},
		{Pairs, []string{"d"}, Options{}, "d: a.png: " + NoPicture},
		{Text, []string{"empty.txt"}, Options{}, "has no sample of text"},
		{Text, []string{"bad.jsonl"}, Options{}, "bad.jsonl:1: " + NotJSON},
		{Text, []string{"utf16.txt"}, Options{}, NotUTF8},
		{Text, []string{"a.txt.gz"}, Options{}, "a.txt.gz: is not compressed with gzip, as its name says"},
		{Pairs, []string{"lfs.tar"}, Options{}, "lfs.tar: is a Git LFS pointer"},
		{Images, []string{"lfs.tar.gz"}, Options{}, "lfs.tar.gz: is a Git LFS pointer"},
		{Text, []string{"a.txt", "lfs.txt"}, Options{}, "lfs.txt: is a Git LFS pointer"},
		{Pairs, []string{"page.jsonl"}, Options{}, "page.jsonl: is a web page"},
		{Pairs, []string{"a.tar"}, Options{}, CutOff},
		{Images, []string{"x.pdf"}, Options{}, "x.pdf"},
		{Images, []string{"p"}, Options{Features: features(t, "b")}, NoPicture},
		{Pairs, []string{"d"}, Options{Features: "none.tsv"}, "or none, for their pictures"},
		{Images, []string{classified(t, 4, "b"), classified(t, 5, "b")}, Options{}, "probabilities of 5 classes"},
		{Images, []string{"p", features(t, "b"), "p"}, Options{Extractor: must(regions.NewExtractor(regions.Spec{Extractor: regions.Statistics}))}, "features of 12 values, the images before of 64"},
	} {
		var paths []string
		for _, p := range test.paths {
			if !filepath.IsAbs(p) {
				p = filepath.Join(dir, p)
			}
			paths = append(paths, p)
		}
		_, err := Open(test.kind, paths, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.paths, err, test.want)
		}
	}
}

func TestHeldOut(t *testing.T) {
	var rows, lines strings.Builder
	files := map[string]string{}
	for i := range 200 {
		fmt.Fprintf(&rows, "%d\tfirst %d\n%d\tsecond\n", i, i, i)
		files[fmt.Sprintf("p/%d.png", i)] = dot(byte(i))
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	files["a.tsv"], files["a.txt"] = rows.String(), lines.String()
	dir := writeFiles(t, files)
	held := map[string]map[string]bool{}
	for _, test := range []struct {
		path string
		kind Kind
	}{{"a.tsv", Text}, {"p", Images}, {"a.txt", Text}} {
		c := open(t, test.kind, Options{Extractor: tiny, HeldOut: .2}, filepath.Join(dir, test.path))
		both, _ := all(t, c, All)
		train, _ := all(t, c, Train)
		out, _ := all(t, c, HeldOut)
		if n := float64(len(out)) / float64(len(both)); n < .1 || n > .3 || len(train)+len(out) != len(both) {
			t.Errorf("%s: %d of %d are held out, %d are not", test.path, len(out), len(both), len(train))
		}
		held[test.path] = map[string]bool{}
		for _, s := range out {
			held[test.path][strings.TrimSuffix(s.group+s.Key, ".png")] = true
		}
		for _, s := range train {
			if held[test.path][strings.TrimSuffix(s.group+s.Key, ".png")] {
				t.Errorf("%s: %s is in both", test.path, s.Key)
			}
		}
		wider := open(t, test.kind, Options{Extractor: tiny, HeldOut: .4}, filepath.Join(dir, test.path))
		more, _ := all(t, wider, HeldOut)
		if len(more) <= len(out) {
			t.Errorf("%s: %d, then %d", test.path, len(out), len(more))
		}
	}
	// Captions are held out with their images, whatever the collection.
	rowsOut, _ := all(t, open(t, Text, Options{HeldOut: .2}, filepath.Join(dir, "a.tsv")), HeldOut)
	for _, s := range rowsOut {
		if !held["p"][s.group] {
			t.Errorf("image %s is not held out, its captions are", s.group)
		}
	}
	// The same in all runs to come.
	for name, want := range map[string]float64{"1000268201_693b08cb0e.jpg": 0.27, "a.txt:1": 0.92} {
		s := Sample{Key: name}
		if s.heldOut(want) || !s.heldOut(want+.01) {
			t.Errorf("%s is held out at another share than %v", name, want)
		}
	}
}

func TestObjects(t *testing.T) {
	files := classified(t, 4, "x", "y")
	c := open(t, Images, Options{}, files)
	if c.Classes() != 4 {
		t.Errorf("%d classes", c.Classes())
	}
	samples, _ := all(t, c, All)
	for i, s := range samples {
		objects, err := c.Objects(s)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{fmt.Sprint("class ", i)}; !slices.Equal(objects, want) {
			t.Errorf("%q, want %q", objects, want)
		}
		s.Objects = []string{"dog"}
		if objects, err = c.Objects(s); err != nil || !slices.Equal(objects, s.Objects) {
			t.Errorf("%q, %v", objects, err)
		}
	}
}

func TestEachStops(t *testing.T) {
	c := open(t, Text, Options{}, writeFiles(t, map[string]string{"a.txt": "1\n2\n3\n"}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen []string
	for s, err := range c.Each(ctx, All) {
		if err != nil {
			seen = append(seen, err.Error())
			continue
		}
		seen = append(seen, s.Text)
		cancel()
	}
	if want := []string{"1", context.Canceled.Error()}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
	for range c.Each(t.Context(), All) { // iter panics where a sequence goes on after a break
		break
	}
}

// TestLink names a folder by a link to it.
func TestLink(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a/x.txt": "one\n"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skipf("not run: %v", err)
	}
	if samples, _ := all(t, open(t, Text, Options{}, link), All); len(samples) != 1 || samples[0].Key != "a/x.txt:1" {
		t.Errorf("%d samples", len(samples))
	}
}

// TestWorkers reads images from several goroutines.
func TestWorkers(t *testing.T) {
	c := mixed(t)
	samples, _ := all(t, c, All)
	want := showAll(samples)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range samples {
				i = (i + worker*len(samples)/4) % len(samples)
				if got := show(samples[i]); got != want[i] {
					t.Errorf("%s, want %s", got, want[i])
				}
			}
		})
	}
	group.Wait()
}

// TestCache asks for pictures that are gone since.
func TestCache(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.png": dot(1), "b.png": dot(2), "c.png": dot(3)})
	c := open(t, Images, Options{Extractor: tiny, CacheBytes: 2 * 4 * 4 * 3}, dir)
	samples, _ := all(t, c, All)
	first := showAll(samples)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(first[:2]), "c.png||||"+NoPicture)
	if got := showAll(samples); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestOneLine: what unpacks to far more than a line may have costs no memory.
func TestOneLine(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	block := bytes.Repeat([]byte{'x'}, 1<<20)
	for range 16 {
		w.Write(block)
	}
	w.Write([]byte("\nshort\n"))
	w.Close()
	c := open(t, Text, Options{}, writeFiles(t, map[string]string{"a.txt.gz": b.String()}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	samples, report := all(t, c, All)
	runtime.ReadMemStats(&after)
	if len(samples) != 1 || samples[0].Text != "short" || report.Skipped[LongLine] != 1 {
		t.Errorf("%d samples, %v", len(samples), report)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// TestRealData counts what is in the collections.
func TestRealData(t *testing.T) {
	for _, test := range []struct {
		kind Kind
		name string
		want int
	}{{Text, "flickr30k-captions", 141085}, {Pairs, "flickr8k", 6000}, {Images, "daquar/images", 1449}, {Images, "coco-mini/train2017", 80}} {
		t.Run(test.name, func(t *testing.T) {
			c := open(t, test.kind, Options{Extractor: tiny}, golden.Data(t, test.name))
			samples, report := all(t, c, All)
			if len(samples) != test.want {
				t.Errorf("%d samples, want %d; %v", len(samples), test.want, report.Skipped)
			}
			var im regions.Image
			if test.kind != Text {
				if err := samples[len(samples)/2].Image(&im); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
