package adversarial

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/train"
)

// Version says which numbers attacks begin with. A run under attack keeps it: one begun with another cannot go on. In the first version, which runs do
// not name, the processor drew them all, by a stream for each example.
const Version = 2

// Recipe are the settings of adversarial training. Kinds of task embed it in their settings.
type Recipe struct {
	Adv         string  `json:"adv" help:"adversarial training: freelb_text, freelb_image or villa, which is both (empty: none)"`
	AdvStep     int     `json:"adv_step" help:"adversarial: steps of each attack on a batch"`
	AdvLR       float64 `json:"adv_lr" help:"adversarial: how far a step goes"`
	AdvNorm     string  `json:"adv_norm" help:"adversarial: norm of a step, l2 or inf"`
	AdvInitMag  float64 `json:"adv_init_mag" help:"adversarial: size of what is added at first"`
	AdvMaxNorm  float64 `json:"adv_max_norm" help:"adversarial: bound of adv_rule (0: none)"`
	AdvRule     string  `json:"adv_rule" help:"adversarial: reference (bounds by the gradient) or villa (bounds what is added)"`
	AdvClean    bool    `json:"adv_clean" help:"adversarial: also the loss without attack, and the divergence from it"`
	AdvKLWeight float64 `json:"adv_kl_weight" help:"adversarial: weight of the divergence from what is said without attack (0: none)"`
}

// Values of Adv, AdvNorm and AdvRule.
const (
	FreeLBText  = "freelb_text"
	FreeLBImage = "freelb_image"
	Villa       = "villa" // both; of rules VILLA's own
	L2          = "l2"
	Inf         = "inf"
	Reference   = "reference"
)

// None attacks nothing. What it has besides is the reference's recipe of visual entailment.
func None() Recipe {
	return Recipe{AdvStep: 4, AdvLR: 0.05, AdvNorm: L2, AdvInitMag: 0.4, AdvMaxNorm: 0.4, AdvRule: Reference, AdvClean: true, AdvKLWeight: 1}
}

// Entailment is the reference's recipe of SNLI-VE.
func Entailment() Recipe {
	r := None()
	r.Adv = Villa
	return r
}

// Captioning is the reference's recipe of COCO's captions, for a size of model.
func Captioning(size string) Recipe {
	r := Entailment()
	if size != "large" {
		r.AdvLR, r.AdvMaxNorm = 0.03, 0
	}
	return r
}

// ValidateAttacks returns an error that names the first impossible value. images says whether the task has any.
func (r Recipe) ValidateAttacks(images bool) error {
	known := []string{FreeLBText}
	if images {
		known = append(known, FreeLBImage, Villa)
	}
	for _, c := range []struct {
		name, value string
		known       []string
	}{{"adv", r.Adv, append(known, "")}, {"adv_norm", r.AdvNorm, []string{L2, Inf}}, {"adv_rule", r.AdvRule, []string{Reference, Villa}}} {
		if slices.Contains(c.known, c.value) {
			continue
		}
		if c.name == "adv" && slices.Contains([]string{FreeLBImage, Villa}, c.value) {
			return fmt.Errorf("adv is %s, but the task has no images to attack; use %s", c.value, FreeLBText)
		}
		return names.Unknown(c.name, c.value, slices.DeleteFunc(c.known, func(name string) bool { return name == "" }))
	}
	return cmp.Or(
		settings.Want(r.AdvStep >= 1 && r.AdvStep <= 1000, "adv_step", r.AdvStep, "1 to 1000"),
		settings.Want(r.AdvLR > 0, "adv_lr", r.AdvLR, "more than 0"),
		settings.Want(r.AdvInitMag >= 0, "adv_init_mag", r.AdvInitMag, "0 or more"),
		settings.Want(r.AdvMaxNorm >= 0, "adv_max_norm", r.AdvMaxNorm, "0 or more"),
		settings.Want(r.AdvKLWeight >= 0, "adv_kl_weight", r.AdvKLWeight, "0 or more"),
	)
}

// Attacked implements [run.Attacker].
func (r Recipe) Attacked() bool { return r.Adv != "" }

// attacks are the names of what is attacked.
func (r Recipe) attacks() []string {
	switch r.Adv {
	case FreeLBText:
		return []string{text}
	case FreeLBImage:
		return []string{image}
	case Villa:
		return []string{text, image}
	}
	return nil
}

// compares says whether outputs under attack are compared with those without.
func (r Recipe) compares() bool { return r.AdvClean && r.AdvKLWeight > 0 }

// apart says whether the gradient that an attack follows is another than that of the parameters' loss.
func (r Recipe) apart() bool { return r.compares() && r.AdvRule == Reference }

// The parts of the loss.
const (
	clean      = "clean"
	text       = "text"
	image      = "image"
	divergence = "divergence"
)

// Parts are those of the loss of a batch of so many examples, or of whatever else its mean is over.
func (r Recipe) Parts(count int) []train.Part {
	if r.Adv == "" {
		return []train.Part{{Weight: 1, Count: count}}
	}
	var parts []train.Part
	if r.AdvClean {
		parts = append(parts, train.Part{Name: clean, Weight: 1, Count: count})
	}
	for _, name := range r.attacks() {
		parts = append(parts, train.Part{Name: name, Weight: 1, Count: count})
	}
	if r.compares() {
		parts = append(parts, train.Part{Name: divergence, Weight: r.AdvKLWeight, Count: count})
	}
	return parts
}

// Count is how often a batch goes through the model.
type Count struct {
	Forward, Backward int
	Inputs            int // backwards to what is attacked, without the parameters
}

// Work is what the passes cost, in passes forwards and backwards. Backwards costs about two forwards, and to the input
// alone one.
func (c Count) Work() float64 { return float64(c.Forward+2*c.Backward+c.Inputs) / 3 }

// Count returns how often a batch goes through the model.
func (r Recipe) Count() Count {
	if r.Adv == "" {
		return Count{Forward: 1, Backward: 1}
	}
	passes := len(r.attacks()) * r.AdvStep
	c := Count{Forward: passes, Backward: passes}
	if r.AdvClean {
		c.Forward, c.Backward = c.Forward+1, c.Backward+1
	}
	if r.compares() {
		c.Forward++ // what the attacks are compared with is needed before them, and its gradient after them
	}
	if r.apart() {
		c.Inputs = len(r.attacks()) * (r.AdvStep - 1)
	}
	return c
}

// About describes the recipe in a line; nil if nothing is attacked.
func (r Recipe) About() []string {
	if r.Adv == "" {
		return nil
	}
	c := r.Count()
	line := fmt.Sprintf("adversarial training (%s): a batch is %d forward and %d backward passes", r.Adv, c.Forward, c.Backward)
	if c.Inputs > 0 {
		line += fmt.Sprintf(", and %d backward to the %s alone", c.Inputs, strings.Join(r.attacks(), " or "))
	}
	return []string{line}
}
