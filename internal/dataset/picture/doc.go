// Package picture decodes people's pictures safely and brings them to the form that the
// rest of the program computes with: RGB, eight bits a channel.
//
//	file --Open--> Picture --Augment, Crop, Resize, Flip--> Picture
//
// It knows pixels only. What a model sees of a picture is made in internal/dataset/regions.
//
// # Safety
//
// A picture's size is read from its header and held against [Limits] before a pixel is
// decoded, so that a small file which claims a huge picture costs nothing. Decoding takes
// 1.5 to 3 bytes a pixel for a plain JPEG, 15 for a progressive one (24 in CMYK), 8 for a PNG with
// 16 bits and alpha, and 3 for the result; over all threads the pictures in work take 1 GiB,
// or what a single one takes that needs more. The scans of a JPEG are counted, because each
// is a pass over all pixels for as little as a few dozen bytes. Resizing takes the memory
// of its result.
//
// # Colour
//
// Colours are taken as they are, as sRGB; colour profiles are not applied. Sixteen bits
// are cut to eight. What is transparent is seen over white.
//
// # Layout of the package
//
//	picture.go      Picture, cutting, writing
//	scale.go        resizing as the extractors without a network have it
//	resample.go     resizing as Pillow does it, for networks
//	augment.go      random crops and flips
//	decode.go       Visit, Open, Decode, limits, what a file is recognised by
//	chroma.go       the colour of JPEG and lossy WebP, as libjpeg and libwebp read it
//	memory.go       how much memory pictures in work take
//	orientation.go  how the camera was held
//	name.go         how a picture's file is found by the name that others call it by
package picture
