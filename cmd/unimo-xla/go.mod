module github.com/unimo-go/unimo/cmd/unimo-xla

go 1.26.0

require (
	github.com/ebitengine/purego v0.11.3
	github.com/unimo-go/unimo v0.0.0
)

require golang.org/x/sys v0.50.0 // indirect

replace github.com/unimo-go/unimo => ../..
