// Package config fills a struct of settings from layers: defaults, preset, file,
// flags, each over the one before.
//
// A layer is a piece of YAML (JSON is YAML too) that is decoded onto the struct,
// which keeps what the layer does not mention. Keys are the json tags; a key the
// struct does not have is an error. The tag "help" documents a key.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is one key of a struct of settings.
type Setting struct {
	Key, Help string
	Value     any
}

// List returns the settings of the struct that settings points to, in the order
// of its fields. Unexported fields are no settings.
func List(settings any) []Setting {
	var list []Setting
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			switch {
			case field.Anonymous:
				walk(v.Field(i))
			case field.IsExported():
				list = append(list, Setting{field.Tag.Get("json"), field.Tag.Get("help"), v.Field(i).Interface()})
			}
		}
	}
	walk(reflect.ValueOf(settings).Elem())
	return list
}

// maxFileSize bounds a configuration file.
const maxFileSize = 1 << 20

// File lays the YAML or JSON file path over settings.
func File(settings any, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return fmt.Errorf("read configuration %s: not a regular file of at most %d KiB", path, maxFileSize>>10)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := overlay(settings, raw); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

// Set lays one assignment "key=value" over settings.
func Set(settings any, assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return fmt.Errorf("%q is not of the form key=value", assignment)
	}
	list := List(settings)
	i := slices.IndexFunc(list, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return unknown(key, list)
	}
	if strings.ContainsAny(value, "\n\r") {
		return fmt.Errorf("%s: the value holds a line break", key)
	}
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%s: no value after the equals sign", key)
	}
	if err := overlay(settings, []byte(key+": "+value+"\n")); err != nil {
		return fmt.Errorf("%s: %q is not a value of type %T", key, value, list[i].Value)
	}
	return nil
}

func unknown(key string, list []Setting) error {
	keys := make([]string, len(list))
	for i, s := range list {
		keys[i] = s.Key
	}
	return fmt.Errorf("unknown key %q: the keys are %s", key, strings.Join(keys, ", "))
}

func overlay(settings any, raw []byte) error {
	var keys map[string]any
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&keys); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("not a list of \"key: value\" lines: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the settings: a file holds one list of them")
	}
	list := List(settings)
	for key, value := range keys {
		if value == nil {
			return fmt.Errorf("%s: no value", key)
		}
		if !slices.ContainsFunc(list, func(s Setting) bool { return s.Key == key }) {
			return unknown(key, list)
		}
	}
	// By way of JSON, so that the struct needs one set of tags.
	asJSON, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	err = json.Unmarshal(asJSON, settings)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		key := mistyped.Field[strings.LastIndex(mistyped.Field, ".")+1:]
		return fmt.Errorf("%s: a %s where a value of type %s is needed", key, mistyped.Value, mistyped.Type)
	}
	return err
}
