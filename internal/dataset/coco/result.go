package coco

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// officialName is how COCO calls its pictures: by a number, since 2017 by that alone. The reference writes coco2014_ before it.
var officialName = regexp.MustCompile(`(?:^|/)(?:COCO_(?:train|val|test)\d{4}_|coco\d{4}_)?(\d{12})(?:\.\w+)?$`)

// ImageID returns the number that COCO's server knows a picture by, from its name, such as COCO_val2014_000000391895.jpg;
// false for other pictures' names.
func ImageID(name string) (int64, bool) {
	m := officialName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return n, err == nil
}

// Written is a caption that a model wrote.
type Written struct{ Image, Caption string }

// WriteResult writes captions as COCO's server takes them, [{"image_id", "caption"}]. The ids are numbers if all names are
// COCO's, else the names. Two captions with one id are an error.
func WriteResult(path string, captions []Written) error {
	type item struct {
		Image   any    `json:"image_id"`
		Caption string `json:"caption"`
	}
	items, official := make([]item, len(captions)), true
	for i, c := range captions {
		id, ok := ImageID(c.Image)
		official = official && ok
		items[i] = item{id, c.Caption}
	}
	seen := map[any]string{}
	for i, c := range captions {
		if !official {
			items[i].Image = c.Image
		}
		if other, twice := seen[items[i].Image]; twice {
			return fmt.Errorf("images %q and %q have one id, %v; leave one of them out", other, c.Image, items[i].Image)
		}
		seen[items[i].Image] = c.Image
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(items)
	})
}
