package synth

import (
	"encoding/csv"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sight is what somebody sees of an object in a picture, in words and in pixels.
type sight struct {
	size, colour, shape string
	x, y                int // of its centre
}

// lookAt reads a picture of any scene from its pixels alone. It shares only the
// colours' table with what draws.
func lookAt(t *testing.T, img *image.RGBA) []sight {
	t.Helper()
	size := img.Rect.Dx()
	distance := func(x, y int, r, g, b uint8) int {
		c := img.RGBAAt(x, y)
		d := [3]int{int(c.R) - int(r), int(c.G) - int(g), int(c.B) - int(b)}
		return d[0]*d[0] + d[1]*d[1] + d[2]*d[2]
	}
	corner := img.RGBAAt(0, 0)
	filled := func(x, y int) bool {
		return distance(x, y, corner.R, corner.G, corner.B) > 60*60 && !isCurtain(img.RGBAAt(x, y))
	}

	var out []sight
	for quarter := range 4 {
		x0, y0 := size/2*(quarter%2), size/2*(quarter/2)
		box, area := image.Rectangle{}, 0
		votes := map[string]int{}
		for y := y0; y < y0+size/2; y++ {
			for x := x0; x < x0+size/2; x++ {
				if !filled(x, y) {
					continue
				}
				box = box.Union(image.Rect(x, y, x+1, y+1))
				area++
				nearest := slices.MinFunc(hues, func(a, b hue) int {
					return distance(x, y, a.color.R, a.color.G, a.color.B) - distance(x, y, b.color.R, b.color.G, b.color.B)
				})
				votes[nearest.name]++
			}
		}
		if area == 0 {
			continue
		}
		seen := sight{size: "small", x: (box.Min.X + box.Max.X) / 2, y: (box.Min.Y + box.Max.Y) / 2}
		if 64*box.Dx() > 17*size {
			seen.size = "big"
		}
		for name, n := range votes {
			if n > votes[seen.colour] {
				seen.colour = name
			}
		}
		switch full := float64(area) / float64(box.Dx()*box.Dy()); {
		case !filled(seen.x, seen.y):
			seen.shape = "ring"
		case full > 0.9:
			seen.shape = "square"
		case full > 0.65:
			seen.shape = "circle"
		case filled(box.Min.X+2, box.Max.Y-2):
			seen.shape = "triangle"
		case filled(box.Min.X+1, seen.y):
			seen.shape = "cross"
		default:
			seen.shape = "star"
		}
		out = append(out, seen)
	}
	if len(out) != 2 {
		t.Fatalf("the picture shows %d objects in its quarters: %v", len(out), out)
	}
	return out
}

// isCurtain says whether a colour is the curtain's grey.
func isCurtain(c color.RGBA) bool {
	return max(c.R, c.G, c.B)-min(c.R, c.G, c.B) < 12 && min(c.R, c.G, c.B) > 100 && max(c.R, c.G, c.B) < 180
}

// curtainAt finds the quarter that is curtain in its middle.
func curtainAt(img *image.RGBA) (place string) {
	size := img.Rect.Dx()
	for i, name := range []string{"top left", "top right", "bottom left", "bottom right"} {
		if isCurtain(img.RGBAAt(size/4+i%2*size/2, size/4+i/2*size/2)) {
			place += name
		}
	}
	return place
}

// place is where in a picture of size pixels somebody sees the object.
func (v sight) place(size int) string {
	place := "top "
	if v.y > size/2 {
		place = "bottom "
	}
	if v.x > size/2 {
		return place + "right"
	}
	return place + "left"
}

// said is what a reader makes of a caption.
type said struct {
	objects  [2]sight
	relation string    // of the first to the second, or empty
	places   [2]string // or empty
}

var (
	objectPattern   = `a (big|large|small|little) (\w+) (\w+)`
	relationPattern = regexp.MustCompile(`^(?:there is )?` + objectPattern + `(?: is)? (left of|to the left of|right of|to the right of|above|below) ` + objectPattern + `$`)
	placePatterns   = []*regexp.Regexp{
		regexp.MustCompile(`^` + objectPattern + ` is at the (?P<p>\w+ \w+) and ` + objectPattern + ` at the (?P<q>\w+ \w+)$`),
		regexp.MustCompile(`^at the (?P<p>\w+ \w+) is ` + objectPattern + ` and at the (?P<q>\w+ \w+) ` + objectPattern + `$`),
		regexp.MustCompile(`^the (?P<p>\w+ \w+) has ` + objectPattern + ` and the (?P<q>\w+ \w+) ` + objectPattern + `$`),
	}
)

// readCaption understands a caption from its words alone.
func readCaption(t *testing.T, text string) said {
	t.Helper()
	s, ok := tryCaption(text)
	if !ok {
		t.Fatalf("no reader understands %q", text)
	}
	return s
}

func tryCaption(text string) (s said, ok bool) {
	object := func(w []string) sight {
		size := map[string]string{"big": "big", "large": "big", "small": "small", "little": "small"}[w[0]]
		return sight{size: size, colour: w[1], shape: w[2]}
	}
	if m := relationPattern.FindStringSubmatch(text); m != nil {
		way := strings.Fields(strings.TrimPrefix(m[4], "to the "))[0]
		return said{objects: [2]sight{object(m[1:]), object(m[5:])}, relation: way}, true
	}
	for _, p := range placePatterns {
		m := p.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		s := said{places: [2]string{m[p.SubexpIndex("p")], m[p.SubexpIndex("q")]}}
		var words []string
		for i, name := range p.SubexpNames() {
			if i > 0 && name == "" {
				words = append(words, m[i])
			}
		}
		s.objects = [2]sight{object(words), object(words[3:])}
		return s, true
	}
	return said{}, false
}

// trueOf says whether what is said holds of what is seen in a picture of size pixels.
func (s said) trueOf(seen []sight, size int) bool {
	var at [2]sight
	for i, o := range s.objects {
		j := slices.IndexFunc(seen, func(v sight) bool { return v.size == o.size && v.colour == o.colour && v.shape == o.shape })
		if j < 0 {
			return false
		}
		at[i] = seen[j]
		if s.relation == "" && s.places[i] != seen[j].place(size) {
			return false
		}
	}
	if at[0] == at[1] {
		return false // one object, not two
	}
	clear := size / 5 // much less is neither left nor right
	switch s.relation {
	case "left":
		return at[1].x-at[0].x > clear
	case "right":
		return at[0].x-at[1].x > clear
	case "above":
		return at[1].y-at[0].y > clear
	case "below":
		return at[0].y-at[1].y > clear
	default:
		return true
	}
}

// Every caption, as a reader understands it, is true of its picture, as an eye sees
// it, and of no other held-out picture.
func TestCaptionsAreTrueOfTheirPictureAlone(t *testing.T) {
	const size = 256
	train, heldOut := Scenes(1, 3000, 150)
	if len(heldOut) != 150 {
		t.Fatalf("%d held-out scenes, want 150", len(heldOut))
	}
	var seen [][]sight
	for _, scene := range heldOut {
		seen = append(seen, lookAt(t, scene.Draw(size)))
	}
	for i, scene := range heldOut {
		for _, caption := range scene.Captions {
			s := readCaption(t, caption)
			for j := range seen {
				if s.trueOf(seen[j], size) != (i == j) {
					t.Errorf("%q is of picture %d; of picture %d, which shows %v, it is %t", caption, i, j, seen[j], i != j)
				}
			}
		}
	}
	for _, scene := range train[:100] {
		view := lookAt(t, scene.Draw(size))
		for _, caption := range scene.Captions {
			if !readCaption(t, caption).trueOf(view, size) {
				t.Errorf("%q is false of its picture, which shows %v", caption, view)
			}
		}
	}
}

// In the small pictures sizes are clearly two, and objects keep apart.
func TestSizesOfObjects(t *testing.T) {
	train, _ := Scenes(3, 500, 0)
	for _, scene := range train {
		a, b := scene.layout.objects[0], scene.layout.objects[1]
		for _, o := range []object{a, b} {
			across := 2 * o.radius * sceneSize / 1024
			if o.big && (across < 22 || across > 26) || !o.big && (across < 12 || across > 14) {
				t.Errorf("%s: %d pixels across", scene.Captions[0], across)
			}
			if o.x < o.radius || o.y < o.radius || o.x > 1024-o.radius || o.y > 1024-o.radius {
				t.Errorf("%s: an object leaves the picture", scene.Captions[0])
			}
		}
		if apart := a.radius + b.radius; max(a.x-b.x, b.x-a.x) <= apart && max(a.y-b.y, b.y-a.y) <= apart {
			t.Errorf("%s: the objects touch", scene.Captions[0])
		}
	}
}

// pairOf is the unordered pair of coloured shapes that a caption names.
func pairOf(t *testing.T, caption string) string {
	s := readCaption(t, caption)
	pair := []string{s.objects[0].colour + " " + s.objects[0].shape, s.objects[1].colour + " " + s.objects[1].shape}
	slices.Sort(pair)
	return strings.Join(pair, ", ")
}

func TestScenesHoldOutPairs(t *testing.T) {
	train, heldOut := Scenes(1, 5000, 200)
	if len(train) != 5000 || len(heldOut) != 200 {
		t.Fatalf("%d and %d scenes", len(train), len(heldOut))
	}
	known, coloured, words := map[string]bool{}, map[string]bool{}, map[string]bool{}
	texts := map[string]bool{}
	for _, scene := range train {
		for _, caption := range scene.Captions {
			pair := pairOf(t, caption)
			known[pair] = true
			for one := range strings.SplitSeq(pair, ", ") {
				coloured[one] = true
			}
			for _, w := range strings.Fields(caption) {
				words[w] = true
			}
		}
	}
	for _, scene := range heldOut {
		for _, caption := range scene.Captions {
			pair := pairOf(t, caption)
			if known[pair] {
				t.Errorf("the held-out pair %s is in a training scene", pair)
			}
			for one := range strings.SplitSeq(pair, ", ") {
				if !coloured[one] {
					t.Errorf("no training scene has a %s", one)
				}
			}
			for _, w := range strings.Fields(caption) {
				if !words[w] {
					t.Errorf("%q is in no training caption", w)
				}
			}
		}
	}
	for _, scene := range slices.Concat(train, heldOut) {
		if all := strings.Join(scene.Captions, "\n"); texts[all] {
			t.Errorf("two scenes have the captions %q", all)
		} else {
			texts[all] = true
		}
		if len(scene.Captions) != sceneCaptions || len(slices.Compact(slices.Sorted(slices.Values(scene.Captions)))) != sceneCaptions {
			t.Errorf("captions %q, want %d different ones", scene.Captions, sceneCaptions)
		}
		for _, caption := range scene.Captions {
			if n := len(strings.Fields(caption)); n < 10 || n > 18 {
				t.Errorf("%q has %d words", caption, n)
			}
		}
	}
	if len(words) > 40 || len(coloured) != len(hues)*len(figures) {
		t.Errorf("%d words and %d coloured shapes in training", len(words), len(coloured))
	}
}

func TestScenesDependOnTheSeedAlone(t *testing.T) {
	picture := func(s Scene) []byte { return s.Draw(32).Pix }
	a, b := Scenes(7, 300, 50)
	c, d := Scenes(7, 400, 60)
	for i := range a {
		if !reflect.DeepEqual(a[i].Captions, c[i].Captions) || !slices.Equal(picture(a[i]), picture(c[i])) {
			t.Fatalf("training scene %d changed when more were asked for", i)
		}
	}
	for i := range b {
		if !reflect.DeepEqual(b[i].Captions, d[i].Captions) || !slices.Equal(picture(b[i]), picture(d[i])) {
			t.Fatalf("held-out scene %d changed when more were asked for", i)
		}
	}
	if other, _ := Scenes(8, 1, 0); reflect.DeepEqual(a[0].Captions, other[0].Captions) {
		t.Error("another seed gave the same scene")
	}
}

// What sees only one thing of each object must fall short of 0.9; what recognises all of them
// needs not know which is whose.
func TestSceneBaselines(t *testing.T) {
	_, heldOut := Scenes(1, 3000, 100)
	baselines := SceneBaselines(heldOut)
	before := 0.0
	for i, b := range baselines {
		t.Logf("%s: %.2f", b.Name, b.Recall)
		if b.Recall <= before || i < 3 && b.Recall >= 0.9 {
			t.Errorf("%s: %.2f, want more than %.2f, and less than 0.9 of one thing alone", b.Name, b.Recall, before)
		}
		before = b.Recall
	}
	if baselines[0].Recall != 0.01 {
		t.Errorf("chance among 100 is %g", baselines[0].Recall)
	}
	if got := SceneBaselines(nil); len(got) != len(baselines) || got[0].Recall != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestWriteScenes(t *testing.T) {
	train, heldOut := Scenes(1, 1000, 4)
	train = train[:8]
	dir := t.TempDir()
	if err := WriteScenes(dir, train[3:], train[:3], heldOut); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "captions.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || !slices.Equal(rows[0], []string{"image", "caption"}) {
		t.Fatalf("captions.csv begins with %q: %v", rows[0], err)
	}
	captions := map[string][]string{}
	for _, r := range rows[1:] {
		captions[r[0]] = append(captions[r[0]], r[1])
	}
	if len(captions) != 12 {
		t.Errorf("captions of %d pictures, want 12", len(captions))
	}
	for name, scenes := range map[string][]Scene{"train.txt": train[3:], "dev.txt": train[:3], "test.txt": heldOut} {
		list, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pictures := strings.Fields(string(list))
		if len(pictures) != len(scenes) {
			t.Fatalf("%s names %d pictures, want %d", name, len(pictures), len(scenes))
		}
		for i, picture := range pictures {
			if !slices.Equal(captions[picture], scenes[i].Captions) {
				t.Errorf("%s has the captions %q, want %q", picture, captions[picture], scenes[i].Captions)
			}
			if img := readPNG(t, filepath.Join(dir, "images", picture)); !samePicture(img, scenes[i].Draw(64)) {
				t.Errorf("%s is not the scene as it is drawn", picture)
			}
		}
	}
	file := filepath.Join(dir, "train.txt")
	if err := WriteScenes(file, nil, nil, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a folder: %v, want an error that names it", err)
	}
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func samePicture(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, bl, al := a.At(x, y).RGBA()
			if R, G, B, A := b.At(x, y).RGBA(); r != R || g != G || bl != B || al != A {
				return false
			}
		}
	}
	return true
}

func BenchmarkDraw(b *testing.B) {
	train, _ := Scenes(1, 100, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		train[i%len(train)].Draw(sceneSize)
	}
}
