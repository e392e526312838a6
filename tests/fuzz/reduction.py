"""Makes a failing kernel small: whole blocks, lines and parameters go first, then parts of expressions, then sizes,
for as long as `fails` says that the text still fails in the same way."""
import re

HEAD = re.compile(r"(?s)(.*?)kernel fuzz\(\n(.*?)\n    \) -> \(\n(.*?)\n    \) \{\n(.*)\}\n$")


class Parts:
    """A program as lists: what may go one by one."""

    def __init__(self, text):
        front, inputs, outputs, body = HEAD.match(text).groups()
        self.lists = [front.splitlines(), re.split(r",\n", inputs), re.split(r",\n", outputs), body.splitlines()]

    def text(self):
        front, inputs, outputs, body = self.lists
        return "\n".join(front + ["kernel fuzz("] + [",\n".join(inputs)] + ["    ) -> ("] + [",\n".join(outputs)] +
                         ["    ) {"] + body + ["}"]) + "\n"


def blocks(lines):
    """Spans of lines that may go together: blocks with all they hold, and single lines; the longest first."""
    spans = []
    for k in range(len(lines)):
        depth = 0
        for end in range(k, len(lines)):
            depth += lines[end].count("{") - lines[end].count("}")
            if depth <= 0:
                break
        if depth == 0:
            spans.append((k, end + 1))
    return sorted(spans, key=lambda s: s[0] - s[1])


def unwrapped(lines):
    """The lines without the head and the end of a block, whose content stays."""
    for k, end in blocks(lines):
        if end > k + 1:
            yield lines[:k] + lines[k + 1:end - 1] + lines[end:]


def closing(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    for k in range(at, len(text)):
        depth += (text[k] in "([{") - (text[k] in ")]}")
        if depth == 0:
            return k
    return None


def top_level(text, marks):
    """The text split at these marks where no bracket is open."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0:
            for mark in marks:
                if text.startswith(mark, k):
                    parts.append(text[start:k])
                    start = k + len(mark)
    return parts + [text[start:]]


MARKS = (",", " ? ", " : ", " + ", " - ", " * ", " / ", " % ", " & ", " | ", " ^ ", " && ", " || ", " < ", " > ", " == ",
         " != ", " <= ", " >= ", " << ", " >> ")


def simpler(line):
    """Lines with an expression replaced by a part of it, or by a number."""
    places = [(m.start(), m.end()) for m in re.finditer(r"(?:[\w.]+(?:\[[^\[\]]*\])?)?[(\[]", line)]
    spans = []
    for start, end in places:
        last = closing(line, end - 1)
        if last is not None:
            spans.append((start, end, last))
    equals = re.search(r" (?:[-+*/^&|]|max|min)?= ", line)
    if equals and line.endswith(";"):
        spans.append((equals.end(), equals.end(), len(line) - 1))
    for start, end, last in sorted(spans, key=lambda s: s[0] - s[2]):
        whole = line[start:last + 1] if end > start else line[start:last]
        after = last + 1 if end > start else last
        inside = [p.strip() for p in top_level(line[end:last], MARKS)]
        for part in ["1"] + [p for p in inside if p] + [f"({p})" for p in inside if p]:
            if len(part) < len(whole):
                yield line[:start] + part + line[after:]
    short = re.sub(r" by \d+| reverse|, exclusive|, descending", "", line)
    if short != line:
        yield short


class Reducer:
    def __init__(self, fails):
        self.fails = fails
        self.parts = None

    def try_list(self, index, lines):
        old = self.parts.lists[index]
        self.parts.lists[index] = lines
        if self.fails(self.parts.text()):
            return True
        self.parts.lists[index] = old
        return False

    def drop(self, index):
        """Leaves out what is not needed of a list."""
        changed, k = False, 0
        keep = 1 if index in (0, 2) else 0  # the sizes, and one output
        while True:
            lines = self.parts.lists[index]
            spans = blocks(lines) if index == 3 else [(i, i + 1) for i in range(len(lines))]
            spans = [s for s in spans if index != 0 or s[0] > 0]
            if k >= len(spans) or len(lines) <= keep:
                return changed
            start, end = spans[k]
            if self.try_list(index, lines[:start] + lines[end:]):
                changed = True
            else:
                k += 1

    def drop_output(self):
        """An output together with the lines that store it."""
        for output in self.parts.lists[2]:
            name = re.search(r"(\w+):", output).group(1)
            body = [l for l in self.parts.lists[3] if not re.search(rf"\b{name}\b", l) or l.endswith("{")]
            old = list(self.parts.lists)
            if len(old[2]) == 1:
                return False
            self.parts.lists[2] = [o for o in old[2] if o != output]
            if self.try_list(3, body):
                return True
            self.parts.lists = old
        return False

    def unwrap(self):
        for lines in unwrapped(self.parts.lists[3]):
            if self.try_list(3, lines):
                return True
        return False

    def simplify(self):
        changed = False
        for index in (3, 1, 2):
            for k in range(len(self.parts.lists[index])):
                again = True
                while again:
                    again = False
                    lines = self.parts.lists[index]
                    for line in simpler(lines[k]) if index == 3 else plainer(lines[k]):
                        if self.try_list(index, lines[:k] + [line] + lines[k + 1:]):
                            changed = again = True
                            break
        return changed

    def shrink_sizes(self):
        changed = False
        for name, size in re.findall(r"(\w+) = (\d+)", self.parts.lists[0][0]):
            for smaller in (0, 1, 2, 3, 4, 5, 8, 16):
                line = re.sub(rf"\b{name} = \d+", f"{name} = {smaller}", self.parts.lists[0][0])
                if smaller < int(size) and self.try_list(0, [line] + self.parts.lists[0][1:]):
                    changed = True
                    break
        return changed

    def reduce(self, text):
        self.parts = Parts(text)
        if not self.fails(self.parts.text()):
            return text
        changed = True
        while changed:
            changed = self.drop(3)
            changed |= self.drop(2) | self.drop(1) | self.drop(0) | self.drop_output()
            changed |= self.unwrap()
            changed |= self.simplify()
            changed |= self.shrink_sizes()
        return self.parts.text()


def plainer(param):
    """A parameter of a plainer type, or without its start value."""
    for old, new in ((r": (i4|u4|i8|u8|i16|u16|u32|i64)\b", ": i32"), (r": (f4e2m1|f8e4m3|f8e5m2|f16|bf16|f64)\b", ": f32"),
                     (r" = \S+$", "")):
        other = re.sub(old, new, param)
        if other != param:
            yield other
