// Command asm generates the assembly of the package kernels: for every file of
// kernels and every instruction set a .s file and the Go declarations that go
// with it. Run it through go generate in the folder above, and commit what it
// writes together with the change.
//
// It is a module of its own, so that the generator's dependencies are not
// those of the program.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// files says what goes into which pair of files.
var files = []struct {
	name     string
	generate func(g *generator)
	amd64    bool // alone
}{
	{name: "gemm", generate: generateGemm},
	{name: "pack", generate: generatePack},
	{name: "elementwise", generate: generateElementwise},
	{name: "gelu", generate: generateGELU},
	{name: "gate", generate: generateGate},
	{name: "rows", generate: generateRows},
	{name: "adam", generate: generateAdam},
	{name: "random", generate: generateRandom},
	{name: "convolution", generate: generateConvolution},
	{name: "activation", generate: generateActivation},
	{name: "int8", generate: generateInt8, amd64: true},
	{name: "half", generate: generateHalf},
}

func main() {
	out := flag.String("dir", "..", "folder to write to") // avo has taken -out
	flag.Parse()
	for _, f := range files {
		for _, isa := range []isa{avx2, avx512, neon} {
			if f.amd64 && isa.arch != "amd64" {
				continue
			}
			g := &generator{Context: build.NewContext(), isa: isa}
			g.ConstraintExpr(isa.arch)
			f.generate(g)
			if err := write(g, *out, f.name+"_"+strings.ToLower(isa.name)+"_"+isa.arch); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}

// write compiles the functions of g and writes name.s and name.go.
func write(g *generator, dir, name string) error {
	file, err := g.Result()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	compile := pass.Concat(pass.Compile, pass.FunctionPass(encodeEVEX))
	if g.onARM() {
		if err := g.lower(file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		compile = compileARM64
	}
	if err := compile.Execute(file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// A fixed command line: the output must not depend on where it goes.
	config := printer.Config{Argv: []string{"go", "generate"}, Pkg: "kernels"}
	assembly := printer.NewGoAsm(config)
	if g.onARM() {
		assembly = &arm64Printer{}
	}
	for suffix, p := range map[string]printer.Printer{".s": assembly, ".go": printer.NewStubs(config)} {
		if err := print(p, file, filepath.Join(dir, name+suffix)); err != nil {
			return err
		}
	}
	return nil
}

func print(p printer.Printer, file *ir.File, path string) error {
	text, err := p.Print(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}
