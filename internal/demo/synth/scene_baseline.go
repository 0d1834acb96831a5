package synth

// SceneBaseline is a way of matching pictures and captions without understanding all
// of them, and its recall@1: the same both ways, since every scene has as many
// captions and each of them names both objects.
type SceneBaseline struct {
	Name   string
	Recall float64
}

// SceneBaselines measures what seeing only a part of each picture and caption gives
// among scenes, with a choice by chance where that leaves several.
func SceneBaselines(scenes []Scene) []SceneBaseline {
	baselines := []struct {
		name string
		seen func(objects [2]object) any
	}{
		{"chance", func([2]object) any { return nil }},
		{"the shapes alone", func(o [2]object) any { return sorted(o[0].figure, o[1].figure) }},
		{"the colours alone", func(o [2]object) any { return sorted(o[0].hue, o[1].hue) }},
		{"the colours and the shapes, not which is whose", func(o [2]object) any {
			return [2][2]int{sorted(o[0].hue, o[1].hue), sorted(o[0].figure, o[1].figure)}
		}},
		{"the sizes, the colours and the shapes, not which is whose", func(o [2]object) any {
			big := 0
			for _, x := range o {
				if x.big {
					big++
				}
			}
			return [3][2]int{sorted(o[0].hue, o[1].hue), sorted(o[0].figure, o[1].figure), {big}}
		}},
	}
	var out []SceneBaseline
	for _, b := range baselines {
		alike := map[any]int{} // scenes by what is seen of them
		for _, scene := range scenes {
			alike[b.seen(scene.layout.objects)]++
		}
		// Of n scenes that look alike one is found by chance: n times 1/n.
		out = append(out, SceneBaseline{b.name, float64(len(alike)) / float64(max(len(scenes), 1))})
	}
	return out
}

func sorted(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }
