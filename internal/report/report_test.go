package report

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	unescape "html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sampleOut keeps the sample page, to look at it in a browser.
var sampleOut = flag.String("sample", "", "write the sample report to this `file`")

// sample is a run with every part.
func sample() Run {
	rng := rand.New(rand.NewPCG(1, 2))
	var x, loss, rate, evalX, accuracy, evalLoss []float64
	for i := range 3000 {
		t := float64(i) / 3000
		x = append(x, float64(i))
		loss = append(loss, 0.69*math.Exp(-4*t)+0.05+0.12*rng.Float64())
		rate = append(rate, 1e-3*math.Min(t/0.1, (1-t)/0.9))
		if i%250 == 249 {
			evalX = append(evalX, float64(i+1))
			accuracy = append(accuracy, 0.97-0.45*math.Exp(-5*t))
			evalLoss = append(evalLoss, 0.12+0.55*math.Exp(-5*t))
		}
	}
	loss[1200] = math.NaN()
	gold, predicted := make([]float64, 1500), make([]float64, 1500)
	for i := range gold {
		gold[i] = float64(rng.IntN(26)) / 5
		predicted[i] = 0.8*gold[i] + 0.5 + 0.5*rng.NormFloat64()
	}
	return Run{
		Title:    "Synthetic opinions, mini",
		Subtitle: "3 layers of 160, trained from scratch for 3,000 steps in 58 seconds",
		Notice:   "The sentences are synthetic: a generator invents them. The scores say how well the model learnt to compose, and nothing about real reviews.",
		Metrics: []Metric{
			{"accuracy", 0.9635, "on combinations never seen"},
			{"loss", 0.11834, "cross-entropy per sentence"},
			{"examples", 2000, "held out"},
			{"tokens/s", 48211, "two cores, AVX-512"},
		},
		Summary: []Item{
			{Key: "training sentences", Value: "12,000"}, {Key: "parameters", Value: "1,012,994"}, {Key: "vocabulary", Value: "640 pieces"},
			{Key: "best step", Value: "2,750"}, {Key: "time", Value: "58 s"}, {Key: "seed", Value: "1"},
		},
		Galleries: []Gallery{{Title: "Pictures found for captions", Note: "1 of 3 captions found their picture first. All are shown.", Queries: []GalleryQuery{
			{Text: "a big red circle is above a small blue ring", Right: true, Found: []GalleryItem{
				{Picture: picture(color.RGBA{200, 0, 0, 255}), Score: 7.25, Right: true}, {Picture: picture(color.RGBA{0, 0, 200, 255}), Score: -1.5},
			}},
			{Text: "a small green star", Found: []GalleryItem{{Picture: picture(color.White), Score: 2}, {Picture: picture(color.Black), Text: "black", Score: 1, Right: true}}},
			{Picture: picture(color.RGBA{0, 90, 0, 255}), Found: []GalleryItem{{Text: "neither this one", Score: math.NaN()}, {Text: "nor this one", Score: 0.5}}},
		}}},
		Curves: []Curve{
			{Title: "Loss", XLabel: "step", YLabel: "cross-entropy", Series: append(Smoothed("training", x, loss, 50), Series{Name: "held-out", X: evalX, Y: evalLoss, Points: true})},
			{Title: "Accuracy", XLabel: "step", YLabel: "accuracy", Series: []Series{{Name: "held-out", X: evalX, Y: accuracy, Points: true}}},
			{Title: "Learning rate", XLabel: "step", YLabel: "rate", Series: []Series{{Name: "", X: x, Y: rate}}},
			{Title: "Gradient norm", XLabel: "step", YLabel: "norm", Series: Smoothed("before clipping", x, loss, 80)},
		},
		Confusion: &Confusion{Labels: []string{"negative", "positive"}, Counts: [][]int{{957, 43}, {30, 970}}},
		Scatter:   &Scatter{gold, predicted},
		Mistakes: []Mistake{
			{"the hotel is far from dirty , but its owner is hardly ever friendly .", "negative", "positive", 0.913},
			{"i doubt that the phone is no longer unreliable .", "negative", "positive", 0.874},
			{"despite the rather shallow dancing , nobody truly resented it", "positive", "negative", 0.552},
		},
		Tables: []Table{{
			Title:  "Grid",
			Header: []string{"run", "batch size", "learning rate", "seed", "accuracy", "loss"},
			Rows: [][]string{
				{"1", "16", "0.0005", "1", "0.9580", "0.1301"},
				{"2", "16", "0.001", "1", "0.9635", "0.1183"},
				{"3", "32", "0.001", "1", "0.9490", "0.1544"},
			},
			Best: []int{1},
			Note: "best 0.9635, median 0.9580, mean 0.9568, deviation 0.0060",
		}},
		Notes:        []string{"dev: only the first 100 of 300 pictures are searched"},
		MistakesNote: "The 3 most confident mistakes of 73, among 2000 examples.",
		Config: []Item{
			{Key: "batch_size", Value: "32"}, {Key: "learning_rate", Value: "0.001"}, {Key: "warmup_proportion", Value: "0.1"}, {Key: "weight_decay", Value: "0.01"},
			{Key: "epochs", Value: "8"}, {Key: "max_seq_len", Value: "64"}, {Key: "dropout", Value: "0.1"}, {Key: "version", Value: "v0.1.0"},
		},
	}
}

// picture is a small picture of one colour as a data: URI.
func picture(c color.Color) string {
	img := image.NewRGBA(image.Rect(0, 0, 8, 8))
	draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

func write(t *testing.T, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteShowsEveryPart(t *testing.T) {
	html := write(t, sample())
	if *sampleOut != "" {
		if err := os.WriteFile(*sampleOut, []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"Synthetic opinions, mini", "0.9635", "48,211", "1,012,994", "Gradient norm",
		"95.7 %", "97.0 %", "96.3 %", // recalls, accuracy
		"hardly ever friendly", "91.3 %", `class="best"`, "warmup_proportion",
		"✓ right one first", "✗ right one in place 2", "✗ right one not among these", "-1.500", `<li class="shown hit">`,
		"One point could not be drawn", "1000 of 1500 examples", "1 of 3 captions found their picture first. All are shown.", "only the first 100 of 300 pictures", "mistakes of 73",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(html, "</i>training <b>"); n != 1 {
		t.Errorf("the training loss is %d times in the legend, want once, for the smooth line", n)
	}
	if n := strings.Count(html, "<svg"); n != 5 {
		t.Errorf("the page has %d plots, want 5", n)
	}
	if len(html) > 1<<20 {
		t.Errorf("the page has %d bytes; thinning of plots does not work", len(html))
	}
}

// The page must open anywhere without fetching anything, and plots must follow
// the page's colours and font.
func TestPageIsSelfContained(t *testing.T) {
	html := write(t, sample())
	for _, bad := range []string{"<script", "http://", "https://", "url(", "@import", "<link", "Liberation", "ZgotmplZ", "<?xml"} {
		if strings.Contains(html, bad) {
			i := strings.Index(html, bad)
			t.Errorf("the page contains %q: ...%.80s", bad, html[max(0, i-20):])
		}
	}
	var got []string
	for _, m := range regexp.MustCompile(`<img src="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		got = append(got, unescape.UnescapeString(m[1]))
	}
	var want []string
	for _, q := range sample().Galleries[0].Queries {
		for _, p := range append([]GalleryItem{{Picture: q.Picture}}, q.Found...) {
			if p.Picture != "" {
				want = append(want, p.Picture)
			}
		}
	}
	if !slices.Equal(got, want) || strings.Count(html, "<img") != len(want) {
		t.Errorf("the page has the pictures %q, want %q", got, want)
	}
	for _, s := range svgPattern.FindAllString(html, -1) {
		if c := regexp.MustCompile(`(fill|stroke):#[^;"]*`).FindString(s); c != "" {
			t.Errorf("a plot has the fixed colour %q", c)
		}
		d := xml.NewDecoder(strings.NewReader(s))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a plot is not well-formed: %v", err)
			}
		}
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	first := write(t, sample())
	for range 3 {
		if write(t, sample()) != first {
			t.Fatal("equal runs gave different pages")
		}
	}
}

// hostile puts s wherever a run takes text.
func hostile(s string) Run {
	xy := []float64{1, 2, 3}
	return Run{
		Title: s, Subtitle: s, Notice: s,
		Metrics:   []Metric{{s, 1, s}},
		Summary:   []Item{{Key: s, Value: s}},
		Galleries: []Gallery{{Title: s, Note: s, Queries: []GalleryQuery{{Text: s, Found: []GalleryItem{{Text: s, Score: 1}, {Text: s, Picture: picture(color.Black), Right: true}}}}}},
		Notes:     []string{s}, MistakesNote: s, SamplesNote: s,
		Curves:    []Curve{{Title: s, XLabel: s, YLabel: s, Note: s, Series: []Series{{Name: s, X: xy, Y: xy}}}, {Title: s}},
		Confusion: &Confusion{Labels: []string{s, s}, Counts: [][]int{{1, 2}, {3, 4}}},
		Scatter:   &Scatter{xy, xy},
		Mistakes:  []Mistake{{s, s, s, 0.5}},
		Tables:    []Table{{Title: s, Header: []string{s}, Rows: [][]string{{s}}, Note: s}},
		Config:    []Item{{Key: s, Value: s}},
	}
}

// svgPattern finds the plots of a page.
var svgPattern = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// tagPattern finds the elements and attributes of a page.
var tagPattern = regexp.MustCompile(`<[a-zA-Z/!][^>]*>`)

func TestTextIsEscaped(t *testing.T) {
	// What may depend on a text: the words for a picture, in which quotes and brackets are escaped, and the place of a long value.
	varying := regexp.MustCompile(`alt="[^"<>]*"| class="long"`)
	tags := func(s string) []string {
		return tagPattern.FindAllString(varying.ReplaceAllString(write(t, hostile(s)), ""), -1)
	}
	want := tags("x")
	for _, s := range []string{
		`<script>alert(1)</script>`, `</style><script>`, `</title><img src=x onerror=alert(1)>`, `"><svg onload=x>`,
		`' onmouseover='x`, `<!--`, `-->`, `]]>`, `{{.Title}}`, "javascript:alert(1)", "\x00\xff\u2028", `&lt;b&gt;`,
	} {
		if got := tags(s); !slices.Equal(got, want) {
			t.Errorf("%q changes the elements of the page", s)
		}
	}
	html := write(t, hostile("a\x1b[2J\r\u202eb\u0085\xff<"))
	if !utf8.ValidString(html) || strings.ContainsAny(html, "\x1b\r\u202e\u0085") || !strings.Contains(html, `a\x1b[2J\r\u202eb\x85\xff&lt;`) {
		t.Error("the page has characters that turn its text, or bytes that are no text")
	}
}

func FuzzTextIsEscaped(f *testing.F) {
	f.Add(`<script>alert(1)</script>`)
	f.Add(`</svg></style>"'>`)
	count := func(s string) int { return strings.Count(s, "<") }
	var b bytes.Buffer
	if err := Write(&b, hostile("x")); err != nil {
		f.Fatal(err)
	}
	want := count(b.String())
	f.Fuzz(func(t *testing.T, s string) {
		html := write(t, hostile(s))
		// An empty string leaves out the elements that would hold it.
		if s != "" && count(html) != want {
			t.Errorf("%q brings a < of its own into the page", s)
		}
	})
}

// Whatever numbers come, plots are drawn without a panic and without NaN or Inf
// in them.
func FuzzCurve(f *testing.F) {
	f.Add(0.0, 0.0, 0.0)
	f.Add(1e-300, 5e99, -1e100)
	f.Add(math.Inf(1), math.NaN(), 3.0)
	f.Add(1e9, 1e9+1e-7, 1e9)
	f.Add(0.3, 0.1, 0.7)
	f.Add(math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64)
	f.Fuzz(func(t *testing.T, a, b, c float64) {
		y := []float64{a, b, c, a + b, a * c, b - c}
		r := Run{
			Title:   "numbers",
			Curves:  []Curve{{Title: "one", Series: Smoothed("s", y, slices.Clone(y), 2)}, {Title: "two", Series: []Series{{X: []float64{a}, Y: []float64{b}}}}},
			Scatter: &Scatter{y, []float64{c, b, a, c, b, a}},
			Metrics: []Metric{{"a", a, ""}}, Mistakes: []Mistake{{Probability: c}},
		}
		html := write(t, r)
		for _, s := range svgPattern.FindAllString(html, -1) {
			if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
				t.Errorf("%v %v %v: a plot contains NaN or Inf", a, b, c)
			}
		}
	})
}

func TestEmptyParts(t *testing.T) {
	html := write(t, Run{Title: "bare"})
	for _, absent := range []string{"<h2", "<svg", "<table", "<dl"} {
		if strings.Contains(html, absent) {
			t.Errorf("the page of an empty run has %q", absent)
		}
	}
	nan := []float64{math.NaN(), math.Inf(1)}
	html = write(t, Run{
		Title:     "nothing to draw",
		Curves:    []Curve{{Title: "no series"}, {Title: "no points", Series: []Series{{Name: "s"}}}, {Title: "no numbers", Series: []Series{{Name: "s", X: nan, Y: nan}}}},
		Confusion: &Confusion{Labels: []string{"a", "b"}, Counts: [][]int{{0, 0}, {0, 0}}},
		Scatter:   &Scatter{},
		Tables:    []Table{{Header: []string{"a"}}},
	})
	if n := strings.Count(html, "Nothing to draw"); n != 2 {
		t.Errorf("%d plots say that they are empty, want 2: one lost its points, one is a part of the page", n)
	}
	if !strings.Contains(html, "2 points could not be drawn") {
		t.Error("the points left out are not counted")
	}
}

func TestWriteRefusesContradictions(t *testing.T) {
	for name, r := range map[string]Run{
		"series":        {Curves: []Curve{{Title: "loss", Series: []Series{{Name: "dev", X: []float64{1}}}}}},
		"matrix height": {Confusion: &Confusion{Labels: []string{"a", "b"}, Counts: [][]int{{1, 2}}}},
		"matrix width":  {Confusion: &Confusion{Labels: []string{"a"}, Counts: [][]int{{1, 2}}}},
		"count":         {Confusion: &Confusion{Labels: []string{"a"}, Counts: [][]int{{-1}}}},
		"scatter":       {Scatter: &Scatter{Gold: []float64{1}}},
		"address":       {Galleries: []Gallery{{Queries: []GalleryQuery{{Picture: "https://example.org/a.png"}}}}},
		"script":        {Galleries: []Gallery{{Queries: []GalleryQuery{{Found: []GalleryItem{{Picture: "javascript:alert(1)"}}}}}}},
		"page":          {Galleries: []Gallery{{Queries: []GalleryQuery{{Found: []GalleryItem{{Picture: "data:text/html;base64,AAAA"}}}}}}},
		"drawing":       {Galleries: []Gallery{{Queries: []GalleryQuery{{Picture: "data:image/svg+xml;base64,AAAA"}}}}},
		"no base64":     {Galleries: []Gallery{{Queries: []GalleryQuery{{Picture: "data:image/png,AAAA"}}}}},
		"no picture":    {Galleries: []Gallery{{Queries: []GalleryQuery{{Picture: "data:image/png;base64,"}}}}},
		"more elements": {Galleries: []Gallery{{Queries: []GalleryQuery{{Picture: `data:image/png;base64,AAAA" onerror="alert(1)`}}}}},
		"table":         {Tables: []Table{{Header: []string{"a", "b"}, Rows: [][]string{{"1"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Write(&b, r); err == nil || b.Len() > 0 {
				t.Errorf("got error %v after %d bytes, want an error and nothing written", err, b.Len())
			}
		})
	}
}

type fullDisk struct{}

var errFull = errors.New("disk full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteReportsTheWritersError(t *testing.T) {
	if err := Write(fullDisk{}, Run{Title: "x"}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

func TestSmoothed(t *testing.T) {
	x := []float64{0, 1, 2, 3}
	s := Smoothed("loss", x, []float64{4, math.NaN(), 2, 2}, 1)
	if len(s) != 2 || !s[0].Faint || s[1].Faint {
		t.Fatalf("got %+v, want a faint series and a smooth one", s)
	}
	// With a half-life of one value the weights are 1, then 1/2 and 1, then 1/4,
	// 1/2 and 1; the value that is not a number has no part in them.
	want := []float64{4, 4, (4*0.5 + 2) / 1.5, (4*0.25 + 2*0.5 + 2) / 1.75}
	for i, got := range s[1].Y {
		if math.IsNaN(want[i]) != math.IsNaN(got) || math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("value %d is %g, want %g", i, got, want[i])
		}
	}
	if s := Smoothed("loss", x, x, 0); len(s) != 1 || s[0].Faint {
		t.Errorf("half-life 0 gave %+v, want the series alone", s)
	}
}

// Thinning must keep what a reader looks for: the ends and the peaks.
func TestThinKeepsExtremes(t *testing.T) {
	pts := make([]point, 100_000)
	for i := range pts {
		pts[i] = point{float64(i), math.Sin(float64(i) / 900)}
	}
	pts[40_001].y, pts[70_003].y = 9, -9
	got := thin(pts)
	if len(got) > maxPoints {
		t.Errorf("%d points are left, want at most %d", len(got), maxPoints)
	}
	for _, want := range []point{pts[0], pts[40_001], pts[70_003], pts[len(pts)-1]} {
		if !slices.Contains(got, want) {
			t.Errorf("point %v was lost", want)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b point) int { return int(a.x - b.x) }) {
		t.Error("points changed their order")
	}
	if few := pts[:maxPoints]; len(thin(few)) != maxPoints {
		t.Error("a short series was thinned")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{0.48, 0.97, "0.5 0.6 0.7 0.8 0.9"},
		{0, 3000, "0 1000 2000 3000"},
		{-1, 1, "-1.0 -0.5 0 0.5 1.0"},
		{0, 1e-3, "0 0.0002 0.0004 0.0006 0.0008 0.0010"},
		{0, 4.2e7, "0 1e+07 2e+07 3e+07 4e+07"},
	} {
		var labels []string
		for _, tick := range linearTicks(c.lo, c.hi) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("ticks of %g to %g are %q, want %q", c.lo, c.hi, got, c.want)
		}
	}
}

func TestFormatMetric(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0.9634999, "0.9635"}, {1, "1.000"}, {0, "0.0000"}, {872, "872"}, {67349, "67,349"}, {1234567, "1,234,567"}, {-0.25, "-0.2500"},
		{0.00012, "1.2e-04"}, {math.NaN(), "–"}, {12.5, "12.50"}, {560.01194, "560.0"}, {-560.01194, "-560.0"}, {12345.678, "12,346"}, {-1234.7, "-1,235"}, {2.5, "2.500"},
	} {
		if got := formatMetric(c.v); got != c.want {
			t.Errorf("formatMetric(%g) = %q, want %q", c.v, got, c.want)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	r := sample()
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// An axis of one value, or of shares, shows no numbers that cannot be.
func TestAxesOfLittle(t *testing.T) {
	svg, _, err := drawCurve(Curve{Low: 0, High: 1, Series: []Series{{Name: "f1", X: []float64{94}, Y: []float64{1}, Points: true}}})
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`<text[^>]*>([^<]*)</text>`)
	var labels []string
	for _, m := range text.FindAllStringSubmatch(string(svg), -1) {
		labels = append(labels, m[1])
	}
	if got := strings.Join(labels, " "); got != "94 0.90 0.92 0.94 0.96 0.98 1.00" {
		t.Errorf("labels %q", got)
	}
	if e := (extent{0, 0}).padded(0.1).within(0, 1); e != (extent{0, 1}) {
		t.Errorf("shares that are 0 are shown from %v to %v", e.min, e.max)
	}
}

// Steps are whole, though few are in view; where nothing changes the axis suggests no change.
func TestAxes(t *testing.T) {
	two := func(y ...float64) []Series { return []Series{{Name: "dev", X: []float64{94, 95}, Y: y, Points: true}} }
	for _, c := range []struct {
		name  string
		curve Curve
		want  string
	}{
		{"constant share", Curve{Series: two(1, 1), High: 1}, "94 95 0.90 0.92 0.94 0.96 0.98 1.00"},
		{"constant zero", Curve{Series: two(0, 0), High: 1}, "94 95 0 0.2 0.4 0.6 0.8 1.0"},
		{"constant", Curve{Series: two(0.625, 0.625)}, "94 95 0.60 0.65"},
		{"nearly one", Curve{Series: two(0.98, 1), High: 1}, "94 95 0.980 0.985 0.990 0.995 1.000"},
		{"correlation", Curve{Series: two(-1, 1), Low: -1, High: 1}, "94 95 -1.0 -0.5 0 0.5 1.0"},
	} {
		var labels []string
		for _, m := range regexp.MustCompile(`<text[^>]*>([^<]*)</text>`).FindAllStringSubmatch(write(t, Run{Title: "x", Curves: []Curve{c.curve}}), -1) {
			labels = append(labels, strings.TrimSpace(m[1]))
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("%s: labels %q, want %q", c.name, got, c.want)
		}
	}
}

// One value is a number, not a plot.
func TestOneValueIsANumber(t *testing.T) {
	html := write(t, Run{Title: "x", Curves: []Curve{
		{Title: "Score", XLabel: "step", Series: []Series{{Name: "accuracy", X: []float64{94}, Y: []float64{0.625}, Points: true}, {Name: "none"}}},
		{Title: "Nothing", XLabel: "step", Series: []Series{{Name: "none"}}},
	}})
	if strings.Contains(html, "<svg") || !strings.Contains(html, "<dt>accuracy</dt><dd><strong>0.625</strong> <span>at step 94</span></dd>") {
		t.Errorf("the value is no number: %s", html)
	}
	if strings.Contains(html, "Nothing") {
		t.Error("a curve without anything has a place on the page")
	}
}

// Long values have a row of their own, long numbers smaller letters.
func TestLongValues(t *testing.T) {
	html := write(t, Run{Title: "x", Metrics: []Metric{{Name: "a", Value: 1234567}, {Name: "b", Value: 0.5}}, Config: []Item{{Key: "seed", Value: "1"}, {Key: "text", Value: strings.Repeat("long ", 20)}}})
	for _, want := range []string{"<div><dt>seed</dt>", `<div class="long"><dt>text</dt>`, `<div class="number wide"><span class="name">a</span>`, `<div class="number"><span class="name">b</span>`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestLinks(t *testing.T) {
	var b strings.Builder
	err := Write(&b, Run{
		Title: "t", Summary: []Item{{Key: "curves", Value: "page", Link: "run/report.html"}, {Key: "bad", Value: "x", Link: "javascript:alert(1)"}},
		Tables:    []Table{{Header: []string{"run"}, Rows: [][]string{{"one"}, {"two"}}, Links: []string{"grid/one/report.html", ""}}},
		Galleries: []Gallery{{Title: "g", Note: "how it was chosen", Queries: []GalleryQuery{{Text: "q", Found: []GalleryItem{{Text: "a dog", Picture: "data:image/png;base64,AAAA"}}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<a href="run/report.html">page</a>`, `<td><a href="grid/one/report.html">one</a></td>`, `<td>two</td>`, "how it was chosen", `alt="a dog"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(b.String(), `href="javascript`) {
		t.Error("a link runs a script")
	}
	if err := Write(&b, Run{Title: "t", Tables: []Table{{Header: []string{"a"}, Rows: [][]string{{"b"}}, Links: []string{"", ""}}}}); err == nil {
		t.Error("more links than rows are no error")
	}
}

// What was written for pictures stands over what others wrote, neither right nor wrong.
func TestUnjudgedGallery(t *testing.T) {
	g := Gallery{Title: "Captions", Queries: []GalleryQuery{{Text: "a dog", Picture: picture(color.Black), Found: []GalleryItem{{Text: "a black dog"}}}}}
	for _, g.Unjudged = range []bool{false, true} {
		var page strings.Builder
		if err := Write(&page, Run{Title: "t", Galleries: []Gallery{g}}); err != nil {
			t.Fatal(err)
		}
		judged := strings.Contains(page.String(), `<span class="verdict`) && strings.Contains(page.String(), `<span class="score`)
		if judged == g.Unjudged || !strings.Contains(page.String(), "a black dog") {
			t.Errorf("unjudged %v: %v", g.Unjudged, judged)
		}
	}
}
