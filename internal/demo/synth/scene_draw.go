package synth

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/parallel"
)

// sceneSize is the width and height in pixels of the pictures that WriteScenes writes.
const sceneSize = 64

// Draw draws the scene as a square picture of size x size pixels with smooth edges.
// It computes in whole numbers: the same scene gives the same pixels on every machine.
func (c Scene) Draw(size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	bg := c.layout.background
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = bg.R, bg.G, bg.B, bg.A
	}
	for _, o := range c.layout.objects {
		o.draw(img)
	}
	if c.layout.curtain != nil {
		c.layout.curtain.drape(img)
	}
	return img
}

// The curtain's folds, by turns, and the space around it in 1/1024 of the picture's side.
var folds = []color.RGBA{{128, 128, 134, 255}, {152, 152, 158, 255}}

const around = 40

// drape draws a curtain over a quarter.
func (q quarter) drape(img *image.RGBA) {
	size := img.Rect.Dx()
	edge := func(at int) int { return at * size / 1024 }
	for y := edge(512*q.row + around); y < edge(512*q.row+512-around); y++ {
		for x := edge(512*q.column + around); x < edge(512*q.column+512-around); x++ {
			img.SetRGBA(x, y, folds[x*16/size%len(folds)])
		}
	}
}

// samples is the number of points across a pixel that say how much of it a shape covers.
const samples = 4

func (o object) draw(img *image.RGBA) {
	size := img.Rect.Dx()
	// extent returns the pixels that the object reaches to each side of its centre, and
	// the places of their samples in thousandths of the radius from it.
	extent := func(centre int) (first int, places []int) {
		first = max((centre-o.radius)*size/1024, 0)
		last := min((centre+o.radius)*size/1024, size-1)
		for sample := samples * first; sample < samples*(last+1); sample++ {
			places = append(places, ((2*sample+1)*1024-centre*2*samples*size)*1000/(o.radius*2*samples*size))
		}
		return first, places
	}
	left, columns := extent(o.x)
	top, rows := extent(o.y)
	contains := figures[o.figure].contains
	for i := 0; i < len(rows); i += samples {
		for j := 0; j < len(columns); j += samples {
			covered := 0
			for _, y := range rows[i:][:samples] {
				for _, x := range columns[j:][:samples] {
					if contains(x, y) {
						covered++
					}
				}
			}
			p := img.Pix[img.PixOffset(left+j/samples, top+i/samples):][:3]
			for k, shade := range [3]uint8{o.shade.R, o.shade.G, o.shade.B} {
				p[k] = uint8((int(shade)*covered + int(p[k])*(samples*samples-covered)) / (samples * samples))
			}
		}
	}
}

// polygon is a closed line of corners.
type polygon [][2]int

// contains counts the sides to the right of the point: inside it is odd.
func (p polygon) contains(x, y int) bool {
	inside := false
	for i, a := range p {
		b := p[(i+1)%len(p)]
		if (a[1] > y) == (b[1] > y) {
			continue
		}
		if a[1] > b[1] {
			a, b = b, a
		}
		if (x-a[0])*(b[1]-a[1]) < (b[0]-a[0])*(y-a[1]) {
			inside = !inside
		}
	}
	return inside
}

// WriteScenes writes scenes into the folder dir in the form of a data set of
// pictures: images/ with PNG files of 64 x 64 pixels, captions.csv with a line each of
// picture name and caption below a header, and the lists of picture names
// train.txt, dev.txt and test.txt (the held-out scenes). Scenes with a curtain have more, in train.csv, dev.csv and
// test.csv of two folders: questions (image, question, answer, question_type) and hypotheses (image,
// hypothesis, label). Files of these names are replaced.
func WriteScenes(dir string, train, dev, heldOut []Scene) error {
	if err := atomicfile.Mkdir(filepath.Join(dir, "images")); err != nil {
		return fmt.Errorf("make a folder for the scenes: %w", err)
	}
	captions := newTable("image", "caption")
	for _, set := range []struct {
		name   string
		scenes []Scene
	}{{"train", train}, {"dev", dev}, {"test", heldOut}} {
		var list strings.Builder
		questions, hypotheses := newTable("image", "question", "answer", "question_type"), newTable("image", "hypothesis", "label")
		names := make([]string, len(set.scenes))
		for i, scene := range set.scenes {
			names[i] = fmt.Sprintf("%s-%05d.png", set.name, i+1)
			fmt.Fprintln(&list, names[i])
			for _, caption := range scene.Captions {
				captions.add(names[i], caption)
			}
			for _, q := range scene.Questions {
				questions.add(names[i], q.Text, q.Answer, q.Type)
			}
			for _, h := range scene.Hypotheses {
				hypotheses.add(names[i], h.Text, h.Label)
			}
		}
		errs := make([]error, len(names))
		parallel.For(len(names), func(i int) {
			errs[i] = writePicture(filepath.Join(dir, "images", names[i]), set.scenes[i].Draw(sceneSize))
		})
		err := errors.Join(errs...)
		for folder, t := range map[string]*table{"questions": questions, "hypotheses": hypotheses} {
			if err == nil && t.rows > 0 {
				err = t.write(filepath.Join(dir, folder, set.name+".csv"))
			}
		}
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(dir, set.name+".txt"), []byte(list.String()))
		}
		if err != nil {
			return err
		}
	}
	return captions.write(filepath.Join(dir, "captions.csv"))
}

// table is a file of comma-separated values.
type table struct {
	rows int
	text strings.Builder
	csv  *csv.Writer
}

func newTable(columns ...string) *table {
	t := new(table)
	t.csv = csv.NewWriter(&t.text)
	t.csv.Write(columns) // into memory: without errors
	return t
}

func (t *table) add(row ...string) {
	t.rows++
	t.csv.Write(row)
}

func (t *table) write(path string) error {
	if err := atomicfile.Mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	t.csv.Flush()
	return atomicfile.WriteBytes(path, []byte(t.text.String()))
}

// encoders keeps the memory of PNG encoders.
type encoders struct{ sync.Pool }

func (p *encoders) Get() *png.EncoderBuffer  { b, _ := p.Pool.Get().(*png.EncoderBuffer); return b }
func (p *encoders) Put(b *png.EncoderBuffer) { p.Pool.Put(b) }

var encoder = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: new(encoders)}

// writePicture writes a picture without waiting for the disk, as thousands are written
// at a time; the lists, which come after, are what makes them a data set.
func writePicture(path string, img image.Image) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a scene: %w", err)
	}
	if err = encoder.Encode(f, img); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("write a scene: %s: %w", path, err)
	}
	return nil
}
