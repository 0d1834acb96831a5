package optim

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// BenchmarkStep is a step over 24 matrices of 1,024 x 1,024 with each form of moments.
func BenchmarkStep(b *testing.B) {
	const matrices, width = 24, 1024
	for _, moments := range []string{MomentsFloat32, MomentsBfloat16, MomentsFactored} {
		b.Run(moments, func(b *testing.B) {
			d := cpu.New()
			var params []Param
			for i := range matrices {
				p := newParam(d, fmt.Sprint("w", i), width, width)
				d.Write(p.Value, normal(p.Name, width*width, 1))
				setGradient(d, p, normal("g"+p.Name, width*width, 0.1))
				params = append(params, p)
			}
			cfg := Default
			cfg.Moments = moments
			a := NewAdam(d, cfg, params)
			for b.Loop() {
				if _, err := a.Step(1e-6); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(matrices*width*width)*1e9, "ns/param")
		})
	}
}
