// Package synth invents the data of the demonstration: short English opinions
// whose sentiment follows from how they are composed, little stories with
// conversations about them, and little pictures with captions.
//
// No real data can be shipped with the program, so everything here is
// synthetic. It shows that a model learns and generalises; a score on it says
// nothing about real reviews.
//
// # Opinions: meaning first
//
// A [Meaning] is drawn first: one claim, or two that a connective joins. A claim
// says something of a topic by a quality of known polarity ("funny", "hated"),
// under an operator ("not", "hardly", "far from", "less ... than") to a degree
// ("very", "slightly", "at all"), inside a frame ("i doubt that"). The label is
// computed from the meaning alone, and only then does the grammar choose words
// for it: one meaning has many texts, and no text has two labels.
//
// # The rules
//
//  1. A claim has the polarity of its quality, reversed by an operator that
//     denies (all but affirmation and "more") and reversed by a frame that
//     denies ("i doubt that"). Two reversals cancel.
//  2. A degree changes how much, never which way.
//  3. Of two claims the main one decides: the one after "but", "yet" and
//     "still", and the one that "although", "even though", "despite" and
//     "in spite of" do not introduce, wherever it stands.
//  4. "and" joins only claims of equal polarity, the others only claims of
//     opposite polarity.
//
// A third of the claims are reversed, every contrast holds praise and blame, and
// either may win, so that words one by one decide little. Trained on 8,000
// opinions, a logistic regression over single words labels 0.54 of the held-out
// opinions correctly and one that also sees pairs of neighbours 0.63; reading by
// the rules labels all of them (the tests measure all three).
//
// # Held-out combinations
//
// Some combinations never occur in a training sentence, and every held-out
// sentence has at least one of them, though each of its words occurs in
// training:
//
//   - phrases: operator, degree and quality, as in "not very funny";
//   - pairs: connective and the qualities of its two claims, as in
//     "although ... dull ..., ... funny".
//
// Arithmetic on the places of the parts in their tables chooses them (see
// [Meaning.Combinations]); neither the seed nor the number of sentences matters.
//
// # Stories
//
// A [Story] is told of a small simulated world: two people are in rooms, go to
// others, take a thing, give it to the other in the same room or leave it. Then a
// conversation asks how things stand at the end. The simulation knows what is true;
// where somebody or something is, the answer says in the story's own words ("Mary
// ran to the garden"). Questions depend on the turns before by the following rules,
// which leave one reading:
//
//  1. "he", "him", "she" and "her" are the one person of the gender in the latest
//     turn, question and answer together, that names any, by name or pronoun. Where
//     there are two, no pronoun is used. In a story it is the latest sentence.
//  2. "it" is the thing that the conversation named last.
//  3. "And ...?" asks the question before it of another: where somebody or
//     something is, who has a thing, what somebody has.
//  4. A thing is where its holder is ("Mary ran to the garden, she has it"); one
//     that "stayed", "lay" or "remained" in a room is there, and nobody has it.
//  5. Everybody has one thing at most.
//
// No answer takes more than two facts of the story. Answering always with the name,
// the thing or the sentence about a room that the story has last reaches 0.33 exact
// matches (see [StoryBaselines]).
//
// What a held-out story is made of: a triple of person, thing and room is held out
// when person + 2 thing + 3 room, by their places in their tables, is 1 modulo 7.
// Such a person never has such a thing in such a room in a training story; in each
// held-out story somebody does at some time.
//
// # Scenes
//
// A [Scene] is a picture of two objects of seven colours, six shapes and two sizes,
// never of the same colour and shape, each in a quarter of its own. Its captions name
// both objects by size, colour and shape, and say either how one lies to the other
// ("a large blue cross is left of a small red ring") or in which corners they are.
// The quarters decide both: what is in a left quarter is left of what is in a right
// one, and what is in a top quarter above what is in a bottom one.
//
// An unordered pair of objects' colours and shapes is held out when the product of their numbers
// is 2 or 3 modulo 5: about a third of all pairs. No training scene has such a pair, each
// held-out scene has another one, and each coloured shape occurs in training. Every caption is true of one
// held-out scene alone. Among 100 of them, matching by the shapes finds 0.21 of the right pictures and
// captions, by the colours 0.28, by both without knowing which is whose 0.97, by sizes as well all of them (see
// [SceneBaselines]): to name everything in pairs never seen is what it takes; to know what belongs to
// what is not.
//
// # Scenes with a curtain
//
// [CurtainScenes] are scenes in which a grey curtain hides one of the two quarters without an object, with short captions
// ("a big red ring top left and a small blue star bottom right"). Each has a
// [Question] of each type, with one right answer, and a [Hypothesis] of each label. A hypothesis is entailed if
// it is true whatever the curtain hides, be it nothing or an object, contradicted if it is false whatever it hides, and
// neutral if that depends. Six in ten are about places: "at the top left is a red ring" is neutral where the top left is
// curtain. The others are easy: "you see a red ring", or, neutral, "behind the curtain is a red ring".
//
// A text hardly gives its answer or label away: naive Bayes over words
// and pairs of words answers 0.28 of 1,400 held-out questions, and labels 0.45 of 600 hypotheses (those about what is hidden,
// and chance), trained on 6,000 scenes. No caption names a pair of coloured shapes of the other set. [Scene.Judge] reads a
// caption and says whether it is true of the scene.
//
// # Other worlds
//
// [Opinions], [Stories] and [Scenes] are users of a small core that knows nothing of
// text or pictures: a world samples meanings, gives them a form, sorts them into
// classes and says which hold an unseen combination; split draws two disjoint
// balanced sets from any world.
//
// Source: the design is ours. The held-out combinations follow the idea of
// compositional splits (Lake and Baroni, 2018, "Generalization without
// systematicity").
package synth
