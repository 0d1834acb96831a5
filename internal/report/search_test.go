package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

const pixel = "data:image/png;base64,iVBORw0KGgo="

func TestWriteSearch(t *testing.T) {
	match := 3.25
	s := Search{
		Query: `two <b>dogs</b> & "a" cat`, About: "the best 2 of 9 pictures in /photos",
		Hits: []SearchHit{
			{Name: `<script>alert(1)</script>.jpg`, Link: "file:///photos/a%20b.jpg", Picture: pixel, Similarity: 0.51234, Match: &match},
			{Name: "gone.jpg", Similarity: math.NaN()},
		},
	}
	var b bytes.Buffer
	if err := WriteSearch(&b, s); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"two &lt;b&gt;dogs&lt;/b&gt; &amp; &#34;a&#34; cat", "&lt;script&gt;alert(1)&lt;/script&gt;.jpg", `href="file:///photos/a%20b.jpg"`, `src="` + pixel + `"`,
		"match 3.250", "similarity 0.512", "similarity –", "no picture to show", "the best 2 of 9 pictures", `name="viewport"`, "default-src 'none'",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http") && !strings.Contains(page, "http-equiv") {
		t.Error("the page has a script, or something to fetch")
	}
	b.Reset()
	if err := WriteSearch(&b, Search{Query: "x"}); err != nil || !strings.Contains(b.String(), "Nothing was found") {
		t.Errorf("without hits: %v, %s", err, b.String())
	}
	for name, s := range map[string]Search{
		"a picture that is none":      {Hits: []SearchHit{{Picture: "javascript:alert(1)"}}},
		"a query's that is none":      {Picture: `data:image/png;base64,AA" onload="x`},
		"a link with a script":        {Hits: []SearchHit{{Link: "javascript:alert(1)"}}},
		"a link to another machine":   {Hits: []SearchHit{{Link: "file://host/a.jpg"}}},
		"a link that is no file's":    {Hits: []SearchHit{{Link: "https://example.org/a.jpg"}}},
		"a link that ends the quotes": {Hits: []SearchHit{{Link: "file:a.jpg\" onclick=\"x"}}},
	} {
		b.Reset()
		if err := WriteSearch(&b, s); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes written", name, err, b.Len())
		}
	}
}
