package columns

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Object is a JSON object: its values by key, as they are written. Values that are null are
// taken for missing. What a reader does not ask for may be of any kind.
type Object map[string]json.RawMessage

// ParseObject reads one object. The problem says what raw is instead; it is "" for an object.
func ParseObject(raw []byte) (o Object, problem string) {
	if err := json.Unmarshal(raw, &o); err != nil {
		if at := len(raw) - len(strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n")); at < len(raw) && strings.IndexByte(`{}`, raw[at]) < 0 && json.Valid(raw) {
			return nil, "is " + infile.JSONKind(raw) + ", no JSON object"
		}
		problem, _ = infile.ExplainJSON(err)
		return nil, problem
	}
	maps.DeleteFunc(o, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	if o == nil {
		return nil, "is null, no JSON object"
	}
	return o, ""
}

// Keys returns the keys in order.
func (o Object) Keys() []string { return slices.Sorted(maps.Keys(o)) }

// Key returns the key that has the role, "" if none has. The error is that of [Find].
func (o Object) Key(role Role) (string, error) {
	keys := o.Keys()
	i, err := Find(keys, role)
	if err != nil || i < 0 {
		return "", err
	}
	return keys[i], nil
}

// String describes the object by its keys, for messages.
func (o Object) String() string {
	const most = 10
	keys := o.Keys()
	var quoted []string
	for _, key := range keys[:min(len(keys), most)] {
		if len(key) > 40 {
			key = strings.ToValidUTF8(key[:40], "")
		}
		quoted = append(quoted, fmt.Sprintf("%q", key))
	}
	switch {
	case len(keys) == 0:
		return "an object without keys"
	case len(keys) > most:
		return fmt.Sprintf("an object with the keys %s and %d more", strings.Join(quoted, ", "), len(keys)-most)
	}
	return "an object with the keys " + strings.Join(quoted, ", ")
}

// value returns what is under key. No role has the key "".
func (o Object) value(key string) json.RawMessage {
	if key == "" {
		return nil
	}
	return o[key]
}

// Text returns the text under key, or the number as it is written; "" if there is nothing. The
// problem is "" unless it is something else.
func (o Object) Text(key string) (text, problem string) {
	raw := o.value(key)
	switch {
	case len(raw) == 0:
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			problem, _ = infile.ExplainJSON(err)
		}
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		text = string(raw)
	default:
		problem = fmt.Sprintf("%q is %s, want a text", key, infile.JSONKind(raw))
	}
	return text, problem
}

// Texts returns the text or the texts under key; none if there is nothing. The problem is ""
// unless it is something else.
func (o Object) Texts(key string) (texts []string, problem string) {
	raw := o.value(key)
	if len(raw) == 0 {
		return nil, ""
	}
	if raw[0] == '"' {
		text, problem := o.Text(key)
		return []string{text}, problem
	}
	if raw[0] != '[' {
		return nil, fmt.Sprintf("%q is %s, want a text or a list of texts", key, infile.JSONKind(raw))
	}
	if json.Unmarshal(raw, &texts) != nil {
		return nil, fmt.Sprintf("%q is a list of something else than texts", key)
	}
	return texts, ""
}

// Name is a name in JSON that may be a text or a number, which is kept as it is written.
type Name string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Name) UnmarshalJSON(raw []byte) error {
	if raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' {
		*n = Name(raw)
		return nil
	}
	return json.Unmarshal(raw, (*string)(n))
}

// Decode decodes the value under key into v, which stays if there is nothing. The problem is ""
// unless it is of another kind.
func (o Object) Decode(key string, v any) (problem string) {
	raw := o.value(key)
	if len(raw) == 0 {
		return ""
	}
	if err := json.Unmarshal(raw, v); err != nil {
		problem, _ = infile.ExplainJSON(err)
		return fmt.Sprintf("%q: %s", key, problem)
	}
	return ""
}
