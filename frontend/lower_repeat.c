// serial for i in lo .. hi { nests }: the phases again for each i.
//
//   turns = (hi - lo + by - 1) / by;  repeat k (turns)  phases, with i = lo + k * by  again k
//
// k is an argument that the launch sets before each turn, so i is a scalar of the prologue as any
// other.
#include "frontend/lower.h"

typedef struct Range {
    Value lo, by, turns;
    bool reverse;
} Range;

static const int64_t TURNS_MAX = (int64_t)1 << 31;

static void build_prologue(Lower *l)
{
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    l->place = PLACE_PROLOGUE;
    l->mask = (Value){0};
}

static Value bound(Lower *l, Env *env, const Node *node, const char *what)
{
    Thing t = prologue_scalar(l, env, node, what);
    build_prologue(l);
    if (t.kind == THING_POISON) return (Value){0};
    if (dtype_is_int(thing_dtype(l, &t))) return thing_convert(l, t, DTYPE_I64);
    lower_error(l, DIAG_WRONG_TYPE, node->span, "%s must be an integer, this is %s", what,
                dtype_text(l, &t));
    return (Value){0};
}

static void require(Lower *l, Value ok, Span span, Str message)
{
    uint64_t known;
    if (value_const(l->f, ok, &known) && known) return;
    SiteInfo site = {.kind = SITE_REQUIRE, .span = span, .message = message};
    build_inst(&l->b, OP_REQUIRE,
               (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
}

static bool range_of(Lower *l, Env *env, const Node *bind, Range *r)
{
    const Node *range = bind->kids[0];
    if (range->kind != NODE_RANGE) {
        if (range->kind != NODE_ERROR)
            lower_error(l, DIAG_BAD_RANGE, bind->span, "'serial for' counts through one range");
        return false;
    }
    const Node *step = ast_kid(range, 2);
    build_prologue(l);
    r->lo = range->kids[0] ? bound(l, env, range->kids[0], "a bound") : build_i64(&l->b, 0);
    Value hi = bound(l, env, range->kids[1], "a bound");
    r->by = step ? bound(l, env, step, "a step") : build_i64(&l->b, 1);
    r->reverse = range->flags & NODE_FLAG_REVERSE;
    if (!r->lo.i || !hi.i || !r->by.i) return false;
    int64_t by;
    if (value_const_int(l->f, r->by, &by) && by < 1) {
        lower_error(l, DIAG_BAD_RANGE, step->span, "a step must be at least 1, this is %lld",
                    (long long)by);
        return false;
    }
    Value one = build_i64(&l->b, 1), zero = build_i64(&l->b, 0);
    require(l, build_op2(&l->b, OP_LE, one, r->by), bind->span, STR("a step must be at least 1"));
    int64_t lo;
    Value length = build_op2(&l->b, OP_SUB, hi, r->lo);
    const Inst *dim = value_def(l->f, hi);
    bool plain = value_const_int(l->f, r->lo, &lo) && lo == 0 && dim && dim->op == OP_DIM;
    if (!plain) length = build_op2(&l->b, OP_MAX, length, zero);
    Value up = build_op2(&l->b, OP_ADD, length, build_op2(&l->b, OP_SUB, r->by, one));
    r->turns = build_op2(&l->b, OP_DIV, up, r->by);
    require(l, build_op2(&l->b, OP_LE, r->turns, build_i64(&l->b, TURNS_MAX)), bind->span,
            STR("more than 2^31 turns"));
    return true;
}

static uint32_t new_argument(Lower *l, const Node *bind, Value *turn)
{
    ArgInfo info = {.name =
                        str_format(l->arena, "%.*s.turn%u", STR_ARG(bind->text), l->f->args.count),
                    .dtype = DTYPE_I64,
                    .span = bind->text_span};
    uint32_t arg = l->f->args.count;
    vec_push(l->f->arena, &l->f->args, info);
    Value none = build_i64(&l->b, 0);
    Type type = type_scalar(DTYPE_I64);
    InstId id = build_inst(&l->b, OP_ARG,
                           (BuildSpec){.args = &none,
                                       .arg_count = 1,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = arg}});
    *turn = inst_result(inst_at(l->f, id), 0);
    return arg;
}

static void marker(Lower *l, Op op, uint32_t arg, Value turns)
{
    Builder end = {l->f, l->f->body, {0}, l->b.span};
    build_inst(
        &end, op,
        (BuildSpec){.args = &turns, .arg_count = op == OP_REPEAT ? 1 : 0, .attr = {.ref = arg}});
}

void lower_repeat(Lower *l, Env *env, const Node *node)
{
    const Node *bind = node->kids[0];
    Range range = {0};
    Env *inner = env_new(l, env, false);
    bool ok = range_of(l, env, bind, &range);
    lower_at(l, node);
    if (!ok) {
        env_define(l, inner, bind->text, bind->text_span, thing_poison());
        lower_top_block(l, inner, node->kids[node->kid_count - 1]);
        phase_close(l);
        return;
    }
    Value turn, at;
    uint32_t arg = new_argument(l, bind, &turn);
    at = range.reverse ? build_op2(&l->b, OP_SUB,
                                   build_op2(&l->b, OP_SUB, range.turns, build_i64(&l->b, 1)), turn)
                       : turn;
    at = build_op2(&l->b, OP_ADD, range.lo, build_op2(&l->b, OP_MUL, at, range.by));
    marker(l, OP_REPEAT, arg, range.turns);
    env_define(l, inner, bind->text, bind->text_span, thing_value(at));
    l->repeat_depth++;
    lower_top_block(l, inner, node->kids[node->kid_count - 1]);
    l->repeat_depth--;
    phase_close(l);
    lower_at(l, node);
    marker(l, OP_AGAIN, arg, range.turns);
}
