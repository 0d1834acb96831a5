package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/pytext"
)

// unigram is what SentencePiece's Unigram has instead of merges: every piece has a score, and a word is cut into the
// pieces whose scores have the largest sum.
// Source: models/unigram and normalizers/precompiled.rs of Hugging Face's tokenizers.
type unigram struct {
	file    []byte // tokenizer.json, which Save writes again
	ids     map[string]int32
	scores  []float64
	longest int     // piece, in bytes
	unknown float64 // score of a character that is no piece
	cleaner
	words bool // white space of any kind divides words, else spaces alone
}

// cleaner is what is done to a text before it is cut: characters are replaced, white space at its ends is left out, and
// several spaces become one text.
type cleaner struct {
	chars       charsMap
	left, right bool   // white space there is left out
	spaces      string // what several spaces become, "" leaves them
}

const (
	lowerLine = "\u2581" // stands for the space before a word
	// unknownPenalty is how much worse than the worst piece an unknown character is.
	unknownPenalty = 10
)

// scoredPiece is an entry of the vocabulary: a piece and its score.
type scoredPiece struct {
	token string
	score float64
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *scoredPiece) UnmarshalJSON(raw []byte) error {
	entry := []any{&p.token, &p.score}
	if err := json.Unmarshal(raw, &entry); err != nil {
		return err
	}
	if len(entry) != 2 {
		return fmt.Errorf("want a piece and its score, have %s", clip(string(raw)))
	}
	return nil
}

// unigram makes a tokenizer of a tokenizer.json with content whose model is Unigram.
func (f *tokenizerFile) unigram(file string, content []byte, own settings) (*Tokenizer, error) {
	fail := func(remedy, problem string, args ...any) (*Tokenizer, error) {
		return nil, wrong(file, 0, remedy, problem, args...)
	}
	var vocab []scoredPiece
	if err := json.Unmarshal(f.Model.Vocab, &vocab); err != nil {
		return fail("want a list of pieces with their scores", "vocab: %w", infile.PlainJSON(err))
	}
	u := &unigram{file: content, ids: make(map[string]int32, len(vocab)), unknown: math.Inf(1)}
	var problem, remedy string
	if u.words, problem, remedy = f.divides(); problem == "" {
		u.cleaner, problem, remedy = f.cleaner(u.words)
	}
	switch {
	case problem != "":
	case f.Model.ByteFallback:
		problem, remedy = "byte_fallback is true", "only false is supported with Unigram"
	case len(vocab) > maxSymbols:
		problem, remedy = fmt.Sprintf("has %d pieces", len(vocab)), "check that it is the file that was meant"
	case f.Model.UnknownID == nil || *f.Model.UnknownID < 0 || *f.Model.UnknownID >= len(vocab):
		problem, remedy = "unk_id names no piece", "every Unigram vocabulary has one"
	}
	if problem != "" {
		return fail(remedy, "%s", problem)
	}
	tokens, ids := make([]tokenID, len(vocab)), make(map[string]uint32, len(vocab))
	for i, p := range vocab {
		if _, twice := ids[p.token]; twice || !utf8.ValidString(p.token) {
			return fail("give every piece a text of its own", "the piece %q with the id %d is there twice, or is not text", clip(p.token), i)
		}
		tokens[i], ids[p.token] = tokenID{p.token, int32(i)}, uint32(i)
		u.ids[p.token] = int32(i)
		u.scores = append(u.scores, p.score)
		u.longest = max(u.longest, len(p.token))
		u.unknown = min(u.unknown, p.score)
	}
	delete(u.ids, "") // nothing is no piece
	u.unknown -= unknownPenalty
	all, err := extend(file, tokens, ids, own.added)
	if err == nil {
		err = checkIDs(file, all)
	}
	if err != nil {
		return nil, err
	}
	words, pieces := make([]word, len(all)), make([]piece, 0, len(all))
	named := map[string]string{}
	for id, t := range all {
		if name, ok := robertaNames[t.token]; ok {
			if named[name] != "" {
				return fail("keep one", "%q and %q are names of one special token", named[name], t.token)
			}
			named[name] = t.token
			words[id] = word{symbol: special, name: name}
			continue
		}
		words[id].symbol = uint32(len(pieces))
		pieces = append(pieces, piece{token: t.token, bpe: int32(id)})
	}
	if err := checkSpecials(file, words); err != nil {
		return nil, err
	}
	if id := int32(*f.Model.UnknownID); words[id].name != nameUNK {
		return fail("it must be that of <unk>", "unk_id is %d", id)
	}
	t := newWords(pieces, words, func(dst []byte, token string) []byte {
		return append(dst, strings.ReplaceAll(token, lowerLine, " ")...)
	})
	t.unigram, t.lowerCase = u, false
	list := mergeAdded(own.added, own.named, theirSpecials(ids))
	return t, t.setAdded(file, list, func(content string) (int32, bool) { id, ok := ids[content]; return int32(id), ok })
}

// divides says whether white space of any kind divides words, or spaces alone.
func (f *tokenizerFile) divides() (words bool, problem, remedy string) {
	list := []preTokenizer{}
	if p := f.PreTokenizer; p != nil && p.Type == "Sequence" {
		list = p.Sequence
	} else if p != nil {
		list = append(list, *p)
	}
	if len(list) == 2 && list[0].Type == "WhitespaceSplit" {
		words, list = true, list[1:]
	}
	if len(list) != 1 || list[0].Type != "Metaspace" || list[0].Replacement != lowerLine || !list[0].always() || list[0].Split != nil && !*list[0].Split {
		return false, "the pre_tokenizer is not Metaspace that puts a mark before every word, alone or after WhitespaceSplit", "only that is supported with Unigram"
	}
	return words, "", ""
}

// always says whether Metaspace puts its mark before every text.
func (p *preTokenizer) always() bool {
	if p.Scheme != "" {
		return p.Scheme == "always"
	}
	return p.PrefixSpace
}

// cleaner returns what the normalizer does: Precompiled, Strip and Replace of several spaces, each if it is there.
func (f *tokenizerFile) cleaner(words bool) (c cleaner, problem, remedy string) {
	list := []normalizer{}
	if n := f.Normalizer; n != nil && n.Type == "Sequence" {
		list = n.Sequence
	} else if n != nil {
		list = append(list, *n)
	}
	next := func(kind string) (n normalizer, ok bool) {
		if len(list) > 0 && list[0].Type == kind {
			n, list = list[0], list[1:]
			return n, true
		}
		return n, false
	}
	if n, ok := next("Precompiled"); ok {
		if c.chars, problem = newCharsMap(n.CharsMap); problem != "" {
			return c, problem, "fetch the file again"
		}
	}
	if n, ok := next("Strip"); ok {
		c.left, c.right = n.Left, n.Right
	}
	if len(list) > 0 && list[0].Pattern.Regex == " {2,}" && (list[0].Content == " " || list[0].Content == lowerLine && !words) {
		if n, ok := next("Replace"); ok && !words { // several spaces divide words as one does
			c.spaces = n.Content
		}
	}
	if len(list) > 0 {
		return c, "the normalizer is not Precompiled, Strip and Replace of several spaces, in this order", "only that is supported with Unigram"
	}
	return c, "", ""
}

// clean appends text as the model sees it.
func (c *cleaner) clean(dst []byte, text string) []byte {
	from := len(dst)
	dst = c.chars.append(dst, text)
	if c.right {
		dst = dst[:from+len(bytes.TrimRightFunc(dst[from:], unicode.IsSpace))]
	}
	if c.left {
		dst = append(dst[:from], bytes.TrimLeftFunc(dst[from:], unicode.IsSpace)...)
	}
	if c.spaces == "" || !bytes.Contains(dst[from:], []byte("  ")) {
		return dst
	}
	old := bytes.Clone(dst[from:])
	dst = dst[:from]
	for len(old) > 0 {
		n := len(old) - len(bytes.TrimLeft(old, " "))
		switch {
		case n > 1:
			dst = append(dst, c.spaces...)
		default:
			n = 1
			dst = append(dst, old[0])
		}
		old = old[n:]
	}
	return dst
}

// newCharsMap reads a charsMap, which is written in base64.
func newCharsMap(precompiled string) (c charsMap, problem string) {
	raw, err := base64.StdEncoding.DecodeString(precompiled)
	if err == nil && len(raw) == 0 {
		return charsMap{}, ""
	}
	const broken = "precompiled_charsmap is damaged"
	if err != nil || len(raw) < 4 {
		return c, broken
	}
	size := int64(binary.LittleEndian.Uint32(raw))
	if size%4 != 0 || size > int64(len(raw)-4) || !utf8.Valid(raw[4+size:]) {
		return c, broken
	}
	c.units, c.texts = make([]uint32, size/4), raw[4+size:]
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(raw[4+4*i:])
	}
	return c, ""
}

// charsMap is a map from characters to texts, mostly those of NFKC: a double array of units, and the texts that its
// values point at, each ended by a zero.
type charsMap struct {
	units []uint32
	texts []byte
}

// find returns what stands for a character, or for several that are written as one; ok is false if nothing does. As in
// Hugging Face's tokenizers it is what stands for the shortest beginning that has something.
func (c *charsMap) find(chars string) (text []byte, ok bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	if len(c.units) == 0 {
		return nil, false
	}
	at := offset(c.units[0])
	for _, b := range []byte(chars) {
		at ^= uint32(b)
		if b == 0 || int64(at) >= int64(len(c.units)) || c.units[at]&(1<<31|0xff) != uint32(b) {
			return nil, false
		}
		unit := c.units[at]
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int64(at) >= int64(len(c.units)) {
			return nil, false
		}
		value := int64(c.units[at] & (1<<31 - 1))
		if value > int64(len(c.texts)) {
			return nil, false
		}
		text = c.texts[value:]
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		return text, true
	}
	return nil, false
}

// longestCluster is the most bytes of characters, written as one, that are looked for together.
const longestCluster = 5

// append appends text with every character as the map has it.
func (c *charsMap) append(dst []byte, text string) []byte {
	for len(text) > 0 {
		n := clusterLength(text)
		if n <= longestCluster {
			if to, ok := c.find(text[:n]); ok {
				dst, text = append(dst, to...), text[n:]
				continue
			}
		}
		for end := len(text) - n; len(text) > end; {
			r, size := utf8.DecodeRuneInString(text)
			if to, ok := c.find(text[:size]); ok && (r != utf8.RuneError || size > 1) {
				dst = append(dst, to...)
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			text = text[size:]
		}
	}
	return dst
}

// clusterLength returns the length of the first character of text with the marks on it. What is longer than
// longestCluster may be cut too early: no such one is looked for whole.
// Source: Unicode Standard Annex #29, the rules of extended grapheme clusters.
func clusterLength(text string) int {
	r, n := utf8.DecodeRuneInString(text)
	if r == '\r' && strings.HasPrefix(text[n:], "\n") {
		return n + 1
	}
	if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Cf, r) && !extends(r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return n
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) && n < len(text) {
		if next, _ := utf8.DecodeRuneInString(text[n:]); !unicode.In(next, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Cf) {
			return n + clusterLength(text[n:])
		}
	}
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		if !extends(r) {
			break
		}
		n += size
	}
	return n
}

// extends says whether r belongs to the character before it.
func extends(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r == 0x200D, r == 0x0E33, r == 0x0EB3, 0x1F3FB <= r && r <= 0x1F3FF:
		return true
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Grapheme_Extend):
		return true
	}
	return unicode.Is(unicode.Mc, r) && !slices.ContainsFunc(spacing, func(s [2]rune) bool { return s[0] <= r && r <= s[1] })
}

// spacing are marks that stand alone all the same.
var spacing = [][2]rune{
	{0x102B, 0x102C}, {0x1038, 0x1038}, {0x1062, 0x1064}, {0x1067, 0x106D}, {0x1083, 0x1083}, {0x1087, 0x108C}, {0x108F, 0x108F},
	{0x109A, 0x109C}, {0x1A61, 0x1A61}, {0x1A63, 0x1A64}, {0xAA7B, 0xAA7B}, {0xAA7D, 0xAA7D}, {0x11720, 0x11721},
}

// cut returns a length of at least about n at which text falls into two that can be encoded apart, or all of it.
func (u *unigram) cut(text string, n int) int {
	for i := n; u.words && i < len(text); i++ {
		if text[i] == ' ' && text[i-1] > ' ' && text[i-1] < utf8.RuneSelf {
			return i
		}
	}
	return len(text)
}

// encodeUnigram appends the ids of text.
func (t *Tokenizer) encodeUnigram(dst []int32, s *scratch, text string, limit int) []int32 {
	u := t.unigram
	s.lower = t.unigramText(s.lower[:0], text)
	rest := s.lower
	for len(rest) > 0 && len(dst) <= limit {
		word := rest
		if u.words {
			if word = bytes.TrimLeftFunc(rest, unicode.IsSpace); len(word) == 0 {
				break
			}
			rest = nil
			if end := bytes.IndexFunc(word, unicode.IsSpace); end >= 0 {
				word, rest = word[:end], word[end:]
			}
		} else {
			rest = nil
		}
		s.word = s.word[:0]
		for _, r := range string(word) {
			if r == ' ' {
				r = '\u2581'
			}
			if len(s.word) == 0 && r != '\u2581' {
				s.word = append(s.word, lowerLine...)
			}
			s.word = utf8.AppendRune(s.word, r)
		}
		for part := s.word; len(part) > 0 && len(dst) <= limit; { // each begins with the mark
			end := len(part)
			if next := bytes.Index(part[1:], []byte(lowerLine)); next >= 0 {
				end = next + 1
			}
			dst = t.appendUnigram(dst, s, part[:end])
			part = part[end:]
		}
	}
	return dst
}

// unigramText appends what the model sees of text.
func (t *Tokenizer) unigramText(dst []byte, text string) []byte {
	if t.lowerCase {
		text = string(pytext.AppendLower(nil, text))
	}
	return t.unigram.clean(dst, text)
}

// path is the best way to a place in a word.
type path struct {
	from  int // where its last piece begins, -1: there is no way yet
	id    int32
	score float64
}

// appendUnigram appends the ids of the pieces of a word. Unknown characters that follow each other are one.
func (t *Tokenizer) appendUnigram(dst []int32, s *scratch, word []byte) []int32 {
	u := t.unigram
	paths := slices.Grow(s.paths[:0], len(word)+1)[:len(word)+1]
	for i := range paths {
		paths[i] = path{from: -1}
	}
	paths[0].from = 0
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRune(word[at:])
		reach := func(end int, id int32, score float64) {
			if score += paths[at].score; paths[end].from < 0 || score > paths[end].score {
				paths[end] = path{at, id, score}
			}
		}
		single := false
		for end := at + 1; end <= min(len(word), at+u.longest); end++ {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			if id, ok := u.ids[string(word[at:end])]; ok {
				reach(end, id, u.scores[id])
				single = single || end == at+size
			}
		}
		if !single {
			reach(at+size, t.unk, u.unknown)
		}
		at += size
	}
	s.paths = paths
	start := len(dst)
	for at := len(word); at > 0; at = paths[at].from {
		if id := paths[at].id; id != t.unk || len(dst) == start || dst[len(dst)-1] != t.unk {
			dst = append(dst, id)
		}
	}
	slices.Reverse(dst[start:])
	return dst
}
