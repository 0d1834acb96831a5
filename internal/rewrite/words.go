package rewrite

import (
	"strings"

	"github.com/jdkato/prose/v3/tag"
)

// tagged are words of captions whose part of speech the model often gets wrong.
var tagged = tag.Lexicon{"frisbee": "NN", "skateboard": "NN", "surfboard": "NN"}

// unseen are nouns that name no thing in a picture.
var unseen = set("front top side back background foreground middle center centre edge left right end way picture photo photograph image camera scene " +
	"view day time something someone one other lot kind type sort line pose position place area distance direction motion action air midair mid-air " +
	"attempt turn break game part look smile t outside inside outdoors indoors sunset night trick jump run walk ride variety process preparation order " +
	"face hand arm leg head foot mouth body hair eye finger tongue tail ear")

// measures are nouns of which what follows after "of" is the thing.
var measures = set("group pair couple bunch lot number piece set body pile row crowd team stack line bit flock herd pack kind type sort part series " +
	"bowl cup glass bottle bag bucket slice plate field patch sheet flight stretch mouthful handful dozen")

// dull are adjectives that say nothing one could see the contrary of.
var dull = set("other another many several some few same own such various different more most much only next first last second full able ready " +
	"open certain particular similar multiple numerous single additional whole entire main nearby front back left right top middle unseen " +
	"unidentified mid good nice great beautiful pretty cute lovely fun")

// auxiliaries are verbs that say nothing by themselves.
var auxiliaries = set("be have do can will may might must shall could would should let 's 're 've get go try seem appear prepare attempt begin start " +
	"stop continue wait enjoy take make use keep")

// vague words never replace another: they are true of too much.
var vague = set("person people human individual thing object item stuff area place scene ground land surface spot outdoors outside nature background " +
	"play stand look pose perform move watch enjoy see show come lie rest " +
	"outdoor indoor visible")

// classes of attributes: one replaces another of its class only.
var classes = classesOf(map[string]string{
	"colour":  "black white red blue green yellow brown gray grey orange purple pink tan beige golden gold silver maroon turquoise teal navy violet cream blonde blond",
	"number":  "two three four five six seven eight nine ten eleven twelve",
	"age":     "young old elderly older younger little teenage adult middle-aged aged",
	"size":    "big large small tiny huge little giant tall short long massive enormous miniature",
	"weather": "wet dry muddy snowy sandy rocky grassy dusty icy sunny rainy dirty clean",
	"pattern": "striped plaid checkered spotted flowered floral patterned polka-dot",
	"stuff":   "wooden metal plastic stone concrete brick glass paper leather rubber",
	"clothes": "shirtless naked barefoot topless bare-chested uniformed clothed",
	"mood":    "happy sad angry smiling laughing crying surprised scared serious excited",
})

func classesOf(lists map[string]string) map[string]string {
	m := map[string]string{}
	for class, list := range lists {
		for w := range strings.FieldsSeq(list) {
			if w != "little" || class == "size" {
				m[w] = class
			}
		}
	}
	return m
}

func attributeClass(word, partOfSpeech string) string {
	switch class := classes[word]; {
	case class != "":
		return class
	case strings.HasPrefix(partOfSpeech, "VB"):
		return "participle"
	case partOfSpeech == "CD":
		return "number"
	}
	return "quality"
}

// places are the prepositions of place, longest first, by their first word.
var places = placesOf("in front of", "in the middle of", "in back of", "on top of", "on the side of", "on the edge of", "next to", "close to", "at the edge of",
	"at the top of", "at the bottom of", "outside of", "inside of", "out of", "off of", "away from", "along side of", "alongside", "on", "in", "under", "over",
	"above", "below", "beneath", "underneath", "behind", "beside", "besides", "near", "between", "inside", "outside", "against", "across", "along", "through", "around",
	"into", "onto", "off", "up", "down", "toward", "towards", "past", "at", "by", "among", "amongst", "atop", "within", "upon")

func placesOf(phrases ...string) map[string][][]string {
	m := map[string][][]string{}
	for _, p := range phrases {
		words := strings.Fields(p)
		m[words[0]] = append(m[words[0]], words)
	}
	return m
}
