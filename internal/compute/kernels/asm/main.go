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
}{
	{"gemm", generateGemm},
	{"pack", generatePack},
	{"elementwise", generateElementwise},
	{"gelu", generateGELU},
	{"gate", generateGate},
	{"rows", generateRows},
	{"adam", generateAdam},
	{"random", generateRandom},
	{"convolution", generateConvolution},
	{"activation", generateActivation},
	{"int8", generateInt8},
	{"half", generateHalf},
}

func main() {
	out := flag.String("dir", "..", "folder to write to") // avo has taken -out
	flag.Parse()
	for _, f := range files {
		for _, isa := range []isa{avx2, avx512} {
			g := &generator{Context: build.NewContext(), isa: isa}
			g.ConstraintExpr("amd64")
			f.generate(g)
			if err := write(g, *out, f.name+"_"+strings.ToLower(isa.name)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}

// write compiles the functions of g and writes name_amd64.s and name_amd64.go.
func write(g *generator, dir, name string) error {
	file, err := g.Result()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// A fixed command line: the output must not depend on where it goes.
	config := printer.Config{Argv: []string{"go", "generate"}, Pkg: "kernels"}
	for suffix, p := range map[string]printer.Printer{
		"_amd64.s":  printer.NewGoAsm(config),
		"_amd64.go": printer.NewStubs(config),
	} {
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
