package metrics

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxWords is how many words of a text [ROUGE] and [CaptionROUGEL] read: the time for a common
// subsequence grows with the product of two lengths.
const MaxWords = 4096

// OfficialSamples is how many samples the usual call of ROUGE-1.5.5 draws (its -r).
const OfficialSamples = 1000

// ROUGEOptions are what may differ from the usual call of ROUGE-1.5.5, -m -a -n 2 -c 95 -r 1000
// -f A. The zero value is that call without the bootstrap.
type ROUGEOptions struct {
	// Best takes, of several references, the one with the best recall (-f B) instead
	// of all of them together (-f A).
	Best bool
	// Samples of the bootstrap, which gives the intervals; 0 for none. The script's are
	// [OfficialSamples].
	Samples int
	// Seed of the first sample; the next have the next numbers. The script's is 0.
	Seed int64
	// WordNet, if not nil, has the irregular forms that are looked up before stemming.
	// The script has those of WordNet 2.0.
	WordNet *WordNet
}

// Estimate is a mean over texts with its 95 % confidence interval, from Low to High. As in the script,
// the mean is that over the samples of the bootstrap. Without samples it is the plain mean, and the
// interval is NaN. Without texts all three are NaN.
type Estimate struct{ Mean, Low, High float64 }

// ROUGEScore is one of ROUGE's scores. F weighs recall and precision alike; papers report it.
type ROUGEScore struct{ Recall, Precision, F Estimate }

// ROUGEScores are the scores of a corpus: of single words, of pairs of words, and of the longest
// common subsequence.
type ROUGEScores struct {
	ROUGE1, ROUGE2, ROUGEL ROUGEScore
	Cut                    int // texts of which only the first [MaxWords] words were read
}

// ROUGE scores N summaries with the N lists of their references as ROUGE-1.5.5 does. The sentences of
// a text are its lines: put a line break between them.
//
// Words are runs of ASCII letters and digits, those of more than three letters cut to their Porter
// stem. ROUGE-L is over sentences. Scores are rounded to five digits per text. The bootstrap draws
// what the script draws (drand48 with the sample's number as seed), so that all digits that it
// prints are equal.
//
// Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
func ROUGE(hyps []string, refs [][]string, opt ROUGEOptions) ROUGEScores {
	checkLengths(len(hyps), len(refs))
	var out ROUGEScores
	r := rouge{best: opt.Best, wordNet: opt.WordNet, stems: map[string]string{}, words: vocabulary{}}
	rows := make([]rougeRow, len(hyps))
	for i, h := range hyps {
		hyp := r.read(h, &out.Cut)
		var read []summary
		for _, text := range references(refs[i]) {
			read = append(read, r.read(text, &out.Cut))
		}
		rows[i] = r.score(hyp, read)
	}
	estimates := bootstrap(rows, opt)
	for k, s := range []*ROUGEScore{&out.ROUGE1, &out.ROUGE2, &out.ROUGEL} {
		*s = ROUGEScore{Recall: estimates[3*k], Precision: estimates[3*k+1], F: estimates[3*k+2]}
	}
	return out
}

// rougeRow has recall, precision and F of ROUGE-1, ROUGE-2 and ROUGE-L of one text.
type rougeRow [9]float64

type rouge struct {
	best    bool
	wordNet *WordNet
	stems   map[string]string
	words   vocabulary
	up      []bool // scratch of mark
}

// summary is a text as its sentences, each a list of numbers of stems.
type summary struct {
	sentences [][]int32
	ids       []int32 // all of them
}

// read splits a text into sentences and stems, and counts it in cut if it is too long.
func (r *rouge) read(text string, cut *int) summary {
	var s summary
	var lengths []int
	for line := range strings.Lines(text) {
		tokens := strings.FieldsFunc(line, func(c rune) bool {
			return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
		})
		tokens, some := firstWords(tokens, MaxWords-len(s.ids))
		for i, t := range tokens {
			tokens[i] = r.stem(t)
		}
		s.ids = append(s.ids, r.words.ids(tokens)...)
		lengths = append(lengths, len(tokens))
		if some {
			*cut++
			break
		}
	}
	from := 0
	for _, n := range lengths {
		s.sentences = append(s.sentences, s.ids[from:from+n])
		from += n
	}
	return s
}

// stem lower-cases a token and stems it if it has more than three letters.
func (r *rouge) stem(token string) string {
	if s, known := r.stems[token]; known {
		return s
	}
	s := strings.ToLower(token)
	if len(s) > 3 {
		if base, irregular := r.wordNet.base(s); irregular {
			s = base
		} else {
			s = porter(s)
		}
	}
	r.stems[token] = s
	return s
}

// hits are matches of a text with a reference, or with several together.
type hits struct{ matches, ref, hyp int }

// score compares a text with its references.
func (r *rouge) score(hyp summary, refs []summary) (row rougeRow) {
	for k, count := range []func(hyp, ref summary) hits{gramHits(1), gramHits(2), r.sequenceHits} {
		var total hits
		bestRecall := -1.0
		for _, ref := range refs {
			h := count(hyp, ref)
			if !r.best {
				total = hits{total.matches + h.matches, total.ref + h.ref, total.hyp + h.hyp}
			} else if recall := ratio(h.matches, h.ref); recall > bestRecall {
				total, bestRecall = h, recall
			}
		}
		recall, precision := ratio(total.matches, total.ref), ratio(total.matches, total.hyp)
		f := 0.0
		if recall+precision > 0 {
			f = fiveDigits(precision * recall / (0.5*precision + 0.5*recall))
		}
		row[3*k], row[3*k+1], row[3*k+2] = recall, precision, f
	}
	return row
}

// ratio is a rounded quotient, 0 for 0/0.
func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return fiveDigits(float64(a) / float64(b))
}

// fiveDigits rounds as printing does, which is what the script's scores went through.
func fiveDigits(x float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 5, 64), 64)
	return rounded
}

func gramHits(order int) func(hyp, ref summary) hits {
	return func(hyp, ref summary) hits {
		return hits{
			matches: overlap(countGrams(hyp.ids, order), countGrams(ref.ids, order)),
			ref:     max(0, len(ref.ids)-order+1),
			hyp:     max(0, len(hyp.ids)-order+1),
		}
	}
}

// sequenceHits are those of ROUGE-L: the words of the reference that are in a longest
// common subsequence of their sentence and some sentence of the text. No word counts
// more often than either side has it.
func (r *rouge) sequenceHits(hyp, ref summary) hits {
	h := hits{ref: len(ref.ids), hyp: len(hyp.ids)}
	left, leftRef := countGrams(hyp.ids, 1), countGrams(ref.ids, 1)
	for _, sentence := range ref.sentences {
		marks := make([]bool, len(sentence))
		for _, other := range hyp.sentences {
			r.mark(marks, sentence, other)
		}
		for i, marked := range marks {
			g := newGram(sentence[i : i+1])
			if marked && left[g] > 0 && leftRef[g] > 0 {
				h.matches++
				left[g]--
				leftRef[g]--
			}
		}
	}
	return h
}

// mark sets the marks of the words of a that are in its longest common subsequence
// with b. Of several subsequences it takes the one the script takes, walking back from
// the end and leaving out a word of a rather than one of b.
func (r *rouge) mark(marks []bool, a, b []int32) {
	n := len(b)
	r.up = slices.Grow(r.up[:0], len(a)*n)[:len(a)*n] // leaving out the word of a is as good
	above, row := make([]int32, n+1), make([]int32, n+1)
	for i, x := range a {
		up := r.up[i*n : (i+1)*n]
		for j, y := range b {
			switch {
			case x == y:
				row[j+1] = above[j] + 1
			case above[j+1] >= row[j]:
				row[j+1], up[j] = above[j+1], true
			default:
				row[j+1], up[j] = row[j], false
			}
		}
		above, row = row, above
	}
	for i, j := len(a)-1, n-1; i >= 0 && j >= 0; {
		switch {
		case a[i] == b[j]:
			marks[i] = true
			i--
			j--
		case r.up[i*n+j]:
			i--
		default:
			j--
		}
	}
}

// bootstrap estimates the mean of every column of the rows.
func bootstrap(rows []rougeRow, opt ROUGEOptions) (out [len(rougeRow{})]Estimate) {
	n, samples := len(rows), opt.Samples
	if n == 0 || samples <= 0 {
		for k := range out {
			sum := 0.0
			for _, row := range rows {
				sum += row[k]
			}
			out[k] = Estimate{Mean: sum / float64(n), Low: math.NaN(), High: math.NaN()}
		}
		return out
	}
	rows = inScriptOrder(rows)
	var means [len(out)][]float64
	for sample := range samples {
		rng := newDrand48(opt.Seed + int64(sample))
		var sum rougeRow
		for range n {
			row := &rows[rng.intn(n)]
			for k := range sum {
				sum[k] += row[k]
			}
		}
		for k := range sum {
			means[k] = append(means[k], sum[k]/float64(n))
		}
	}
	for k, m := range means {
		slices.Sort(m)
		sum := 0.0
		for _, v := range m {
			sum += v
		}
		const tails = 0.05
		cutOff := float64(samples) * tails / 2
		fraction := float64(samples) - cutOff - 1 - math.Floor(float64(samples)-cutOff-1)
		between := func(i int) float64 {
			i = max(i, 0)
			return m[i] + (m[min(i+1, samples-1)]-m[i])*fraction
		}
		out[k] = Estimate{
			Mean: sum / float64(samples),
			Low:  between(int(cutOff)),
			High: between(int(float64(samples) - cutOff - 1)),
		}
	}
	return out
}

// inScriptOrder sorts rows by their numbers, from 1, as text: 1, 10, 100, 101, ...
// which decides what row a random number draws.
func inScriptOrder(rows []rougeRow) []rougeRow {
	names := make([]string, len(rows))
	order := make([]int, len(rows))
	for i := range rows {
		names[i], order[i] = strconv.Itoa(i+1), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
	sorted := make([]rougeRow, len(rows))
	for i, o := range order {
		sorted[i] = rows[o]
	}
	return sorted
}

// drand48 is the random generator of Perl and of the C library: a linear
// congruential one of 48 bits.
type drand48 uint64

func newDrand48(seed int64) drand48 { return drand48(uint64(uint32(seed))<<16 | 0x330e) }

// intn returns a random number below n.
func (d *drand48) intn(n int) int {
	*d = (*d*0x5deece66d + 0xb) & (1<<48 - 1)
	return int(float64(*d) / (1 << 48) * float64(n))
}
