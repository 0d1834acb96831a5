package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Reference is where the picture of a request is: a data URL, or a URL that the server may fetch. A file of a form becomes a data URL.
type Reference string

// ReadStrict is [ReadStrictJSON] that takes a form (multipart/form-data), too, whose fields are named as the keys of the JSON are. into points
// to a struct. Texts and files are taken as they are, numbers as JSON has them; a list is a field for each of its elements.
func ReadStrict(w http.ResponseWriter, r *http.Request, l Limits, into any) error {
	if !isForm(r) {
		return ReadStrictJSON(w, r, l, into)
	}
	if err := checkEncoding(r); err != nil {
		return err
	}
	if r.ContentLength > l.Body {
		return l.TooLarge()
	}
	r.Body = http.MaxBytesReader(w, r.Body, l.Body)
	parts, err := r.MultipartReader()
	if err != nil {
		return &backend.Error{Kind: backend.Invalid, Message: "the form says no boundary between its fields; curl -F and other clients give one themselves", Err: err}
	}
	f := form{fields: fieldsOf(into), seen: map[string]bool{}}
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return badForm(r, l, err)
		}
		if most := l.Items + len(f.fields); n == most {
			return &backend.Error{Kind: backend.TooLarge, Limit: most, Message: fmt.Sprintf("the form has more than %d fields; send several requests", most)}
		}
		raw, err := io.ReadAll(part)
		if err != nil {
			return badForm(r, l, err)
		}
		media := part.Header.Get("Content-Type")
		file := part.FileName() != "" || strings.HasPrefix(media, "image/") || media == "application/octet-stream"
		if err := f.set(part.FormName(), raw, file); err != nil {
			return err
		}
	}
}

func isForm(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == "multipart/form-data"
}

// badForm is what broke off the reading of a form: the body, or the form that it is.
func badForm(r *http.Request, l Limits, err error) error {
	if e := l.readError(r, err); !errors.Is(e, errEarly) {
		return e
	}
	return &backend.Error{Kind: backend.Invalid, Message: "the body is no whole form: " + err.Error(), Err: err}
}

// form fills the fields of a struct.
type form struct {
	fields map[string]reflect.Value
	seen   map[string]bool
}

// fieldsOf are the fields of the struct that into points to, also of structs embedded in it, by the names that JSON has for them.
func fieldsOf(into any) map[string]reflect.Value {
	v := reflect.ValueOf(into).Elem()
	fields := map[string]reflect.Value{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = v.FieldByIndex(f.Index)
		}
	}
	return fields
}

func (f *form) set(name string, raw []byte, file bool) error {
	to, ok := f.fields[name]
	if !ok {
		return unknownKey(name, f.fields)
	}
	list := to.Kind() == reflect.Slice
	if f.seen[name] && !list {
		return backend.Errorf(backend.Invalid, name, "%s is there twice", name)
	}
	f.seen[name] = true
	kind := to.Type()
	if list {
		kind = kind.Elem()
	}
	var text string
	switch {
	case kind == reflect.TypeFor[Reference]() && file:
		text = "data:;base64," + base64.StdEncoding.EncodeToString(raw)
	case kind.Kind() == reflect.String:
		if text = string(raw); !utf8.ValidString(text) {
			return backend.Errorf(backend.Invalid, name, "%s is no text of UTF-8", name)
		}
	case list:
		return backend.Errorf(backend.Invalid, name, "%s has no place in a form; send JSON", name)
	case len(raw) == 0: // an empty field of a page
		return nil
	default:
		if err := json.Unmarshal(raw, to.Addr().Interface()); err != nil {
			return &backend.Error{Kind: backend.Invalid, Param: name, Message: fmt.Sprintf("%s is %.40q, which does not fit there", name, raw), Err: err}
		}
		return nil
	}
	if list {
		to.Set(reflect.Append(to, reflect.ValueOf(text).Convert(kind)))
	} else {
		to.SetString(text)
	}
	return nil
}
