package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/openapi"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/telemetry"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// Options say what is served, where, and how much of it. What is zero is that of [Defaults], unless it says otherwise.
type Options struct {
	Backend backend.Options
	Listen  string // HOST:PORT; port 0 is a free one
	Cert    string // file of the certificate, in PEM; "": no TLS
	Key     string // file of its key
	Keys    string // file of the keys that requests may have; "" and no KeyList: they need none
	KeyList string // more keys, with space between them
	Hosts   []string
	Fetch   []string // what the URLs of pictures that are fetched begin with; none: none is fetched

	Limits web.Limits // but for Fetcher and Busy
	Memory int64      // bytes that the bodies of all requests may have together

	Delay time.Duration // from the end of the context to that of the listener: not ready, but answering; 0: none
	Grace time.Duration // for the requests that are then being answered

	Page    page.Options
	Version string // of the program
	Log     *slog.Logger
	Ready   func(url string) // told once the models are loaded; may be nil
	Reload  <-chan os.Signal // models, keys and certificate are loaded again; may be nil
}

// Defaults are what a server has that is told nothing else.
var Defaults = Options{
	Listen: "127.0.0.1:8080", Limits: web.DefaultLimits, Memory: 512 << 20, Delay: 500 * time.Millisecond, Grace: 30 * time.Second,
}

// ErrCutOff is that requests were not answered within the period of grace.
var ErrCutOff = errors.New("requests were cut off")

// server is a running server.
type server struct {
	Options
	models      *backend.Registry
	telemetry   *telemetry.Telemetry
	guard       *guard
	certificate atomic.Pointer[tls.Certificate]
}

// Run serves until ctx ends and the requests that came before are answered; that is no error. It is one if a model cannot be opened, if the
// address is taken, where the device was lost, or [ErrCutOff]; options that are impossible are a [*run.SettingError].
func Run(ctx context.Context, o Options) error {
	s, err := newServer(o)
	if err != nil {
		return err
	}
	defer s.models.Close()
	defer s.flush()
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; give another address with --listen", s.Listen, err)
	}
	listener := &listener{TCPListener: l.(*net.TCPListener)}
	s.protect(l.Addr())
	requests, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // gRPC
	h := &http.Server{
		Handler: s.telemetry.Wrap(s.guard), Protocols: &protocols, ReadHeaderTimeout: s.guard.patience.header, IdleTimeout: s.guard.patience.idle,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return requests }, ConnState: listener.track,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	url := "http://" + listener.Addr().String()
	if s.Cert == "" {
		go func() { served <- h.Serve(listener) }()
	} else {
		url = "https://" + listener.Addr().String()
		h.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate.Load(), nil }}
		go func() { served <- h.ServeTLS(listener, "", "") }()
	}
	loaded, reloaded := make(chan error, 1), make(chan struct{}, 1)
	go func() { loaded <- s.models.Load(ctx) }()
	var reload <-chan os.Signal // nil while models are being loaded, which is waited for
	for {
		select {
		case err := <-loaded:
			if ctx.Err() == nil && err != nil {
				return errors.Join(err, h.Close())
			}
			loaded, reload = nil, s.Reload
			if err == nil && s.Ready != nil {
				s.Ready(url)
			}
		case <-reload:
			reload = nil
			go func() {
				s.reload(ctx)
				reloaded <- struct{}{}
			}()
		case <-reloaded:
			reload = s.Reload
		case err := <-served: // before the context's end: the listener failed
			return errors.Join(fmt.Errorf("serve on %s: %w", s.Listen, err), h.Close())
		case <-ctx.Done():
			err := s.drain(h, func() { listener.stop(served) }, cancel)
			s.models.Abandon()
			switch { // what loads heeds the context
			case loaded != nil:
				<-loaded
			case reload == nil && s.Reload != nil:
				<-reloaded
			}
			if lost := s.models.Lost(); lost != nil {
				err = errors.Join(fmt.Errorf("device %s was lost while the server ran: %w", s.Backend.Device.Device, lost), err)
			}
			return err
		}
	}
}

func newServer(o Options) (_ *server, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Listen = cmp.Or(o.Listen, Defaults.Listen)
	o.Limits.Body = cmp.Or(o.Limits.Body, Defaults.Limits.Body)
	o.Limits.Items = cmp.Or(o.Limits.Items, Defaults.Limits.Items)
	o.Limits.TopK = cmp.Or(o.Limits.TopK, Defaults.Limits.TopK)
	o.Memory = cmp.Or(o.Memory, Defaults.Memory)
	o.Grace = cmp.Or(o.Grace, Defaults.Grace)
	s := &server{Options: o}
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("a certificate and its key go together; give both files, or neither")
	}
	if err := checkAddress(o.Listen); err != nil {
		return nil, &run.SettingError{Err: err}
	}
	if len(o.Fetch) > 0 {
		f, err := web.NewFetcher(o.Fetch, o.Limits.Body)
		if err != nil {
			return nil, &run.SettingError{Err: err}
		}
		s.Limits.Fetcher = f
	}
	if o.Backend.Log == nil {
		s.Backend.Log = o.Log
	}
	if s.telemetry, err = telemetry.New(context.Background(), s.Version, o.Log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.flush()
		}
	}()
	if o.Backend.Observer == nil {
		s.Backend.Observer = s.telemetry
	}
	if s.models, err = backend.New(s.Backend); err != nil {
		return nil, &run.SettingError{Err: err}
	}
	s.telemetry.Device(s.models.DeviceUse)
	s.guard = &guard{log: o.Log, memory: o.Memory, patience: usual, cross: http.NewCrossOriginProtection()}
	if err := s.readFiles(); err != nil {
		return nil, err
	}
	s.Page.Keys, s.Page.Version = s.guard.keys.Load() != nil, "unimo "+o.Version
	mux := http.NewServeMux()
	s.Limits.Busy = s.models.Busy
	mount(mux, s.models, s.Limits, s.Page)
	mux.Handle("GET /metrics", s.telemetry.Metrics())
	if err := openapi.Mount(mux, s.Version, operations()); err != nil {
		return nil, err
	}
	s.guard.next = router{mux}
	return s, nil
}

// checkAddress returns an error about what can never be listened on.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("listen on %q: %w; want HOST:PORT, as in :8080", address, err)
	}
	return nil
}

// flushTime is for the traces that are not sent when the server ends.
const flushTime = 5 * time.Second

func (s *server) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := s.telemetry.Shutdown(ctx); err != nil {
		s.Log.Warn("the last traces were not sent", "error", err)
	}
}

// maxPEM bounds the files of a certificate and its key.
const maxPEM = 1 << 20

// readFiles reads the keys and the certificate. Where one cannot be read, neither changes.
func (s *server) readFiles() error {
	var k keys
	var c tls.Certificate
	var err error
	if s.Keys != "" {
		if k, err = readKeys(s.Keys); err != nil {
			return err
		}
	}
	if s.KeyList != "" {
		more, err := parseKeys([]byte(strings.Join(strings.Fields(s.KeyList), "\n")))
		if err != nil {
			return fmt.Errorf("read keys: %s: %w", KeysEnv, err)
		}
		k = append(k, more...)
	}
	if s.Cert != "" {
		cert, err := infile.Read(s.Cert, maxPEM)
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		key, err := infile.Read(s.Key, maxPEM)
		if err != nil {
			return fmt.Errorf("read the certificate's key: %w", err)
		}
		if c, err = tls.X509KeyPair(cert, key); err != nil {
			return fmt.Errorf("certificate %s with key %s: %w", s.Cert, s.Key, err)
		}
		s.certificate.Store(&c)
	}
	if k != nil {
		s.guard.keys.Store(&k)
	}
	return nil
}

// protect decides by the address who may ask. Whoever is on this machine may; there, a page in a browser could be led here by a name, so only
// known ones count. An address that others can reach is served without a question, but not without a word.
func (s *server) protect(addr net.Addr) {
	a, ok := addr.(*net.TCPAddr)
	asks := s.guard.keys.Load() != nil
	switch local := ok && a.IP.IsLoopback(); {
	case local && !asks || len(s.Hosts) > 0:
		s.guard.hosts = append([]string{}, s.Hosts...)
	case !local && !asks:
		s.Log.Warn(fmt.Sprintf("%s can be reached from other machines, and requests need no key; --keys FILE or %s asks for one", addr, KeysEnv))
	}
	if ok && !a.IP.IsLoopback() && asks && s.Cert == "" {
		s.Log.Warn(fmt.Sprintf("keys go to %s as they are; --tls-cert and --tls-key encrypt them, unless a proxy does", addr))
	}
}

// reload loads keys, certificate and models again. What cannot be loaded stays as it was.
func (s *server) reload(ctx context.Context) {
	s.Log.Info("loading again")
	files := s.readFiles()
	if files != nil {
		s.Log.Error("keys and certificate stay as they were", "error", files)
	}
	switch err := s.models.Load(ctx); {
	case ctx.Err() != nil:
	case err != nil && s.models.Loaded() != nil: // the device was lost, and what stays does not answer
		s.Log.Error("not every model could be loaded again, and those left do not answer without their device; SIGHUP tries again", "error", err)
	case err != nil:
		s.Log.Error("a model stays as it was", "error", err)
	case files != nil:
		s.Log.Info("the models are loaded again")
	default:
		s.Log.Info("loaded again")
	}
}

// refusalTime is for telling clients that they are cut off.
const refusalTime = time.Second

// errEnding is what clients are told that are cut off.
var errEnding = &backend.Error{Kind: backend.Unavailable, Message: "the server ended before the request was answered; send it again"}

// drain ends the server: with the last answer, or after the period of grace. close closes the listener, cancel what is then still being answered.
func (s *server) drain(h *http.Server, close func(), cancel context.CancelCauseFunc) error {
	s.models.Drain()
	s.guard.draining.Store(true)
	s.Log.Info("draining", "requests", s.guard.requests.Load())
	time.Sleep(min(s.Delay, s.Grace))
	close()
	ctx, stop := context.WithTimeout(context.Background(), s.Grace)
	defer stop()
	err := h.Shutdown(ctx)
	if err == nil {
		return nil
	}
	n := s.guard.requests.Load()
	cancel(errEnding)
	ctx, stop = context.WithTimeout(context.Background(), refusalTime)
	defer stop()
	h.Shutdown(ctx)
	h.Close()
	return fmt.Errorf("%w: %d were not answered within %v; give them longer with --grace", ErrCutOff, n, s.Grace)
}
