package synth

// field is a set of domains of life. A quality is said of topics that share a
// domain with it: soup is bland, staff are rude, anything is good.
type field uint8

const (
	story field = 1 << iota
	food
	place
	device
	people

	anything = story | food | place | device | people
)

// Quality is an adjective or a verb of liking, with the polarity it has when
// nothing is done to it.
type Quality struct {
	// Word is the adjective ("funny") or the plain form of the verb ("enjoy").
	Word string
	// Past is the past form of a verb ("enjoyed") and empty for an adjective.
	Past string
	// Positive says whether the word by itself praises.
	Positive bool

	index    int   // place in qualities
	fits     field // domains of the topics it is said of
	compares bool  // an adjective that takes "more" and "less"
}

// IsVerb says whether the quality is a verb of liking.
func (q Quality) IsVerb() bool { return q.Past != "" }

// qualities is the table of all qualities, praise and blame in equal numbers for
// every field. Longer adjectives, which English compares by "more" and "less",
// are marked by a plus.
var qualities = buildQualities([]qualityRow{
	{anything,
		"good great excellent+ wonderful+ lovely brilliant+ superb fantastic+ impressive+ delightful+ enjoyable+ pleasant+ memorable+ satisfying+",
		"bad poor terrible+ awful+ horrible+ lousy dreadful+ mediocre+ disappointing+ annoying+ unpleasant+ forgettable+ worthless+ depressing+"},
	{story,
		"funny moving+ gripping+ clever original+ charming+ thrilling+ touching+ witty engaging+ powerful+",
		"boring+ dull tedious+ predictable+ silly clumsy pretentious+ shallow confusing+ lifeless+ tiresome+"},
	{food,
		"tasty delicious+ fresh tender crisp fragrant+",
		"bland stale greasy soggy bitter tasteless+"},
	{place,
		"clean cosy comfortable+ quiet bright spacious+ elegant+",
		"dirty noisy cramped+ gloomy shabby chilly neglected+"},
	{device,
		"fast reliable+ sturdy handy responsive+ precise+",
		"slow fragile+ flimsy awkward+ unreliable+ sluggish+"},
	{people,
		"friendly helpful+ polite+ attentive+ talented+",
		"rude careless+ impatient+ arrogant+ unfriendly+"},
}, []verbRow{
	{"like", "liked", true}, {"dislike", "disliked", false},
	{"love", "loved", true}, {"hate", "hated", false},
	{"enjoy", "enjoyed", true}, {"regret", "regretted", false},
	{"admire", "admired", true}, {"despise", "despised", false},
	{"adore", "adored", true}, {"loathe", "loathed", false},
	{"praise", "praised", true}, {"criticise", "criticised", false},
	{"recommend", "recommended", true}, {"detest", "detested", false},
	{"appreciate", "appreciated", true}, {"resent", "resented", false},
})

// The indices into qualities, by what a sampler asks for.
var (
	verbs      []int
	adjectives = map[field][]int{}
)

// topicTable holds the subjects and the aspects that an opinion may single out.
var topicTable = []subject{
	{[]string{"film", "movie"}, story, []aspect{{"plot", story}, {"ending", story}, {"script", story}, {"acting", story}, {"music", story}, {"director", people}}},
	{[]string{"book", "novel"}, story, []aspect{{"plot", story}, {"ending", story}, {"style", story}, {"opening", story}, {"author", people}}},
	{[]string{"show", "concert"}, story, []aspect{{"music", story}, {"finale", story}, {"opening", story}, {"dancing", story}, {"singer", people}}},
	{[]string{"meal", "dinner"}, food, []aspect{{"soup", food}, {"bread", food}, {"salad", food}, {"dessert", food}, {"sauce", food}, {"waiter", people}}},
	{[]string{"hotel", "house"}, place, []aspect{{"room", place}, {"kitchen", place}, {"garden", place}, {"bathroom", place}, {"owner", people}}},
	{[]string{"phone", "laptop"}, device, []aspect{{"screen", device}, {"camera", device}, {"keyboard", device}, {"speaker", device}, {"battery", device}}},
}

type subject struct {
	names   []string
	field   field
	aspects []aspect
}

type aspect struct {
	name  string
	field field
}

type qualityRow struct {
	fits               field
	positive, negative string
}

type verbRow struct {
	plain, past string
	positive    bool
}
