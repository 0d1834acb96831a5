package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// tinyRetriever is a retriever small enough to differentiate numerically.
func tinyRetriever() Config {
	cfg := tiny()
	cfg.ProblemType, cfg.NumLabels, cfg.ImageEmbeddingSize, cfg.ContrastSize = Retrieval, 0, 4, 3
	return cfg
}

// tinyImages is three images of 3, 1 and 2 regions.
func tinyImages() Images {
	im := Images{Offsets: []int32{0, 3, 4, 6}}
	for i := range 6 * 4 {
		im.Features = append(im.Features, float32(math.Sin(float64(i*i))))
	}
	for i := range 6 * LocationSize {
		im.Locations = append(im.Locations, float32(i%7)/7)
	}
	return im
}

// tinyPairs is two groups of a positive pair, one with another image and two with another text.
func tinyPairs() pairBatch {
	return pairBatch{tinyImages(), tinyText(), []Pair{{0, 0}, {1, 0}, {0, 1}, {0, 2}, {2, 1}, {0, 1}, {2, 2}, {2, 0}}}
}

const (
	tinyGroup   = 4
	temperature = 0.5
)

var (
	tinyVariant = circleVariant{Margin: 0.2, Scale: 2, Sigmoid: true}
	tinyImageOf = []int32{2, -1, 2} // two texts of one image and one of none
)

func (b pairBatch) bothLosses(r *Retriever, t *autograd.Tape) *autograd.Var {
	images, texts := r.Side(t, Input{Images: b.images}), r.Side(t, Input{Text: b.texts})
	circle := r.CircleLoss(t, r.Scores(t, images, texts, b.pairs), tinyGroup, 1, tinyVariant.Margin, tinyVariant.Scale, tinyVariant.Sigmoid)
	return t.Add(circle, r.ContrastiveLoss(t, r.ImageVectors(t, images), r.TextVectors(t, texts), tinyImageOf, temperature))
}

// retrieval is the sum of both losses in float64. fixed are the scores that the circle loss takes
// its weights from; nil: its own. It returns the scores, too.
func (r *reference) retrieval(b pairBatch, fixed []float64) (loss float64, scores []float64) {
	r.next = 0
	images, texts := r.embedImages(b.images), r.embed(b.texts)
	for _, score := range r.scores(b, images, texts) {
		scores = append(scores, 1/(1+math.Exp(-score)))
	}
	loss = circle(scores, fixed)
	if r.cfg.ContrastSize > 0 {
		v := r.vectors(images, b.images.Offsets, "contrast_fc_image")
		loss += contrastive(v, r.vectors(texts, b.texts.Offsets, "contrast_fc_text"), tinyImageOf)
	}
	return loss, scores
}

// embedImages returns the first layer's input for regions.
func (r *reference) embedImages(im Images) [][]float64 {
	return r.dropout(r.normOf(r.linear(wideRows(im.Features, r.cfg.ImageEmbeddingSize), "image_emb"),
		r.linear(wideRows(im.Locations, LocationSize), "image_loc"), "v_pre_encoder"))
}

// wideRows returns the rows of a matrix.
func wideRows(x []float32, cols int) (rows [][]float64) {
	for row := range slices.Chunk(x, cols) {
		wide := make([]float64, cols)
		for j, v := range row {
			wide[j] = float64(v)
		}
		rows = append(rows, wide)
	}
	return rows
}

// scores are those of pairs of embedded images and texts.
func (r *reference) scores(b pairBatch, images, texts [][]float64) (scores []float64) {
	var x [][]float64
	var firsts []int32
	offsets := []int32{0}
	for _, p := range b.pairs {
		firsts = append(firsts, int32(len(x)))
		x = append(x, images[b.images.Offsets[p.Image]:b.images.Offsets[p.Image+1]]...)
		firsts = append(firsts, int32(len(x)))
		x = append(x, texts[b.texts.Offsets[p.Text]:b.texts.Offsets[p.Text+1]]...)
		offsets = append(offsets, int32(len(x)))
	}
	y := r.layers(x, offsets, nil, firsts, evenly(len(b.pairs), 2))
	var products [][]float64
	for i := range b.pairs {
		image, text := r.linear(y[2*i:2*i+1], "pooled_fc_image")[0], r.linear(y[2*i+1:2*i+2], "pooled_fc_text")[0]
		for j := range image {
			image[j] = max(0, image[j]) * max(0, text[j])
		}
		products = append(products, image)
	}
	for _, row := range r.affine(r.dropout(products), "match_fc.w_0", "match_fc.b_0") {
		scores = append(scores, row[0])
	}
	return scores
}

func circle(scores, fixed []float64) (loss float64) {
	if fixed == nil {
		fixed = scores
	}
	m, s := tinyVariant.Margin, tinyVariant.Scale
	for g := 0; g < len(scores); g += tinyGroup {
		positive := math.Exp(-s * max(0, 1+m-fixed[g]) * (scores[g] - (1 - m)))
		var images, texts float64
		for i := 1; i < tinyGroup; i++ {
			e := math.Exp(s * max(0, fixed[g+i]+m) * (scores[g+i] - m))
			if i == 1 {
				images += e
			} else {
				texts += e
			}
		}
		loss += (math.Log(1+positive*images) + math.Log(1+positive*texts)) / 2 * tinyGroup / float64(len(scores))
	}
	return loss
}

func (r *reference) vectors(x [][]float64, offsets []int32, name string) [][]float64 {
	n := len(offsets) - 1
	y := r.linear(r.layers(x, offsets, nil, offsets[:n], evenly(n, 1)), name)
	for _, row := range y {
		var squares float64
		for _, v := range row {
			squares += v * v
		}
		for j := range row {
			row[j] /= math.Sqrt(squares)
		}
	}
	return y
}

func contrastive(images, texts [][]float64, imageOf []int32) (loss float64) {
	similar := func(image, text int) (dot float64) {
		for j, v := range images[image] {
			dot += v * texts[text][j] / temperature
		}
		return dot
	}
	belong := 0
	for text, image := range imageOf {
		if image < 0 {
			continue
		}
		belong++
		var overImages, overTexts float64
		for i := range images {
			overImages += math.Exp(similar(i, text))
		}
		for i := range texts {
			overTexts += math.Exp(similar(int(image), i))
		}
		loss += (math.Log(overImages)+math.Log(overTexts))/2 - similar(int(image), text)
	}
	return loss / float64(belong)
}

// Both losses against float64, and every gradient against central differences.
func TestRetrievalLossAndGradients(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		drops int // dropouts in a pass
	}{
		{"two layers", func(*Config) {}, 0},
		{"dropout", func(c *Config) { c.HiddenDropout, c.AttentionDropout = 0.2, 0.3 }, 2 + 3*6 + 1},
		{"one layer with dropout", func(c *Config) { c.HiddenDropout, c.AttentionDropout, c.Layers = 0.2, 0.3, 1 }, 2 + 3*3 + 1},
		{"no layer", func(c *Config) { c.Layers = 0 }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, batch := tinyRetriever(), tinyPairs()
			c.edit(&cfg)
			d := &dropWatch{Device: cpu.New()}
			m := newRetriever(t, d, cfg, 1)
			params := scatter(d, m.Params)
			tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 1})
			loss := batch.bothLosses(m, tape)
			if len(d.masks) != c.drops {
				t.Fatalf("%d dropouts, want %d", len(d.masks), c.drops)
			}
			r := &reference{cfg: cfg, params: params, masks: d.masks}
			want, scores := r.retrieval(batch, nil)
			if got := float64(read(d, loss)[0]); !(math.Abs(got-want) <= outputTolerance*want) {
				t.Errorf("loss is %g, want %g", got, want)
			}
			tape.Backward(loss, 1)
			testGradients(t, d, m.Params, func(name string) []float64 {
				return r.gradient(name, func() float64 {
					loss, _ := r.retrieval(batch, scores)
					return loss
				})
			})
		})
	}
}

// Scores and vectors are those of joint sequences, to the same bits: what is shared, kept or left
// out changes nothing.
func TestScoresEqualJointSequences(t *testing.T) {
	for _, layers := range []int{0, 1, 2, 3} {
		cfg, b := tinyRetriever(), tinyPairs()
		cfg.Layers = layers
		d := cpu.New()
		r := newRetriever(t, d, cfg, 1)
		scatter(d, r.Params)
		tape := autograd.NewInference(d)
		images, texts := r.Side(tape, Input{Images: b.images}).Keep(d), r.Side(tape, Input{Text: b.texts}).Keep(d)
		tape.Release()
		scores := read(d, r.Scores(tape, images, texts, b.pairs))
		for i, p := range b.pairs {
			x := r.encoder.lastLayer(tape, Input{Images: b.images.only(cfg, p.Image), Text: b.texts.only(p.Text)})
			regions := b.images.Offsets[p.Image+1] - b.images.Offsets[p.Image]
			image := tape.ReLU(r.pools.image.Apply(tape, tape.Rows(x, []int32{0})))
			text := tape.ReLU(r.pools.text.Apply(tape, tape.Rows(x, []int32{regions})))
			if want := read(d, r.match.Apply(tape, tape.Multiply(image, text))); scores[i] != want[0] {
				t.Errorf("%d layers: pair %v has the score %g, want %g", layers, p, scores[i], want[0])
			}
		}
		x, offsets := r.encoder.lastLayer(tape, Input{Images: b.images}), b.images.Offsets
		want := read(d, tape.Normalize(r.contrastImage.Apply(tape, tape.Rows(x, offsets[:images.Sequences()]))))
		if got := read(d, r.ImageVectors(tape, images)); !slices.Equal(got, want) {
			t.Errorf("%d layers: the images' vectors are %v, want %v", layers, got, want)
		}
		want = read(d, tape.Normalize(r.contrastText.Apply(tape, tape.Rows(r.encoder.lastLayer(tape, Input{Text: b.texts}), b.texts.Offsets[:texts.Sequences()]))))
		if got := read(d, r.TextVectors(tape, texts)); !slices.Equal(got, want) {
			t.Errorf("%d layers: the texts' vectors are %v, want %v", layers, got, want)
		}
		tape.Release()
		images.Free(d)
		texts.Free(d)
	}
}

// Objects are read as a text is, a caption sees them and its own past, and they do not see it.
func TestJointSequences(t *testing.T) {
	cfg := tinyRetriever()
	d := cpu.New()
	r := newRetriever(t, d, cfg, 1)
	scatter(d, r.Params)
	tape := autograd.NewInference(d)
	encode := func(in Input) (rows [][]float32, offsets []int32) {
		x, offsets := r.encoder.lastLayer(tape, in), in.offsets()
		for row := range slices.Chunk(read(d, x), cfg.HiddenSize) {
			rows = append(rows, row)
		}
		return rows, offsets
	}
	images, objects := tinyImages(), tinyText()
	before, own := encode(Input{Images: images, Objects: objects})
	if asText, _ := encode(Input{Images: images, Text: objects}); !slices.EqualFunc(before, asText, slices.Equal) {
		t.Error("objects are not read as a text is")
	}
	caption := Text{Tokens: []int32{0, 1, 2, 0, 0, 4}, Positions: []int32{2, 3, 4, 2, 2, 3}, Offsets: []int32{0, 3, 4, 6}, Sources: make([]int32, 3)}
	with, offsets := encode(Input{Images: images, Objects: objects, Text: caption})
	caption.Tokens = []int32{0, 1, 5, 0, 0, 5} // the last of two captions
	changed, _ := encode(Input{Images: images, Objects: objects, Text: caption})
	for s := range images.Sequences() {
		n := own[s+1] - own[s]
		if !slices.EqualFunc(with[offsets[s]:offsets[s]+n], before[own[s]:own[s+1]], slices.Equal) {
			t.Errorf("sequence %d: image or objects see the caption", s)
		}
		last := offsets[s+1] - 1
		if !slices.EqualFunc(with[offsets[s]:last], changed[offsets[s]:last], slices.Equal) {
			t.Errorf("sequence %d: what is before its last token sees it", s)
		}
		if same := slices.Equal(with[last], changed[last]); same != (s == 1) {
			t.Errorf("sequence %d: its last token is the same: %v", s, same)
		}
	}
	tape.Release()
}

// A retriever for inference gives the same scores as the one that was trained.
func TestOpenRetriever(t *testing.T) {
	d, b := cpu.New(), tinyPairs()
	r := newRetriever(t, d, tinyRetriever(), 1)
	scatter(d, r.Params)
	tape := autograd.NewInference(d)
	want := read(d, b.scores(r, tape))
	opened, err := Open[*Retriever](d, r.Config, reader(t, d, r.Params, keep))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(d, b.scores(opened, tape)); !slices.Equal(got, want) {
		t.Errorf("scores are %v, want %v", got, want)
	}
	plain := tinyRetriever()
	plain.ContrastSize = 0
	if _, err := Open[*Retriever](d, plain, reader(t, d, r.Params, keep)); err != nil {
		t.Errorf("vectors that nobody asks for: %v", err)
	}
	if _, err := Open[*Retriever](d, r.Config, reader(t, d, r.Params, without("match_fc.w_0"))); err == nil || !strings.Contains(err.Error(), "match_fc.w_0 and 0 others are missing") {
		t.Errorf("no match head: %v", err)
	}
	if _, err := Open[*Retriever](d, tiny(), reader(t, d, r.Params, keep)); err == nil || !strings.Contains(err.Error(), "want \"retrieval\"") {
		t.Errorf("a classifier's configuration: %v", err)
	}
	if _, err := New[*Classifier](d, r.Config, 1); err == nil || !strings.Contains(err.Error(), "this model compares images with texts") {
		t.Errorf("a classifier of a retriever's configuration: %v", err)
	}
}

func TestVectorsNeedAContrastSize(t *testing.T) {
	cfg := tinyRetriever()
	cfg.ContrastSize = 0
	r := newRetriever(t, cpu.New(), cfg, 1)
	tape := autograd.NewInference(r.dev)
	defer func() {
		if failure := fmt.Sprint(recover()); !strings.Contains(failure, "contrast_size") {
			t.Errorf("panic is %q", failure)
		}
	}()
	r.ImageVectors(tape, r.Side(tape, Input{Images: tinyImages()}))
}

func TestImagesCheck(t *testing.T) {
	if err := tinyImages().Check(tinyRetriever()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		edit       func(*Images)
	}{
		{"no offsets", "offsets", func(x *Images) { x.Offsets = nil }},
		{"a late first offset", "offsets", func(x *Images) { x.Offsets[0] = 1 }},
		{"an image without regions", "image 1 has no region", func(x *Images) { x.Offsets[2] = 3 }},
		{"falling offsets", "image 1 has no region", func(x *Images) { x.Offsets[2] = 2 }},
		{"other features", "6 regions have 23 feature values, but the model wants 4 of each", func(x *Images) { x.Features = x.Features[1:] }},
		{"a location too many", "6 regions have 35 location values, want 5 of each", func(x *Images) { x.Locations = append(x.Locations, 0, 0, 0, 0, 0) }},
	} {
		images := tinyImages()
		c.edit(&images)
		if err := images.Check(tinyRetriever()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}
