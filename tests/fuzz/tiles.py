#!/usr/bin/python3
"""Random programs in Tile IR, with random sizes and Configs, through tests/fuzz/compare.c:

    tiles.py COMPARE [--seed 1] [--count 100] [--keep FOLDER]

A program keeps the laws that the checks of the front end would enforce: every tile stores its own elements, and no
result depends on a tile size. Integers are most of it, because there nothing may differ; floats stay small."""
import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40, 64, 65)
STORED = {"i32": ("i32", "i8", "u8", "i16", "u16"), "f32": ("f32", "bf16", "f16"), "i64": ("i64", "u32")}
ELEMENTS_MAX = 40000  # of one value: the interpreter takes its time
AXES_MAX = 9

Val = collections.namedtuple("Val", "id dtype axes")


class Program:
    """One program under construction. `live` axes can index, `whole` ones can be reduced, `grid` ones are the tile's."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.sizes = [self.r.choice(SIZES) for _ in range(3)]
        if self.r.random() < 0.05:
            self.sizes[self.r.randrange(3)] = 0
        self.dtype = self.r.choice(("i32", "i32", "i32", "f32", "i64"))
        self.mems, self.tensors, self.axes, self.body = [], [], {}, []
        self.dim, self.order, self.written = {}, [], []
        self.ids, self.depth = 0, 1
        self.zero, self.one, self.five = (self.new() for _ in range(3))
        self.extents = [self.new() for _ in range(3)]

    # ---- text

    def new(self):
        self.ids += 1
        return self.ids - 1

    def emit(self, text):
        self.body.append("  " * self.depth + text)

    def type(self, dtype, axes):
        names = ",".join(a for a in self.order if a in axes)
        return f"{dtype}{{{names}}}" if names else dtype

    def value(self, text, dtype, axes):
        v = Val(self.new(), dtype, frozenset(axes))
        self.emit(f"%{v.id} = {text} : {self.type(dtype, axes)}")
        self.pool.append(v)
        return v

    def mem(self, dtype, dims, kind):
        name = f"t{len(self.mems)}"
        self.mems.append(f"mem {name}: {dtype}[{len(dims)}] {kind}")
        self.tensors.append((name, dims))
        return name

    def axis(self, kind):
        name = "mnkjtuvwpq"[len(self.order)]
        self.order.append(name)
        self.axes[name], self.dim[name] = kind, self.r.randrange(3)
        return name

    def text(self):
        sizes = ((n, ", ".join(f"%{self.extents[d]}" for d in dims)) for n, dims in self.tensors)
        head = ['hako tile @fuzz ""'] + self.mems + [f"dim N{i}" for i in range(3)]
        head += [f"axis {a}: {kind}" for a, kind in self.axes.items()] + ["{"]
        head += [f"  %{v} = const {x} : i64" for v, x in ((self.zero, 0), (self.one, 1), (self.five, 5))]
        head += [f"  %{v} = dim N{i} : i64" for i, v in enumerate(self.extents)]
        head += [f"  tensor {name}({args})" if args else f"  tensor {name}" for name, args in sizes]
        return "\n".join(head + self.body + ["}"]) + "\n"

    # ---- choosing

    def pick(self, dtype=None, axes=None):
        fit = [v for v in self.pool if dtype in (None, v.dtype) and (axes is None or v.axes <= axes)]
        recent = fit[-4:] if self.r.random() < 0.6 else fit
        return self.r.choice(recent) if recent else None

    def fits(self, axes):
        count = 1
        for a in axes:
            count *= max(1, self.sizes[self.dim[a]])
        return count <= ELEMENTS_MAX

    def subset(self, axes, p):
        some = [a for a in axes if self.r.random() < p]
        self.r.shuffle(some)
        return some

    def masked(self, args, axes, p=0.25):
        mask = self.pick("bool", frozenset(axes)) if self.r.random() < p else None
        return args + ([f"mask %{mask.id}"] if mask else [])

    def access(self, axes):
        return [f"%{self.index[a]}" for a in axes], [self.dim[a] for a in axes]

    # ---- instructions

    def load(self):
        r = self.r
        axes = r.sample(self.live, r.randrange(0, min(3, len(self.live)) + 1))
        lanes = frozenset(axes)
        if self.scalars and r.random() < 0.6:
            axes.insert(r.randrange(len(axes) + 1), r.choice(self.scalars))
        args, dims = self.access(axes)
        known = [name for name, d in self.written if d == dims]
        name = r.choice(known) if known and r.random() < 0.5 else self.mem(r.choice(STORED[self.dtype]), dims, "in")
        args = self.masked(args, lanes, 0.2) if args else args
        self.value(f"tload {name}" + (f"({', '.join(args)})" if args else ""), self.dtype, lanes)

    def binary(self):
        a, b = self.pick(self.dtype), self.pick(self.dtype)
        ops = ["add", "sub", "mul", "max", "min"] + (["and", "or", "xor"] if self.dtype != "f32" else [])
        if self.fits(a.axes | b.axes):
            self.value(f"{self.r.choice(ops)} (%{a.id}, %{b.id})", self.dtype, a.axes | b.axes)

    def unary(self):
        a = self.pick(self.dtype)
        op = self.r.choice(["neg", "abs"] + (["tanh"] if self.dtype == "f32" else []))
        self.value(f"{op} (%{a.id})", self.dtype, a.axes)

    def compare(self):
        dtype = "i64" if self.dtype == "f32" else self.dtype  # rounding must not decide a condition
        a, b = self.pick(dtype), self.pick(dtype)
        if a and self.fits(a.axes | b.axes):
            self.value(f"{self.r.choice(('lt', 'le', 'eq', 'ne'))} (%{a.id}, %{b.id})", "bool", a.axes | b.axes)

    def logic(self):
        a, b = self.pick("bool"), self.pick("bool")
        if a and self.fits(a.axes | b.axes):
            self.value(f"{self.r.choice(('and', 'or'))} (%{a.id}, %{b.id})", "bool", a.axes | b.axes)

    def select(self):
        c, a, b = self.pick("bool"), self.pick(self.dtype), self.pick(self.dtype)
        if c and self.fits(c.axes | a.axes | b.axes):
            self.value(f"select (%{c.id}, %{a.id}, %{b.id})", self.dtype, c.axes | a.axes | b.axes)

    def cast(self):
        a = self.pick("i64")
        if a and self.dtype != "i64":
            self.value(f"cast (%{a.id})", self.dtype, a.axes)

    def reduce(self):
        r = self.r
        whole = [a for a in self.live if a in self.whole]
        if not whole:
            return
        over = r.sample(whole, r.randrange(1, min(2, len(whole)) + 1))
        kind = r.choice(("sum", "sum", "max", "min", "argmax", "argmin") + (("prod",) if self.dtype != "f32" else ()))
        source, result = self.pick(self.dtype), self.dtype
        if r.random() < 0.1 and self.pick("bool"):
            source, kind, result = self.pick("bool"), r.choice(("any", "all")), "bool"
        if kind.startswith("arg"):
            if self.dtype == "f32":
                return
            over, result = over[:1], "i64"
        mask = self.pick("bool") if r.random() < 0.25 else None
        axes = source.axes | (mask.axes if mask else frozenset())
        if self.fits(axes | set(over)):
            operand = f"%{source.id}" + (f", mask %{mask.id}" if mask else "")
            self.value(f"reduce.{kind}[{','.join(over)}] ({operand})", result, axes - set(over))

    def step(self):
        if not self.pick(self.dtype):
            return self.load()
        steps = {self.load: 22, self.binary: 28, self.unary: 6, self.compare: 10, self.select: 8, self.reduce: 16,
                 self.cast: 5, self.logic: 5}
        return self.r.choices(list(steps), steps.values())[0]()

    # ---- effects

    def store(self):
        v = self.pick(self.dtype)
        axes = self.subset(set(self.grid) | v.axes, 1)
        if len(axes) > 5:
            return
        args, dims = self.access(axes)
        kinds = STORED[self.dtype] if self.dtype != "f32" else ("f32",)
        name = self.mem(self.r.choice(kinds), dims, "out = 0x0")
        self.emit(f"tstore {name}({', '.join(self.masked([f'%{v.id}'] + args, axes))})")
        self.wrote.append((name, dims))

    def fold(self):
        """Reduces over what the target lacks first, so that each grid axis counts once for each index."""
        v, kind = self.pick(self.dtype), self.r.choice(("sum", "max", "min"))
        every = v.axes | set(self.grid)
        if self.loops or not self.fits(every):
            return
        axes = self.subset(every, 0.4)
        rest = [a for a in self.order if a in every and a not in axes]
        if rest:
            v = self.value(f"reduce.{kind}[{','.join(rest)}] (%{v.id})", self.dtype, v.axes - set(rest))
        args, dims = self.access(axes)
        name = self.mem(self.dtype, dims, self.r.choice(("out", "out = 0x0")))
        self.emit(f"fold.{kind} {name}({', '.join(self.masked([f'%{v.id}'] + args, axes))})")

    def in_place(self):
        axes = list(self.grid) + self.subset([a for a in self.live if a in self.whole], 0.5)
        if not axes or self.loops or len(axes) > 4 or not self.fits(axes):
            return
        self.r.shuffle(axes)
        args, dims = self.access(axes)
        name = self.mem(self.dtype, dims, "inout")
        self.value(f"tload {name}({', '.join(args)})", self.dtype, axes)
        self.steps(0, 3)
        v = self.pick(self.dtype, frozenset(axes))
        self.emit(f"tstore {name}({', '.join([f'%{v.id}'] + args)})")
        self.value(f"tload {name}({', '.join(args)})", self.dtype, axes)
        self.steps(0, 3)

    # ---- regions

    def steps(self, least, end):
        for _ in range(self.r.randrange(least, end)):
            self.step()

    def condition(self):
        v, known = self.pick(self.dtype), [c for c in self.pool if c.dtype == "bool" and not c.axes]
        c = self.r.choice(known) if known else self.value(f"lt (%{self.extents[0]}, %{self.five})", "bool", ())
        result = self.new()
        self.emit(f"%{result} = if (%{c.id}) : {self.type(self.dtype, v.axes)} {{")
        for end in ("} else {", "}"):
            pool, self.depth = list(self.pool), self.depth + 1
            self.steps(0, 4)
            if self.r.random() < 0.3:
                self.store()
            same = [x for x in self.pool if x.dtype == self.dtype and x.axes == v.axes]
            self.emit(f"yield (%{self.r.choice(same).id})")
            self.pool, self.depth = pool, self.depth - 1
            self.emit(end)
        self.pool.append(Val(result, self.dtype, v.axes))

    def serial(self):
        """A `for`: its index has no axes, so anything may depend on it."""
        a, v = self.axis("loop scalar"), self.pick(self.dtype)
        result, carried, kind = self.new(), self.new(), self.type(self.dtype, v.axes)
        self.emit(f"%{result} = loop {a} (%{self.zero}, %{self.extents[self.dim[a]]}, %{self.one}, %{v.id}) : {kind} "
                  f"{{ (%{carried} : {kind})")
        pool, self.depth, self.loops = list(self.pool), self.depth + 1, self.loops + 1
        self.index[a] = self.value(f"index {a}", "i64", ()).id
        self.pool.append(Val(carried, self.dtype, v.axes))
        self.scalars.append(a)
        self.steps(2, 6)
        same = [x for x in self.pool if x.dtype == self.dtype and x.axes == v.axes]
        self.emit(f"yield (%{self.r.choice(same[-3:]).id})")
        self.scalars.remove(a)
        self.pool, self.depth, self.loops = pool + [Val(result, self.dtype, v.axes)], self.depth - 1, self.loops - 1
        self.emit("}")

    def hull(self, a):
        """The end of a triangular range 0 .. q + 1 along a grid axis q of the same size, and q with its bound."""
        q = next((q for q in self.grid if self.dim[q] == self.dim[a]), None)
        if not q or self.r.random() < 0.5:
            return self.extents[self.dim[a]], None, None
        bound, end = self.new(), self.new()
        self.emit(f"%{bound} = add (%{self.index[q]}, %{self.one}) : {self.type('i64', [q])}")
        self.emit(f"%{end} = reduce.max[{q}] (%{bound}) : i64")
        return end, q, bound

    def loop(self):
        """Carried values take in reductions over the tile, as the block rule asks."""
        r = self.r
        a, inits = self.axis("loop"), [self.pick(self.dtype) for _ in range(r.randrange(1, 3))]
        end, q, bound = self.hull(a)
        by = self.zero if r.random() < 0.7 else self.five
        self.axes[a] += " by" if by == self.five else ""
        types = [self.type(self.dtype, v.axes) for v in inits]
        results, carried = [self.new() for _ in inits], [self.new() for _ in inits]
        self.emit(f"{', '.join(f'%{x}' for x in results)} = loop{r.choice(('', '', '', ' !reverse'))} {a} (%{self.zero}, "
                  f"%{end}, %{by}, {', '.join(f'%{v.id}' for v in inits)}) : {', '.join(types)} "
                  f"{{ ({', '.join(f'%{x} : {t}' for x, t in zip(carried, types))})")
        pool, self.depth, self.loops = list(self.pool), self.depth + 1, self.loops + 1
        self.live.append(a)
        self.index[a] = self.value(f"index {a}", "i64", (a,)).id
        mask = self.value(f"lt (%{self.index[a]}, %{bound})", "bool", (a, q)) if q else None
        self.steps(2, 7)
        yields = [self.carry(a, x, v, mask, q) for x, v in zip(carried, inits)]
        self.emit(f"yield ({', '.join(f'%{y}' for y in yields)})")
        self.live.remove(a)
        self.pool, self.depth, self.loops = pool, self.depth - 1, self.loops - 1
        self.pool += [Val(x, self.dtype, v.axes) for x, v in zip(results, inits)]
        self.emit("}")

    def carry(self, a, carried, init, mask, q):
        x, (kind, op) = self.pick(self.dtype), self.r.choice((("sum", "add"), ("max", "max"), ("min", "min")))
        over = (x.axes - init.axes) | {a}
        if any(b not in self.whole and b != a for b in over) or (q and q not in init.axes):
            return carried
        part = self.value(f"reduce.{kind}[{','.join(b for b in self.order if b in over)}] "
                          f"(%{x.id}{f', mask %{mask.id}' if mask else ''})", self.dtype,
                          (x.axes - over) | ({q} if mask else set()))
        return self.value(f"{op} (%{carried}, %{part.id})", self.dtype, init.axes).id

    def phase(self):
        r = self.r
        self.pool, self.live, self.whole, self.grid, self.scalars, self.index, self.wrote = [], [], set(), [], [], {}, []
        self.loops = 0
        self.emit("phase grid {")
        self.depth += 1
        for kind, count in (("grid", r.choice((0, 1, 1, 1, 2, 2, 3))), ("whole", r.choice((0, 1, 1, 2)))):
            for _ in range(count if len(self.order) < AXES_MAX - 2 else 0):
                a = self.axis(kind)
                self.live.append(a)
                open_grid = kind == "grid"
                self.emit(f"{kind if open_grid else 'axis'} {a} (%{self.zero}, %{self.extents[self.dim[a]]})"
                          + (" {" if open_grid else ""))
                self.depth += open_grid
                (self.grid.append if open_grid else self.whole.add)(a)
        for a in self.live:
            self.index[a] = self.value(f"index {a}", "i64", (a,)).id
        self.load()
        self.load()
        for _ in range(r.randrange(3, 10)):
            parts = {self.step: 80, self.loop: 8, self.condition: 3, self.serial: 3, self.in_place: 3, self.store: 3}
            full = len(self.order) >= AXES_MAX
            (self.step if full else r.choices(list(parts), parts.values())[0])()
        for _ in range(r.randrange(1, 3)):
            self.store()
        if r.random() < 0.4:
            self.fold()
        for _ in range(len(self.grid) + 1):
            self.depth -= 1
            self.emit("}")
        self.written += self.wrote

    def config(self):
        r, knobs = self.r, []
        for a, kind in self.axes.items():
            if kind in ("grid", "loop") and r.random() < 0.7:
                knobs.append(f"tile_{a} = {r.choice((1, 2, 3, 4, 7, 8, 16, 17, 32, 64, 100))}")
            if kind == "whole" and r.random() < 0.5:
                knobs.append(f"block_{a} = {r.choice((1, 2, 3, 8, 16, 50))}")
            if r.random() < 0.3:
                knobs.append(f"unroll_{a} = {r.choice((1, 2, 3, 4, 6))}")
            if r.random() < 0.2:
                knobs.append(f"vectors_{a} = {r.choice((1, 2, 3, 4))}")
        if r.random() < 0.3:
            knobs.append(f"chunks = {r.choice((1, 2, 3, 7, 50))}")
        return ", ".join(knobs)


def make(seed):
    program = Program(seed)
    for _ in range(program.r.choice((1, 1, 2))):
        program.phase()
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("compare")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--opencl", action="store_true", help="the first OpenCL device instead of the CPU backend")
    parser.add_argument("--keep", default=tempfile.gettempdir(), help="where programs that fail are kept")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        program = make(seed)
        path = os.path.join(options.keep, f"fuzz-{seed}.tile")
        with open(path, "w", encoding="ascii") as file:
            file.write(program.text())
        sizes, config, vector = ",".join(map(str, program.sizes)), program.config(), (64, 32, 16)[seed % 3]
        if options.opencl:
            vector = ("opencl", "opencl16", "opencl32", "opencl64")[seed % 4]
        command = [options.compare, path, sizes, config, str(seed), str(vector)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            problem = done.returncode and f"exit {done.returncode}: {done.stdout}{done.stderr}".strip()
        except subprocess.TimeoutExpired:
            problem = "no end after 120 s"
        if problem:
            failed += 1
            print(f"FAIL {' '.join(command[:2])} '{sizes}' '{config}' {seed} {vector}\n  {problem}", flush=True)
        else:
            os.remove(path)
    print(f"tiles: {options.count - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
