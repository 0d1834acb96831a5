package captions

import (
	"path/filepath"
	"strings"
	"testing"
)

// Captions find their pictures whichever way a name is composed, and with "./" before it.
func TestNamesThatLookAlike(t *testing.T) {
	const composed, decomposed = "caf\u00e9.jpg", "cafe\u0301.jpg"
	for _, c := range []struct{ captions, disk string }{{composed, decomposed}, {decomposed, composed}, {"./" + composed, composed}, {"images/../b.jpg", "b.jpg"}} {
		src := folder(t, map[string]string{
			"captions.csv":     "image,caption\n" + c.captions + ",a dog\nplain.jpg,a cat\n",
			"images/" + c.disk: "picture", "images/plain.jpg": "picture",
			"train.txt": "./" + c.captions + "\nplain.jpg\n",
		})
		set, err := Read(src, "train")
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Images) != 2 || len(set.Captions) != 2 {
			t.Errorf("%q: images %q, captions %v", c.captions, set.Images, set.Captions)
		}
		found, err := findPictures(filepath.Join(src, "images"))
		if err != nil {
			t.Fatal(err)
		}
		if at := found.find(set.Images[0], nil); !strings.HasSuffix(found.path[at], c.disk) {
			t.Errorf("%q is found at %q, want %q", c.captions, found.path[at], c.disk)
		}
	}
}
