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
	ids, around := it.Tokens, 0
	if ids == nil {
		list, err := m.Tokenize(ctx, it.Text, true)
		if err != nil {
			return it, err
		}
		if len(list) <= tokens {
			return it, nil
		}
		ids = make([]int, 0, len(list))
		for _, t := range list {
			if t.Special {
				around++
				continue
			}
			ids = append(ids, t.ID)
		}
	} else {
		list, err := m.Tokenize(ctx, "", true)
		if err != nil {
			return it, err
		}
		around = len(list)
	}
	keep := tokens - around
	if keep < 1 {
		return it, &Error{Kind: Invalid, Param: param, Limit: around + 1, Message: fmt.Sprintf("%s is %d, and %d tokens stand around every text; want %d or more", param, tokens, around, around+1)}
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
