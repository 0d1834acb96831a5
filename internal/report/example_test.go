package report_test

import (
	"bytes"
	"fmt"

	"github.com/unimo-go/unimo/internal/report"
)

func Example() {
	step, loss := []float64{1, 2, 3, 4}, []float64{0.7, 0.4, 0.3, 0.25}
	run := report.Run{
		Title:   "SST-2, mini",
		Metrics: []report.Metric{{Name: "accuracy", Value: 0.8211, Note: "872 sentences"}},
		Curves:  []report.Curve{{Title: "Loss", XLabel: "step", YLabel: "loss", Series: report.Smoothed("training", step, loss, 2)}},
	}
	var page bytes.Buffer
	if err := report.Write(&page, run); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bytes.HasPrefix(page.Bytes(), []byte("<!doctype html>")), bytes.Count(page.Bytes(), []byte("<svg")))
	// Output: true 1
}
