package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Input is a batch of sequences. Each has up to three parts, in this order: the regions of an image, the names of
// the objects in it, and a text. A part that no sequence has is left empty.
//
//	model.Input{Text: text}                                 texts
//	model.Input{Images: images}                             images
//	model.Input{Images: images, Objects: names, Text: text} all three
//
// Every position sees all of its sequence, unless the text has [Text.Sources].
type Input struct {
	Images        Images
	Objects, Text Text
	Embedding     Embedding
}

// Embedding is what is known of a batch's embedding before a model reads it, and what is to change in it: for the passes
// of adversarial training. What is nil is computed, or left as it is.
type Embedding struct {
	Words, Regions *autograd.Var // what [Model.Embed] returns
	Features       *autograd.Var // R x E, instead of those of [Images], which has none then: of a network that is trained with the model

	TokenShift   *autograd.Var // added to the sums of the tables' rows, those of objects' tokens first, N x H
	FeatureShift *autograd.Var // added to the regions' features, R x E
}

// Images is a batch of images. Each is a number of regions, the global one first.
type Images struct {
	Features  []float32 // R x E, E the configuration's image_embedding_size
	Locations []float32 // R x [LocationSize]
	Offsets   []int32   // B+1: where each image's regions begin; nil: there are no images
}

// Text is a batch of packed token sequences; see package engine.
type Text struct {
	Tokens    []int32 // N
	Positions []int32 // N: each sequence counts up from [FirstPosition]
	Roles     []int32 // N, of a dialogue: who speaks
	Turns     []int32 // N, of a dialogue: how many turns ago
	Offsets   []int32 // B+1; nil: there are no texts

	// Sources, if not nil, says how many tokens of each sequence (B) are its source. Every
	// position sees those and what comes before the text; of the target, the tokens after them, each sees itself
	// and what is before it. Nil: every position sees all.
	Sources []int32

	// Segments says how many tokens of each sequence (B) are of type 0; those after them are of type 1. Of sequences
	// that it does not reach, the target is of type 1. A model without types does not look at it.
	Segments []int32
}

// FirstPosition is the position id of a sequence's first token (1 is padding's).
const FirstPosition = batches.FirstPosition

// LocationSize is the length of a region's location.
const LocationSize = regions.LocationSize

// Append adds an image.
func (im *Images) Append(x *regions.Image) {
	im.Features, im.Locations = x.AppendRows(im.Features, im.Locations)
	im.Offsets = extend(im.Offsets, len(im.Locations)/LocationSize)
}

// Append adds a sequence of tokens, whose positions count up from [FirstPosition], and returns its number.
func (t *Text) Append(tokens []int32) int32 {
	t.add(tokens)
	t.Offsets = extend(t.Offsets, len(t.Tokens))
	return int32(t.Sequences() - 1)
}

// AppendTarget adds a sequence of a source and a target. The positions of both count up from [FirstPosition].
func (t *Text) AppendTarget(source, target []int32) {
	t.add(source)
	t.Append(target)
	t.Sources = append(t.Sources, int32(len(source)))
}

// AppendSegments is Append where the first tokens are of type 0 and those after them of type 1, as the second text of a pair.
func (t *Text) AppendSegments(tokens []int32, first int) {
	s := t.Append(tokens)
	t.Segments = append(t.extendSegments(int(s)), int32(first))
}

// extendSegments returns Segments for n sequences: of those that it does not reach, the sources.
func (t *Text) extendSegments(n int) []int32 {
	segments := t.Segments
	for s := len(segments); s < n; s++ {
		segments = append(segments, t.segment(s))
	}
	return segments
}

// segment returns how many tokens of a sequence are of type 0.
func (t *Text) segment(s int) int32 {
	switch {
	case s < len(t.Segments):
		return t.Segments[s]
	case s < len(t.Sources):
		return t.Sources[s]
	}
	return at(t.Offsets, s+1) - at(t.Offsets, s)
}

// second lists the tokens of type 1.
func (t *Text) second() (tokens []int32) {
	for s := range t.Sequences() {
		for i := t.Offsets[s] + t.segment(s); i < t.Offsets[s+1]; i++ {
			tokens = append(tokens, i)
		}
	}
	return tokens
}

// add adds tokens to the last sequence.
func (t *Text) add(tokens []int32) {
	t.Tokens = append(t.Tokens, tokens...)
	for i := range tokens {
		t.Positions = append(t.Positions, FirstPosition+int32(i))
	}
}

// AppendAll adds the sequences of another batch, which has roles, turns and sources if this one has.
func (t *Text) AppendAll(other Text) { t.join(other, t.Sequences(), other.Sequences()) }

// join adds n sequences behind had.
func (t *Text) join(other Text, had, n int) {
	if len(t.Segments)+len(other.Segments) > 0 {
		t.Segments = append(t.extendSegments(had), other.extendSegments(n)...)
	}
	t.Tokens, t.Positions = append(t.Tokens, other.Tokens...), append(t.Positions, other.Positions...)
	t.Roles, t.Turns = append(t.Roles, other.Roles...), append(t.Turns, other.Turns...)
	t.Sources = append(t.Sources, other.Sources...)
	t.Offsets = joinOffsets(t.Offsets, other.Offsets, had, n)
}

// Append adds the sequences of another batch. A part that only one of the two has is empty in the sequences of
// the other.
func (in *Input) Append(other Input) {
	had, n := in.Sequences(), other.Sequences()
	in.Images.Features = append(in.Images.Features, other.Images.Features...)
	in.Images.Locations = append(in.Images.Locations, other.Images.Locations...)
	in.Images.Offsets = joinOffsets(in.Images.Offsets, other.Images.Offsets, had, n)
	in.Objects.join(other.Objects, had, n)
	in.Text.join(other.Text, had, n)
}

// joinOffsets adds the offsets of n sequences to those of had.
func joinOffsets(offsets, more []int32, had, n int) []int32 {
	if len(offsets)+len(more) == 0 {
		return offsets
	}
	for len(offsets) <= had { // none had this part
		offsets = append(offsets, 0)
	}
	begin := offsets[had]
	for i := range n {
		offsets = append(offsets, begin+at(more, i+1))
	}
	return offsets
}

// extend adds an end to offsets, which begin from 0.
func extend(offsets []int32, end int) []int32 {
	if len(offsets) == 0 {
		offsets = append(offsets, 0)
	}
	return append(offsets, int32(end))
}

// at returns an offset of a part, 0 where no sequence has the part.
func at(offsets []int32, i int) int32 {
	if len(offsets) == 0 {
		return 0
	}
	return offsets[i]
}

// Reset takes the sequences out and keeps the memory.
func (in *Input) Reset() {
	in.Images = Images{in.Images.Features[:0], in.Images.Locations[:0], in.Images.Offsets[:0]}
	in.Objects.Reset()
	in.Text.Reset()
}

// Reset takes the sequences out and keeps the memory.
func (t *Text) Reset() {
	*t = Text{t.Tokens[:0], t.Positions[:0], t.Roles[:0], t.Turns[:0], t.Offsets[:0], t.Sources[:0], t.Segments[:0]}
}

// Sequences returns B.
func (in Input) Sequences() int {
	return max(in.Images.Sequences(), in.Objects.Sequences(), in.Text.Sequences())
}

// Sequences returns B.
func (im Images) Sequences() int { return max(0, len(im.Offsets)-1) }

// Sequences returns B.
func (t Text) Sequences() int { return max(0, len(t.Offsets)-1) }

// fit tells the device how large the batch is, of each of whose sequences so many rows are taken in the end; see [engine.Fit].
func (in Input) fit(t *autograd.Tape, taken int) {
	n := in.Sequences()
	s := engine.Size{Rows: in.Rows(), Sequences: taken * n}
	for i := range n {
		s.Longest = max(s.Longest, in.Length(i))
	}
	engine.Fit(t.Device(), s)
}

// Rows returns the number of regions and tokens.
func (in Input) Rows() int { return int(in.offset(in.Sequences())) }

// Length returns the number of regions and tokens of a sequence.
func (in Input) Length(s int) int { return int(in.offset(s+1) - in.offset(s)) }

// The encoder's output has a row for each region and token, sequence by sequence. In a sequence the regions come
// first, then the names of objects, then the text:
//
//	sequence 0: regions 0 1, name 0, tokens 0 1     rows 0 to 4
//	sequence 1: region 2, tokens 2 3                rows 5 to 7

// offset returns the row that a sequence begins with: 5 for sequence 1.
func (in Input) offset(s int) int32 {
	return at(in.Images.Offsets, s) + at(in.Objects.Offsets, s) + at(in.Text.Offsets, s)
}

// regionShift is what the row of a region is more than its number: 3 in sequence 1.
func (in Input) regionShift(s int) int32 { return at(in.Objects.Offsets, s) + at(in.Text.Offsets, s) }

// textShift is what the row of a token of the text is more than its number: 4 in sequence 1.
func (in Input) textShift(s int) int32 {
	return at(in.Images.Offsets, s+1) + at(in.Objects.Offsets, s+1)
}

// targets lists the rows of the target tokens, which offsets divides into the sequences.
func (in Input) targets() (rows, offsets []int32) {
	rows, offsets = in.Text.targets()
	for s := range in.Text.Sources {
		for i := offsets[s]; i < offsets[s+1]; i++ {
			rows[i] += in.textShift(s)
		}
	}
	return rows, offsets
}

// targets lists the target tokens, which offsets divides into the sequences.
func (t Text) targets() (tokens, offsets []int32) {
	offsets = make([]int32, 1, len(t.Offsets))
	for s, n := range t.Sources {
		for token := t.Offsets[s] + n; token < t.Offsets[s+1]; token++ {
			tokens = append(tokens, token)
		}
		offsets = append(offsets, int32(len(tokens)))
	}
	return tokens, offsets
}

// firsts lists the first rows of the sequences; offsets divides them.
func (in Input) firsts() (rows, offsets []int32) {
	for s := range in.Sequences() {
		rows = append(rows, in.offset(s))
	}
	return rows, evenly(len(rows), 1)
}

// Check returns an error unless the input is one that a model with this configuration reads: its parts belong
// together, and every token, position, role and turn is in cfg's tables. Whether the numbers of images make sense
// it does not look at. Input that comes from outside is checked before it reaches the engine.
func (in Input) Check(cfg Config) error {
	f, images, objects, texts := cfg.form(), in.Images.Sequences(), in.Objects.Sequences(), in.Text.Sequences()
	switch {
	case images > 0 && f.images == unread:
		return fmt.Errorf("there are images, but the model reads texts only")
	case images == 0 && f.images == needed:
		return fmt.Errorf("there is no image, but the model reads images")
	case images == 0 && objects > 0:
		return fmt.Errorf("there are names of objects without images")
	case images == 0:
		return in.Text.Check(cfg)
	case objects != 0 && objects != images, texts != images && (texts != 0 || !f.bare):
		return fmt.Errorf("%d images, %d lists of objects and %d texts do not belong together", images, objects, texts)
	}
	if err := in.Images.Check(cfg); err != nil {
		return err
	}
	if err := in.Objects.check(cfg, 0); err != nil {
		return fmt.Errorf("names of objects: %w", err)
	}
	if !f.bare {
		return in.Text.Check(cfg)
	}
	return in.Text.check(cfg, 0)
}

// pairFirsts lists the first regions and the first tokens of the texts, of one sequence after the other; offsets
// divides them.
func (in Input) pairFirsts() (rows, offsets []int32) {
	for s := range in.Sequences() {
		rows = append(rows, in.offset(s), in.Text.Offsets[s]+in.textShift(s))
	}
	return rows, evenly(in.Sequences(), 2)
}

// Check returns an error unless features and locations have the lengths that offsets and cfg
// ask for and every image has a region. Whether the numbers make sense it does not look at.
func (im Images) Check(cfg Config) error {
	n := len(im.Offsets)
	if n < 1 || im.Offsets[0] != 0 {
		return fmt.Errorf("the images' offsets do not start from 0")
	}
	for i := range im.Sequences() {
		if im.Offsets[i+1] <= im.Offsets[i] {
			return fmt.Errorf("image %d has no region", i)
		}
	}
	regions := int(im.Offsets[n-1])
	if len(im.Features) != regions*cfg.ImageEmbeddingSize {
		return fmt.Errorf("%d regions have %d feature values, but the model wants %d of each (image_embedding_size): the features do not fit the model", regions, len(im.Features), cfg.ImageEmbeddingSize)
	}
	if len(im.Locations) != regions*LocationSize {
		return fmt.Errorf("%d regions have %d location values, want %d of each", regions, len(im.Locations), LocationSize)
	}
	return nil
}

// Check is [Input.Check] for texts alone; every one has a token.
func (t Text) Check(cfg Config) error { return t.check(cfg, 1) }

// check is Check for texts, and sources in them, of so many tokens at least. It accepts that there are none.
func (t Text) check(cfg Config, least int32) error {
	if len(t.Positions) != len(t.Tokens) {
		return fmt.Errorf("%d tokens have %d positions", len(t.Tokens), len(t.Positions))
	}
	if n := len(t.Offsets); n == 0 && len(t.Tokens) == 0 && least == 0 {
		return nil
	} else if n < 1 || t.Offsets[0] != 0 || int(t.Offsets[n-1]) != len(t.Tokens) {
		return fmt.Errorf("the sequences' offsets do not run from 0 to the %d tokens", len(t.Tokens))
	}
	for i := range t.Sequences() {
		if t.Offsets[i+1] < t.Offsets[i]+least {
			return fmt.Errorf("sequence %d has no token", i)
		}
	}
	for i, id := range t.Tokens {
		if id < 0 || int(id) >= cfg.VocabSize {
			return fmt.Errorf("token %d has id %d, but the model's vocabulary has %d entries: the vocabulary does not fit the model", i, id, cfg.VocabSize)
		}
		if pos := t.Positions[i]; pos < 0 || int(pos) >= cfg.MaxPositions {
			return fmt.Errorf("token %d has position %d, but the model has %d; shorten the text (max_seq_len or max_src_len)", i, pos, cfg.MaxPositions)
		}
	}
	if err := t.checkDialogue(cfg); err != nil {
		return err
	}
	if len(t.Segments) > t.Sequences() {
		return fmt.Errorf("%d sequences have %d first segments", t.Sequences(), len(t.Segments))
	}
	for i, n := range t.Segments {
		if length := t.Offsets[i+1] - t.Offsets[i]; n < 0 || n > length {
			return fmt.Errorf("sequence %d has %d tokens, but %d in its first segment", i, length, n)
		}
	}
	if len(t.Sources) == 0 {
		return nil
	}
	if len(t.Sources) != t.Sequences() {
		return fmt.Errorf("%d sequences have %d sources", t.Sequences(), len(t.Sources))
	}
	for i, n := range t.Sources {
		if length := t.Offsets[i+1] - t.Offsets[i]; n < least || n > length {
			return fmt.Errorf("sequence %d has %d tokens, but %d in its source, want %d to %d", i, length, n, least, length)
		}
	}
	return nil
}

func (t Text) checkDialogue(cfg Config) error {
	if !cfg.form().dialogue {
		if len(t.Roles)+len(t.Turns) > 0 {
			return fmt.Errorf("the text has roles or turns, but the model is not one for dialogue")
		}
		return nil
	}
	if len(t.Roles) != len(t.Tokens) || len(t.Turns) != len(t.Tokens) {
		return fmt.Errorf("%d tokens have %d roles and %d turns; a dialogue needs one of each for a token", len(t.Tokens), len(t.Roles), len(t.Turns))
	}
	for i, role := range t.Roles {
		if role < 0 || int(role) >= cfg.roles() {
			return fmt.Errorf("token %d has role %d, but the model has %d (role_type_size)", i, role, cfg.roles())
		}
		if turn := t.Turns[i]; turn < 0 || int(turn) >= cfg.turns() {
			return fmt.Errorf("token %d has turn %d, but the model has %d; leave out the oldest turns (turn_type_size)", i, turn, cfg.turns())
		}
	}
	return nil
}
