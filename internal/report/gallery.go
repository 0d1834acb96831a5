package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// galleryView is a gallery ready for the page.
type galleryView struct {
	Gallery
	Asked []queryView
}

// queryView is a query of the gallery ready for the page.
type queryView struct {
	Text    string
	Picture template.URL
	Alt     string
	Right   bool
	Verdict string
	Found   []foundView
}

type foundView struct {
	Text    string
	Picture template.URL
	Alt     string
	Score   string
	Right   bool
}

// viewGallery words the verdicts and formats the scores. The pictures have been
// checked to be nothing but pictures.
func viewGallery(queries []GalleryQuery) []queryView {
	var out []queryView
	for _, q := range queries {
		v := queryView{Text: q.Text, Picture: template.URL(q.Picture), Alt: cmp.Or(q.Alt, "the picture that was asked about"), Right: q.Right, Verdict: "right one first"}
		if q.Verdict != "" {
			v.Verdict = q.Verdict
		} else if !q.Right {
			v.Verdict = "right one not among these"
			if i := slices.IndexFunc(q.Found, func(f GalleryItem) bool { return f.Right }); i >= 0 {
				v.Verdict = fmt.Sprintf("right one in place %d", i+1)
			}
		}
		for _, f := range q.Found {
			score := "–"
			if f.Note != "" {
				score = f.Note
			} else if drawable(f.Score) {
				score = strconv.FormatFloat(f.Score, 'f', 3, 64)
			}
			v.Found = append(v.Found, foundView{f.Text, template.URL(f.Picture), cmp.Or(f.Alt, f.Text, "a picture that was found"), score, f.Right})
		}
		out = append(out, v)
	}
	return out
}

// checkGallery returns an error for a picture that is anything but data of a picture.
func checkGallery(queries []GalleryQuery) error {
	for i, q := range queries {
		if q.Picture != "" && !isPictureData(q.Picture) {
			return fmt.Errorf("report: gallery: the picture of query %d is %.40q, want a data: URI of a JPEG, PNG, GIF or WebP in base64", i, q.Picture)
		}
		for j, f := range q.Found {
			if f.Picture != "" && !isPictureData(f.Picture) {
				return fmt.Errorf("report: gallery: query %d: the picture of item %d is %.40q, want a data: URI of a JPEG, PNG, GIF or WebP in base64", i, j, f.Picture)
			}
		}
	}
	return nil
}

// isPictureData says whether uri holds a picture in base64 and nothing else.
func isPictureData(uri string) bool {
	kind, data, _ := strings.Cut(uri, ";base64,")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	return slices.Contains([]string{"data:image/jpeg", "data:image/png", "data:image/gif", "data:image/webp"}, kind) &&
		data != "" && strings.Trim(data, alphabet) == ""
}
