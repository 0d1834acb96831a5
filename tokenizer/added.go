package tokenizer

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/pytext"
)

// Added tokens are found in a text before anything else is done with it, whatever the model
// would make of their characters. The rules are those of Hugging Face's tokenizers
// (AddedVocabulary): first those that are not normalized, in the text as it is, then the others,
// in what lies between after lower-casing and the like. Of those that begin at one place the
// longest counts.

// addedToken is a token as tokenizer.json and tokenizer_config.json describe it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not inside a word
	LStrip     bool   `json:"lstrip"`      // takes the white space before it along
	RStrip     bool   `json:"rstrip"`      // and behind it
	Normalized *bool  `json:"normalized"`  // nil: unless it is special
	Special    bool   `json:"special"`     // marks structure, as [SEP] does; it is text where split_special_tokens is true
}

// noID is the ID of a token that a file names without its id.
const noID = -1

// maxAdded bounds the characters of all added tokens together, in bytes, and longestAdded those of one.
const (
	maxAdded     = 1 << 20
	longestAdded = 1 << 12
)

func (a *addedToken) normalized() bool {
	if a.Normalized != nil {
		return *a.Normalized
	}
	return !a.Special
}

// mergeAdded joins lists; a token counts as the first list that has it says.
func mergeAdded(lists ...[]addedToken) []addedToken {
	var merged []addedToken
	at := map[string]int{}
	for _, list := range lists {
		for _, a := range list {
			if a.Content == "" {
				continue
			}
			i, twice := at[a.Content]
			if !twice {
				at[a.Content] = len(merged)
				merged = append(merged, a)
			} else if merged[i].ID == noID {
				merged[i].ID = a.ID
			}
		}
	}
	slices.SortStableFunc(merged, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return merged
}

// extend appends the added tokens that tokens, by id, and their inverse ids do not have.
func extend(file string, tokens []tokenID, ids map[string]uint32, added []addedToken) ([]tokenID, error) {
	for _, a := range added {
		if _, there := ids[a.Content]; there || a.ID == noID {
			continue
		}
		if i, taken := slices.BinarySearchFunc(tokens, a.ID, func(t tokenID, id int32) int { return cmp.Compare(t.id, id) }); taken {
			return nil, wrong(file, 0, "give it an id of its own", "the added token %q has the id %d, which is that of %q", clip(a.Content), a.ID, clip(tokens[i].token))
		}
		if len(tokens) == maxSymbols {
			return nil, wrong(file, 0, "check that it is the file that was meant", "has more than %d tokens", maxSymbols)
		}
		ids[a.Content] = uint32(len(tokens))
		tokens = append(tokens, tokenID{a.Content, a.ID})
	}
	slices.SortStableFunc(tokens, func(a, b tokenID) int { return cmp.Compare(a.id, b.id) })
	for i, t := range tokens {
		ids[t.token] = uint32(i)
	}
	return tokens, nil
}

// theirSpecials are the tokens that Hugging Face's tokenizers of both kinds look for in a text by
// themselves: of the names that the five special tokens have, those in index.
func theirSpecials(index map[string]uint32) []addedToken {
	var list []addedToken
	for roberta, name := range robertaNames {
		for _, content := range []string{roberta, name} {
			if id, ok := index[content]; ok {
				list = append(list, addedToken{ID: int32(id), Content: content, Special: true})
			}
		}
	}
	slices.SortFunc(list, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// parseAddedFile reads added_tokens.json: tokens and their ids.
func parseAddedFile(file string, content []byte) ([]addedToken, error) {
	tokens, err := decodeTokens(file, content)
	if err != nil {
		return nil, err
	}
	list := make([]addedToken, len(tokens))
	for i, t := range tokens {
		list[i] = addedToken{ID: t.id, Content: t.token}
	}
	return list, nil
}

// parseAddedKey reads the key added_tokens_decoder of tokenizer_config.json: tokens by id.
func parseAddedKey(file string, raw json.RawMessage) ([]addedToken, error) {
	var byID map[string]addedToken
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &byID); err != nil {
		return nil, wrong(file, 0, "give an object of tokens by id", "%s: %w", addedKey, infile.PlainJSON(err))
	}
	var list []addedToken
	for key, a := range byID {
		id, ok := decimal(key)
		if !ok || a.Content == "" {
			return nil, wrong(file, 0, "give an id with a token that has content", "%s: %q is none", addedKey, clip(key))
		}
		a.ID = id
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// roleKeys are the keys under which Hugging Face's files name the special tokens that have a role,
// moreKeys those of further ones.
var (
	roleKeys = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "extra_special_tokens"}
	moreKeys = []string{"additional_special_tokens"}
)

// namedTokens returns the special tokens that tokenizer_config.json or special_tokens_map.json
// names under the keys names, without ids: texts, objects as of an added token, or lists of these. What is none of it
// is passed over, as these keys have been many things.
func namedTokens(keys map[string]json.RawMessage, names []string) []addedToken {
	var list []addedToken
	for _, key := range names {
		values := []json.RawMessage{keys[key]}
		var several []json.RawMessage
		if json.Unmarshal(keys[key], &several) == nil && several != nil {
			values = several
		}
		for _, value := range values {
			var a addedToken
			if json.Unmarshal(value, &a.Content) != nil && json.Unmarshal(value, &a) != nil || a.Content == "" {
				continue
			}
			a.ID, a.Special = noID, true
			list = append(list, a)
		}
	}
	return list
}

// setAdded makes t look for list, tokens of which t's vocabulary has no id excepted.
func (t *Tokenizer) setAdded(file string, list []addedToken, id func(content string) (int32, bool)) error {
	size := 0
	for _, a := range list {
		at, ok := id(a.Content)
		if !ok {
			continue
		}
		if len(a.Content) > longestAdded {
			return wrong(file, 0, "leave it out", "the added token %q has %d bytes, at most %d are supported", clip(a.Content), len(a.Content), longestAdded)
		}
		if size += len(a.Content); size > maxAdded {
			return wrong(file, 0, "leave some out", "the added tokens have more than %d bytes together", maxAdded)
		}
		a.ID = at
		t.added = append(t.added, a)
	}
	t.matchAdded()
	return nil
}

// matchAdded builds the tables of added tokens for the settings in force.
func (t *Tokenizer) matchAdded() {
	t.plain, t.normal = nil, nil
	// Of two tokens that look the same after normalizing the special one counts, then the earlier.
	for _, special := range []bool{true, false} {
		for i := range t.added {
			a := &t.added[i]
			switch {
			case a.Special != special:
			case a.normalized():
				t.normal = t.normal.insert(string(t.normalize(nil, a.Content)), a)
			default:
				t.plain = t.plain.insert(a.Content, a)
			}
		}
	}
}

// trie finds the longest of several texts that begin at a place. A nil trie has none.
type trie struct {
	first [256]bool         // bytes that begin a text
	edges map[uint64]uint32 // node<<8 | byte -> node
	ends  map[uint32]*addedToken
}

// insert adds a text, unless it is empty or there already.
func (m *trie) insert(text string, a *addedToken) *trie {
	if text == "" {
		return m
	}
	if m == nil {
		m = &trie{edges: map[uint64]uint32{}, ends: map[uint32]*addedToken{}}
	}
	m.first[text[0]] = true
	node := uint32(0)
	for i := range len(text) {
		edge := uint64(node)<<8 | uint64(text[i])
		next, ok := m.edges[edge]
		if !ok {
			next = uint32(len(m.edges) + 1)
			m.edges[edge] = next
		}
		node = next
	}
	if m.ends[node] == nil {
		m.ends[node] = a
	}
	return m
}

// find returns the first place from at on where a text begins, the longest one there, and its end.
func (m *trie) find(text string, at int) (a *addedToken, start, end int) {
	for start = at; start < len(text); start++ {
		if !m.first[text[start]] {
			continue
		}
		node, ok := uint32(0), true
		for i := start; i < len(text); i++ {
			if node, ok = m.edges[uint64(node)<<8|uint64(text[i])]; !ok {
				break
			}
			if found := m.ends[node]; found != nil {
				a, end = found, i+1
			}
		}
		if a != nil {
			return a, start, end
		}
	}
	return nil, len(text), len(text)
}

// cutAt calls yield for the parts of text in order, a found token or what lies between, until it returns false.
func (t *Tokenizer) cutAt(m *trie, text string, yield func(between string, a *addedToken) (more bool)) {
	done := 0 // up to where parts were yielded
	for at := 0; m != nil; {
		a, start, end := m.find(text, at)
		if a == nil {
			break
		}
		at = end
		if a.Special && t.splitSpecial || a.SingleWord && (endsWithWord(text[:start]) || startsWithWord(text[end:])) {
			continue
		}
		if a.LStrip {
			start = len(strings.TrimRightFunc(text[:start], unicode.IsSpace))
		}
		if a.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if start > done && !yield(text[done:start], nil) || !yield("", a) {
			return
		}
		done = end
	}
	if done < len(text) {
		yield(text[done:], nil)
	}
}

// encodeAdded is encodeTo for a text in which added tokens are looked for.
func (t *Tokenizer) encodeAdded(dst []int32, s *scratch, text string, limit int) []int32 {
	t.cutAt(t.plain, text, func(between string, a *addedToken) bool {
		switch {
		case a != nil:
			dst = append(dst, a.ID)
			return len(dst) <= limit
		case t.normal == nil:
			dst = t.encodeText(dst, s, between, limit)
			return len(dst) <= limit
		}
		s.normal = t.normalize(s.normal[:0], between)
		between = unsafe.String(unsafe.SliceData(s.normal), len(s.normal)) // which encodeText leaves alone
		t.cutAt(t.normal, between, func(between string, a *addedToken) bool {
			if a != nil {
				dst = append(dst, a.ID)
			} else {
				dst = t.encodeText(dst, s, between, limit) // to normalize again changes nothing
			}
			return len(dst) <= limit
		})
		return len(dst) <= limit
	})
	return dst
}

// normalize appends what the model sees of text: in lower case, and with WordPiece clean, CJK
// characters apart and without accents.
func (t *Tokenizer) normalize(dst []byte, text string) []byte {
	if t.unigram != nil {
		return t.unigramText(dst, text)
	}
	if t.wordPieces == nil {
		if t.lowerCase {
			return pytext.AppendLower(dst, text)
		}
		return append(dst, text...)
	}
	strip := t.stripsAccents()
	if strip {
		text = norm.NFD.String(text)
	}
	for _, r := range text {
		switch class := t.wordPieces.class(r, strip); class {
		case bertDropped, bertMark:
		case bertSpace:
			dst = append(dst, ' ')
		case bertCJK:
			dst = append(utf8.AppendRune(append(dst, ' '), r), ' ')
		default:
			if t.lowerCase {
				dst = appendLowerRune(dst, r)
			} else {
				dst = utf8.AppendRune(dst, r)
			}
		}
	}
	return dst
}

// startsWithWord and endsWithWord say whether s has a character of a word at its border.
func startsWithWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && wordCharacter(r)
}

func endsWithWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && wordCharacter(r)
}

// wordCharacter is \w of Unicode's regular expressions (UTS 18).
func wordCharacter(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}

// findAdded returns the id of an added token by its content.
func (t *Tokenizer) findAdded(content string) (int32, bool) {
	for i := range t.added {
		if t.added[i].Content == content {
			return t.added[i].ID, true
		}
	}
	return -1, false
}

// writtenAdded is the value of added_tokens_decoder that gives t's added tokens again, nil if
// the vocabulary's files alone do.
func (t *Tokenizer) writtenAdded() (json.RawMessage, error) {
	if t.wordPieces != nil && t.wordPieces.plainAdded(t.added) {
		return nil, nil
	}
	byID := map[string]addedWithoutID{}
	for _, a := range t.lookedFor() {
		byID[strconv.Itoa(int(a.ID))] = addedWithoutID{a.Content, a.SingleWord, a.LStrip, a.RStrip, a.normalized(), a.Special}
	}
	if len(byID) == 0 {
		return nil, nil
	}
	return json.Marshal(byID)
}

// lookedFor returns the added tokens that the files must name: in UNIMO's, where only what is named
// is looked for, not the special ones that are text.
func (t *Tokenizer) lookedFor() []addedToken {
	if !t.splitSpecial || t.wordPieces != nil {
		return t.added
	}
	return slices.DeleteFunc(slices.Clone(t.added), func(a addedToken) bool { return a.Special })
}

// addedWithoutID is an entry of added_tokens_decoder, with every field there.
type addedWithoutID struct {
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// plainAdded says whether list is what vocab.txt alone gives.
func (p *wordPieces) plainAdded(list []addedToken) bool {
	index := map[string]uint32{}
	for _, name := range slices.Collect(maps.Values(robertaNames)) {
		if id, ok := p.ids[name]; ok {
			index[name] = uint32(id)
		}
	}
	return slices.EqualFunc(list, theirSpecials(index), func(a, b addedToken) bool {
		return a.ID == b.ID && a.Content == b.Content && !a.SingleWord && !a.LStrip && !a.RStrip && !a.normalized() && a.Special
	})
}
