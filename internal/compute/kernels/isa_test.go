package kernels

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all := []ISA{Generic, AVX2, AVX512}
	for _, c := range []struct {
		value     string
		available []ISA
		want      ISA
		fault     string // part of the error
	}{
		{"", all, AVX512, ""},
		{"", []ISA{Generic}, Generic, ""},
		{"generic", all, Generic, ""},
		{"avx2", all, AVX2, ""},
		{"avx512", all, AVX512, ""},
		{"avx512", []ISA{Generic, AVX2}, AVX2, "UNIMO_CPU=avx512: this processor has no avx512; use one of generic, avx2"},
		{"avx2", []ISA{Generic}, Generic, "no avx2"},
		{"AVX2", all, AVX512, `environment variable UNIMO_CPU: unknown instruction set "AVX2"; did you mean avx2?`},
		{"", []ISA{Generic, NEON}, NEON, ""},
		{"generic", []ISA{Generic, NEON}, Generic, ""},
		{"neon", []ISA{Generic, NEON}, NEON, ""},
		{"neon", all, AVX512, "UNIMO_CPU=neon: this processor has no neon; use one of generic, avx2, avx512"},
		{"avx2", []ISA{Generic, NEON}, NEON, "no avx2; use one of generic, neon"},
		{"sse", []ISA{Generic, AVX2}, AVX2, `unknown instruction set "sse"; choose one of generic, avx2`},
	} {
		got, err := choose(c.value, c.available)
		if got != c.want {
			t.Errorf("%q of %v: %v, want %v", c.value, c.available, got, c.want)
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q of %v: error %v, want %q", c.value, c.available, err, c.fault)
		}
	}
}

func TestUse(t *testing.T) {
	before := Active()
	for _, isa := range Available() {
		restore := Use(isa)
		if Active() != isa {
			t.Errorf("Use(%v): %v is active", isa, Active())
		}
		restore()
		if Active() != before {
			t.Errorf("after Use(%v): %v is active, before %v", isa, Active(), before)
		}
	}
	mustPanic(t, "Use", func() { Use(ISA(99)) })
	if !slices.Contains(Available(), Generic) {
		t.Error("plain Go is not available")
	}
	if ISA(99).String() != "ISA(99)" {
		t.Error(ISA(99))
	}
}

// The variable, in a process of its own, which UNIMO_EMULATOR runs if it is set.
func TestEnvironment(t *testing.T) {
	if os.Getenv("UNIMO_TEST_PRINT_ISA") != "" {
		os.Stdout.WriteString("isa=" + Active().String() + "\n")
		if err := CheckEnv(); err != nil {
			os.Stdout.WriteString("error=" + err.Error() + "\n")
		}
		return
	}
	best := slices.Max(Available())
	for _, c := range []struct{ value, isa, fault string }{
		{"", best.String(), ""},
		{"generic", "generic", ""},
		{best.String(), best.String(), ""},
		{"nonsense", best.String(), `UNIMO_CPU: unknown instruction set "nonsense"`},
	} {
		args := append(strings.Fields(os.Getenv("UNIMO_EMULATOR")), os.Args[0], "-test.run=^TestEnvironment$", "-test.v")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "UNIMO_TEST_PRINT_ISA=1", environment+"="+c.value)
		out, err := cmd.CombinedOutput()
		text := string(out)
		if err != nil || !strings.Contains(text, "isa="+c.isa+"\n") || strings.Contains(text, "error=") != (c.fault != "") || !strings.Contains(text, c.fault) {
			t.Errorf("%s=%s: %v\n%s", environment, c.value, err, text)
		}
	}
}
