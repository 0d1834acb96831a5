//go:build linux

package weaviate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Variable is the environment variable that names the program.
const Variable = "UNIMO_WEAVIATE"

// KeyVariable is the environment variable with a client's API key.
const KeyVariable = "WEAVIATE_API_KEY"

// Server is a server of its own, which ends with the test.
type Server struct {
	program, dir string
	settings     []string
	ports        ports
	process      *exec.Cmd
	ended        chan struct{} // the process has
	log          bytes.Buffer
}

// ports are those of one server.
type ports struct{ http, grpc, gossip, data, raft, rpc int }

// Start starts a server with settings of its environment, such as NAME=VALUE, or says that the test is not run.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return Cluster(t, 1, settings...)[0]
}

// Cluster starts servers that are one cluster.
func Cluster(t testing.TB, n int, settings ...string) []*Server {
	t.Helper()
	program := os.Getenv(Variable)
	if program == "" {
		t.Skip("not run: " + Variable + " names no weaviate-server")
	}
	servers, join := make([]*Server, n), make([]string, n)
	for i := range servers {
		servers[i] = &Server{program: program, dir: t.TempDir(), ports: free(t)}
		join[i] = fmt.Sprintf("node%d:%d", i, servers[i].ports.raft)
	}
	for i, s := range servers {
		p := s.ports
		s.settings = append(os.Environ(), "PERSISTENCE_DATA_PATH="+s.dir, "DISABLE_TELEMETRY=true", "API_BASED_MODULES_DISABLED=true", "LOG_LEVEL=warning", "GO_PROFILING_DISABLE=true", "PROMETHEUS_MONITORING_ENABLED=false",
			"CLUSTER_BIND_ADDR=127.0.0.1", "CLUSTER_ADVERTISE_ADDR=127.0.0.1", fmt.Sprintf("CLUSTER_HOSTNAME=node%d", i),
			fmt.Sprintf("GRPC_PORT=%d", p.grpc), fmt.Sprintf("CLUSTER_GOSSIP_BIND_PORT=%d", p.gossip), fmt.Sprintf("CLUSTER_DATA_BIND_PORT=%d", p.data),
			fmt.Sprintf("RAFT_PORT=%d", p.raft), fmt.Sprintf("RAFT_INTERNAL_RPC_PORT=%d", p.rpc), fmt.Sprintf("RAFT_BOOTSTRAP_EXPECT=%d", n))
		if n > 1 {
			s.settings = append(s.settings, "CLUSTER_IN_LOCALHOST=true", "RAFT_JOIN="+strings.Join(join, ","))
		}
		if i > 0 {
			s.settings = append(s.settings, fmt.Sprintf("CLUSTER_JOIN=127.0.0.1:%d", servers[0].ports.gossip))
		}
		if s.settings = append(s.settings, settings...); !strings.Contains(strings.Join(settings, " "), "AUTHENTICATION_") {
			s.settings = append(s.settings, "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=true")
		}
		t.Cleanup(s.Kill)
		s.Launch(t)
	}
	for _, s := range servers {
		s.wait(t)
	}
	return servers
}

// free finds ports that are free. The cluster's own of data is one above that of gossip.
func free(t testing.TB) (p ports) {
	t.Helper()
	for _, port := range []*int{&p.http, &p.grpc, &p.gossip, &p.data, &p.raft, &p.rpc} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p
}

// Launch starts the server's process, and does not wait until it answers.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	s.process = exec.Command(s.program, "--host", "127.0.0.1", "--port", fmt.Sprint(s.ports.http), "--scheme", "http")
	s.process.Dir, s.process.Env, s.process.Stdout, s.process.Stderr = s.dir, s.settings, &s.log, &s.log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		process.Wait()
		close(ended)
	}()
}

// Run starts the server again, after [Server.Kill].
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.Launch(t)
	s.wait(t)
}

func (s *Server) wait(t testing.TB) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(s.http("/v1/.well-known/ready"))
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-s.ended:
		default:
			if time.Since(begin) < 2*time.Minute {
				continue
			}
			s.Kill()
		}
		t.Fatalf("Weaviate does not start: %v\n%s", err, &s.log)
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Stop ends the server as its service manager does. Who is killed may lose vectors of its index that it has said to have.
func (s *Server) Stop() {
	s.Signal(syscall.SIGTERM)
	<-s.ended
	s.process = nil
}

// Signal sends a signal to the server: SIGSTOP makes it hang, SIGCONT goes on.
func (s *Server) Signal(sig syscall.Signal) { s.process.Process.Signal(sig) }

func (s *Server) http(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.ports.http, path)
}

// URL is that of the server.
func (s *Server) URL() string { return "weaviate+" + s.http("") }

// Empty removes all collections, and returns the server's URL.
func (s *Server) Empty(t testing.TB) string {
	t.Helper()
	var schema struct{ Classes []struct{ Class string } }
	if err := json.Unmarshal(s.Do(t, http.MethodGet, "/v1/schema", ""), &schema); err != nil {
		t.Fatal(err)
	}
	for _, c := range schema.Classes {
		s.Do(t, http.MethodDelete, "/v1/schema/"+c.Class, "")
	}
	return s.URL()
}

// Do sends a request, which is to succeed, and returns the answer.
func (s *Server) Do(t testing.TB, method, path, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.http(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %v: %s", method, path, response.Status, err, raw)
	}
	return raw
}
