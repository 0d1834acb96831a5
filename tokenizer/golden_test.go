package tokenizer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// released loads the vocabulary of the released models, or skips the test.
func released(tb testing.TB) *Tokenizer {
	tb.Helper()
	t, err := Load(golden.Data(tb, "unimo-dict"))
	if err != nil {
		tb.Fatal(err)
	}
	t.wholeWords(manyBytes)
	return t
}

// jsonLines calls row for every line of one of a case's files.
func jsonLines[T any](t *testing.T, c golden.Case, name string, row func(line int, v T)) (n int) {
	t.Helper()
	content, err := os.ReadFile(c.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, len(content)+1)
	for scanner.Scan() {
		n++
		var v T
		if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
			t.Fatalf("%s:%d: %v", c.Path(name), n, err)
		}
		row(n, v)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGoldenTokenizer(t *testing.T) {
	golden.Run(t, "tokenizer", func(t *testing.T, c golden.Case) {
		var head struct {
			Encode     int              `json:"n_encode"`
			Decode     int              `json:"n_decode"`
			VocabSize  int              `json:"vocab_size"`
			Merges     int              `json:"bpe_merges"`
			Special    map[string]int32 `json:"special_ids"`
			FullSum    int              `json:"is_full_token_sum"`
			FullSHA256 string           `json:"is_full_token_sha256"`
		}
		c.JSON(t, "case.json", &head)
		tok := released(t).WithLowerCase(false)
		if tok.VocabSize() != head.VocabSize {
			t.Errorf("VocabSize() = %d, want %d", tok.VocabSize(), head.VocabSize)
		}
		if len(tok.merges) != head.Merges {
			t.Errorf("%d merges, want %d", len(tok.merges), head.Merges)
		}
		for name, got := range map[string]int32{
			"cls": tok.CLS(), "pad": tok.PAD(), "sep": tok.SEP(), "unk": tok.UNK(), "mask": tok.MASK(),
		} {
			if want, ok := head.Special[name]; !ok || got != want {
				t.Errorf("special token %s is %d, want %d", name, got, want)
			}
		}

		full, sum := make([]byte, tok.VocabSize()), 0
		for id := range full {
			if tok.StartsWord(int32(id)) {
				full[id] = 1
				sum++
			}
		}
		if digest := sha256.Sum256(full); sum != head.FullSum || hex.EncodeToString(digest[:]) != head.FullSHA256 {
			t.Errorf("full tokens: sum %d, sha256 %x; want %d, %s", sum, digest, head.FullSum, head.FullSHA256)
		}

		type encodeRow struct {
			Text    string   `json:"text"`
			BPE     []string `json:"bpe"`
			IDs     []int32  `json:"ids"`
			Decoded string   `json:"decoded"`
		}
		n := jsonLines(t, c, "encode.jsonl", func(line int, row encodeRow) {
			ids := tok.Encode(nil, row.Text)
			if !slices.Equal(ids, row.IDs) {
				t.Errorf("encode.jsonl:%d: Encode(%q) = %v, want %v", line, row.Text, ids, row.IDs)
				return
			}
			for i, id := range ids {
				if got := tok.VocabLine(id); got != row.BPE[i] {
					t.Errorf("encode.jsonl:%d: BPE(%d) = %q, want %q", line, id, got, row.BPE[i])
				}
			}
			if got := tok.DecodeString(ids); got != row.Decoded {
				t.Errorf("encode.jsonl:%d: decodes to %q, want %q", line, got, row.Decoded)
			}
		})
		if n != head.Encode {
			t.Errorf("encode.jsonl has %d lines, case.json says %d", n, head.Encode)
		}

		type decodeRow struct {
			IDs     []int32  `json:"ids"`
			Tokens  []string `json:"tokens"`
			Decoded string   `json:"decoded"`
			Each    []string `json:"decoded_each"`
		}
		n = jsonLines(t, c, "decode.jsonl", func(line int, row decodeRow) {
			if got := tok.DecodeString(row.IDs); got != row.Decoded {
				t.Errorf("decode.jsonl:%d: DecodeString(%v) = %q, want %q", line, row.IDs, got, row.Decoded)
			}
			for i, id := range row.IDs {
				if got := tok.VocabLine(id); got != row.Tokens[i] {
					t.Errorf("decode.jsonl:%d: BPE(%d) = %q, want %q", line, id, got, row.Tokens[i])
				}
				if got := tok.DecodeString(row.IDs[i : i+1]); got != row.Each[i] {
					t.Errorf("decode.jsonl:%d: DecodeString(%d) = %q, want %q", line, id, got, row.Each[i])
				}
			}
		})
		if n != head.Decode {
			t.Errorf("decode.jsonl has %d lines, case.json says %d", n, head.Decode)
		}
	})
}
