// Package report writes what a run has to show as one HTML page: headline
// numbers, what a search found in pictures, curves, the confusion matrix, the
// mistakes, the configuration.
//
// The page is self-contained: style, plots and pictures are inside, there is no script
// and nothing is fetched; a content security policy in the page forbids both.
// It follows the reader's light or dark setting and fits a phone. Equal runs give
// equal bytes.
//
// A [Run] is plain data in the order it is to be shown; parts left empty are
// left out. All text is escaped, whatever it holds. Numbers that are not finite
// are left out of plots, and the page says how many were.
//
// The plots are drawn by gonum's plot package in placeholder colours that become
// variables of the page's style (see svg.go), so that they follow light and
// dark as well. All words stand in the HTML; a plot holds only the numbers on
// its axes, in whatever sans-serif font the reader has.
//
// [WriteSearch] writes a page of its own kind: the pictures that were found for one query.
//
// The package knows nothing of models or training.
package report
