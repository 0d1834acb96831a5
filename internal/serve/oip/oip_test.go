package oip

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
	"github.com/unimo-go/unimo/internal/serve/web"
)

var limits = web.Limits{Body: 1 << 16, Items: 4, TopK: 5}

func handler(models backend.Models) http.Handler {
	mux := http.NewServeMux()
	Mount(mux, models, limits)
	return mux
}

func send(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const picture = "data:image/png;base64,QUJD"

func TestHTTP(t *testing.T) {
	text := func(name string, values ...string) string {
		raw, _ := json.Marshal(values)
		return fmt.Sprintf(`{"name":%q,"datatype":"BYTES","shape":[%d],"data":%s}`, name, len(values), raw)
	}
	post := func(rest string, inputs ...string) string {
		return `{"inputs":[` + strings.Join(inputs, ",") + `]` + rest + `}`
	}
	want := func(names ...string) string {
		list := make([]string, len(names))
		for i, n := range names {
			list[i] = fmt.Sprintf(`{"name":%q}`, n)
		}
		return `,"outputs":[` + strings.Join(list, ",") + `]`
	}
	ids := func(shape, data string) string {
		return `{"name":"input_ids","datatype":"INT64","shape":` + shape + `,"data":` + data + `}`
	}
	const infer = "/v2/models/fake/infer"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"server", "GET", "/v2", "", 200, `"name":"unimo"`},
		{"server with a slash", "GET", "/v2/", "", 200, `"binary_tensor_data"`},
		{"live", "GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"ready", "GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"index", "POST", "/v2/repository/index", "", 200, `[{"name":"fake","version":"1","state":"READY"},{"name":"org/other","version":"1","state":"READY"},{"name":"foreign","version":"1","state":"READY"}]`},
		{"model ready", "GET", "/v2/models/fake/ready", "", 200, `{"name":"fake","ready":true}`},
		{"model with a slash", "GET", "/v2/models/org/other/versions/1/ready", "", 200, `{"name":"org/other","ready":true}`},
		{"metadata", "GET", "/v2/models/org/other", "", 200, `"inputs":[{"name":"text","datatype":"BYTES","shape":[-1]},{"name":"input_ids","datatype":"INT64","shape":[-1,-1]},{"name":"attention_mask","datatype":"INT64","shape":[-1,-1]},{"name":"query","datatype":"BYTES","shape":[1]}],"outputs":[{"name":"score","datatype":"FP64","shape":[-1]},{"name":"embedding","datatype":"FP32","shape":[-1,8]}]`},
		{"no model", "GET", "/v2/models/none", "", 404, `"error":"no model`},
		{"no version", "GET", "/v2/models/fake/versions/2", "", 404, `no version \"2\"`},
		{"no version of ready", "GET", "/v2/models/fake/versions/2/ready", "", 404, `no version`},
		{"method", "GET", infer, "", 405, "use POST"},
		{"method of ready", "DELETE", "/v2/models/fake/ready", "", 405, "use GET"},

		{"classify by default", "POST", infer, post("", text("text", "a good film", "bad")), 200, `"outputs":[{"name":"label","datatype":"BYTES","shape":[2],"data":["positive","negative"]},{"name":"probabilities","datatype":"FP64","shape":[2,2],"data":[0.125,0.875,0.75,0.25]}]`},
		{"id and usage", "POST", infer, post(`,"id":"42"`, text("text", "good")), 200, `{"model_name":"fake","model_version":"1","id":"42","parameters":{"pictures":0,"tokens":3}`},
		{"version", "POST", "/v2/models/fake/versions/1/infer", post("", text("text", "good")), 200, `"positive"`},
		{"batch of one string each", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[2,1],"data":[["good"],["bad"]]}`), 200, `["positive","negative"]`},
		{"two tasks", "POST", infer, post(want("embedding", "label"), text("text", "good")), 200, `{"name":"label","datatype":"BYTES","shape":[1],"data":["positive"]}]`},
		{"classification", "POST", infer, post(`,"outputs":[{"name":"probabilities","parameters":{"classification":1}}]`, text("text", "good", "bad")), 200, `{"name":"probabilities","datatype":"BYTES","shape":[2,1],"data":["0.875000:1:positive","0.750000:0:negative"]}`},
		{"ask", "POST", infer, post(`,"parameters":{"top_k":2}`+want("answer", "answer_probability"), text("picture", picture), text("text", "is it red?")), 200, `[{"name":"answer","datatype":"BYTES","shape":[1,2],"data":["yes","no"]},{"name":"answer_probability","datatype":"FP64","shape":[1,2],"data":[0.625,0.25]}]`},
		{"caption", "POST", infer, post("", text("picture", picture, picture)), 200, `[{"name":"generated_text","datatype":"BYTES","shape":[2],"data":["a picture of 3 bytes","a picture of 3 bytes"]},{"name":"generated_score","datatype":"FP64","shape":[2],"data":[-0.25,-0.25]},{"name":"finished","datatype":"BOOL","shape":[2],"data":[true,true]}]`},
		{"generate", "POST", infer, post(`,"parameters":{"max_length":1}`+want("generated_text", "finished"), text("text", "a b", "c")), 200, `"data":["A","C"]},{"name":"finished","datatype":"BOOL","shape":[2],"data":[false,true]}]`},
		{"search", "POST", infer, post(`,"parameters":{"top_k":2}`+want("found", "similarity"), text("text", "red")), 200, `"shape":[1,2],"data":["red.png","sub/green.png"]},{"name":"similarity","datatype":"FP64","shape":[1,2],"data":[0.75,0.5]}`},
		{"score", "POST", infer, post("", text("query", "red"), text("picture", picture, picture)), 200, `{"name":"score","datatype":"FP64","shape":[2],"data":[`},
		{"score of texts", "POST", infer, post(want("probability"), text("query", "red"), text("text", "rose")), 400, `\"probability\" does not come of the inputs text, query; it comes of query, picture; or of query_picture, text`},
		{"picture for texts", "POST", "/v2/models/org/other/infer", post("", text("query", "red"), text("picture", picture)), 400, `it reads query, text; or text; or input_ids`},
		{"embedding", "POST", "/v2/models/org/other/infer", post("", text("text", "x")), 200, embedding(backend.Item{Text: "x"})},
		{"tokens", "POST", "/v2/models/org/other/infer", post("", ids("[1,3]", "[[5,6,7]]")), 200, embedding(backend.Item{Tokens: []int{5, 6, 7}})},
		{"tokens with a mask", "POST", "/v2/models/org/other/infer", post("", ids("[1,3]", "[5,6,0]"), `{"name":"attention_mask","datatype":"INT32","shape":[1,3],"data":[1,1,0]}`), 200, embedding(backend.Item{Tokens: []int{5, 6}})},
		{"of others", "POST", infer, post(`,"parameters":{"priority":1,"sequence_id":7,"triton_x":true}`, text("text", "good")), 200, "positive"},

		{"no JSON", "POST", infer, `{"inputs":[}`, 400, `no JSON`},
		{"empty", "POST", infer, ``, 400, `no body`},
		{"no inputs", "POST", infer, `{"inputs":[]}`, 400, `no inputs`},
		{"other input", "POST", infer, post("", text("texts", "x")), 400, `no input \"texts\"`},
		{"twice", "POST", infer, post("", text("text", "x"), text("text", "x")), 400, `given twice`},
		{"other datatype", "POST", infer, post("", `{"name":"text","datatype":"FP16","shape":[1],"data":[1.5]}`), 400, `datatype \"FP16\"`},
		{"numbers for text", "POST", infer, post("", `{"name":"text","datatype":"INT64","shape":[1],"data":[1]}`), 400, `want BYTES`},
		{"number in BYTES", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[1],"data":[1]}`), 400, `are strings; there is 1`},
		{"string in INT64", "POST", infer, post("", ids("[1,1]", `["1"]`)), 400, `is INT64; 1 is none`},
		{"fraction", "POST", infer, post("", ids("[1,1]", `[1.5]`)), 400, `1.5 is none`},
		{"too big for INT32", "POST", infer, post("", `{"name":"input_ids","datatype":"INT32","shape":[1,1],"data":[2147483648]}`), 400, `is none`},
		{"too few", "POST", infer, post("", ids("[1,2]", `[1]`)), 400, `fewer values than its shape`},
		{"too many", "POST", infer, post("", ids("[1,1]", `[1,2]`)), 400, `do not fit its shape`},
		{"ragged", "POST", infer, post("", ids("[2,2]", `[[1],[2,3,4]]`)), 400, `do not fit its shape`},
		{"deep", "POST", infer, post("", ids("[1,1]", `[[[1]]]`)), 400, `do not fit its shape`},
		{"no array", "POST", infer, post("", ids("[1,1]", `7`)), 400, `fewer values`},
		{"an object", "POST", infer, post("", ids("[1,1]", `{"a":1}`)), 400, `is no array`},
		{"no data", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[1]}`), 400, `has no data`},
		{"no shape", "POST", infer, post("", `{"name":"text","datatype":"BYTES","data":["x"]}`), 400, `0 dimensions`},
		{"nothing in shape", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[0],"data":[]}`), 400, `1 or more`},
		{"negative", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[-1],"data":["x"]}`), 400, `1 or more`},
		{"overflow", "POST", infer, post("", ids("[4611686018427387904,4]", `[1]`)), 413, `more values than`},
		{"rank", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[1,2],"data":["x","y"]}`), 400, `want [-1]`},
		{"items", "POST", infer, post("", text("text", "a", "b", "c", "d", "e")), 413, `takes 4`},
		{"sizes", "POST", infer, post("", text("text", "a", "b"), text("picture", picture)), 400, `as many of each`},
		{"together", "POST", infer, post("", text("text", "a"), ids("[1,1]", "[1]")), 400, `reads other inputs than text, input_ids; it reads query, text; or`},
		{"output", "POST", infer, post(want("embeddings"), text("text", "a")), 400, `no output \"embeddings\"`},
		{"output of other inputs", "POST", infer, post(want("answer"), text("text", "a")), 400, `it comes of picture, text`},
		{"output twice", "POST", infer, post(want("label", "label"), text("text", "a")), 400, `asked for twice`},
		{"parameter", "POST", infer, post(`,"parameters":{"topk":1}`+want("answer"), text("picture", picture), text("text", "a")), 400, `\"topk\" has no meaning for what is asked; there are binary_data_output, timeout, top_k`},
		{"parameter of another task", "POST", infer, post(`,"parameters":{"top_k":1}`, text("text", "a")), 400, `\"top_k\" has no meaning`},
		{"parameter's type", "POST", infer, post(`,"parameters":{"top_k":"2"}`+want("found"), text("text", "a")), 400, `want a whole number`},
		{"parameter's range", "POST", infer, post(`,"parameters":{"top_k":6}`+want("found"), text("text", "a")), 400, `want 1 to 5`},
		{"object as parameter", "POST", infer, post(`,"parameters":{"timeout":{}}`, text("text", "a")), 400, `numbers and booleans`},
		{"decoding's type", "POST", infer, post(`,"parameters":{"beam":1.5}`+want("generated_text"), text("text", "a")), 400, `beam is a JSON number`},
		{"no picture", "POST", infer, post("", text("picture", "a.png")), 400, `picture is no data URL`},
		{"mask's shape", "POST", "/v2/models/org/other/infer", post("", ids("[1,2]", "[5,6]"), `{"name":"attention_mask","datatype":"INT64","shape":[1,3],"data":[1,1,1]}`), 400, `attention_mask has the shape`},
		{"nothing unmasked", "POST", "/v2/models/org/other/infer", post("", ids("[1,1]", "[5]"), `{"name":"attention_mask","datatype":"INT64","shape":[1,1],"data":[0]}`), 400, `has no token`},
		{"shared memory", "POST", infer, post("", `{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"shared_memory_region":"r"}}`), 400, `in shared memory`},
		{"classes of no classes", "POST", infer, post(`,"outputs":[{"name":"label","parameters":{"classification":1}}]`, text("text", "good")), 400, `has no classes`},
		{"null", "POST", infer, `null`, 400, `no inputs`},
		{"a text of another library's model", "POST", "/v2/models/foreign/infer", post("", text("text", "good")), 200, `"name":"label"`},
		{"a pair of another library's model", "POST", "/v2/models/foreign/infer", post("", text("text", "good"), text("text_pair", "bad")), 200, `"name":"label"`},
		{"half a pair", "POST", "/v2/models/foreign/infer", post("", text("text_pair", "bad")), 400, `it reads text; or text, text_pair`},
		{"a pair of a model for one text", "POST", infer, post(want("label"), text("text", "good"), text("text_pair", "bad")), 400, `text_pair`},
	} {
		t.Run(c.name, func(t *testing.T) {
			models := backendtest.Models{{Name: "fake"}, {Name: "org/other", Can: backend.CanEmbedText | backend.CanScore},
				{Name: "foreign", Can: backend.CanClassify, Says: func(i *backend.Info) { i.Details.Task = "" }}}
			w := send(handler(models), c.method, c.path, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s\nwant %d with %s", w.Code, w.Body, c.status, c.says)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func embedding(it backend.Item) string {
	raw, _ := json.Marshal(backendtest.Vector(it))
	return `"outputs":[{"name":"embedding","datatype":"FP32","shape":[1,8],"data":` + string(raw) + `}]`
}

func TestErrorsHaveTheProtocolsForm(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{&backend.Error{Kind: backend.Overloaded, Message: "the queue is full", RetryAfter: time.Second}, 429, `{"error":"the queue is full"}`},
		{&backend.Error{Kind: backend.Unavailable, Message: "loading"}, 503, `{"error":"loading"}`},
		{fmt.Errorf("secret"), 500, `{"error":"the server failed; its log says why"}`},
	} {
		w := send(handler(backendtest.Models{{Name: "fake", Err: c.err}}), "POST", "/v2/models/fake/infer", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["x"]}]}`)
		if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.says {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if c.status == 429 && w.Header().Get("Retry-After") != "1" {
			t.Errorf("%v", w.Header())
		}
	}
	w := send(handler(backendtest.Models{{Name: "fake", Wait: make(chan struct{})}}), "POST", "/v2/models/fake/infer", `{"parameters":{"timeout":1000},"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["x"]}]}`)
	if w.Code != 504 || !strings.Contains(w.Body.String(), "timeout") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A request of gRPC that the server refuses before it reaches a method.
func TestFailGRPC(t *testing.T) {
	for want, err := range map[string]error{
		"16 no key ?":                            &backend.Error{Kind: backend.Unauthenticated, Message: "no key %"},
		"7 not so":                               &backend.Error{Kind: backend.Forbidden, Message: "not so"},
		"12 no route":                            &backend.Error{Kind: backend.NotFound, Message: "no route", Err: web.ErrNoRoute},
		"5 no ?? route":                          &backend.Error{Kind: backend.NotFound, Message: "no \n\u00e9 route"},
		"13 the server failed; its log says why": fmt.Errorf("secret"),
	} {
		w := httptest.NewRecorder()
		FailGRPC(w, err)
		if got := w.Header().Get("Grpc-Status") + " " + w.Header().Get("Grpc-Message"); got != want || w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "application/grpc" {
			t.Errorf("%q, want %q: %d %s %v", got, want, w.Code, w.Body, w.Header())
		}
	}
}

// rawBytes is a tensor of BYTES in its binary form.
func rawBytes(values ...string) string {
	var b []byte
	for _, v := range values {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return string(b)
}

func TestBinary(t *testing.T) {
	h := handler(backendtest.New())
	head := func(size int, rest string) string {
		return fmt.Sprintf(`{"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":%d}}]%s}`, size, rest)
	}
	raw := rawBytes("good", "")
	for _, c := range []struct{ name, head, raw, length, says string }{
		{"too long a header", head(12, ""), raw, "9999", "and the body has"},
		{"no number", head(12, ""), raw, "x", "and the body has"},
		{"negative", head(12, ""), raw, "-1", "and the body has"},
		{"no header", head(12, ""), "", "", "12 bytes behind the JSON, and 0 are left"},
		{"more than there is", head(13, ""), raw, "auto", "13 bytes behind"},
		{"less than there is", head(8, ""), raw, "auto", "ends before value 1"},
		{"of no input", head(12, ""), raw + "x", "auto", "1 bytes behind the JSON belong to no input"},
		{"a length beyond the end", head(12, ""), "\xff\xff\xff\xff" + raw[4:], "auto", "4294967295 bytes, and 8 follow"},
		{"a value too many", head(16, ""), raw + rawBytes(""), "auto", "4 bytes more than"},
		{"both", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["x"],"parameters":{"binary_data_size":5}}]}`, rawBytes("x"), "auto", "both"},
		{"INT64 of another size", `{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[1,2],"parameters":{"binary_data_size":9}}]}`, "123456789", "auto", "has 9 bytes"},
		{"few bytes for a big shape", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[60000],"parameters":{"binary_data_size":5}}]}`, rawBytes("x"), "auto", "too few"},
		{"size", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":-5}}]}`, rawBytes("x"), "auto", "want a number of bytes"},
		{"binary_data", head(12, `,"outputs":[{"name":"label","parameters":{"binary_data":"yes"}}]`), raw, "auto", "want true or false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.length == "auto" {
				c.length = fmt.Sprint(len(c.head))
			}
			w := send(h, "POST", "/v2/models/fake/infer", c.head+c.raw, headerLength, c.length)
			if w.Code != 400 || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s, want %q", w.Code, w.Body, c.says)
			}
		})
	}

	j := head(len(raw), `,"outputs":[{"name":"label","parameters":{"binary_data":true}},{"name":"probabilities"},{"name":"embedding","parameters":{"binary_data":true}}]`)
	w := send(h, "POST", "/v2/models/fake/infer", j+raw, headerLength, fmt.Sprint(len(j)))
	var n int
	fmt.Sscan(w.Header().Get(headerLength), &n)
	if w.Code != 200 || n == 0 || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	wantHead := `"outputs":[{"name":"label","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":24}},{"name":"probabilities","datatype":"FP64","shape":[2,2],"data":[0.125,0.875,0.75,0.25]},{"name":"embedding","datatype":"FP32","shape":[2,8],"parameters":{"binary_data_size":64}}]`
	if got := w.Body.String()[:n]; !strings.Contains(got, wantHead) {
		t.Errorf("%s", got)
	}
	want := []byte(rawBytes("positive", "negative"))
	for _, text := range []string{"good", ""} {
		for _, x := range backendtest.Vector(backend.Item{Text: text}) {
			want = binary.LittleEndian.AppendUint32(want, math.Float32bits(x))
		}
	}
	if got := w.Body.Bytes()[n:]; !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCompressedBodies(t *testing.T) {
	h := handler(backendtest.New())
	pack := func(body string, w io.WriteCloser, b *bytes.Buffer) string {
		io.WriteString(w, body)
		w.Close()
		return b.String()
	}
	packed := func(encoding, body string) string {
		var b bytes.Buffer
		switch encoding {
		case "gzip":
			return pack(body, gzip.NewWriter(&b), &b)
		case "deflate":
			return pack(body, zlib.NewWriter(&b), &b)
		}
		return body
	}
	good := `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["good"]}]}`
	for _, c := range []struct {
		encoding, body string
		status         int
		says           string
	}{
		{"gzip", packed("gzip", good), 200, "positive"},
		{"deflate", packed("deflate", good), 200, "positive"},
		{"identity", good, 200, "positive"},
		{"br", good, 400, "br"},
		{"gzip", good, 400, "Content-Encoding"},
		{"gzip", packed("gzip", good)[:30], 400, "Content-Encoding"},
		{"gzip", packed("gzip", strings.Repeat(" ", 1<<20)), 413, "65536 bytes"}, // a bomb
		{"identity", strings.Repeat(" ", 1<<17), 413, "65536 bytes"},
	} {
		if w := send(h, "POST", "/v2/models/fake/infer", c.body, "Content-Encoding", c.encoding); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s, want %d with %s", c.encoding, w.Code, w.Body, c.status, c.says)
		}
	}
}

// serve starts a server as "unimo serve" has it, and returns its address.
func serve(t *testing.T, models backend.Models) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler(models), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("the server does not drain: %v", err)
		}
	})
	return l.Addr().String()
}

func client(t *testing.T, models backend.Models) (inferencepb.GRPCInferenceServiceClient, context.Context) {
	t.Helper()
	address := serve(t, models)
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return inferencepb.NewGRPCInferenceServiceClient(c), ctx
}

func TestGRPC(t *testing.T) {
	c, ctx := client(t, backendtest.Models{{Name: "fake"}, {Name: "busy", Err: &backend.Error{Kind: backend.Overloaded, Message: "full", RetryAfter: time.Second}}})
	if a, err := c.ServerLive(ctx, &inferencepb.ServerLiveRequest{}); err != nil || !a.Live {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := c.ServerReady(ctx, &inferencepb.ServerReadyRequest{}); err != nil || !a.Ready {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := c.ModelReady(ctx, &inferencepb.ModelReadyRequest{Name: "fake", Version: "1"}); err != nil || !a.Ready {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := c.ModelReady(ctx, &inferencepb.ModelReadyRequest{Name: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
	if a, err := c.ServerMetadata(ctx, &inferencepb.ServerMetadataRequest{}); err != nil || a.Name != "unimo" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := c.ModelMetadata(ctx, &inferencepb.ModelMetadataRequest{Name: "fake"}); err != nil || len(a.Inputs) == 0 || a.Outputs[0].Name != "score" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := c.RepositoryIndex(ctx, &inferencepb.RepositoryIndexRequest{}); err != nil || len(a.Models) != 2 {
		t.Errorf("%v, %v", a, err)
	}

	text := func(shape ...int64) *inferencepb.ModelInferRequest_InferInputTensor {
		return &inferencepb.ModelInferRequest_InferInputTensor{Name: "text", Datatype: "BYTES", Shape: shape}
	}
	contents := func(values ...string) *inferencepb.InferTensorContents {
		c := &inferencepb.InferTensorContents{}
		for _, v := range values {
			c.BytesContents = append(c.BytesContents, []byte(v))
		}
		return c
	}
	r := &inferencepb.ModelInferRequest{ModelName: "fake", Id: "7", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{text(2)}, RawInputContents: [][]byte{[]byte(rawBytes("good", "bad"))}}
	raw, err := c.ModelInfer(ctx, r)
	if err != nil || raw.Id != "7" || raw.Parameters["tokens"].GetInt64Param() != 6 || string(raw.RawOutputContents[0]) != rawBytes("positive", "negative") {
		t.Errorf("%v, %v", raw, err)
	}
	r.RawInputContents, r.Inputs[0].Contents = nil, contents("good", "bad")
	if typed, err := c.ModelInfer(ctx, r); err != nil || !proto.Equal(typed, raw) {
		t.Errorf("%v, %v", typed, err)
	}
	ids := &inferencepb.ModelInferRequest{ModelName: "fake", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "input_ids", Datatype: "INT32", Shape: []int64{1, 2}, Contents: &inferencepb.InferTensorContents{IntContents: []int32{5, 6}}}}}
	if a, err := c.ModelInfer(ctx, ids); err != nil || a.Outputs[0].Name != "embedding" || len(a.RawOutputContents[0]) != 4*backendtest.Dimension {
		t.Errorf("%v, %v", a, err)
	}

	for _, bad := range []struct {
		name   string
		change func(r *inferencepb.ModelInferRequest)
		code   codes.Code
		says   string
	}{
		{"model", func(r *inferencepb.ModelInferRequest) { r.ModelName = "none" }, codes.NotFound, "none"},
		{"no model", func(r *inferencepb.ModelInferRequest) { r.ModelName = "" }, codes.InvalidArgument, "names no model"},
		{"busy", func(r *inferencepb.ModelInferRequest) { r.ModelName = "busy" }, codes.ResourceExhausted, "full"},
		{"contents", func(r *inferencepb.ModelInferRequest) { r.Inputs[0].Contents = contents("x") }, codes.InvalidArgument, "has 1 values"},
		{"no contents", func(r *inferencepb.ModelInferRequest) { r.Inputs[0].Contents = nil }, codes.InvalidArgument, "has 0 values"},
		{"both", func(r *inferencepb.ModelInferRequest) { r.RawInputContents = [][]byte{[]byte(rawBytes("a", "b"))} }, codes.InvalidArgument, "give one"},
		{"raw", func(r *inferencepb.ModelInferRequest) { r.RawInputContents = make([][]byte, 2) }, codes.InvalidArgument, "has 2 entries"},
		{"parameter", func(r *inferencepb.ModelInferRequest) {
			r.Parameters = map[string]*inferencepb.InferParameter{"x": {ParameterChoice: &inferencepb.InferParameter_DoubleParam{DoubleParam: math.NaN()}}}
		}, codes.InvalidArgument, `"x" is no number`},
		{"empty parameter", func(r *inferencepb.ModelInferRequest) {
			r.Parameters = map[string]*inferencepb.InferParameter{"timeout": {}}
		}, codes.InvalidArgument, "numbers and booleans"},
		{"size", func(r *inferencepb.ModelInferRequest) { r.Id = strings.Repeat("x", 1<<17) }, codes.ResourceExhausted, "larger than max"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			q := proto.Clone(r).(*inferencepb.ModelInferRequest)
			bad.change(q)
			_, err := c.ModelInfer(ctx, q)
			if status.Code(err) != bad.code || !strings.Contains(err.Error(), bad.says) {
				t.Errorf("%v, want %v with %q", err, bad.code, bad.says)
			}
		})
	}
}

func TestGRPCStream(t *testing.T) {
	c, ctx := client(t, backendtest.New())
	stream, err := c.ModelStreamInfer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := &inferencepb.ModelInferRequest{
		ModelName: "fake", Id: "1", Outputs: []*inferencepb.ModelInferRequest_InferRequestedOutputTensor{{Name: "generated_text"}},
		Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: "text", Datatype: "BYTES", Shape: []int64{1}, Contents: &inferencepb.InferTensorContents{BytesContents: [][]byte{[]byte("a bc")}}}},
	}
	bad := proto.Clone(r).(*inferencepb.ModelInferRequest)
	bad.ModelName, bad.Id = "none", "2"
	for _, q := range []*inferencepb.ModelInferRequest{r, bad, r} { // an error does not end the stream
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
	}
	stream.CloseSend()
	var got []string
	for {
		a, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if a.ErrorMessage != "" {
			got = append(got, "error "+a.InferResponse.Id)
			continue
		}
		last := a.InferResponse.Parameters["triton_final_response"].GetBoolParam()
		got = append(got, fmt.Sprintf("%s %v", a.InferResponse.RawOutputContents[0][4:], last))
	}
	want := []string{"A false", " BC false", "A BC true"}
	if !slices.Equal(got, slices.Concat(want, []string{"error 2"}, want)) {
		t.Errorf("%q", got)
	}
}

// A client that leaves cancels its work, also over gRPC.
func TestGRPCClientLeaves(t *testing.T) {
	c, ctx := client(t, backendtest.Models{{Name: "fake", Wait: make(chan struct{})}})
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := c.ModelInfer(ctx, &inferencepb.ModelInferRequest{ModelName: "fake", Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{
		{Name: "text", Datatype: "BYTES", Shape: []int64{1}, Contents: &inferencepb.InferTensorContents{BytesContents: [][]byte{nil}}}}})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
} // that the server drains says that its work has ended

// What is generated is of the file beside it: every message has the same fields with the same numbers.
func TestProtoIsGenerated(t *testing.T) {
	raw, err := os.ReadFile("inferencepb/inference.proto")
	if err != nil {
		t.Fatal(err)
	}
	inFile := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(?:repeated )?[\w<>, ]+ (\w+) = (\d+);`).FindAllStringSubmatch(string(raw), -1) {
		inFile[m[1]+" "+m[2]]++
	}
	generated := map[string]int{}
	var walk func(list protoreflect.MessageDescriptors)
	walk = func(list protoreflect.MessageDescriptors) {
		for i := range list.Len() {
			if list.Get(i).IsMapEntry() {
				continue
			}
			for f := range list.Get(i).Fields().Len() {
				field := list.Get(i).Fields().Get(f)
				generated[fmt.Sprint(field.Name(), " ", field.Number())]++
			}
			walk(list.Get(i).Messages())
		}
	}
	walk(inferencepb.File_inference_proto.Messages())
	if !maps.Equal(inFile, generated) || len(generated) < 20 {
		t.Errorf("run \"make proto\": the file has\n%v\nand the code\n%v", inFile, generated)
	}
	for _, m := range regexp.MustCompile(`(?m)^\s+rpc (\w+)\(`).FindAllStringSubmatch(string(raw), -1) {
		if inferencepb.File_inference_proto.Services().Get(0).Methods().ByName(protoreflect.Name(m[1])) == nil {
			t.Errorf("run \"make proto\": no method %s", m[1])
		}
	}
}

// Triton's own client, of the version that "make clients" pins.
func TestTritonClient(t *testing.T) {
	bin := os.Getenv("UNIMO_CLIENTS")
	if bin == "" {
		t.Skip("not run: tritonclient: UNIMO_CLIENTS is not set; make clients installs it")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.png"), []byte(backendtest.PNG), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	vector, _ := json.Marshal(backendtest.Vector(backend.Item{Text: "good"}))
	c := exec.CommandContext(ctx, filepath.Join(bin, "python"), "testdata/triton.py", serve(t, backendtest.New()), base64.StdEncoding.EncodeToString([]byte(backendtest.PNG)), string(vector))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An index without models is not one of a server that has none.
func TestModelsThatAreNotThere(t *testing.T) {
	if w := backendtest.Post(handler(backendtest.Absent{}), "/v2/repository/index", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "loading") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	c, ctx := client(t, backendtest.Absent{})
	if _, err := c.RepositoryIndex(ctx, &inferencepb.RepositoryIndexRequest{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "loading") {
		t.Error(err)
	}
}
