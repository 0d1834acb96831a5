package textscore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

const (
	resultRemedy     = `give a JSON list of {"image_id": 1, "caption": "..."}`
	annotationRemedy = `give COCO's captions: {"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "..."}]}`
)

// captioned are the captions of pictures, by the pictures' ids.
type captioned struct {
	file string
	ids  []columns.Name // in the order of the file
	of   map[columns.Name][]string
}

// readCaptions reads a result file and COCO's annotations, which decide which pictures there are.
func readCaptions(ctx context.Context, hypFile, refFile string) ([]Text, error) {
	hyps, err := readDocument(ctx, hypFile, readResult)
	if err != nil {
		return nil, err
	}
	refs, err := readDocument(ctx, refFile, readAnnotations)
	if err != nil {
		return nil, err
	}
	for _, id := range hyps.ids {
		if _, known := refs.of[id]; !known {
			return nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("image %s is not in %s", id, refFile), Remedy: "leave it out, or name the annotations of these images"}
		}
	}
	texts := make([]Text, len(refs.ids))
	missing, first := 0, columns.Name("")
	for i, id := range refs.ids {
		captions := hyps.of[id]
		if len(captions) == 0 {
			if missing++; missing == 1 {
				first = id
			}
			continue
		}
		texts[i] = Text{Hyp: captions[0], Refs: refs.of[id]}
	}
	if missing > 0 {
		return nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("has no caption of image %s; %d of %d images in %s lack one", first, missing, len(refs.ids), refFile),
			Remedy: "write a caption of every image, or name annotations of these images alone"}
	}
	return texts, nil
}

func readDocument(ctx context.Context, path string, read func(r io.Reader, file string) (*captioned, error)) (*captioned, error) {
	f, err := infile.OpenText(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path)
}

// annotation is an item of either file. Pictures have an id, captions an image's.
type annotation struct {
	ID      *columns.Name `json:"id"`
	Image   *columns.Name `json:"image_id"`
	Caption *string       `json:"caption"`
}

func (c *captioned) wrong(i textfile.Item, remedy, format string, args ...any) error {
	return &textfile.FileError{File: c.file, Line: i.Line, Problem: i.String() + " " + fmt.Sprintf(format, args...), Remedy: remedy}
}

func (c *captioned) parse(i textfile.Item, remedy string) (a annotation, err error) {
	if err := json.Unmarshal(i.Raw, &a); err != nil {
		problem, _ := infile.ExplainJSON(err)
		return a, c.wrong(i, remedy, "cannot be read: %s", problem)
	}
	if a.Caption != nil && len(*a.Caption) > maxText {
		return a, c.wrong(i, remedy, "has a caption of more than %d bytes", maxText)
	}
	return a, nil
}

// add adds a caption, or none to what is known of a picture.
func (c *captioned) add(id columns.Name, captions ...string) {
	if _, known := c.of[id]; !known {
		c.ids = append(c.ids, id)
	}
	c.of[id] = append(c.of[id], captions...)
}

func readResult(r io.Reader, file string) (*captioned, error) {
	c := &captioned{file: file, of: map[columns.Name][]string{}}
	err := textfile.EachItem(r, file, func(string) bool { return false }, func(i textfile.Item) error {
		if i.Number == 0 {
			return c.wrong(i, resultRemedy, "is of an object, where a list is wanted")
		}
		a, err := c.parse(i, resultRemedy)
		switch {
		case err != nil:
			return err
		case a.Image == nil || a.Caption == nil:
			return c.wrong(i, resultRemedy, `lacks "image_id" or "caption"`)
		case len(c.of[*a.Image]) > 0:
			return c.wrong(i, "leave one of the captions out", "is another caption of image %s", *a.Image)
		}
		c.add(*a.Image, *a.Caption)
		return nil
	})
	if err == nil && len(c.ids) == 0 {
		err = &textfile.FileError{File: file, Problem: "has no captions", Remedy: resultRemedy}
	}
	return c, err
}

// readAnnotations reads COCO's captions. The pictures are in the order of "images", as in the official
// evaluation, and those that have captions alone behind them.
func readAnnotations(r io.Reader, file string) (*captioned, error) {
	c := &captioned{file: file, of: map[columns.Name][]string{}}
	var pictures []columns.Name
	err := textfile.EachItem(r, file, func(key string) bool { return key == "images" || key == "annotations" }, func(i textfile.Item) error {
		if i.Number == 0 {
			return nil // licences and the like
		}
		a, err := c.parse(i, annotationRemedy)
		switch {
		case err != nil:
			return err
		case i.Key == "images" && a.ID != nil:
			pictures = append(pictures, *a.ID)
			return nil
		case i.Key != "annotations" || a.Image == nil || a.Caption == nil:
			return c.wrong(i, annotationRemedy, `lacks "image_id" or "caption"`)
		}
		c.add(*a.Image, *a.Caption)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.ids) == 0 {
		return nil, &textfile.FileError{File: file, Problem: "has no captions", Remedy: annotationRemedy}
	}
	return c, c.order(pictures)
}

// order puts the pictures in that order.
func (c *captioned) order(pictures []columns.Name) error {
	seen := map[columns.Name]bool{}
	var ids []columns.Name
	for _, id := range pictures {
		switch {
		case seen[id]:
			return &textfile.FileError{File: c.file, Problem: fmt.Sprintf("image %s is there twice", id), Remedy: "leave one out"}
		case len(c.of[id]) == 0:
			return &textfile.FileError{File: c.file, Problem: fmt.Sprintf("image %s has no captions", id), Remedy: "leave it out"}
		}
		seen[id] = true
		ids = append(ids, id)
	}
	for _, id := range c.ids {
		if !seen[id] {
			ids = append(ids, id)
		}
	}
	c.ids = ids
	return nil
}

func isJSON(file string) bool { return strings.HasSuffix(strings.ToLower(file), ".json") }
