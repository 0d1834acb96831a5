// Package volatile spares tests that import it the wait for the disk: what they write need not survive a power failure.
package volatile

import "github.com/unimo-go/unimo/internal/base/atomicfile"

func init() { atomicfile.Volatile = true }
