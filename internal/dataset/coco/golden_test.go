package coco

import (
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// The reference's lines with its file of objects, whole and cut to lengths. It cuts regions, too, and still counts them
// all: what has too many is refused here, see regions.Options.
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
			ObjectSen []int32 `json:"obj_sent_ids"`
			ObjectPos []int32 `json:"obj_pos_ids"`
			Tokens    []int32 `json:"token_ids"`
			Positions []int32 `json:"pos_ids"`
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
			n := 0
			err := scanLines(strings.NewReader(strings.Join(lines.list, "\n")), "lines", func(l Line, number int) error {
				n++
				for _, r := range g.Records {
					if r.Line != number-1 {
						continue
					}
					if id, ok := ImageID(l.Image.ID); !ok || id != r.Image || l.Image.Regions()+1 != r.Boxes {
						t.Errorf("line %d: image %s of %d regions", number, l.Image.ID, l.Image.Regions()+1)
					}
					tags, _ := objects.Of(l.Image.ID)
					if got := tags.Tokens[:min(len(tags.Tokens), r.MaxObject)]; !slices.Equal(got, r.Objects) {
						t.Errorf("line %d, %s: objects %v, want %v", number, r.Tag, got, r.Objects)
					}
					if lines.captions {
						if got := captions.Truncate(l.Tokens, r.MaxTarget); !slices.Equal(got, r.Tokens) {
							t.Errorf("line %d, %s: tokens %v, want %v", number, r.Tag, got, r.Tokens)
						}
					} else if l.Tokens != nil {
						t.Errorf("line %d without a caption has one: %v", number, l.Tokens)
					}
					features, locations := l.Image.AppendRows(nil, nil)
					rows := min(l.Image.Regions()+1, r.MaxImage)
					name := r.Tag + ".line" + string(rune('0'+r.Line))
					dim := len(features) / (l.Image.Regions() + 1)
					golden.Near(t, name+" features", features[:rows*dim], want.Floats(name+".image_embeddings"), 1e-6)
					golden.Near(t, name+" locations", locations[:rows*regions.LocationSize], want.Floats(name+".image_loc"), 1e-6)
				}
				return nil
			})
			if err != nil || n != len(lines.list) {
				t.Errorf("%d of %d lines, %v", n, len(lines.list), err)
			}
		}
	})
}
