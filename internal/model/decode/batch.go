package decode

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// batch is the decoding of some sources together.
type batch struct {
	*Decoder
	tape     *autograd.Tape
	dev      engine.Device // the tape's
	options  *Options
	room     Room
	cache    *model.Cache
	searches []*search // in the order of the cache's rows
	emit     func(source int, piece string)

	step model.Step
	used int32     // slots of the cache
	rows []*search // whose hypothesis each row of the step is

	// What the device says of the step's logits.
	k       int // the likeliest tokens of each row
	ids     []int32
	values  []float32
	logSums []float64
	drawn   []candidate // when sampling
}

// decode writes the targets of some sources, one batch, into results.
func (d *Decoder) decode(ctx context.Context, sources []Source, numbers []int, o *Options, results []Result, emit func(source int, piece string)) error {
	b := &batch{Decoder: d, tape: d.tapes.Take(), options: o, emit: emit}
	defer d.tapes.Give(b.tape)
	b.dev = b.tape.Device()
	rows, longest, written := int32(0), 0, 0 // of the sources, and tokens of a target
	b.step.Seen.Sources = []int32{0}
	for _, number := range numbers {
		s := &search{source: number, position: sources[number].first(), longest: sources[number].longest(o)}
		s.beams = []hypothesis{{tokens: []int32{d.vocabulary.CLS()}, scores: []float64{0}}}
		if o.Sample {
			s.random = randomStream(o, &sources[number], number)
		}
		if emit != nil {
			s.text, s.streamed = &stream{vocabulary: d.vocabulary}, 1
		}
		b.searches = append(b.searches, s)
		rows, longest, written = rows+int32(sources[number].Rows()), max(longest, sources[number].Rows()), max(written, s.longest)
		b.step.Seen.Sources = append(b.step.Seen.Sources, rows)
	}
	slots := len(numbers) * o.beams() * o.MaxLength
	if engine.Fits(b.dev) {
		if b.room = (rooms{d.model.Config, d.Usual, *o}).of(len(numbers), longest, written); b.room != (Room{}) {
			slots = b.room.Sources * b.room.Beams * b.room.Slots
			engine.Fill(b.dev, engine.Size{}, engine.Size{Rows: b.room.Sources * b.room.Longest})
			engine.FitParts(b.dev, true)
		}
	}
	b.cache = d.model.NewCache(b.dev, int(rows), slots)
	engine.Fit(b.dev, engine.Size{})
	defer b.cache.Free()
	if err := b.read(ctx, sources, numbers); err != nil {
		return err
	}
	for t := range o.MaxLength {
		if b.fill(t); len(b.rows) == 0 {
			break
		}
		if err := b.advance(ctx, t); err != nil {
			return err
		}
		if emit == nil {
			continue
		}
		for _, s := range b.searches {
			if b.stream(s, s.common()); !s.goes(t + 1) {
				b.end(s)
			}
		}
		if err := ctx.Err(); err != nil { // before anything is computed: emit may have lost the model
			return err
		}
	}
	for _, s := range b.searches {
		results[s.source] = s.result()
	}
	return nil
}

// read fills the cache with the sources, some at a time.
func (b *batch) read(ctx context.Context, sources []Source, numbers []int) error {
	var in model.Input
	first := 0
	flush := func() error {
		if b.room != (Room{}) {
			b.cache.Clear(b.dev)
			engine.Start(b.dev) // else reading would be another program for each number of slots
			b.room.fit(b.dev, in)
		}
		err := b.model.Encode(ctx, b.tape, b.cache, in, first)
		if b.room != (Room{}) {
			engine.Start(b.dev) // else it would be one program with the first step
		}
		first += in.Rows()
		in.Reset()
		return err
	}
	for _, number := range numbers {
		s := &sources[number]
		if n := in.Rows(); n > 0 && n+s.Rows() > encodeRows && b.room == (Room{}) {
			if err := flush(); err != nil {
				return err
			}
		}
		in.Append(s.Input)
	}
	return flush()
}

// fill makes the rows of step t: the newest token of every hypothesis that has not ended.
func (b *batch) fill(t int) {
	s := &b.step
	s.Tokens, s.Positions, s.Slots = s.Tokens[:0], s.Positions[:0], s.Slots[:0]
	s.Seen.Paths, s.Seen.Steps = s.Seen.Paths[:0], t+1
	s.Seen.Hypotheses = append(s.Seen.Hypotheses[:0], 0)
	b.rows = b.rows[:0]
	for _, search := range b.searches {
		for i := range search.beams {
			h := &search.beams[i]
			if h.ended || t >= search.longest {
				continue
			}
			h.slots = append(slices.Clip(h.slots), b.used)
			s.Tokens = append(s.Tokens, h.tokens[t])
			s.Positions = append(s.Positions, search.position+int32(t))
			s.Slots = append(s.Slots, b.used)
			s.Seen.Paths = append(s.Seen.Paths, h.slots...)
			b.rows = append(b.rows, search)
			b.used++
		}
		s.Seen.Hypotheses = append(s.Seen.Hypotheses, int32(len(b.rows)))
	}
}

// advance takes step t.
func (b *batch) advance(ctx context.Context, t int) error {
	defer b.tape.Release()
	b.room.fitStep(b.dev, len(b.rows))
	logits, err := b.model.Next(ctx, b.tape, b.cache, b.step)
	engine.FitParts(b.dev, false)
	if err != nil {
		return err
	}
	if err := b.model.Params.CheckOutput(b.tape, "scores of the next token", logits); err != nil {
		return err
	}
	if b.model.Config.NoSpecials {
		b.forbid(logits)
	}
	end, except := b.End, int32(-1)
	if t < b.options.MinLength {
		except = end
	}
	if b.options.Sample {
		b.sample(logits, except)
	} else {
		b.topK(logits, max(b.options.BeamSize, b.room.Beams), except)
	}
	row := 0
	for _, s := range b.searches {
		if !s.goes(t) {
			continue
		}
		for i := range s.beams {
			if s.beams[i].ended {
				s.keep(i)
				continue
			}
			b.offer(s, i, row)
			row++
		}
		s.choose(b.options, end)
	}
	return nil
}

// forbid makes the special tokens that are no end as good as impossible.
func (b *batch) forbid(logits *autograd.Var) {
	values, v := engine.Values(b.dev, logits.Value), logits.Value.Cols // the memory itself, where the device allows it
	for _, id := range []int32{b.vocabulary.UNK(), b.vocabulary.PAD(), b.vocabulary.CLS()} {
		for at := int(id); at < len(values); at += v {
			values[at] = -1e9
		}
	}
	b.dev.Write(logits.Value, values)
}

// offer lets a hypothesis, which is a row of the step, be continued.
func (b *batch) offer(s *search, beam, row int) {
	var ids []int32
	var values []float32
	if b.options.Sample {
		ids, values = []int32{b.drawn[row].id}, []float32{b.drawn[row].logit}
	} else {
		ids, values = b.likeliest(row, b.options.BeamSize)
	}
	if b.options.BlockTrigrams {
		s.trigrams.read(b.vocabulary, s.beams[beam].tokens)
	}
	for i, id := range ids {
		s.offer(b.vocabulary, b.options, beam, id, float64(values[i])-b.logSums[row])
	}
}

// topK finds the k largest logits of each row, and the log-sum-exp of all.
func (b *batch) topK(logits *autograd.Var, k int, except int32) {
	n := len(b.rows)
	b.k = k
	b.ids, b.values = slices.Grow(b.ids[:0], n*k)[:n*k], slices.Grow(b.values[:0], n*k)[:n*k]
	b.logSums = slices.Grow(b.logSums[:0], n)[:n]
	b.dev.TopK(b.ids, b.values, b.logSums, logits.Value, k, except)
}

// likeliest returns n of the tokens that were found for a row, and their logits.
func (b *batch) likeliest(row, n int) ([]int32, []float32) {
	return b.ids[row*b.k:][:n], b.values[row*b.k:][:n]
}

// sample draws a token for each row.
func (b *batch) sample(logits *autograd.Var, except int32) {
	n, o := len(b.rows), b.options
	b.drawn = slices.Grow(b.drawn[:0], n)[:n]
	all, v := []float32(nil), logits.Value.Cols
	k := b.room.likeliest(o.TopK, v)
	if k == 0 {
		all, b.logSums = engine.Values(b.dev, logits.Value), slices.Grow(b.logSums[:0], n)[:n]
	} else {
		b.topK(logits, k, except)
	}
	b.dev.Limit().For(n, func(row int) {
		s, w := b.rows[row], samplers.Get().(*sampler)
		defer samplers.Put(w)
		if all == nil {
			w.some(b.likeliest(row, o.TopK))
		} else {
			b.logSums[row] = w.all(all[row*v:(row+1)*v], except)
			w.keep(o.TopK)
		}
		blocked := func(int32) bool { return false }
		if o.BlockTrigrams {
			text := s.beams[0].tokens
			s.trigrams.read(b.vocabulary, text)
			blocked = func(id int32) bool { return s.trigrams.repeats(b.vocabulary, text, id) }
		}
		b.drawn[row] = w.sample(o, s.random, blocked)
	})
}

// end tells the rest of the text of a search that is over.
func (b *batch) end(s *search) {
	b.stream(s, s.beams[0].written())
	if s.text != nil {
		b.tell(s, s.text.close())
	}
	s.text = nil
}

// stream tells the text of tokens, which all hypotheses of s start with, as far as it was not told.
func (b *batch) stream(s *search, tokens []int32) {
	if s.text != nil && len(tokens) > s.streamed {
		b.tell(s, s.text.write(tokens[s.streamed:]))
		s.streamed = len(tokens)
	}
}

func (b *batch) tell(s *search, piece string) {
	if piece != "" {
		b.emit(s.source, piece)
	}
}
