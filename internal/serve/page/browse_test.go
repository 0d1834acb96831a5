// The package of the browser's protocol is large, and make cross would compile it for every other platform.

//go:build linux

package page_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/unimo-go/unimo/internal/demo"
	"github.com/unimo-go/unimo/internal/serve"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/native"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// served returns the address of a server with models and the page.
func served(t *testing.T, m backend.Models, o page.Options, around ...func(http.Handler) http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	native.Mount(mux, m, web.DefaultLimits)
	page.Mount(mux, o)
	var h http.Handler = mux
	for _, a := range around {
		h = a(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/"
}

var examples = page.Options{Version: "unimo test", Notice: "A fake.", Examples: page.Examples{
	Search: []string{"something red"}, Ask: []string{"is it red?"}, Judge: []string{"it is a good picture"}, Match: []string{"red", "green"}, Rank: []string{"red", "rose", "grass"},
	Classify: []string{"a good film"}, Write: []string{"a text of some words"},
}}

// png writes a picture for the dialog that chooses files.
func png(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grey.png")
	if err := os.WriteFile(path, []byte(backendtest.PNG), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *window) has(selector string, want ...string) {
	w.t.Helper()
	text := w.text(selector)
	for _, s := range want {
		if !strings.Contains(text, s) {
			w.t.Errorf("%s says %q, want %q in it", selector, text, s)
		}
	}
}

// Every task, by whoever has a mouse.
func TestTasks(t *testing.T) {
	w := open(t, served(t, backendtest.New(), examples), desktop)
	w.wait(`document.querySelectorAll("#hits img").length === 3`)
	w.has("#search-lead", "3 pictures in pictures")
	w.write("#search-text", "red")
	w.click("#search-form .primary")
	w.wait(`document.querySelector("#hits .track")`)
	w.has("#search-summary", "1 of the 3 closest pictures fits “red”") // by the model's own threshold
	w.has("#hits", "88 %", "similarity 0.750", "red.png")
	w.has("#search-order", "Where few do, they are too high", "97 % means 3 %")
	eval[bool](w, `(e => { e.value = 0.2; e.dispatchEvent(new Event("input")); return true })(document.getElementById("least"))`)
	w.has("#search-summary", "2 of the 3 closest pictures fit “red”")
	eval[bool](w, `(e => { e.value = 0.9; e.dispatchEvent(new Event("input")); return true })(document.getElementById("least"))`)
	w.has("#search-summary", "Nothing fits “red”")
	w.has("#search-nothing", "Probability of the closest picture: 88 %")
	w.click("#search-anyway")
	w.wait(`document.querySelectorAll("#hits .below").length === 3`)

	w.click("#least-reset")
	w.has("#least-value", "model’s own")
	w.click("#hits li:nth-child(1) .icon") // alike
	w.wait(`document.getElementById("search-summary").textContent.includes("red.png")`)
	w.click("#hits li:nth-child(1) .hit-open")
	w.wait(`document.getElementById("caption").textContent === "a picture of 67 bytes"`)
	w.click("#ask .examples button")
	w.wait(`document.querySelector("#ask .verdict")`)
	w.has("#ask .answers", "is it red?", "yes", "63 %", "no", "25 %")
	w.click("#judge .examples button")
	w.wait(`document.querySelector("#judge .verdict")`)
	w.has("#judge .answers", "positive", "88 %", "negative")
	w.click("#match .examples button")
	w.wait(`document.querySelector("#match .bars")`)
	if n := eval[int](w, `document.querySelectorAll("#match .bars li").length`); n != 2 {
		t.Errorf("%d descriptions are compared, want 2", n)
	}
	w.click("#another")
	w.upload(png(t))
	w.wait(`document.getElementById("picture").alt.includes("grey.png")`)
	if n := eval[int](w, `document.querySelectorAll("#pane-picture .answers > *").length`); n != 0 {
		t.Errorf("%d answers are of the picture before", n)
	}

	w.click("#tab-text")
	w.click("#rank .examples button")
	w.wait(`document.querySelector("#rank .bars")`)
	w.has("#rank .answers", "The nearest to “red”", "rose", "grass")
	w.click("#classify .examples button")
	w.wait(`document.querySelector("#classify .verdict")`)
	w.has("#classify .answers", "positive", "88 %")
	w.click("#write .examples button")
	w.wait(`document.querySelector("#write .took")`)
	w.has("#write .answers", "A TEXT OF SOME WORDS")
	w.click("#tab-model")
	w.has("#pane-model", "fake", "1,000 parameters", "sha256:0123", "Answer questions about pictures")
	w.check()
}

// Of a model without a calibration nothing is called a probability, and the page says what scores are for.
func TestNotCalibrated(t *testing.T) {
	says := func(i *backend.Info) { i.Details.Calibrated = false }
	w := open(t, served(t, backendtest.Models{{Name: "fake", Says: says}}, examples), desktop)
	w.click("#search-examples button")
	w.wait(`document.querySelector("#hits .track")`)
	w.has("#search-summary", "3 pictures for “something red”")
	w.has("#search-order", "the order is all it says")
	eval[bool](w, `(e => { e.value = 0.6; e.dispatchEvent(new Event("input")); return true })(document.getElementById("least"))`)
	w.has("#search-summary", "1 of the 3 closest pictures fits")
	if !eval[bool](w, `document.getElementById("search-order").hidden`) {
		t.Error("the page speaks of no threshold, though its visitor has set one")
	}
	w.click("#tab-picture")
	w.click("#drop")
	w.upload(png(t))
	w.click("#ask .examples button")
	w.wait(`document.querySelector("#ask .bars")`)
	w.has("#ask", "no probabilities, as the model is not calibrated", "yes", "0.625", "no", "0.250")
	w.click("#match .examples button")
	w.wait(`document.querySelector("#match .bars")`)
	w.has("#match .answers", "The best first", "Similarities of vectors", "the order is all it says")
	for _, form := range []string{"#hits", "#ask .answers", "#match .bars"} {
		if text := w.text(form); strings.Contains(text, "%") || strings.Contains(text, "fits") {
			t.Errorf("%s has probabilities: %s", form, text)
		}
	}
	w.click("#judge .examples button") // shares that add up to 1
	w.wait(`document.querySelector("#judge .bars")`)
	w.has("#judge .answers", "88 %", "13 %")
	w.check()
}

// Where none fits, descriptions are in their order nevertheless.
func TestNoDescriptionFits(t *testing.T) {
	w := open(t, served(t, backendtest.Models{{Name: "fake", Can: backend.CanMatch}}, page.Options{Examples: page.Examples{Match: []string{"green"}}}), desktop)
	w.click("#drop")
	w.upload(png(t))
	w.click("#match .examples button")
	w.wait(`document.querySelector("#match .bars")`)
	w.has("#match .verdict", "Nothing fits")
	w.has("#match .bars", "green", "40 %")
	w.check()
}

// A model for several tasks is asked as a whole, but for what several of its tasks do.
func TestSeveralTasks(t *testing.T) {
	of := func(task string) func(*backend.Info) {
		return func(i *backend.Info) { i.Details.Task = task }
	}
	models := backendtest.Models{
		{Name: "all", Can: backend.CanClassify | backend.CanAsk, Says: func(i *backend.Info) {
			i.Problem, i.Details.Tasks, i.Details.Calibrated = "multi", []string{"films", "news", "vqa"}, false
		}},
		{Name: "all/films", Can: backend.CanClassify, Says: of("films")},
		{Name: "all/news", Can: backend.CanClassify, Says: of("news")},
		{Name: "all/vqa", Can: backend.CanAsk, Says: of("vqa")},
	}
	w := open(t, served(t, models, examples), desktop)
	if got := eval[string](w, `[...document.getElementById("models").options].map(o => o.value).join(" ")`); got != "all all/films all/news" {
		t.Errorf("there is to be chosen from %s", got)
	}
	if tabs := strings.Join(strings.Fields(w.text(".tabs")), " "); tabs != "Picture Model" {
		t.Errorf("the tabs are %q", tabs)
	}
	w.click("#drop")
	w.upload(png(t))
	w.click("#ask .examples button")
	w.wait(`document.querySelector("#ask .bars")`)
	w.has("#ask .bars", "63 %") // the task is calibrated
	eval[bool](w, `(e => { e.selectedIndex = 2; e.dispatchEvent(new Event("change")); return true })(document.getElementById("models"))`)
	w.click("#classify .examples button")
	w.wait(`document.querySelector("#classify .bars")`)
	if asks := models[2].Asks(); len(asks) != 1 {
		t.Errorf("the task was asked %q", asks)
	}
	w.check()
}

// A version that Go made of a commit is said in short, and fits a phone.
func TestVersion(t *testing.T) {
	for version, want := range map[string]string{
		"unimo v1.2.0": "unimo v1.2.0", "unimo devel": "unimo devel",
		"unimo v0.0.0-20261129005710-f6ba83185942":              "unimo f6ba831 of November 29, 2026",
		"unimo v1.2.1-0.20261129005710-f6ba83185942+dirty":      "unimo f6ba831 of November 29, 2026, changed",
		"unimo v1.3.0-rc.1.0.20261129005710-f6ba83185942+dirty": "unimo f6ba831 of November 29, 2026, changed",
	} {
		w := open(t, served(t, backendtest.New(), page.Options{Version: version}), phone)
		if got := w.text("#version"); got != want {
			t.Errorf("%s is said as %s, want %s", version, got, want)
		}
		if lines := eval[int](w, `document.getElementById("version").getClientRects().length`); lines != 1 {
			t.Errorf("%s takes %d lines", want, lines)
		}
	}
}

// Pictures that are dropped or pasted go to what is shown.
func TestDropAndPaste(t *testing.T) {
	w := open(t, served(t, backendtest.New(), examples), desktop)
	send := func(event string) {
		eval[bool](w, fmt.Sprintf(`fetch("pictures/red.png").then(r => r.blob()).then(b => {
			const data = new DataTransfer();
			data.items.add(new File([b], "dropped.png", {type: "image/png"}));
			%s; return true })`, event))
	}
	send(`dispatchEvent(new DragEvent("dragenter", {dataTransfer: data}))`)
	w.has("#veil", "Find pictures like this one")
	send(`dispatchEvent(new DragEvent("drop", {dataTransfer: data}))`)
	w.wait(`document.getElementById("search-summary").textContent.includes("dropped.png")`)
	if eval[bool](w, `document.getElementById("veil").getClientRects().length > 0`) {
		t.Error("the veil stays")
	}
	w.click("#tab-picture")
	send(`document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}))`)
	w.wait(`document.getElementById("caption").textContent === "a picture of 67 bytes"`)
	w.check()
}

// focused describes the element that has the focus.
func (w *window) focused() string {
	w.t.Helper()
	return eval[string](w, `(e => e.id || e.getAttribute("aria-label") || e.textContent.trim() || e.tagName)(document.activeElement)`)
}

// tabTo presses Tab until the focus is on the wanted element. Every element on the way shows that it has the focus.
func (w *window) tabTo(want string) {
	w.t.Helper()
	var way []string
	for range 60 {
		w.press(kb.Tab)
		at := w.focused()
		way = append(way, at)
		if !eval[bool](w, `(e => { const of = x => getComputedStyle(x); return of(e).outlineStyle !== "none" || of(e.closest(".bar") ?? e).outlineStyle !== "none" })(document.activeElement)`) {
			w.t.Errorf("%s does not show that it has the focus", at)
		}
		if at == want {
			return
		}
	}
	w.t.Fatalf("Tab does not lead to %s, but to %q", want, way)
}

// Everything can be done with the keys alone.
func TestKeyboard(t *testing.T) {
	w := open(t, served(t, backendtest.New(), examples), desktop)
	w.wait(`document.querySelectorAll("#hits img").length === 3`)
	w.press(kb.Tab)
	if at := w.focused(); at != "Skip to the content" {
		t.Errorf("the first Tab leads to %s", at)
	}
	w.tabTo("tab-search")
	w.press(kb.ArrowRight)
	if at := w.focused(); at != "tab-picture" || eval[bool](w, `document.getElementById("pane-picture").hidden`) {
		t.Errorf("the right arrow leads to %s", at)
	}
	w.press(kb.End)
	if at := w.focused(); at != "tab-model" {
		t.Errorf("End leads to %s", at)
	}
	w.press(kb.ArrowRight) // around
	w.tabTo("search-text")
	w.press("red", kb.Enter)
	w.wait(`document.querySelector("#hits .track")`)
	w.tabTo("least")
	w.press(kb.ArrowLeft)
	w.has("#least-value", "0.49")
	w.tabTo("Ask about red.png")
	w.press(kb.Enter)
	w.wait(`document.getElementById("caption").textContent === "a picture of 67 bytes"`)
	if at := w.focused(); at != "Ask about a picture" {
		t.Errorf("the focus is on %s, want the heading", at)
	}
	w.tabTo("ask-text")
	w.press("is it red?", kb.Enter)
	w.wait(`document.querySelector("#ask .verdict")`)
	w.tabTo("judge-text")
	w.press("good", kb.Enter)
	w.wait(`document.querySelector("#judge .verdict")`)
	w.tabTo("match-text")
	w.press("red", kb.Enter, "green")
	w.tabTo("Compare")
	w.press(kb.Enter)
	w.wait(`document.querySelector("#match .bars")`)
	w.click("#tab-text")
	w.tabTo("rank-text")
	w.press("red")
	w.press(kb.Tab)
	if at := w.focused(); at != "rank-texts" {
		t.Errorf("Tab leads from a text to %s, want the texts that it is compared with", at)
	}
	w.press("rose", kb.Enter, "grass")
	w.tabTo("Compare")
	w.press(kb.Enter)
	w.wait(`document.querySelectorAll("#rank .bars li").length === 2`)
	w.tabTo("classify-text")
	w.check()
}

// What the model does not do is not there.
func TestOnlyWhatTheModelDoes(t *testing.T) {
	for _, c := range []struct {
		can   backend.Capability
		tabs  string
		forms string // of the part that is shown first
	}{
		{backend.CanEmbedText, "Model", ""},
		{backend.CanEmbedText | backend.CanScore, "Text Model", "rank"},
		{backend.CanClassify, "Text Model", "classify"},
		{backend.CanGenerate | backend.CanEmbedText, "Text Model", "write"},
		{backend.CanAsk | backend.CanCaption, "Picture Model", "ask"},
		{backend.CanClassifyPicture, "Picture Model", "judge"},
		{backend.CanSearch | backend.CanEmbedText | backend.CanEmbedPicture, "Search Model", "search-form"},
		{backend.CanMatch | backend.CanEmbedText | backend.CanEmbedPicture, "Picture Model", "match"},
	} {
		t.Run(c.can.String(), func(t *testing.T) {
			w := open(t, served(t, backendtest.Models{{Name: "fake", Can: c.can}}, page.Options{}), desktop)
			if tabs := strings.Join(strings.Fields(w.text(".tabs")), " "); tabs != c.tabs {
				t.Errorf("the tabs are %q, want %q", tabs, c.tabs)
			}
			forms := eval[[]string](w, `[...document.querySelectorAll("main form")].filter(f => f.getClientRects().length).map(f => f.id)`)
			if got := strings.Join(forms, " "); got != c.forms {
				t.Errorf("the forms are %q, want %q", got, c.forms)
			}
			w.check()
		})
	}
}

// A classifier of another library does not say whether it reads one text or two: the second may be left empty.
func TestSecondTextOfAnotherLibrary(t *testing.T) {
	says := func(i *backend.Info) { i.Details.Task = "" }
	w := open(t, served(t, backendtest.Models{{Name: "fake", Can: backend.CanClassify, Says: says}}, page.Options{}), desktop)
	w.has("#classify", "Second text, if it is about two")
	w.write("#classify-text", "it rains")
	w.click("#classify-send")
	w.wait(`document.querySelector("#classify .verdict")`)
	w.write("#classify-pair", "it is wet")
	w.click("#classify-send")
	w.wait(`document.querySelector("#classify .answers").textContent.includes("it rains · it is wet")`)
	w.check()
}

// A key is asked for, stays in the tab, and goes with every request.
func TestKey(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(keys, []byte("open-sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := openUntil(t, demoServed(t, func(o *serve.Options) { o.Keys = keys }), desktop, `document.getElementById("key").open`)
	if at := w.focused(); at != "key-value" {
		t.Errorf("the focus is on %s", at)
	}
	w.press("open-other", kb.Enter)
	w.wait(`document.getElementById("key").open && document.getElementById("key-hint").textContent.includes("does not take")`)
	w.press("open-sesame", kb.Enter)
	w.wait(`document.querySelectorAll("#hits img").length === 12`)
	w.wait(`[...document.querySelectorAll("#hits img")].every(i => i.naturalWidth === 64)`)
	if kept := eval[string](w, `JSON.stringify([localStorage.length, document.cookie, Object.values(sessionStorage)])`); kept != `[0,"",["open-sesame"]]` {
		t.Errorf("what is kept is %s", kept)
	}
	w.click("#key-open")
	w.accessible("key", true)
	w.click("#key-cancel")
	w.wait(`!document.getElementById("key").open`)
	w.expect("401")
	w.check()
}

// A visitor who comes while the models are loaded waits for them.
func TestLoading(t *testing.T) {
	asked := atomic.Int32{}
	loading := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/models" && asked.Add(1) == 1 {
				web.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{"error": map[string]string{"message": "models are being loaded"}})
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	w := openUntil(t, served(t, backendtest.New(), examples, loading), desktop, `!document.getElementById("failed").hidden`)
	w.has("#failed", "Models are being loaded")
	w.wait(`document.querySelectorAll("#hits img").length === 3`)
	w.expect("503")
	w.check()
}

// What goes wrong is said beside what was asked, and what was written is still there.
func TestProblems(t *testing.T) {
	fails := make(chan int, 1)
	around := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case status := <-fails:
				w.Header().Set("Retry-After", "7")
				web.WriteJSON(w, status, map[string]any{"error": map[string]string{"message": "the picture is too large"}})
			default:
				h.ServeHTTP(w, r)
			}
		})
	}
	w := open(t, served(t, backendtest.New(), examples, around), desktop)
	w.wait(`document.querySelectorAll("#hits img").length === 3`)
	w.settled()
	w.click("#search-form .primary")
	w.wait(`!document.querySelector("#pane-search .problem").hidden`)
	w.has("#pane-search .problem", "Say what the picture shows")
	w.write("#search-text", "red")
	fails <- http.StatusTooManyRequests
	w.press(kb.Enter)
	w.wait(`document.querySelector("#pane-search .problem").textContent.includes("Try again in 7 s")`)
	fails <- http.StatusRequestEntityTooLarge
	w.press(kb.Enter)
	w.wait(`document.querySelector("#pane-search .problem").textContent === "The picture is too large"`)
	w.press(kb.Enter)
	w.wait(`document.querySelector("#hits .track") && document.querySelector("#pane-search .problem").hidden`)
	w.click("#tab-picture")
	w.click("#ask .examples button")
	w.wait(`!document.querySelector("#ask .problem").hidden`)
	w.has("#ask .problem", "Choose a picture first")
	w.expect("429", "413")
	w.check()
}

// visit shows every part with answers in it.
func (w *window) visit(then func(part string)) {
	w.t.Helper()
	w.wait(`document.querySelectorAll("#hits img").length > 2`)
	then("begin")
	w.click("#search-examples button")
	w.wait(`document.querySelector("#hits .track")`)
	then("search")
	w.click("#tab-picture")
	w.wait(`document.querySelectorAll("#sample-list img").length > 2`)
	then("no picture")
	w.click("#sample-list button")
	w.wait(`document.getElementById("caption-took").textContent`)
	for _, form := range []string{"ask", "judge", "match"} {
		w.click("#" + form + " .examples button")
		w.wait(fmt.Sprintf(`document.querySelector("#%s .bars")`, form))
	}
	then("picture")
	if eval[bool](w, `!document.getElementById("tab-text").hidden`) {
		w.click("#tab-text")
		for _, shown := range []string{"#rank .bars", "#classify .bars", "#write .took"} {
			form, _, _ := strings.Cut(shown, " ")
			w.click(form + " .examples button")
			w.wait(fmt.Sprintf(`document.querySelector("%s")`, shown)) // an answer moves what is below it, and with it the next button
		}
		then("text")
	}
	w.click("#tab-model")
	then("model")
}

// On a phone and on a desk, in light and dark: nothing is wider than the window, everything has a name, and texts stand out.
func TestLooks(t *testing.T) {
	for _, l := range []look{desktop, {width: 1280, height: 900, dark: true}, phone, {width: 360, height: 740, dark: true, still: true}} {
		t.Run(fmt.Sprintf("%d pixels, dark %v", l.width, l.dark), func(t *testing.T) {
			w := open(t, served(t, backendtest.New(), examples), l)
			colours := map[string]bool{}
			w.visit(func(part string) {
				w.settled()
				w.check()
				w.accessible(part, l == desktop)
				colours[eval[string](w, `getComputedStyle(document.body).backgroundColor`)] = true
				if l.still && eval[int](w, `document.getAnimations().length`) > 0 {
					t.Errorf("%s moves, though its user asked for less", part)
				}
			})
			if dark := colours["rgb(18, 21, 23)"]; len(colours) != 1 || dark != l.dark {
				t.Errorf("the page is %v", colours)
			}
		})
	}
}

// problem is what an audit of the page found.
type problem struct{ Rule, Element, Says string }

// own are checks of names, order and contrast, quick enough for every look of the page.
const own = `(() => {
	const found = [];
	const shown = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden" && !e.closest("[inert], [aria-hidden=true], .hidden-text, .skip");
	const say = (Rule, e, Says = "") => found.push({Rule, Element: e.outerHTML.slice(0, 120), Says});
	const text = e => (e.getAttribute("aria-labelledby") ?? "").split(" ").map(id => document.getElementById(id)?.textContent ?? "").join(" ").trim()
		|| e.getAttribute("aria-label") || [...e.labels ?? []].map(l => l.textContent).join(" ").trim() || e.textContent.trim() || e.alt || e.title;
	for (const e of document.querySelectorAll("button, a, input, select, textarea, [role=tab], [tabindex='0']")) if (shown(e) && !text(e)) say("name", e);
	for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) say("alt", e);
	if ([...document.querySelectorAll("h1")].filter(shown).length !== 1) say("one h1", document.body);
	for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) say("order", e);
	const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
	const rgba = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data };
	const light = c => { const [r, g, b] = rgba(c); return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b) };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgba(c)[3] === 255) return c } return "white" };
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walker.nextNode());) {
		const e = n.parentElement;
		if (!n.data.trim() || !shown(e) || e.closest(".busy, svg, script, .top, .below")) continue;
		const s = getComputedStyle(e);
		const [a, b] = [light(s.color), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && s.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) say("contrast", e, ratio.toFixed(2));
	}
	return found;
})()`

// axe runs axe-core, which has been loaded.
const axe = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => ({Rule: v.id, Element: n.html.slice(0, 160), Says: n.failureSummary}))))`

// accessible reports what keeps people from reading or using what is shown; thoroughly with axe-core, too.
func (w *window) accessible(part string, thoroughly bool) {
	w.t.Helper()
	for _, p := range append(eval[[]problem](w, own), w.axe(thoroughly)...) {
		w.t.Errorf("%s: %s: %s %s", part, p.Rule, p.Element, p.Says)
	}
}

// axe is what axe-core finds.
func (w *window) axe(wanted bool) []problem {
	w.t.Helper()
	path := os.Getenv("UNIMO_AXE")
	switch {
	case !wanted:
		return nil
	case path == "":
		w.t.Log("axe-core: not run: UNIMO_AXE is not set to its axe.min.js")
		return nil
	case !eval[bool](w, `"axe" in window`):
		source, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		eval[bool](w, string(source)+"\n;true")
	}
	return eval[[]problem](w, axe)
}

// The audit finds what is wrong with a page.
func TestAudit(t *testing.T) {
	w := open(t, served(t, backendtest.New(), examples), desktop)
	w.wait(`document.querySelectorAll("#hits img").length > 2`)
	eval[bool](w, `(() => {
		const button = document.createElement("button"), text = document.createElement("p"), img = document.createElement("img");
		button.tabIndex = 3;
		text.textContent = "pale";
		text.style.color = "#cccccc";
		document.getElementById("pane-search").append(button, text, img, document.createElement("h1"));
		document.querySelector("#pane-search h1:last-child").textContent = "another";
		return true })()`)
	rules := map[string]bool{}
	for _, p := range append(eval[[]problem](w, own), w.axe(true)...) {
		rules[p.Rule] = true
	}
	want := []string{"name", "alt", "order", "contrast", "one h1"}
	if os.Getenv("UNIMO_AXE") != "" {
		want = append(want, "button-name", "image-alt", "color-contrast", "tabindex")
	}
	for _, rule := range want {
		if !rules[rule] {
			t.Errorf("%s is not found, only %v", rule, rules)
		}
	}
}

// site is the checked-in model with its index.
var site = sync.OnceValues(func() (demo.Site, error) {
	dir, err := os.MkdirTemp("", "unimo-page-")
	if err != nil {
		return demo.Site{}, err
	}
	removeSite = func() { os.RemoveAll(dir) }
	return demo.MakeSite(context.Background(), demo.Options{Dir: filepath.Join(dir, "ready"), Log: slog.New(slog.DiscardHandler)})
})

var removeSite = func() {}

// demoServed returns the address of the server that "unimo demo --serve" runs.
func demoServed(t *testing.T, change ...func(*serve.Options)) string {
	t.Helper()
	if os.Getenv("UNIMO_BROWSER") == "" {
		t.Skip("not run: UNIMO_BROWSER is not set to the program of a Chromium")
	}
	s, err := site()
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	o := serve.Options{
		Backend: backend.Options{Models: []backend.Source{{Name: "demo", Dir: s.Model}}, Index: s.Index},
		Listen:  "127.0.0.1:0", Page: s.Page, Version: "test", Grace: time.Second, Ready: func(url string) { ready <- url },
	}
	for _, c := range change {
		c(&o)
	}
	go func() { ended <- serve.Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case url := <-ready:
		return url + "/"
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return ""
}

// The checked-in model answers right, through the whole server.
func TestDemo(t *testing.T) {
	w := open(t, demoServed(t), desktop)
	w.wait(`document.querySelectorAll("#hits img").length === 12`)
	if tabs := strings.Join(strings.Fields(w.text(".tabs")), " "); tabs != "Search Picture Text Model" {
		t.Errorf("the tabs are %q", tabs)
	}
	w.has("#notice", "not photographs")
	w.has("#search-lead", "200 pictures in images.")
	w.has("#search-lead code", "images")
	if eval[bool](w, `document.getElementById("chooser").getClientRects().length > 0`) {
		t.Error("a model is to be chosen, though there is one, which does all of its tasks")
	}
	w.write("#search-text", "a small black circle below a big black triangle") // a caption of the first held-out picture
	w.press(kb.Enter)
	w.wait(`document.querySelector("#hits .track")`)
	w.has("#hits li:first-child", "test-00001.png", "0.98")
	w.click("#hits li:first-child .hit-open")
	w.wait(`document.getElementById("caption-took").textContent`)
	w.has("#caption", "big black triangle", "small black circle")
	for _, q := range []struct{ question, answer string }{
		{"what colour is the big object?", "black"}, {"where is the triangle?", "top left"}, {"what is at the top left?", "triangle"}, {"is the circle big or small?", "small"},
	} {
		n := eval[int](w, `document.querySelectorAll("#ask .verdict").length`)
		w.write("#ask-text", q.question)
		w.press(kb.Enter)
		w.wait(fmt.Sprintf(`document.querySelectorAll("#ask .verdict").length === %d`, n+1))
		if got := w.text("#ask .verdict"); got != q.answer {
			t.Errorf("%s %q, want %q", q.question, got, q.answer)
		}
	}
	for i, q := range []struct{ statement, says string }{
		{"you see a star", "It is false"}, {"you see a big black triangle", "It follows"}, {"at the bottom right is a black object", "The picture cannot tell"},
	} {
		w.write("#judge-text", q.statement)
		w.press(kb.Enter)
		w.wait(fmt.Sprintf(`document.querySelectorAll("#judge .verdict").length === %d`, i+1))
		w.has("#judge .verdict", q.says)
	}
	w.click("#match .examples button")
	w.wait(`document.querySelector("#match .bars")`)
	w.has("#match .bars li:first-child", "a small black circle below a big black triangle")
	w.has("#match .answers", "Similarities of vectors", "the order is all it says")
	w.click("#tab-text")
	w.click("#rank .examples button")
	w.wait(`document.querySelector("#rank .bars")`)
	w.has("#rank .bars li:first-child", "a big black triangle above a small black circle")
	w.click("#tab-picture")
	w.click("#alike")
	w.wait(`document.getElementById("search-summary").textContent.includes("test-00001.png")`)
	w.has("#hits li:first-child", "test-00001.png", "1.000")
	w.click("#tab-model")
	w.has("#scores", "questions answered right", "0.9636")
	w.has("#facts", "does several tasks, with the same layers", "3 layers, 96 wide")
	w.has("#tasks", "vqa\nVQA (questions about pictures)", "judges statements about pictures: entailment, neutral, contradiction", "not calibrated", "none")
	w.has("#tasks-hint", "of the classes that get 90 %", "scores compare, and are no probabilities")
	if facts := w.text("#facts"); strings.Contains(facts, "entailment") || strings.Contains(facts, "calibrated") {
		t.Errorf("what is of one task is said of all: %s", facts)
	}
	w.has("footer", "unimo test")
	w.click("#tab-picture")
	none := filepath.Join(t.TempDir(), "none.png")
	if err := os.WriteFile(none, []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.click("#another")
	w.upload(none)
	w.wait(`!document.querySelector("#about-picture .problem").hidden`)
	w.has("#about-picture .problem", "JPEG, PNG, GIF and WebP are read")
	w.expect("400")
	if !eval[bool](w, `fetch(document.getElementById("docs").href).then(r => r.text()).then(t => t.includes("/caption"))`) {
		t.Error("the link for programs does not lead to the description of the routes")
	}
	w.check()
}

// TestScreenshots takes the pictures of docs/guides/serve-page.md; make screenshots runs it.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("UNIMO_SCREENSHOTS")
	if dir == "" {
		t.Skip("not run: UNIMO_SCREENSHOTS is not set to the folder for them")
	}
	address := demoServed(t)
	save := func(w *window, name string) {
		w.settled()
		if err := os.WriteFile(filepath.Join(dir, "serve-page-"+name+".png"), w.shoot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	search := func(w *window) {
		w.wait(`document.querySelectorAll("#hits img").length === 12`)
		w.click("#search-examples button")
		w.wait(`document.querySelector("#hits .track")`)
		w.run(chromedp.MouseEvent("mouseMoved", 2, 300))
	}
	ask := func(w *window) {
		w.wait(`document.querySelectorAll("#hits img").length === 12`)
		w.click("#hits li:nth-child(1) .hit-open")
		w.wait(`document.getElementById("caption-took").textContent`)
		for _, form := range []string{"ask", "judge", "match"} {
			w.click("#" + form + " .examples button")
			w.wait(fmt.Sprintf(`document.querySelector("#%s .bars")`, form))
		}
		w.run(chromedp.MouseEvent("mouseMoved", 2, 300))
		eval[bool](w, `(document.activeElement.blur(), scrollTo(0, 0), true)`)
	}
	w := open(t, address, look{width: 1280, height: 860})
	search(w)
	save(w, "search")
	w = open(t, address, look{width: 1280, height: 1620, dark: true})
	ask(w)
	save(w, "ask")
	w = open(t, address, look{width: 390, height: 844, scale: 2})
	ask(w)
	save(w, "phone")
}
