package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strconv"
)

//go:embed search.html
var searchSource string

var searchPage = template.Must(template.New("search").Parse(searchSource))

// Search is what was found for one query, to be shown as a page of pictures.
type Search struct {
	Query   string // the text, or the name of the picture that was searched with
	Picture string // data: URI of that picture; "" for a text
	About   string // a line about where was looked
	Hits    []SearchHit
}

// SearchHit is a picture that was found.
type SearchHit struct {
	Name       string
	Link       string   // file: URL of the picture; "" without
	Picture    string   // data: URI; "" if the picture cannot be shown
	Similarity float64  // of the vectors
	Match      *float64 // of the full model, where it looked
}

// searchView is what the page's template is filled with.
type searchView struct {
	Style        template.CSS
	Title, About string
	Picture      template.URL
	Hits         []hitView
}

type hitView struct {
	Rank              int
	Name              string
	Link, Picture     template.URL
	Match, Similarity string
}

// WriteSearch writes what was found to w as one HTML page in UTF-8, which holds all it shows. A
// picture that is none is an error, and nothing is written then.
func WriteSearch(w io.Writer, s Search) error {
	v := searchView{Style: template.CSS(pageStyle), Title: s.Query, About: s.About, Picture: template.URL(s.Picture)}
	if s.Picture != "" && !isPictureData(s.Picture) {
		return fmt.Errorf("report: the picture of the query is %.40q, want a data: URI of a picture", s.Picture)
	}
	for i, h := range s.Hits {
		if h.Picture != "" && !isPictureData(h.Picture) {
			return fmt.Errorf("report: picture %d is %.40q, want a data: URI of a picture", i+1, h.Picture)
		}
		if h.Link != "" && !isFileURL(h.Link) {
			return fmt.Errorf("report: the link of picture %d is %.40q, want a file: URL", i+1, h.Link)
		}
		hit := hitView{Rank: i + 1, Name: h.Name, Link: template.URL(h.Link), Picture: template.URL(h.Picture), Similarity: score(h.Similarity)}
		if h.Match != nil {
			hit.Match = score(*h.Match)
		}
		v.Hits = append(v.Hits, hit)
	}
	return fill(w, searchPage, v)
}

// isFileURL says whether a link leads to a file and cannot be anything else.
func isFileURL(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "file" && u.Host == "" && u.Opaque == ""
}

func score(v float64) string {
	if !drawable(v) {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
