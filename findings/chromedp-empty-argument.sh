#!/usr/bin/env bash
# chromedp.CallFunctionOn passes an empty string as undefined: the argument has no value any more when it is sent, as the field for it is left
# out where it is empty. So chromedp.SetValue(sel, "") does not empty a field, but writes "undefined" into it, and says "could not set value
# on node". 0 and false arrive.
# Who meets it: whoever empties a field in a test of a page, or gives a script of a page a text that may be empty.
set -euo pipefail
command -v go >/dev/null || { echo "not run: needs Go 1.25 or newer"; exit 0; }
browser=${UNIMO_BROWSER:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$browser" ] || { echo "not run: needs a Chromium; set UNIMO_BROWSER to its program"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOFLAGS=-mod=mod
go mod init example >/dev/null 2>&1
go get github.com/chromedp/chromedp@v0.23.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func main() {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(os.Args[1]))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(allocator)
	defer end()
	must := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	must(chromedp.Do(ctx, chromedp.Navigate(`data:text/html,<input id="a" value="before">`)))
	document, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject]("document"))
	must(err)
	on := func(p *runtime.CallFunctionOnParams) { p.ObjectID = document.ObjectID }
	for _, argument := range []any{"text", "", 0, false} {
		kind, err := chromedp.Run(ctx, chromedp.CallFunctionOn[string]("function(x) { return typeof x }", on, argument))
		must(err)
		fmt.Printf("argument %#v arrives as %s\n", argument, kind)
	}
	err = chromedp.Do(ctx, chromedp.SetValue(chromedp.ID("a"), ""))
	value, e := chromedp.Run(ctx, chromedp.Value(chromedp.ID("a")))
	must(e)
	fmt.Printf("SetValue(\"\"): %v; the field holds %q\n", err, value)
	if err == nil || value != "undefined" {
		fmt.Println("the behaviour is no longer there")
		os.Exit(1)
	}
}
GO
go list -m github.com/chromedp/chromedp
"$browser" --version 2>/dev/null | head -1
go run . "$browser"
