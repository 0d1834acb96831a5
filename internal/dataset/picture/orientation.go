package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// How a camera was held is the tag "Orientation" (274) in a file's Exif data, which is a
// TIFF file of its own in a segment or chunk: 1 is upright, the others say which turn
// and reflection makes it so. Whatever is wrong with the Exif data counts as 1: pictures
// without it are the rule.
//
// Source: CIPA DC-008 (Exif 2.32), 4.6.4; TIFF 6.0, section 2.

const upright = 1

// tiffOrientation returns the orientation, 1 to 8, that the first directory of Exif data says.
func tiffOrientation(data []byte) int {
	data = bytes.TrimPrefix(data, []byte("Exif\x00\x00"))
	if len(data) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	start := uint64(order.Uint32(data[4:]))
	if start+2 > uint64(len(data)) {
		return upright
	}
	directory := data[start+2:]
	for range order.Uint16(data[start:]) {
		if len(directory) < 12 {
			break
		}
		const tag = 274
		if order.Uint16(directory) == tag {
			if o := int(order.Uint16(directory[8:])); 1 <= o && o <= 8 {
				return o
			}
			break
		}
		directory = directory[12:]
	}
	return upright
}

// turn returns where the pixel (x, y) of a picture of w x h pixels lies in the upright
// picture, whose width is wide: pixel start + x*stepX + y*stepY.
func turn(orientation, w, h int) (wide, start, stepX, stepY int) {
	wide, stepX, stepY = w, 1, w
	if orientation >= 5 { // rows become columns
		wide, stepX, stepY = h, h, 1
	}
	switch orientation {
	case 2, 3, 7, 8: // from the other end
		start, stepX = start+(w-1)*stepX, -stepX
	}
	switch orientation {
	case 3, 4, 6, 7:
		start, stepY = start+(h-1)*stepY, -stepY
	}
	return wide, start, stepX, stepY
}

// jpegHeader is what a walk over a JPEG's segments finds.
type jpegHeader struct {
	orientation int
	components  int    // channels
	unread      string // what is said of a kind that no decoder here reads; "" of others
	progressive bool   // is refined scan by scan
	adobe       bool   // has Adobe's segment, which says how colours are coded
	end         int    // behind the end marker; 0: there is none
}

// Markers of JPEG, behind their 0xff. Source: ITU-T T.81, table B.1.
const (
	markerTEM   = 0x01 // without length, like those from RST0 to SOI
	markerSOF0  = 0xc0
	markerSOF2  = 0xc2
	markerSOF3  = 0xc3
	markerSOF5  = 0xc5
	markerSOF7  = 0xc7
	markerSOF9  = 0xc9
	markerSOF11 = 0xcb
	markerSOF13 = 0xcd
	markerSOF15 = 0xcf
	markerRST0  = 0xd0
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerAPP1  = 0xe1
	markerAPP14 = 0xee
)

// walkJPEG reads the segments up to the end marker. Compressed data between them has no
// markers but RSTn, and 0xff 0x00 for 0xff.
func walkJPEG(raw []byte) jpegHeader {
	h := jpegHeader{orientation: upright}
	for i := 0; ; {
		next := bytes.IndexByte(raw[i:], 0xff)
		if next < 0 {
			return h
		}
		i += next + 1
		for i < len(raw) && raw[i] == 0xff { // fill bytes
			i++
		}
		if i >= len(raw) {
			return h
		}
		marker := raw[i]
		i++
		switch {
		case marker == 0, marker == markerTEM, markerRST0 <= marker && marker <= markerSOI:
			continue
		case marker == markerEOI:
			h.end = i
			return h
		}
		if i+2 > len(raw) {
			return h
		}
		size := int(binary.BigEndian.Uint16(raw[i:]))
		if size < 2 || i+size > len(raw) {
			return h
		}
		segment := raw[i+2 : i+size]
		i += size
		switch {
		case marker == markerAPP1 && h.orientation == upright && bytes.HasPrefix(segment, []byte("Exif\x00\x00")):
			h.orientation = tiffOrientation(segment)
		case markerSOF0 <= marker && marker <= markerSOF2 && len(segment) > 5:
			h.components, h.progressive = int(segment[5]), marker == markerSOF2
			if segment[0] != 8 {
				h.unread = fmt.Sprintf("JPEG with %d bits a colour", segment[0])
			}
		case marker == markerSOF3:
			h.unread = "lossless JPEG"
		case markerSOF5 <= marker && marker <= markerSOF7, markerSOF13 <= marker && marker <= markerSOF15:
			h.unread = "hierarchical JPEG"
		case markerSOF9 <= marker && marker <= markerSOF11:
			h.unread = "JPEG with arithmetic coding"
		case marker == markerAPP14 && bytes.HasPrefix(segment, []byte("Adobe")):
			h.adobe = true
		}
	}
}

// pngOrientation looks for the chunk eXIf: length, name, data, checksum.
func pngOrientation(raw []byte) int {
	for raw = raw[len(pngMagic):]; len(raw) >= 12; {
		size := uint64(binary.BigEndian.Uint32(raw))
		if size+12 > uint64(len(raw)) {
			break
		}
		if string(raw[4:8]) == "eXIf" {
			return tiffOrientation(raw[8 : 8+size])
		}
		raw = raw[12+size:]
	}
	return upright
}

// webpOrientation looks for the chunk EXIF: name, length, data to an even length.
func webpOrientation(raw []byte) int {
	for raw = raw[12:]; len(raw) >= 8; {
		size := uint64(binary.LittleEndian.Uint32(raw[4:]))
		if size+8 > uint64(len(raw)) {
			break
		}
		if string(raw[:4]) == "EXIF" {
			return tiffOrientation(raw[8 : 8+size])
		}
		raw = raw[min(8+size+size%2, uint64(len(raw))):]
	}
	return upright
}
