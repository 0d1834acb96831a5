package optim

import (
	"math"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/golden"
)

func TestGoldenSchedules(t *testing.T) {
	golden.Run(t, "classification", func(t *testing.T, c golden.Case) {
		if !c.Has("lr_schedules.json") {
			t.Skip("not run: the case has no lr_schedules.json")
		}
		var file struct {
			Tables []struct {
				Scheduler    string    `json:"scheduler"`
				LearningRate float64   `json:"learning_rate"`
				Warmup       int       `json:"warmup_steps"`
				Total        int       `json:"num_train_steps"`
				Boundaries   []int     `json:"boundaries"`
				Values       []float64 `json:"values"`
				Rates        []float64 `json:"lr_per_step"`
			} `json:"tables"`
		}
		c.JSON(t, "lr_schedules.json", &file)
		for _, table := range file.Tables {
			schedule, err := NewSchedule(table.Scheduler, table.LearningRate, table.Warmup, table.Total, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(table.Boundaries) > 0 {
				schedule = Piecewise{table.Boundaries, table.Values}
			}
			for step, want := range table.Rates {
				if got := schedule.Rate(step); !(math.Abs(got-want) <= 1e-12*math.Abs(want)+1e-20) {
					t.Errorf("%s with warm-up %d: rate of step %d is %g, want %g", table.Scheduler, table.Warmup, step, got, want)
				}
			}
		}
	})
}

func TestGoldenDecayedParameters(t *testing.T) {
	golden.Run(t, "classification", func(t *testing.T, c golden.Case) {
		if !c.Has("weight_decay_table.json") {
			t.Skip("not run: the case has no weight_decay_table.json")
		}
		var file struct {
			Decayed map[string]bool `json:"decayed"`
		}
		c.JSON(t, "weight_decay_table.json", &file)
		for name, want := range file.Decayed {
			if got := Decayed(name); got != want {
				t.Errorf("%s: decayed is %v, want %v", name, got, want)
			}
		}
	})
}

func TestNewScheduleRefusesUnknownNames(t *testing.T) {
	if _, err := NewSchedule("cosine", 1, 0, 1, 1); err == nil || !strings.Contains(err.Error(), "cosine") {
		t.Errorf("got %v", err)
	}
}

// A gradient that is not finite must change nothing and say where it is.
func TestStepRefusesNonFiniteGradients(t *testing.T) {
	d := cpu.New()
	param := func(name string, value, grad float32) Param {
		p := newParam(d, name, 1, 1)
		d.Write(p.Value, []float32{value})
		setGradient(d, p, []float32{grad})
		return p
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		params := []Param{param("good", 1, 1), param("bad", 1, float32(bad))}
		a := NewAdam(d, Default, params)
		_, err := a.Step(0.1)
		if err == nil || !strings.Contains(err.Error(), "bad") {
			t.Fatalf("got error %v", err)
		}
		for _, p := range params {
			value := make([]float32, 1)
			d.Read(value, p.Value)
			if value[0] != 1 {
				t.Errorf("%s changed to %v", p.Name, value[0])
			}
		}
		if a.steps != 0 {
			t.Error("the failed step was counted")
		}
	}
}
