package adversarial

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

func TestRecipeErrors(t *testing.T) {
	for _, c := range []struct {
		edit   func(*Recipe)
		images bool
		want   string
	}{
		{func(r *Recipe) {}, false, ""},
		{func(r *Recipe) { r.Adv = FreeLBText }, false, ""},
		{func(r *Recipe) { r.Adv = Villa }, true, ""},
		{func(r *Recipe) { r.Adv = Villa }, false, "adv is villa, but the task has no images to attack; use freelb_text"},
		{func(r *Recipe) { r.Adv = FreeLBImage }, false, "no images"},
		{func(r *Recipe) { r.Adv = "vila" }, true, `"vila"`},
		{func(r *Recipe) { r.AdvNorm = "l1" }, true, `"l1"`},
		{func(r *Recipe) { r.AdvRule = "freelb" }, true, `"freelb"`},
		{func(r *Recipe) { r.AdvStep = 0 }, true, "adv_step is 0, want 1 to 1000"},
		{func(r *Recipe) { r.AdvStep = 1001 }, true, "adv_step is 1001"},
		{func(r *Recipe) { r.AdvLR = 0 }, true, "adv_lr is 0, want more than 0"},
		{func(r *Recipe) { r.AdvLR = math.NaN() }, true, "adv_lr"},
		{func(r *Recipe) { r.AdvInitMag = -1 }, true, "adv_init_mag"},
		{func(r *Recipe) { r.AdvMaxNorm = -1 }, true, "adv_max_norm"},
		{func(r *Recipe) { r.AdvKLWeight = -1 }, true, "adv_kl_weight"},
	} {
		r := None()
		c.edit(&r)
		err := r.ValidateAttacks(c.images)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", r, err, c.want)
		}
	}
}

// The parts of the loss, and how often a batch goes through the model.
func TestRecipeCounts(t *testing.T) {
	for _, c := range []struct {
		edit  func(*Recipe)
		parts string
		count Count
		about string
	}{
		{func(r *Recipe) { r.Adv = "" }, "", Count{1, 1, 0}, ""},
		{func(r *Recipe) {}, "clean text image divergence", Count{10, 9, 6}, "adversarial training (villa): a batch is 10 forward and 9 backward passes, and 6 backward to the text or image alone"},
		{func(r *Recipe) { r.AdvRule = Villa }, "clean text image divergence", Count{10, 9, 0}, "adversarial training (villa): a batch is 10 forward and 9 backward passes"},
		{func(r *Recipe) { r.AdvKLWeight = 0 }, "clean text image", Count{9, 9, 0}, "9 forward"},
		{func(r *Recipe) { r.AdvClean = false }, "text image", Count{8, 8, 0}, "8 forward"},
		{func(r *Recipe) { r.Adv, r.AdvStep = FreeLBImage, 1 }, "clean image divergence", Count{3, 2, 0}, "3 forward and 2 backward"},
		{func(r *Recipe) { r.Adv, r.AdvStep = FreeLBText, 3 }, "clean text divergence", Count{5, 4, 2}, "2 backward to the text alone"},
	} {
		r := Entailment()
		c.edit(&r)
		var names []string
		for _, p := range r.Parts(7) {
			if names = append(names, p.Name); p.Weight != 1 || p.Count != 7 {
				t.Errorf("%+v: part %+v", r, p)
			}
		}
		if got := strings.Join(names, " "); got != c.parts || r.Count() != c.count {
			t.Errorf("%+v: %s, %+v", r, got, r.Count())
		}
		if about := strings.Join(r.About(), "\n"); !strings.Contains(about, c.about) || (about == "") != (c.about == "") {
			t.Errorf("%+v: %s", r, about)
		}
	}
}

func TestWork(t *testing.T) {
	if one, villa := None().Count().Work(), Entailment().Count().Work(); one != 1 || villa != 34./3 {
		t.Errorf("the work of %g and %g passes", one, villa)
	}
}

func TestStep(t *testing.T) {
	d := cpu.New()
	for _, c := range []struct {
		name                string
		edit                func(*Recipe)
		added, slopes, want []float32
	}{
		{"a step", func(r *Recipe) {}, []float32{1, 0}, []float32{0.06, -0.08}, []float32{1.3, -0.4}},
		{"a gradient above the bound", func(r *Recipe) { r.AdvMaxNorm = 2 }, []float32{1, 0}, []float32{3, -4}, []float32{1.3 * 0.4, -0.4 * 0.4}},
		{"a gradient below the bound", func(r *Recipe) { r.AdvMaxNorm = 0.7 }, []float32{1, 0}, []float32{0.06, -0.08}, []float32{1.3, -0.4}},
		{"VILLA's bound", func(r *Recipe) { r.AdvMaxNorm, r.AdvRule = 0.5, Villa }, []float32{0, 0.8}, []float32{0.03, 0.04}, []float32{0.3 * 0.5 / float32(math.Hypot(0.3, 1.2)), 1.2 * 0.5 / float32(math.Hypot(0.3, 1.2))}},
		{"within VILLA's bound", func(r *Recipe) { r.AdvMaxNorm, r.AdvRule = 5, Villa }, []float32{1, 0}, []float32{30, -40}, []float32{1.3, -0.4}},
		{"inf", func(r *Recipe) { r.AdvNorm = Inf }, []float32{1, 0}, []float32{0.06, -0.08}, []float32{1.375, -0.5}},
		{"inf with a bound", func(r *Recipe) { r.AdvNorm, r.AdvMaxNorm = Inf, 0.4 }, []float32{1, 0}, []float32{0.06, -0.08}, []float32{0.4, -0.4}},
		{"no gradient", func(r *Recipe) { r.AdvMaxNorm = 0.1 }, []float32{1, 0}, []float32{0, 0}, []float32{1, 0}},
	} {
		r := None()
		r.AdvLR, r.AdvMaxNorm = 0.5, 0
		c.edit(&r)
		for _, scale := range []float32{1, 4} { // slopes of a loss times another factor
			added, slopes := slices.Clone(c.added), slices.Clone(c.slopes)
			for i := range slopes {
				slopes[i] /= scale
			}
			d.Ascend(d.Wrap(1, 2, added), d.Wrap(1, 2, slopes), scale, r.ascent(0, []int32{0, 1}))
			for i, want := range c.want {
				if math.Abs(float64(added[i]-want)) > 1e-6 {
					t.Errorf("%s: %v, want %v", c.name, added, c.want)
					break
				}
			}
		}
	}
}

// The numbers that an example begins with are as large as the settings say; names of objects begin with none, and so does what follows.
func TestBounds(t *testing.T) {
	r := None()
	r.AdvInitMag = 0.4
	for norm, want := range map[string][]float32{L2: {0, 0, 0.2, 0.1, 0.1, 0.1, 0.1, 0}, Inf: {0, 0, 0.4, 0.4, 0.4, 0.4, 0.4, 0}} {
		r.AdvNorm = norm
		if got := r.bounds(r.ascent(2, []int32{0, 1, 1, 5}), &engine.Tensor{Rows: 8, Cols: 4}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", norm, got, want)
		}
	}
}
