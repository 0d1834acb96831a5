// Package settings fills a struct of settings from layers: defaults, preset, file,
// flags, each over the one before.
//
// A layer is a piece of YAML (JSON is YAML too) that is decoded onto the struct,
// which keeps what the layer does not mention, or names without a value. Keys are the
// json tags; a key the struct does not have is an error. The tag "help" documents a key.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
)

// Setting is one key of a struct of settings.
type Setting struct {
	Key, Help string
	Value     any
	At        any               // points to the value in the struct
	Tag       reflect.StructTag // of the field
}

// List returns the settings of the struct that settings points to, in the order
// of its fields. Unexported fields are no settings.
func List(settings any) []Setting {
	var list []Setting
	for _, f := range fields(settings) {
		list = append(list, Setting{f.key, f.help, f.value.Interface(), f.value.Addr().Interface(), f.tag})
	}
	return list
}

// field is a setting where it is kept.
type field struct {
	key, help string
	value     reflect.Value
	tag       reflect.StructTag
}

func fields(settings any) []field {
	var list []field
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case f.Anonymous:
				walk(v.Field(i))
			case f.IsExported():
				list = append(list, field{f.Tag.Get("json"), f.Tag.Get("help"), v.Field(i), f.Tag})
			}
		}
	}
	walk(reflect.ValueOf(settings).Elem())
	return list
}

// find returns the setting of that name, or a [*names.Error].
func find(list []field, key string) (field, error) {
	i := slices.IndexFunc(list, func(f field) bool { return f.key == key })
	if i >= 0 {
		return list[i], nil
	}
	keys := make([]string, len(list))
	for i, f := range list {
		keys[i] = f.key
	}
	return field{}, names.Unknown("setting", key, keys)
}

// Keeper is a struct of settings with more keys than fields: those with a dot in them, such as "sst-2.max_seq_len". In a
// file such a key may also be a list of keys and values below "sst-2".
type Keeper interface {
	// Keep takes the value of such a key, as it is written.
	Keep(key, value string) error
}

// Share gives the settings of to the values that from has of the same keys.
func Share(to, from any) {
	theirs := fields(from)
	for _, f := range fields(to) {
		i := slices.IndexFunc(theirs, func(g field) bool { return g.key == f.key && g.value.Type() == f.value.Type() })
		if i >= 0 {
			f.value.Set(theirs[i].value)
		}
	}
}

// maxFileSize bounds a configuration file.
const maxFileSize = 1 << 20

// File lays the YAML or JSON file path over settings and returns the keys that it gives a value. Where it cannot be read
// the error is an [*infile.Error]; what is wrong in it is said with its line.
func File(settings any, path string) (keys []string, err error) {
	raw, err := infile.Read(path, maxFileSize)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	keys, line, err := overlay(settings, infile.TrimMark(raw))
	if err != nil {
		if line > 0 {
			path = fmt.Sprintf("%s:%d", path, line)
		}
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return keys, nil
}

// Key is the key of an assignment "key=value", without hyphens.
func Key(assignment string) string {
	key, _, _ := strings.Cut(assignment, "=")
	return strings.ReplaceAll(strings.TrimSpace(key), "-", "_")
}

// Set lays one assignment "key=value" over settings. The key may have hyphens for its
// underscores. The value is YAML; of a text, and of a list of texts, it is also the text as it is.
func Set(settings any, assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return fmt.Errorf("%q is not of the form key=value", assignment)
	}
	value = strings.TrimSpace(value)
	if keeper, ok := settings.(Keeper); ok && strings.Contains(key, ".") {
		return keeper.Keep(key, value)
	}
	f, err := find(fields(settings), Key(assignment))
	if err != nil {
		return err
	}
	if strings.ContainsAny(value, "\n\r") {
		return fmt.Errorf("%s: the value holds a line break", f.key)
	}
	if value == "" {
		empty := ""
		if f.value.Kind() == reflect.String {
			empty = fmt.Sprintf(", or %s='\"\"' for an empty one", f.key)
		}
		return fmt.Errorf("%s= has no value; write %[1]s=VALUE%s, or leave it out to keep %v", f.key, empty, f.value)
	}
	if f.literal(value) {
		return f.set(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) != 1 {
		return fmt.Errorf("%s is %s, want %s", f.key, shown(value), f.wants())
	}
	return f.set(doc.Content[0])
}

// literal says whether a value given for the field is the text itself, not YAML.
func (f field) literal(value string) bool {
	switch f.value.Interface().(type) {
	case string:
		return !strings.ContainsAny(value[:1], "\"'")
	case []string:
		return !strings.ContainsAny(value[:1], "\"'[")
	}
	return false
}

// overlay lays a list of "key: value" lines over settings and returns the keys, and the line of its error, 0
// where that is about all of it. Nothing is changed if there is one.
func overlay(settings any, raw []byte) (keys []string, line int, err error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, fmt.Errorf("not a list of \"key: value\" lines: %s", strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, 0, errors.New("there is more after the settings: a file holds one list of them")
	}
	top := doc.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil, 0, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, top.Line, fmt.Errorf("a file of settings is a list of \"key: value\" lines, not %s", nodeKind(top))
	}
	list := fields(settings)
	seen := map[string]bool{}
	before := make([]reflect.Value, len(list))
	for i, f := range list {
		before[i] = reflect.ValueOf(f.value.Interface())
	}
	defer func() {
		if err != nil {
			for i, f := range list {
				f.value.Set(before[i])
			}
		}
	}()
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if keeper, ok := settings.(Keeper); ok && (strings.Contains(key.Value, ".") || value.Kind == yaml.MappingNode) {
			if line, err := keep(keeper, key, value); err != nil {
				return nil, line, err
			}
			continue
		}
		f, err := find(list, key.Value)
		if err != nil {
			return nil, key.Line, err
		}
		if seen[f.key] {
			return nil, key.Line, fmt.Errorf("%s is given twice", f.key)
		}
		seen[f.key] = true
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			continue // a key without a value leaves the setting as it is
		}
		if err := f.set(value); err != nil {
			return nil, value.Line, err
		}
		keys = append(keys, f.key)
	}
	return keys, 0, nil
}

// keep gives a keeper the value of a key with a dot, or those below a key. The line is that of an error.
func keep(k Keeper, key, value *yaml.Node) (line int, err error) {
	if value.Kind != yaml.MappingNode {
		text, ok := textOf(value)
		if !ok {
			return value.Line, fmt.Errorf("%s is %s, want a value", key.Value, nodeKind(value))
		}
		return key.Line, k.Keep(key.Value, text)
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		below, value := value.Content[i], value.Content[i+1]
		text, ok := textOf(value)
		if !ok {
			return value.Line, fmt.Errorf("%s.%s is %s, want a value", key.Value, below.Value, nodeKind(value))
		}
		if err := k.Keep(key.Value+"."+below.Value, text); err != nil {
			return below.Line, err
		}
	}
	return 0, nil
}

// set gives the field the value of a node.
func (f field) set(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		return fmt.Errorf("%s: settings have no aliases (*%s); write the value itself", f.key, node.Value)
	}
	switch f.value.Interface().(type) {
	case string:
		if text, ok := textOf(node); ok {
			f.value.SetString(text)
			return nil
		}
	case []string:
		items := []*yaml.Node{node}
		if node.Kind == yaml.SequenceNode {
			items = node.Content
		}
		texts := make([]string, len(items))
		for i, item := range items {
			var ok bool
			if texts[i], ok = textOf(item); !ok {
				return f.mistyped(item)
			}
		}
		f.value.Set(reflect.ValueOf(texts))
		return nil
	case bool:
		if node.Kind == yaml.ScalarNode && node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 && node.Decode(f.value.Addr().Interface()) == nil && node.Tag != "!!null" {
			return nil
		}
	default: // numbers, by way of JSON, which refuses what does not fit
		var number any
		if node.Kind != yaml.ScalarNode || node.Decode(&number) != nil {
			break
		}
		if x, ok := number.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) || number == nil {
			break
		}
		raw, err := json.Marshal(number)
		if err == nil && json.Unmarshal(raw, f.value.Addr().Interface()) == nil {
			return nil
		}
	}
	return f.mistyped(node)
}

// textOf returns a scalar as it is written.
func textOf(node *yaml.Node) (string, bool) {
	return node.Value, node.Kind == yaml.ScalarNode && node.Tag != "!!null"
}

// mistyped is the error of a node that is no value of the field.
func (f field) mistyped(node *yaml.Node) error {
	return fmt.Errorf("%s is %s, want %s", f.key, nodeKind(node), f.wants())
}

// wants says what a value of the field is.
func (f field) wants() string {
	switch f.value.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list of texts: [\"a\", \"b\"]"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint64:
		return "a whole number from 0 on"
	}
	return "a whole number"
}

// nodeKind says what a node is.
func nodeKind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a list of keys and values"
	case yaml.ScalarNode:
		if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			return fmt.Sprintf("the text %q", node.Value)
		}
		if node.Tag == "!!null" {
			return "nothing (null)"
		}
		return shown(node.Value)
	}
	return "an alias"
}

// shown is a value in a message: as it is, if that is a short word that a terminal can show.
func shown(value string) string {
	const longest = 60
	if r := []rune(value); len(r) > longest {
		value = string(r[:longest]) + "..."
	}
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
