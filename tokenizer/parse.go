package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// The readers below take a file's content and its name for messages. They accept
// any bytes.

// tokenID is one entry of encoder.json or vocab.json.
type tokenID struct {
	token string
	id    int32
}

// parseTokens reads a JSON object of tokens and their ids. It returns them by id, and the
// index of each.
func parseTokens(file string, content []byte) (tokens []tokenID, index map[string]uint32, err error) {
	tokens, ok := scanTokens(content)
	if ok {
		index, ok = indexTokens(tokens)
	}
	if !ok { // then the decoder says what is wrong, if it is
		if tokens, err = decodeTokens(file, content); err == nil {
			index, _ = indexTokens(tokens)
		}
	}
	return tokens, index, err
}

// indexTokens sorts tokens by id and returns the index of each. It returns false if a
// token or an id is there twice.
func indexTokens(tokens []tokenID) (index map[string]uint32, distinct bool) {
	slices.SortFunc(tokens, func(a, b tokenID) int { return cmp.Compare(a.id, b.id) })
	index = make(map[string]uint32, len(tokens))
	for i, t := range tokens {
		if i > 0 && tokens[i-1].id == t.id {
			return nil, false
		}
		index[t.token] = uint32(i)
	}
	return index, len(index) == len(tokens)
}

// decodeTokens reads a JSON object of tokens and their ids, in the order of the file.
// encoding/json into a map would hide a token that occurs twice.
func decodeTokens(file string, content []byte) ([]tokenID, error) {
	fail := func(offset int64, remedy, format string, args ...any) ([]tokenID, error) {
		line := 1 + bytes.Count(content[:min(int(offset), len(content))], []byte("\n"))
		return nil, wrong(file, line, remedy, format, args...)
	}
	if !utf8.Valid(content) {
		return fail(0, "save it as UTF-8", "is not UTF-8")
	}
	const want = `give one JSON object {"token": id, ...}`
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	broken := func(err error) ([]tokenID, error) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fail(decoder.InputOffset(), want, "%w", infile.PlainJSON(err))
	}
	if start, err := decoder.Token(); err != nil {
		return broken(err)
	} else if start != json.Delim('{') {
		return fail(decoder.InputOffset(), want, "is no JSON object")
	}
	var tokens []tokenID
	seenToken, seenID := map[string]bool{}, map[int32]string{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return broken(err)
		}
		token := key.(string) // the decoder takes nothing else for a key
		value, err := decoder.Token()
		if err != nil {
			return broken(err)
		}
		number, ok := value.(json.Number)
		id, err := strconv.ParseInt(number.String(), 10, 32)
		if !ok || err != nil || id < 0 {
			return fail(decoder.InputOffset(), fmt.Sprintf("ids are whole numbers from 0 to %d", math.MaxInt32), "token %q has the id %v", token, value)
		}
		if token == "" {
			return fail(decoder.InputOffset(), "remove it", "id %d has an empty token", id)
		}
		if seenToken[token] {
			return fail(decoder.InputOffset(), "keep one", "token %q is there twice", token)
		}
		if other, twice := seenID[int32(id)]; twice {
			return fail(decoder.InputOffset(), "every token needs its own", "tokens %q and %q share the id %d", other, token, id)
		}
		if len(tokens) == maxSymbols {
			return fail(decoder.InputOffset(), "check that it is the file that was meant", "has more than %d tokens", maxSymbols)
		}
		seenToken[token], seenID[int32(id)] = true, token
		tokens = append(tokens, tokenID{token, int32(id)})
	}
	if _, err := decoder.Token(); err != nil {
		return broken(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fail(decoder.InputOffset(), "remove the rest", "goes on after the object")
	}
	return tokens, nil
}

// pairLine is one line of vocab.bpe or merges.txt.
type pairLine struct {
	left, right string
	line        int  // from 1
	number      bool // of tokenizer.json, where line is the number of the merge
}

// wrong returns an error about the merge, which file has.
func (p pairLine) wrong(file, remedy, format string, args ...any) error {
	if p.number {
		return wrong(file, 0, remedy, "merge %d: "+format, append([]any{p.line}, args...)...)
	}
	return wrong(file, p.line, remedy, format, args...)
}

// parsePairs reads a list of merges: two tokens with a space between on each line,
// after an optional first line "#version...".
func parsePairs(file string, content []byte) ([]pairLine, error) {
	pairs := make([]pairLine, 0, bytes.Count(content, []byte("\n"))+1)
	for number, line := range lines(content) {
		if number == 1 && strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, wrong(file, number, "give two tokens with one space between", "%q is no merge", clip(line))
		}
		if len(pairs) == maxMerges {
			return nil, wrong(file, number, "check that it is the file that was meant", "more than %d merges", maxMerges)
		}
		pairs = append(pairs, pairLine{left: left, right: right, line: number})
	}
	return pairs, nil
}

// resolveMerges turns lines into merges of symbols. tokens is the file that pieces,
// with index as its inverse, come from.
func resolveMerges(file string, pairs []pairLine, tokens string, index map[string]uint32) ([]merge, error) {
	merges := make([]merge, len(pairs))
	var result []byte
	seen := newPairTable(len(pairs))
	for rank, p := range pairs {
		result = append(append(result[:0], p.left...), p.right...)
		left, ok1 := index[p.left]
		right, ok2 := index[p.right]
		joined, ok3 := index[string(result)]
		if !ok1 || !ok2 || !ok3 {
			absent := p.left
			if ok1 {
				absent = p.right
			}
			if ok1 && ok2 {
				absent = string(result)
			}
			if p.number {
				return nil, p.wrong(file, "take the complete file", "the token %q is not in the vocabulary", clip(absent))
			}
			return nil, p.wrong(file, "the two files must be of one vocabulary", "the token %q is not in %s", clip(absent), tokens)
		}
		merges[rank] = merge{left, right, joined}
		if first := seen.rank(left, right); first != noRank {
			return nil, p.wrong(file, "keep the first", "the merge %q is in line %d already", clip(p.left+" "+p.right), pairs[first].line)
		}
		seen.insert(left, right, uint32(rank))
	}
	return merges, nil
}

// parseWords reads vocab.txt: what each UNIMO id stands for. encoder is the file that
// pieces, in ascending order of BPE id, come from.
func parseWords(file string, content []byte, encoder string, pieces []piece) ([]word, error) {
	words := make([]word, 0, len(pieces)+8)
	lineOf := make(map[string]int, 8)       // of a special token
	lineOfPiece := make([]int, len(pieces)) // by symbol
	for number, line := range lines(content) {
		w, first := word{symbol: special}, 0
		if bpe, ok := decimal(line); ok {
			symbol, ok := findPiece(pieces, bpe)
			if !ok {
				return nil, wrong(file, number, "the two files must be of one vocabulary", "the BPE id %d is not in %s", bpe, encoder)
			}
			w.symbol = uint32(symbol)
			first, lineOfPiece[symbol] = lineOfPiece[symbol], number
		} else if w.name, ok = specialName(line); ok {
			first, lineOf[w.name] = lineOf[w.name], number
		} else {
			return nil, wrong(file, number, "give a number of "+encoder+" or a name such as [CLS] or madeupword0000", "%q is neither a BPE id nor a special token", clip(line))
		}
		if first > 0 {
			return nil, wrong(file, number, "an id stands for one token only", "%q is in line %d already", clip(line), first)
		}
		if len(words) == maxSymbols {
			return nil, wrong(file, number, "check that it is the file that was meant", "more than %d lines", maxSymbols)
		}
		words = append(words, w)
	}
	return words, checkSpecials(file, words)
}

// findPiece returns the symbol of a BPE id. Where no id is left out, that is the id.
func findPiece(pieces []piece, bpe int32) (symbol int, ok bool) {
	if int(bpe) < len(pieces) && pieces[bpe].bpe == bpe {
		return int(bpe), true
	}
	return slices.BinarySearchFunc(pieces, bpe, func(p piece, bpe int32) int { return cmp.Compare(p.bpe, bpe) })
}

// decimal reads a number from 0 in its shortest form.
func decimal(s string) (n int32, ok bool) {
	if s == "" || len(s) > 1 && s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	value, err := strconv.ParseInt(s, 10, 32)
	return int32(value), err == nil
}

// robertaNames are the special tokens' names in vocabularies of Hugging Face's RoBERTa.
var robertaNames = map[string]string{
	"<s>": nameCLS, "<pad>": namePAD, "</s>": nameSEP, "<unk>": nameUNK, "<mask>": nameMASK,
}

// specialName returns UNIMO's name of a special token, if token is the name of one: of
// RoBERTa's five, in brackets, or one of the words that only fill the table.
func specialName(token string) (name string, ok bool) {
	if name, ok = robertaNames[token]; ok {
		return name, true
	}
	if bracketed(token) {
		return token, utf8.ValidString(token)
	}
	digits, ok := strings.CutPrefix(token, "madeupword")
	return token, ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// bracketed says whether token has the form of the special tokens' names.
func bracketed(token string) bool {
	return strings.HasPrefix(token, "[") && strings.HasSuffix(token, "]") && len(token) > 2
}

// checkSpecials returns an error if one of the five special tokens is missing.
func checkSpecials(file string, words []word) error {
	for _, name := range []string{nameCLS, namePAD, nameSEP, nameUNK, nameMASK} {
		found := false
		for _, w := range words {
			found = found || w.symbol == special && w.name == name
		}
		if !found {
			return wrong(file, 0, "every vocabulary has [CLS], [PAD], [SEP], [UNK] and [MASK]", "the special token %s is missing", name)
		}
	}
	return nil
}

// checkBytes returns an error unless every byte is a token.
func checkBytes(file string, index map[string]uint32) error {
	for b, r := range byteRune {
		if _, ok := index[string(r)]; !ok {
			return wrong(file, 0, "a byte-level vocabulary has all 256, take the complete file", "the byte 0x%02X (token %q) is missing", b, r)
		}
	}
	return nil
}

// checkIDs returns an error unless the ids of tokens, which are in ascending order, are 0, 1, 2, ...
func checkIDs(file string, tokens []tokenID) error {
	for id, t := range tokens {
		if t.id != int32(id) {
			return wrong(file, 0, "ids must be 0, 1, 2, ... without a gap", "no token has the id %d", id)
		}
	}
	return nil
}

// configure takes the settings of tokenizer_config.json, whose keys these are, where it has them.
func (t *Tokenizer) configure(file string, keys map[string]json.RawMessage) error {
	t.config = keys
	settings := map[string]func(on bool){
		lowerCaseKey:    func(on bool) { t.lowerCase, t.caseKnown = on, true },
		splitSpecialKey: func(on bool) { t.splitSpecial = on },
	}
	if p := t.wordPieces; p != nil {
		settings[stripAccentsKey] = func(on bool) { p.stripAccents = &on }
		settings[spaceCJKKey] = func(on bool) { p.keepCJK = !on }
		settings[splitSymbolsKey] = func(on bool) { p.splitSymbols = on }
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		switch value := string(keys[name]); value {
		case "true", "false":
			settings[name](value == "true")
		case "", "null": // null is how Hugging Face writes that nothing was said
		default:
			return wrong(file, 0, "want true or false", "%s is %s", name, clip(value))
		}
	}
	return nil
}

// lines yields the lines of content and their numbers from 1. The last line need not
// end, and lines may end as on Windows.
func lines(content []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(string(content)) {
			number++
			line = strings.TrimSuffix(line, "\n")
			line = strings.TrimSuffix(line, "\r")
			if !yield(number, line) {
				return
			}
		}
	}
}

// clip shortens what a message quotes from a file.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
