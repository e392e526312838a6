"""Random well-typed kernels in .hk: statements and phases over expressions.py.

They keep the rules of the language (each element of an output is written once, nothing depends on the size of a free
tile, atomic updates only where the order does not show), so nearly all pass the checks."""
import re

from expressions import FUNCTIONS, INTS, STORED, Axis, Expressions

REDUCE = {"+=": "sum", "-=": "sum", "max=": "max", "min=": "min", "^=": "sum", "*=": "prod", "&=": "sum", "|=": "sum"}
TUPLES = (  # function, dtypes of its states, neutral values, operands from an expression and an axis
    ("better", "{t} i64", "least({t}), -1", "{x}, {a}"),
    ("compose", "{i} {i}", "{i}(1), {i}(0)", "{x}, {y}"),
    ("product", "{i} {i} {i} {i}", "{i}(1), {i}(0), {i}(0), {i}(1)", "{x}, {y}, {i}(1), {x}"),
    ("extent", "{i} {i} {i}", "{i}(0), largest({i}), least({i})", "{x}, {x}, {y}"),
    ("since", "{t} i64", "{t}(0), i64(0)", "{x}, i64({y} > 1 ? 1 : 0)"),
    ("first_of", "i64 {t}", "i64(0), {t}(0)", "i64({y} > 1 ? 1 : 0), {y} > 1 ? {x} : {t}(0)"),
)


class Program(Expressions):
    def __init__(self, seed):
        super().__init__(seed)
        self.outputs = []  # (name, text, dims)
        self.buffers = []

    # ---- small things

    def lanes(self):
        return {a.name for a in self.scope if not a.scalar}

    def names_of(self, axes):
        """The lanes that values over these axes have."""
        return {a.name for a in axes if not a.scalar} | set().union(*[a.needs for a in axes], set())

    def open(self, text):
        self.emit(text + " {")
        self.indent += 1

    def close(self, indent, keep_scope=False):
        while self.indent > indent:
            self.indent -= 1
            self.emit("}")
        if not keep_scope:
            self.scope, self.pool = [], []
            self.tensors = [t for t in self.tensors if not t[3] and t[0][0] != "w"]

    def stored_dtype(self, dtype):
        return self.r.choice(STORED[dtype])

    def output(self, dtype, dims, initial=None, word=""):
        name = self.name("y")
        start = f" = {initial}" if initial is not None else ""
        shape = f"[{', '.join(dims)}]" if dims else ""
        self.outputs.append((name, f"{word}{name}: {dtype}{shape}{start}", dims))
        return name

    def update(self, dtype):
        return self.r.choice(("+=", "+=", "max=", "min=") if dtype[0] == "f" else
                             ("+=", "-=", "max=", "min=", "^=", "+="))

    # ---- statements that name values

    def let(self):
        x = self.r.random()
        if self.reducible(self.lanes()) and x < 0.35:
            return self.let_topk() if x < 0.15 else self.let_tuple()
        if x < 0.42:
            return self.view()
        dtype = self.dtype()
        text, used = self.expr(dtype, self.lanes(), self.r.randint(1, 3))
        name = self.name("v")
        self.emit(f"let {name} = {text};")
        if not re.fullmatch(r"[-\d.]+|\w+", text):
            self.pool.append((name, dtype, frozenset(used)))

    def let_topk(self):
        whole = self.reducible(self.lanes())
        dtype = self.dtype()
        a = self.r.choice(whole) if whole else None
        value = a and self.operand(a, dtype, self.lanes(), 1)
        if not value:
            return
        count = str(self.r.choice((1, 2, 3, 5)))
        self.dims[count] = int(count)
        j, v, i = Axis(self.name("j"), count, whole=True), self.name("v"), self.name("v")
        self.emit(f"axis {j.name} in {count};")
        self.emit(f"let ({v}, {i}) = topk[{a.name}, {j.name}]({value[0]});")
        self.scope.append(j)
        axes = frozenset(value[1] - {a.name} | {j.name})
        self.pool += [(v, dtype, axes), (i, "i64", axes)]

    def let_tuple(self):
        """Reductions and scans by a function of several states."""
        whole = self.reducible(self.lanes())
        function, types, neutral, operands = self.r.choice(TUPLES)
        t, i = self.dtype(), self.r.choice(INTS)
        a = self.r.choice(whole) if whole else None
        main = t if "{t}" in types else i
        x = a and self.operand(a, main, self.lanes(), 1)
        y = x and self.operand(a, main, self.lanes(), 0)
        if not y:
            return
        fill = {"t": t, "i": i, "x": f"({x[0]})", "y": f"({y[0]})", "a": a.name}
        used, names = x[1] | y[1], [self.name("v") for _ in types.split()]
        kind, flags, first = "reduce", "", f", {neutral.format(**fill)}"
        if self.chance(0.4) and not a.by:
            kind, flags = "scan", self.r.choice(("", ", reverse", ", exclusive"))
            first = first if flags == ", exclusive" else ""
        else:
            used = used - {a.name}
        self.emit(f"let ({', '.join(names)}) = {kind}[{a.name}{flags}]({self.function(function)}{first})"
                  f"({operands.format(**fill)});")
        for name, dtype in zip(names, types.format(**fill).split()):
            self.pool.append((name, dtype, frozenset(used)))

    def view(self):
        """A row of an input."""
        whole = [t for t in self.tensors if len(t[2]) >= 2 and t[0][0] == "x" and not isinstance(t[2][0], tuple)]
        if not whole:
            return
        name, dtype, dims, _ = self.r.choice(whole)
        used = set()
        at = self.index(dims[0], self.lanes(), used)
        if at:
            view = self.name("w")
            self.emit(f"let {view} = {name}[{at}];")
            self.tensors.append((view, dtype, dims[1:], frozenset(used)))

    def twin(self):
        """Another name for a whole axis or a tile with `by`."""
        named = [a for a in self.scope if (a.whole or a.by) and not a.scalar and not a.needs]
        if named:
            a = self.r.choice(named)
            axis = Axis(self.name("j"), a.dim, True, a.needs, prefix=a.prefix or a.by, family=a.family, of_tile=a.by)
            self.emit(f"axis {axis.name} = {a.name};")
            self.scope.append(axis)

    def whole_axes(self):
        for _ in range(self.r.choice((0, 1, 1, 1, 2))):
            axis = Axis(self.name("n"), self.dim(), whole=True)
            where = axis.dim
            tied = [a for a in self.scope if a.dim == axis.dim and not a.scalar and not a.prefix and not a.by]
            if tied and self.chance(0.2):
                a = self.r.choice(tied)
                where = self.r.choice((f"0 .. {a.name} + 1", f"{a.name} .. {axis.dim}"))
                axis.needs, axis.prefix, axis.family = frozenset({a.name} | a.needs), True, axis.name
            self.emit(f"axis {axis.name} in {where};")
            self.scope.append(axis)
        if self.chance(0.3):
            self.twin()

    # ---- stores

    def store(self, grid, more=True):
        """All grid axes and some whole ones, in any order: each element once."""
        dtype = self.dtype()
        axes = list(grid)
        if more:
            axes += [a for a in self.scope if a.whole and a not in grid and not a.needs and
                     not a.of_tile and self.chance(0.6)]
        axes = axes[:max(4, len(grid))]
        self.r.shuffle(axes)
        allowed = self.names_of(axes)
        text, _ = self.expr(dtype, allowed, self.r.randint(1, 3))
        partial = any(a.prefix for a in axes)
        dims, index = [a.dim for a in axes], [a.name for a in axes]
        if not partial and len(axes) >= 2 and self.chance(0.06):
            dims[-2:], index[-2:] = [f"({dims[-2]}, {dims[-1]})"], [f"({index[-2]}, {index[-1]})"]
        elif not partial and self.chance(0.08) and dims[0] in "ABC":  # a scatter
            p = self.permutation(dims[0])
            index[0] = f"{p}[{index[0]}]"
        start = "0" if partial or self.chance(0.1) else None
        name = self.output(self.stored_dtype(dtype), dims, start, "partial " if start and self.chance(0.1) else "")
        target = f"{name}[{', '.join(index)}]"
        self.emit(f"{target} = {text};")
        if self.chance(0.2) and "[" not in target[len(name) + 1:]:
            c, used = self.condition(allowed, 1)
            op = self.r.choice(("=", "+=", "max="))
            value, _ = self.expr(dtype, allowed, 1)
            self.emit(f"if {c} {{ {target} {op} {value}; }}")

    def permutation(self, dim):
        name = self.name("p")
        self.inputs.append(f"{name}: {self.r.choice(('i64', 'i32'))}[{dim}] permutation {dim}")
        return name

    def update_in_place(self, grid):
        """An argument that is read and written."""
        dtype = self.r.choice(INTS)
        name = self.name("z")
        self.inputs.append(f"inout {name}: {self.stored_dtype(dtype)}[{', '.join(a.dim for a in grid)}]")
        target = f"{name}[{', '.join(a.name for a in grid)}]"
        text, _ = self.expr(dtype, self.names_of(grid), 2)
        self.emit(f"{target} = {self.r.choice((1, 2, 3, -1))} * {target} + {text};")

    # ---- variables, and the loops that carry them

    def variable(self, grid):
        dtype = self.dtype()
        axes = [a for a in self.scope if not a.scalar and (a in grid or (self.chance(0.4) and not a.by))]
        axes = axes[:max(3, len(grid))]
        names = self.names_of(axes)
        start, _ = self.expr(dtype, names, 1)
        name = self.name("s")
        shape = f"[{', '.join(sorted(names))}]" if names else ""
        self.emit(f"var {name}: {dtype}{shape} = {start};")
        kind = self.r.random()
        if kind < 0.45:
            self.tile_loop(name, dtype, names, grid)
        elif kind < 0.65:
            self.for_loop(name, dtype, names, axes)
        elif kind < 0.8:
            c, _ = self.condition(names, 1)
            value, _ = self.expr(dtype, names, 2)
            self.emit(f"if {c} {{ {name} = {value}; }} else {{ {name} {self.r.choice(('+=', 'max=', '-='))} "
                      f"{self.literal(dtype)}; }}")
        elif dtype in INTS:
            self.while_loop(name, dtype, names)
        self.pool.append((name, dtype, frozenset(names)))

    def while_loop(self, name, dtype, names):
        count = self.name("c")
        shape = f"[{', '.join(sorted(names))}]" if names else ""
        self.emit(f"var {count}: i64{shape} = 0;")
        c, _ = self.condition(names, 0)
        self.open(f"while {count} < {self.r.randint(1, 5)} && ({c} || {name} % 3 != 1) bound 6")
        text = self.literal(dtype)
        if self.chance(0.5):
            self.pool.append((count, "i64", frozenset(names)))
            text, _ = self.expr(dtype, names, 1)
            self.pool.pop()
        self.emit(f"{name} = {name} * 3 + {text};")
        self.emit(f"{count} += 1;")
        self.close(self.indent - 1, True)

    def loop_range(self, axis, names):
        """A range of a tile loop over the axis's dimension, and whether it runs backwards."""
        dim, where = axis.dim, axis.dim
        tied = [a for a in self.scope if a.dim == dim and a.name in names and not a.scalar and not a.prefix and not a.by]
        if tied and self.chance(0.4):
            a = self.r.choice(tied)
            where, axis.needs = f"0 .. {a.name} + 1", frozenset({a.name} | a.needs)
            axis.prefix, axis.family = True, axis.name
        elif self.chance(0.2):
            where = f"{self.r.choice(('0', '1', dim + ' / 2', f'min({self.scalar()}, {dim})'))} .. {dim}"
            axis.prefix, axis.family = True, axis.name
        if self.chance(0.25):
            where += f" by {self.r.choice((1, 2, 3, 5, 8))}"
            axis.by, axis.family = True, axis.name
        reverse = self.chance(0.2)
        return where + (" reverse" if reverse else ""), reverse

    def tile_loop(self, name, dtype, names, grid):
        axis = Axis(self.name("t"), self.dim())
        where, reverse = self.loop_range(axis, names)
        before = self.indent, list(self.scope), len(self.pool), [t for t in self.tensors if t[0][0] == "w"]
        self.open(f"tile {axis.name} in {where}")
        whole = True
        if self.chance(0.12) and not axis.needs:  # a tile of the tile
            inner, whole = Axis(self.name("t"), axis.dim, prefix=True), False
            self.open(f"tile {inner.name} in {axis.name}")
            axis = inner
        self.scope.append(axis)
        if axis.by and self.chance(0.4):
            self.twin()
        if self.chance(0.3):
            self.let()
        if whole and self.chance(0.3):
            self.carried_scan(axis, names, grid, reverse)
        op = self.update(dtype).replace("^=", "+=")
        text, used = self.expr(dtype, names | {axis.name} | axis.needs, 2)
        body = f"{name} {op} {REDUCE[op]}[{axis.name}]({text});"
        if self.chance(0.25):
            c, _ = self.condition(names, 1)
            body = f"if {c} {{ {body} }}"
        if not self.blocked(axis, used):
            self.emit(body)
        self.leave(before)

    def leave(self, before):
        """Back to the scope, values and views that there were."""
        indent, self.scope, count, views = before
        self.close(indent, True)
        del self.pool[count:]
        self.tensors = [t for t in self.tensors if t[0][0] != "w" or t in views]

    def carried_scan(self, axis, names, grid, reverse):
        """A scan that goes on from tile to tile, and is stored."""
        dtype = self.r.choice(INTS)
        allowed = names | {axis.name} | axis.needs
        text, used = self.expr(dtype, allowed, 1)
        if axis.name not in used or self.blocked(axis, used):
            return
        flag = (", reverse" if reverse else "") + (", exclusive" if self.chance(0.3) else "")
        value = self.name("v")
        self.emit(f"let {value} = cumsum[{axis.name}{flag}]({text});")
        self.pool.append((value, dtype, frozenset(used | axis.needs)))
        if used | axis.needs <= self.names_of(grid) | {axis.name}:
            name = self.output(self.stored_dtype(dtype), [a.dim for a in grid] + [axis.dim], "0")
            self.emit(f"{name}[{', '.join([a.name for a in grid] + [axis.name])}] = {value};")

    def for_loop(self, name, dtype, names, axes):
        dim = self.dim()
        axis = Axis(self.name("i"), dim, scalar=True)
        before = self.indent, list(self.scope), len(self.pool), [t for t in self.tensors if t[0][0] == "w"]
        self.open(f"for {axis.name} in {self.r.choice((dim, f'0 .. {dim}', f'{dim} reverse', f'0 .. {dim} by 2'))}")
        self.scope.append(axis)
        if self.chance(0.3):
            self.let()
        text, used = self.expr(dtype, set(names), 2)
        slices = [a for a in axes if a.whole and a.dim == dim and not (a.needs or a.by or a.prefix)]
        if slices and self.chance(0.5):
            text, used = self.expr(dtype, names - {slices[0].name}, 2)
            self.emit(f"{name}[{slices[0].name} = {axis.name}] = {text};")
        elif dtype[0] == "f":
            self.emit(f"{name} = {self.r.choice(('max', 'min'))}({name}, {text});")
        else:
            self.emit(f"{name} = {name} * {self.r.choice((1, 3, -1))} + {text};")
        self.leave(before)

    # ---- phases

    def open_grid(self):
        dims = self.r.sample("ABC", self.r.choice((1, 1, 2, 2, 3)))
        binds, grid, inner = [], [], []
        for dim in dims:
            axis = Axis(self.name("m"), dim, scalar=self.chance(0.15))
            by = 0
            if not axis.scalar and self.chance(0.25):
                by = self.r.choice((1, 2, 4, 7))
                axis.by = axis.whole = True
                axis.family = axis.name
            if not axis.scalar and self.chance(0.08):  # tiles of tiles
                outer, axis.by, axis.whole, axis.family = self.name("g"), False, False, axis.name
                inner.append(("tile", f"{axis.name} in {outer}"))
                binds.append(("tile", f"{outer} in {dim}{f' by {by}' if by else ''}"))
            else:
                binds.append(("for" if axis.scalar else "tile", f"{axis.name} in {dim}{f' by {by}' if by else ''}"))
            grid.append(axis)
        text, last = "", ""
        for word, bind in binds + inner:
            if word == last == "tile" and self.chance(0.5) and (word, bind) not in inner:
                text += f", {bind}"
                continue
            if text:
                self.open(text)
            text, last = f"{word} {bind}", word
        self.open(text)
        self.scope = list(grid)
        return grid

    def map_phase(self):
        indent = self.indent
        grid = self.open_grid()
        self.whole_axes()
        for _ in range(self.r.randint(0, 2)):
            self.let()
        for _ in range(self.r.choice((0, 1, 1, 2))):
            self.variable(grid)
        for _ in range(self.r.choice((1, 1, 2))):
            self.store(grid)
        if self.chance(0.12):
            self.update_in_place(grid)
        self.close(indent)

    def fold_phase(self):
        indent = self.indent
        grid = self.open_grid()
        self.whole_axes()
        if self.chance(0.5):
            self.let()
        dtype = self.dtype()
        kept = [a for a in grid if self.chance(0.5)]
        lanes = [a for a in grid if not a.scalar]
        text, _ = self.expr(dtype, {a.name for a in lanes}, 2)
        op = self.update(dtype).replace("-=", "+=")
        if dtype in INTS and self.chance(0.2):
            op = self.r.choice(("*=", "&=", "|="))
        gone = [a.name for a in lanes if a not in kept]
        self.fold(dtype, kept, gone, op, text)
        self.close(indent)

    def fold(self, dtype, kept, gone, op, text):
        if op in ("^=", "&=", "|=") and gone:
            op = "+="
        if gone:
            text = f"{REDUCE[op]}[{', '.join(gone)}]({text})"
        start = {"+=": "0", "max=": "-9", "min=": "9", "^=": "5", "*=": "3", "&=": "-1", "|=": "4"}[op]
        dims = [a.dim for a in kept]
        if self.outputs and dtype in INTS and self.chance(0.2):  # goes on from what it holds
            name = self.name("z")
            self.inputs.append(f"inout {name}: {self.stored_dtype(dtype)}[{', '.join(dims)}]")
        else:
            name = self.output(dtype, dims, start)
        at = f"[{', '.join(a.name for a in kept)}]" if kept else ""
        self.emit(f"fold {name}{at} {op} {text};")

    def atomic_phase(self):
        indent = self.indent
        grid = self.open_grid()
        lanes = [a for a in grid if not a.scalar]
        into = self.dim()
        if len(lanes) < len(grid) or not lanes or self.dims[into] == 0:
            self.let()
            self.store(grid)
            return self.close(indent)
        dtype = self.r.choice(("i32", "i64", "i64", "f32", "f64"))
        names = {a.name for a in lanes}
        text, _ = self.expr(dtype, names, 2)
        by = self.r.choice(lanes)
        op = self.update(dtype)
        name = self.output(self.stored_dtype(dtype) if dtype in INTS else dtype, [into], "1")
        # Each axis takes part, else the number of tiles would show.
        spread = " + ".join(f"{a.name} - {a.name}" for a in lanes)
        value = f"{text} + {dtype}({spread})"
        update = f"atomic {name}[{self.index_tensor(by.dim, into)}[{by.name}]] {op} {value};"
        if self.chance(0.3):
            c, _ = self.condition(names, 1)
            update = f"if {c} {{ {update} }}"
        self.emit(update)
        return self.close(indent)

    def ticket_phase(self):
        """What old values say whatever the order: of n updates by 1 their sum, and that each place is taken once."""
        dim, into = self.r.sample("ABC", 2)
        if self.dims[into] == 0 or self.dims[dim] == 0:
            return self.map_phase()
        count, total, place = self.name("b"), self.name("b"), self.name("b")
        for name, size in ((count, into), (total, into), (place, f"{dim} + 1")):
            self.buffers.append(f"buf {name}: {self.r.choice(('i64', 'i32'))}[{size}] = 0;")
        m, k, old = self.name("m"), self.name("n"), self.name("v")
        bin_ = f"{self.index_tensor(dim, into)}[{m}]"
        self.open(f"tile {m} in {dim}")
        self.scope = [Axis(m, dim)]
        c, _ = self.condition({m}, 1)
        guarded = self.chance(0.5)
        if guarded:
            self.open(f"if {c}")
        self.emit(f"let {old} = atomic {count}[{bin_}] += 1;")
        self.emit(f"atomic {total}[{bin_}] += {old};")
        self.emit(f"atomic {place}[{old}] += 1;")
        self.close(1)
        self.open(f"tile {k} in {into}")
        self.emit(f"assert(2 * {total}[{k}] == {count}[{k}] * ({count}[{k}] - 1), \"old values\");")
        self.close(1)
        self.open(f"tile {k} in {dim}")
        self.emit(f"assert({place}[{k}] >= {place}[{k} + 1] && {place}[{k}] <= {into}, \"places\");")
        self.close(1)
        name = self.output("i64", [into])
        self.emit(f"tile {k} in {into} {{ {name}[{k}] = {count}[{k}]; }}")
        return None

    def jagged_phase(self):
        indent = self.indent
        rows, length = self.r.sample("ABC", 2)
        if self.dims[rows] == 0:  # no rows cannot hold anything
            rows, length = length, rows
        off, b, j = self.offsets(rows, length), self.name("m"), self.name("j")
        by = self.r.choice((2, 3, 7)) if self.chance(0.25) else 0
        self.open(f"{'for' if by else 'tile'} {b} in {rows}")  # where tiles begin is for all lanes of a row
        row = Axis(b, rows, scalar=by > 0)
        axis = Axis(j, length, needs=() if by else {b}, prefix=True, by=by > 0)
        self.scope = [row]
        dtype = self.dtype()
        total = self.name("s")
        lanes = self.names_of([row])
        self.emit(f"var {total}: {dtype}{f'[{b}]' if lanes else ''} = {self.literal(dtype)};")
        self.open(f"tile {j} in {off}[{b}] .. {off}[{b} + 1]{f' by {by}' if by else ''}")
        self.scope.append(axis)
        if self.chance(0.25):
            self.carried_scan(axis, lanes, [row], False)
        text, used = self.expr(dtype, lanes | {j}, 2)
        op = self.update(dtype).replace("^=", "+=")
        self.emit(f"{total} {op} {REDUCE[op]}[{j}]({text});")
        if self.chance(0.6):
            value, _ = self.expr(dtype, lanes | {j}, 2)
            name = self.output(self.stored_dtype(dtype), [length])
            self.emit(f"{name}[{j}] = {value};")
        self.close(self.indent - 1, True)
        self.scope, self.pool = [row], []
        if self.chance(0.4):
            axis = Axis(self.name("n"), length, True, lanes, prefix=True)
            self.emit(f"axis {axis.name} in {off}[{b}] .. {off}[{b} + 1];")
            self.scope.append(axis)
            self.let()
        self.pool.append((total, dtype, frozenset(lanes)))
        self.store([row], more=False)
        name = self.output(self.stored_dtype(dtype), [rows])
        self.emit(f"{name}[{b}] = {total};")
        self.close(indent)

    def serial_phase(self):
        """A state that turns advance: through a second tensor, so that it may read all of it."""
        dtype = self.r.choice(INTS)
        dims = [self.dim() for _ in range(self.r.choice((1, 1, 2)))]
        now, then = self.name("b"), self.name("b")
        for name in (now, then):
            self.buffers.append(f"buf {name}: {self.stored_dtype(dtype)}[{', '.join(dims)}] = {self.literal(dtype)};")
        turns = self.dim()
        step = Axis(self.name("i"), turns, scalar=True)
        self.open(f"serial for {step.name} in {self.r.choice((turns, f'0 .. min(3, {turns})', f'{turns} reverse'))}")
        outside = list(self.tensors)
        for source, target in ((now, then), (then, now)):
            indent = self.indent
            axes = [Axis(self.name("m"), d) for d in dims]
            self.open("tile " + ", ".join(f"{a.name} in {a.dim}" for a in axes))
            self.scope = [step] + axes
            self.tensors = outside + [(source, dtype, dims, frozenset())]
            self.whole_axes()
            if self.chance(0.4):
                self.let()
            text, _ = self.expr(dtype, self.names_of(axes), 2)
            at = ", ".join(a.name for a in axes)
            self.emit(f"{target}[{at}] = {source}[{at}] * {self.r.choice((1, 3, -1))} + {text};")
            self.close(indent)
            outside = [t for t in self.tensors if t[0] != source]
        self.close(1)
        axes = [Axis(self.name("m"), d) for d in dims]
        self.tensors = outside
        name = self.output(dtype, dims)
        at = ", ".join(a.name for a in axes)
        self.emit(f"tile {', '.join(f'{a.name} in {a.dim}' for a in axes)} {{ {name}[{at}] = {now}[{at}]; }}")

    # ---- the whole

    def program(self):
        phases = ((self.map_phase,) * 8 + (self.fold_phase,) * 2 + (self.atomic_phase, self.ticket_phase) +
                  (self.jagged_phase,) * 2 + (self.serial_phase,))
        for _ in range(self.r.choice((1, 1, 2, 3))):
            before = len(self.outputs)
            self.r.choice(phases)()
            for name, text, dims in self.outputs[before:]:  # later phases may read what this one wrote
                stored = re.search(r": (\w+)", text).group(1)
                arith = next(t for t, all_ in STORED.items() if stored in all_)
                plain = dims and all(d in "ABC" for d in dims) and not text.startswith("partial")
                if plain and arith in INTS and self.chance(0.5):
                    self.tensors.append((name, arith, dims, frozenset()))
        for d in "ABC":  # as a dimension of its own
            if not any(re.search(rf"[\[ ]{d}[\],]", re.sub(r"\(.*?\)", "", text)) for text in self.inputs):
                self.inputs.append(f"d{d}: u8[{d}]")
        sizes = ", ".join(f"{d} = {self.dims[d]}" for d in "ABC")
        parts = [f"// dims: {sizes}"] + [text for name, text in FUNCTIONS.items() if name in self.functions]
        parts += ["kernel fuzz("] + [f"    {text}," for text in self.inputs]
        parts[-1] = parts[-1][:-1]
        parts += ["    ) -> ("] + [f"    {text}," for _, text, _ in self.outputs]
        parts[-1] = parts[-1][:-1]
        return "\n".join(parts + ["    ) {"] + ["    " + b for b in self.buffers] + self.lines + ["}"]) + "\n"
