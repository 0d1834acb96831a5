package metrics_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/metrics"
)

func Example() {
	pred := []int{1, 1, 0, 1, 0}
	gold := []int{1, 1, 0, 0, 1}
	lo, hi := metrics.WilsonInterval(metrics.Correct(pred, gold), len(gold))
	fmt.Printf("accuracy %.2f, 95 %% interval %.2f to %.2f\n", metrics.Accuracy(pred, gold), lo, hi)
	fmt.Printf("matthews %.3f\n", metrics.Matthews(pred, gold))
	fmt.Println("gold x predicted", metrics.Confusion(pred, gold, 2))
	// Output:
	// accuracy 0.60, 95 % interval 0.23 to 0.88
	// matthews 0.167
	// gold x predicted [[1 1] [1 2]]
}

func ExampleAccuracy() {
	fmt.Println(metrics.Accuracy([]int{0, 2, 1, 1}, []int{0, 2, 1, 0}))
	fmt.Println(metrics.Accuracy(nil, nil))
	// Output:
	// 0.75
	// NaN
}

func ExampleCorrect() {
	fmt.Println(metrics.Correct([]int{0, 2, 1, 1}, []int{0, 2, 1, 0}))
	// Output: 3
}

func ExampleMatthews() {
	fmt.Println(metrics.Matthews([]int{1, 1, 0, 0}, []int{1, 1, 0, 0}))
	fmt.Println(metrics.Matthews([]int{1, 1, 1, 1}, []int{1, 1, 0, 0})) // class 0 was never predicted
	// Output:
	// 1
	// NaN
}

func ExampleConfusion() {
	pred := []int{0, 0, 1, 2, 2}
	gold := []int{0, 1, 1, 2, 0}
	for class, row := range metrics.Confusion(pred, gold, 3) {
		fmt.Printf("of class %d, taken for 0, 1, 2: %v\n", class, row)
	}
	// Output:
	// of class 0, taken for 0, 1, 2: [1 0 1]
	// of class 1, taken for 0, 1, 2: [1 1 0]
	// of class 2, taken for 0, 1, 2: [0 0 1]
}

func ExamplePerClass() {
	confusion := [][]int{{8, 2}, {1, 9}}
	for class, s := range metrics.PerClass(confusion) {
		fmt.Printf("class %d: precision %.2f, recall %.2f, F1 %.2f of %d\n", class, s.Precision, s.Recall, s.F1, s.Gold)
	}
	// Output:
	// class 0: precision 0.89, recall 0.80, F1 0.84 of 10
	// class 1: precision 0.82, recall 0.90, F1 0.86 of 10
}

func ExampleMacroF1() {
	// Nine of ten are of one class, which a model that always says it gets right.
	confusion := [][]int{{9, 0}, {1, 0}}
	fmt.Printf("%.2f\n", metrics.MacroF1(confusion))
	// Output: 0.47
}

func ExamplePearson() {
	fmt.Printf("%.3f\n", metrics.Pearson([]float64{1, 2, 4}, []float64{0, 1, 5}))
	fmt.Println(metrics.Pearson([]float64{3, 3, 3}, []float64{0, 1, 5}))
	// Output:
	// 0.990
	// NaN
}

func ExampleSpearman() {
	fmt.Println(metrics.Spearman([]float64{1, 2, 40}, []float64{0, 1, 5})) // the order is right
	// Output: 1
}

func ExampleWilsonInterval() {
	lo, hi := metrics.WilsonInterval(45, 50)
	fmt.Printf("90 %% of 50: %.3f to %.3f\n", lo, hi)
	lo, hi = metrics.WilsonInterval(4500, 5000)
	fmt.Printf("90 %% of 5000: %.3f to %.3f\n", lo, hi)
	// Output:
	// 90 % of 50: 0.786 to 0.957
	// 90 % of 5000: 0.891 to 0.908
}

func ExampleMcNemar() {
	// Of 200 questions both models were right or wrong on 180.
	fmt.Printf("15 against 5: p = %.3f\n", metrics.McNemar(15, 5))
	fmt.Printf("11 against 9: p = %.3f\n", metrics.McNemar(11, 9))
	// Output:
	// 15 against 5: p = 0.041
	// 11 against 9: p = 0.824
}

func ExamplePermutation() {
	a := []float64{.9, .8, .7, .9, .8, .6, .9, .8, .7, .8} // the F1 of ten answers, of two models
	b := []float64{.5, .6, .7, .4, .6, .5, .8, .5, .6, .4}
	p := metrics.Permutation(len(a), 1000, 1, func(swapped []bool) float64 {
		sum := 0.0
		for i := range a {
			if d := a[i] - b[i]; swapped[i] {
				sum -= d
			} else {
				sum += d
			}
		}
		return sum
	})
	fmt.Println("the models differ:", p < 0.05)
	// Output: the models differ: true
}

func ExampleBootstrap() {
	lengths := []float64{12, 15, 9, 30, 11, 14, 10, 13}
	lo, hi := metrics.Bootstrap(len(lengths), 1000, 1, func(sample []int) float64 {
		sum := 0.0
		for _, i := range sample {
			sum += lengths[i]
		}
		return sum / float64(len(sample))
	})
	fmt.Println("the mean, 14.25, is within the interval:", lo < 14.25 && 14.25 < hi)
	// Output: the mean, 14.25, is within the interval: true
}

func ExampleBLEU() {
	hyps := []string{"what is the capital of france ?"}
	refs := [][]string{{"what is the capital city of france ?", "which city is the capital of france ?"}}
	for n, score := range metrics.BLEU(hyps, refs) {
		fmt.Printf("BLEU-%d %.3f\n", n+1, score)
	}
	// Output:
	// BLEU-1 0.867
	// BLEU-2 0.867
	// BLEU-3 0.867
	// BLEU-4 0.867
}

func ExampleCaptionROUGEL() {
	fmt.Printf("%.3f\n", metrics.CaptionROUGEL([]string{"a dog runs"}, [][]string{{"a brown dog runs fast"}}))
	// Output: 0.718
}

func ExampleCIDErD() {
	hyps := []string{"a brown dog runs on the grass", "a man rides a wave"}
	refs := [][]string{
		{"a brown dog runs on the grass", "a dog is running outside"},
		{"a surfer on a big wave", "a man is surfing in the sea"},
	}
	corpus, each := metrics.CIDErD(hyps, refs)
	fmt.Printf("%.3f of 10: %.3f and %.3f\n", corpus, each[0], each[1])
	// Output: 3.167 of 10: 5.341 and 0.994
}

func ExampleCIDEr() {
	hyps := []string{"a dog dog dog", "a man rides a wave"}
	refs := [][]string{{"a dog"}, {"a surfer on a big wave"}}
	robust, _ := metrics.CIDErD(hyps, refs)
	plain, _ := metrics.CIDEr(hyps, refs)
	fmt.Printf("CIDEr-D %.3f, CIDEr %.3f\n", robust, plain)
	// Output: CIDEr-D 1.279, CIDEr 2.170
}

func ExamplePTBTokenize() {
	fmt.Printf("%q", metrics.PTBTokenize("A man can't see the boy's $5 toy (about 10\")."))
	// Output: ["a" "man" "ca" "n't" "see" "the" "boy" "'s" "$" "5" "toy" "-lrb-" "about" "10" "-rrb-"]
}

func ExamplePTBTokenizeAll() {
	hyps := metrics.PTBTokenizeAll([]string{"A dog runs on the grass.", "A man rides a wave!"})
	refs := [][]string{
		metrics.PTBTokenizeAll([]string{"The dog is running outside.", "A brown dog runs."}),
		metrics.PTBTokenizeAll([]string{"A surfer rides a big wave."}),
	}
	corpus, _ := metrics.CIDErD(hyps, refs)
	fmt.Printf("BLEU-1 %.3f, ROUGE-L %.3f, CIDEr-D %.3f\n", metrics.BLEU(hyps, refs)[0], metrics.CaptionROUGEL(hyps, refs), corpus)
	// Output: BLEU-1 0.727, ROUGE-L 0.669, CIDEr-D 1.692
}

func ExampleROUGE() {
	hyps := []string{"The cats sat.\nIt rained."}
	refs := [][]string{{"A cat was sitting.\nIt was raining."}}
	s := metrics.ROUGE(hyps, refs, metrics.ROUGEOptions{})
	fmt.Printf("ROUGE-1 %.3f, ROUGE-2 %.3f, ROUGE-L %.3f\n", s.ROUGE1.F.Mean, s.ROUGE2.F.Mean, s.ROUGEL.F.Mean)
	// Output: ROUGE-1 0.500, ROUGE-2 0.000, ROUGE-L 0.500
}

// With samples there is an interval, to the digits that ROUGE-1.5.5 prints.
func ExampleROUGE_interval() {
	hyps := []string{"the cat sat", "a dog ran off", "it rains"}
	refs := [][]string{{"the cat sat down"}, {"the dog ran"}, {"sunshine"}}
	f := metrics.ROUGE(hyps, refs, metrics.ROUGEOptions{Samples: metrics.OfficialSamples}).ROUGE1.F
	fmt.Printf("%.5f (95%%-conf.int. %.5f - %.5f)\n", f.Mean, f.Low, f.High)
	// Output: 0.47638 (95%-conf.int. 0.00000 - 0.85714)
}

func ExampleMETEOR() {
	s := metrics.METEOR([]string{"a dog is running"}, [][]string{{"a dog runs", "the cat sleeps"}}, nil)
	fmt.Printf("%.3f by %v\n", s.METEOR, s.Stages)
	// Output: 0.362 by [exact stem]
}

func ExampleOpenMETEOR() {
	hyps, refs := []string{"a dog runs"}, [][]string{{"a hound is running"}}
	data, err := metrics.OpenMETEOR("meteor", hyps, refs) // the folder of METEOR 1.5
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(metrics.METEOR(hyps, refs, data).Stages)
	// Output:
	// meteor: does not exist; check the path
	// [exact stem]
}

func ExampleCoQA() {
	s := metrics.CoQA([]metrics.Turn{
		{Domain: "mctest", Answer: "The red ball.", References: []string{"a red ball"}},
		{Domain: "cnn", Answer: "in Paris", References: []string{"Paris"}},
		{Domain: "cnn", Missing: true, References: []string{"yes"}},
	})
	fmt.Printf("F1 %.3f, exact match %.3f of %d turns\n", s.F1, s.EM, s.Turns)
	fmt.Printf("cnn: F1 %.3f\n", s.Domains["cnn"].F1)
	// Output:
	// F1 0.556, exact match 0.333 of 3 turns
	// cnn: F1 0.333
}

func ExampleVQA() {
	s := metrics.VQA([]metrics.VQAAnswer{
		{Answer: "two", People: []string{"2", "2", "two", "three"}, AnswerType: "number"},
		{Answer: "a red ball", People: []string{"red ball", "ball", "ball", "ball"}, AnswerType: "other"},
	})
	fmt.Printf("%.2f %% of %d answers, numbers %.3f\n", s.Percent, s.Questions, s.AnswerTypes["number"].Accuracy)
	// Output: 50.00 % of 2 answers, numbers 0.750
}

func ExampleVQAAccuracy() {
	people := []string{"red", "red", "red", "dark red", "Red.", "maroon", "maroon", "brown", "brown", "brown"}
	fmt.Printf("%.2f %.2f\n", metrics.VQAAccuracy("red", people), metrics.VQAAccuracy("maroon", people))
	// Output: 1.00 0.60
}

func ExampleNormalizeAnswer() {
	for _, answer := range []string{"The Dogs.", "two", "1,000 m", "isnt", "black-white", "black - white"} {
		fmt.Printf("%q ", metrics.NormalizeAnswer(answer))
	}
	// Output: "dogs" "2" "1000 m" "isn't" "black white" "black white"
}

func ExampleDistinct() {
	texts := []string{"i do not know", "i do not think so"}
	fmt.Printf("%.3f %.3f\n", metrics.Distinct(texts, 1), metrics.Distinct(texts, 2))
	// Output: 0.667 0.714
}

func ExampleAverageLength() {
	fmt.Println(metrics.AverageLength([]string{"one", "two words", ""}))
	// Output: 1
}

func ExampleBasicTokens() {
	fmt.Printf("%q\n", metrics.BasicTokens("It's a Café, isn't it?"))
	// Output: ["it" "'" "s" "a" "cafe" "," "isn" "'" "t" "it" "?"]
}

func ExampleNewRanking() {
	// Two images: captions 0 and 1 are of image 0, caption 2 is of image 1.
	imageOf := []int{0, 0, 1}
	scores := [2][3]float32{{0.9, 0.2, 0.4}, {0.1, 0.3, 0.8}}
	r := metrics.NewRanking(2, imageOf)
	for caption, image := range imageOf {
		r.Positive(caption, scores[image][caption])
	}
	for image, row := range scores {
		for caption, score := range row {
			r.Add(image, caption, score)
		}
	}
	images, texts := r.Results()
	fmt.Printf("images for captions: recall@1 %.2f, mean rank %.2f\n", images.At1, images.MeanRank)
	fmt.Printf("captions for images: recall@1 %.2f, mean rank %.2f\n", texts.At1, texts.MeanRank)
	// Output:
	// images for captions: recall@1 0.67, mean rank 1.33
	// captions for images: recall@1 1.00, mean rank 1.00
}

func ExampleRanking_ImageRank() {
	r := metrics.NewRanking(3, []int{1, -1}) // caption 1 is of no image
	r.Positive(0, 0.5)
	r.Add(0, 0, 0.7)
	r.Add(2, 0, 0.1)
	r.Add(1, 1, 0.9)
	fmt.Println("image of caption 0:", r.ImageRank(0))
	fmt.Println("image of caption 1:", r.ImageRank(1))
	fmt.Println("caption of image 1:", r.TextRank(1))
	// Output:
	// image of caption 0: 2
	// image of caption 1: 0
	// caption of image 1: 2
}

func ExampleRecallOf() {
	ranks := []int{1, 3, 20, 0} // the last query has no right answer
	s := metrics.RecallOf(len(ranks), func(query int) int { return ranks[query] })
	fmt.Printf("%.3f %.3f %.3f, mean rank %.0f\n", s.At1, s.At5, s.At10, s.MeanRank)
	// Output: 0.333 0.667 0.667, mean rank 8
}

func ExampleOpenWordNet() {
	dir, err := os.MkdirTemp("", "metrics")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "synonyms.txt")
	if err := os.WriteFile(file, []byte("big large great\ncar automobile\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	words, err := metrics.OpenWordNet(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	hyps, refs := []string{"a large automobile"}, [][]string{{"a big car"}}
	fmt.Printf("%.3f without, %.3f with\n", metrics.METEOR(hyps, refs, nil).METEOR, metrics.METEOR(hyps, refs, words).METEOR)
	// Output: 0.057 without, 0.829 with
}

func ExampleWordNet_Synonyms() {
	words, err := metrics.OpenWordNet("testdata/wordnet")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(words.Synonyms("car", "automobile"), words.Synonyms("car", "dog"))
	// Output: true false
}

func ExampleFileError() {
	_, err := metrics.OpenWordNet("testdata/none")
	var at *metrics.FileError
	fmt.Println(errors.As(err, &at), errors.Is(err, os.ErrNotExist))
	fmt.Printf("%s %s; %s\n", at.File, at.Problem, at.Remedy)
	// Output:
	// true true
	// testdata/none does not exist; check the path
}

// A model that says 0.9 of what is right half of the time is off by 0.4.
func ExampleExpectedCalibrationError() {
	fmt.Printf("%.2f\n", metrics.ExpectedCalibrationError([]float64{0.9, 0.9, 0.9, 0.9}, []float64{1, 0, 0, 1}, 15))
	// Output: 0.40
}

func ExampleReliability() {
	for _, bin := range metrics.Reliability([]float64{0.1, 0.3, 0.9}, []float64{0, 0, 1}, 2) {
		fmt.Printf("%d %.1f %.1f\n", bin.Count, bin.Probability, bin.Right)
	}
	// Output:
	// 2 0.2 0.0
	// 1 0.9 1.0
}
