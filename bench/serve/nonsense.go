package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// raw are bytes that go to the server as they are.
type raw struct {
	name  string
	bytes []byte
	ends  bool // nothing more comes; else the server sees a client that waits
}

// send sends it and returns the status of the answer.
func (q raw) send(address string) (string, []byte) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "not connected", nil
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(90 * time.Second))
	if _, err := c.Write(q.bytes); err != nil {
		return "closed", nil
	}
	if q.ends {
		c.(*net.TCPConn).CloseWrite()
	}
	answer, _ := io.ReadAll(io.LimitReader(c, 1<<16))
	var version, status string
	if n, _ := fmt.Sscan(string(answer), &version, &status); n < 2 || !strings.HasPrefix(version, "HTTP/1") {
		return "closed", answer
	}
	return status, answer
}

// nonsense is every malformed body for every route that the server says it has, and what is no HTTP.
func nonsense(ctx context.Context, s *server) ([]raw, error) {
	paths, err := s.routes(ctx)
	if err != nil {
		return nil, err
	}
	host := strings.TrimPrefix(s.base, "http://")
	var all []raw
	for _, path := range paths {
		for i, body := range bodies() {
			head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
			all = append(all, raw{fmt.Sprintf("POST %s, body %d", path, i), append([]byte(head), body...), false})
		}
	}
	for i, text := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET", "GET / HTTP/9.9\r\n\r\n", "\x00\x00\x00\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /../../etc/passwd HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"POST /embed HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /embed HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: -1\r\n\r\n",
		"POST /embed HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", "POST /embed HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 99999999999\r\n\r\n{",
		"GET / HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("x", 1<<17) + "\r\n\r\n", strings.Repeat("a", 1<<16),
	} {
		all = append(all, raw{fmt.Sprint("no HTTP ", i), []byte(text), true})
	}
	return all, nil
}

// routes are the paths that take a POST, by the server's own description, with names filled in.
func (s *server) routes(ctx context.Context) ([]string, error) {
	q, err := http.NewRequestWithContext(ctx, "GET", s.base+"/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.NewDecoder(r.Body).Decode(&document); err != nil {
		return nil, fmt.Errorf("%s/openapi.json: %w", s.base, err)
	}
	var list []string
	for path, methods := range document.Paths {
		if methods["post"] == nil {
			continue
		}
		for strings.Contains(path, "{") {
			before, rest, _ := strings.Cut(path, "{")
			_, after, _ := strings.Cut(rest, "}")
			path = before + modelName + after
		}
		list = append(list, path)
	}
	slices.Sort(list)
	return list, nil
}

// bodies are malformed ones of every kind, and bombs.
func bodies() [][]byte {
	bomb := base64.StdEncoding.EncodeToString(pictureBomb(60000, 60000))
	picture := base64.StdEncoding.EncodeToString(pictureBomb(1, 1)) // which ends within its pixels
	var all [][]byte
	for _, text := range []string{
		"", "{", "[", "null", "true", "1e999", `"text"`, "[]", "{}", "\x00", "\xff\xfe", "{]", `{"a":}`, "nan", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
		`{"input":null}`, `{"input":[]}`, `{"input":""}`, `{"input":[[]]}`, `{"input":[1.5]}`, `{"input":[-1]}`, `{"input":[99999999999999999999]}`, `{"input":{"a":1}}`, `{"input":["a",1]}`,
		`{"input":"a","dimensions":-1}`, `{"input":"a","dimensions":1e9}`, `{"input":"a","encoding_format":"x"}`, `{"input":"a","model":"none"}`, `{"input":"\ud800"}`, "{\"input\":\"\xff\"}",
		`{"inputs":null}`, `{"inputs":[]}`, `{"inputs":{}}`, `{"inputs":[{"name":"text","datatype":"BYTES","shape":[9223372036854775807,2],"data":["a"]}]}`,
		`{"inputs":[{"name":"text","datatype":"BYTES","shape":[-1],"data":[]}]}`, `{"inputs":[{"name":"x","datatype":"FP99","shape":[1],"data":[1]}]}`,
		`{"query":"","documents":[]}`, `{"query":1,"documents":["a"]}`, `{"query":"a","documents":[null]}`, `{"query":"a","texts":[]}`, `{"query":"a","documents":["b"],"top_n":-1}`,
		`{"prompt":"","max_tokens":-1}`, `{"prompt":"a","max_tokens":1e12,"temperature":-1}`, `{"text":"","k":-1}`, `{"text":"a","k":1e12}`, `{"picture":"","texts":[]}`, `{"picture":"!","question":""}`,
		`{"picture":"` + bomb + `","texts":["a"],"question":"a"}`, `{"picture":"` + picture + `","texts":["a"],"question":"a"}`,
		`{"input":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + bomb + `"}}]}]}`,
		`{"input":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://127.0.0.1:1/a.png"}}]}]}`,
		`{"images":["data:image/png;base64,` + bomb + `"],"input_type":"image"}`, `{"images":["file:///etc/passwd"],"input_type":"image"}`,
		`{"input":[` + strings.Repeat(`"",`, 100_000) + `""]}`, `{"inputs":[` + strings.Repeat(`{},`, 100_000) + `{}]}`, `{"input":"` + strings.Repeat("a ", 1<<20) + `"}`,
	} {
		all = append(all, []byte(text))
	}
	return all
}

// pictureBomb is a PNG that says it is large and has next to nothing in it.
func pictureBomb(width, height uint32) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		binary.Write(&b, binary.BigEndian, uint32(len(data)))
		b.WriteString(kind)
		b.Write(data)
		binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(append([]byte(kind), data...)))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(head, 8, 2, 0, 0, 0))
	chunk("IDAT", []byte{0x78, 0x9c, 0x03, 0x00})
	chunk("IEND", nil)
	return b.Bytes()
}
