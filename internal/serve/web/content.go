package web

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// part is one of the content of a message, as the chat API of OpenAI has it, and whoever took its form.
type part struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	ImageURL json.RawMessage `json:"image_url"`
}

// Content is the text or the picture of a message's content: a text, or a list of parts such as {"type": "text", "text": "a cat"} and
// {"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}. As a model has one vector for one of the two, parts of both are
// an error; an empty text beside a picture, which templates leave, is none. Several texts become one of several lines.
func (l Limits) Content(ctx context.Context, param string, raw json.RawMessage) (backend.Item, error) {
	var none backend.Item
	if IsText(raw) {
		text, err := Text(param, raw)
		if err == nil && text == "" {
			err = backend.Errorf(backend.Invalid, param, "%s is an empty text", param)
		}
		return backend.Item{Text: text}, err
	}
	if !IsList(raw) {
		return none, backend.Errorf(backend.Invalid, param, "%s is neither a text nor a list of parts", param)
	}
	list, err := l.Elements(param, raw)
	if err != nil {
		return none, err
	}
	var texts []string
	var picture []byte
	for i, e := range list {
		at := At(param, i)
		var p part
		if err := DecodeJSON(e, &p); err != nil {
			return none, &backend.Error{Kind: backend.Invalid, Param: at, Message: at + ` is no part of a message, such as {"type": "text", "text": ...}`, Err: err}
		}
		switch {
		case Given(p.Text) && (p.Type == "text" || p.Type == ""):
			text, err := Text(at+".text", p.Text)
			if err != nil {
				return none, err
			}
			if text != "" {
				texts = append(texts, text)
			}
		case Given(p.ImageURL) && (p.Type == "image_url" || p.Type == ""):
			if picture != nil {
				return none, backend.Errorf(backend.Invalid, at, "%s is a second picture; give one for each vector or score", at)
			}
			if picture, err = l.imageURL(ctx, at+".image_url", p.ImageURL); err != nil {
				return none, err
			}
		default:
			return none, backend.Errorf(backend.Invalid, at, `%s is neither {"type": "text", "text": ...} nor {"type": "image_url", "image_url": {"url": ...}}`, at)
		}
	}
	switch {
	case picture != nil && len(texts) > 0:
		return none, backend.Errorf(backend.Invalid, param, "%s has a text and a picture; these models take one of them: send them apart", param)
	case picture != nil:
		return backend.Item{Picture: picture}, nil
	case len(texts) == 0:
		return none, backend.Errorf(backend.Invalid, param, "%s is empty", param)
	}
	return backend.Item{Text: strings.Join(texts, "\n")}, nil
}

// imageURL is the picture of {"url": "data:..."} or of the URL alone.
func (l Limits) imageURL(ctx context.Context, param string, raw json.RawMessage) ([]byte, error) {
	if IsObject(raw) {
		var o struct {
			URL json.RawMessage `json:"url"`
		}
		if err := DecodeJSON(raw, &o); err != nil {
			return nil, err
		}
		param, raw = param+".url", o.URL
	}
	ref, err := Text(param, raw)
	if err != nil {
		return nil, err
	}
	return l.Picture(ctx, param, ref)
}
