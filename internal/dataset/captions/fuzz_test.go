package captions

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// fuzzReader feeds a reader with anything: every row it gives is either good, and then has an
// image with a plain name and a caption, or bad with a reason; errors name the file.
func fuzzReader(f *testing.F, read reader, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		err := read(bytes.NewReader(content), "x", func(r row) error {
			if r.problem != "" {
				return nil
			}
			if r.image == "" || r.text == "" && len(r.tokens) == 0 || !filepath.IsLocal(r.image) || strings.ContainsAny(r.image, "\n\r\x00\\") {
				t.Errorf("%+v passes", r)
			}
			return nil
		})
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != "x") {
			t.Errorf("%v", err)
		}
	})
}

func FuzzTable(f *testing.F) {
	fuzzReader(f, readTable, "image,caption\na.jpg,\"x, \"\"y\"\"\"\n", "id,caption,image\n1,x,../a\n", "image_name| comment_number| comment\na| 0| x\na| 4   A b\n",
		"\ufefffilename\traw\tsplit\na\t[\"x\",\"y\"]\ttrain\n", "image,caption\na,\"x", "", "image,caption\n\n\na,b\n")
}

func FuzzJSONLines(f *testing.F) {
	fuzzReader(f, readJSONLines, `{"image":"a","caption":"x"}`, `{"image":"a","tokens":[0,5,2],"id":"7"}`, `{"image":"a","tokens":[-1]}`, "{", "[]", `{"x":1}`, `{} {}`)
}

func FuzzDocument(f *testing.F) {
	fuzzReader(f, readDocument, karpathy, coco, cocoBackwards, blip, `{"a.jpg":["x"],"b.png":"y"}`, `[{"image":"a","caption":[1]}]`, `[[],[]]`, `{"annotations":[{"image_id":{}}]}`, `{"images":[{"filename":1}]}`, `{"images":[{"sentences":[{}]}],"images":[]}`, `{"images":{}}`, "[", `{"a":[[[[`, "")
}

func FuzzTokenLines(f *testing.F) {
	fuzzReader(f, readTokenLines, tokenFile, "a#1 x\n", "#1\tx\n", "a.jpg#\tx\n", "a#1#2\tx\ty\n")
}

func FuzzIDs(f *testing.F) {
	fuzzReader(f, readIDs, idLines, "0;0;2;1;1\n", "0 99999999999;0 0;2 3;1;1\n", ";;;;\n", "-1;0;2;a;b\n")
}

func FuzzList(f *testing.F) {
	for _, s := range []string{"a.jpg\nb.jpg\n", "a\na\n", "../x\n", "\ufeffa\r\n\r\nb", "a\x00\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		names, lines, err := scanList(bytes.NewReader(content), "x")
		if len(names) != len(lines) {
			t.Errorf("%d names, %d lines", len(names), len(lines))
		}
		var known *textfile.FileError
		if err != nil && !errors.As(err, &known) {
			t.Errorf("%v", err)
		}
		seen := map[string]bool{}
		for _, name := range names {
			if seen[name] || checkName(name) != "" {
				t.Errorf("%q passes", name)
			}
			seen[name] = true
		}
	})
}

// FuzzPrepare: what is prepared from anything can be read.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{"image,caption\na.jpg,x\nb,y\n", tokenFile, "image|caption\na|\"x\"\n", "image,caption\na,\"x\r\n\r\ny\"\n", "image,caption\n\"\"\"a\"\"\",x\n,\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		src, dst := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out")
		if err := os.WriteFile(src, content, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Prepare(context.Background(), src, dst, PrepareOptions{})
		if err != nil {
			return
		}
		for _, want := range p.Splits {
			s, err := Read(dst, want.Split)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Images) != want.Images || len(s.Captions) != want.Captions {
				t.Errorf("%d images and %d captions, want %+v", len(s.Images), len(s.Captions), want)
			}
		}
	})
}
