package web

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// ErrUnknownKey is what the error of [StrictJSON] wraps about a key that is not the protocol's; its Param is the key.
var ErrUnknownKey = errors.New("unknown key")

// StrictJSON is [DecodeJSON], but a key that a struct has no field for is [ErrUnknownKey]: for protocols whose servers refuse them.
func StrictJSON(raw []byte, into any) error {
	if err := DecodeJSON(raw, into); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		return nil
	}
	key := strings.TrimPrefix(err.Error(), "json: unknown field ") // the package has no type for it
	if name, wrong := strconv.Unquote(key); wrong == nil {
		key = name
	}
	var request map[string]json.RawMessage
	var keys map[string]reflect.Value // of the request; a key within one of them is none of these
	if json.Unmarshal(raw, &request); request[key] != nil && reflect.TypeOf(into).Elem().Kind() == reflect.Struct {
		keys = fieldsOf(into)
	}
	return unknownKey(key, keys)
}

// unknownKey names those that the request has, where they are known.
func unknownKey(key string, keys map[string]reflect.Value) error {
	message := fmt.Sprintf("%.80q is no key of this request", key)
	if len(keys) > 0 {
		message += "; it has " + strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
	}
	return &backend.Error{Kind: backend.Invalid, Param: key, Message: message, Err: ErrUnknownKey}
}

// Given says whether a value stands in the request: null counts as none.
func Given(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// CountGiven is how many of some values stand in the request.
func CountGiven(list ...json.RawMessage) (n int) {
	for _, raw := range list {
		if Given(raw) {
			n++
		}
	}
	return n
}

// IsList says whether a JSON value is an array, IsText a string, and IsObject an object.
func IsList(raw json.RawMessage) bool   { return len(raw) > 0 && raw[0] == '[' }
func IsText(raw json.RawMessage) bool   { return len(raw) > 0 && raw[0] == '"' }
func IsObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

// What an array or an object of a request may hold before it is decoded: an entry of two bytes, such as {}, becomes a struct of fifty. Protocols
// have limits of their own, which are lower and name the key. Token ids are numbers, and many.
const (
	mostEntries = 1 << 12
	mostNumbers = 1 << 17
	mostDepth   = 10000 // that the decoder reads
)

// CheckEntries bounds the memory that a JSON text takes when it is decoded: by the entries of each of its arrays and objects. What is no JSON is
// left to the decoder.
func (l Limits) CheckEntries(raw []byte) error {
	entries, numbers := max(mostEntries, l.Items), max(mostNumbers, l.Items<<9)
	type count struct{ entries, numbers int }
	var open []count
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = endOfText(raw, i+1)
		case '[', '{':
			if len(open) == mostDepth {
				return nil
			}
			open = append(open, count{})
		case ']', '}':
			if len(open) == 0 {
				return nil
			}
			open = open[:len(open)-1]
		case ',':
			if len(open) == 0 {
				return nil
			}
			last, limit := &open[len(open)-1], entries
			n := &last.entries
			if startsNumber(raw[i+1:]) {
				n, limit = &last.numbers, numbers
			}
			if *n++; *n >= limit {
				return &backend.Error{Kind: backend.TooLarge, Limit: limit, Message: fmt.Sprintf("a list or an object of the request has more than %d entries; send several requests", limit)}
			}
		}
	}
	return nil
}

// endOfText is where the quote stands that ends a JSON string, whose content begins at from.
func endOfText(raw []byte, from int) int {
	for i := from; ; i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return len(raw)
		}
		i += n
		escapes := 0
		for i-escapes > from && raw[i-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

func startsNumber(raw []byte) bool {
	for _, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '-' || c >= '0' && c <= '9'
	}
	return false
}

// Elements are those of a JSON array, as many as a request may hold. param is the array's name in the request. It stops at the first one
// too many, so that an array takes no more memory than the limit allows.
func (l Limits) Elements(param string, raw json.RawMessage) ([]json.RawMessage, error) {
	if !IsList(raw) {
		return nil, backend.Errorf(backend.Invalid, param, "%s is no list", param)
	}
	var list []json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: param + " is no list", Err: err}
	}
	for dec.More() {
		if len(list) == l.Items {
			return nil, &backend.Error{Kind: backend.TooLarge, Param: param, Limit: l.Items, Message: fmt.Sprintf("%s has more than the %d entries that this server takes of a request; send several requests", param, l.Items)}
		}
		var e json.RawMessage
		if err := dec.Decode(&e); err != nil {
			return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: At(param, len(list)) + " is no JSON", Err: err}
		}
		list = append(list, e)
	}
	return list, nil
}

// Text is a JSON string.
func Text(param string, raw json.RawMessage) (string, error) {
	var s string
	if !IsText(raw) || json.Unmarshal(raw, &s) != nil {
		return "", backend.Errorf(backend.Invalid, param, "%s is no text", param)
	}
	return s, nil
}

// Texts are the strings of a JSON array.
func (l Limits) Texts(param string, raw json.RawMessage) ([]string, error) {
	list, err := l.Elements(param, raw)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(list))
	for i, e := range list {
		if texts[i], err = Text(At(param, i), e); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// At is the name of an element of an array of the request.
func At(param string, i int) string { return fmt.Sprintf("%s[%d]", param, i) }

// MostTokens is how many token ids a request may give for one text: more than any model reads.
const MostTokens = 1 << 16

// Tokens are the token ids of a JSON array. It is counted before memory is taken.
func Tokens(param string, raw json.RawMessage) ([]int, error) {
	if n := bytes.Count(raw, []byte{','}) + 1; n > MostTokens {
		return nil, &backend.Error{Kind: backend.TooLarge, Param: param, Limit: MostTokens, Message: fmt.Sprintf("%s has %d token ids; this server takes %d", param, n, MostTokens)}
	}
	ids := []int{}
	if err := json.Unmarshal(raw, &ids); err != nil {
		return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: param + " is no list of token ids, which are whole numbers", Err: err}
	}
	if len(ids) == 0 {
		return nil, backend.Errorf(backend.Invalid, param, "%s is empty", param)
	}
	return ids, nil
}

// IsTokens says whether a JSON value is an array of numbers.
func IsTokens(raw json.RawMessage) bool {
	if !IsList(raw) {
		return false
	}
	rest := bytes.TrimLeft(raw[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '-' || rest[0] >= '0' && rest[0] <= '9')
}

// IsEmptyList says whether a JSON value is an array without elements.
func IsEmptyList(raw json.RawMessage) bool {
	return IsList(raw) && bytes.HasPrefix(bytes.TrimLeft(raw[1:], " \t\r\n"), []byte("]"))
}

// Vector64 is base64 of the values of a vector as little-endian float32, as clients read it.
func Vector64(v []float32) string {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
