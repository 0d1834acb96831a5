package coco

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

func save(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const vocabulary = "dog\nball,globe\nstop sign,stopsign\n"

func TestReadObjects(t *testing.T) {
	v, err := ReadVocabulary(save(t, "classes.txt", vocabulary))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file, content string
		v                   *Vocabulary
		image               string
		want                Tags
		err                 string
	}{
		{name: "table", file: "o.csv", content: "image,objects\na.jpg,\"dog, stop sign\"\nb.jpg,\n", image: "a.jpg", want: Tags{Names: []string{"dog", "stop sign"}, Line: 2}},
		{name: "no objects", file: "o.csv", content: "image,objects\na.jpg,\"dog, stop sign\"\nb.jpg,\n", image: "b.jpg", want: Tags{Line: 3}},
		{name: "tabs and other names", file: "o.tsv", content: "file_name\ttags\na.jpg\tdog; ball\n", image: "a.jpg", want: Tags{Names: []string{"dog", "ball"}, Line: 2}},
		{name: "JSON lines", file: "o.jsonl", content: `{"image": "a.jpg", "objects": ["dog", "ball"]}` + "\n" + `{"image": "b.jpg", "tags": "cat, mat"}`, image: "b.jpg", want: Tags{Names: []string{"cat", "mat"}, Line: 2}},
		{name: "reference", file: "o.txt", content: "000000000017;0 5 2;0 0 0;2 3 4\n", image: "coco2014_000000000017", want: Tags{Tokens: []int32{0, 5, 2}, Line: 1}},
		{name: "by the stem", file: "o.csv", content: "image,objects\na,dog\n", image: "a.jpg", want: Tags{Names: []string{"dog"}, Line: 2}},
		{name: "by the path", file: "o.csv", content: "image,objects\na.jpg,dog\n", image: "photos/a.jpg", want: Tags{Names: []string{"dog"}, Line: 2}},
		{name: "in the vocabulary", file: "o.csv", content: "image,objects\na.jpg,\"Globe, dog\"\n", v: v, image: "a.jpg", want: Tags{Names: []string{"Globe", "dog"}, Line: 2}},
		{name: "outside the vocabulary", file: "o.csv", content: "image,objects\na.jpg,dog\nb.jpg,cat\n", v: v, err: `o.csv:3: object "cat" of image "b.jpg" is not in the vocabulary`},
		{name: "twice", file: "o.csv", content: "image,objects\na.jpg,dog\n./a.jpg,ball\n", err: `o.csv:3: image "a.jpg" is in line 2 already; give a table`},
		{name: "no image", file: "o.csv", content: "image,objects\n,dog\n", err: "o.csv:2: the name of the image is empty"},
		{name: "no column", file: "o.csv", content: "image,what\na.jpg,dog\n", err: "o.csv:1: the header has no column image, or none of objects"},
		{name: "two columns", file: "o.csv", content: "image,objects,tags\na.jpg,dog,x\n", err: `o.csv:1: the header has "objects" and "tags"`},
		{name: "a column too many", file: "o.csv", content: "image,objects\na.jpg,dog,ball\n", err: "o.csv:2: has 3 columns, the header has 2"},
		{name: "empty", file: "o.csv", content: "image,objects\n", err: "o.csv: has no image"},
		{name: "no JSON", file: "o.jsonl", content: "dog", err: "o.jsonl:1: "},
		{name: "no objects in JSON", file: "o.jsonl", content: `{"image": "a.jpg"}`, err: `o.jsonl:1: is an object with the keys "image", none of which is the objects`},
		{name: "numbers in JSON", file: "o.jsonl", content: `{"image": "a.jpg", "objects": 3}`, err: `o.jsonl:1: "objects" is a number`},
		{name: "fields", file: "o.txt", content: "17;0 5 2;0 0 0\n", err: `o.txt:1: has 3 fields with ";" between, not the 4`},
		{name: "no token", file: "o.txt", content: "17;0 x 2;0 0 0;2 3 4\n", err: `o.txt:1: "x" is no id of a token`},
		{name: "lengths", file: "o.txt", content: "17;0 5 2;0 0;2 3 4\n", err: "o.txt:1: has 3 tokens, but 2 ids of sentences or positions"},
		{name: "positions", file: "o.txt", content: "17;0 5 2;0 0 0;2 3 5\n", err: "o.txt:1: token 3 has sentence 0 and position 5, not 0 and 4"},
	} {
		o, err := ReadObjects(save(t, c.file, c.content), c.v)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
			continue
		}
		if err != nil {
			continue
		}
		if got, ok := o.Of(c.image); !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, ok, c.want)
		}
		if _, ok := o.Of("holidays_a.jpg"); ok { // ends as an image that is there, after nine characters
			t.Errorf("%s: an image has the objects of another", c.name)
		}
		if _, ok := o.Of("other.jpg"); ok {
			t.Errorf("%s: an image that is not there has objects", c.name)
		}
	}
	if _, err := ReadObjects(filepath.Join(t.TempDir(), "none.csv"), nil); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestVocabulary(t *testing.T) {
	for content, want := range map[string]string{"": "is empty", "dog\n\nball\n": ":2: the line has no name", strings.Repeat("a\n", maxClasses+1): ":16385: more than 16384 classes"} {
		if _, err := ReadVocabulary(save(t, "classes.txt", content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: %v, want %q", content, err, want)
		}
	}
	v, err := ReadVocabulary(save(t, "classes.txt", vocabulary))
	if err != nil {
		t.Fatal(err)
	}
	image := func(classes ...float32) *regions.Image {
		return &regions.Image{ID: "a", Boxes: make([]float32, 12), Classes: classes}
	}
	for _, c := range []struct {
		im   *regions.Image
		want []string
		err  string
	}{
		{im: image(0.9, 0.1, 0, 0, 0.2, 0.8, 0.7, 0.2, 0.1), want: []string{"dog", "stop sign"}},
		{im: image(0.9, 0.1, 0, 0, 0, 0.6, 0.4, 0, 0, 0.1, 0.2, 0.7), want: []string{"dog", "stop sign"}}, // the background first
		{im: image(0.5, 0.5, 0.5, 0.5, 0.5, 0.5), err: `image "a": its regions have probabilities of 2 classes, but `},
		{im: image(), err: "of 0 classes"},
	} {
		got, err := v.Detected(c.im)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, %v, want %q, %q", c.im.Classes, got, err, c.want, c.err)
		}
	}
}

func TestWriteResult(t *testing.T) {
	for _, c := range []struct {
		captions  []Written
		want, err string
	}{
		{[]Written{{"COCO_val2014_000000391895.jpg", "a <man>"}, {"val2017/000000000139.jpg", "a room"}}, `[{"image_id":391895,"caption":"a <man>"},{"image_id":139,"caption":"a room"}]` + "\n", ""},
		{[]Written{{"coco2014_000000000017", "a"}}, `[{"image_id":17,"caption":"a"}]` + "\n", ""},
		{[]Written{{"000000000139.jpg", "a"}, {"1000268201_693b08cb0e.jpg", "b"}}, `[{"image_id":"000000000139.jpg","caption":"a"},{"image_id":"1000268201_693b08cb0e.jpg","caption":"b"}]` + "\n", ""},
		{[]Written{{"a/000000000139.jpg", "a"}, {"b/000000000139.jpg", "b"}}, "", "have one id, 139; leave one of them out"},
		{[]Written{{"a.jpg", "a"}, {"a.jpg", "b"}}, "", "have one id, a.jpg"},
		{nil, "[]\n", ""},
	} {
		path := filepath.Join(t.TempDir(), "result.json")
		err := WriteResult(path, c.captions)
		got, _ := os.ReadFile(path)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || string(got) != c.want {
			t.Errorf("%v: %s, %v", c.captions, got, err)
		}
	}
}

// encoded is base64 of float32.
func encoded(values ...float32) string {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// line is one of the reference's lines of an image of one region.
func line(id, tokens, sentences, positions string) string {
	return strings.Join([]string{id, "7", tokens, sentences, positions, "", "", "", "10", "20", "1", encoded(0, 0, 9, 9), "", "", encoded(1, 2), "0"}, ";")
}

func TestReadLines(t *testing.T) {
	a, b := line("coco2014_000000000001", "0 5 2", "1 1 1", "2 3 4"), line("coco2014_000000000002", "", "", "")
	packed := filepath.Join(t.TempDir(), "train.gz")
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte(a + "\n" + a + "\n" + b + "\n"))
	if z.Close() != nil || f.Close() != nil {
		t.Fatal("cannot write gzip")
	}
	plain := save(t, "plain.txt", a+"\n"+a+"\n"+b+"\n")
	for path, want := range map[string][]string{
		plain: {plain}, packed: {packed}, save(t, "list", plain+"\n\n"+packed+"\n"): {plain, packed}, save(t, "names", "a.jpg\nb.jpg\n"): nil, save(t, "empty", ""): nil,
		filepath.Join(t.TempDir(), "none"): nil, t.TempDir(): nil,
	} {
		if got, err := LineFiles(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", path, got, err, want)
		}
	}
	if _, err := LineFiles(save(t, "list", plain+"\nnone.txt\n")); err == nil || !strings.Contains(err.Error(), `list:2: lists "none.txt", which is not there`) {
		t.Errorf("a list with a file that is not there: %v", err)
	}
	for _, path := range []string{plain, packed} {
		w := regions.NewWithin(regions.CaptionFields, 0)
		set, err := ReadLines([]string{path}, w)
		if err != nil || len(set.Images) != 2 || len(set.Captions) != 2 || set.Captions[1].Line != 2 || !slices.Equal(set.Captions[1].Tokens, []int32{0, 5, 2}) || set.Captions[0].ID != "7" {
			t.Errorf("%s: %+v, %v", path, set, err)
		}
		w.Close()
	}
	for content, want := range map[string]string{
		"a;b":                                 "has 2 fields",
		line("x", "0 2", "0 0", "2 3"):        `:1: token 1 has sentence 0 and position 2, not 1 and 2; correct the line`,
		line("x", "0 -2", "1 1", "2 3"):       `:1: "-2" is no id`,
		a + "\n" + line("", "", "", ""):       ":2: has no id of an image",
		strings.Replace(a, "10;20", "0;0", 1): ":1: ",
	} {
		w := regions.NewWithin(regions.CaptionFields, 0)
		if _, err := ReadLines([]string{save(t, "lines", content)}, w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
		w.Close()
	}
}

func FuzzObjects(f *testing.F) {
	for _, seed := range []string{"image,objects\na,\"b, c\"\n", `{"image": "a", "objects": ["b"]}`, "17;0 5 2;0 0 0;2 3 4\n", "image,objects\na\n", "{}", ";;;"} {
		for _, ending := range []string{".csv", ".tsv", ".jsonl", ".txt"} {
			f.Add(ending, seed)
		}
	}
	f.Fuzz(func(t *testing.T, ending, content string) {
		o := &Objects{Path: "objects" + ending, of: map[string]Tags{}}
		if err := o.read(strings.NewReader(content), nil); err != nil {
			return
		}
		for name, tags := range o.of {
			if got, ok := o.Of(name); !ok || got.Line != tags.Line || tags.Line < 1 || tags.Tokens != nil && tags.Names != nil {
				t.Errorf("%q: %+v, %+v", name, tags, got)
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	f.Add("0 5 2", "1 1 1", "2 3 4")
	f.Add("", "", "")
	f.Add("0", "1 1", "-1")
	f.Fuzz(func(t *testing.T, tokens, sentences, positions string) {
		got, err := parseTokens(tokens, sentences, positions, ofCaption)
		if err == nil && len(got) != len(strings.Fields(tokens)) {
			t.Errorf("%q: %v", tokens, got)
		}
	})
}
