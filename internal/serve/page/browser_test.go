// The package of the browser's protocol is large, and make cross would compile it for every other platform.

//go:build linux

package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is the one that all tests share; each opens windows of its own.
var browser = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(os.Getenv("UNIMO_BROWSER")), chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses to run for root, as in containers
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	stopBrowser = func() { end(); stop() }
	return ctx, chromedp.Do(ctx)
})

var stopBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopBrowser()
	removeSite()
	os.Exit(code)
}

// window is a window of the browser. What the browser complains of, and where the page sends requests, is kept.
type window struct {
	t          *testing.T
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
	requests   []string
}

// look is how a window looks.
type look struct {
	width, height int64
	dark, still   bool // what its user prefers
	scale         float64
}

var desktop, phone = look{width: 1280, height: 900}, look{width: 360, height: 740}

// open opens a page in a new window, which has nothing of earlier ones' storage.
func open(t *testing.T, address string, l look) *window {
	t.Helper()
	return openUntil(t, address, l, `document.querySelector("[role=tab][aria-selected=true]")`)
}

// openUntil is open of a page that is ready when an expression is true of it.
func openUntil(t *testing.T, address string, l look, ready string) *window {
	t.Helper()
	if os.Getenv("UNIMO_BROWSER") == "" {
		t.Skip("not run: UNIMO_BROWSER is not set to the program of a Chromium")
	}
	parent, err := browser()
	if err != nil {
		t.Fatalf("start %s: %v", os.Getenv("UNIMO_BROWSER"), err)
	}
	w := &window{t: t}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.hear))
	t.Cleanup(cancel)
	w.ctx = ctx
	w.run()
	scheme, motion := "light", "no-preference"
	if l.dark {
		scheme = "dark"
	}
	if l.still {
		motion = "reduce"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatal(err)
	}
	w.run(chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateScale(max(l.scale, 1))))
	w.run(chromedp.Navigate(address))
	w.wait(ready)
	return w
}

// hear keeps what a window's test asks for later.
func (w *window) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if len(e.Args) > 0 {
			w.complaints = append(w.complaints, fmt.Sprintf("console.%s: %s %s", e.Type, e.Args[0].Value, e.Args[0].Description))
		}
	case *runtime.EventExceptionThrown:
		w.complaints = append(w.complaints, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		w.complaints = append(w.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		w.requests = append(w.requests, e.Request.URL)
	}
}

func (w *window) run(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	if len(actions) == 0 { // the first time, which opens the window: its life is the context's
		cancel()
		ctx, cancel = w.ctx, func() {}
	}
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatal(err)
	}
}

// patience is what anything may take beside other work.
const patience = 20 * time.Second

// eval returns the value of an expression in the page.
func eval[T any](w *window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait waits until an expression is true of the page.
func (w *window) wait(expression string) {
	w.t.Helper()
	_, err := chromedp.Run(w.ctx, chromedp.Poll[bool]("Boolean("+expression+")", chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil {
		w.t.Fatalf("waited for %s: %v; the page says %.2000s; the browser complains of %q", expression, err, eval[string](w, "document.body.innerText"), w.complaints)
	}
}

// text returns what a visitor reads in an element.
func (w *window) text(selector string) string {
	w.t.Helper()
	return eval[string](w, fmt.Sprintf("document.querySelector(%s)?.innerText ?? 'there is none'", quoted(selector)))
}

func quoted(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (w *window) click(selector string) {
	w.t.Helper()
	w.run(chromedp.Click(chromedp.CSS(selector)))
}

// write puts a text into a field, in place of what is there; chromedp's own way cannot empty one (findings/chromedp-empty-argument.sh).
func (w *window) write(selector, text string) {
	w.t.Helper()
	eval[bool](w, fmt.Sprintf("(e => { e.focus(); e.select(); return true })(document.querySelector(%s))", quoted(selector)))
	w.press(text)
}

// press presses keys where the focus is.
func (w *window) press(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		w.run(chromedp.KeyEvent(k))
	}
}

// upload chooses a file, as the dialog of the system does.
func (w *window) upload(path string) {
	w.t.Helper()
	w.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
}

// settled waits until pictures and animations are there.
func (w *window) settled() {
	w.t.Helper()
	w.wait(`[...document.images].filter((i) => i.getClientRects().length).every((i) => i.complete && i.src) && document.getAnimations().every((a) => a.playState === "finished" || a.effect.getTiming().iterations === Infinity)`)
}

// shoot takes a picture of the window.
func (w *window) shoot() []byte {
	w.t.Helper()
	w.settled()
	raw, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// expect takes complaints with these words as right.
func (w *window) expect(words ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complaints = slices.DeleteFunc(w.complaints, func(c string) bool {
		return slices.ContainsFunc(words, func(s string) bool { return strings.Contains(c, s) })
	})
}

// check reports what no visitor may meet, whatever was done: complaints of the browser, requests to another host, a page wider than the window.
func (w *window) check() {
	w.t.Helper()
	own, err := url.Parse(eval[string](w, "location.href"))
	if err != nil {
		w.t.Fatal(err)
	}
	if over := eval[int](w, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		w.t.Errorf("the page is %d pixels wider than the window", over)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.complaints {
		w.t.Errorf("the browser complains: %s", c)
	}
	for _, r := range w.requests {
		if u, err := url.Parse(r); err != nil || u.Host != own.Host && u.Scheme != "blob" && u.Scheme != "data" {
			w.t.Errorf("the page asks %s", r)
		}
	}
	if len(w.requests) < 5 {
		w.t.Errorf("only the requests %s were heard", strings.Join(w.requests, " "))
	}
}
