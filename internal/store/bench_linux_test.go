package store

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/test/clusters"
	"github.com/unimo-go/unimo/internal/test/postgres"
	"github.com/unimo-go/unimo/internal/test/weaviate"
)

// onePicture gives one picture for every id: what is measured is not the disk.
type onePicture struct{ image regions.Image }

func (s onePicture) Dim() int      { return len(s.image.Features) / s.image.Regions() }
func (s onePicture) IDs() []string { return nil }
func (s onePicture) Close() error  { return nil }
func (s onePicture) Image(_ string, dst *regions.Image) error {
	*dst = s.image
	return nil
}

func BenchmarkPgvector(b *testing.B) {
	server := postgres.Start(b, "-c", "shared_buffers=512MB")
	benchmark(b, server.Empty(b)+"&maintenance_work_mem=1GB")
}

func BenchmarkWeaviate(b *testing.B) {
	server := weaviate.Start(b)
	benchmark(b, server.Empty(b))
}

// benchmark measures 100,000 vectors of 256 values in a database beside the same in the program: how many of the exact top 20 of 200 other
// vectors are lost, and a query of twelve words with the mini model (random weights), whose best 20 pictures of 36 patches the full model orders.
// Queries of the two take turns. Run it with -benchtime 1x; with -short it is 1,000 vectors.
func benchmark(b *testing.B, url string) {
	const values, k, queries = 256, 20, 200
	pictures := 100_000
	if testing.Short() {
		pictures = 1000
	}
	maker := clusters.New(values, 1)
	rows := rank.Rows{Size: values, Vectors: make([]float32, 0, pictures*values)}
	for i := range pictures {
		id := fmt.Sprintf("holidays/%06d.jpg", i)
		rows.IDs, rows.Origins, rows.Vectors = append(rows.IDs, id), append(rows.Origins, sha256.Sum256([]byte(id))), append(rows.Vectors, maker.Next()...)
	}
	cfg := model.Mini
	cfg.VocabSize, cfg.ImageEmbeddingSize, cfg.ContrastSize, cfg.ProblemType = 3000, 768, values, model.Retrieval
	dev := cpu.New()
	m, err := model.New[*model.Retriever](dev, cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	db, err := Open(b.Context(), []string{url}, rank.Collection{Index: index, Model: digest, Size: values})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	exact := rank.NewExact(dev, rows)
	for b.Loop() {
		begin := time.Now()
		if _, err := db.Update(b.Context(), rows, func(int, int) {}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s/filled")
		found := 0
		times := map[string][]time.Duration{}
		ask := func(name string, work func() error) {
			b.Helper()
			begin := time.Now()
			if err := work(); err != nil {
				b.Fatal(err)
			}
			times[name] = append(times[name], time.Since(begin))
		}
		for range queries {
			query := maker.Next()
			var want, got []rank.Neighbor
			ask("exact", func() (err error) { want, err = exact.Nearest(b.Context(), query, k); return err })
			ask("store", func() (err error) { got, err = db.Nearest(b.Context(), query, k); return err })
			for _, n := range got {
				if slices.ContainsFunc(want, func(w rank.Neighbor) bool { return w.ID == n.ID }) {
					found++
				}
			}
		}
		b.ReportMetric(float64(found)/(k*queries), "recall@20")
		rng, picture := rand.New(rand.NewPCG(1, 2)), onePicture{regions.Image{Width: 96, Height: 96}}
		for i := range 36 {
			left, top := float32(i%6*16), float32(i/6*16)
			picture.image.Boxes = append(picture.image.Boxes, left, top, left+16, top+16)
			for range cfg.ImageEmbeddingSize {
				picture.image.Features = append(picture.image.Features, rng.Float32()*2-1)
			}
		}
		scorer := rank.NewScorer(dev, m)
		for range 50 {
			text := []int32{0}
			for range 12 {
				text = append(text, 3+rng.Int32N(2990))
			}
			text = append(text, 2)
			for name, s := range map[string]rank.Store{"exact-ranked": exact, "store-ranked": db} {
				ask(name, func() error { _, err := scorer.Over(s, picture).Text(b.Context(), text, 10, k); return err })
			}
		}
		for name, list := range times {
			slices.Sort(list)
			b.ReportMetric(list[len(list)/2].Seconds()*1e3, "ms/"+name)
		}
	}
}
