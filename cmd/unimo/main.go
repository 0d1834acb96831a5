// Command unimo trains, evaluates and runs UNIMO models. See "unimo help".
package main

import (
	"os"

	"github.com/unimo-go/unimo/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
