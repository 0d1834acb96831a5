// Package doubles stands in for what programs are given, so that tests see what they do with it.
package doubles

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log is what a program writes, and may be read meanwhile. The zero value is empty.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Reset empties it.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// Wait waits until a text is in it.
func (l *Log) Wait(t *testing.T, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(l.String(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %s in the log: %s", text, l.String())
}

// Lasting is a context that ends after some looks at it.
type Lasting struct {
	context.Context
	Looks int
}

// Err implements [context.Context].
func (l *Lasting) Err() error {
	if l.Looks--; l.Looks < 0 {
		return context.Canceled
	}
	return nil
}

// Lasts returns a context that ends after so many looks.
func Lasts(looks int) *Lasting { return &Lasting{context.Background(), looks} }
