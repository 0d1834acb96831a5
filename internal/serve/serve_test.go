package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/web"
	"github.com/unimo-go/unimo/internal/test/doubles"
)

var tiny = filepath.Join("..", "..", "testdata")

// running is a server in a test.
type running struct {
	url    string
	client *http.Client
	stop   func()
	ended  chan error
}

// start runs a server of the tiny model that classifies films, on a free port.
func start(t *testing.T, change func(o *Options)) *running {
	t.Helper()
	doubles.NoLeak(t)
	o := Options{
		Listen: "127.0.0.1:0", Backend: backend.Options{Models: []backend.Source{{Name: "films", Dir: filepath.Join(tiny, "films.model")}}},
		Delay: 50 * time.Millisecond, Grace: 10 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	ready := make(chan string, 1)
	o.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(context.Background())
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	s := &running{client: &http.Client{Transport: transport, Timeout: 20 * time.Second}, stop: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		transport.CloseIdleConnections()
		<-s.ended
	})
	select {
	case s.url = <-ready:
	case err := <-s.ended:
		s.ended <- nil
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("it does not get ready")
	}
	return s
}

// end stops the server and returns what Run returned.
func (s *running) end() error {
	s.stop()
	err := <-s.ended
	s.ended <- nil
	return err
}

func (s *running) do(t testing.TB, method, path, body string, header ...string) (status int, answer string, h http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	a, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(raw), a.Header
}

const predict = `{"inputs": "a gripping film"}`

func TestServe(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/livez", "/readyz", "/", "/v1/models"} {
		if status, body, _ := s.do(t, "GET", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body, _ := s.do(t, "POST", "/predict", predict); status != 200 || !strings.Contains(body, "positive") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := s.do(t, "GET", "/none", ""); status != 404 {
		t.Error(status)
	}
	// A page of another site, and a name that was made to lead here.
	if status, body, _ := s.do(t, "POST", "/predict", predict, "Origin", "https://evil.example"); status != 403 {
		t.Errorf("%d %s", status, body)
	}
	for host, want := range map[string]int{"evil.example": 403, "localhost:8080": 200, "localhost.": 200, "LOCALHOST.:80": 200, "[::1]:80": 200, "127.0.0.1": 200} {
		if status, body, _ := s.do(t, "POST", "/predict", predict, "Host", host); status != want {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeServed(t *testing.T) {
	doubles.NoLeak(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // traces, which must end, too
	ok := backend.Options{Models: []backend.Source{{Name: "films", Dir: filepath.Join(tiny, "films.model")}}}
	keysFile := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keysFile, []byte("# none\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for says, o := range map[string]Options{
		"no model":            {},
		"no folder":           {Backend: backend.Options{Models: []backend.Source{{Name: "x", Dir: filepath.Join(t.TempDir(), "x")}}}, Listen: "127.0.0.1:0"},
		"--listen":            {Backend: ok, Listen: taken.Addr().String()},
		"no key in it":        {Backend: ok, Keys: keysFile},
		"want HOST:PORT":      {Backend: ok, Listen: "8080"},
		"go together":         {Backend: ok, Cert: "x"},
		"no place to fetch":   {Backend: ok, Fetch: []string{"example.com"}},
		"two models are call": {Backend: backend.Options{Models: append(ok.Models, ok.Models...)}},
	} {
		err := Run(context.Background(), o)
		if err == nil || says != "no folder" && !strings.Contains(err.Error(), says) || says == "no folder" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# ours\nfirst-key-1234\n\n second-key-1234 \n")
	reload := make(chan os.Signal, 1)
	var log doubles.Log
	s := start(t, func(o *Options) { o.Keys, o.Reload, o.Log = path, reload, slog.New(slog.NewTextHandler(&log, nil)) })
	status := func(header ...string) int {
		status, _, h := s.do(t, "POST", "/predict", predict, header...)
		if status == 401 && h.Get("WWW-Authenticate") == "" {
			t.Error("a 401 without WWW-Authenticate")
		}
		return status
	}
	for _, key := range []string{"first-key-1234", "second-key-1234"} {
		if got := status("Authorization", "Bearer "+key); got != 200 {
			t.Errorf("%s: %d", key, got)
		}
	}
	for _, header := range [][]string{nil, {"Authorization", "Bearer first-key-123"}, {"Authorization", "Bearer "}, {"Authorization", "Basic first-key-1234"}, {"Authorization", "# ours"}} {
		if got := status(header...); got != 401 {
			t.Errorf("%v: %d", header, got)
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/": 200, "/page/setup.json": 200, "/docs": 200, "/openapi.json": 200, "/v1/models": 401, "/metrics": 401, "/page/../v1/models": 401} {
		if got, _, _ := s.do(t, "GET", path, ""); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	log.Wait(t, "level=INFO msg=request method=POST path=/predict route=/predict status=200")
	log.Wait(t, "level=WARN msg=request method=GET path=/metrics ") // who may not ask, also where who may is not logged
	if strings.Contains(log.String(), "level=INFO msg=request method=POST path=/predict route=none status=401") {
		t.Error("a 401 is no warning")
	}
	write("third-key-1234\n")
	reload <- os.Interrupt
	for range 500 {
		if status("Authorization", "Bearer third-key-1234") == 200 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if status("Authorization", "Bearer third-key-1234") != 200 || status("Authorization", "Bearer first-key-1234") != 401 {
		t.Error("the keys were not read again")
	}
	log.Wait(t, `msg="loaded again"`)
	write("short\n")
	log.Reset()
	reload <- os.Interrupt
	log.Wait(t, `msg="the models are loaded again"`)
	if status("Authorization", "Bearer third-key-1234") != 200 || !strings.Contains(log.String(), "keys and certificate stay as they were") || strings.Contains(log.String(), `msg="loaded again"`) {
		t.Error(log.String())
	}
}

// A container has its keys from the environment, and those of the file, too.
func TestKeysOfTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("of-the-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *Options) { o.KeyList, o.Keys = " first-key-1234\nsecond-key-1234 ", path })
	for key, want := range map[string]int{"first-key-1234": 200, "second-key-1234": 200, "of-the-file": 200, "": 401, "first-key-1234 second-key-1234": 401} {
		if got, body, _ := s.do(t, "GET", "/v1/models", "", "Authorization", "Bearer "+key); got != want {
			t.Errorf("%q: %d %s", key, got, body)
		}
	}
	if _, body, _ := s.do(t, "GET", "/page/setup.json", ""); !strings.Contains(body, `"keys":true`) {
		t.Error(body)
	}
	if err := Run(context.Background(), Options{Backend: backend.Options{Models: []backend.Source{{Name: "x", Dir: "x"}}}, KeyList: "long-enough-1 short"}); err == nil || !strings.Contains(err.Error(), "UNIMO_KEYS: line 2: ") {
		t.Error(err)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("a-key-of-some-length\n# no\n\n"), "a-key-of-some-length")
	f.Fuzz(func(t *testing.T, raw []byte, key string) {
		list, err := parseKeys(raw)
		if (err == nil) == (len(list) == 0) {
			t.Errorf("%d keys, %v", len(list), err)
		}
		if err == nil && list.has(key) && !bytes.Contains(raw, []byte(key)) {
			t.Errorf("%q is no key", key)
		}
	})
}

// certificate makes one for this machine.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	s := start(t, func(o *Options) { o.Cert, o.Key = cert, key })
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Error(s.url)
	}
	if status, body, _ := s.do(t, "POST", "/predict", predict); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// What is asked until the server says that a connection is over is answered.
func TestDrainLosesNothing(t *testing.T) {
	s := start(t, func(o *Options) { o.Delay = 200 * time.Millisecond })
	var wait sync.WaitGroup
	var sent, answered atomic.Int64
	begun := make(chan struct{})
	for i := range 16 {
		wait.Go(func() {
			for n := 0; ; n++ {
				if i == 0 && n == 10 {
					close(begun)
				}
				sent.Add(1)
				a, err := s.client.Post(s.url+"/predict", "application/json", strings.NewReader(predict))
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				raw, err := io.ReadAll(a.Body)
				a.Body.Close()
				if err != nil || a.StatusCode != 200 || !json.Valid(raw) {
					t.Errorf("%d %s, %v", a.StatusCode, raw, err)
					return
				}
				answered.Add(1)
				if a.Close {
					return
				}
			}
		})
	}
	<-begun
	if err := s.end(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if sent.Load() != answered.Load() || answered.Load() < 10 {
		t.Errorf("%d sent, %d answered", sent.Load(), answered.Load())
	}
}

// A request that came before the drain and is answered during it is its connection's last one.
func TestDrainEndsConnections(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
	}{
		{"a body", func(w http.ResponseWriter) { w.Write([]byte("x")) }},
		{"a status", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		{"pieces", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := guarded(t, backendtest.New(), func(g *guard, _ *http.Server) {
				g.next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					g.draining.Store(true)
					c.answer(w)
				})
			})
			a, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			if !a.Close {
				t.Error("the connection stays open")
			}
		})
	}
}

// Clients that go on asking at the end are answered, or not accepted: no connection is accepted and then closed without an answer.
func TestDrainUnderLoad(t *testing.T) {
	s := start(t, nil)
	s.client.Transport.(*http.Transport).DisableKeepAlives = true
	var wait sync.WaitGroup
	begun := make(chan struct{})
	for i := range 16 {
		wait.Go(func() {
			for n := 0; ; n++ {
				if i == 0 && n == 10 {
					close(begun)
				}
				a, err := s.client.Post(s.url+"/predict", "application/json", strings.NewReader(predict))
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("a request was dropped: %v", err)
				}
				if err != nil {
					return // refused, or reset by the system, whose queue of connections ends with the listener
				}
				a.Body.Close()
				if a.StatusCode != 200 {
					t.Error(a.StatusCode)
				}
			}
		})
	}
	<-begun
	if err := s.end(); err != nil {
		t.Error(err)
	}
	wait.Wait()
}

// guarded serves a fake through the guard, with its own limits.
func guarded(t *testing.T, m backend.Models, change func(g *guard, h *http.Server)) string {
	t.Helper()
	mux := http.NewServeMux()
	mount(mux, m, web.Limits{Body: 1 << 20, Items: 10, TopK: 10}, page.Options{})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("oh") })
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")); panic("oh") })
	g := &guard{next: router{mux}, log: slogDiscard, memory: 1 << 20, patience: usual, cross: http.NewCrossOriginProtection()}
	h := &http.Server{Handler: g, ErrorLog: nil}
	if change != nil {
		change(g, h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	return "http://" + l.Addr().String()
}

func TestPanics(t *testing.T) {
	url := guarded(t, backendtest.New(), nil)
	a, err := http.Get(url + "/panic")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(a.Body)
	a.Body.Close()
	if a.StatusCode != 500 || bytes.Contains(raw, []byte("goroutine")) || bytes.Contains(raw, []byte("oh")) {
		t.Errorf("%d %s", a.StatusCode, raw)
	}
	if a, err := http.Get(url + "/late"); err == nil {
		_, err = io.ReadAll(a.Body)
		a.Body.Close()
		if err == nil {
			t.Error("half an answer looks like a whole one")
		}
	}
}

// A panic of a goroutine that a protocol begins is an answer, too.
func TestPanicsOfProtocols(t *testing.T) {
	m := backendtest.New()
	m[0].Panic = "oh"
	url := guarded(t, m, func(_ *guard, h *http.Server) {
		h.Protocols = new(http.Protocols)
		h.Protocols.SetHTTP1(true)
		h.Protocols.SetUnencryptedHTTP2(true)
	})
	for path, body := range map[string]string{
		"/v1/completions": `{"prompt": "x"}`, "/vertex": `{"instances": [{"inputs": "x"}]}`, "/classify": `{"text": "x"}`,
		"/v2/models/fake/infer": `{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["x"]}], "outputs": [{"name": "generated_text"}]}`,
	} {
		a, err := httpClient.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		raw, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if a.StatusCode/100 != 5 && a.StatusCode != 424 || strings.Contains(string(raw), "oh") {
			t.Errorf("%s: %d %s", path, a.StatusCode, raw)
		}
	}
	c, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	service := inferencepb.NewGRPCInferenceServiceClient(c)
	r := &inferencepb.ModelInferRequest{ModelName: "fake", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{
		{Name: "text", Datatype: "BYTES", Shape: []int64{1}, Contents: &inferencepb.InferTensorContents{BytesContents: [][]byte{[]byte("x")}}},
	}}
	if _, err := service.ModelInfer(t.Context(), r); status.Code(err) != codes.Internal {
		t.Error(err)
	}
	stream, err := service.ModelStreamInfer(t.Context())
	if err == nil {
		err = stream.Send(r)
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
}

// All bodies together are bounded, and the memory is free again afterwards.
func TestBodiesAreBounded(t *testing.T) {
	var g *guard
	url := guarded(t, backendtest.New(), func(x *guard, _ *http.Server) { g = x })
	hold := func() net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 700000\r\n\r\n%s", strings.Repeat(" ", 600_000))
		return c
	}
	first := hold()
	for g.held.Load() < 600_000 {
		time.Sleep(time.Millisecond)
	}
	a, err := http.Post(url+"/embed", "application/json", strings.NewReader(`{"inputs": "`+strings.Repeat("x", 600_000)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	first.Close()
	for range 500 {
		if g.held.Load() == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Errorf("%d bytes are held", g.held.Load())
}

// deadlines notes those that are set when its request is over, and that of writing.
type deadlines struct {
	http.ResponseWriter
	over, late atomic.Bool
	write      time.Time
	written    []bool // with a deadline
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	d.written = append(d.written, !d.write.IsZero())
	return d.ResponseWriter.Write(p)
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	time.Sleep(time.Second)
	d.late.Store(d.late.Load() || d.over.Load())
	return nil
}

// A client may leave just when its request is answered. net/http takes the request apart then, so nobody may touch it any more.
func TestRequestsAreNotTouchedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leave() })
		g := &guard{next: next, log: slogDiscard, memory: 1 << 20, patience: usual, cross: http.NewCrossOriginProtection()}
		w := &deadlines{ResponseWriter: httptest.NewRecorder()}
		g.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/embed", strings.NewReader("{}")))
		w.over.Store(true)
		time.Sleep(time.Minute)
		if w.late.Load() {
			t.Error("a deadline was set when the request was over")
		}
	})
}

// A client has time for each piece of an answer, and a model as long as it likes between two.
func TestDeadlinesAreOfPieces(t *testing.T) {
	w := &deadlines{ResponseWriter: httptest.NewRecorder(), write: time.Now()} // of the answer before
	next := http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		for _, write := range []func(){func() {}, func() { out.WriteHeader(http.StatusOK) }, func() { out.Write([]byte("a")) }, out.(http.Flusher).Flush} {
			if write(); !w.write.IsZero() {
				t.Error("a deadline is left")
			}
		}
	})
	g := &guard{next: next, log: slogDiscard, memory: 1 << 20, patience: usual, cross: http.NewCrossOriginProtection()}
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !slices.Equal(w.written, []bool{true}) || w.write.IsZero() {
		t.Errorf("written with deadlines: %v, at the end %v", w.written, w.write)
	}
}

// A stream holds the messages that are not answered, however many it has had.
func TestStreamsHoldWhatIsNotAnswered(t *testing.T) {
	var g *guard
	url := guarded(t, backendtest.New(), func(x *guard, h *http.Server) {
		g, h.Protocols = x, new(http.Protocols)
		h.Protocols.SetUnencryptedHTTP2(true)
	})
	c, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stream, err := inferencepb.NewGRPCInferenceServiceClient(c).ModelStreamInfer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const size = 100_000
	for i := range int(3 * g.memory / size) {
		err := stream.Send(&inferencepb.ModelInferRequest{
			ModelName: "fake", Id: strings.Repeat("x", size), Outputs: []*inferencepb.ModelInferRequest_InferRequestedOutputTensor{{Name: "generated_text"}},
			Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "text", Datatype: "BYTES", Shape: []int64{1}, Contents: &inferencepb.InferTensorContents{BytesContents: [][]byte{[]byte("a bc")}}}},
		})
		for last := false; !last; {
			a, failed := stream.Recv()
			if err = errors.Join(err, failed); err != nil || a.ErrorMessage != "" {
				t.Fatalf("message %d: %v, %s", i, err, a.GetErrorMessage())
			}
			last = a.InferResponse.Parameters["triton_final_response"].GetBoolParam()
		}
	}
	if held := g.held.Load(); held > 2*size {
		t.Errorf("%d bytes are held", held)
	}
}

// What a request takes is never less than nothing, and nothing when it is over, whoever still counts.
func TestBodiesAreCountedOnce(t *testing.T) {
	b := &body{guard: &guard{memory: 100}}
	for _, step := range []struct {
		do   func()
		want int64
	}{
		{func() { b.Hold(10) }, 10}, {func() { b.Release(20) }, 0}, {func() { b.Hold(30) }, 30}, {b.end, 0}, {func() { b.Release(30) }, 0}, {func() { b.Hold(5) }, 0}, {b.end, 0},
	} {
		if step.do(); b.guard.held.Load() != step.want {
			t.Fatalf("%d bytes are held, want %d", b.guard.held.Load(), step.want)
		}
	}
}

// What was compressed counts as what it becomes.
func TestUnpackedBodiesAreBounded(t *testing.T) {
	var g *guard
	url := guarded(t, backendtest.New(), func(x *guard, h *http.Server) {
		g, h.Protocols = x, new(http.Protocols)
		h.Protocols.SetHTTP1(true)
		h.Protocols.SetUnencryptedHTTP2(true)
		g.memory = 500_000
	})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Repeat([]byte{' '}, 800_000))
	z.Close()
	r, err := http.NewRequest(http.MethodPost, url+"/v2/models/fake/infer", &packed)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	a, err := httpClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != 429 {
		t.Error(a.StatusCode)
	}
	c, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = inferencepb.NewGRPCInferenceServiceClient(c).ModelInfer(t.Context(), &inferencepb.ModelInferRequest{ModelName: "fake", Id: strings.Repeat("x", 800_000)}, grpc.UseCompressor("gzip"))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "more than 500000 bytes together") {
		t.Error(err)
	}
	for range 500 {
		if g.held.Load() == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Errorf("%d bytes are held", g.held.Load())
}

// A client that sends its body slowly is told so, one that waits for its answer is not, and one that takes none is left.
func TestSlowClients(t *testing.T) {
	m := backendtest.New()
	m[0].Wait = make(chan struct{})
	var g *guard
	url := guarded(t, m, func(x *guard, _ *http.Server) {
		g = x
		g.patience.body, g.patience.write = 100*time.Millisecond, 100*time.Millisecond
		g.next.(router).HandleFunc("/much", func(w http.ResponseWriter, r *http.Request) {
			for range 1000 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
			t.Error("a client that takes nothing was sent everything")
		})
	})
	dial := func(text string) net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, text)
		return c
	}
	slow := dial("POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
	defer slow.Close()
	slow.SetReadDeadline(time.Now().Add(10 * time.Second))
	if raw, err := io.ReadAll(slow); err != nil || !bytes.Contains(raw, []byte("too long")) {
		t.Errorf("%s, %v", raw, err)
	}
	waits := dial("POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"inputs\": \"x\"}")
	defer waits.Close()
	time.Sleep(300 * time.Millisecond)
	close(m[0].Wait)
	waits.SetReadDeadline(time.Now().Add(10 * time.Second))
	if raw, err := io.ReadAll(waits); err != nil || !bytes.Contains(raw, []byte("200 OK")) {
		t.Errorf("%s, %v", raw, err)
	}
	takesNothing := dial("GET /much HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	defer takesNothing.Close()
	for range 1000 {
		if g.requests.Load() == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := g.requests.Load(); n != 0 {
		t.Errorf("%d requests are still answered", n)
	}
}

// Clients that leave half-way, in the body or while they wait, leave nothing behind.
func TestClientsThatLeave(t *testing.T) {
	doubles.NoLeak(t)
	m := backendtest.New()
	m[0].Wait = make(chan struct{})
	var g *guard
	var h *http.Server
	url := guarded(t, m, func(x *guard, s *http.Server) { g, h = x, s })
	for i := range 200 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		text := "POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"inputs\": \"x\"}"
		fmt.Fprint(c, text[:len(text)-i%len(text)])
		time.AfterFunc(5*time.Millisecond, func() { c.Close() })
	}
	for range 1000 {
		if g.requests.Load() == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if g.requests.Load() != 0 || g.held.Load() != 0 {
		t.Errorf("%d requests, %d bytes are left", g.requests.Load(), g.held.Load())
	}
	h.Close()
}

// A period of grace that is too short ends requests, and says so: to those who run the server, and to clients that still wait.
func TestGraceEnds(t *testing.T) {
	m := backendtest.New()
	m[0].Wait = make(chan struct{})
	s := &server{Options: Options{Grace: 100 * time.Millisecond, Log: slogDiscard}}
	var err error
	if s.models, err = backend.New(backend.Options{Models: []backend.Source{{Name: "x", Dir: "x"}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var h *http.Server
	url := guarded(t, m, func(g *guard, x *http.Server) {
		s.guard, h = g, x
		h.BaseContext = func(net.Listener) context.Context { return ctx }
		var p http.Protocols
		p.SetHTTP1(true)
		p.SetUnencryptedHTTP2(true)
		h.Protocols = &p
	})
	const says = "the server ended before the request was answered; send it again"
	var wait sync.WaitGroup
	bodies := map[string][2]string{
		"/embed":                {`{"inputs": "x"}`, `{"error":"` + says + `","error_type":"Unhealthy"}`},
		"/v1/embeddings":        {`{"input": "x"}`, `{"error":{"code":null,"message":"` + says + `","param":null,"type":"server_error"}}`},
		"/v2/embed":             {`{"texts": ["x"], "input_type": "search_query"}`, `"message":"` + says},
		"/v2/models/fake/infer": {`{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["x"]}]}`, `{"error":"` + says + `"}`},
		"/caption":              {`{"picture": "data:,x"}`, `{"error":{"message":"` + says + `","type":"unavailable"}}`},
		"/classify":             {`{"text": "x"`, says},
	}
	for path, c := range bodies {
		wait.Go(func() {
			body, more := io.Pipe()
			go func() {
				io.WriteString(more, c[0])
				if path != "/classify" { // whose body never ends
					more.Close()
				}
			}()
			defer more.Close()
			a, err := httpClient.Post(url+path, "application/json", body)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			defer a.Body.Close()
			raw, err := io.ReadAll(a.Body)
			if a.StatusCode != 503 || !a.Close || !strings.Contains(string(raw), c[1]) {
				t.Errorf("%s: %d, close %v, %s, %v", path, a.StatusCode, a.Close, raw, err)
			}
		})
	}
	wait.Go(func() {
		c, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if err := c.Invoke(context.Background(), "/grpc.health.v1.Health/Check", &inferencepb.ServerLiveRequest{}, &inferencepb.ServerLiveResponse{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("another service: %v", err)
		}
		_, err = inferencepb.NewGRPCInferenceServiceClient(c).ModelInfer(context.Background(), &inferencepb.ModelInferRequest{
			ModelName: "fake", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "text", Datatype: "BYTES", Shape: []int64{1}, Contents: &inferencepb.InferTensorContents{BytesContents: [][]byte{[]byte("x")}}}},
		})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), says) {
			t.Error(err)
		}
	})
	for len(m[0].Asks()) < len(bodies) || s.guard.requests.Load() < int64(len(bodies))+1 { // but for the half one, with that of gRPC
		time.Sleep(time.Millisecond)
	}
	if err := s.drain(h, func() {}, cancel); !errors.Is(err, ErrCutOff) || !strings.Contains(err.Error(), "7 were not answered") {
		t.Error(err)
	}
	wait.Wait()
}
