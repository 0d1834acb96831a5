// Command downstream trains small models for tasks with pictures on real data, several seeds of each beside its
// controls, and prints one table:
//
//	go run ./bench/downstream -work WORK                              everything
//	go run ./bench/downstream -work WORK -data easy-vqa -seeds 1      a part of it
//	go run ./bench/downstream -work WORK -init MODEL -vocab DICT      from a model instead of random weights
//	go run ./bench/downstream -work WORK -table                       the table of the runs that are done
//
// The data are prepared in WORK, from $UNIMO_DATA or ../shared/data: who trains, who chooses, who is scored. Runs that
// are done stay; the same command goes on with the others. Every run is one of unimo finetune, chosen on dev; its test
// split is scored once.
//
// Models see pictures as pixels, those of easy-VQA as statistics of colours and edges, or whatever -set features=PATH names.
//
// The controls are the same training on hidden pictures, which leaves the text, and on shuffled ones; each is tested as
// it was trained. The models of all pictures are tested with shuffled ones, too.
package main
