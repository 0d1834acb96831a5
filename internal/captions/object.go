package captions

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/columns"
	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/infile"
)

// object is a JSON object about an image: its values by key. Which key is what the table of
// [columns] says, so that JSON and tables take the same names; other keys are not looked at.
type object map[string]json.RawMessage

// parseObject reads one object. The problem is "" if it is one.
func parseObject(raw []byte) (o object, problem string) {
	if err := json.Unmarshal(raw, &o); err != nil {
		problem, _ = infile.ExplainJSON(err)
	} else if o == nil {
		problem = "the value is null, want an object"
	}
	return o, problem
}

// key returns the key that has a role, "" if none has.
func (o object) key(role columns.Role) (string, error) {
	keys := slices.Sorted(maps.Keys(o))
	i, err := columns.Find(keys, role)
	if err != nil || i < 0 {
		return "", err
	}
	return keys[i], nil
}

// keys describes the object to people.
func (o object) keys() string {
	const most = 10
	keys := slices.Sorted(maps.Keys(o))
	quoted := make([]string, 0, most)
	for _, key := range keys[:min(len(keys), most)] {
		quoted = append(quoted, data.Quote(key))
	}
	switch {
	case len(keys) == 0:
		return "no keys"
	case len(keys) > most:
		return fmt.Sprintf("the keys %s and %d more", strings.Join(quoted, ", "), len(keys)-most)
	}
	return "the keys " + strings.Join(quoted, ", ")
}

// null says whether a value is not there.
func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// text returns a text or a number as it is written. The problem is "" if the value under key is one, or not there.
func (o object) text(key string) (text, problem string) {
	raw := o[key]
	switch {
	case null(raw):
	case raw[0] == '"':
		json.Unmarshal(raw, &text) // valid, as it was read before
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		text = string(raw)
	default:
		problem = fmt.Sprintf("%q is %s, want a text", key, infile.JSONKind(raw))
	}
	return text, problem
}

// texts returns one text or a list of them. The problem is "" if the value under key is that, or not there.
func (o object) texts(key string) (texts []string, problem string) {
	raw := o[key]
	if null(raw) {
		return nil, ""
	}
	if raw[0] == '"' {
		texts = make([]string, 1)
		json.Unmarshal(raw, &texts[0])
		return texts, ""
	}
	if raw[0] != '[' || json.Unmarshal(raw, &texts) != nil {
		return nil, fmt.Sprintf("%q is %s, want a text or a list of texts", key, infile.JSONKind(raw))
	}
	return texts, ""
}

// rows yields a row for each caption of the object, or one with what is wrong. r has the line and
// what the names of images begin with.
func (o object) rows(r row, yield func(row) error) error {
	fail := func(problem string) error {
		r.problem = problem
		return yield(r)
	}
	var key [4]string
	for i, role := range []columns.Role{columns.Image, columns.Caption, columns.ID, columns.Split} {
		var err error
		if key[i], err = o.key(role); err != nil {
			return fail(err.Error())
		}
	}
	if key[0] == "" {
		return fail("has no image: there are " + o.keys())
	}
	var problem string
	for i, to := range []*string{0: &r.image, 2: &r.id, 3: &r.split} {
		if to == nil || problem != "" || key[i] == "" {
			continue
		}
		*to, problem = o.text(key[i])
	}
	texts, wrong := o.texts(key[1])
	if problem != "" || wrong != "" {
		r.image = ""
		return fail(strings.TrimSpace(problem + " " + wrong))
	}
	if raw := o["tokens"]; !null(raw) {
		if err := json.Unmarshal(raw, &r.tokens); err != nil && len(texts) == 0 {
			problem, _ := infile.ExplainJSON(err)
			return fail(`"tokens": ` + problem)
		}
	}
	switch {
	case len(texts) > maxImageCaptions:
		return fail(fmt.Sprintf("image %s has %d captions, more than %d", data.Quote(r.image), len(texts), maxImageCaptions))
	case len(texts) == 0 && r.tokens == nil && key[1] == "":
		return fail(fmt.Sprintf("image %s has no caption: there are %s", data.Quote(r.image), o.keys()))
	case len(texts) == 0:
		texts = []string{""} // of tokens alone, or empty
	case len(texts) > 1:
		r.tokens, r.id = nil, ""
	}
	for _, r.text = range texts {
		r.problem = ""
		r := r
		r.check()
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}
