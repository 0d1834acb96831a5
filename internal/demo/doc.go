// Package demo trains small models on invented data and scores them on combinations that training
// never showed.
//
// "unimo demo scenes", say, draws pictures of coloured shapes ([synth]), trains a model to find them for
// sentences, and leaves a page of pictures. Each part is a [Part]; the command line prints what
// [Part.Run] returns.
package demo
