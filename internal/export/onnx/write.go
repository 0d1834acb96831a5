package onnx

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// largest is how many bytes a file of a graph may have; a message of protobuf has less than 2 GiB.
const largest = 1<<31 - 1<<20

// alignment is that of tensors in a file beside graphs: what systems map.
const alignment = 4 << 10

// file is what is written of a graph.
type file struct {
	*graph
	metadata [][2]string
	release  string
}

// parts are the beginning and the end of the file: between them are the tensors, each its message's head and its values.
func (f *file) parts() (head, tail message) {
	var opsets, graph message
	opsets.int(opsetVersion, opset)
	head.int(modelIRVersion, irVersion)
	head.text(modelProducer, "unimo")
	head.text(modelProducerVersion, f.release)
	head.message(modelOpsets, opsets)
	for _, m := range f.metadata {
		head.message(modelMetadata, entry(m[0], m[1]))
	}
	for _, n := range f.nodes {
		graph.message(graphNode, n)
	}
	graph.text(graphName, f.name)
	for _, v := range f.inputs {
		graph.message(graphInput, v.message())
	}
	for _, v := range f.outputs {
		graph.message(graphOutput, v.message())
	}
	size := int64(len(graph))
	for _, t := range f.tensors {
		var opened message
		opened.opens(graphInitializer, t.size())
		size += int64(len(opened)) + t.size()
	}
	head.opens(modelGraph, size)
	return head, graph
}

// size is that of the tensor's message.
func (t *tensor) size() int64 { return int64(len(t.head())) + t.inside() }

// bytes is the size of the file.
func (f *file) bytes() int64 {
	head, tail := f.parts()
	n := int64(len(head) + len(tail))
	for _, t := range f.tensors {
		n += 10 + t.size()
	}
	return n
}

// write writes the file.
func (f *file) write(ctx context.Context, w io.Writer) error {
	head, tail := f.parts()
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range f.tensors {
		if err := ctx.Err(); err != nil {
			return err
		}
		var m message
		m.opens(graphInitializer, t.size())
		if _, err := w.Write(append(m, t.head()...)); err != nil {
			return err
		}
		if t.place == nil {
			if err := t.write(w); err != nil {
				return err
			}
		}
	}
	_, err := w.Write(tail)
	return err
}

// smallest is the fewest bytes of a tensor that goes to the file beside.
const smallest = 1 << 10

// share gives the larger tensors of graphs a place in a file beside them, one for all that have the name.
func share(graphs []*graph, name string) (shared []*tensor) {
	places := map[string]*place{}
	var end int64
	for _, g := range graphs {
		for _, t := range g.tensors {
			if t.bytes() < smallest {
				continue
			}
			if places[t.name] == nil {
				places[t.name] = &place{name, end}
				shared = append(shared, t)
				end = (end + t.bytes() + alignment - 1) / alignment * alignment
			}
			t.place = places[t.name]
		}
	}
	return shared
}

// writeShared writes the file beside graphs.
func writeShared(ctx context.Context, path string, tensors []*tensor) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		var at int64
		for _, t := range tensors {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := w.Write(make([]byte, t.place.offset-at)); err != nil {
				return err
			}
			if err := t.write(w); err != nil {
				return err
			}
			at = t.place.offset + t.bytes()
		}
		return nil
	})
}

// writeGraphs writes graphs into the folder dir: all that they have in one file each, or, where there are several or one would be too
// large, the weights in one file beside them.
func writeGraphs(ctx context.Context, dir string, graphs []*graph, metadata [][2]string, release string, most int64) (files []string, bytes int64, err error) {
	list := make([]*file, len(graphs))
	for i, g := range graphs {
		list[i] = &file{g, metadata, release}
	}
	if len(graphs) > 1 || list[0].bytes() > most {
		shared := share(graphs, weightsFile)
		if err := writeShared(ctx, filepath.Join(dir, weightsFile), shared); err != nil {
			return nil, 0, err
		}
		files = append(files, weightsFile)
	}
	for _, f := range list {
		name := f.name + ending
		if err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error { return f.write(ctx, w) }); err != nil {
			return nil, 0, err
		}
		files = append(files, name)
	}
	slices.Sort(files)
	for _, name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return nil, 0, fmt.Errorf("export: %w", err)
		}
		bytes += info.Size()
	}
	return files, bytes, nil
}

// writeFile writes a graph alone to the file path.
func writeFile(ctx context.Context, path string, g *graph, metadata [][2]string, release string, most int64) error {
	f := &file{g, metadata, release}
	if n := f.bytes(); n > most {
		return fmt.Errorf("the graph has %.1f GB, and one file holds at most %.1f; name a folder, in which the weights are a file of their own", float64(n)/1e9, float64(most)/1e9)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return f.write(ctx, w) })
}
