package coco

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// The reference's lines with its file of objects, whole and cut to lengths.
func TestReferenceReader(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("img2txt.json") || !c.Has("img2txt.safetensors") {
			t.Skip("not run: the case has no captions of images")
		}
		type record struct {
			Tag       string
			Line      int
			MaxImage  int     `json:"max_img_len"`
			MaxObject int     `json:"max_obj_len"`
			MaxTarget int     `json:"max_tgt_len"`
			Image     int64   `json:"image_id"`
			Boxes     int     `json:"number_box"`
			Objects   []int32 `json:"obj_token_ids"`
			Tokens    []int32 `json:"token_ids"`
		}
		var g struct {
			ObjectFile  string   `json:"object_file"`
			Lines       []string `json:"lines"`
			DecodeLines []string `json:"decode_lines"`
			Records     []record
		}
		c.JSON(t, "img2txt.json", &g)
		want := c.Tensors(t, "img2txt.safetensors")
		objects := &Objects{Path: "objects", of: map[string]Tags{}}
		if err := objects.read(strings.NewReader(g.ObjectFile), nil); err != nil {
			t.Fatal(err)
		}
		for _, lines := range []struct {
			list     []string
			captions bool
		}{{g.Lines, true}, {g.DecodeLines, false}} {
			path := filepath.Join(t.TempDir(), "lines.txt")
			if err := os.WriteFile(path, []byte(strings.Join(lines.list, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			files, err := LineFiles(path)
			if err != nil || !slices.Equal(files, []string{path}) {
				t.Fatalf("files of lines: %v, %v", files, err)
			}
			for _, r := range g.Records {
				w := regions.NewWithin(regions.CaptionFields, r.MaxImage-1) // of theirs one is the global region
				set, err := ReadLines(files, w)
				if err != nil || len(set.Images) != len(lines.list) || lines.captions && len(set.Captions) != len(lines.list) || !lines.captions && len(set.Captions) > 0 {
					t.Fatalf("%+v, %v", set, err)
				}
				var im regions.Image
				if err := w.Image(set.Images[r.Line], &im); err != nil {
					t.Fatal(err)
				}
				if id, ok := ImageID(im.ID); !ok || id != r.Image || im.Regions()+1 != r.Boxes {
					t.Errorf("line %d: image %s of %d regions", r.Line, im.ID, im.Regions()+1)
				}
				tags, _ := objects.Of(im.ID)
				if got := tags.Tokens[:min(len(tags.Tokens), r.MaxObject)]; !slices.Equal(got, r.Objects) {
					t.Errorf("line %d, %s: objects %v, want %v", r.Line, r.Tag, got, r.Objects)
				}
				if lines.captions {
					if got := captions.Truncate(set.Captions[r.Line].Tokens, r.MaxTarget); !slices.Equal(got, r.Tokens) {
						t.Errorf("line %d, %s: tokens %v, want %v", r.Line, r.Tag, got, r.Tokens)
					}
				}
				features, locations := im.AppendRows(nil, nil)
				name := fmt.Sprintf("%s.line%d", r.Tag, r.Line)
				golden.Near(t, name+" features", features, want.Floats(name+".image_embeddings"), 1e-6)
				golden.Near(t, name+" locations", locations, want.Floats(name+".image_loc"), 1e-6)
				w.Close()
			}
		}
	})
}
