package metrics

// Ranked is one answer in a ranked list: the question it belongs to and whether
// it is right. Answers of one question are neighbours, best first.
type Ranked struct {
	Query    int
	Relevant bool
}

// MRR is the mean over questions of 1/rank of the first relevant answer, 0 for a
// question that has none; NaN without questions.
//
// As in the reference, the order of the list is the ranking (it is not sorted),
// and a question whose answers are split into two runs counts twice.
func MRR(answers []Ranked) float64 {
	return meanOverQueries(answers, func(list []Ranked) float64 {
		for i, a := range list {
			if a.Relevant {
				return 1 / float64(i+1)
			}
		}
		return 0
	})
}

// MAP is the mean over questions of the average precision: the mean, over the
// relevant answers, of the share of relevant answers down to that rank. The
// conventions are those of [MRR].
func MAP(answers []Ranked) float64 {
	return meanOverQueries(answers, func(list []Ranked) float64 {
		relevant, sum := 0, 0.0
		for i, a := range list {
			if a.Relevant {
				relevant++
				sum += float64(relevant) / float64(i+1)
			}
		}
		if relevant == 0 {
			return 0
		}
		return sum / float64(relevant)
	})
}

func meanOverQueries(answers []Ranked, score func(list []Ranked) float64) float64 {
	sum, queries := 0.0, 0
	for start := 0; start < len(answers); {
		end := start + 1
		for end < len(answers) && answers[end].Query == answers[start].Query {
			end++
		}
		sum += score(answers[start:end])
		queries++
		start = end
	}
	return sum / float64(queries)
}
