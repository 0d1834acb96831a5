package seq2seq

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
)

// Tokenizer is what encoding needs of a vocabulary.
type Tokenizer interface {
	// EncodeUpTo appends the first ids of text to dst, most of them at most, and says whether there are more.
	EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool)
	// FromVocabLine returns the id for a BPE id in decimal or a special token's name.
	FromVocabLine(line string) (id int32, ok bool)
	CLS() int32
	SEP() int32
	MASK() int32
}

// Record is an example as the model reads it; the package comment shows one.
type Record struct {
	Tokens    []int32 // source, [CLS], target without its last token; of a record without target the source alone
	Positions []int32 // one a token
	Roles     []int32 // one a token; nil unless a dialogue
	Turns     []int32 // one a token; nil unless a dialogue
	Source    int     // tokens of the source
	Labels    []int32 // the target with its end token, unless that was cut off; nil without target
	Index     int     // place among the examples, from 0
	Line      int     // the example's
}

// Cut says what an example lost to the limits. Of what a text has beyond its own limit one token counts, unless [Encoder.Count] is set.
type Cut struct {
	Source int // tokens of source texts and the passage, those of dropped turns not counted
	Turns  int // turns of a dialogue, the oldest
	Target int // tokens of the target, its end token included
}

// Truncated counts the examples that lost something.
type Truncated struct {
	Source int `json:"source"` // tokens of a source text or the passage
	Turns  int `json:"turns"`  // turns of a dialogue
	Target int `json:"target"` // tokens of the target
}

// Add adds the counts of further examples.
func (t *Truncated) Add(more Truncated) {
	t.Source += more.Source
	t.Turns += more.Turns
	t.Target += more.Target
}

func (t *Truncated) add(c Cut) {
	t.Source += min(c.Source, 1)
	t.Turns += min(c.Turns, 1)
	t.Target += min(c.Target, 1)
}

// Role ids of a dialogue. The question and what its side said before have 1.
const (
	roleAnswer  = 0 // what the answering side said, and the target
	rolePassage = 2
)

// Encoder makes records of examples.
//
// A source text is cut at its end to MaxSource-2 tokens, so that a single one fits into
// MaxSource with [CLS] and [SEP]. A target is cut at its end to MaxTarget-1 tokens; the
// end token counts and is lost first, since what was cut did not end there. Of a
// dialogue the last TurnTypes-1 turns stay.
//
// Several texts may exceed MaxSource together, as in the reference, unless MaxTotal is
// set. Then a dialogue loses its oldest turns, then the end of its passage, then that of
// its question; other sources lose the last token of the longest text, of the last such
// one in a tie, until all fit. With ContinuousPositions the whole source is cut to
// MaxSource: a dialogue at its front, other sources at their end, where [SEP] stays.
//
// No position reaches MaxPositions: texts are cut further where they would, and a
// continuous source leaves room for a target of MaxTarget tokens.
//
// Differs from the reference: there a long text can go over the table of positions. With
// ContinuousPositions it crashes in Python 3, and it would decode at other
// positions than it trained at; here both are those of training, where the target's
// [CLS] has the position after the source's last token.
type Encoder struct {
	Tokenizer           Tokenizer
	Dialogue            bool // with passage, roles and turns
	ContinuousPositions bool // positions run through source and target
	MaxSource           int  // max_src_len, at least MinSource
	MaxTarget           int  // max_tgt_len, at least MinTarget
	MaxTotal            int  // most tokens of the whole source, at least MinSource; 0: no limit
	TurnTypes           int  // turn ids of the model, at least 2 for a dialogue
	MaxPositions        int  // rows of the model's table of positions; 0: no limit
	Count               bool // tokenise texts to their end to count what is cut off; else as far as they are read
}

// The least limits: a token beside the special ones.
const (
	MinSource = 3
	MinTarget = 2
)

// Check says which limit is impossible.
func (e *Encoder) Check() error {
	switch {
	case e.MaxSource < MinSource:
		return fmt.Errorf("the most tokens of a source are %d; give at least %d", e.MaxSource, MinSource)
	case e.MaxTarget < MinTarget:
		return fmt.Errorf("the most tokens of a target are %d; give at least %d", e.MaxTarget, MinTarget)
	case e.MaxTotal != 0 && e.MaxTotal < MinSource:
		return fmt.Errorf("the most tokens of all sources are %d; give at least %d, or 0 for no limit", e.MaxTotal, MinSource)
	case e.Dialogue && e.TurnTypes < 2:
		return fmt.Errorf("the model has %d turn ids; a dialogue needs at least 2", e.TurnTypes)
	case e.MaxPositions != 0 && e.textLimit() < MinSource-1,
		e.MaxPositions != 0 && e.ContinuousPositions && e.totalLimit() < MinSource:
		return fmt.Errorf("the model has %d positions, too few for a source and a target of %d tokens", e.MaxPositions, e.MaxTarget)
	}
	return nil
}

// textLimit is the most tokens of a source text with its [SEP].
func (e *Encoder) textLimit() int {
	if e.MaxPositions == 0 || e.ContinuousPositions {
		return e.MaxSource - 1
	}
	return min(e.MaxSource-1, e.MaxPositions-batches.FirstPosition-1)
}

// totalLimit is the most tokens of a whole source with continuous positions.
func (e *Encoder) totalLimit() int {
	if e.MaxPositions == 0 {
		return e.MaxSource
	}
	return min(e.MaxSource, e.MaxPositions-batches.FirstPosition-e.MaxTarget)
}

// targetLimit is the most tokens of a target with its end token.
func (e *Encoder) targetLimit() int {
	if e.MaxPositions == 0 {
		return e.MaxTarget - 1
	}
	return min(e.MaxTarget-1, e.MaxPositions-batches.FirstPosition)
}

// TargetPosition is the position of the [CLS] that starts the target behind a source of
// that many tokens; the tokens after it follow one by one.
func (e *Encoder) TargetPosition(source int) int32 {
	if e.ContinuousPositions {
		return batches.FirstPosition + int32(source)
	}
	return batches.FirstPosition
}

// Encode makes the record of an example with its target. Errors are [*data.FileError]:
// there is no source or no target, or an id is not in the vocabulary. Limits
// that fail Check panic.
func (e *Encoder) Encode(x Example) (Record, Cut, error) {
	return (&encoding{Encoder: e}).encode(x, true)
}

// EncodeSource makes the record of an example's source, for decoding; its target is not looked at.
func (e *Encoder) EncodeSource(x Example) (Record, Cut, error) {
	return (&encoding{Encoder: e}).encode(x, false)
}

// EncodeAll encodes all examples in order, up to the first error, and counts those that
// were cut. tick, unless nil, is told how many are done.
func (e *Encoder) EncodeAll(examples []Example, tick func(done, total int)) ([]Record, Truncated, error) {
	return e.encodeAll(examples, true, tick)
}

// EncodeSources is EncodeAll for sources alone.
func (e *Encoder) EncodeSources(examples []Example, tick func(done, total int)) ([]Record, Truncated, error) {
	return e.encodeAll(examples, false, tick)
}

// tickEvery is how many examples pass between two ticks.
const tickEvery = 256

func (e *Encoder) encodeAll(examples []Example, target bool, tick func(done, total int)) ([]Record, Truncated, error) {
	records := make([]Record, len(examples))
	work := encoding{Encoder: e}
	var truncated Truncated
	for i, x := range examples {
		r, cut, err := work.encode(x, target)
		if err != nil {
			return nil, Truncated{}, err
		}
		r.Index = i
		records[i] = r
		truncated.add(cut)
		if done := i + 1; tick != nil && (done%tickEvery == 0 || done == len(examples)) {
			tick(done, len(examples))
		}
	}
	return records, truncated, nil
}

// encoding is the memory of encoding one example after another.
type encoding struct {
	*Encoder
	texts   [][]int32 // the source texts without [SEP]; of a dialogue with a passage that comes first
	target  []int32
	passage string  // the passage tokenised last, unless of ids: the questions of a conversation share it
	cached  []int32 // its tokens
	beyond  bool    // it has more of them
}

func (w *encoding) encode(x Example, withTarget bool) (Record, Cut, error) {
	if err := w.Check(); err != nil {
		panic("seq2seq: " + err.Error())
	}
	var cut Cut
	passages, err := w.sources(x, &cut)
	if err != nil {
		return Record{}, Cut{}, err
	}
	w.fit(passages, &cut)
	w.target = w.target[:0]
	if withTarget {
		if err := w.encodeTarget(x, &cut); err != nil {
			return Record{}, Cut{}, err
		}
	}
	r := w.record(passages, &cut)
	r.Line = x.Line
	return r, cut, nil
}

// sources fills texts, each cut to its limit. passages is 1 if the first is a dialogue's passage, else 0.
func (w *encoding) sources(x Example, cut *Cut) (passages int, err error) {
	if !x.hasSource() {
		return 0, x.fail("has no source text", "give every example a text to read, or remove it")
	}
	w.texts = w.texts[:0]
	limit := w.textLimit() - 1
	texts := x.Sources
	if w.Dialogue {
		if drop := len(texts) - (w.TurnTypes - 1); drop > 0 {
			cut.Turns, texts = drop, texts[drop:]
		}
		if x.Knowledge != "" {
			if x.IDs || w.passage != x.Knowledge {
				w.passage = ""
				if w.cached, w.beyond, err = w.tokens(w.cached[:0], x, x.Knowledge, limit); err != nil {
					return 0, err
				}
				if !x.IDs {
					w.passage = x.Knowledge
				}
			}
			w.add(w.cached, w.beyond, limit, cut)
			passages = 1
		}
	}
	for _, text := range texts {
		ids, more, err := w.tokens(nil, x, text, limit)
		if err != nil {
			return 0, err
		}
		w.add(ids, more, limit, cut)
	}
	return passages, nil
}

func (w *encoding) add(ids []int32, more bool, limit int, cut *Cut) {
	if more {
		cut.Source++
	}
	if len(ids) > limit {
		cut.Source += len(ids) - limit
		ids = ids[:limit]
	}
	w.texts = append(w.texts, ids)
}

// tokens appends the ids of a text of an example, limit of them unless all have to be counted.
func (w *encoding) tokens(dst []int32, x Example, text string, limit int) (ids []int32, more bool, err error) {
	if !x.IDs {
		if w.Count {
			limit = math.MaxInt
		}
		ids, more = w.Tokenizer.EncodeUpTo(dst, text, limit)
		return ids, more, nil
	}
	for piece := range strings.SplitSeq(text, " ") {
		id, ok := w.Tokenizer.FromVocabLine(piece)
		if !ok {
			remedy := "use the vocabulary that the file was made with"
			if piece == "" {
				remedy = "put exactly one space between two ids and none elsewhere"
			}
			return nil, false, x.fail(fmt.Sprintf("%s is no id of the vocabulary", textfile.Quote(piece)), remedy)
		}
		dst = append(dst, id)
	}
	return dst, false, nil
}

// fit cuts the texts to MaxTotal.
func (w *encoding) fit(passages int, cut *Cut) {
	if w.MaxTotal == 0 || w.ContinuousPositions {
		return
	}
	excess := w.length() - w.MaxTotal
	for w.Dialogue && excess > 0 && len(w.texts) > passages+1 {
		excess -= len(w.texts[passages]) + 1
		w.texts = slices.Delete(w.texts, passages, passages+1)
		cut.Turns++
	}
	for ; excess > 0; excess-- {
		at := 0 // the passage, as long as there is any
		if !w.Dialogue || len(w.texts[at]) == 0 {
			for i := range w.texts {
				if len(w.texts[i]) >= len(w.texts[at]) {
					at = i
				}
			}
		}
		n := len(w.texts[at])
		if n == 0 {
			return // nothing but [CLS] and [SEP]
		}
		w.texts[at] = w.texts[at][:n-1]
		cut.Source++
	}
}

// length is the number of tokens of the source.
func (w *encoding) length() int {
	n := 1
	for _, text := range w.texts {
		n += len(text) + 1
	}
	return n
}

func (w *encoding) encodeTarget(x Example, cut *Cut) (err error) {
	if strings.TrimSpace(x.Target) == "" {
		return x.fail("has no target text", "give every example the text to write, or remove it")
	}
	limit := w.targetLimit()
	var more bool
	if w.target, more, err = w.tokens(w.target, x, x.Target, limit); err != nil {
		return err
	}
	if !more {
		w.target = append(w.target, w.Tokenizer.SEP())
	} else {
		cut.Target = 1 // of what follows
	}
	if len(w.target) > limit {
		cut.Target = len(w.target) - limit
		w.target = w.target[:limit]
	}
	if last := len(w.target) - 1; w.target[last] == w.Tokenizer.SEP() {
		w.target[last] = w.Tokenizer.MASK()
	}
	return nil
}

// record lays out texts and target.
func (w *encoding) record(passages int, cut *Cut) Record {
	source, total := w.length(), w.length()+len(w.target)
	r := Record{Tokens: make([]int32, 0, total), Positions: make([]int32, 0, total), Source: source}
	turn := int32(len(w.texts) - passages)
	if w.Dialogue {
		r.Roles, r.Turns = make([]int32, 0, total), make([]int32, 0, total)
	}
	r.append(w.Tokenizer.CLS(), batches.FirstPosition, turn%2, turn)
	for i, text := range w.texts {
		role, own := turn%2, turn
		if i < passages {
			role, own = rolePassage, 0
		} else {
			turn--
		}
		for p, id := range text {
			r.append(id, batches.FirstPosition+1+int32(p), role, own)
		}
		r.append(w.Tokenizer.SEP(), batches.FirstPosition+1+int32(len(text)), role, own)
	}
	if w.ContinuousPositions {
		w.shorten(&r, cut)
	}
	if len(w.target) > 0 {
		r.Labels = slices.Clone(w.target)
		r.append(w.Tokenizer.CLS(), batches.FirstPosition, roleAnswer, 0)
		for p, id := range w.target[:len(w.target)-1] {
			r.append(id, batches.FirstPosition+1+int32(p), roleAnswer, 0)
		}
	}
	if w.ContinuousPositions {
		for i := range r.Positions {
			r.Positions[i] = batches.FirstPosition + int32(i)
		}
	}
	return r
}

func (r *Record) append(token, position, role, turn int32) {
	r.Tokens = append(r.Tokens, token)
	r.Positions = append(r.Positions, position)
	if r.Roles != nil {
		r.Roles = append(r.Roles, role)
		r.Turns = append(r.Turns, turn)
	}
}

// shorten cuts a source with continuous positions.
func (w *encoding) shorten(r *Record, cut *Cut) {
	limit := w.totalLimit()
	if r.Source <= limit {
		return
	}
	drop := r.Source - limit
	cut.Source += drop
	r.Source = limit
	if !w.Dialogue {
		r.Tokens = r.Tokens[:limit]
		r.Tokens[limit-1] = w.Tokenizer.SEP()
		r.Positions = r.Positions[:limit]
		return
	}
	r.Tokens, r.Positions = slices.Delete(r.Tokens, 0, drop), slices.Delete(r.Positions, 0, drop)
	r.Roles, r.Turns = slices.Delete(r.Roles, 0, drop), slices.Delete(r.Turns, 0, drop)
}

// hasSource says whether there is anything to read.
func (x *Example) hasSource() bool {
	return strings.TrimSpace(x.Knowledge) != "" ||
		slices.ContainsFunc(x.Sources, func(s string) bool { return strings.TrimSpace(s) != "" })
}

// fail is an error about the example.
func (x *Example) fail(problem, remedy string) error {
	return &textfile.FileError{File: x.File, Line: x.Line, Problem: problem, Remedy: remedy}
}

// Lengths returns the number of tokens of every record.
func Lengths(records []Record) []int {
	out := make([]int, len(records))
	for i := range records {
		out[i] = len(records[i].Tokens)
	}
	return out
}
