package serve

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// How the listener ends. net/http drops a request whose header comes when the server is being shut down; so nothing may come any more by then.
const (
	queueTime = 2 * time.Millisecond   // without a new connection: none waits to be accepted
	acceptAll = 250 * time.Millisecond // the most for those that wait
	firstTime = time.Second            // for the first request on a new connection
)

// listener accepts connections until it is told to end, and then those that wait.
type listener struct {
	*net.TCPListener
	ending atomic.Bool
	end    time.Time // written before ending

	mu    sync.Mutex
	fresh map[net.Conn]time.Time // connections without a request so far
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	for {
		ending := l.ending.Load()
		if ending {
			if time.Now().After(l.end) {
				return nil, net.ErrClosed
			}
			l.SetDeadline(time.Now().Add(queueTime))
		}
		c, err := l.TCPListener.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
		if ending { // else this call waited when the end came
			return nil, net.ErrClosed
		}
	}
}

// track is a [http.Server.ConnState].
func (l *listener) track(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state == http.StateNew {
		if l.fresh == nil {
			l.fresh = map[net.Conn]time.Time{}
		}
		l.fresh[c] = time.Now()
	} else {
		delete(l.fresh, c)
	}
}

// idle says whether no connection is about to bring its first request.
func (l *listener) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, since := range l.fresh {
		if time.Since(since) < firstTime {
			return false
		}
	}
	return true
}

// stop accepts what waits, and then nothing more. served is closed when that is done.
func (l *listener) stop(served <-chan error) {
	l.end = time.Now().Add(acceptAll)
	l.ending.Store(true)
	l.SetDeadline(time.Now()) // wakes who waits
	<-served
	l.Close()
	for !l.idle() {
		time.Sleep(queueTime)
	}
}
