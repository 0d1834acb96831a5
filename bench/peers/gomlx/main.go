// Command gomlx measures the products of the framework GoMLX on the processor, for the bench command two folders up: the
// Go backend of github.com/gomlx/compute, whose kernels are assembly. It is a module of its own, as it needs Go 1.27.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
)

// product is rows x inner times inner x columns, stored so that the axes to contract are these.
type product struct {
	form     string
	a, b     [2]int
	contract [2]int // of a, of b
}

// forms are the products of a layer of m rows, from k features to n: y = x·W, dx = dy·Wᵀ, dW = xᵀ·dy.
func forms(m, n, k int) []product {
	return []product{
		{"NN", [2]int{m, k}, [2]int{k, n}, [2]int{1, 0}},
		{"NT", [2]int{m, n}, [2]int{k, n}, [2]int{1, 1}},
		{"TN", [2]int{m, k}, [2]int{m, n}, [2]int{0, 0}},
	}
}

// compile returns the product as a function, which gives its result back at once.
func (p product) compile(backend compute.Backend) (func() error, error) {
	var inputs []compute.Buffer
	builder := backend.Builder(p.form)
	f := builder.Main()
	var operands []compute.Value
	for i, dims := range [][2]int{p.a, p.b} {
		shape := shapes.Make(dtypes.Float32, dims[:]...)
		values := make([]float32, dims[0]*dims[1])
		for j := range values {
			values[j] = rand.Float32() - 0.5
		}
		buffer, err := backend.BufferFromFlatData(0, values, shape)
		if err != nil {
			return nil, err
		}
		operand, err := f.Parameter(fmt.Sprint(i), shape, nil)
		if err != nil {
			return nil, err
		}
		inputs, operands = append(inputs, buffer), append(operands, operand)
	}
	out, err := f.DotGeneral(operands[0], p.contract[:1], nil, operands[1], p.contract[1:], nil, compute.DotGeneralConfig{})
	if err != nil {
		return nil, err
	}
	if err := f.Return([]compute.Value{out}, nil); err != nil {
		return nil, err
	}
	exec, err := builder.Compile()
	if err != nil {
		return nil, err
	}
	return func() error {
		results, err := exec.Execute(inputs, nil, 0)
		if err != nil {
			return err
		}
		return results[0].Finalize()
	}, nil
}

// speed is GFLOP/s at the median time of a call, of enough calls for 5 ms.
func speed(call func() error, flops float64) (float64, error) {
	var times []float64
	if err := call(); err != nil {
		return 0, err
	}
	for total := 0.0; len(times) < 2 || total < 0.005; {
		start := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		t := time.Since(start).Seconds()
		times, total = append(times, t), total+t
	}
	slices.Sort(times)
	n := len(times)
	return 1e-9 * flops / ((times[(n-1)/2] + times[n/2]) / 2), nil
}

// measure returns the GFLOP/s of every product on one thread and on all.
func measure(cases [][3]int, threads int) (map[string]float64, error) {
	values := map[string]float64{}
	for _, n := range slices.Compact([]int{1, threads}) {
		runtime.GOMAXPROCS(n)
		backend, err := gobackend.New("")
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			for _, p := range forms(c[0], c[1], c[2]) {
				call, err := p.compile(backend)
				if err != nil {
					return nil, err
				}
				s, err := speed(call, 2*float64(c[0])*float64(c[1])*float64(c[2]))
				if err != nil {
					return nil, err
				}
				values[fmt.Sprintf("%d/%dx%dx%d/%s", n, c[0], c[1], c[2], p.form)] = s
			}
		}
		backend.Finalize()
	}
	return values, nil
}

func run() error {
	file := flag.String("file", "", "the products")
	threads := flag.Int("threads", 2, "threads")
	flag.Parse()
	raw, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	var work struct{ Rounds [][3]int }
	if err := json.Unmarshal(raw, &work); err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	out := json.NewEncoder(answers)
	version := "of a version that is not known"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/gomlx/compute" {
				version = m.Version
			}
		}
	}
	if err := out.Encode(map[string]any{"ready": true, "about": fmt.Sprintf("gomlx/compute %s (%d threads), %s", version, *threads, runtime.Version())}); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var request struct{ Quit bool }
		if err := json.Unmarshal(in.Bytes(), &request); err != nil {
			return err
		}
		if request.Quit {
			return out.Encode(map[string]any{"peak_bytes": 0})
		}
		values, err := measure(work.Rounds, *threads)
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]any{"values": values}); err != nil {
			return err
		}
	}
	return nil
}

var answers = os.Stdout // what the library prints must not disturb the protocol

func main() {
	os.Stdout = os.Stderr
	if err := run(); err != nil {
		json.NewEncoder(answers).Encode(map[string]string{"error": err.Error()})
		os.Exit(1)
	}
}
