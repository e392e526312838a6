"""Random expressions in .hk over the axes in scope: the lower half of the generator of kernels (programs.py).

An expression is a pair: its text, and the set of axes that it varies along. Integers may do anything, for they wrap
the same everywhere; floats stay small multiples of powers of two, so that they are exact in any order."""
import random
import re

SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 19, 24, 31, 33, 40)
STORED = {"i32": ("i32", "i32", "i8", "u8", "i16", "u16", "i4", "u4"), "i64": ("i64", "i64", "u32"),
          "f32": ("f32", "f32", "bf16", "f16", "f8e4m3", "f8e5m2", "f4e2m1"), "f64": ("f64",)}
DTYPES = ("i32", "i32", "i32", "i64", "i64", "f32", "f32", "f64")
INTS = ("i32", "i64")

# What a program may call: functions that combine for reduce and scan, and others.
FUNCTIONS = {
    "better": "fn better(v, i, w, j) { let takes = w > v; return (takes ? w : v, takes ? j : i); }",
    "compose": "fn compose(a, b, c, d) = (a * c, b * c + d);",
    "product": "fn product(a, b, c, d, e, f, g, h) = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h);",
    "extent": "fn extent(s, a, b, t, c, d) = (s + t, min(a, c), max(b, d));",
    "since": "fn since(s, f, t, g) = (g > 0 ? t : s + t, max(f, g));",
    "first_of": "fn first_of(v, a, w, b) = (max(v, w), v > 0 ? a : b);",
    "later": "fn later(a, b) = b != 0 ? b : a;",
    "larger": "fn larger(a, b) = max(a, b);",
    "twist": "fn twist(x, y) = 3 * x - y;",
    "below_top": "fn below_top[n](x) { let top = max[n](x); return top - x; }",
}


class Axis:
    """An axis in scope, over dimension `dim`, or with `prefix` over a part of it. `needs` are axes along which its
    range varies. A `whole` one may be reduced and sorted: axes, and tiles whose extent is part of the meaning (`by`).
    A `scalar` one (of `for`) has no lanes. Axes of one `family` have the same range; that of a tile's twin is the tile."""

    def __init__(self, name, dim, whole=False, needs=(), scalar=False, prefix=False, by=False, family=None, of_tile=False):
        self.name, self.dim, self.whole, self.needs = name, dim, whole, frozenset(needs)
        self.scalar, self.prefix, self.by, self.of_tile = scalar, prefix, by, of_tile
        self.family = family or (name if prefix or needs or by else dim)


class Expressions:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.dims = {d: self.r.choice(SIZES) for d in "ABC"}
        if self.chance(0.06):
            self.dims[self.r.choice("ABC")] = 0
        self.inputs, self.lines, self.functions = [], [], set()
        self.gathers, self.partitions = {}, {}  # index tensors by (over, into), offsets by (rows, length)
        self.scalars = []
        self.names = 0
        self.pool = []  # values by let and var: (text, dtype, axes)
        self.tensors = []  # (name, dtype, dims, axes of a view) that may be read
        self.scope = []
        self.indent = 1

    # ---- small things

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def chance(self, p):
        return self.r.random() < p

    def emit(self, text):
        self.lines.append("    " * self.indent + text)

    def dtype(self):
        return self.r.choice(DTYPES)

    def literal(self, dtype):
        if dtype[0] == "f":
            return self.r.choice(("0.5", "2.0", "-1.0", "0.25", "3.0"))
        return str(self.r.choice((1, 2, 3, 5, 7, -1, -4))) if self.chance(0.9) else "0"

    def function(self, name):
        self.functions.add(name)
        return name

    def dim(self):
        return self.r.choice("ABC")

    # ---- tensors

    def make_input(self, dtype, rank):
        dims = [self.dim() for _ in range(rank)]
        if self.chance(0.15) and rank == 2:
            dims[1] = dims[0]
        if rank >= 2 and self.chance(0.08):  # two in one dimension
            dims[-2:] = [tuple(dims[-2:])]
        name = self.name("x")
        shape = ", ".join(d if isinstance(d, str) else f"({d[0]}, {d[1]})" for d in dims)
        self.inputs.append(f"{name}: {self.r.choice(STORED[dtype])}[{shape}]")
        self.tensors.append((name, dtype, dims, frozenset()))
        return self.tensors[-1]

    def index_tensor(self, dim, into):
        """A tensor over `dim` whose values are indices of `into`."""
        if self.dims[dim] > 0 and self.dims[into] == 0:
            self.dims[into] = 1  # there would be no index
        known = self.gathers.setdefault((dim, into), [])
        if known and self.chance(0.7):
            return self.r.choice(known)
        name = self.name("g")
        known.append(name)
        kind = self.r.choice(("i64", "i32", "i64")) if self.chance(0.9) else "u8"
        promise = f"permutation {into}" if dim == into and self.chance(0.3) else f"in 0 .. {into}"
        self.inputs.append(f"{name}: {kind}[{dim}] {promise}")
        return name

    def offsets(self, rows, length):
        """Where segments of `length` begin, one for each of `rows` and the end."""
        if (rows, length) not in self.partitions:
            name = self.partitions[rows, length] = self.name("o")
            self.inputs.append(f"{name}: {self.r.choice(('i64', 'i64', 'i32'))}[{rows} + 1] partition {length}")
        return self.partitions[rows, length]

    def scalar(self):
        if not self.scalars or self.chance(0.3):
            self.scalars.append(self.name("c"))
            self.inputs.append(f"{self.scalars[-1]}: i64")
        return self.r.choice(self.scalars)

    def axes_over(self, dim, allowed):
        return [a for a in self.scope if a.dim == dim and (a.scalar or a.name in allowed)]

    def use(self, a, used):
        if not a.scalar:
            used.add(a.name)
            used |= a.needs

    def index(self, dim, allowed, used):
        """An index into dimension `dim`; adds the axes that it uses."""
        if isinstance(dim, tuple):
            parts = [self.index(d, allowed, used) for d in dim]
            return None if None in parts else f"({parts[0]}, {parts[1]})"
        over = self.axes_over(dim, allowed)
        if over and self.chance(0.9):
            a = self.r.choice(over)
            self.use(a, used)
            form = self.r.random()
            if form < 0.8:
                return a.name
            if form < 0.9:
                return f"{dim} - 1 - {a.name}"
            return f"({a.name} + {self.r.randint(1, 3)}) % {dim}"
        others = [a for a in self.scope if not a.prefix and not a.scalar and a.name in allowed and self.dims[dim] > 0]
        if others and self.chance(0.5):
            a = self.r.choice(others)
            self.use(a, used)
            return f"{self.index_tensor(a.dim, dim)}[{a.name}]"
        return None

    def load(self, dtype, allowed, depth):
        readable = [t for t in self.tensors if t[1] == dtype and t[3] <= allowed]
        for _ in range(4):
            if not readable or self.chance(0.2):
                tensor = self.make_input(dtype, self.r.choice((1, 2, 2, 3)))
                readable.append(tensor)
            else:
                tensor = self.r.choice(readable)
            used, indices = set(tensor[3]), []
            for dim in tensor[2]:
                at = self.index(dim, allowed, used)
                if at is None:
                    break
                indices.append(at)
            else:
                return f"{tensor[0]}[{', '.join(indices)}]", used
        return self.reduction(dtype, allowed, depth) if depth > 0 else (self.literal(dtype), set())

    # ---- over an axis

    def reducible(self, allowed):
        return [a for a in self.scope if a.whole and a.name in allowed]

    def blocked(self, a, used):
        """Does the expression use axes whose range varies along a? They would have to go first."""
        return any(a.name in b.needs for b in self.scope if b.name in used)

    def own_axis(self, allowed):
        """An axis of a reduction's own, and its range."""
        a = Axis(self.name("k"), self.dim(), whole=True)
        tied = [t for t in self.scope if t.dim == a.dim and t.name in allowed and not t.scalar and not t.prefix]
        segments = [p for p in self.partitions if p[1] == a.dim and self.axes_over(p[0], allowed)]
        if segments and self.chance(0.4):
            rows, length = self.r.choice(segments)
            row = self.r.choice(self.axes_over(rows, allowed))
            off, used = self.partitions[rows, length], set()
            self.use(row, used)
            a.needs, a.prefix, a.family = frozenset(used), True, a.name
            return a, f"{off}[{row.name}] .. {off}[{row.name} + 1]"
        if tied and self.chance(0.3):
            t = self.r.choice(tied)
            a.needs, a.prefix, a.family = frozenset({t.name} | t.needs), True, a.name
            return a, self.r.choice((f"0 .. {t.name} + 1", f"{t.name} .. {a.dim}", f"max(0, {t.name} - 2) .. {t.name} + 1"))
        if self.chance(0.1):
            a.prefix, a.family = True, a.name
            return a, f"0 .. min({self.scalar()}, {a.dim})"
        return a, a.dim

    def reduction(self, dtype, allowed, depth):
        whole = self.reducible(allowed)
        kinds = ("sum", "sum", "sum", "max", "min", "first", "last") + (("prod",) if dtype in INTS else ())
        own = not whole or self.chance(0.6)
        a, where = self.own_axis(allowed) if own else (self.r.choice(whole), None)
        if own:
            self.scope.append(a)
        inside = allowed | {a.name}
        if self.chance(0.35):  # a contraction
            left, used = self.load(dtype, inside, 0)
            right, more = self.load(dtype, inside, 0)
            text, used, kind = f"{left} * {right}", used | more, self.r.choice(("sum", "sum", "sum", "dot"))
            if kind == "dot":
                kind, text = ("dot", f"{left}, {right}") if "[" in left and "[" in right else ("sum", text)
        else:
            text, used = self.expr(dtype, inside, depth - 1)
            kind = self.r.choice(kinds)
        stuck = self.blocked(a, used)
        if own:
            self.scope.pop()
        if stuck:
            return self.literal(dtype), set()
        if dtype == "i64" and kind != "dot" and self.chance(0.1):
            kind = self.r.choice(("argmax", "argmin"))
        return f"{kind}[{a.name}{f' in {where}' if own else ''}]({text})", (used | a.needs) - {a.name}

    def operand(self, a, dtype, allowed, depth):
        """What may be sorted, scanned or combined along the whole axis a: it varies along it. None if there is none."""
        text, used = self.expr(dtype, allowed, depth)
        if a.name not in used or self.blocked(a, used):
            return None
        return text, used | a.needs

    def along(self, dtype, allowed, depth):
        """Scans, sorts and reductions by functions over a whole axis; None where there is none."""
        whole = self.reducible(allowed)
        a = self.r.choice(whole) if whole else None
        value = a and self.operand(a, dtype, allowed, depth - 1)
        if not value:
            return None
        text, used = value
        form = self.r.random()
        if form < 0.3 and not a.by:
            flag = self.r.choice(("", "", ", exclusive", ", reverse", ", reverse, exclusive"))
            kind = self.r.choice(("cumsum", "cumsum", "cummax", "cummin") + (("cumprod",) if dtype in INTS else ()))
            if "exclusive" in flag and kind in ("cummax", "cummin"):
                flag = ""
            return f"{kind}[{a.name}{flag}]({text})", used
        if form < 0.5:
            return f"sort[{a.name}{self.r.choice(('', ', descending'))}]({text})", used
        if dtype == "i64" and form < 0.85:
            return f"argsort[{a.name}{self.r.choice(('', ', descending'))}]({text})", used
        if form < 0.57:
            return f"{self.function('below_top')}[{a.name}]({text})", used
        if form < 0.75 or a.by:
            return f"reduce[{a.name}]({self.combining(dtype)})({text})", used - {a.name}
        first = self.combining(dtype)
        if self.chance(0.5):
            return f"scan[{a.name}, exclusive]({first})({text})", used
        return f"scan[{a.name}{self.r.choice(('', ', reverse'))}]({first.rsplit(', ', 1)[0]})({text})", used

    def combining(self, dtype):
        """A function of one state, and behind a comma its neutral value."""
        if dtype in INTS and self.chance(0.6):
            if self.scope and self.chance(0.3):
                k = self.scalar()
                return f"fn(p, q) => p ^ q ^ {dtype}({k}), {dtype}({k})"
            return self.r.choice((f"fn(p, q) => p ^ q ^ 5, {dtype}(5)", f"fn(p, q) => p & q, {dtype}(-1)",
                                  f"fn(p, q) => p * q, {dtype}(1)", f"fn(p, q) => p | q, {dtype}(0)"))
        if self.chance(0.5):
            return f"{self.function('later')}, {dtype}(0)"
        return f"{self.function('larger')}, least({dtype})"

    def rearranged(self, dtype, allowed):
        """A value by name at other indices of one of its axes; None where there is none."""
        choices = []
        for text, kind, axes in self.pool:
            for a in self.scope:
                rest = axes - {a.name}
                fits = kind == dtype and a.name in axes and rest <= allowed and not self.blocked(a, rest)
                if fits and (a.whole or a.by) and not a.scalar and re.fullmatch(r"\w+", text):
                    choices.append((text, a, rest))
        if not choices:
            return None
        text, a, rest = self.r.choice(choices)
        same = [b for b in self.scope if b.family == a.family and b is not a and (b.scalar or b.name in allowed)]
        used = set(rest)
        if same and self.chance(0.5):
            b = self.r.choice(same)
            self.use(b, used)
            return f"{text}[{a.name} = {b.name}]", used
        if a.family != a.dim or a.dim not in "ABC":
            return None
        at = self.index(a.dim, allowed, used)
        return at and (f"{text}[{a.name} = {at}]", used)

    # ---- expressions

    def pair(self, allowed):
        """A condition on where two axes stand over one range; None where there are none."""
        over = [a for a in self.scope if a.scalar or a.name in allowed]
        pairs = [(a, b) for a in over for b in over if a is not b and a.dim == b.dim]
        if not pairs:
            return None
        a, b = self.r.choice(pairs)
        used = set()
        self.use(a, used)
        self.use(b, used)
        return f"{a.name} {self.r.choice(('<', '<=', '==', '!='))} {b.name}", used

    def condition(self, allowed, depth):
        paired = self.pair(allowed) if self.chance(0.25) else None
        if paired:
            return paired
        dtype = self.dtype()
        a, used = self.expr(dtype, allowed, depth - 1)
        b, more = self.expr(dtype, allowed, 0)
        text = f"{a} {self.r.choice(('<', '<=', '==', '!=', '>', '>='))} {b}"
        if self.chance(0.2) and depth > 0:
            c, third = self.condition(allowed, 0)
            return f"({text}) {self.r.choice(('&&', '||'))} ({c})", used | more | third
        whole = self.reducible(allowed)
        if whole and depth > 0 and self.chance(0.2):
            a = self.r.choice(whole)
            if not self.blocked(a, used | more):
                return f"{self.r.choice(('any', 'all'))}[{a.name}]({text})", (used | more | a.needs) - {a.name}
        return text, used | more

    def binary(self, dtype, allowed, depth):
        a, used = self.expr(dtype, allowed, depth - 1)
        b, more = self.expr(dtype, allowed, depth - 1)
        if dtype[0] == "f":
            op = self.r.choice(("+", "-", "+", "-", "max", "min", "fmax", "fmin"))
            if self.chance(0.15):
                b, more, op = self.literal(dtype), set(), "*"
        else:
            op = self.r.choice(("+", "-", "*", "+", "-", "&", "|", "^", "max", "min", "/", "%", "<<", ">>",
                                "cdiv", "floordiv", "mod", "twist"))
        if op == "twist":
            self.function(op)
        if op in ("max", "min", "fmax", "fmin", "twist"):
            return f"{op}({a}, {b})", used | more
        if op in ("/", "%"):
            return f"{dtype}({a}) {op} (({b} & 7) + 1)", used | more
        if op in ("cdiv", "floordiv", "mod"):
            return f"{op}({a}, ({b} & 7) + 1)", used | more
        if op in ("<<", ">>"):
            return f"(({a}) {op} {self.r.randint(0, 3)})", used
        return f"(({a}) {op} ({b}))", used | more

    def convert(self, dtype, allowed, depth):
        if self.chance(0.3):  # by way of a type of storage
            text, used = self.expr(dtype, allowed, depth - 1)
            through = self.r.choice([s for s in STORED[dtype] if s != dtype] or [dtype])
            return f"{dtype}({through}({text}))", used
        other = self.r.choice([t for t in STORED if t != dtype])
        text, used = self.expr(other, allowed, depth - 1)
        if dtype[0] == "f" and other in INTS:  # keep floats small, so that they are exact
            return f"{dtype}(({text}) % 16)", used
        return f"{dtype}({text})", used

    def unary(self, dtype, allowed, depth):
        a, used = self.expr(dtype, allowed, depth - 1)
        kinds = ("abs", "-", "sign") + (("~", "popcount", "clz", "ilog2") if dtype in INTS else
                                        ("floor", "ceil", "round", "trunc"))
        kind = self.r.choice(kinds)
        if kind in ("popcount", "clz", "ilog2"):
            return f"{dtype}({kind}({a}))", used
        return f"{kind}({a})", used

    def place(self, allowed):
        """An i64 made of indices: for random numbers, and as a value."""
        over = [a for a in self.scope if a.name in allowed or a.scalar]
        used, parts = set(), []
        for a in self.r.sample(over, min(len(over), self.r.randint(1, 2))):
            self.use(a, used)
            parts.append(f"{a.name} * {self.r.choice((1, 1, 3, 100))}")
        return " + ".join(parts) or "7", used

    def chosen(self, dtype, allowed):
        """A random number, the same on every target."""
        at, used = self.place(allowed)
        seed = self.r.choice((1, 42, 12345678901))
        if dtype[0] == "f":
            return f"{dtype}(randint({seed}, {at}, -4, 9)) * {dtype}(0.5)", used
        return self.r.choice((f"{dtype}(randint({seed}, {at}, -3, 20))", f"{dtype}(random_bits({seed}, {at}) & 15)",
                              f"{dtype}(rand({seed}, {at}) < 0.5 ? 1 : -2)")), used

    def leaf(self, dtype, allowed):
        x = self.r.random()
        if x < 0.2:
            return self.literal(dtype), set()
        if x < 0.23:
            return self.chosen(dtype, allowed)
        if x < 0.26 and dtype in INTS:
            return f"{dtype}({self.scalar()})", set()
        if x < 0.35 and dtype == "i64":
            over = [a for a in self.scope if a.name in allowed or a.scalar]
            if over:
                used = set()
                a = self.r.choice(over + [b for b in over if b.by] * 2)
                self.use(a, used)
                inside = a.by and not a.scalar and self.chance(0.6)
                return f"{a.name}{self.r.choice(('.begin', '.end', '.size', '.id')) if inside else ''}", used
        return self.load(dtype, allowed, 0)

    def expr(self, dtype, allowed, depth):
        x = self.r.random()
        reusable = [v for v in self.pool if v[1] == dtype and v[2] <= allowed]
        if reusable and x < 0.2:
            v = self.r.choice(reusable)
            return v[0], set(v[2])
        if x < 0.26 and self.pool:
            found = self.rearranged(dtype, allowed)
            if found:
                return found
        if depth <= 0:
            return self.leaf(dtype, allowed)
        if x < 0.34:
            return self.load(dtype, allowed, depth)
        if x < 0.46:
            return self.reduction(dtype, allowed, depth)
        if x < 0.54:
            c, used = self.condition(allowed, depth - 1)
            a, more = self.expr(dtype, allowed, depth - 1)
            b, third = self.expr(dtype, allowed, depth - 1)
            return f"(({c}) ? {a} : {b})", used | more | third
        if x < 0.6:
            return self.convert(dtype, allowed, depth)
        if x < 0.64:
            return self.unary(dtype, allowed, depth)
        if x < 0.78:
            found = self.along(dtype, allowed, depth)
            if found:
                return found
        return self.binary(dtype, allowed, depth)
