package pjrt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// Topology describes devices that need not be there.
type Topology struct {
	Target string // what chip each is: one of Targets
	Shape  string // slices, hosts of each and devices of each: "1x1x2"; "" is 1x1x1
}

// CompileFor compiles a program for devices that need not be there. It returns how many bytes come out, and the memory that they plan.
func (c *Client) CompileFor(topology Topology, program []byte, o CompileOptions) (size int, plan Plan, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if topology.Shape == "" {
		topology.Shape = "1x1x1"
	}
	m, from := c.begin(wire.OpCompileFor)
	if m, err = wire.AppendOptions(m, inOrder(map[string]string{"target_config": topology.Target, "topology": topology.Shape})); err != nil {
		return 0, Plan{}, err
	}
	if m, err = wire.AppendCompileOptions(m, o.wire()); err != nil {
		return 0, Plan{}, err
	}
	c.out = wire.End(wire.AppendBytes(m, program), from)
	f, err := c.ask()
	if err != nil {
		return 0, Plan{}, err
	}
	size, plan = int(f.Int()), f.Plan()
	return size, plan, f.Err()
}

// targets are texts that describe chips, and lie in the plugins of XLA's own with a zero behind each.
var (
	targetText = []byte("gpu_device_info {")
	targetName = regexp.MustCompile(`device_description_str: *"([^"]+)"`)
)

// maxTarget bounds the text of a target.
const maxTarget = 64 << 10

// Targets returns what a plugin can compile for without a device, by the names of the chips. It reads the plugin's file.
func Targets(plugin string) (map[string]string, error) {
	f, err := infile.Open(plugin)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	targets := map[string]string{}
	buf := make([]byte, 0, 4<<20)
	for {
		n, err := io.ReadFull(f, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return nil, fmt.Errorf("%s: %w", plugin, err)
		}
		for at := 0; ; at++ {
			i := bytes.Index(buf[at:], targetText)
			if i < 0 {
				break
			}
			at += i
			from, n := bytes.LastIndexByte(buf[:at], 0)+1, bytes.IndexByte(buf[at:], 0)
			if n < 0 || n > maxTarget {
				continue // cut off: it comes whole with the next piece
			}
			if name := targetName.FindSubmatch(buf[at : at+n]); name != nil && at+n-from <= maxTarget && targets[string(name[1])] == "" {
				targets[string(name[1])] = string(buf[from : at+n])
			}
		}
		if last {
			return targets, nil
		}
		buf = buf[:copy(buf, buf[len(buf)-min(len(buf), 2*maxTarget):])]
	}
}
