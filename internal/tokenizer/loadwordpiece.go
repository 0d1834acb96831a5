package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
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
func loadWordPiece(vocab string) (*Tokenizer, error) {
	content, err := readFile(vocab)
	if err != nil {
		return nil, err
	}
	return fromWordPieces(vocab, content)
}

// fromWordPieces is loadWordPiece on the content of the file: one token a line, by id.
func fromWordPieces(file string, content []byte) (*Tokenizer, error) {
	var tokens []string
	lineOf := map[string]int{}
	for number, token := range lines(content) {
		first, twice := lineOf[token]
		switch {
		case token == "":
			return nil, fmt.Errorf("%s:%d: is empty; every line is a token", file, number)
		case !utf8.ValidString(token):
			return nil, fmt.Errorf("%s:%d: is not UTF-8; save it as UTF-8", file, number)
		case twice:
			return nil, fmt.Errorf("%s:%d: %q is in line %d already; an id stands for one token only", file, number, clip(token), first)
		case len(tokens) == maxSymbols:
			return nil, fmt.Errorf("%s:%d: more than %d lines", file, number, maxSymbols)
		}
		lineOf[token] = number
		tokens = append(tokens, token)
	}
	return checkWordPieces(file, tokens)
}

// checkWordPieces makes a tokenizer of the tokens by id, if all it needs is there.
func checkWordPieces(file string, tokens []string) (*Tokenizer, error) {
	t := newWordPiece(tokens)
	if err := checkSpecials(file, t.words); err != nil {
		return nil, err
	}
	// Save could not write it such that Load knows it again.
	if !slices.ContainsFunc(tokens, isWord) {
		return nil, fmt.Errorf("%s: has no word; a WordPiece vocabulary is words and parts of words such as ##ing", file)
	}
	return t, nil
}

// tokenizerFile is what is read of the tokenizer.json of Hugging Face's tokenizers.
type tokenizerFile struct {
	Added      []addedToken `json:"added_tokens"`
	Normalizer *struct {
		Type         string `json:"type"`
		CleanText    *bool  `json:"clean_text"`
		SpaceCJK     *bool  `json:"handle_chinese_chars"`
		StripAccents *bool  `json:"strip_accents"`
		LowerCase    *bool  `json:"lowercase"`
	} `json:"normalizer"`
	PreTokenizer *struct {
		Type        string `json:"type"`
		PrefixSpace bool   `json:"add_prefix_space"`
		Regex       *bool  `json:"use_regex"`
	} `json:"pre_tokenizer"`
	Model struct {
		Type         string          `json:"type"`
		Unknown      string          `json:"unk_token"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		LongestWord  int             `json:"max_input_chars_per_word"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       []mergePair     `json:"merges"`
	} `json:"model"`
}

// addedToken is a token that the model's vocabulary may lack.
type addedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
}

// mergePair is a merge in tokenizer.json: "left right", or ["left", "right"] in newer files.
type mergePair [2]string

func (m *mergePair) UnmarshalJSON(raw []byte) error {
	var line string
	var pair []string
	if json.Unmarshal(raw, &line) == nil {
		pair = strings.Split(line, " ")
	} else if err := json.Unmarshal(raw, &pair); err != nil {
		return err
	}
	if len(pair) != 2 || pair[0] == "" || pair[1] == "" {
		return fmt.Errorf("want a merge of two tokens, have %s", clip(string(raw)))
	}
	*m = mergePair(pair)
	return nil
}

// loadTokenizer reads tokenizer.json: BERT's WordPiece, or RoBERTa's byte-level BPE.
func loadTokenizer(path string) (*Tokenizer, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return fromTokenizer(path, content)
}

// fromTokenizer is loadTokenizer on the content of the file.
func fromTokenizer(file string, content []byte) (*Tokenizer, error) {
	var f tokenizerFile
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, fmt.Errorf("%s: want the tokenizer.json of a Hugging Face tokenizer: %w", file, err)
	}
	wordPiece := f.Model.Type == "WordPiece"
	if !wordPiece && f.Model.Type != "BPE" {
		return nil, fmt.Errorf("%s: the model's type is %q; want WordPiece, as of BERT, or BPE, as of RoBERTa", file, clip(f.Model.Type))
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// The blank lines in front make the lines of messages those of the file.
	before := bytes.Count(content[:max(0, bytes.Index(content, f.Model.Vocab))], []byte("\n"))
	tokens, ids, err := parseTokens(file, slices.Concat(bytes.Repeat([]byte("\n"), before), f.Model.Vocab))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(f.Added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	for _, added := range f.Added {
		if _, there := ids[added.Content]; there || added.Content == "" {
			continue
		}
		if len(tokens) == maxSymbols {
			return nil, fmt.Errorf("%s: has more than %d tokens", file, maxSymbols)
		}
		ids[added.Content] = uint32(len(tokens))
		tokens = append(tokens, tokenID{added.Content, added.ID})
	}
	if err := checkIDs(file, tokens); err != nil {
		return nil, err
	}
	var t *Tokenizer
	if wordPiece {
		t, err = f.wordPiece(file, tokens)
	} else {
		pairs := make([]pairLine, len(f.Model.Merges))
		for i, m := range f.Model.Merges {
			pairs[i] = pairLine{m[0], m[1], i + 1}
		}
		t, err = fromPairs([2]string{file, file + ": merge"}, tokens, ids, pairs)
	}
	if err != nil {
		return nil, err
	}
	t.caseKnown = true // no normalizer keeps it
	t.lowerCase = f.Normalizer != nil && (f.Normalizer.LowerCase == nil || *f.Normalizer.LowerCase)
	return t, nil
}

// check returns an error for what would be encoded otherwise here than there.
func (f *tokenizerFile) check() error {
	m, n, p := &f.Model, f.Normalizer, f.PreTokenizer
	if m.Type == "WordPiece" {
		switch {
		case n == nil || n.Type != "BertNormalizer" || n.CleanText != nil && !*n.CleanText:
			return errors.New("the normalizer is not BERT's with clean_text; only that is supported")
		case p == nil || p.Type != "BertPreTokenizer":
			return errors.New("the pre_tokenizer is not BertPreTokenizer; only that is supported")
		case m.Prefix != prefix || m.LongestWord != longestWord || m.Unknown != nameUNK:
			return fmt.Errorf("continuing_subword_prefix is %q, max_input_chars_per_word %d and unk_token %q; only %q, %d and %q are supported",
				clip(m.Prefix), m.LongestWord, clip(m.Unknown), prefix, longestWord, nameUNK)
		}
		return nil
	}
	switch {
	case n != nil && n.Type != "Lowercase":
		return fmt.Errorf("the normalizer is %q; only null and Lowercase are supported with BPE", clip(n.Type))
	case p == nil || p.Type != "ByteLevel" || p.PrefixSpace || p.Regex != nil && !*p.Regex:
		return errors.New("the pre_tokenizer is not ByteLevel without add_prefix_space; only that is supported with BPE")
	case m.Prefix != "" || m.Suffix != "" || m.IgnoreMerges:
		return errors.New("continuing_subword_prefix, end_of_word_suffix and ignore_merges are not supported with BPE")
	}
	return nil
}

// wordPiece makes a WordPiece tokenizer of tokens, by id.
func (f *tokenizerFile) wordPiece(file string, tokens []tokenID) (*Tokenizer, error) {
	names := make([]string, len(tokens))
	for id, token := range tokens {
		if strings.ContainsAny(token.token, "\r\n") {
			return nil, fmt.Errorf("%s: the token %q breaks the line; vocab.txt could not hold it", file, clip(token.token))
		}
		names[id] = token.token
	}
	t, err := checkWordPieces(file, names)
	if err != nil {
		return nil, err
	}
	t.wordPieces.stripAccents = f.Normalizer.StripAccents
	t.wordPieces.keepCJK = f.Normalizer.SpaceCJK != nil && !*f.Normalizer.SpaceCJK
	return t, nil
}
