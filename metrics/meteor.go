package metrics

import (
	"math"
	"slices"
	"sort"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// Parameters of METEOR 1.5 for English (its task "rank").
const (
	meteorAlpha = 0.85 // weight of recall in the harmonic mean
	meteorBeta  = 0.2  // exponent of the fragmentation
	meteorGamma = 0.6  // largest penalty for fragmentation
	meteorDelta = 0.75 // weight of content words; the rest is that of function words
	meteorBeam  = 40   // alignments that are followed at a time
)

// meteorMaxWords is how many words of a text METEOR reads: the time to align two
// texts that repeat one word grows with the product of their lengths.
const meteorMaxWords = 1000

// Stages of METEOR's matching and what a match of each is worth.
const (
	exactStage = iota
	stemStage
	synonymStage
	paraphraseStage
	meteorStages
)

var (
	stageNames   = [meteorStages]string{"exact", "stem", "synonym", "paraphrase"}
	stageWeights = [meteorStages]float64{1, 0.6, 0.8, 0.6}
)

// METEORScores are METEOR of a corpus and what it is made of, fractions of 1.
type METEORScores struct {
	METEOR            float64
	Precision, Recall float64  // weighted by stage and kind of word
	Penalty           float64  // for matches that are not in one piece
	Stages            []string // how words were matched: exact, stem, synonym with a WordNet, paraphrase with METEOR's data
	Cut               int      // texts of which only the first 1000 words were read
}

// METEOR scores N hypotheses with the N lists of their references as METEOR 1.5 does for English with
// normalisation (-l en -norm). wordNet may be nil.
//
// Words match that are equal, that have equal Snowball stems, and, with a WordNet, that share a
// meaning; with the data of [OpenMETEOR], phrases match that its table has, and the score is METEOR's own. Of several references the one with the best score counts. The scores are of the sums over
// the corpus, as METEOR's final score is, and NaN without texts.
//
// Source: M. Denkowski and A. Lavie, "Meteor Universal: language specific translation
// evaluation for any target language", WMT 2014.
func METEOR(hyps []string, refs [][]string, wordNet *WordNet) METEORScores {
	checkLengths(len(hyps), len(refs))
	out := METEORScores{Stages: slices.Clone(stageNames[:synonymStage])}
	switch {
	case wordNet == nil:
	case wordNet.paraphrases == nil:
		out.Stages = slices.Clone(stageNames[:paraphraseStage])
	default:
		out.Stages = slices.Clone(stageNames[:])
	}
	m := meteor{wordNet: wordNet, words: map[string]*meteorWord{}}
	var total meteorCounts
	for i, h := range hyps {
		hyp := m.read(h, &out.Cut)
		var best meteorCounts
		bestScore := -1.0
		for _, text := range references(refs[i]) {
			c := m.compare(hyp, m.read(text, &out.Cut))
			if score, _, _, _ := c.score(); score > bestScore {
				best, bestScore = c, score
			}
		}
		total.add(best)
	}
	out.METEOR, out.Precision, out.Recall, out.Penalty = total.score()
	if len(hyps) == 0 {
		out.METEOR = math.NaN()
	}
	return out
}

type meteor struct {
	wordNet *WordNet
	words   map[string]*meteorWord
}

// meteorWord is a word with what it is matched by.
type meteorWord struct {
	text     string
	stem     string
	senses   []synset // sorted
	function bool
}

func (m *meteor) read(text string, cut *int) []*meteorWord {
	tokens, some := firstWords(meteorTokens(text), meteorMaxWords)
	if some {
		*cut++
	}
	list := make([]*meteorWord, len(tokens))
	for i, t := range tokens {
		w := m.words[t]
		if w == nil {
			w = &meteorWord{text: t, stem: snowball(t), senses: m.wordNet.senses(t), function: functionWords[t]}
			slices.Sort(w.senses)
			m.words[t] = w
		}
		list[i] = w
	}
	return list
}

// snowball is the Snowball project's stemmer for English, also called Porter 2.
func snowball(word string) string {
	if len(word) > maxStemmed {
		return word
	}
	env := snowballstem.NewEnv(word)
	english.Stem(env)
	return env.Current()
}

// meteorCounts are the sums that METEOR is made of. Index 0 is the hypothesis, 1 the reference.
type meteorCounts struct {
	length, functions [2]float64
	content, function [2][meteorStages]float64 // matches
	chunks            float64                  // pieces in which matches are in equal order
}

// perfect says whether the texts match wholly, in one piece.
func (c *meteorCounts) perfect() bool {
	return c.chunks == 1 && c.matches(0) == c.length[0] && c.matches(1) == c.length[1]
}

func (c *meteorCounts) matches(side int) (n float64) {
	for stage := range meteorStages {
		n += c.content[side][stage] + c.function[side][stage]
	}
	return n
}

// add adds the counts of a text. The one piece of a perfect match is no fragment.
func (c *meteorCounts) add(x meteorCounts) {
	for side := range 2 {
		c.length[side] += x.length[side]
		c.functions[side] += x.functions[side]
		for stage := range meteorStages {
			c.content[side][stage] += x.content[side][stage]
			c.function[side][stage] += x.function[side][stage]
		}
	}
	if !x.perfect() {
		c.chunks += x.chunks
	}
}

// score returns METEOR, precision, recall and the penalty; 0 where nothing matches.
func (c *meteorCounts) score() (score, precision, recall, penalty float64) {
	matched := (c.matches(0) + c.matches(1)) / 2
	if matched == 0 {
		return 0, 0, 0, 0
	}
	var quotient [2]float64
	for side := range quotient {
		weight := 0.0
		for stage, w := range stageWeights {
			weight += w * (meteorDelta*c.content[side][stage] + (1-meteorDelta)*c.function[side][stage])
		}
		functions := c.functions[side]
		quotient[side] = weight / (meteorDelta*(c.length[side]-functions) + (1-meteorDelta)*functions)
	}
	precision, recall = quotient[0], quotient[1]
	mean := 1 / ((1-meteorAlpha)/precision + meteorAlpha/recall)
	if !c.perfect() {
		penalty = meteorGamma * math.Pow(c.chunks/matched, meteorBeta)
	}
	return mean * (1 - penalty), precision, recall, penalty
}

// match says that words of the hypothesis fit words of the reference, one each but for paraphrases.
type match struct{ hyp, hypLen, ref, refLen, stage int }

// compare aligns two texts and counts what matches.
func (m *meteor) compare(hyp, ref []*meteorWord) meteorCounts {
	var c meteorCounts
	for side, words := range [][]*meteorWord{hyp, ref} {
		c.length[side] = float64(len(words))
		for _, w := range words {
			if w.function {
				c.functions[side]++
			}
		}
	}
	count := func(side int, words []*meteorWord, stage int) {
		for _, w := range words {
			if w.function {
				c.function[side][stage]++
			} else {
				c.content[side][stage]++
			}
		}
	}
	hypEnd, refEnd := -1, -1 // of the piece before
	for _, a := range align(hyp, ref, m.matches(hyp, ref)) {
		count(0, hyp[a.hyp:a.hyp+a.hypLen], a.stage)
		count(1, ref[a.ref:a.ref+a.refLen], a.stage)
		if a.hyp != hypEnd || a.ref != refEnd {
			c.chunks++
		}
		hypEnd, refEnd = a.hyp+a.hypLen, a.ref+a.refLen
	}
	return c
}

// matches lists, for every word of the reference, what of the hypothesis fits it or what begins with it:
// all of the first stage, then those of the second, and so on.
func (m *meteor) matches(hyp, ref []*meteorWord) [][]match {
	list := make([][]match, len(ref))
	for j, r := range ref {
		var later [paraphraseStage][]match
		add := func(i, stage int) { later[stage] = append(later[stage], match{i, 1, j, 1, stage}) }
		for i, h := range hyp {
			switch {
			case h == r:
				add(i, exactStage)
				continue
			case h.stem == r.stem:
				add(i, stemStage)
			}
			if share(h.senses, r.senses) {
				add(i, synonymStage)
			}
		}
		list[j] = slices.Concat(later[:]...)
	}
	if m.wordNet == nil || m.wordNet.paraphrases == nil || slices.Equal(hyp, ref) {
		return list
	}
	m.wordNet.paraphrases.find(ref, hyp, func(j, refLen, i, hypLen int) {
		list[j] = append(list[j], match{i, hypLen, j, refLen, paraphraseStage})
	})
	m.wordNet.paraphrases.find(hyp, ref, func(i, hypLen, j, refLen int) {
		list[j] = append(list[j], match{i, hypLen, j, refLen, paraphraseStage})
	})
	return list
}

// share says whether two sorted lists have a common element.
func share(a, b []synset) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return true
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// path is an alignment of the reference's words up to some place.
type path struct {
	before   *path // without the last match
	last     match // hypLen 0: a word is not aligned
	weight   int   // of matches, both sides
	chunks   int   // pieces that are complete
	distance int   // by which matched words differ in place
	hypEnd   int   // of the piece that is not complete; -1: none
	refEnd   int   // of what is decided
	used     []uint64
}

// better orders paths: more exact matches, then fewer pieces, then less distance.
// METEOR means to count the other stages by their weights, but rounds them down match by match.
func (p *path) better(q *path) bool {
	switch {
	case p.weight != q.weight:
		return p.weight > q.weight
	case p.chunks != q.chunks:
		return p.chunks < q.chunks
	}
	return p.distance < q.distance
}

// uses says whether words of the hypothesis are taken.
func (p *path) uses(m match) bool {
	for i := m.hyp; i < m.hyp+m.hypLen; i++ {
		if p.used[i/64]>>(i%64)&1 == 1 {
			return true
		}
	}
	return false
}

// with returns the path with another match.
func (p *path) with(m match) path {
	q := *p
	q.before, q.last, q.used = p, m, nil
	q.weight += int(float64(m.hypLen)*stageWeights[m.stage]) + int(float64(m.refLen)*stageWeights[m.stage])
	if p.hypEnd >= 0 && p.hypEnd != m.hyp {
		q.chunks++
	}
	q.hypEnd, q.refEnd = m.hyp+m.hypLen, m.ref+m.refLen
	return q
}

// without returns the path with another word that is not aligned.
func (p *path) without() path {
	q := *p
	q.before, q.last, q.used = p, match{}, nil
	if p.hypEnd >= 0 {
		q.chunks++
		q.hypEnd = -1
	}
	q.refEnd++
	return q
}

// mark notes which words of the hypothesis the path uses.
func (p *path) mark() {
	if p.used != nil {
		return
	}
	p.used = p.before.used
	if p.last.hypLen > 0 {
		p.used = slices.Clone(p.used)
		for i := p.last.hyp; i < p.last.hyp+p.last.hypLen; i++ {
			p.used[i/64] |= 1 << (i % 64)
		}
	}
}

// fixedMatches returns, by word of the reference, the matches that no other one has to do with.
func fixedMatches(hyp, ref []*meteorWord, options [][]match) []bool {
	hypFits, refFits := make([]int, len(hyp)), make([]int, len(ref)) // how often a word is in options
	for _, list := range options {
		for _, m := range list {
			for i := range m.hypLen {
				hypFits[m.hyp+i]++
			}
			for j := range m.refLen {
				refFits[m.ref+j]++
			}
		}
	}
	shared := func(n int) bool { return n != 1 }
	fixed := make([]bool, len(ref))
	for j, list := range options {
		if len(list) == 1 {
			m := list[0]
			fixed[j] = !slices.ContainsFunc(hypFits[m.hyp:m.hyp+m.hypLen], shared) && !slices.ContainsFunc(refFits[j:j+m.refLen], shared)
		}
	}
	return fixed
}

// align finds the best one-to-one alignment by METEOR's beam search. The matches are in the order of the
// reference.
func align(hyp, ref []*meteorWord, options [][]match) []match {
	fixed := fixedMatches(hyp, ref, options)
	beam := []*path{{hypEnd: -1, used: make([]uint64, (len(hyp)+63)/64)}}
	for j, list := range options {
		var next []*path
		for _, p := range beam {
			if p.refEnd > j { // within a match
				next = keep(next, p)
				continue
			}
			moved := 0 // of the matches tried so far; METEOR adds it to the paths after
			for _, m := range list {
				if p.uses(m) {
					continue
				}
				q := p.with(m)
				q.distance += moved
				moved += distance(m.hyp, j)
				if fixed[j] {
					q.distance += moved
				}
				next = keep(next, &q)
			}
			if !fixed[j] {
				q := p.without()
				q.distance += moved
				next = keep(next, &q)
			}
		}
		for _, p := range next {
			p.mark()
		}
		beam = next
	}
	for _, p := range beam {
		if p.hypEnd >= 0 {
			p.chunks++
		}
	}
	best := slices.MinFunc(beam, func(p, q *path) int { // the first of the best
		switch {
		case p.better(q):
			return -1
		case q.better(p):
			return 1
		}
		return 0
	})
	var alignment []match
	for ; best.before != nil; best = best.before {
		if best.last.hypLen > 0 {
			alignment = append(alignment, best.last)
		}
	}
	slices.Reverse(alignment)
	return alignment
}

// keep inserts a path into the sorted beam, behind equal ones, if it has room for it.
func keep(beam []*path, p *path) []*path {
	if len(beam) == meteorBeam && !p.better(beam[meteorBeam-1]) {
		return beam
	}
	at := sort.Search(len(beam), func(i int) bool { return p.better(beam[i]) })
	if len(beam) == meteorBeam {
		beam = beam[:meteorBeam-1]
	}
	return slices.Insert(beam, at, p)
}
