package entailment

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/golden"
)

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The reference's lines give what its reader makes of them. Package pairs cuts them, and tests that.
func TestReferenceLines(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("visual_entailment.json") {
			t.Skip("not run: the case has no lines of visual entailment")
		}
		var g struct {
			Lines   []string
			Records []struct {
				Line      int
				Max       int     `json:"max_seq_len"`
				Tokens    []int32 `json:"token_ids"`
				Positions []int32 `json:"pos_ids"`
				Label     string
				Boxes     int `json:"number_box"`
			}
		}
		c.JSON(t, "visual_entailment.json", &g)
		x := Example{}
		for _, want := range g.Records {
			fields := bytes.Split([]byte(g.Lines[want.Line]), []byte(";"))
			if err := x.parse(fields); err != nil {
				t.Fatal(err)
			}
			if x.Image != fmt.Sprint("img", want.Line) || x.ID != fmt.Sprint("d", want.Line) || string(fields[labelField]) != want.Label || string(fields[9]) != fmt.Sprint(want.Boxes-1) {
				t.Errorf("line %d: %+v", want.Line, x)
			}
			if want.Max >= len(x.Tokens) && !slices.Equal(x.Tokens, want.Tokens) {
				t.Errorf("line %d: tokens are %v, want %v", want.Line, x.Tokens, want.Tokens)
			}
		}
	})
}

func TestTables(t *testing.T) {
	want := []Example{
		{ID: "p1", Image: "a.jpg", Text: "A dog runs.", Class: 0, Line: 2},
		{ID: "p2", Image: "a.jpg", Text: "A cat, asleep.", Class: 2, Line: 3},
	}
	for name, content := range map[string]string{
		"a.csv":      "pairID,image,hypothesis,label\np1,a.jpg,A dog runs.,Entailment\np2,a.jpg,\"A cat, asleep.\",2\n",
		"e-vil.tsv":  "pairID\tflickr8k_image\thypothesis\tgold_label\np1\ta.jpg\tA dog runs.\tentailment\np2\ta.jpg\tA cat, asleep.\tCONTRADICTION\n",
		"text.csv":   "id,image,text,label\np1,a.jpg,A dog runs.,entailment\np2,a.jpg,\"A cat, asleep.\",contradiction\n",
		"left.csv":   "id,image,text,gold_label\np1,a.jpg,A dog runs.,entailment\np2,a.jpg,\"A cat, asleep.\",contradiction\np3,a.jpg,A,-\n",
		"off.jsonl":  "\n" + `{"Flickr30K_ID": "a", "pairID": "p1", "gold_label": "entailment", "sentence1": "Dogs.", "sentence2": "A dog runs.", "annotator_labels": ["x"]}` + "\n" + `{"Flickr30K_ID": "a", "pairID": "p2", "gold_label": "contradiction", "sentence1": "Dogs.", "sentence2": "A cat, asleep."}`,
		"list.json":  "[\n" + `{"image": "a.jpg", "id": "p1", "label": 0, "hypothesis": "A dog runs."},` + "\n" + `{"image": "a.jpg", "id": "p2", "label": 2, "hypothesis": "A cat, asleep."}]`,
		"colons.csv": "id;image;hypothesis;label\np1;a.jpg;A dog runs.;entailment\np2;a.jpg;A cat, asleep.;contradiction\n",
	} {
		file := write(t, name, content)
		s, err := Read(file, Options{Labels: Labels})
		if err != nil {
			t.Error(err)
			continue
		}
		for i := range s.Examples {
			if s.Examples[i].File != file {
				t.Errorf("%s: %+v", name, s.Examples[i])
			}
			s.Examples[i].File = ""
		}
		if !reflect.DeepEqual(s.Examples, want) || s.Images != nil || (name == "left.csv") != (s.LeftOut == 1) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// line is one of the reference's.
func line(image, id, label, tokens, positions string) string {
	region := base64.StdEncoding.EncodeToString(make([]byte, 8))
	return strings.Join([]string{image, id, label, tokens, strings.Repeat("0 ", len(strings.Fields(tokens))), positions, "x", "4", "4", "1",
		base64.StdEncoding.EncodeToString(make([]byte, 16)), region, "p", "a"}, ";")
}

func TestLines(t *testing.T) {
	content := line("1", "d1", "0", "0 7 2", "2 3 4") + "\n" + line("2", "d2", "contradiction", "0 8 2", "2 3 4") + "\n" + line("1", "d3", "-", "0 9 2", "2 3 4") + "\n"
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(content))
	z.Close()
	for name, content := range map[string]string{"part-0": content, "part-1.gz": packed.String(), "train_filelist": "part-0\n./somewhere/else/part-1.gz\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range map[string]int{"part-0": 2, "part-1.gz": 2, "train_filelist": 4} {
		s, err := Read(filepath.Join(dir, name), Options{Labels: Labels})
		if err != nil {
			t.Error(err)
			continue
		}
		x := s.Examples[1]
		if len(s.Examples) != n || s.LeftOut != n/2 || x.Class != 2 || x.Image != "2" || x.ID != "d2" || x.Line != 2 || !slices.Equal(x.Tokens, []int32{0, 8, 2}) {
			t.Errorf("%s: %+v", name, s)
		}
		if !slices.Equal(s.Images.IDs(), []string{"1", "2"}) || s.Images.Dim() != 2 {
			t.Errorf("%s: images are %q", name, s.Images.IDs())
		}
		if twice := len(s.Notes) > 1 && strings.Contains(strings.Join(s.Notes, "\n"), `2 examples have an id that is there before: "d1" in line 1`); twice != (n == 4) {
			t.Errorf("%s: notes are %q", name, s.Notes)
		}
		s.Images.Close()
	}
}

func TestErrors(t *testing.T) {
	good := line("1", "d1", "0", "0 7 2", "2 3 4") + "\n"
	for _, c := range []struct{ name, content, want string }{
		{"label.csv", "image,hypothesis,label\na.jpg,x,maybe\n", `label.csv:2: label "maybe" is not one of entailment (or 0), neutral (or 1), contradiction (or 2); correct it`},
		{"empty.csv", "", "is empty"},
		{"nothing.csv", "image,hypothesis,label\n,x,0\n", "nothing.csv:2: names no picture; name one"},
		{"columns.csv", "picture_number,hypothesis,label\n1,x,0\n", `has no column for the image (image or file_name or image_name)`},
		{"two.csv", "image,file_name,hypothesis,label\na,b,x,0\n", `has "image" and "file_name", and either could be the image`},
		{"text.csv", "image,label\na.jpg,0\n", "no column for the second text (sentence2 or hypothesis"},
		{"short", good + "1;2;3\n", "short:2: has 3 fields with ; between them, want 14; correct the line, or leave it out (or leave such lines out with skip_bad"},
		{"labels", good + line("1", "d2", "7", "0 7 2", "2 3 4"), `labels:2: label "7" is not one of`},
		{"positions", good + line("1", "d2", "1", "0 7 2", "2 3 5"), "positions:2: position 3 of the text is 5, want 4"},
		{"tokens", good + line("1", "d2", "1", "0 x 2", "2 3 4"), `tokens:2: "x" is no token id`},
		{"few", good + line("1", "d2", "1", "0 2", "2 3 4"), "few:2: has 2 token ids, 2 sentence ids and 3 positions"},
		{"none", line("1", "d2", "-", "0 7 2", "2 3 4"), "has no example that can be used"},
		{"first_filelist", "nowhere/part-7\n", `first_filelist:1: there is no file "nowhere/part-7"`},
		{"blank_filelist", "\n\n", "blank_filelist: lists no file; put a path a line"},
		{"empty_filelist", "", "is empty"},
		{"gone_filelist", write(t, "part", good) + "\nnowhere/part-7\n", `gone_filelist:2: there is no file "nowhere/part-7"`},
	} {
		_, err := Read(write(t, c.name, c.content), Options{Labels: Labels})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	s, err := Read(write(t, "skipped", good+"1;2;3\n"), Options{Labels: Labels, SkipBad: true})
	if err != nil || len(s.Examples) != 1 || !strings.Contains(s.Notes[0], "1 bad line left out; the first: ") {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := Read(write(t, "test.csv", "image,hypothesis\na.jpg,x\n"), Options{Labels: Labels, Policy: labelled.LabelsIgnored}); err != nil || s.Examples[0].Class != -1 {
		t.Errorf("without labels: %+v, %v", s, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(line("1", "d1", "0", "0 7 2", "2 3 4")))
	f.Add([]byte("image,hypothesis,label\na.jpg,x,0\n"))
	f.Add([]byte(`{"Flickr30K_ID": "a", "sentence2": "x", "gold_label": "-"}`))
	f.Add([]byte("/\n;;;;;;;;;;;;;"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Read(write(t, "file", string(raw)), Options{Labels: Labels, SkipBad: true})
		if err != nil {
			return
		}
		for _, x := range s.Examples {
			if x.Image == "" && x.Tokens == nil || x.Class < 0 || x.Class > 2 {
				t.Errorf("%+v", x)
			}
		}
		if s.Images != nil {
			defer s.Images.Close()
			var im regions.Image
			for _, x := range s.Examples {
				if err := s.Images.Image(x.Image, &im); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
