package convnet

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// plan is a network before its weights are read: what is computed, and the names of the tensors that it takes.
type plan struct {
	name    string  // as people call it: "EfficientNet-Lite0"
	origin  string  // the library whose names the tensors have
	epsilon float64 // of the batch norms
	padding padding
	blocks  []block

	config  []byte // what Open needs besides the tensors; nil: nothing
	prepare string // how pictures are prepared where no file says it: a family of preprocess.Default
	side    int    // of the pictures that the published network reads
}

// block is a part of a network: convolutions one after the other, around which what is read may be passed and added.
//
//	stem           convolution [maxPool]
//	MobileNet, EfficientNet
//	               [expand] depthwise [squeeze] project [+ what was read]
//	ResNet         two or three convolutions [squeeze] + what was read or the shortcut of it, then ReLU
type block struct {
	maxPool  bool // 3 x 3, stride 2, of what the layers give
	layers   []layer
	squeeze  *squeeze
	add      bool   // add what the block reads
	shortcut *layer // add this convolution of it instead
}

// layer is a convolution, its batch norm and its activation. The activation of a block's last layer comes after the
// sum.
type layer struct {
	kernel    string // out x in/groups x size x size
	norm      string // what the names of the batch norm's tensors begin with
	stride    int
	square    bool // padding is the same on all sides, whatever the network's padding is
	depthwise bool // a group for each channel
	grouped   bool // or as many groups as the shape says
	act       engine.Activation
}

// squeeze multiplies the channels of the picture that a layer gives by a gate computed from their means.
type squeeze struct {
	after          int // the index of the layer
	reduce, expand string
	act, gate      engine.Activation
}

// padding is what a library puts around a picture.
type padding int

const (
	square    padding = iota // half the kernel on all sides: PyTorch
	same                     // TensorFlow's SAME
	zeroPad2d                // of transformers' EfficientNet: SAME for pictures of even size, whatever size they have
)

// window is how a kernel of a size and stride moves over a picture.
func (p padding) window(height, width, size, stride int, allSides bool) engine.Window {
	w := engine.Square(height, width, size, stride, size/2)
	switch {
	case allSides || stride == 1:
	case p == same:
		w = w.Same()
	case p == zeroPad2d:
		w.Top, w.Left = size/2-1, size/2-1
	}
	return w
}
