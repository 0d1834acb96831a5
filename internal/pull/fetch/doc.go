// Package fetch gets a file over HTTP whole, or not at all. A big one comes in chunks over several connections; how far each has come is
// noted beside it, so that a fetch that was ended, in whatever way, goes on where it was. The content is hashed while it comes.
//
// No server is believed: lengths and ranges are compared with what was asked for, and the sum with what is wanted.
package fetch
