// Package preprocess is what a picture goes through before a network reads it: it is scaled, cut or padded to the
// network's size, and its bytes become numbers.
//
//	picture --Config.Prepare--> picture of the network's size --Config.Pixels--> vision.Pixels
//
// A [Config] is read from the files that libraries keep beside their models, or is a family's [Default]. It computes
// what they compute: scaling with Pillow's arithmetic, each bit of the pixels as transformers (its Pillow backend) or
// timm has it. [Config.Boxes] leads back: from places in what the network read to places in the original.
//
//	config.go        Config: Prepare, Pixels, Boxes
//	parse.go         Parse, Find: whose file it is
//	transformers.go  preprocessor_config.json of transformers
//	timm.go          config.json of timm
//	default.go       what families do where no file says it
package preprocess
