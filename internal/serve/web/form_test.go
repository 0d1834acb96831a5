package web

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

type inner struct {
	Text string   `json:"text"`
	P    *float64 `json:"p,omitempty"`
}

type formed struct {
	inner
	Picture  Reference   `json:"picture"`
	Pictures []Reference `json:"pictures"`
	Texts    []string    `json:"texts"`
	K        *int        `json:"k"`
	Seed     *uint64     `json:"seed"`
	Stream   bool        `json:"stream"`
	Inputs   []inner     `json:"inputs"`
	Hidden   string
}

// field is one of a form: a text, or with a type or a file's name a file.
type field struct{ name, value, file, media string }

func multi(fields ...field) (body, media string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		h := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition(f.name, f.file)}}
		if f.file == "" {
			h.Set("Content-Disposition", `form-data; name="`+f.name+`"`)
		}
		if f.media != "" {
			h.Set("Content-Type", f.media)
		}
		part, _ := w.CreatePart(h)
		part.Write([]byte(f.value))
	}
	w.Close()
	return b.String(), w.FormDataContentType()
}

func readForm(body, media string, header ...string) (formed, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	if len(header) > 0 {
		r.Header.Set(header[0], header[1])
	}
	var into formed
	err := ReadStrict(httptest.NewRecorder(), r, Limits{Body: 2000, Items: 3}, &into)
	return into, err
}

func TestForm(t *testing.T) {
	half, k, seed := 0.5, 3, uint64(1<<64-1)
	want := formed{
		inner: inner{"für", &half}, Picture: "data:;base64,/9j/", Pictures: []Reference{"data:image/png;base64,QUJD", "data:;base64,QUI="},
		Texts: []string{"a", "", "1"}, K: &k, Seed: &seed, Stream: true,
	}
	body, media := multi(
		field{"picture", "\xff\xd8\xff", "a.jpg", ""}, field{"text", "für", "a.txt", "text/plain"}, field{"p", "0.5", "", ""}, field{"k", " 3", "", ""},
		field{"pictures", "data:image/png;base64,QUJD", "", ""}, field{"pictures", "AB", "", "image/png"}, field{"seed", "18446744073709551615", "", ""},
		field{"texts", "a", "", ""}, field{"texts", "", "", ""}, field{"texts", "1", "", ""}, field{"stream", "true", "", ""},
	)
	if got, err := readForm(body, media); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
	if got, err := readForm(body, media, "Content-Encoding", "gzip"); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := readForm(`{"k": 3}`, "application/json"); err != nil || *got.K != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := readForm(multi(field{"k", "", "", ""}, field{"picture", "", "", ""})); err != nil || got.K != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := readForm(body, "multipart/form-data"); err == nil || !strings.Contains(err.Error(), "boundary") {
		t.Error(err)
	}
}

func TestFormErrors(t *testing.T) {
	for _, c := range []struct {
		fields []field
		kind   backend.Kind
		param  string
		says   string
	}{
		{[]field{{"photo", "x", "a.jpg", ""}}, backend.Invalid, "photo", "no key"},
		{[]field{{"Hidden", "x", "", ""}}, backend.Invalid, "Hidden", "no key"},
		{[]field{{"", "x", "", ""}}, backend.Invalid, "", "no key"},
		{[]field{{"k", "three", "", ""}}, backend.Invalid, "k", `"three", which does not fit`},
		{[]field{{"k", "1.5", "", ""}}, backend.Invalid, "k", "1.5"},
		{[]field{{"stream", "yes", "", ""}}, backend.Invalid, "stream", "yes"},
		{[]field{{"text", "a", "", ""}, {"text", "b", "", ""}}, backend.Invalid, "text", "twice"},
		{[]field{{"text", "\xff", "a.jpg", "image/jpeg"}}, backend.Invalid, "text", "UTF-8"},
		{[]field{{"inputs", "[]", "", ""}}, backend.Invalid, "inputs", "send JSON"},
		{[]field{{"picture", strings.Repeat("x", 2000), "a.jpg", ""}}, backend.TooLarge, "", "2000 bytes"},
	} {
		_, err := readForm(multi(c.fields...))
		if e := backend.AsError(err); e == nil || e.Kind != c.kind || e.Param != c.param || !strings.Contains(e.Message, c.says) {
			t.Errorf("%v: %v", c.fields, err)
		}
	}
	many := "--x\r\nContent-Disposition: form-data; name=\"texts\"\r\n\r\n\r\n"
	if _, err := readForm(strings.Repeat(many, 13), "multipart/form-data; boundary=x"); backend.AsError(err).Kind != backend.TooLarge || !strings.Contains(err.Error(), "more than 12 fields") {
		t.Error(err)
	}
	for _, body := range []string{"", "--", "hello", many, "--x\r\n\r\n"} {
		if _, err := readForm(body, "multipart/form-data; boundary=x"); backend.AsError(err) == nil || backend.AsError(err).Kind != backend.Invalid || !strings.Contains(err.Error(), "no whole form") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// A form takes no more memory than a few times its bytes, whatever it is.
func FuzzForm(f *testing.F) {
	body, media := multi(field{"picture", "\xff\xd8\xff", "a.jpg", ""}, field{"k", "3", "", ""}, field{"texts", "a", "", ""})
	f.Add(body, media)
	f.Add("--x\r\nContent-Disposition: form-data; name=text\r\n\r\na\r\n--x--", "multipart/form-data; boundary=x")
	f.Fuzz(func(t *testing.T, body, media string) {
		r, err := http.NewRequest("POST", "/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", media)
		var into formed
		if err := ReadStrict(httptest.NewRecorder(), r, Limits{Body: 1 << 16, Items: 8}, &into); err != nil {
			if e := backend.AsError(err); e.Kind != backend.Invalid && e.Kind != backend.TooLarge {
				t.Errorf("%v: %v", e.Kind, err)
			}
			return
		}
		size := len(into.Text) + len(into.Picture)
		for _, p := range into.Pictures {
			size += len(p)
		}
		if size > 2*len(body) || len(into.Texts)+len(into.Pictures) > 8+len(fieldsOf(&into)) {
			t.Errorf("%d bytes of %d", size, len(body))
		}
	})
}
