package model

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

func TestTextAppend(t *testing.T) {
	var in Input
	for range 2 { // the second time in the memory of the first
		in.Reset()
		if a, b := in.Text.Append([]int32{0, 7, 2}), in.Text.Append([]int32{0, 2}); a != 0 || b != 1 {
			t.Errorf("numbers %d and %d", a, b)
		}
		if got := in.Text; !slices.Equal(got.Tokens, []int32{0, 7, 2, 0, 2}) || !slices.Equal(got.Positions, []int32{2, 3, 4, 2, 3}) ||
			!slices.Equal(got.Offsets, []int32{0, 3, 5}) || len(got.Sources) > 0 || in.Rows() != 5 {
			t.Errorf("texts: %+v", got)
		}
		in.Reset()
		in.Text.AppendTarget([]int32{0, 7, 2}, []int32{0, 8})
		in.Text.AppendTarget([]int32{0, 2}, nil)
		if got := in.Text; !slices.Equal(got.Tokens, []int32{0, 7, 2, 0, 8, 0, 2}) || !slices.Equal(got.Positions, []int32{2, 3, 4, 2, 3, 2, 3}) ||
			!slices.Equal(got.Offsets, []int32{0, 5, 7}) || !slices.Equal(got.Sources, []int32{3, 2}) {
			t.Errorf("sources and targets: %+v", got)
		}
	}
	if n := testing.AllocsPerRun(10, func() { in.Reset(); in.Text.AppendTarget([]int32{0, 7}, []int32{0}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestImagesAppend(t *testing.T) {
	var im Images
	for n := 1; n <= 2; n++ {
		im.Append(&regions.Image{Width: 4, Height: 2, Boxes: slices.Repeat([]float32{0, 0, 2, 2}, n), Features: slices.Repeat([]float32{3}, n)})
	}
	half := []float32{0, 0, 0.5, 1, 0.5}
	whole := []float32{0, 0, 1, 1, 1}
	if want := slices.Concat(whole, half, whole, half, half); !slices.Equal(im.Locations, want) || !slices.Equal(im.Features, []float32{3, 3, 3, 3, 3}) ||
		!slices.Equal(im.Offsets, []int32{0, 2, 5}) {
		t.Errorf("%+v", im)
	}
}

// A part that some sequences have is empty in the others.
func TestInputAppend(t *testing.T) {
	text := Input{Text: Text{Tokens: []int32{0, 5}, Positions: []int32{2, 3}, Offsets: []int32{0, 1, 2}}}
	image := Input{Images: Images{Features: []float32{1, 2}, Locations: make([]float32, 10), Offsets: []int32{0, 2}}}
	var named Input
	named.Append(image)
	named.Objects.Append([]int32{4, 6, 1})
	var all Input
	for _, part := range []Input{text, image, named, text} {
		all.Append(part)
	}
	want := Input{
		Images:  Images{Features: []float32{1, 2, 1, 2}, Locations: make([]float32, 20), Offsets: []int32{0, 0, 0, 2, 4, 4, 4}},
		Objects: Text{Tokens: []int32{4, 6, 1}, Positions: []int32{2, 3, 4}, Offsets: []int32{0, 0, 0, 0, 3, 3, 3}},
		Text:    Text{Tokens: []int32{0, 5, 0, 5}, Positions: []int32{2, 3, 2, 3}, Offsets: []int32{0, 1, 2, 2, 2, 3, 4}},
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("got %+v, want %+v", all, want)
	}
	if got := all.offsets(); !slices.Equal(got, []int32{0, 1, 2, 4, 9, 10, 11}) {
		t.Errorf("the sequences begin with the rows %v", got)
	}
}

func TestInputCheck(t *testing.T) {
	entailment, captioning := tinyRetriever(), tinyRetriever()
	entailment.ProblemType, captioning.ProblemType = Entailment, Captioning
	pair := func() Input { return Input{Images: tinyImages(), Text: tinyText()} }
	named := func() Input {
		in := Input{Images: tinyImages()}
		in.Objects.Append([]int32{1, 2})
		in.Objects.Append(nil) // nothing was found in it
		in.Objects.Append([]int32{3})
		return in
	}
	for _, c := range []struct {
		name, want string
		cfg        Config
		in         Input
		edit       func(*Input)
	}{
		{"texts", "", tiny(), Input{Text: tinyText()}, nil},
		{"pairs", "", entailment, pair(), nil},
		{"images and names", "", captioning, named(), nil},
		{"images alone", "", tinyRetriever(), Input{Images: tinyImages()}, nil},
		{"texts alone", "", tinyRetriever(), Input{Text: tinyText()}, nil},
		{"nothing", "offsets do not run", tiny(), Input{}, nil},
		{"images for a text model", "the model reads texts only", tiny(), pair(), nil},
		{"no image", "there is no image", captioning, Input{Text: tinyText()}, nil},
		{"names without images", "without images", tinyRetriever(), Input{Objects: tinyText()}, nil},
		{"no text", "3 images, 0 lists of objects and 0 texts", entailment, Input{Images: tinyImages()}, nil},
		{"an empty text", "sequence 1 has no token", entailment, pair(), func(in *Input) { in.Text.Offsets = []int32{0, 4, 4, 7} }},
		{"a text too few", "3 images, 0 lists of objects and 2 texts", entailment, pair(), func(in *Input) { in.Text.Offsets = []int32{0, 4, 7} }},
		{"names too few", "3 images, 2 lists of objects", captioning, named(), func(in *Input) { in.Objects.Offsets = []int32{0, 1, 3} }},
		{"an unknown name", "names of objects: token 0 has id 7", captioning, named(), func(in *Input) { in.Objects.Tokens[0] = 7 }},
		{"a region too few", "image 1 has no region", entailment, pair(), func(in *Input) { in.Images.Offsets = []int32{0, 3, 3, 6} }},
	} {
		if c.edit != nil {
			c.edit(&c.in)
		}
		err := c.in.Check(c.cfg)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
