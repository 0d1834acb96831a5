package backend

import (
	"context"
	"fmt"
)

// Shorten returns a text as its first tokens, or its last, so many with those that stand around it. A text that is no longer stays as it is,
// and so does a picture. param is what asks for so many tokens in the request.
func Shorten(ctx context.Context, m Model, it Item, param string, tokens int, last bool) (Item, error) {
	if it.Picture != nil {
		return it, nil
	}
	keep, err := within(ctx, m, param, tokens)
	if err != nil {
		return it, err
	}
	ids := it.Tokens
	if ids == nil {
		list, err := m.Tokenize(ctx, it.Text, false)
		if err != nil {
			return it, err
		}
		for _, t := range list {
			ids = append(ids, t.ID)
		}
	}
	switch {
	case len(ids) <= keep:
		return it, nil
	case last:
		ids = ids[len(ids)-keep:]
	default:
		ids = ids[:keep]
	}
	return Item{Tokens: ids}, nil
}

// ShortenText is [Shorten] for what has to stay a text: it ends with the last of its first tokens whose place is known.
func ShortenText(ctx context.Context, m Model, text, param string, tokens int) (string, error) {
	keep, err := within(ctx, m, param, tokens)
	if err != nil {
		return text, err
	}
	list, err := m.Tokenize(ctx, text, false)
	if err != nil || len(list) <= keep {
		return text, err
	}
	end := 0
	for _, t := range list[:keep] {
		if t.Start >= 0 {
			end = t.Stop
		}
	}
	return text[:end], nil
}

// within is how many tokens of a text there may be if tokens is the number with those around it.
func within(ctx context.Context, m Model, param string, tokens int) (int, error) {
	around, err := m.Tokenize(ctx, "", true)
	if err != nil {
		return 0, err
	}
	keep := tokens - len(around)
	if keep < 1 {
		return 0, &Error{
			Kind: Invalid, Param: param, Limit: len(around) + 1,
			Message: fmt.Sprintf("%s is %d, and %d tokens stand around every text; want %d or more", param, tokens, len(around), len(around)+1),
		}
	}
	return keep, nil
}
