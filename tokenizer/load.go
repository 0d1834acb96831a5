package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Names of the files; each of the first five may have any "NAME." before it.
const (
	fileEncoder   = "encoder.json"
	fileBPE       = "vocab.bpe"
	fileVocab     = "vocab.txt"
	fileTokens    = "vocab.json"
	fileMerges    = "merges.txt"
	fileTokenizer = "tokenizer.json"
	fileConfig    = "tokenizer_config.json"
	fileAdded     = "added_tokens.json"
	fileSpecials  = "special_tokens_map.json"
)

// fileNames lists them.
var fileNames = []string{fileEncoder, fileBPE, fileVocab, fileTokens, fileMerges, fileTokenizer, fileConfig, fileAdded, fileSpecials}

// Keys of tokenizer_config.json; those from stripAccentsKey on are WordPiece's alone.
const (
	lowerCaseKey    = "do_lower_case"
	addedKey        = "added_tokens_decoder"
	splitSpecialKey = "split_special_tokens"
	stripAccentsKey = "strip_accents"
	spaceCJKKey     = "tokenize_chinese_chars"
	splitSymbolsKey = "split_symbols" // ours, for vocabularies of PaddleNLP
	classKey        = "tokenizer_class"
)

// maxFile bounds a vocabulary file, in bytes: sixty times the largest of the released ones.
const maxFile = 64 << 20

// Load reads the vocabulary in the folder dir: encoder.json, vocab.bpe and vocab.txt, or vocab.json
// and merges.txt, or BERT's vocab.txt, or tokenizer.json, with tokenizer_config.json if it is there.
// The package comment has the details. Encode lower-cases unless one of the last two files says
// otherwise; see [Tokenizer.WithLowerCase].
//
// Errors wrap a [*FileError], and [ErrNoVocabulary] where the folder has no vocabulary.
func Load(dir string) (*Tokenizer, error) {
	t, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load vocabulary: %w", err)
	}
	return t, nil
}

// LoadHuggingFace is [Load] for the folder of a model of Hugging Face's transformers. It differs in
// one thing: where the folder says nothing about letter case, a byte-level BPE keeps it, as there.
func LoadHuggingFace(dir string) (*Tokenizer, error) {
	t, err := Load(dir)
	if err == nil && !t.caseKnown && t.wordPieces == nil {
		t = t.WithLowerCase(false)
	}
	return t, err
}

func load(dir string) (*Tokenizer, error) {
	found, err := findFiles(dir)
	if err != nil {
		return nil, err
	}
	missing := func(names ...string) (absent []string) {
		for _, name := range names {
			if found[name] == "" {
				absent = append(absent, name)
			}
		}
		return absent
	}
	unimo := missing(fileEncoder, fileBPE, fileVocab)
	hugging := missing(fileTokens, fileMerges)
	bert, err := isWordPiece(found[fileVocab])
	if err != nil {
		return nil, err
	}
	own, err := readSettings(found)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch {
	case len(unimo) == 0:
		t, err = loadUNIMO(found[fileEncoder], found[fileBPE], found[fileVocab], own)
	case len(hugging) == 0:
		t, err = loadHuggingFace(found[fileTokens], found[fileMerges], own)
	case len(unimo) == 2 && bert:
		t, err = loadWordPiece(found[fileVocab], own)
	case found[fileTokenizer] != "":
		t, err = loadTokenizer(found[fileTokenizer], own)
	case len(unimo) < 3 && len(hugging) == 2:
		return nil, wrong(dir, 0, "copy it there", "no %s beside the rest of the vocabulary", strings.Join(unimo, " and no "))
	case len(unimo) == 3 && len(hugging) == 1:
		return nil, wrong(dir, 0, "copy it there", "no %s beside the rest of the vocabulary", hugging[0])
	case isSentencePiece(dir):
		return nil, wrong(dir, 0, sentencePieceRemedy, "%w but one of SentencePiece, as of XLM-RoBERTa and CamemBERT", ErrNoVocabulary)
	default:
		return nil, wrong(dir, 0, "copy them from a released model or train a vocabulary",
			"%w: want encoder.json, vocab.bpe and vocab.txt, or vocab.json and merges.txt, or BERT's vocab.txt, or tokenizer.json; missing are %s, or %s",
			ErrNoVocabulary, strings.Join(unimo, ", "), strings.Join(hugging, ", "))
	}
	if err != nil {
		return nil, err
	}
	if err := t.configure(found[fileConfig], own.keys); err != nil {
		return nil, err
	}
	t.matchAdded()
	return t, nil
}

// isSentencePiece says whether a vocabulary of SentencePiece lies in dir.
func isSentencePiece(dir string) bool {
	for _, name := range []string{"sentencepiece.bpe.model", "spiece.model", "spm.model"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// settings is what the files beside a vocabulary say about it.
type settings struct {
	keys  map[string]json.RawMessage // of tokenizer_config.json
	added []addedToken               // of tokenizer_config.json and added_tokens.json
	named []addedToken               // special tokens without ids
}

// readSettings reads tokenizer_config.json, special_tokens_map.json and added_tokens.json,
// of which any may be absent.
func readSettings(found map[string]string) (settings, error) {
	var s settings
	var specials map[string]json.RawMessage
	for name, keys := range map[string]*map[string]json.RawMessage{fileConfig: &s.keys, fileSpecials: &specials} {
		if found[name] == "" {
			continue
		}
		if err := infile.ReadJSON(found[name], maxFile, keys); err != nil {
			return s, err
		}
	}
	var err error
	if s.added, err = parseAddedKey(found[fileConfig], s.keys[addedKey]); err != nil {
		return s, err
	}
	if found[fileAdded] != "" {
		content, err := readFile(found[fileAdded])
		if err != nil {
			return s, err
		}
		list, err := parseAddedFile(found[fileAdded], content)
		if err != nil {
			return s, err
		}
		s.added = mergeAdded(s.added, list)
	}
	s.named = append(namedTokens(specials, roleKeys), namedTokens(s.keys, roleKeys)...)
	for i := range s.added { // added_tokens.json does not say which are special; as transformers 5 takes it
		a := &s.added[i]
		if a.Normalized == nil && slices.ContainsFunc(s.named, func(n addedToken) bool { return n.Content == a.Content }) {
			a.Special = true
		}
	}
	s.named = slices.Concat(s.named, namedTokens(specials, moreKeys), namedTokens(s.keys, moreKeys))
	return s, nil
}

// findFiles returns the paths of the vocabulary files in dir by their plain names.
func findFiles(dir string) (map[string]string, error) {
	if err := infile.Folder(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, wrong(dir, 0, "check its permissions", "cannot be listed: %w", err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		for _, name := range fileNames {
			prefixed := slices.Contains([]string{fileEncoder, fileBPE, fileVocab, fileTokens, fileMerges}, name)
			if entry.IsDir() || infile.Hidden(entry.Name()) || entry.Name() != name && (!prefixed || !strings.HasSuffix(entry.Name(), "."+name)) {
				continue
			}
			path := filepath.Join(dir, entry.Name())
			if found[name] != "" {
				return nil, wrong(path, 0, "keep one", "is a second file for %s beside %s", name, found[name])
			}
			found[name] = path
		}
	}
	return found, nil
}

// readFile reads a file of at most maxFile bytes, without its byte order mark.
func readFile(path string) ([]byte, error) {
	content, err := infile.Read(path, maxFile)
	return infile.TrimMark(content), err
}

// loadUNIMO reads a vocabulary in UNIMO's three files.
func loadUNIMO(encoder, bpe, vocab string, own settings) (*Tokenizer, error) {
	content, err := readFiles(encoder, bpe, vocab)
	if err != nil {
		return nil, err
	}
	return fromUNIMO([3]string{encoder, bpe, vocab}, [3][]byte(content), own)
}

// fromUNIMO is loadUNIMO on the contents of the files.
func fromUNIMO(file [3]string, content [3][]byte, own settings) (*Tokenizer, error) {
	tokens, index, err := parseTokens(file[0], content[0])
	if err != nil {
		return nil, err
	}
	pieces := make([]piece, len(tokens))
	for symbol, t := range tokens {
		pieces[symbol] = piece{token: t.token, bpe: t.id}
	}
	if err := checkBytes(file[0], index); err != nil {
		return nil, err
	}
	pairs, err := parsePairs(file[1], content[1])
	if err != nil {
		return nil, err
	}
	merges, err := resolveMerges(file[1], pairs, file[0], index)
	if err != nil {
		return nil, err
	}
	words, err := parseWords(file[2], content[2], file[0], pieces)
	if err != nil {
		return nil, err
	}
	t := newTokenizer(pieces, merges, words, own.added)
	// Here an id of added_tokens_decoder is what counts: a special token has another name in
	// vocab.txt than the one that is looked for.
	ids := map[string]int32{}
	for _, a := range own.added {
		if int(a.ID) >= len(words) {
			return nil, wrong(file[2], 0, "give it a line of its own", "the added token %q has the id %d, but the vocabulary ends at %d", clip(a.Content), a.ID, len(words)-1)
		}
		ids[a.Content] = a.ID
	}
	return t, t.setAdded(file[2], own.added, func(content string) (int32, bool) { id, ok := ids[content]; return id, ok && id >= 0 })
}

// loadHuggingFace reads a vocabulary in Hugging Face's two files.
func loadHuggingFace(tokens, merges string, own settings) (*Tokenizer, error) {
	content, err := readFiles(tokens, merges)
	if err != nil {
		return nil, err
	}
	return fromHuggingFace([2]string{tokens, merges}, [2][]byte(content), own)
}

// fromHuggingFace is loadHuggingFace on the contents of the files.
func fromHuggingFace(file [2]string, content [2][]byte, own settings) (*Tokenizer, error) {
	tokens, ids, err := parseTokens(file[0], content[0])
	if err != nil {
		return nil, err
	}
	pairs, err := parsePairs(file[1], content[1])
	if err != nil {
		return nil, err
	}
	return fromPairs(file, tokens, ids, pairs, own)
}

// fromPairs makes a vocabulary of tokens, of which ids is the inverse, added tokens and merges. The BPE
// ids are given as GPT-2 gave them: bytes in the order of the alphabet, results of merges
// in the order of the merges, then the rest by UNIMO id.
func fromPairs(file [2]string, tokens []tokenID, ids map[string]uint32, pairs []pairLine, own settings) (*Tokenizer, error) {
	tokens, err := extend(file[0], tokens, ids, own.added)
	if err != nil {
		return nil, err
	}
	if err := checkIDs(file[0], tokens); err != nil {
		return nil, err
	}
	idOf := maps.Clone(ids)
	words := make([]word, len(tokens))
	results := make(map[string]bool, len(pairs))
	for _, p := range pairs {
		results[p.left+p.right] = true
	}
	specials := map[string]string{}
	for id, t := range tokens {
		// What merging makes is a piece, even if it looks like a special token.
		if name, ok := specialName(t.token); ok && !results[t.token] {
			if other, twice := specials[name]; twice {
				return nil, wrong(file[0], 0, "keep one", "%q and %q are names of one special token", other, t.token)
			}
			specials[name] = t.token
			words[id] = word{symbol: special, name: name}
			delete(ids, t.token)
		}
	}
	if err := checkSpecials(file[0], words); err != nil {
		return nil, err
	}
	if err := checkBytes(file[0], ids); err != nil {
		return nil, err
	}
	pieces := make([]piece, 0, len(ids))
	index := make(map[string]uint32, len(ids))
	add := func(token string) {
		id, ok := ids[token]
		if _, twice := index[token]; twice || !ok {
			return // resolveMerges tells what is missing
		}
		index[token] = uint32(len(pieces))
		words[id].symbol = uint32(len(pieces))
		pieces = append(pieces, piece{token: token, bpe: int32(len(pieces))})
	}
	for _, b := range byteOrder {
		add(string(byteRune[b]))
	}
	for _, p := range pairs {
		add(p.left + p.right)
	}
	for id, t := range tokens {
		if words[id].symbol != special {
			add(t.token)
		}
	}
	merges, err := resolveMerges(file[1], pairs, file[0], index)
	if err != nil {
		return nil, err
	}
	t := newTokenizer(pieces, merges, words, own.added)
	list := mergeAdded(own.added, own.named, theirSpecials(idOf))
	return t, t.setAdded(file[0], list, func(content string) (int32, bool) { id, ok := idOf[content]; return int32(id), ok })
}

func readFiles(paths ...string) ([][]byte, error) {
	contents := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if contents[i], err = readFile(path); err != nil {
			return nil, err
		}
	}
	return contents, nil
}
