package web

import (
	"maps"
	"reflect"
	"strings"
	"time"
)

// SchemaOf is the schema of what a Go value is as JSON. Fields that may be left out are not required.
func SchemaOf(v any) Schema { return schemaOf(reflect.TypeOf(v)) }

func schemaOf(t reflect.Type) Schema {
	switch t.Kind() {
	case reflect.Bool:
		return Type("boolean", "")
	case reflect.Int, reflect.Int32, reflect.Int64:
		return Type("integer", "")
	case reflect.Uint64:
		return Schema{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return Type("number", "")
	case reflect.String:
		return Type("string", "")
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return Array(schemaOf(t.Elem()))
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return Schema{"type": "string", "format": "date-time"}
		}
		properties, required := propertiesOf(t)
		return Object(properties, required...)
	}
	panic("web: no schema of " + t.String()) // ours alone are asked for, all of them when a server begins
}

func propertiesOf(t reflect.Type) (properties map[string]Schema, required []string) {
	properties = map[string]Schema{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			inner, needed := propertiesOf(f.Type)
			maps.Copy(properties, inner)
			required = append(required, needed...)
		default:
			properties[name] = schemaOf(f.Type)
			if !strings.HasPrefix(options, "omit") {
				required = append(required, name)
			}
		}
	}
	return properties, required
}
