// Stands between scanner and parser: gives words their meaning by place, watches brackets, and
// mends the commonest slips by inserting, replacing or dropping one token, so that one slip is one
// message and nothing of what follows is lost.
//
//     let a = f(x      ->  expected ')' after 'x', ')' and ';' inserted
//     let b = 2;
//
// It asks the parser what could come (LAC), and never guesses: a mended token is one that fits.
#include "frontend/syntax.h"
#include "frontend/parser.h"

static const struct {
    const char *text;
    int kind;
} words[] = {
    {"where", WHERE},
    {"reverse", REVERSE},
    {"packed", PACKED},
    {"partition", PARTITION},
    {"permutation", PERMUTATION},
    {"distinct", DISTINCT},
    {"cas", CAS},
    {"max", MAX},
    {"min", MIN},
    {"on", ON},
    {"when", WHEN},
    {"within", WITHIN},
    {"bound", BOUND},
};

static int kind_by_place(Parser *parser, const Token *token)
{
    if (token->kind != ID) return token->kind;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (str_is(token->text, words[k].text) && !parser_accepts(parser, ID) &&
            parser_accepts(parser, words[k].kind))
            return words[k].kind;
    return ID;
}

static bool starts_item(int kind)
{
    return kind == KERNEL || kind == IMPORT || kind == SHAPES || kind == CONFIG || kind == TEST ||
           kind == FN || kind == LET || kind == TUNE;
}

static bool starts_statement(int kind)
{
    return kind == LET || kind == VAR || kind == BUF || kind == AXIS || kind == TILE ||
           kind == FOR || kind == WHILE || kind == IF || kind == RETURN || kind == REQUIRE ||
           kind == FOLD || kind == ATOMIC || kind == UNORDERED || kind == TUNE;
}

static int closer_of(int opener)
{
    return opener == '(' ? ')' : opener == '[' ? ']' : '}';
}

static const Token *innermost(const Parser *parser)
{
    return parser->nesting ? &parser->open[parser->nesting - 1] : NULL;
}

// Just behind the last token: where something is missing.
static Span gap(const Parser *parser)
{
    Span at = parser->last.span;
    uint16_t column = at.end_column;
    return (Span){at.end_line, at.end_line, column, (uint16_t)(column + (column < UINT16_MAX)),
                  at.source};
}

static bool begins_line(const Parser *parser, const Token *token)
{
    return token->span.line > parser->last.span.end_line;
}

static const char *shown(Parser *parser, const Token *token)
{
    if (token->kind == END) return "the end of the file";
    return str_format(parser->arena, "'%.*s'", STR_ARG(token->text)).data;
}

// ---- passing tokens on

static void forget_parentheses(Parser *parser)
{
    while (parser->nesting && parser->open[parser->nesting - 1].kind != '{') parser->nesting--;
}

static void watch_brackets(Parser *parser, const Token *token)
{
    int kind = token->kind;
    if (kind == ';' || kind == '{' || kind == '}') forget_parentheses(parser);
    if (kind == '(' || kind == '[' || kind == '{') {
        if (parser->nesting == NESTING_MAX) {
            syntax_too_deep(parser, token->span, NESTING_MAX);
            return;
        }
        parser->open[parser->nesting++] = *token;
    } else if ((kind == ')' || kind == ']' || kind == '}') && parser->nesting &&
               closer_of(innermost(parser)->kind) == kind) {
        parser->nesting--;
    }
}

static void pass(Parser *parser, const Token *token)
{
    watch_brackets(parser, token);
    if (parser->stopped) return;
    parser->now = *token;
    parser_push(parser, token);
    parser->last2 = parser->last;
    parser->last = *token;
}

// A token that was not written. It leaves no trace in what messages say stood before.
static void insert(Parser *parser, int kind)
{
    Token last = parser->last, last2 = parser->last2;
    Token token = {.kind = kind, .span = gap(parser)};
    token.span.end_column = token.span.column;
    parser->inserting = true;
    pass(parser, &token);
    parser->inserting = false;
    parser->last = last;
    parser->last2 = last2;
}

// ---- the slips

// A complaint about the token; NULL (which diag_note and diag_hint may not get) if there was one
// already.
static Diag *complain(Parser *parser, Span span, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static Diag *complain(Parser *parser, Span span, const char *format, ...)
{
    if (parser->doubtful) return NULL;
    va_list args;
    va_start(args, format);
    Str text = str_vformat(parser->arena, format, args);
    va_end(args);
    parser->doubtful = 1; // until this token has passed
    return diag_add(parser->diags, DIAG_SYNTAX, span, "%.*s", STR_ARG(text));
}

static void add_note(Parser *parser, Diag *diag, const Token *opener)
{
    if (diag) diag_note(parser->diags, diag, opener->span, "to close this '%c'", opener->kind);
}

static void add_hint(Parser *parser, Diag *diag, const char *hint)
{
    if (diag) diag_hint(parser->diags, diag, "%s", hint);
}

// x[n)) in f(x[n)) is a wrong closer, f32[N) a missing one: are there more closers than openers for
// them?
static bool is_wrong_closer(const Parser *parser, const Token *token)
{
    uint32_t open = 0, closers = 1;
    for (uint32_t k = parser->nesting - 1; k-- && parser->open[k].kind != '{';)
        open += closer_of(parser->open[k].kind) == token->kind;
    for (size_t k = parser->offset; k < parser->text.length; k++) {
        if (parser->text.data[k] == ' ') continue;
        if (parser->text.data[k] != token->kind) break;
        closers++;
    }
    return closers > open;
}

// Does the token begin what comes after the bracket's statement?
static bool ends_bracket(const Parser *parser, const Token *token, const Token *open)
{
    int kind = token->kind;
    if (kind == ';' || kind == '{' || kind == '}' || kind == END || kind == ARROW) return true;
    bool outermost = parser->nesting == 1 || parser->open[parser->nesting - 2].kind == '{';
    if ((kind == '=' || kind == OPASSIGN) && open->kind == '[' && outermost) return true;
    if (!begins_line(parser, token)) return false;
    return starts_statement(kind) || starts_item(kind) ||
           (kind == ID && token->span.column <= open->indent);
}

// A bracket is still open where only its closer could end it. All that is open up to the next brace
// is closed, with one message for the innermost.
static bool mend_open_bracket(Parser *parser, Token *token)
{
    const Token *open = innermost(parser);
    int kind = token->kind;
    if (!open || open->kind == '{' || !parser_accepts(parser, closer_of(open->kind))) return false;
    bool closes = kind == ')' || kind == ']', ends = ends_bracket(parser, token, open);
    if (!ends && !closes) return false;
    Token opener = *open;
    int closer = closer_of(opener.kind);
    bool wrong = closes && is_wrong_closer(parser, token);
    Diag *diag = complain(parser, closes ? token->span : gap(parser),
                          wrong ? "expected '%c', but found %s" : "expected '%c' before %s", closer,
                          shown(parser, token));
    add_note(parser, diag, &opener);
    if (wrong) {
        token->kind = closer;
        return true;
    }
    insert(parser, closer);
    while (ends && (open = innermost(parser)) && open->kind != '{' &&
           parser_accepts(parser, closer_of(open->kind)) && !parser_accepts(parser, kind))
        insert(parser, closer_of(open->kind));
    return true;
}

static bool mend_missing_semicolon(Parser *parser, const Token *token)
{
    int kind = token->kind;
    bool word = kind == ID || kind == EXPECT;
    bool ends = kind == '}' || kind == END || starts_statement(kind);
    bool next = begins_line(parser, token) && (word || starts_item(kind));
    if (!parser_accepts(parser, ';') || (!ends && !next)) return false;
    complain(parser, gap(parser), "expected ';' after %s", shown(parser, &parser->last));
    insert(parser, ';');
    return true;
}

// At the end of the file, or at what can only be an item: the braces of the item before are open.
static bool mend_open_brace(Parser *parser, const Token *token)
{
    bool item = starts_item(token->kind) && token->span.column == 1;
    if (token->kind != END && !item) return false;
    if (!parser->nesting || !parser_accepts(parser, '}')) return false;
    Token opener = *innermost(parser);
    Diag *diag = complain(parser, token->kind == END ? gap(parser) : token->span,
                          "expected '}' before %s", shown(parser, token));
    add_note(parser, diag, &opener);
    while (parser->nesting && parser_accepts(parser, '}') && !parser->stopped) insert(parser, '}');
    return true;
}

static bool replace(Parser *parser, Token *token, int kind, const char *written)
{
    if (!parser_accepts(parser, kind)) return false;
    token->kind = kind;
    Diag *diag = complain(parser, token->span, "unexpected '%.*s'", STR_ARG(token->text));
    add_hint(parser, diag, written);
    return true;
}

// Words for items that other languages have, and misspelled ones.
static bool mend_item_word(Parser *parser, Token *token)
{
    static const struct {
        const char *text;
        int kind;
    } known[] = {
        {"kernel", KERNEL}, {"import", IMPORT}, {"shapes", SHAPES}, {"config", CONFIG},
        {"tune", TUNE},     {"test", TEST},     {"def", FN},        {"func", FN},
        {"function", FN},   {"const", LET},
    };
    if (!parser_accepts(parser, KERNEL)) return false;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (str_distance(token->text, str_of(known[k].text)) > (k < 6 ? 2 : 0)) continue;
        const char *word = known[k].kind == FN    ? "fn' or 'kernel"
                           : known[k].kind == LET ? "let"
                                                  : known[k].text;
        return replace(parser, token, known[k].kind,
                       str_format(parser->arena, "did you mean '%s'?", word).data);
    }
    return false;
}

static bool mend_wrong_token(Parser *parser, Token *token)
{
    if (token->kind == '=') return replace(parser, token, EQ, "equality is written ==");
    if (token->kind == EQ)
        return replace(parser, token, '=', "a value is given with =; == compares");
    if (token->kind != ID) return false;
    if (str_is(token->text, "and")) return replace(parser, token, ANDAND, "'and' is written &&");
    if (str_is(token->text, "or")) return replace(parser, token, OROR, "'or' is written ||");
    return mend_item_word(parser, token);
}

// One token too many: ';' behind a block, a ',' before a closer.
static bool drop_surplus(Parser *parser, const Token *token)
{
    if (token->kind != ';' || (parser->last.kind != '}' && parser->last.kind != ';')) return false;
    Diag *diag = complain(parser, token->span, "there is nothing that this ';' ends");
    add_hint(parser, diag, "remove it");
    return true;
}

static bool mend_missing_comma(Parser *parser, const Token *token)
{
    int last = parser->last.kind, kind = token->kind;
    bool ended = last == ID || last == INT || last == FLOAT || last == ')' || last == ']';
    bool begins = kind == ID || kind == INT || kind == FLOAT;
    if (!ended || !begins || begins_line(parser, token) || !parser_accepts(parser, ','))
        return false;
    complain(parser, gap(parser), "expected ',' between %s and %s", shown(parser, &parser->last),
             shown(parser, token));
    insert(parser, ',');
    return true;
}

// While the parser looks for the end of what went wrong, a ';' in parentheses is none: for (i = 0;
// ...) {
static bool hides(const Parser *parser, const Token *token)
{
    const Token *open = innermost(parser);
    return token->kind == ';' && parser_discards(parser) &&
           parser->nesting > parser->error_nesting && open->kind == '(' &&
           open->span.line == token->span.line;
}

void syntax_feed(Parser *parser, Token token)
{
    enum { MENDS_MAX = 4 };
    token.indent = begins_line(parser, &token) || !parser->last.indent ? token.span.column
                                                                       : parser->last.indent;
    if (hides(parser, &token)) return;
    for (int k = 0; k < MENDS_MAX && !parser_discards(parser) && !parser->stopped; k++) {
        token.kind = kind_by_place(parser, &token);
        if (parser_accepts(parser, token.kind)) break;
        if (drop_surplus(parser, &token)) return;
        if (!mend_open_bracket(parser, &token) && !mend_missing_semicolon(parser, &token) &&
            !mend_open_brace(parser, &token) && !mend_wrong_token(parser, &token) &&
            !mend_missing_comma(parser, &token))
            break;
    }
    if (parser->stopped) return;
    pass(parser, &token);
    if (parser->doubtful) parser->doubtful--;
}
