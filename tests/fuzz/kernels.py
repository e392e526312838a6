#!/usr/bin/python3
"""Random well-typed kernels in .hk, through tests/fuzz/kernels.c:

    kernels.py RUNNER [--seed 1] [--count 100] [--keep FOLDER]

A kernel has one to three phases over random axes (tiles free or `by`, `for`, whole axes, triangles, jagged ranges)
with reductions, contractions, scans, gathers, storage types, carried variables, conditions by lane, folds, atomic
updates and while loops. It keeps the rules of the language, so nearly all pass the checks; what the checks refuse is
counted, not a failure. Integers are most of it; floats are small multiples of powers of two, exact in any order."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 19, 24, 31, 33, 40)
STORED = {"i32": ("i32", "i32", "i8", "u8", "i16", "u16", "i4", "u4"), "i64": ("i64", "i64", "u32"),
          "f32": ("f32", "f32", "bf16", "f16", "f8e4m3", "f8e5m2", "f4e2m1")}
IDENTITY = {"i32": "0", "i64": "0", "f32": "0"}


class Axis:
    """An axis in scope: over dimension `dim`; `needs` are axes along which its range varies; `free` tiles of the
    grid or of a loop may not be reduced; a `scalar` one (of `for`) has no lanes."""

    def __init__(self, name, dim, whole=False, needs=(), scalar=False, prefix=False):
        self.name, self.dim, self.whole, self.needs = name, dim, whole, frozenset(needs)
        self.scalar, self.prefix = scalar, prefix  # prefix: only a part of the dimension


class Kernel:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.dims = {d: self.r.choice(SIZES) for d in "ABC"}
        if self.r.random() < 0.06:
            self.dims[self.r.choice("ABC")] = 0
        self.inputs, self.outputs, self.lines = [], [], []
        self.gathers = {}  # (over, into): index tensors
        self.names = 0
        self.pool = []  # values by let: (text, dtype, axes)
        self.tensors = []  # (name, arithmetic dtype, dims) that may be read
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
        return self.r.choice(("i32", "i32", "i64", "f32"))

    def literal(self, dtype):
        if dtype == "f32":
            return self.r.choice(("0.5", "2.0", "-1.0", "0.25", "3.0"))
        return str(self.r.choice((1, 2, 3, 5, 7, -1, -4))) if self.chance(0.9) else "0"

    # ---- tensors

    def make_input(self, dtype, rank):
        dims = [self.r.choice("ABC") for _ in range(rank)]
        if self.chance(0.15) and rank == 2:
            dims[1] = dims[0]
        name = self.name("x")
        self.inputs.append(f"{name}: {self.r.choice(STORED[dtype])}[{', '.join(dims)}]")
        self.tensors.append((name, dtype, dims))
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
        self.inputs.append(f"{name}: {kind}[{dim}] in 0 .. {into}")
        return name

    def axes_over(self, dim, allowed):
        return [a for a in self.scope if a.dim == dim and (a.scalar or a.name in allowed)]

    def index(self, dim, allowed, used):
        """An index into dimension `dim`; adds the axes that it uses."""
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

    def use(self, a, used):
        if not a.scalar:
            used.add(a.name)
            used |= a.needs

    # ---- expressions: text and the axes that it varies along

    def load(self, dtype, allowed, depth):
        readable = [t for t in self.tensors if t[1] == dtype]
        for _ in range(4):
            if not readable or self.chance(0.2):
                tensor = self.make_input(dtype, self.r.choice((1, 2, 2, 3)))
                readable.append(tensor)
            else:
                tensor = self.r.choice(readable)
            used, indices = set(), []
            for dim in tensor[2]:
                at = self.index(dim, allowed, used)
                if at is None:
                    break
                indices.append(at)
            else:
                return f"{tensor[0]}[{', '.join(indices)}]", used
        return self.reduction(dtype, allowed, depth) if depth > 0 else (self.literal(dtype), set())

    def reduction(self, dtype, allowed, depth):
        whole = [a for a in self.scope if a.whole and a.name in allowed]
        kinds = ("sum", "sum", "sum", "max", "min")
        if whole and self.chance(0.4):
            a = self.r.choice(whole)
            own = False
        else:
            a = Axis(self.name("k"), self.r.choice("ABC"), whole=True)
            tied = [t for t in self.scope if t.dim == a.dim and t.name in allowed and not t.scalar and not t.prefix]
            if tied and self.chance(0.3):  # a triangle
                t = self.r.choice(tied)
                a.needs, a.prefix = frozenset({t.name} | t.needs), True
                self.scope.append(a)
                text, used = self.expr(dtype, allowed | {a.name}, depth - 1)
                self.scope.pop()
                return (f"{self.r.choice(kinds)}[{a.name} in 0 .. {t.name} + 1]({text})",
                        (used | a.needs) - {a.name})
            own = True
            self.scope.append(a)
        if self.chance(0.35):  # a contraction
            left, used = self.load(dtype, allowed | {a.name}, 0)
            right, more = self.load(dtype, allowed | {a.name}, 0)
            text, used, kind = f"{left} * {right}", used | more, "sum"
        else:
            text, used = self.expr(dtype, allowed | {a.name}, depth - 1)
            kind = self.r.choice(kinds)
        if own:
            self.scope.pop()
        blocked = {b.name for b in self.scope if a.name in b.needs} & used
        if blocked:  # what varies along the reduced axis would have to go first
            return self.literal(dtype), set()
        where = f"{a.name} in {a.dim}" if own else a.name
        return f"{kind}[{where}]({text})", (used | (set() if own else a.needs)) - {a.name}

    def condition(self, allowed, depth):
        dtype = self.dtype()
        a, used = self.expr(dtype, allowed, depth - 1)
        b, more = self.expr(dtype, allowed, 0)
        text = f"{a} {self.r.choice(('<', '<=', '==', '!=', '>', '>='))} {b}"
        if self.chance(0.2) and depth > 0:
            c, third = self.condition(allowed, 0)
            return f"({text}) {self.r.choice(('&&', '||'))} ({c})", used | more | third
        return text, used | more

    def binary(self, dtype, allowed, depth):
        a, used = self.expr(dtype, allowed, depth - 1)
        b, more = self.expr(dtype, allowed, depth - 1)
        if dtype == "f32":
            op = self.r.choice(("+", "-", "+", "-", "max", "min"))
            if self.chance(0.15):
                b, more, op = self.literal(dtype), set(), "*"
        else:
            op = self.r.choice(("+", "-", "*", "+", "-", "&", "|", "^", "max", "min", "/", "%", "<<", ">>"))
        if op in ("max", "min"):
            return f"{op}({a}, {b})", used | more
        if op in ("/", "%"):
            return f"({a}) {op} (({b} & 7) + 1)", used | more
        if op in ("<<", ">>"):
            return f"(({a}) {op} {self.r.randint(0, 3)})", used
        return f"(({a}) {op} ({b}))", used | more

    def convert(self, dtype, allowed, depth):
        other = self.r.choice([t for t in ("i32", "i64", "f32") if t != dtype])
        text, used = self.expr(other, allowed, depth - 1)
        if dtype == "f32":  # keep floats small, so that they are exact
            return f"f32(({text}) % 16)", used
        return f"{dtype}({text})", used

    def expr(self, dtype, allowed, depth):
        x = self.r.random()
        reusable = [v for v in self.pool if v[1] == dtype and v[2] <= allowed]
        if reusable and x < 0.2:
            v = self.r.choice(reusable)
            return v[0], set(v[2])
        if depth <= 0:
            if x < 0.25:
                return self.literal(dtype), set()
            if x < 0.35 and dtype == "i64":
                over = [a for a in self.scope if a.name in allowed or a.scalar]
                if over:
                    used = set()
                    a = self.r.choice(over)
                    self.use(a, used)
                    return a.name, used
            return self.load(dtype, allowed, 0)
        if x < 0.35:
            return self.load(dtype, allowed, depth)
        if x < 0.5:
            return self.reduction(dtype, allowed, depth)
        if x < 0.58:
            c, used = self.condition(allowed, depth - 1)
            a, more = self.expr(dtype, allowed, depth - 1)
            b, third = self.expr(dtype, allowed, depth - 1)
            return f"(({c}) ? {a} : {b})", used | more | third
        if x < 0.66:
            return self.convert(dtype, allowed, depth)
        if x < 0.7:
            a, used = self.expr(dtype, allowed, depth - 1)
            return f"{self.r.choice(('abs', '-', 'sign'))}({a})", used
        if x < 0.74:
            scanned = [a for a in self.scope if a.whole and a.name in allowed and not a.needs]
            if scanned and dtype != "f32":
                a = self.r.choice(scanned)
                text, used = self.expr(dtype, allowed, depth - 1)
                if not any(a.name in b.needs for b in self.scope if b.name in used):
                    flag = self.r.choice(("", "", ", exclusive", ", reverse"))
                    return f"{self.r.choice(('cumsum', 'cummax'))}[{a.name}{flag}]({text})", used | {a.name}
        return self.binary(dtype, allowed, depth)

    # ---- statements

    def stored_dtype(self, dtype):
        return self.r.choice(STORED[dtype])

    def lanes(self):
        return {a.name for a in self.scope if not a.scalar}

    def let(self):
        dtype = self.dtype()
        text, used = self.expr(dtype, self.lanes(), self.r.randint(1, 3))
        name = self.name("v")
        self.emit(f"let {name} = {text};")
        if not re.fullmatch(r"[-\d.]+|\w+", text):
            self.pool.append((name, dtype, frozenset(used)))

    def output(self, dtype, dims, initial=None):
        name = self.name("y")
        start = f" = {initial}" if initial is not None else ""
        shape = f"[{', '.join(dims)}]" if dims else ""
        self.outputs.append((name, f"{name}: {dtype}{shape}{start}", dims))
        return name

    def store(self, grid):
        """All grid axes and some whole ones, in any order: each element once."""
        dtype = self.dtype()
        more = [a for a in self.scope if a.whole and not a.needs and self.chance(0.7)]
        axes = [a for a in grid] + more
        self.r.shuffle(axes)
        allowed = {a.name for a in axes if not a.scalar} | set().union(*[a.needs for a in axes], set())
        text, _ = self.expr(dtype, allowed, self.r.randint(1, 3))
        partial = any(a.prefix for a in axes)
        name = self.output(self.stored_dtype(dtype), [a.dim for a in axes], "0" if partial or self.chance(0.1) else None)
        target = f"{name}[{', '.join(a.name for a in axes)}]"
        self.emit(f"{target} = {text};")
        if self.chance(0.2):
            c, used = self.condition(allowed, 1)
            op = self.r.choice(("=", "+=", "max="))
            value, _ = self.expr(dtype, allowed, 1)
            self.emit(f"if {c} {{ {target} {op} {value}; }}")

    def variable(self, grid, depth):
        dtype = self.dtype()
        axes = [a for a in self.scope if not a.scalar and (a in grid or self.chance(0.5))]
        names = {a.name for a in axes} | set().union(*[a.needs for a in axes], set())
        start, _ = self.expr(dtype, names, 1)
        name = self.name("s")
        self.emit(f"var {name}: {dtype}[{', '.join(sorted(names))}] = {start};" if names
                  else f"var {name}: {dtype} = {start};")
        kind = self.r.random()
        if kind < 0.45:
            self.tile_loop(name, dtype, names, depth)
        elif kind < 0.65:
            self.for_loop(name, dtype, names, depth)
        elif kind < 0.8:
            c, _ = self.condition(names, 1)
            value, _ = self.expr(dtype, names, 2)
            self.emit(f"if {c} {{ {name} = {value}; }} else {{ {name} {self.r.choice(('+=', 'max=', '-='))} "
                      f"{self.literal(dtype)}; }}")
        elif dtype != "f32":
            count = self.name("c")
            axes_text = f"[{', '.join(sorted(names))}]" if names else ""
            self.emit(f"var {count}: i64{axes_text} = 0;")
            c, _ = self.condition(names, 0)
            self.emit(f"while {count} < {self.r.randint(1, 5)} && ({c} || {name} % 3 != 1) bound 6 {{")
            self.emit(f"    {name} = {name} * 3 + {self.literal(dtype)};")
            self.emit(f"    {count} += 1;")
            self.emit("}")
        self.pool.append((name, dtype, frozenset(names)))

    def update(self, dtype):
        return self.r.choice(("+=", "+=", "max=", "min=") if dtype == "f32" else ("+=", "-=", "max=", "min=", "^=", "+="))

    REDUCE = {"+=": "sum", "-=": "sum", "max=": "max", "min=": "min"}

    def tile_loop(self, name, dtype, names, depth):
        dim = self.r.choice("ABC")
        axis = Axis(self.name("t"), dim)
        where = dim
        tied = [a for a in self.scope if a.dim == dim and a.name in names and not a.scalar and not a.prefix]
        if tied and self.chance(0.4):
            a = self.r.choice(tied)
            where, axis.needs, axis.prefix = f"0 .. {a.name} + 1", frozenset({a.name} | a.needs), True
        elif self.chance(0.2):
            where, axis.prefix = f"{self.r.choice(('0', '1', dim + ' / 2'))} .. {dim}", True
        by = self.chance(0.25)
        if by:
            where += f" by {self.r.choice((1, 2, 3, 5, 8))}"
        if self.chance(0.2):
            where += " reverse"
        self.emit(f"tile {axis.name} in {where} {{")
        self.indent += 1
        self.scope.append(axis)
        count = len(self.pool)
        if self.chance(0.3):
            self.let()
        op = self.update(dtype)
        if op == "^=":
            op = "+="
        text, used = self.expr(dtype, names | {axis.name} | axis.needs, 2)
        guard = ""
        if self.chance(0.25):
            c, more = self.condition(names, 1)
            guard = f"if {c} "
        body = f"{name} {op} {self.REDUCE[op]}[{axis.name}]({text});"
        self.emit(f"{guard}{{ {body} }}" if guard else body)
        del self.pool[count:]
        self.scope.pop()
        self.indent -= 1
        self.emit("}")

    def for_loop(self, name, dtype, names, depth):
        dim = self.r.choice("ABC")
        axis = Axis(self.name("i"), dim, scalar=True)
        where = self.r.choice((dim, f"0 .. {dim}", f"{dim} reverse", f"0 .. {dim} by 2"))
        self.emit(f"for {axis.name} in {where} {{")
        self.indent += 1
        self.scope.append(axis)
        count = len(self.pool)
        if self.chance(0.3):
            self.let()
        text, _ = self.expr(dtype, set(names), 2)
        if dtype == "f32":
            self.emit(f"{name} = {self.r.choice(('max', 'min'))}({name}, {text});")
        else:
            self.emit(f"{name} = {name} * {self.r.choice((1, 3, -1))} + {text};")
        del self.pool[count:]
        self.scope.pop()
        self.indent -= 1
        self.emit("}")

    # ---- phases

    def open_grid(self):
        dims = self.r.sample("ABC", self.r.choice((1, 1, 2, 2, 3)))
        grid = []
        for dim in dims:
            axis = Axis(self.name("m"), dim, scalar=self.chance(0.15))
            by = f" by {self.r.choice((1, 2, 4, 7))}" if self.chance(0.2) and not axis.scalar else ""
            grid.append((axis, f"{axis.name} in {dim}{by}"))
        text = ""
        for k, (axis, bind) in enumerate(grid):
            word = "for" if axis.scalar else "tile"
            joined = k and not axis.scalar and not grid[k - 1][0].scalar and self.chance(0.5)
            if joined:
                text += f", {bind}"
                continue
            if text:
                self.emit(text + " {")
                self.indent += 1
            text = f"{word} {bind}"
        self.emit(text + " {")
        self.indent += 1
        self.scope = [axis for axis, _ in grid]
        return [axis for axis, _ in grid]

    def close(self, indent):
        while self.indent > indent:
            self.indent -= 1
            self.emit("}")
        self.scope, self.pool = [], []

    def whole_axes(self):
        for _ in range(self.r.choice((0, 0, 1, 1, 2))):
            dim = self.r.choice("ABC")
            axis = Axis(self.name("n"), dim, whole=True)
            self.emit(f"axis {axis.name} in {dim};")
            self.scope.append(axis)

    def map_phase(self):
        indent = self.indent
        grid = self.open_grid()
        self.whole_axes()
        for _ in range(self.r.randint(0, 2)):
            self.let()
        for _ in range(self.r.choice((0, 1, 1, 2))):
            self.variable(grid, 1)
        for _ in range(self.r.choice((1, 1, 2))):
            self.store(grid)
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
        names = {a.name for a in lanes}
        text, used = self.expr(dtype, names, 2)
        op = self.update(dtype)
        if op == "-=":
            op = "+="
        gone = [a.name for a in lanes if a not in kept]
        self.emit_combined("fold", dtype, kept, gone, op, text)
        self.close(indent)

    def emit_combined(self, word, dtype, kept, gone, op, text):
        inner = {"+=": "sum", "max=": "max", "min=": "min", "^=": "sum"}[op]
        if op == "^=" and gone:
            op = "+="
        if gone:
            text = f"{inner}[{', '.join(gone)}]({text})"
        start = {"+=": "0", "max=": "-9", "min=": "9", "^=": "5"}[op]
        name = self.output(dtype, [a.dim for a in kept], start)
        at = f"[{', '.join(a.name for a in kept)}]" if kept else ""
        self.emit(f"{word} {name}{at} {op} {text};")

    def atomic_phase(self):
        indent = self.indent
        grid = self.open_grid()
        lanes = [a for a in grid if not a.scalar]
        if len(lanes) < len(grid) or not lanes:
            self.let()
            self.store(grid)
            self.close(indent)
            return
        dtype = self.r.choice(("i32", "i64", "i64", "f32"))
        names = {a.name for a in lanes}
        text, _ = self.expr(dtype, names, 2)
        by = self.r.choice(lanes)
        into = self.r.choice("ABC")
        op = self.update(dtype)
        stored = self.r.choice(STORED[dtype]) if dtype != "f32" else "f32"
        name = self.output(stored, [into], "1")
        # Each axis takes part, else the number of tiles would show.
        spread = " + ".join(f"{a.name} - {a.name}" for a in lanes)
        value = f"{text} + {'f32' if dtype == 'f32' else dtype}({spread})"
        update = f"atomic {name}[{self.index_tensor(by.dim, into)}[{by.name}]] {op} {value};"
        if self.chance(0.3):
            c, _ = self.condition(names, 1)
            update = f"if {c} {{ {update} }}"
        if self.dims[into] > 0:
            self.emit(update)
        else:
            self.outputs.pop()
            self.store(grid)
        self.close(indent)

    def jagged_phase(self):
        indent = self.indent
        rows, length = self.r.sample("ABC", 2)
        if self.dims[rows] == 0:  # no rows cannot hold anything
            rows, length = length, rows
        off, b, j = self.name("o"), self.name("m"), self.name("j")
        self.inputs.append(f"{off}: i64[{rows} + 1] partition {length}")
        self.emit(f"tile {b} in {rows} {{")
        self.indent += 1
        row = Axis(b, rows)
        self.scope = [row]
        dtype = self.dtype()
        axis = Axis(j, length, needs={b}, prefix=False)
        total = self.name("s")
        self.emit(f"var {total}: {dtype}[{b}] = {self.literal(dtype)};")
        self.emit(f"tile {j} in {off}[{b}] .. {off}[{b} + 1] {{")
        self.indent += 1
        self.scope.append(axis)
        text, _ = self.expr(dtype, {b, j}, 2)
        op = self.r.choice(("+=", "max=", "min="))
        self.emit(f"{total} {op} {self.REDUCE[op]}[{j}]({text});")
        if self.chance(0.6):
            value, _ = self.expr(dtype, {b, j}, 2)
            name = self.output(self.stored_dtype(dtype), [length])
            self.emit(f"{name}[{j}] = {value};")
        self.indent -= 1
        self.emit("}")
        self.scope = [row]
        name = self.output(self.stored_dtype(dtype), [rows])
        self.emit(f"{name}[{b}] = {total};")
        self.close(indent)

    def program(self):
        phases = (self.map_phase,) * 6 + (self.fold_phase,) * 2 + (self.atomic_phase,) + (self.jagged_phase,) * 2
        for _ in range(self.r.choice((1, 1, 2, 3))):
            before = len(self.outputs)
            self.r.choice(phases)()
            for name, text, dims in self.outputs[before:]:  # later phases may read what this one wrote
                stored = re.match(r"\w+: (\w+)", text).group(1)
                arith = next((t for t, all_ in STORED.items() if stored in all_), None)
                if arith and dims and (arith != "f32" or stored == "f32") and self.chance(0.5) and arith != "f32":
                    self.tensors.append((name, arith, dims))
        for d in self.dims:
            if not any(re.search(rf"[\[ ]{d}[\],]", text) for text in self.inputs):
                self.inputs.append(f"d{d}: u8[{d}]")
        sizes = ", ".join(f"{d} = {n}" for d, n in self.dims.items())
        head = ",\n    ".join(self.inputs)
        results = ", ".join(text for _, text, _ in self.outputs)
        body = "\n".join(self.lines)
        return f"// dims: {sizes}\nkernel fuzz(\n    {head})\n    -> ({results}) {{\n{body}\n}}\n"


# ---- running


def run(runner, files, seed, config=None):
    command = [runner, "--seed", str(seed)] + (["--config", config] if config is not None else [])
    result = subprocess.run(command + files, capture_output=True, text=True, errors="replace")
    return result.stdout.splitlines()


def failure(lines):
    return next((l for l in lines if l.split(" ", 1)[0] in ("FAIL", "CRASH", "TIMEOUT")), None)


def pieces(lines):
    """What may go: single lines, and blocks with what they hold."""
    for k, line in enumerate(lines):
        depth = 0
        for end in range(k, len(lines)):
            depth += lines[end].count("{") - lines[end].count("}")
            if depth <= 0:
                break
        if depth == 0:
            yield k, end + 1


def reduce(runner, text, seed, folder):
    """The smallest program, dropping lines and blocks, that still fails in the same way."""
    path = os.path.join(folder, "reduced.hk")

    def fails(candidate):
        with open(path, "w") as f:
            f.write(candidate)
        line = failure(run(runner, [path], seed))
        return line and (line.split(" ", 1)[0], re.findall(r"HK[0-9]+|status [0-9]+", line))

    kind = fails(text)
    lines = text.splitlines()
    changed = kind is not None
    while changed:
        changed = False
        for start, end in reversed(list(pieces(lines))):
            if start == 0:
                continue
            candidate = lines[:start] + lines[end:]
            if fails("\n".join(candidate) + "\n") == kind:
                lines, changed = candidate, True
                break
    text = "\n".join(lines) + "\n"
    fails(text)
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runner")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--keep", help="folder for programs that fail, and reduced")
    parser.add_argument("--show-refused", action="store_true")
    options = parser.parse_args()
    counts, failed, refused = {}, [], {}
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, options.count, 50):
            seeds = range(options.seed * 1000000 + start, options.seed * 1000000 + min(start + 50, options.count))
            files = {}
            for seed in seeds:
                path = os.path.join(folder, f"{seed}.hk")
                with open(path, "w") as f:
                    f.write(Kernel(seed).program())
                files[path] = seed
            for line in run(options.runner, list(files), options.seed):
                word, _, rest = line.partition(" ")
                counts[word] = counts.get(word, 0) + 1
                if word in ("FAIL", "CRASH", "TIMEOUT"):
                    failed.append((files[rest.split(" ", 1)[0]], line))
                if word == "refused":
                    code = (re.search(r"HK\d+", line) or [line])[0]
                    refused.setdefault(code, []).append(line)
        for seed, line in failed:
            print(line)
            text = Kernel(seed).program()
            if not options.keep:
                print(text)
                continue
            os.makedirs(options.keep, exist_ok=True)
            text = reduce(options.runner, text, options.seed, folder)
            with open(os.path.join(options.keep, f"fuzz_{seed}.hk"), "w") as f:
                f.write(text)
    for code, lines in sorted(refused.items()):
        print(f"refused: {len(lines)} by {code}" + (f", as {lines[0]}" if options.show_refused else ""))
    print("kernels: " + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    return 1 if failed or not counts.get("ok") else 0


if __name__ == "__main__":
    sys.exit(main())
