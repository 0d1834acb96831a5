//go:build mpi && linux

package mpi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Built says whether this program can load an MPI library.
const Built = true

// shared is an MPI library that is loaded.
type shared struct {
	abi
	handle  uintptr
	path    string
	version string // the first line of what it says of itself
	before  [signals + 1]action
	size    int

	getVersion  func(text *byte, length *int32) int32
	initThread  func(argc, argv uintptr, required int32, provided *int32) int32
	commRank    func(comm uintptr, rank *int32) int32
	commSize    func(comm uintptr, size *int32) int32
	setHandler  func(comm, handler uintptr) int32
	errorString func(code int32, text *byte, length *int32) int32
	barrierAll  func(comm uintptr) int32
	bcast       func(x uintptr, count int32, kind uintptr, root int32, comm uintptr) int32
	allgather   func(send uintptr, sends int32, sendKind, recv uintptr, recvs int32, recvKind, comm uintptr) int32
	alltoall    func(send uintptr, sends int32, sendKind, recv uintptr, recvs int32, recvKind, comm uintptr) int32
	sendrecv    func(send uintptr, sends int32, sendKind uintptr, to, sendTag int32, recv uintptr, recvs int32, recvKind uintptr, from, recvTag int32, comm, status uintptr) int32
	abortAll    func(comm uintptr, code int32) int32
	finish      func() int32
}

// functions are those of the library by their names.
func (s *shared) functions() map[string]any {
	return map[string]any{
		"MPI_Get_library_version": &s.getVersion, "MPI_Init_thread": &s.initThread, "MPI_Comm_rank": &s.commRank, "MPI_Comm_size": &s.commSize,
		"MPI_Comm_set_errhandler": &s.setHandler, "MPI_Error_string": &s.errorString, "MPI_Barrier": &s.barrierAll, "MPI_Bcast": &s.bcast,
		"MPI_Allgather": &s.allgather, "MPI_Alltoall": &s.alltoall, "MPI_Sendrecv": &s.sendrecv, "MPI_Abort": &s.abortAll, "MPI_Finalize": &s.finish,
	}
}

// open finds and loads the library. One that is named is taken as it is; of others, only one that understands the launcher.
func open(o Options) (library, error) {
	if other, _ := purego.Dlsym(purego.RTLD_DEFAULT, "MPI_Init_thread"); other != 0 {
		return nil, usef("an MPI library is in this process already, by LD_PRELOAD (%q): two of them do not go together; unset it", os.Getenv("LD_PRELOAD"))
	}
	forgetMemory()
	before := actions() // loading runs code of the library's
	names := []string{o.Library}
	if o.Library == "" {
		launcher := ""
		if list := startedBy("/proc"); list != nil {
			launcher = list[0].exe
		}
		names = candidates(o.Launch.family, launcher)
	}
	var tried []error
	for _, name := range names {
		s, err := load(name)
		switch {
		case err != nil:
			tried = append(tried, err)
			continue
		case o.Launch.family != anyFamily && familyOf(s.version) != anyFamily && familyOf(s.version) != o.Launch.family:
			if o.Library != "" { // its MPI_Init would end the process, or take it for the only one
				return nil, disagree(o.Launch, fmt.Sprintf("%s (%s)", s.name(), name), "does not understand this launcher")
			}
			tried = append(tried, fmt.Errorf("%s is %s", name, s.version))
			purego.Dlclose(s.handle)
			continue
		}
		// Parts that the library loads look for its functions everywhere.
		if _, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
			return nil, usef("MPI library: %w", err)
		}
		s.before = before
		return s, nil
	}
	if o.Library != "" {
		return nil, usef("%s: %w", LibraryVariable, errors.Join(tried...))
	}
	return nil, notFound(o.Launch, tried)
}

// forgetMemory keeps libraries from remembering which memory they have made known to a network card. They would hear from the C library when it is
// given back; Go gives memory back without it. Not for who has set the variables.
func forgetMemory() {
	for _, v := range [][2]string{{"UCX_MEM_EVENTS", "no"}, {"FI_MR_CACHE_MONITOR", "disabled"}} {
		if _, set := os.LookupEnv(v[0]); !set {
			os.Setenv(v[0], v[1])
		}
	}
}

// load loads a library for this process alone and binds its functions. What is no MPI library is let go again.
func load(name string) (s *shared, err error) {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			purego.Dlclose(handle)
		}
	}()
	address := func(name string) uintptr {
		p, err := purego.Dlsym(handle, name)
		if err != nil {
			return 0
		}
		return p
	}
	s = &shared{handle: handle, path: name}
	for name, function := range s.functions() {
		p := address(name)
		if p == 0 {
			return nil, fmt.Errorf("%s has no function %s: it is no MPI library of version 3 or newer", s.path, name)
		}
		purego.RegisterFunc(function, p)
	}
	text := make([]byte, 8192) // the most that any library needs
	var length int32
	if s.getVersion(&text[0], &length) == 0 {
		s.version, _, _ = strings.Cut(string(text[:max(0, min(int(length), len(text)))]), "\n")
		s.version = strings.Join(strings.Fields(strings.Trim(s.version, "\x00")), " ")
	}
	var known bool
	if s.abi, known = abiOf(name, s.version, address); !known {
		return nil, fmt.Errorf("%s says it is %q, whose binary interface is not known; name its libmpi_abi.so, if it has one", name, s.version)
	}
	return s, nil
}

func (s *shared) name() string {
	version, _, _ := strings.Cut(s.version, ",") // Open MPI goes on with who built it
	return version
}

func (s *shared) file() string { return s.path }

// check returns what a function's result means.
func (s *shared) check(code int32) error {
	if code == 0 {
		return nil
	}
	text := make([]byte, 1024)
	var length int32
	if s.errorString(code, &text[0], &length) != 0 {
		return fmt.Errorf("error %d", code)
	}
	return errors.New(strings.TrimRight(string(text[:max(0, min(int(length), len(text)))]), "\x00"))
}

func (s *shared) init() error {
	emptyInput()
	var provided int32
	err := s.check(s.initThread(0, 0, s.serialized, &provided))
	restoreActions(s.before)
	if err != nil {
		return err
	}
	if provided < s.funneled { // one thread makes all calls, so that this is enough
		return usef("%s was built without threads", s.name())
	}
	if err := s.check(s.setHandler(s.world, s.errorsReturn)); err != nil {
		return err
	}
	err = s.barrier()
	unlinkShared()
	return err
}

// emptyInput gives the process a standard input that is at its end. That of a rank but the first may be one that never ends.
func emptyInput() {
	if null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0); err == nil {
		syscall.Dup3(int(null.Fd()), int(os.Stdin.Fd()), 0)
		null.Close()
	}
}

func (s *shared) place() (int, int, error) {
	var rank, size int32
	err := s.check(s.commRank(s.world, &rank))
	if err == nil {
		err = s.check(s.commSize(s.world, &size))
	}
	s.size = int(size)
	return int(rank), int(size), err
}

// share is how much of x is each rank's.
func (s *shared) share(x []byte) int32 { return int32(len(x) / s.size) }

// memory is the address of bytes that the caller keeps alive.
func memory(x []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(x))) }

func (s *shared) barrier() error { return s.check(s.barrierAll(s.world)) }

func (s *shared) broadcast(x []byte, root int) error {
	code := s.bcast(memory(x), int32(len(x)), s.byte, int32(root), s.world)
	runtime.KeepAlive(x)
	return s.check(code)
}

func (s *shared) allGather(send, recv []byte) error {
	n, from := s.share(recv), s.inPlace
	if send != nil {
		from = memory(send)
	}
	code := s.allgather(from, n, s.byte, memory(recv), n, s.byte, s.world)
	runtime.KeepAlive(send)
	runtime.KeepAlive(recv)
	return s.check(code)
}

func (s *shared) allToAll(send, recv []byte) error {
	n := s.share(recv)
	code := s.alltoall(memory(send), n, s.byte, memory(recv), n, s.byte, s.world)
	runtime.KeepAlive(send)
	runtime.KeepAlive(recv)
	return s.check(code)
}

func (s *shared) exchange(send []byte, to int, recv []byte, from int) error {
	code := s.sendrecv(memory(send), int32(len(send)), s.byte, int32(to), 0, memory(recv), int32(len(recv)), s.byte, int32(from), 0, s.world, s.statusIgnore)
	runtime.KeepAlive(send)
	runtime.KeepAlive(recv)
	return s.check(code)
}

func (s *shared) abort(code int) { s.abortAll(s.world, int32(code)) }

func (s *shared) finalize() error { return s.check(s.finish()) }

func (s *shared) exit(code int) {
	if exit, err := purego.Dlsym(purego.RTLD_DEFAULT, "exit"); err == nil {
		purego.SyscallN(exit, uintptr(code))
	}
	os.Exit(code)
}
