package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The ids are those of PaddleNLP's UNIMOTokenizer, whose vocab.txt has an id beside every token; testdata/paddlenlp.py
// made them. So are they with the files that Save writes.
func TestPaddleNLPGolden(t *testing.T) {
	dir := filepath.Join("testdata", "paddlenlp")
	content, err := os.ReadFile(filepath.Join(dir, "encode.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text string
		IDs  []int32
	}
	if err := json.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	saved := t.TempDir()
	if err := tok.Save(saved); err != nil {
		t.Fatal(err)
	}
	again, err := Load(saved)
	if err != nil {
		t.Fatal(err)
	}
	sameWordPiece(t, tok, again)
	if len(cases) < 15 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		for name, tok := range map[string]*Tokenizer{"theirs": tok, "saved": again} {
			got := append(tok.Encode([]int32{tok.CLS()}, c.Text), tok.SEP())
			if !slices.Equal(got, c.IDs) {
				t.Errorf("%s: Encode(%q) = %v, want %v", name, c.Text, got, c.IDs)
			}
		}
	}
}

func TestPaddleNLPHostile(t *testing.T) {
	good := "[PAD]\t0\n[CLS]\t1\n[SEP]\t2\n[MASK]\t3\n[UNK]\t5\nthe\t4\n"
	if _, err := fromWordPieces(fileVocab, []byte(good), settings{}); err != nil {
		t.Fatal(err)
	}
	for want, content := range map[string]string{
		"vocab.txt:7: want a token, a tab and its id":     good + "cat\n",
		"vocab.txt:7: want a token, a tab and its id, as": good + "cat\tx\n",
		"vocab.txt:7: want a token, a tab and":            good + "cat\t4194304\n",
		`vocab.txt:7: the id 4 is that of "the" too`:      good + "cat\t4\n",
		"has ids up to 50 in 7 lines":                     good + "cat\t50\n",
		"the special token [MASK] is missing":             strings.Replace(good, "[MASK]", "mask", 1),
	} {
		if _, err := fromWordPieces(fileVocab, []byte(content), settings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A folder with SentencePiece's own file alone is refused by that name.
func TestSentencePieceIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sentencepiece.bpe.model"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrNoVocabulary) || !strings.Contains(err.Error(), "one of SentencePiece") || !strings.Contains(err.Error(), "save_pretrained") {
		t.Errorf("error %v", err)
	}
}
