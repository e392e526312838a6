// What a syntax error says: what could stand here, in few words, and a hint where the slip is a
// known one.
//
//     tokens that could come: a name, an integer, '(', '-', ... ')'   ->   expected an expression
//     or ')'
#include "frontend/parser.h"
#include "frontend/syntax.h"

#include <stdio.h>

// ---- expected

// Tokens that together are one notion; if all of `needs` could come, those of `covers` are not
// named.
typedef struct Group {
    const char *label;
    const char *needs[4];
    const char *covers; // each name between spaces
} Group;

#define EXPRESSION_STARTS                                                                          \
    " a_name 'expect' an_integer a_number a_string 'true' 'false' '@' '(' '-' '!' '~' 'fn' "

static const Group groups[] = {
    {"an item (kernel, fn, let, import, tune, shapes, config or test)",
     {"'kernel'", "'import'"},
     " 'kernel' 'import' 'fn' 'let' 'tune' 'shapes' 'config' 'test' the_end_of_the_file "},
    {"a statement",
     {"'let'", "'var'", "'tile'"},
     " 'let' 'var' 'buf' 'axis' 'tile' 'for' 'while' 'if' 'return' 'require' 'tune' 'atomic' "
     "'unordered' 'fold'" EXPRESSION_STARTS},
    {"an expression", {"an integer", "'('", "'-'"}, EXPRESSION_STARTS},
    {"an operator",
     {"'+'", "'*'"},
     " '||' '&&' '==' '!=' '<=' '>=' '<<' '>>' '<' '>' '+' '-' '*' '/' '%' '&' '|' '^' '?' '(' '[' "
     "'.' "},
    {"an assignment",
     {"an assignment operator"},
     " an_assignment_operator '=' 'max=' 'min=' 'for' '->' '<' '(' '[' '.' "},
    {"a name", {"a name", "'expect'"}, " a_name 'expect' "},
};

enum { GROUP_COUNT = sizeof groups / sizeof *groups };

static bool expects(Expected expected, const char *name)
{
    for (uint32_t k = 0; k < expected.count; k++)
        if (strcmp(expected.names[k], name) == 0) return true;
    return false;
}

static bool group_applies(const Group *group, Expected expected)
{
    for (int k = 0; k < 4 && group->needs[k]; k++)
        if (!expects(expected, group->needs[k])) return false;
    return true;
}

static bool covers(const Group *group, const char *name)
{
    char spaced[40];
    snprintf(spaced, sizeof spaced, " %s ", name);
    for (char *c = spaced + 1; c[1]; c++)
        if (*c == ' ') *c = '_';
    return strstr(group->covers, spaced) != NULL;
}

// At most `most` labels; the groups come last, and "an operator" only if there is room.
static uint32_t labels_of(Expected expected, const char *labels[], uint32_t most)
{
    bool applies[GROUP_COUNT];
    uint32_t count = 0;
    for (int g = 0; g < GROUP_COUNT; g++) applies[g] = group_applies(&groups[g], expected);
    applies[2] &= !applies[1]; // a statement may be an expression, which may be a name
    applies[5] &= !applies[1] && !applies[2];
    for (uint32_t k = 0; k < expected.count; k++) {
        bool covered = false;
        for (int g = 0; g < GROUP_COUNT; g++)
            covered |= applies[g] && covers(&groups[g], expected.names[k]);
        if (!covered && count < most) labels[count++] = expected.names[k];
    }
    for (int g = 0; g < GROUP_COUNT; g++)
        if (applies[g] && count < most) labels[count++] = groups[g].label;
    // What is rare here is named only if little else could stand.
    for (uint32_t k = 0; k < count; k++) {
        bool rare =
            strcmp(labels[k], "'atomic'") == 0 || (strcmp(labels[k], "'..'") == 0 && count > 2);
        if (!rare) continue;
        memmove(labels + k, labels + k + 1, (count - k - 1) * sizeof *labels);
        count--;
    }
    return count;
}

static Str expected_text(Parser *parser, Expected expected)
{
    enum { MOST = 5 };
    const char *labels[MOST];
    uint32_t count = labels_of(expected, labels, MOST);
    Buf out = {.arena = parser->arena};
    for (uint32_t k = 0; k < count; k++)
        buf_printf(&out, "%s%s", k == 0 ? "" : k + 1 == count ? " or " : ", ", labels[k]);
    return buf_view(&out);
}

// ---- hints: the slips of those who come from C, Python or NumPy

static bool is_one_of(Str text, const char *spaced)
{
    if (!text.length || text.length > 30) return false;
    char word[34];
    snprintf(word, sizeof word, " %.*s ", STR_ARG(text));
    return strstr(spaced, word) != NULL;
}

static bool is_keyword(const Token *token)
{
    return token->kind >= KERNEL && token->kind <= FOLD;
}

static bool is_c_type(Str text)
{
    return is_one_of(text,
                     " int float double long short char unsigned signed auto const size_t uint32_t"
                     " int32_t int64_t bool f32 f64 f16 bf16 i32 i64 void static ");
}

static const char *hint_for_word(const Parser *parser)
{
    const Token *now = &parser->now, *last = &parser->last;
    bool declares = last->kind == ID && (now->kind == ',' || now->kind == ')' || now->kind == '[');
    if (is_c_type(last->text) || (declares && is_c_type(parser->last2.text)))
        return "types stand behind names: let i = 0;, var x: f32 = 0;, parameters x: f32[N]";
    if (is_one_of(now->text, " __global__ struct class void static template using "))
        return "functions are written fn name(x) = expression;, kernels kernel name(...) -> (...) "
               "{ ... }";
    if (now->kind == '@') return "a product of matrices is written sum[k](a[m, k] * b[k, n])";
    if (is_one_of(last->text, " elif elsif elseif ")) return "write else if condition { ... }";
    if (is_one_of(last->text, " not ")) return "'not' is written !";
    if (is_one_of(last->text, " parallel "))
        return "the outermost tile and for loops are parallel as they are";
    if (is_one_of(now->text, " else ") && last->kind == ';')
        return "the body of an if stands in braces";
    return NULL;
}

static const char *hint_in_brackets(const Parser *parser)
{
    const Token *now = &parser->now;
    const Token *open = parser->nesting ? &parser->open[parser->nesting - 1] : NULL;
    if (now->kind == ':' && open && open->kind == '[')
        return "there are no slices and no None: name what varies (axis n in N; x[m, n]), "
               "broadcasting goes by the names";
    if ((now->kind == ')' || now->kind == ']') && parser->last.kind == ',')
        return "remove the comma";
    if (now->kind == '*' && parser->last.kind == '*') return "a power is written pow(a, b)";
    return NULL;
}

static const char *hint_in_statement(const Parser *parser, Expected expected)
{
    const Token *now = &parser->now, *last = &parser->last, *last2 = &parser->last2;
    if (now->kind == ':' && last2->kind == LET)
        return "a let has the type of its value: let x = f32(...);, or declare var x: f32 = ...;";
    if (now->kind == '=' && last->kind == ':') return "write let x = ...;";
    if ((now->kind == '+' || now->kind == '-') && expects(expected, "an assignment operator"))
        return "to change a value write i += 1;";
    if (now->kind == '(' && (last->kind == FOR || last->kind == TILE))
        return "write for i in 0 .. N { ... }";
    if (now->kind == '=' && (last2->kind == TILE || last2->kind == FOR))
        return "write for i in 0 .. N { ... }";
    if (expects(expected, "'{'") && !expects(expected, "';'") && now->kind != '{' &&
        !expects(expected, "a name"))
        return "bodies stand in braces: { ... }";
    if (now->kind == '{' && expects(expected, "'bound'"))
        return "a while says how often it can run at most: while c bound 64 { ... }";
    if (now->kind == FN && expects(expected, "'let'"))
        return "functions stand at file level; here let f = ...; names a value";
    if (now->kind == ELSE && last->kind == '}') return "else goes with the '}' of an if";
    return NULL;
}

// What is written about a name, parameter or axis elsewhere.
static const char *hint_in_list(const Parser *parser, Expected expected)
{
    int now = parser->now.kind, last = parser->last.kind, last2 = parser->last2.kind;
    const Token *open = parser->nesting ? &parser->open[parser->nesting - 1] : NULL;
    bool separates = now == ',' || now == '>' || now == ')';
    if (separates && expects(expected, "':'") && last == ID && !is_c_type(parser->last2.text) &&
        (expected.count == 1 || (expected.count <= 3 && expects(expected, "a name"))))
        return open && open->kind == '('
                   ? "parameters have types: x: f32[M, N], a scalar n: i64"
                   : "say what it is: <T: float>, <N: i64 = 64>, <flag: bool = false>, <f: fn>";
    if (now == ':' && last == ID && expected.count == 2 && expects(expected, "')'") &&
        expects(expected, "','"))
        return "parameters of a function have no types: fn f(x, y) = x + y;";
    if (now == ARROW && expects(expected, "'{'") && expects(expected, "'='"))
        return "a function says nothing of its result: fn f(x, y) = x + y;";
    if (now == ID && last == ARROW && expects(expected, "'('"))
        return "results have names: -> (y: f32[N])";
    if (now == ',' && last == ID && (last2 == TILE || last2 == FOR || last2 == AXIS))
        return "each axis has a range of its own: tile m in M, n in N";
    return NULL;
}

// Statements that elsewhere are expressions.
static const char *hint_for_expression(const Parser *parser, Expected expected)
{
    if (!expects(expected, "an integer") || expects(expected, "'let'")) return NULL;
    if (parser->now.kind == IF) return "a choice is written c ? a : b";
    if (parser->now.kind == AXIS)
        return "an axis is a statement of its own, axis n in N;; reductions name it: max[n](x)";
    return NULL;
}

static const char *hint(const Parser *parser, Expected expected)
{
    const Token *now = &parser->now, *last = &parser->last;
    bool comparison = now->kind == '<' || now->kind == '>' || now->kind == LE || now->kind == GE ||
                      now->kind == EQ || now->kind == NE || now->kind == ANDAND ||
                      now->kind == OROR || now->kind == '?';
    if (comparison && expects(expected, "'>'") && !expects(expected, "'=='"))
        return "inside <...> comparisons, && || and ?: need parentheses: <(a > b)>";
    if (last->kind == '>' && expects(expected, "'('") && expected.count == 1)
        return "this '>' closed the list; inside <...> a comparison needs parentheses: <(a > b)>";
    if (comparison && now->kind != '?' && expects(expected, "'&&'") && !expects(expected, "'=='"))
        return "comparisons do not chain: write a < b && b < c";
    if (is_keyword(now) && expects(expected, "a name") && !expects(expected, "an integer"))
        return "this is a word of the language; take another name";
    const char *found = hint_in_brackets(parser);
    if (!found) found = hint_in_list(parser, expected);
    if (!found) found = hint_for_expression(parser, expected);
    if (!found) found = hint_in_statement(parser, expected);
    return found ? found : hint_for_word(parser);
}

// ---- the message

static Str found_text(Parser *parser)
{
    const Token *now = &parser->now;
    if (now->kind == END) return STR("the end of the file");
    Str text = now->text;
    for (size_t k = 0; k < text.length; k++)
        if (text.data[k] == '\n') text.length = k;
    if (text.length > 40) return str_format(parser->arena, "'%.37s...'", text.data);
    return str_format(parser->arena, "'%.*s'", STR_ARG(text));
}

void syntax_unexpected(Parser *parser, Expected expected)
{
    int kind = parser->now.kind;
    bool opens = kind == '(' || kind == '[' || kind == '{';
    parser->error_nesting = parser->nesting - (opens && parser->nesting ? 1 : 0);
    if (parser->doubtful || parser->inserting) return;
    Str wanted = expected_text(parser, expected), found = found_text(parser);
    Diag *diag = wanted.length
                     ? diag_add(parser->diags, DIAG_SYNTAX, parser->now.span,
                                "expected %.*s, but found %.*s", STR_ARG(wanted), STR_ARG(found))
                     : diag_add(parser->diags, DIAG_SYNTAX, parser->now.span, "unexpected %.*s",
                                STR_ARG(found));
    const char *help = hint(parser, expected);
    if (help) diag_hint(parser->diags, diag, "%s", help);
}
