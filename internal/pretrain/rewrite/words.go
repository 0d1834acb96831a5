package rewrite

import (
	"strings"

	"github.com/jdkato/prose/v3/tag"
)

// tagged are words whose part of speech in captions the model, which learned from
// newspapers, gets wrong a tenth of the time or more.
var tagged = lexicon(map[string]string{
	"VBZ": "runs stands jumps sits walks looks plays rides watches climbs smiles leaps wears poses catches chases swims tries performs lays hangs talks " +
		"splashes prepares leans flies drives shakes dances kicks eats shows waits attempts raises leads laughs holds carries throws pushes pulls " +
		"sleeps dives crosses stares points digs skates snowboards surfs skis races rests kneels bites barks reads squats relaxes stretches balances crouches crawls sings",
	"VBP": "sit stand walk play watch look pose swim wrestle hold wear climb wait talk",
	"VBG": "playing jumping swimming smiling swinging racing posing hanging leaping fishing driving drinking lying diving surfing hiking laughing reading " +
		"shopping dancing skateboarding staring wading skating pointing smoking skiing blowing floating kissing paddling balancing writing moving",
	"JJ": "grassy snowy sandy muddy wooded fluffy furry outdoor deep high dark striped shirtless airborne dirty plaid bald barefoot curly crowded naked wet",
	"NN": "snow rock face hat ocean tree dirt uniform swing ice table t-shirt brick pole costume leash gear greyhound clothing metal subway couch " +
		"animal drink nose railing flip puddle cow leather tent ring jeep shepherd fish backyard gravel hay net straw tie kite monkey flower atv " +
		"volleyball unicycle wagon neck wave",
	"NNS": "sunglasses stairs waves legs uniforms bags teeth toys overalls rapids jerseys clouds leaves",
	"IN":  "towards beside inside past alongside atop whilst below",
})

func lexicon(lists map[string]string) tag.Lexicon {
	l := tag.Lexicon{}
	for class, list := range classLists {
		for w := range strings.FieldsSeq(list) {
			switch class {
			case "number":
				l[w] = "CD"
			case "stuff": // as often nouns
			default:
				l[w] = "JJ"
			}
		}
	}
	for w := range doers {
		l[w] = "NN"
	}
	for partOfSpeech, list := range lists {
		for w := range strings.FieldsSeq(list) {
			l[w] = partOfSpeech
		}
	}
	return l
}

// doers are nouns after which a word that looks like a noun is more often a verb: the model
// takes the rarer ones for plurals, as in "a boy screams".
var doers = set("man woman boy girl guy lady person kid toddler player wrestler skier surfer skateboarder snowboarder biker cyclist climber runner rider " +
	"dancer singer dog puppy cat bird")

// doersThings are the nouns that do follow them.
var doersThings = set("toys paws ears houses scouts tracks treats friends clothes bikes riders players owners shows")

// unseen are nouns that name no thing in a picture.
var unseen = set("front top side back background foreground middle center centre edge left right end way picture photo photograph image camera scene " +
	"view day time something someone somebody anything anyone anybody nothing nobody none everything everyone everybody one other lot kind type sort line pose position place area distance direction motion action air midair mid-air " +
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
var vague = set("person people human individual thing object item stuff area place scene ground land surface spot outdoors outside nature background room floor " +
	"tree sky cloud sun shadow wind air daylight " + // in most pictures, said or not

	"play stand look pose perform move watch enjoy see show come lie rest smile laugh grin talk face wait " +
	"flip handstand stunt leap splash jump somersault closeup medium")

// classLists are classes of attributes that exclude each other; one replaces another of
// its class only, and what is of no class is not replaced: a tall girl can be asian.
var classLists = map[string]string{
	"colour":  "black white red blue green yellow brown gray grey orange purple pink tan beige golden gold silver maroon turquoise teal navy violet cream",
	"hair":    "blond blonde brunette redheaded dark-haired red-haired brown-haired blond-haired blonde-haired grey-haired gray-haired",
	"number":  "two three four five six seven eight nine ten eleven twelve",
	"age":     "young old elderly older younger teenage middle-aged aged",
	"size":    "big large small tiny huge little giant massive enormous miniature",
	"length":  "long short",
	"weather": "wet dry muddy snowy sandy rocky grassy dusty icy sunny rainy dirty clean",
	"pattern": "striped plaid checkered spotted flowered floral patterned polka-dot",
	"stuff":   "wooden metal plastic stone concrete brick glass paper leather rubber",
	"clothes": "shirtless naked barefoot topless bare-chested uniformed clothed",
	"mood":    "happy sad angry smiling laughing crying surprised scared serious excited",
	"origin":  "asian african indian american chinese japanese african-american caucasian oriental",
	"light":   "dark bright light sunlit",
	"depth":   "deep shallow",
	"crowd":   "crowded empty busy deserted",
}

var classes = func() map[string]string {
	m := map[string]string{}
	for class, list := range classLists {
		for w := range strings.FieldsSeq(list) {
			m[w] = class
		}
	}
	return m
}()

// places are the prepositions of place, longest first, by their first word.
var places = placesOf("in front of", "in the middle of", "in back of", "on top of", "on the side of", "on the edge of", "on the left of", "on the right of",
	"to the left of", "to the right of", "left of", "right of", "next to", "close to", "at the edge of",
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
