package captions

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// rows yields a row for each caption of an object about an image, or one with what is wrong. r has the line and
// what the names of images begin with.
func rows(o columns.Object, r row, yield func(row) error) error {
	fail := func(problem string) error {
		r.problem = problem
		return yield(r)
	}
	var key [4]string
	for i, role := range []columns.Role{columns.Image, columns.Caption, columns.ID, columns.Split} {
		var err error
		if key[i], err = o.Key(role); err != nil {
			return fail(err.Error())
		}
	}
	if key[0] == "" && o["image_id"] != nil {
		key[0] = "image_id" // what the image goes by where nothing else says
	}
	if key[0] == "" {
		return fail("is " + o.String() + ", none of which is an image")
	}
	var problem string
	for i, to := range []*string{0: &r.image, 2: &r.id, 3: &r.split} {
		if to == nil || problem != "" || key[i] == "" {
			continue
		}
		*to, problem = o.Text(key[i])
	}
	texts, wrong := o.Texts(key[1])
	if problem != "" || wrong != "" {
		r.image = ""
		return fail(strings.TrimSpace(problem + " " + wrong))
	}
	if problem := o.Decode("tokens", &r.tokens); problem != "" && len(texts) == 0 {
		return fail(problem)
	}
	switch {
	case len(texts) > maxImageCaptions:
		return fail(fmt.Sprintf("image %s has %d captions, more than %d", textfile.Quote(r.image), len(texts), maxImageCaptions))
	case len(texts) == 0 && r.tokens == nil && key[1] == "":
		return fail(fmt.Sprintf("image %s has no caption: it is %s", textfile.Quote(r.image), o))
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
