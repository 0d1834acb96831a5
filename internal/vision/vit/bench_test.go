package vit

import (
	"fmt"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/vision"
)

// randomNetwork is a network with random weights, prepared as those of a file are.
func randomNetwork(cfg Config) *network {
	d := cpu.New()
	e, weights := source{cfg: cfg, pooler: true}.build(func(name string, init nn.Init, shape ...int) *autograd.Var {
		var params nn.Parameters
		v := nn.Allocate(d, &params)(name, init, shape...)
		params.Initialise(d, nn.Deviations{Normal: 0.02}, 1)
		return autograd.Fixed(v.Value)
	})
	for _, w := range weights {
		w.Prepare(d)
	}
	return &network{encoder: e, known: map[[2]int]*positions{}}
}

// Pictures of 224 x 224 pixels, each on one thread, several at once.
func BenchmarkBase(b *testing.B) {
	for _, kind := range []string{"vit", "clip_vision_model"} {
		cfg := families[kind].defaults
		cfg.ModelType, cfg.family = kind, families[kind]
		var n *network
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%v/threads=%d", cfg, threads), func(b *testing.B) {
				if n == nil {
					n = randomNetwork(cfg)
				}
				p := vision.Pixels{Width: 224, Height: 224, Values: make([]float32, 224*224*3)}
				stream := random.New(1, "pixels")
				for i := range p.Values {
					p.Values[i] = float32(stream.Normal())
				}
				devices := make([]*cpu.Device, threads)
				for i := range devices {
					devices[i] = cpu.NewLimited(parallel.Limit(1))
					if _, err := n.Run(devices[i], p); err != nil {
						b.Fatal(err)
					}
				}
				b.ResetTimer()
				var wait sync.WaitGroup
				for i, d := range devices {
					wait.Go(func() {
						for k := i; k < b.N; k += threads {
							if _, err := n.Run(d, p); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wait.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
			})
		}
	}
}
