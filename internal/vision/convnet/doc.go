// Package convnet opens convolution networks from the files of weights that people have, and runs them: EfficientNet,
// EfficientNet-Lite, MobileNet v2 and v3, and ResNet with its wide, grouped (ResNeXt) and squeezed (SE) relatives.
//
// A file is recognised by the names and shapes of its tensors:
//
//	torchvision   conv1, layer1.0.conv1 | features.1.0.block.0.0 | features.1.conv.0.0 | features.1.block.0.0
//	timm          conv1, layer1.0.conv1 | conv_stem, blocks.0.0.conv_dw
//	transformers  embedder.embedder.convolution | embeddings.convolution | conv_stem.first_conv.convolution
//	lukemelas     _conv_stem, _blocks.0._depthwise_conv
//
// Widths, depths, kernels and groups are read from the shapes. What shapes do not show comes from the published
// architecture, which kernels and squeezes must fit: where a network halves the picture, and its activations. A
// configuration is needed only where two networks have tensors of the same names: timm's with TensorFlow's padding
// (tf_efficientnet_lite0) and without (efficientnet_lite0).
//
// Whatever the library, a network becomes a list of blocks of one form (see block): convolutions one after the
// other, their batch norms folded into them. The regions of a picture are the cells of the last feature map.
package convnet
