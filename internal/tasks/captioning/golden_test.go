package captioning

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// goldenBatch compares what is packed with one of the reference's padded batches.
type goldenBatch struct {
	golden.Tensors
	*testing.T
	name string
	b    int
	in   model.Input
}

func (g goldenBatch) tensor(name string) string { return g.name + "." + name }

// narrow are integers that stand where valid is, row by row.
func (g goldenBatch) narrow(name string, valid func(s, i int) bool) (values, offsets []int32) {
	for _, v := range g.Ints(g.tensor(name)) {
		values = append(values, int32(v))
	}
	return golden.Pack(values, g.b, len(values)/g.b, 1, valid)
}

// within says that a position is one of its sequence's.
func within(offsets []int32) func(s, i int) bool {
	return func(s, i int) bool { return i < int(offsets[s+1]-offsets[s]) }
}

// source compares images and objects, and who of them sees whom: all of them all, and none of them padding or text.
func (g goldenBatch) source() {
	g.Helper()
	images, objects := g.in.Images.Offsets, g.in.Objects.Offsets
	for name, got := range map[string][]float32{"image_embedding": g.in.Images.Features, "image_loc": g.in.Images.Locations} {
		shape := g.Shape(g.tensor(name))
		want, _ := golden.Pack(g.Floats(g.tensor(name)), g.b, shape[1], shape[2], within(images))
		golden.Near(g.T, g.tensor(name), got, want, 1e-6)
	}
	for name, got := range map[string][]int32{"obj_token_ids": g.in.Objects.Tokens, "obj_pos_ids": g.in.Objects.Positions} {
		if want, _ := g.narrow(name, within(objects)); !slices.Equal(got, want) {
			g.Errorf("%s.%s: %v, want %v", g.name, name, got, want)
		}
	}
	all, first := g.Shape(g.tensor("input_mask"))[1], g.Shape(g.tensor("image_loc"))[1]
	text := first + g.Shape(g.tensor("obj_token_ids"))[1]
	mask, inImage, inObjects := g.Floats(g.tensor("input_mask")), within(images), within(objects)
	for s := range g.b {
		there := func(i int) bool { return i < first && inImage(s, i) || i >= first && i < text && inObjects(s, i-first) }
		for i := range all {
			for j := range all {
				if there(i) && there(j) != (mask[(s*all+i)*all+j] == 1) {
					g.Fatalf("%s: sequence %d: row %d sees %d: %v", g.name, s, i, j, !there(j))
				}
			}
		}
	}
}

// target compares the text: all tokens that another follows, those that follow, and that each sees the source, itself and what is before it.
func (g goldenBatch) target(labels []int32) {
	g.Helper()
	words := g.Shape(g.tensor("src_ids"))[1]
	places := g.Ints(g.tensor("tgt_pos"))
	predicted := func(s, i int) bool { return slices.Contains(places, int64(s*words+i)) }
	for name, got := range map[string][]int32{"src_ids": g.in.Text.Tokens, "pos_ids": g.in.Text.Positions} {
		if want, offsets := g.narrow(name, predicted); !slices.Equal(got, want) || !slices.Equal(offsets, g.in.Text.Offsets) {
			g.Errorf("%s.%s: %v at %v, want %v at %v", g.name, name, got, g.in.Text.Offsets, want, offsets)
		}
	}
	for i, label := range g.Ints(g.tensor("tgt_label")) {
		if !slices.IsSorted(places) || len(labels) != len(places) || labels[i] != int32(label) {
			g.Fatalf("%s: labels %v, want %d at %d", g.name, labels, label, i)
		}
	}
	all := g.Shape(g.tensor("input_mask"))[1]
	images := g.Shape(g.tensor("image_loc"))[1]
	mask, before := g.Floats(g.tensor("input_mask")), all-words
	inImage, inObjects, inText := within(g.in.Images.Offsets), within(g.in.Objects.Offsets), within(g.in.Text.Offsets)
	for s := range g.b {
		for i := range words {
			for j := range all {
				sees := j < images && inImage(s, j) || j >= images && j < before && inObjects(s, j-images) || j >= before && j-before <= i
				if inText(s, i) && sees != (mask[(s*all+before+i)*all+j] == 1) {
					g.Fatalf("%s: sequence %d: token %d sees %d: %v", g.name, s, i, j, !sees)
				}
			}
		}
	}
}

// The reference's batches of captions, whole and cut, to train on and to decode, from its lines and its file of objects.
func TestReferenceBatches(t *testing.T) {
	golden.Run(t, "readers", func(t *testing.T, c golden.Case) {
		if !c.Has("img2txt.json") || !c.Has("img2txt.safetensors") {
			t.Skip("not run: the case has no captions of images")
		}
		var info struct {
			ObjectFile  string   `json:"object_file"`
			Lines       []string `json:"lines"`
			DecodeLines []string `json:"decode_lines"`
			Records     []struct {
				Tag       string
				MaxImage  int `json:"max_img_len"`
				MaxObject int `json:"max_obj_len"`
				MaxTarget int `json:"max_tgt_len"`
			}
		}
		c.JSON(t, "img2txt.json", &info)
		tok, err := tokenizer.Load(golden.Data(t, "unimo-dict"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		tags, err := OpenTagger(TagSettings{Objects: write(t, filepath.Join(dir, "objects.txt"), info.ObjectFile)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := c.Tensors(t, "img2txt.safetensors")
		seen := map[string]bool{}
		for _, r := range info.Records {
			if seen[r.Tag] {
				continue
			}
			seen[r.Tag] = true
			for name, lines := range map[string][]string{"train": info.Lines, "decode": info.DecodeLines} {
				path := write(t, filepath.Join(dir, r.Tag+name), strings.Join(lines, "\n"))
				sets, source, err := readSplits(r.MaxImage-1, "", path)
				if err != nil {
					t.Fatal(err)
				}
				s, err := newSplit(sets[0], source, tags, tok, r.MaxTarget)
				if err != nil {
					t.Fatal(err)
				}
				w := &writer{dev: cpu.New(), limits: limits{MaxObjLen: r.MaxObject}}
				w.Tokenizer = tok
				g := goldenBatch{Tensors: want, T: t, name: r.Tag + "." + name, b: len(lines)}
				if name == "train" {
					var labels []int32
					if g.in, labels, err = w.pack(s, s.every(), s.read); err != nil {
						t.Fatal(err)
					}
					g.target(labels)
				} else {
					for n := range s.Images {
						var im regions.Image
						if err := s.read(n, &im); err != nil {
							t.Fatal(err)
						}
						if err := w.source(&g.in, &im, tags); err != nil {
							t.Fatal(err)
						}
					}
				}
				g.source()
				source.Close()
			}
		}
	})
}
