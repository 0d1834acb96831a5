package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/tokenizer"
)

// narrow are token ids as a vocabulary has them.
func narrow(param string, ids []int) ([]int32, error) {
	list := make([]int32, len(ids))
	for i, id := range ids {
		if list[i] = int32(id); int(list[i]) != id {
			return nil, Errorf(Invalid, param, "token %d of a text is %d, which is in no vocabulary", i, id)
		}
	}
	return list, nil
}

// mostTokenValues bounds the values of the vectors that [served.EmbedTokens] returns: a hundred times what other answers have.
const mostTokenValues = 1 << 21

// EmbedTokens implements [Model].
func (m *served) EmbedTokens(ctx context.Context, items []Item, o EmbedOptions) (vectors [][][]float32, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanEmbedText, "make vectors of texts")
		if err != nil {
			return err
		}
		size := h.embedder.TokenSize()
		if size == 0 {
			return Errorf(Cannot, "model", "model %s has a vector for a text, and none for its tokens; give a model that was not trained for retrieval", v.id)
		}
		texts, q := make([]embed.Text, len(items)), &request{group: h, rows: make([]int, len(items))}
		for i, it := range items {
			if texts[i], err = h.read(i, it, o); err != nil {
				return err
			}
			q.rows[i] = len(texts[i].Tokens)
			use.Tokens += q.rows[i]
		}
		if use.Tokens > mostTokenValues/size {
			return &Error{
				Kind: TooLarge, Param: "input", Limit: mostTokenValues / size,
				Message: fmt.Sprintf("the texts have %d tokens, each with a vector of %d values; this server makes vectors of %d tokens of a request, so send several", use.Tokens, size, mostTokenValues/size),
			}
		}
		vectors, err = through(ctx, v, q, "embed_tokens", texts, func(ctx context.Context, texts []embed.Text) ([][][]float32, error) {
			return h.embedder.TokenVectors(ctx, texts, ignore)
		})
		return err
	})
	return vectors, use, err
}

// reader returns the vocabulary of a model that reads texts.
func (v view) reader() (*tokenizer.Tokenizer, error) {
	i := slices.IndexFunc(v.heads, func(h *head) bool { return h.tokenizer != nil })
	if i < 0 {
		return nil, Errorf(Cannot, "model", "model %s reads no texts", v.id)
	}
	return v.heads[i].tokenizer, nil
}

// Prompt implements [Model].
func (m *served) Prompt(_ context.Context, name string) (text string, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanEmbedText, "have prompts")
		if err != nil {
			if name == "" {
				return nil
			}
			return err
		}
		if text, err = h.embedder.Before(name); err != nil {
			return invalid("prompt", err)
		}
		return nil
	})
	return text, err
}

// maxTokenized bounds the text that is cut into tokens for a client.
const maxTokenized = 1 << 20

// Tokenize implements [Model].
func (m *served) Tokenize(_ context.Context, text string, special bool) (list []Token, err error) {
	err = m.r.use(m.name, func(v view) error {
		if len(text) > maxTokenized {
			return &Error{Kind: TooLarge, Param: "inputs", Limit: maxTokenized, Message: fmt.Sprintf("a text has %d bytes; want %d or fewer", len(text), maxTokenized)}
		}
		t, err := v.reader()
		if err == nil {
			list = tokens(t, text, special)
		}
		return err
	})
	return list, err
}

// Detokenize implements [Model].
func (m *served) Detokenize(_ context.Context, ids []int, special bool) (text string, err error) {
	err = m.r.use(m.name, func(v view) error {
		t, err := v.reader()
		if err != nil {
			return err
		}
		list, err := narrow("ids", ids)
		if err != nil {
			return err
		}
		if err := t.Check(list); err != nil {
			return invalid("ids", err)
		}
		if !special {
			list = slices.DeleteFunc(list, t.Special)
		}
		text = t.DecodeString(list)
		return nil
	})
	return text, err
}

// tokens cuts a text into tokens. A vocabulary may change letters (to small ones, without accents), so a token's place is found by its letters:
// where these are not next, it is not known.
func tokens(t *tokenizer.Tokenizer, text string, special bool) []Token {
	ids := t.Encode(nil, text)
	list := make([]Token, 0, len(ids)+2)
	if special {
		list = append(list, Token{ID: int(t.CLS()), Text: t.Token(t.CLS()), Special: true})
	}
	at := 0
	for _, id := range ids {
		tok := Token{ID: int(id), Text: t.Token(id), Special: t.Special(id), Start: -1, Stop: -1}
		if start, stop, ok := place(text, at, t.DecodeString([]int32{id})); ok {
			tok.Start, tok.Stop, at = start, stop, stop
		}
		list = append(list, tok)
	}
	if special {
		list = append(list, Token{ID: int(t.SEP()), Text: t.Token(t.SEP()), Special: true, Start: len(text), Stop: len(text)})
	}
	return list
}

// place finds letters in a text from a byte on, behind spaces and little else.
func place(text string, at int, letters string) (start, stop int, ok bool) {
	letters = strings.TrimSpace(letters)
	if letters == "" {
		return 0, 0, false
	}
	const near = 64 // bytes that may have been left out, or may be of a token whose place is not known
	for start = at; start < len(text) && start-at <= near; {
		if stop, ok = prefix(text, start, letters); ok {
			return start, stop, true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		start += size
	}
	return 0, 0, false
}

// prefix says whether the text goes on with letters, be they small or large, and where these end.
func prefix(text string, at int, letters string) (stop int, ok bool) {
	for _, want := range letters {
		r, size := utf8.DecodeRuneInString(text[at:])
		if size == 0 || r != want && unicode.ToLower(r) != unicode.ToLower(want) {
			return 0, false
		}
		at += size
	}
	return at, true
}
