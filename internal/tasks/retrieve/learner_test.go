package retrieve

import (
	"fmt"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// captioned is a set of images with captions each.
func captioned(images, each int) *captions.Set {
	set := &captions.Set{Name: "train"}
	for i := range images {
		set.Images = append(set.Images, fmt.Sprintf("%d.jpg", i))
		for c := range each {
			set.Captions = append(set.Captions, captions.Caption{Image: i, Text: fmt.Sprintf("caption %d of %d", c, i)})
		}
	}
	return set
}

// The pairs of a group come in the reference's order, and every image and caption of a batch is in
// it once.
func TestPairBatchOfGroups(t *testing.T) {
	set := captioned(8, 3)
	groups := captions.Groups{Set: set, Negatives: 5, Seed: 3}
	idx := []int{4, 13, 4, 23}
	b := newPairBatch(idx, set)
	b.addGroups(&groups, 2)
	if want := len(b.rows) * 6; len(b.pairs) != want {
		t.Fatalf("%d pairs, want %d", len(b.pairs), want)
	}
	for _, list := range [][]int{b.images, b.captions} {
		if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) != len(list) {
			t.Errorf("%v has something twice", list)
		}
	}
	for g, c := range idx {
		want := groups.At(2, c)
		for k, p := range b.pairs[6*g : 6*g+6] {
			image, caption := want.Images[0], want.Captions[0]
			switch {
			case k >= 1 && k <= 2:
				image = want.Images[k]
			case k > 2:
				caption = want.Captions[k-2]
			}
			if b.images[p.Image] != image || b.captions[p.Text] != caption {
				t.Errorf("group %d, pair %d: image %d with caption %d, want %d with %d", g, k, b.images[p.Image], b.captions[p.Text], image, caption)
			}
		}
	}
	checkOwn(t, b)
}

// checkOwn compares the batch's image of every caption with the set's.
func checkOwn(t *testing.T, b *pairBatch) {
	t.Helper()
	for i, c := range b.captions {
		own := slices.Index(b.images, b.set.Captions[c].Image)
		if int(b.imageOf[i]) != own {
			t.Errorf("caption %d has image %d of the batch, want %d", c, b.imageOf[i], own)
		}
	}
}

// Hard negatives are never the right answer, depend on the seed alone, and are mostly what is most
// alike.
func TestHardNegatives(t *testing.T) {
	set := captioned(6, 2)
	idx := []int{0, 2, 4, 6, 8, 10}
	s := &Settings{Negatives: 4, Temperature: 0.1}
	// Images and captions 0 and 1 are alike, and so on; vectors have one value per pair.
	vectors := make([]float32, 6*3)
	for i := range 6 {
		vectors[3*i+i/2] = 1
	}
	count := 0
	for epoch := range 50 {
		a, b := newPairBatch(idx, set), newPairBatch(idx, set)
		a.hardGroups(s, epoch, vectors, vectors, 3)
		b.hardGroups(s, epoch, vectors, vectors, 3)
		if !slices.Equal(a.pairs, b.pairs) {
			t.Fatal("the same batch gave other pairs")
		}
		for g := range idx {
			group := a.pairs[5*g : 5*g+5]
			own := model.Pair{Image: int32(g), Text: int32(g)}
			if group[0] != own {
				t.Fatalf("group %d begins with %v", g, group[0])
			}
			for k, p := range group[1:] {
				if p == own || k < 2 && p.Text != own.Text || k >= 2 && p.Image != own.Image {
					t.Errorf("group %d: pair %v", g, p)
				}
			}
			if twin := int32(g ^ 1); group[1].Image == twin || group[2].Image == twin {
				count++
			}
		}
	}
	if count < 290 {
		t.Errorf("the image most alike is among the negatives of %d of 300 groups", count)
	}
	// A batch of one image has no negatives; its groups are made all the same.
	lone := newPairBatch([]int{0, 1}, set)
	lone.hardGroups(s, 0, vectors, vectors, 3)
	if len(lone.pairs) != 10 {
		t.Errorf("%d pairs of a lone image, want 10", len(lone.pairs))
	}
	checkOwn(t, lone)
}

// The first epochs have the batches of vectors, the others those of groups, and the totals add up.
func TestEpochsOfVectorsComeFirst(t *testing.T) {
	lengths := make([]int, 100)
	epochs := func(size int) run.Epochs { return run.Epochs{Plan: batches.Batches{Lengths: lengths, Size: size}} }
	l := &learner{job: &job{settings: &Settings{ContrastEpochs: 2}}, aloneEpochs: epochs(30), pairEpochs: epochs(9)}
	total := 0
	for epoch := range 5 {
		if got := l.Total(epoch); got != total {
			t.Errorf("%d batches before epoch %d, want %d", got, epoch, total)
		}
		want := 12
		if epoch < 2 {
			want = 4
		}
		if got := l.Batches(epoch); got != want {
			t.Errorf("epoch %d has %d batches, want %d", epoch, got, want)
		}
		total += want
	}
}
