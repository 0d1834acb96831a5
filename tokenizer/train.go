package tokenizer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// fillers are the words that only fill the table; UNIMO's vocabulary has them too.
var fillers = []string{"madeupword0000", "madeupword0001", "madeupword0002"}

// MinVocabSize is the smallest vocabulary that [Train] makes: 256 bytes, five special tokens and three
// words that fill the table.
const MinVocabSize = 256 + 5 + 3

// TrainOptions are the settings of [Train]. The zero value is the usual one.
type TrainOptions struct {
	// KeepCase trains on the text as it is, and the tokenizer does not lower-case.
	KeepCase bool
	// MinFrequency is how often a pair must occur to be joined; 0 is for the usual 2.
	MinFrequency int
	// Progress, if not nil, is called now and then, by the goroutine that called Train, with the
	// number of merges found so far and the number wanted.
	Progress func(done, total int)
}

// Train makes a byte-level vocabulary of at most vocabSize ids for texts, which are read once. It
// joins the most frequent pair of neighbouring symbols until the vocabulary is full or no pair reaches
// the minimum frequency (Sennrich et al. 2016). Pairs do not cross words. Of pairs equally frequent
// the one with the lower symbols comes first, so the result depends on the texts and the options only.
//
// The ids have UNIMO's order: [CLS], [PAD], [SEP], [UNK]; the pieces by descending frequency in the
// encoded texts; three words made up to fill the table; [MASK].
//
// It takes some seconds for 100 MB of text. Errors: the end of ctx, a vocabSize less than
// [MinVocabSize] or too large, a negative MinFrequency, texts without a character.
func Train(ctx context.Context, texts iter.Seq[string], vocabSize int, options TrainOptions) (*Tokenizer, error) {
	switch {
	case vocabSize < MinVocabSize || vocabSize > maxSymbols:
		return nil, fmt.Errorf("train vocabulary: size is %d, want %d to %d", vocabSize, MinVocabSize, maxSymbols)
	case options.MinFrequency < 0:
		return nil, fmt.Errorf("train vocabulary: least frequency is %d, want 1 or more, or 0 for 2", options.MinFrequency)
	}
	options.MinFrequency = cmp.Or(options.MinFrequency, 2)
	tr := newTrainer()
	err := tr.count(ctx, texts, !options.KeepCase)
	if err == nil {
		err = tr.findMerges(ctx, vocabSize-MinVocabSize, options)
	}
	if err != nil {
		return nil, fmt.Errorf("train vocabulary: %w", err)
	}
	t := tr.tokenizer()
	t.lowerCase = !options.KeepCase
	return t, nil
}

// trainer holds every distinct word of the texts once. The words' symbols are one
// doubly linked list in one array, cut at the words' ends, so that a merge costs what it
// changes, however long the words.
type trainer struct {
	pieces []piece
	merges []merge

	nodes []trainNode
	freq  []int64 // of words

	pairs map[uint64]*trainPair // by left<<32 | right
	queue heapOf[queued]
}

type trainNode struct {
	symbol, prev, next uint32 // none where the word ends; symbol is none where it was joined
	word               uint32
}

// trainPair is a pair of symbols, how often it occurs, and where it did at some time:
// a place that holds other symbols by now is stale. Places are in ascending order,
// since merges visit and make them from left to right.
type trainPair struct {
	key    uint64
	count  int64
	places []uint32
}

// queued is a pair in the queue with its count when it was put there, which is at
// least its count now.
type queued struct {
	count int64
	pair  *trainPair
}

func newTrainer() *trainer {
	tr := &trainer{pairs: map[uint64]*trainPair{}}
	for _, b := range byteOrder {
		tr.addPiece(string(byteRune[b]))
	}
	// The most frequent pair first, of equals the one with the lower symbols.
	tr.queue.less = func(a, b queued) bool {
		return a.count > b.count || a.count == b.count && a.pair.key < b.pair.key
	}
	return tr
}

func (tr *trainer) addPiece(token string) uint32 {
	symbol := uint32(len(tr.pieces))
	tr.pieces = append(tr.pieces, piece{token: token, bpe: int32(symbol)})
	return symbol
}

// count splits the texts into words and lays out the distinct ones in sorted order.
func (tr *trainer) count(ctx context.Context, texts iter.Seq[string], lowerCase bool) error {
	counts := map[string]*int64{}
	var lower []byte
	for text := range texts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if lowerCase {
			lower = pytext.AppendLower(lower[:0], text)
			text = string(lower)
		}
		for i := 0; i < len(text); {
			end := wordEnd(text, i)
			if n, ok := counts[text[i:end]]; ok {
				*n++
			} else {
				n := int64(1)
				// The copy lets go of the text.
				counts[strings.Clone(text[i:end])] = &n
			}
			i = end
		}
	}
	if len(counts) == 0 {
		return errors.New("the texts are empty; give some text")
	}
	words := make([]string, 0, len(counts))
	bytes := 0
	for word := range counts {
		words = append(words, word)
		bytes += len(word)
	}
	if bytes >= math.MaxUint32 {
		return fmt.Errorf("the distinct words have %d bytes together; give less text", bytes)
	}
	slices.Sort(words)

	var symbolOf [256]uint32
	for symbol, b := range byteOrder {
		symbolOf[b] = uint32(symbol)
	}
	tr.nodes = make([]trainNode, 0, bytes)
	for n, word := range words {
		tr.freq = append(tr.freq, *counts[word])
		for i := range len(word) {
			at := uint32(len(tr.nodes))
			node := trainNode{symbol: symbolOf[word[i]], prev: at - 1, next: at + 1, word: uint32(n)}
			if i == 0 {
				node.prev = none
			}
			if i == len(word)-1 {
				node.next = none
			}
			tr.nodes = append(tr.nodes, node)
		}
	}
	return nil
}

// findMerges makes at most n merges.
func (tr *trainer) findMerges(ctx context.Context, n int, options TrainOptions) error {
	for at := range tr.nodes {
		tr.addPair(uint32(at))
	}
	for _, p := range tr.pairs {
		tr.queue.push(queued{p.count, p})
	}
	const reportEvery = 64 // merges: a call costs nothing beside them
	for len(tr.merges) < n {
		if len(tr.merges)%reportEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if options.Progress != nil {
				options.Progress(len(tr.merges), n)
			}
		}
		pair := tr.nextPair(int64(options.MinFrequency))
		if pair == nil {
			break
		}
		tr.join(pair)
	}
	if options.Progress != nil {
		options.Progress(len(tr.merges), n)
	}
	return nil
}

// nextPair takes the most frequent pair off the queue, or returns nil if
// none occurs least times.
func (tr *trainer) nextPair(least int64) *trainPair {
	for tr.queue.len() > 0 {
		top := tr.queue.pop()
		if top.pair.count < least {
			continue
		}
		if top.count == top.pair.count {
			return top.pair
		}
		tr.queue.push(queued{top.pair.count, top.pair})
	}
	return nil
}

// join makes the merge of pair and does it wherever the pair occurs.
//
// The result is a new token: no two merges make the same. For what happens inside a stretch
// of text that becomes one symbol depends on that stretch alone, as symbols only grow
// and none may have crossed its ends; so all stretches of that text become it at once.
// For the same reason all pairs with the new symbol arise here, and the counts of
// pairs in the queue only fall.
func (tr *trainer) join(pair *trainPair) {
	left, right := uint32(pair.key>>32), uint32(pair.key)
	result := tr.addPiece(tr.pieces[left].token + tr.pieces[right].token)
	tr.merges = append(tr.merges, merge{left, right, result})
	var fresh []*trainPair
	for _, at := range pair.places {
		node := &tr.nodes[at]
		if node.symbol != left || node.next == none || tr.nodes[node.next].symbol != right {
			continue
		}
		tr.dropPair(node.prev)
		tr.dropPair(node.next)
		gone := &tr.nodes[node.next]
		node.symbol, gone.symbol = result, none
		if node.next = gone.next; node.next != none {
			tr.nodes[node.next].prev = at
		}
		for _, at := range [2]uint32{node.prev, at} {
			if p := tr.addPair(at); p != nil && len(p.places) == 1 {
				fresh = append(fresh, p)
			}
		}
	}
	delete(tr.pairs, pair.key)
	for _, p := range fresh {
		tr.queue.push(queued{p.count, p})
	}
}

// addPair counts the pair at a place, if there is one, and returns it.
func (tr *trainer) addPair(at uint32) *trainPair {
	key, freq, ok := tr.pairAt(at)
	if !ok {
		return nil
	}
	p := tr.pairs[key]
	if p == nil {
		p = &trainPair{key: key}
		tr.pairs[key] = p
	}
	p.count += freq
	p.places = append(p.places, at)
	return p
}

// dropPair takes back the count of the pair at a place, if there is one.
func (tr *trainer) dropPair(at uint32) {
	if key, freq, ok := tr.pairAt(at); ok {
		tr.pairs[key].count -= freq
	}
}

// pairAt returns the pair of the symbol at a place and the next, and the frequency of
// the word it is in.
func (tr *trainer) pairAt(at uint32) (key uint64, freq int64, ok bool) {
	if at == none || tr.nodes[at].next == none {
		return 0, 0, false
	}
	node := tr.nodes[at]
	return uint64(node.symbol)<<32 | uint64(tr.nodes[node.next].symbol), tr.freq[node.word], true
}

// tokenizer gives the pieces their UNIMO ids.
func (tr *trainer) tokenizer() *Tokenizer {
	frequency := make([]int64, len(tr.pieces))
	for _, node := range tr.nodes {
		if node.symbol != none {
			frequency[node.symbol] += tr.freq[node.word]
		}
	}
	order := make([]uint32, len(tr.pieces))
	for symbol := range order {
		order[symbol] = uint32(symbol)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(frequency[b], frequency[a]) })

	var words []word
	addSpecial := func(names ...string) {
		for _, name := range names {
			words = append(words, word{symbol: special, name: name})
		}
	}
	addSpecial(nameCLS, namePAD, nameSEP, nameUNK)
	for _, symbol := range order {
		words = append(words, word{symbol: symbol})
	}
	addSpecial(fillers...)
	addSpecial(nameMASK)
	return newTokenizer(tr.pieces, tr.merges, words, nil)
}
