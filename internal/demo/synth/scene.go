package synth

import (
	"image/color"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Scene is a synthetic picture of two coloured shapes, with captions that are true
// of it. [Scene.Draw] draws it.
type Scene struct {
	// Captions are sceneCaptions distinct texts of 10 to 18 lower-case words. Each
	// names both objects by size, colour and shape, and says how they lie to each
	// other or where in the picture they are.
	Captions []string
	// Questions and Hypotheses are of scenes with a curtain; see [CurtainScenes].
	Questions  []Question
	Hypotheses []Hypothesis

	layout   layout
	wordings wordings
	claims   []claim // that the captions make
}

// sceneCaptions is how many captions a scene has.
const sceneCaptions = 3

// Scenes draws train scenes without held-out pairs of objects, and heldOut scenes
// with one each, another one in each (see the package's text). No two scenes have the same captions,
// each word of the held-out scenes occurs in the training scenes, and every caption
// of a held-out scene is false of all other held-out scenes.
//
// The same seed gives the same scenes, on every machine; asking for fewer gives the
// first of them. The training set does not depend on heldOut. There are fewer than three
// hundred held-out pairs; asking for more scenes gives no more.
func Scenes(seed uint64, train, heldOut int) (trainSet, heldOutSet []Scene) {
	return drawScenes(sceneWorld{}, seed, train, heldOut)
}

// CurtainScenes are other [Scenes]: a curtain hides one of the quarters without an object, and each has
// Questions and Hypotheses.
func CurtainScenes(seed uint64, train, heldOut int) (trainSet, heldOutSet []Scene) {
	return drawScenes(sceneWorld{curtain: true}, seed, train, heldOut)
}

func drawScenes(w sceneWorld, seed uint64, train, heldOut int) (trainSet, heldOutSet []Scene) {
	a, b := split(w, seed, train, 8*heldOut)
	for _, d := range a {
		trainSet = append(trainSet, d.form)
	}
	used := map[[2]int]bool{}
	for _, d := range b {
		if len(heldOutSet) == heldOut {
			break
		}
		if pair := d.form.layout.pair(); !used[pair] && !slices.ContainsFunc(heldOutSet, d.form.confusable) {
			used[pair] = true
			heldOutSet = append(heldOutSet, d.form)
		}
	}
	return trainSet, heldOutSet
}

// confusable says whether a caption of one scene is true of the other.
func (a Scene) confusable(b Scene) bool {
	holds := func(l layout) func(claim) bool { return func(c claim) bool { return c.holds(l) } }
	return slices.ContainsFunc(a.claims, holds(b.layout)) || slices.ContainsFunc(b.claims, holds(a.layout))
}

// The colours and shapes of all scenes. All shapes are their own mirror images, so
// that a flipped picture needs no more than "left" and "right" exchanged.
var (
	hues = []hue{
		{"red", color.RGBA{222, 30, 38, 255}}, {"orange", color.RGBA{250, 134, 14, 255}}, {"yellow", color.RGBA{242, 214, 20, 255}},
		{"green", color.RGBA{28, 158, 62, 255}}, {"blue", color.RGBA{36, 84, 224, 255}}, {"purple", color.RGBA{150, 46, 190, 255}},
		{"black", color.RGBA{26, 26, 30, 255}},
	}
	figures = []figure{
		{"circle", func(x, y int) bool { return x*x+y*y <= 1000*1000 }},
		{"ring", func(x, y int) bool { return x*x+y*y <= 1000*1000 && x*x+y*y >= 560*560 }},
		{"square", func(x, y int) bool { return max(x, -x) <= 900 && max(y, -y) <= 900 }},
		{"cross", func(x, y int) bool { x, y = max(x, -x), max(y, -y); return max(x, y) <= 1000 && min(x, y) <= 320 }},
		{"triangle", polygon{{0, -950}, {1000, 850}, {-1000, 850}}.contains},
		{"star", polygon{
			{0, -1000}, {247, -340}, {951, -309}, {399, 130}, {588, 809}, {0, 420}, {-588, 809}, {-399, 130}, {-951, -309}, {-247, -340},
		}.contains},
	}
)

type hue struct {
	name  string
	color color.RGBA
}

// figure is a shape: whether it contains a point, in thousandths of its radius from
// its centre, y downwards.
type figure struct {
	name     string
	contains func(x, y int) bool
}

// layout is the meaning of a scene: all that is to be drawn.
type layout struct {
	objects    [2]object
	background color.RGBA
	curtain    *quarter // hidden by a curtain; nil: none
}

// quarter is a place in the picture.
type quarter struct{ column, row int } // 0 left or top, 1 right or bottom

// quarters are all of them.
var quarters = []quarter{{0, 0}, {1, 0}, {0, 1}, {1, 1}}

// object is a shape in a quarter of the picture.
type object struct {
	look
	quarter
	x, y, radius int // centre and radius, in 1/1024 of the picture's side
	shade        color.RGBA
}

// look is how a caption describes an object; hue and figure are places in the tables.
type look struct {
	big         bool
	hue, figure int
}

// pair is the two coloured shapes of a scene, by their numbers, the smaller one first.
func (l layout) pair() [2]int { return sorted(l.objects[0].kind(), l.objects[1].kind()) }

// kind is the number of a coloured shape.
func (k look) kind() int { return k.hue*len(figures) + k.figure }

// heldOut says whether the pair is kept from training: about a third of all are, those
// whose product, counted from 1, is 2 or 3 modulo 5. A product scatters them: when two objects
// change colours or shapes, the new pair is as likely to be held out as any other.
func (l layout) heldOut() bool { return heldOutPair(l.objects[0].look, l.objects[1].look) }

func heldOutPair(a, b look) bool {
	product := (a.kind() + 1) * (b.kind() + 1) % 5
	return product == 2 || product == 3
}

// sampleLayout draws two objects of different coloured shapes in two quarters, and a curtain if asked for.
func sampleLayout(s *random.Stream, curtain bool) layout {
	between := func(lo, hi int) int { return lo + s.IntN(hi-lo+1) }
	var l layout
	for channel, bg := 0, []*uint8{&l.background.R, &l.background.G, &l.background.B}; channel < 3; channel++ {
		*bg[channel] = uint8(between(234, 252))
	}
	l.background.A = 255
	free := s.Perm(4)
	for i := range l.objects {
		o := object{look: look{chance(s, 0.5), s.IntN(len(hues)), s.IntN(len(figures))}, quarter: quarters[free[i]]}
		for i == 1 && o.hue == l.objects[0].hue && o.figure == l.objects[0].figure {
			o.hue, o.figure = s.IntN(len(hues)), s.IntN(len(figures))
		}
		if o.radius = between(96, 112); o.big { // 12 to 14 of 64 pixels across
			o.radius = between(176, 208) // 22 to 26
		}
		// Near enough to the quarter's centre that objects keep apart and that those
		// side by side are never rather one above the other.
		room := min(80, 250-o.radius)
		o.x, o.y = 256+512*o.column+between(-room, room), 256+512*o.row+between(-room, room)
		vary := func(v uint8) uint8 { return uint8(min(max(int(v)+between(-12, 12), 0), 255)) }
		c := hues[o.hue].color
		o.shade = color.RGBA{vary(c.R), vary(c.G), vary(c.B), 255}
		l.objects[i] = o
	}
	if curtain {
		l.curtain = &quarters[free[2]]
	}
	return l
}

// sceneWorld is the [world] of scenes, of those with a curtain if it is so.
type sceneWorld struct{ curtain bool }

func (w sceneWorld) sample(s *random.Stream) layout { return sampleLayout(s, w.curtain) }
func (w sceneWorld) realise(l layout, s *random.Stream) Scene {
	if !w.curtain {
		return describe(l, usual, s)
	}
	scene := describe(l, short, s)
	scene.Questions, scene.Hypotheses = ask(l, s), suppose(l, s)
	return scene
}
func (sceneWorld) fits(Scene) bool        { return true }
func (sceneWorld) classes() int           { return 1 }
func (sceneWorld) class(layout) int       { return 0 }
func (sceneWorld) unseen(l layout) bool   { return l.heldOut() }
func (sceneWorld) parts(c Scene) []string { return strings.Fields(strings.Join(c.Captions, " ")) }
