package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// isWordPiece says whether the file vocab.txt is BERT's: it has a line that is neither a
// number nor the name of a special token, as every line of UNIMO's is. path may be empty.
func isWordPiece(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	content, err := readFile(path)
	if err != nil {
		return false, err
	}
	for _, line := range lines(content) {
		if isWord(line) {
			return true, nil
		}
	}
	return false, nil
}

// isWord says whether a line of vocab.txt cannot be UNIMO's.
func isWord(line string) bool {
	_, number := decimal(line)
	_, named := specialName(line)
	return line != "" && !number && !named
}

// loadWordPiece reads BERT's vocab.txt.
func loadWordPiece(vocab string, own settings) (*Tokenizer, error) {
	content, err := readFile(vocab)
	if err != nil {
		return nil, err
	}
	return fromWordPieces(vocab, content, own)
}

// fromWordPieces is loadWordPiece on the content of the file: one token a line, by id, or PaddleNLP's lines of a token,
// a tab and its id. As in transformers an empty line has an id that no text gets, and of equal lines the last one counts.
func fromWordPieces(file string, content []byte, own settings) (*Tokenizer, error) {
	var tokens []tokenID
	blank, numbered := 0, false // lines at the end; whether ids stand behind the tokens
	for number, token := range lines(content) {
		switch {
		case !utf8.ValidString(token):
			return nil, wrong(file, number, "save it as UTF-8", "is not UTF-8")
		case len(tokens) == maxSymbols:
			return nil, wrong(file, number, "check that it is the file that was meant", "more than %d lines", maxSymbols)
		}
		id := number - 1
		before, behind, tab := strings.Cut(token, "\t")
		if number == 1 {
			_, isID := decimal(behind)
			numbered = tab && isID
		}
		if numbered && token != "" {
			n, ok := decimal(behind)
			if !ok || n >= maxSymbols {
				return nil, wrong(file, number, "check that it is the file that was meant", "want a token, a tab and its id, as in the lines before, have %q", clip(token))
			}
			token, id = before, int(n)
		}
		blank++
		if token != "" {
			blank = 0
		}
		tokens = append(tokens, tokenID{token, int32(id)})
	}
	if numbered {
		var err error
		if tokens, err = byID(file, tokens); err != nil {
			return nil, err
		}
		blank = 0
	}
	// Empty lines at the end are no tokens, unless others were added behind them.
	if !slices.ContainsFunc(own.added, func(a addedToken) bool { return int(a.ID) >= len(tokens) }) {
		tokens = tokens[:len(tokens)-blank]
	}
	ids := make(map[string]uint32, len(tokens))
	for _, t := range tokens {
		ids[t.token] = uint32(t.id)
	}
	t, err := wordPieceOf(file, tokens, ids, own)
	if err == nil && numbered { // as PaddleNLP encodes
		t.splitSpecial, t.wordPieces.splitSymbols = true, true
	}
	return t, err
}

// byID sorts tokens, of lines of a file, by their ids. An id that no line has is one that no text gets, as long as most
// have a line.
func byID(file string, tokens []tokenID) ([]tokenID, error) {
	size := 0
	for _, t := range tokens {
		if t.token != "" {
			size = max(size, int(t.id)+1)
		}
	}
	if size > 2*len(tokens) {
		return nil, wrong(file, 0, "check that it is the file that was meant", "has ids up to %d in %d lines", size-1, len(tokens))
	}
	sorted := make([]tokenID, size)
	for id := range sorted {
		sorted[id].id = int32(id)
	}
	for i, t := range tokens {
		if t.token == "" {
			continue
		}
		if sorted[t.id].token != "" {
			return nil, wrong(file, i+1, "give every token its own", "the id %d is that of %q too", t.id, clip(sorted[t.id].token))
		}
		sorted[t.id].token = t.token
	}
	return sorted, nil
}

// wordPieceOf makes a tokenizer of the tokens by id, of which ids is the inverse, and the added
// tokens, if all it needs is there.
func wordPieceOf(file string, tokens []tokenID, ids map[string]uint32, own settings) (*Tokenizer, error) {
	model := maps.Clone(ids)
	idOf := ids
	all, err := extend(file, slices.Clone(tokens), idOf, own.added)
	if err != nil {
		return nil, err
	}
	if err := checkIDs(file, all); err != nil {
		return nil, err
	}
	size := len(all)
	for size > 0 {
		if _, piece := model[all[size-1].token]; piece {
			break
		}
		size--
	}
	names := make([]string, len(all))
	for id, t := range all {
		if strings.ContainsAny(t.token, "\r\n") {
			return nil, wrong(file, 0, "leave it out: vocab.txt could not hold it", "the token %q breaks the line", clip(t.token))
		}
		// A line of vocab.txt is a piece. That is no matter where no word holds what it is made of.
		if _, piece := model[t.token]; !piece && id < size && isPiece(t.token) {
			return nil, wrong(file, 0, "only added tokens behind it are supported", "the added token %q has the id %d among those of the model's vocabulary", clip(t.token), id)
		}
		names[id] = t.token
	}
	t := newWordPiece(names, size)
	if err := checkSpecials(file, t.words); err != nil {
		return nil, err
	}
	// Save could not write it such that Load knows it again.
	if !slices.ContainsFunc(names[:size], isWord) {
		return nil, wrong(file, 0, "a WordPiece vocabulary is words and parts of words such as ##ing", "has no word")
	}
	list := mergeAdded(own.added, own.named, theirSpecials(brackets(idOf)))
	return t, t.setAdded(file, list, func(content string) (int32, bool) { id, ok := idOf[content]; return int32(id), ok })
}

// isPiece says whether token can be found inside a word.
func isPiece(token string) bool {
	for _, r := range strings.TrimPrefix(token, prefix) {
		if class := bertClass(r); class != bertOther && class != bertMark {
			return utf8.RuneCountInString(token) == 1
		}
	}
	return true
}

// brackets is what BERT's tokenizers of the five special tokens have, which does not go by
// RoBERTa's names.
func brackets(ids map[string]uint32) map[string]uint32 {
	found := map[string]uint32{}
	for _, name := range robertaNames {
		if id, ok := ids[name]; ok {
			found[name] = id
		}
	}
	return found
}

// tokenizerFile is what is read of the tokenizer.json of Hugging Face's tokenizers.
type tokenizerFile struct {
	Added        []addedToken  `json:"added_tokens"`
	Normalizer   *normalizer   `json:"normalizer"`
	PreTokenizer *preTokenizer `json:"pre_tokenizer"`
	Model        struct {
		Type         string          `json:"type"`
		Unknown      string          `json:"unk_token"`
		UnknownID    *int            `json:"unk_id"`
		ByteFallback bool            `json:"byte_fallback"`
		Prefix       *string         `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		LongestWord  int             `json:"max_input_chars_per_word"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       []mergePair     `json:"merges"`
	} `json:"model"`
}

type normalizer struct {
	Type         string       `json:"type"`
	CleanText    *bool        `json:"clean_text"`
	SpaceCJK     *bool        `json:"handle_chinese_chars"`
	StripAccents *bool        `json:"strip_accents"`
	LowerCase    *bool        `json:"lowercase"`
	Sequence     []normalizer `json:"normalizers"`

	CharsMap string `json:"precompiled_charsmap"`
	Left     bool   `json:"strip_left"`
	Right    bool   `json:"strip_right"`
	Content  string `json:"content"`
	Pattern  struct {
		Regex string
	} `json:"pattern"`
}

type preTokenizer struct {
	Type        string         `json:"type"`
	PrefixSpace bool           `json:"add_prefix_space"`
	Regex       *bool          `json:"use_regex"`
	Replacement string         `json:"replacement"`
	Scheme      string         `json:"prepend_scheme"`
	Split       *bool          `json:"split"`
	Sequence    []preTokenizer `json:"pretokenizers"`
}

// complete fills in what older versions of the library left out, and takes sequences of one for that one.
func (f *tokenizerFile) complete() {
	if n := f.Normalizer; n != nil && n.Type == "Sequence" && len(n.Sequence) == 1 {
		f.Normalizer = &n.Sequence[0]
	}
	if p := f.PreTokenizer; p != nil && p.Type == "Sequence" && len(p.Sequence) == 1 {
		f.PreTokenizer = &p.Sequence[0]
	}
	m := &f.Model
	if m.Type == "" && m.Merges != nil {
		m.Type = "BPE"
	} else if m.Type == "" && (m.Prefix != nil || m.LongestWord != 0) {
		m.Type = "WordPiece"
	}
	if m.Type == "WordPiece" {
		if m.Prefix == nil {
			m.Prefix = new(prefix)
		}
		m.LongestWord = cmp.Or(m.LongestWord, longestWord)
		m.Unknown = cmp.Or(m.Unknown, nameUNK)
	}
}

// mergePair is a merge in tokenizer.json: "left right", or ["left", "right"] in newer files.
type mergePair [2]string

func (m *mergePair) UnmarshalJSON(raw []byte) error {
	var line string
	var pair []string
	if json.Unmarshal(raw, &line) == nil {
		pair = strings.Split(line, " ")
	} else if err := json.Unmarshal(raw, &pair); err != nil {
		return infile.PlainJSON(err)
	}
	if len(pair) != 2 || pair[0] == "" || pair[1] == "" {
		return fmt.Errorf("want a merge of two tokens, have %s", clip(string(raw)))
	}
	*m = mergePair(pair)
	return nil
}

// loadTokenizer reads tokenizer.json: BERT's WordPiece, or RoBERTa's byte-level BPE.
func loadTokenizer(path string, own settings) (*Tokenizer, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return fromTokenizer(path, content, own)
}

// sentencePieceRemedy is what to do about SentencePiece's own files, which are not read.
const sentencePieceRemedy = "add the model's tokenizer.json, which transformers writes: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"

// fromTokenizer is loadTokenizer on the content of the file.
func fromTokenizer(file string, content []byte, own settings) (*Tokenizer, error) {
	var f tokenizerFile
	if err := infile.DecodeJSON(file, content, &f); err != nil {
		return nil, fmt.Errorf("want the tokenizer.json of a Hugging Face tokenizer: %w", err)
	}
	f.complete()
	own.added = mergeAdded(own.added, f.Added)
	if f.Model.Type == "Unigram" {
		t, err := f.unigram(file, content, own)
		if err == nil {
			t.caseKnown = true
		}
		return t, err
	}
	wordPiece := f.Model.Type == "WordPiece"
	if !wordPiece && f.Model.Type != "BPE" {
		return nil, wrong(file, 0, "want WordPiece, as of BERT, BPE, as of RoBERTa, or Unigram, as of XLM-RoBERTa", "the model's type is %q", clip(f.Model.Type))
	}
	if problem, remedy := f.check(); problem != "" {
		return nil, wrong(file, 0, remedy, "%s", problem)
	}
	// The blank lines in front make the lines of messages those of the file.
	before := bytes.Count(content[:max(0, bytes.Index(content, f.Model.Vocab))], []byte("\n"))
	tokens, ids, err := parseTokens(file, slices.Concat(bytes.Repeat([]byte("\n"), before), f.Model.Vocab))
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	if wordPiece {
		t, err = f.wordPiece(file, tokens, ids, own)
	} else {
		pairs := make([]pairLine, len(f.Model.Merges))
		for i, m := range f.Model.Merges {
			pairs[i] = pairLine{m[0], m[1], i + 1, true}
		}
		t, err = fromPairs([2]string{file, file}, tokens, ids, pairs, own)
	}
	if err != nil {
		return nil, err
	}
	t.caseKnown = true // no normalizer keeps it
	t.lowerCase = f.Normalizer != nil && (f.Normalizer.LowerCase == nil || *f.Normalizer.LowerCase)
	return t, nil
}

// check says what would be encoded otherwise here than there, and what to do.
func (f *tokenizerFile) check() (problem, remedy string) {
	m, n, p := &f.Model, f.Normalizer, f.PreTokenizer
	if m.Type == "WordPiece" {
		switch {
		case n == nil || n.Type != "BertNormalizer" || n.CleanText != nil && !*n.CleanText:
			return "the normalizer is not BERT's with clean_text", "only that is supported"
		case p == nil || p.Type != "BertPreTokenizer":
			return "the pre_tokenizer is not BertPreTokenizer", "only that is supported"
		case *m.Prefix != prefix || m.LongestWord != longestWord || m.Unknown != nameUNK:
			return fmt.Sprintf("continuing_subword_prefix is %q, max_input_chars_per_word %d and unk_token %q", clip(*m.Prefix), m.LongestWord, clip(m.Unknown)),
				fmt.Sprintf("only %q, %d and %q are supported", prefix, longestWord, nameUNK)
		}
		return "", ""
	}
	switch {
	case n != nil && n.Type != "Lowercase":
		return fmt.Sprintf("the normalizer is %q", clip(n.Type)), "only null and Lowercase are supported with BPE"
	case p == nil || p.Type != "ByteLevel" || p.PrefixSpace || p.Regex != nil && !*p.Regex:
		return "the pre_tokenizer is not ByteLevel without add_prefix_space", "only that is supported with BPE"
	case m.Prefix != nil && *m.Prefix != "" || m.Suffix != "" || m.IgnoreMerges:
		return "continuing_subword_prefix, end_of_word_suffix and ignore_merges are not supported with BPE", ""
	}
	return "", ""
}

// wordPiece makes a WordPiece tokenizer of tokens, by id.
func (f *tokenizerFile) wordPiece(file string, tokens []tokenID, ids map[string]uint32, own settings) (*Tokenizer, error) {
	t, err := wordPieceOf(file, tokens, ids, own)
	if err != nil {
		return nil, err
	}
	t.wordPieces.stripAccents = f.Normalizer.StripAccents
	t.wordPieces.keepCJK = f.Normalizer.SpaceCJK != nil && !*f.Normalizer.SpaceCJK
	return t, nil
}
