// Package synth invents the data of the demonstration: short English opinions
// whose sentiment follows from how they are composed.
//
// No real data can be shipped with the program, so everything here is
// synthetic. It shows that a model learns and generalises; a score on it says
// nothing about real reviews.
//
// # Meaning first
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
// # Other worlds
//
// [Opinions] is one user of a small core that knows nothing of text: a world
// samples meanings, gives them a form, sorts them into classes and says which
// hold an unseen combination; split draws two disjoint balanced sets from any
// world. Coloured shapes with captions and questions, or little stories with
// questions that depend on each other, join as further worlds whose form is a
// picture or a dialogue.
//
// Source: the design is ours. The held-out combinations follow the idea of
// compositional splits (Lake and Baroni, 2018, "Generalization without
// systematicity").
package synth
