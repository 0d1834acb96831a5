package xla

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// val is a value of a program: a name, and what it is.
type val struct {
	name string
	typ  pjrt.Type
	dims []int
}

// ok says that there is a value: operands may be none.
func (v val) ok() bool { return v.name != "" }

func (v val) tensor() string { return tensorType(v.typ, v.dims) }

func tensorType(t pjrt.Type, dims []int) string {
	var s strings.Builder
	s.WriteString("tensor<")
	for _, n := range dims {
		s.WriteString(strconv.Itoa(n))
		s.WriteByte('x')
	}
	s.WriteString(t.String())
	s.WriteByte('>')
	return s.String()
}

// builder writes a program in StableHLO. Its methods are the operations of that language, with the shapes of the results worked out;
// operands of one operation have the same shape unless it says otherwise.
type builder struct {
	text      strings.Builder
	n         int
	constants map[string]val // by their text
	builderOptions
}

// builderOptions are what programs depend on besides operations.
type builderOptions struct {
	precision Precision
	philox    func() bool // the plugin's generator is the project's
}

func newBuilder(o builderOptions) *builder {
	return &builder{constants: map[string]val{}, builderOptions: o}
}

// Dtype of most values.
const f32 = pjrt.F32

// line writes an operation with one result.
func (b *builder) line(t pjrt.Type, dims []int, format string, args ...any) val {
	b.n++
	v := val{"%v" + strconv.Itoa(b.n), t, dims}
	b.text.WriteString("    " + v.name + " = ")
	fmt.Fprintf(&b.text, format, args...)
	b.text.WriteByte('\n')
	return v
}

// constant is a scalar, or a tensor with all elements the same.
func (b *builder) constant(t pjrt.Type, literal string, dims ...int) val {
	text := fmt.Sprintf("stablehlo.constant dense<%s> : %s", literal, tensorType(t, dims))
	v, ok := b.constants[text]
	if !ok {
		v = b.line(t, slices.Clone(dims), "%s", text)
		b.constants[text] = v
	}
	return v
}

// number is a float32.
func (b *builder) number(x float64, dims ...int) val {
	literal := fmt.Sprintf("%.9e", float32(x))
	if math.IsInf(float64(float32(x)), 0) || math.IsNaN(x) {
		literal = fmt.Sprintf("0x%08X", math.Float32bits(float32(x)))
	}
	return b.constant(f32, literal, dims...)
}

// integer is an element of an integer type.
func (b *builder) integer(t pjrt.Type, x int64, dims ...int) val {
	return b.constant(t, strconv.FormatInt(x, 10), dims...)
}

// like is a float32 for all elements of x.
func (b *builder) like(x val, c float64) val { return b.number(c, x.dims...) }

func (b *builder) unary(op string, x val) val {
	return b.line(x.typ, x.dims, "stablehlo.%s %s : %s", op, x.name, x.tensor())
}

func (b *builder) binary(op string, x, y val) val {
	if !slices.Equal(x.dims, y.dims) || x.typ != y.typ {
		panic(fmt.Sprintf("xla: %s of %s and %s", op, x.tensor(), y.tensor()))
	}
	return b.line(x.typ, x.dims, "stablehlo.%s %s, %s : %s", op, x.name, y.name, x.tensor())
}

func (b *builder) add(x, y val) val      { return b.binary("add", x, y) }
func (b *builder) subtract(x, y val) val { return b.binary("subtract", x, y) }
func (b *builder) multiply(x, y val) val { return b.binary("multiply", x, y) }
func (b *builder) divide(x, y val) val   { return b.binary("divide", x, y) }
func (b *builder) maximum(x, y val) val  { return b.binary("maximum", x, y) }
func (b *builder) minimum(x, y val) val  { return b.binary("minimum", x, y) }

// times is x times a number.
func (b *builder) times(x val, c float64) val { return b.multiply(x, b.like(x, c)) }

// plus is x plus a number.
func (b *builder) plus(x val, c float64) val { return b.add(x, b.like(x, c)) }

// compare says where x is EQ, NE, GE, GT, LE or LT y.
func (b *builder) compare(direction string, x, y val) val {
	if !slices.Equal(x.dims, y.dims) || x.typ != y.typ {
		panic(fmt.Sprintf("xla: compare %s and %s", x.tensor(), y.tensor()))
	}
	return b.line(pjrt.Pred, x.dims, "stablehlo.compare %s, %s, %s : (%s, %s) -> %s", direction, x.name, y.name, x.tensor(), y.tensor(), tensorType(pjrt.Pred, x.dims))
}

// finite says where x is neither NaN nor infinite.
func (b *builder) finite(x val) val {
	return b.line(pjrt.Pred, x.dims, "stablehlo.is_finite %s : (%s) -> %s", x.name, x.tensor(), tensorType(pjrt.Pred, x.dims))
}

// choose takes elements of x where the condition holds, else of y.
func (b *builder) choose(condition, x, y val) val {
	if !slices.Equal(x.dims, y.dims) || x.typ != y.typ || !slices.Equal(condition.dims, x.dims) {
		panic(fmt.Sprintf("xla: select among %s and %s with %s", x.tensor(), y.tensor(), condition.tensor()))
	}
	return b.line(x.typ, x.dims, "stablehlo.select %s, %s, %s : %s, %s", condition.name, x.name, y.name, condition.tensor(), x.tensor())
}

func (b *builder) convert(x val, t pjrt.Type) val {
	if x.typ == t {
		return x
	}
	return b.line(t, x.dims, "stablehlo.convert %s : (%s) -> %s", x.name, x.tensor(), tensorType(t, x.dims))
}

// bits takes the same bits as another type of the same size.
func (b *builder) bits(x val, t pjrt.Type) val {
	if x.typ == t {
		return x
	}
	return b.line(t, x.dims, "stablehlo.bitcast_convert %s : (%s) -> %s", x.name, x.tensor(), tensorType(t, x.dims))
}

func (b *builder) reshape(x val, dims ...int) val {
	if slices.Equal(x.dims, dims) {
		return x
	}
	return b.line(x.typ, slices.Clone(dims), "stablehlo.reshape %s : (%s) -> %s", x.name, x.tensor(), tensorType(x.typ, dims))
}

func (b *builder) transpose(x val, order ...int) val {
	dims := make([]int, len(order))
	for i, from := range order {
		dims[i] = x.dims[from]
	}
	return b.line(x.typ, dims, "stablehlo.transpose %s, dims = %s : (%s) -> %s", x.name, list(order), x.tensor(), tensorType(x.typ, dims))
}

// spread repeats x over a larger shape: dimension i of x becomes dimension along[i] of the result.
func (b *builder) spread(x val, dims []int, along ...int) val {
	return b.line(x.typ, slices.Clone(dims), "stablehlo.broadcast_in_dim %s, dims = %s : (%s) -> %s", x.name, list(along), x.tensor(), tensorType(x.typ, dims))
}

// iota counts along a dimension.
func (b *builder) iota(t pjrt.Type, dim int, dims ...int) val {
	return b.line(t, slices.Clone(dims), "stablehlo.iota dim = %d : %s", dim, tensorType(t, dims))
}

// slice takes elements from[i] to to[i] of each dimension.
func (b *builder) slice(x val, from, to []int) val {
	dims, whole := make([]int, len(from)), true
	parts := make([]string, len(from))
	for i := range from {
		dims[i] = to[i] - from[i]
		whole = whole && dims[i] == x.dims[i]
		parts[i] = fmt.Sprintf("%d:%d", from[i], to[i])
	}
	if whole {
		return x
	}
	return b.line(x.typ, dims, "stablehlo.slice %s [%s] : (%s) -> %s", x.name, strings.Join(parts, ", "), x.tensor(), tensorType(x.typ, dims))
}

// pad puts value before and after each dimension.
func (b *builder) pad(x, value val, before, after []int) val {
	dims, inner, whole := slices.Clone(x.dims), make([]int, len(before)), true
	for i := range dims {
		dims[i] += before[i] + after[i]
		whole = whole && before[i] == 0 && after[i] == 0
	}
	if whole {
		return x
	}
	return b.line(x.typ, dims, "stablehlo.pad %s, %s, low = %s, high = %s, interior = %s : (%s, %s) -> %s", x.name, value.name, list(before), list(after), list(inner), x.tensor(), value.tensor(), tensorType(x.typ, dims))
}

// concatenate puts values behind each other along a dimension.
func (b *builder) concatenate(dim int, xs ...val) val {
	if len(xs) == 1 {
		return xs[0]
	}
	dims := slices.Clone(xs[0].dims)
	names, types := make([]string, len(xs)), make([]string, len(xs))
	dims[dim] = 0
	for i, x := range xs {
		dims[dim] += x.dims[dim]
		names[i], types[i] = x.name, x.tensor()
	}
	return b.line(xs[0].typ, dims, "stablehlo.concatenate %s, dim = %d : (%s) -> %s", strings.Join(names, ", "), dim, strings.Join(types, ", "), tensorType(xs[0].typ, dims))
}

// reduce folds dimensions by add, maximum, minimum, or, and, which begin with init.
func (b *builder) reduce(op string, x, init val, over ...int) val {
	dims := []int{}
	for i, n := range x.dims {
		if !slices.Contains(over, i) {
			dims = append(dims, n)
		}
	}
	return b.line(x.typ, dims, "stablehlo.reduce(%s init: %s) applies stablehlo.%s across dimensions = %s : (%s, %s) -> %s", x.name, init.name, op, list(over), x.tensor(), init.tensor(), tensorType(x.typ, dims))
}

// sum and largest fold dimensions of float32.
func (b *builder) sum(x val, over ...int) val { return b.reduce("add", x, b.number(0), over...) }
func (b *builder) largest(x val, over ...int) val {
	return b.reduce("maximum", x, b.number(math.Inf(-1)), over...)
}

// product contracts dimension cx of x with cy of y; the first batch dimensions of both are those of as many products. The result is
// the batch, what remains of x, what remains of y; float32, of factors with the device's precision.
func (b *builder) product(x, y val, batch, cx, cy int) val {
	dims, both := []int{}, []int{}
	for i := range batch {
		dims, both = append(dims, x.dims[i]), append(both, i)
	}
	for i := batch; i < len(x.dims); i++ {
		if i != cx {
			dims = append(dims, x.dims[i])
		}
	}
	for i := batch; i < len(y.dims); i++ {
		if i != cy {
			dims = append(dims, y.dims[i])
		}
	}
	if x.dims[cx] != y.dims[cy] {
		panic(fmt.Sprintf("xla: product of %s and %s over %d and %d", x.tensor(), y.tensor(), cx, cy))
	}
	accuracy, x, y := b.factors(x, y)
	batching := ""
	if batch > 0 {
		batching = fmt.Sprintf("batching_dims = %s x %s, ", list(both), list(both))
	}
	return b.line(f32, dims, "stablehlo.dot_general %s, %s, %scontracting_dims = [%d] x [%d], precision = [%s, %s] : (%s, %s) -> %s",
		x.name, y.name, batching, cx, cy, accuracy, accuracy, x.tensor(), y.tensor(), tensorType(f32, dims))
}

// factors are those of a product as the device's precision has them.
func (b *builder) factors(x, y val) (accuracy string, rx, ry val) {
	accuracy = "DEFAULT"
	if b.precision == Float32 {
		accuracy = "HIGHEST"
	}
	return accuracy, b.factor(x), b.factor(y)
}

// factor is what products make of x, and all that needs to be kept for them.
func (b *builder) factor(x val) val {
	if b.precision == BFloat16 {
		return b.convert(x, pjrt.BF16)
	}
	return x
}

// take returns, for each of n indices (i32), that row of x, which is rows x cols: n x cols. Indices are in range.
func (b *builder) take(x, indices val) val {
	n, cols := indices.dims[0], x.dims[1]
	return b.line(x.typ, []int{n, cols}, "\"stablehlo.gather\"(%s, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, %d>}> : (%s, %s) -> %s",
		x.name, indices.name, cols, x.tensor(), indices.tensor(), tensorType(x.typ, []int{n, cols}))
}

// setRows overwrites row indices[i] of x with row i of y. No index may be there twice; rows whose index lies behind x are left out.
func (b *builder) setRows(x, indices, y val) val {
	scalar := tensorType(x.typ, nil)
	return b.line(x.typ, x.dims, "\"stablehlo.scatter\"(%s, %s, %s) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = true}> ({\n    ^bb0(%%l: %s, %%r: %s):\n      stablehlo.return %%r : %s\n    }) : (%s, %s, %s) -> %s",
		x.name, indices.name, y.name, scalar, scalar, scalar, x.tensor(), indices.tensor(), y.tensor(), x.tensor())
}

// column repeats a vector of n elements down the columns of n x cols; row a vector of cols elements along the rows of rows x cols.
func (b *builder) column(v val, cols int) val {
	n := v.dims[0]
	return b.spread(b.reshape(v, n), []int{n, cols}, 0)
}

func (b *builder) row(v val, rows int) val {
	cols := v.dims[len(v.dims)-1]
	return b.spread(b.reshape(v, cols), []int{rows, cols}, 1)
}

// fill repeats a scalar.
func (b *builder) fill(scalar val, dims ...int) val {
	return b.spread(b.reshape(scalar), dims)
}

// below says which indices along a dimension are less than a scalar i32.
func (b *builder) below(count val, dim int, dims ...int) val {
	return b.compare("LT", b.iota(pjrt.I32, dim, dims...), b.fill(count, dims...))
}

// keep sets the rows of x that lie at count (scalar i32) and behind to zero.
func (b *builder) keep(x, count val) val {
	return b.choose(b.below(count, 0, x.dims...), x, b.like(x, 0))
}

// fit cuts rows of x off, or adds rows of zeros.
func (b *builder) fit(x val, rows int) val {
	if rows <= x.dims[0] {
		from, to := make([]int, len(x.dims)), slices.Clone(x.dims)
		to[0] = rows
		return b.slice(x, from, to)
	}
	before, after := make([]int, len(x.dims)), make([]int, len(x.dims))
	after[0] = rows - x.dims[0]
	zero := "0"
	if x.typ == f32 || x.typ == pjrt.F64 {
		zero = "0.0"
	}
	return b.pad(x, b.constant(x.typ, zero), before, after)
}

// cut is n rows of x from row first on, a scalar i32; replace is x with y for its rows from there on. The rows are there.
func (b *builder) cut(x, first val, n int) val {
	dims := slices.Clone(x.dims)
	dims[0] = n
	at, types := b.origin(x, first)
	return b.line(x.typ, dims, "stablehlo.dynamic_slice %s, %s, sizes = %s : (%s, %s) -> %s", x.name, at, list(dims), x.tensor(), types, tensorType(x.typ, dims))
}

func (b *builder) replace(x, y, first val) val {
	at, types := b.origin(x, first)
	return b.line(x.typ, x.dims, "stablehlo.dynamic_update_slice %s, %s, %s : (%s, %s, %s) -> %s", x.name, y.name, at, x.tensor(), y.tensor(), types, x.tensor())
}

// origin writes the place of the first element of a row: names and types.
func (b *builder) origin(x, row val) (names, types string) {
	names, types = row.name, row.tensor()
	for range x.dims[1:] {
		zero := b.integer(row.typ, 0)
		names, types = names+", "+zero.name, types+", "+zero.tensor()
	}
	return names, types
}

// loop calls body n times, with the number of the turn (scalar i32) and values, which are what it returned before. The body uses no values
// from outside of it.
func (b *builder) loop(n int, values []val, body func(i val, values []val) []val) []val {
	all := append([]val{b.integer(pjrt.I32, 0)}, values...)
	inside, results := make([]val, len(all)), make([]val, len(all))
	var heads, types []string
	b.n++
	id := b.n
	for i, v := range all {
		inside[i] = val{fmt.Sprintf("%%w%d_%d", id, i), v.typ, v.dims}
		results[i] = val{fmt.Sprintf("%%v%d#%d", id, i), v.typ, v.dims}
		heads, types = append(heads, inside[i].name+" = "+v.name), append(types, v.tensor())
	}
	outside := b.constants
	region := func(write func() []val) {
		b.constants = map[string]val{} // those of a region are of no use behind it
		names, types := []string{}, []string{}
		for _, v := range write() {
			names, types = append(names, v.name), append(types, v.tensor())
		}
		fmt.Fprintf(&b.text, "    stablehlo.return %s : %s\n", strings.Join(names, ", "), strings.Join(types, ", "))
	}
	fmt.Fprintf(&b.text, "    %%v%d:%d = stablehlo.while(%s) : %s\n    cond {\n", id, len(all), strings.Join(heads, ", "), strings.Join(types, ", "))
	region(func() []val { return []val{b.compare("LT", inside[0], b.integer(pjrt.I32, int64(n)))} })
	b.text.WriteString("    } do {\n")
	region(func() []val {
		next := body(inside[0], inside[1:])
		return append([]val{b.add(inside[0], b.integer(pjrt.I32, 1))}, next...)
	})
	b.text.WriteString("    }\n")
	b.constants = outside
	return results[1:]
}

// integers and numbers are vectors of the program.
func (b *builder) integers(x []int) val { return b.constant(pjrt.I32, list(x), len(x)) }

func (b *builder) numbers(x []float32) val {
	literals := make([]string, len(x))
	for i, v := range x {
		literals[i] = fmt.Sprintf("%.9e", v)
	}
	return b.constant(f32, "["+strings.Join(literals, ", ")+"]", len(x))
}

func list(numbers []int) string {
	parts := make([]string, len(numbers))
	for i, n := range numbers {
		parts[i] = strconv.Itoa(n)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// after is x, once y is there: what is made of it is not what was made of x before.
func (b *builder) after(x, y val) val {
	b.n++
	v := val{"%v" + strconv.Itoa(b.n) + "#0", x.typ, x.dims}
	fmt.Fprintf(&b.text, "    %%v%d:2 = stablehlo.optimization_barrier %s, %s : %s, %s\n", b.n, x.name, y.name, x.tensor(), y.tensor())
	return v
}

// barrier is x, computed once: what comes after it is not computed together with what comes before.
func (b *builder) barrier(x val) val {
	return b.line(x.typ, x.dims, "stablehlo.optimization_barrier %s : %s", x.name, x.tensor())
}
