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
	meteorStages
)

var (
	stageNames   = [meteorStages]string{"exact", "stem", "synonym"}
	stageWeights = [meteorStages]float64{1, 0.6, 0.8}
)

// METEORScores are METEOR of a corpus and what it is made of, fractions of 1.
type METEORScores struct {
	METEOR            float64
	Precision, Recall float64  // weighted by stage and kind of word
	Penalty           float64  // for matches that are not in one piece
	Stages            []string // how words were matched: exact, stem, and synonym with a WordNet
	Cut               int      // texts of which only the first 1000 words were read
}

// METEOR scores N hypotheses with the N lists of their references as METEOR 1.5 does for English with
// normalisation (-l en -norm), but without its paraphrase stage. wordNet may be nil.
//
// Words match that are equal, that have equal Snowball stems, and, with a WordNet, that share a
// meaning. Of several references the one with the best score counts. The scores are of the sums over
// the corpus, as METEOR's final score is, and NaN without texts.
//
// Source: M. Denkowski and A. Lavie, "Meteor Universal: language specific translation
// evaluation for any target language", WMT 2014.
func METEOR(hyps []string, refs [][]string, wordNet *WordNet) METEORScores {
	checkLengths(len(hyps), len(refs))
	out := METEORScores{Stages: slices.Clone(stageNames[:synonymStage])}
	if wordNet != nil {
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
			w = &meteorWord{stem: snowball(t), senses: m.wordNet.senses(t), function: functionWords[t]}
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

// match says that a word of the hypothesis fits a word of the reference.
type match struct{ hyp, stage int }

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
	count := func(side int, w *meteorWord, stage int) {
		if w.function {
			c.function[side][stage]++
		} else {
			c.content[side][stage]++
		}
	}
	end := -1 // of the piece before, in the hypothesis
	for j, a := range align(hyp, ref) {
		if a.hyp < 0 {
			end = -1
			continue
		}
		count(0, hyp[a.hyp], a.stage)
		count(1, ref[j], a.stage)
		if a.hyp != end {
			c.chunks++
		}
		end = a.hyp + 1
	}
	return c
}

// matches lists, for every word of the reference, what words of the hypothesis fit it:
// all of the first stage, then those of the second, then of the third.
func matches(hyp, ref []*meteorWord) [][]match {
	list := make([][]match, len(ref))
	for j, r := range ref {
		var later [meteorStages][]match
		for i, h := range hyp {
			switch {
			case h == r:
				later[exactStage] = append(later[exactStage], match{i, exactStage})
				continue
			case h.stem == r.stem:
				later[stemStage] = append(later[stemStage], match{i, stemStage})
			}
			if share(h.senses, r.senses) {
				later[synonymStage] = append(later[synonymStage], match{i, synonymStage})
			}
		}
		list[j] = slices.Concat(later[:]...)
	}
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
	before   *path // without the last word
	last     match // hyp -1: the word is not aligned
	exact    int   // exact matches
	chunks   int   // pieces that are complete
	distance int   // by which matched words differ in place
	end      int   // in the hypothesis, of the piece that is not complete; -1: none
	used     []uint64
}

// better orders paths: more exact matches, then fewer pieces, then less distance.
// METEOR means to count the other stages half, but rounds them away.
func (p *path) better(q *path) bool {
	switch {
	case p.exact != q.exact:
		return p.exact > q.exact
	case p.chunks != q.chunks:
		return p.chunks < q.chunks
	}
	return p.distance < q.distance
}

// align finds the best one-to-one alignment, for every word of the reference its match
// in the hypothesis, by METEOR's beam search.
func align(hyp, ref []*meteorWord) []match {
	options := matches(hyp, ref)
	fits := make([]int, len(hyp)) // how often a word of the hypothesis is in options
	for _, list := range options {
		for _, m := range list {
			fits[m.hyp]++
		}
	}
	beam := []*path{{end: -1, used: make([]uint64, (len(hyp)+63)/64)}}
	for j, list := range options {
		fixed := len(list) == 1 && fits[list[0].hyp] == 1
		var next []*path
		for _, p := range beam {
			moved := 0 // of the matches tried so far; METEOR adds it to the paths after
			for _, m := range list {
				if p.used[m.hyp/64]>>(m.hyp%64)&1 == 1 {
					continue
				}
				q := path{before: p, last: m, exact: p.exact, chunks: p.chunks, distance: p.distance + moved, end: m.hyp + 1}
				if m.stage == exactStage {
					q.exact++
				}
				if p.end >= 0 && p.end != m.hyp {
					q.chunks++
				}
				moved += distance(m.hyp, j)
				if fixed {
					q.distance += moved
				}
				next = keep(next, q)
			}
			if fixed {
				continue
			}
			q := path{before: p, last: match{hyp: -1}, exact: p.exact, chunks: p.chunks, distance: p.distance + moved, end: -1}
			if p.end >= 0 {
				q.chunks++
			}
			next = keep(next, q)
		}
		for _, p := range next {
			p.used = p.before.used
			if i := p.last.hyp; i >= 0 {
				p.used = slices.Clone(p.used)
				p.used[i/64] |= 1 << (i % 64)
			}
		}
		beam = next
	}
	for _, p := range beam {
		if p.end >= 0 {
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
	alignment := make([]match, len(ref))
	for j := len(ref) - 1; j >= 0; j-- {
		alignment[j], best = best.last, best.before
	}
	return alignment
}

// keep inserts a path into the sorted beam, behind equal ones, if it has room for it.
func keep(beam []*path, p path) []*path {
	if len(beam) == meteorBeam && !p.better(beam[meteorBeam-1]) {
		return beam
	}
	at := sort.Search(len(beam), func(i int) bool { return p.better(beam[i]) })
	if len(beam) == meteorBeam {
		beam = beam[:meteorBeam-1]
	}
	kept := p
	return slices.Insert(beam, at, &kept)
}
