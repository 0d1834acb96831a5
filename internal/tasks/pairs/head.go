package pairs

import "github.com/unimo-go/unimo/internal/model"

// Head is a model with what it is trained for.
type Head struct {
	params    model.Parameters
	count     func(*Record) int // things that the loss is a mean over
	objective func(records []Record, numbers []int) model.Objective
}

// Choosing is the head of a model that chooses a class, or scores answers.
func Choosing(m *model.Classifier) Head {
	return Head{
		params: m.Params, count: func(*Record) int { return 1 },
		objective: func(records []Record, numbers []int) model.Objective {
			return m.Objective(targets(m.Config, records, numbers))
		},
	}
}

// Writing is the head of a model that writes the records' targets.
func Writing(m *model.Generator, smoothing float32) Head {
	return Head{
		params: m.Params, count: func(r *Record) int { return len(r.Target) - 1 },
		objective: func(records []Record, numbers []int) model.Objective {
			return m.Objective(Labels(records, numbers), smoothing)
		},
	}
}

// Labels are the tokens that follow those of the targets of some records.
func Labels(records []Record, numbers []int) (labels []int32) {
	for _, i := range numbers {
		labels = append(labels, records[i].Target[1:]...)
	}
	return labels
}

// targets are what the records of some numbers should be predicted as, of so many classes.
func targets(cfg model.Config, records []Record, numbers []int) (t model.Targets) {
	if cfg.ProblemType == model.Answering {
		t.Soft = make([]float32, len(numbers)*cfg.NumLabels)
		for row, i := range numbers {
			for _, s := range records[i].Soft {
				t.Soft[row*cfg.NumLabels+s.Class] = s.Score
			}
		}
		return t
	}
	for _, i := range numbers {
		t.Classes = append(t.Classes, int32(records[i].Class))
	}
	return t
}
