// What the lowering from the syntax tree to Tile IR shares: what names stand for, the state of the
// walk, and the functions of its files. Only the frontend includes this.
//
// The walk elaborates: it carries an environment from names to Things, inlines functions, and emits
// instructions as it goes. Errors give a poisoned Thing, which silences followers.
#ifndef HK_FRONTEND_LOWER_H
#define HK_FRONTEND_LOWER_H

#include "frontend/frontend.h"

typedef enum ThingKind {
    THING_POISON, // after an error
    THING_VALUE,  // an SSA value; literals are constants marked untyped
    THING_AXIS,
    THING_PACK,   // one axis; those of `tile i in ..P`
    THING_DIMS,   // ..P itself
    THING_TENSOR, // a tensor, or with `given` indices a view of one
    THING_VAR,
    THING_FUNCTION, // fn or lambda
    THING_BUILTIN,
    THING_TYPE,
    THING_TUPLE,
    THING_TEXT,
    THING_DEFERRED, // evaluated where it is used
} ThingKind;

typedef enum Presence { PRESENCE_PLAIN, PRESENCE_GIVEN, PRESENCE_DEFAULT } Presence;

typedef struct AxisNote AxisNote;
typedef struct Pack Pack;
typedef struct Dims Dims;
typedef struct Tensor Tensor;
typedef struct Variable Variable;
typedef struct Function Function;
typedef struct Tuple Tuple;
typedef struct Deferred Deferred;
typedef struct Builtin Builtin;

typedef struct Thing {
    ThingKind kind;
    DType dtype;    // TYPE
    bool untyped;   // VALUE: a literal (i64 or f64) that takes the type of what it meets
    bool loose;     // FUNCTION, BUILTIN: a parameter, which ignores surplus arguments
    Presence presence; // VALUE: of an optional scalar
    uint32_t phase; // VALUE, VAR: of which phase; 0: any
    Value value;
    union {
        AxisNote *axis;
        Pack *pack;
        Dims *dims;
        Tensor *tensor;
        Variable *var;
        Function *function;
        const Builtin *builtin;
        Tuple *tuple;
        Deferred *deferred;
        const Node *text;
    };
} Thing;

typedef struct Name {
    Str name;
    Thing thing;
    Span span;
} Name;

// A scope. Names shadow nothing up to the kernel or function (`wall`); outside are the file's
// names.
typedef struct Env Env;
struct Env {
    VEC(Name) names;
    Env *parent;
    bool wall;
};

typedef struct Carry { // of a scan that goes on from tile to tile: a value that the loop carries
    Value init, now, next;
} Carry;

struct AxisNote {
    Axis axis;
    Str name;         // as written
    Value index;      // of a `for` with a step; {0}: OP_INDEX
    Value lo, hi;     // as written; they may vary along `outer`
    Value first, end; // scalars: the hull
    Value step;       // of a `for` with `by`, or {0}
    AxisSet outer;    // what the bounds vary along, and what those axes' bounds do
    AxisNote *twin;   // of a twin: the first of its kind; else NULL
    AxisNote *tile;   // of a twin of a tile: that tile; NULL: none
    AxisNote *within; // the tile whose current block it runs over, as a twin does; NULL: none
    Value mask;       // which pairs are in range; {0}: all
    AxisKind kind;
    bool scalar;
    bool reverse;       // of a loop ...
    Region body;        // ... whose statements stand here ...
    VEC(Carry) carries; // ... and use these
    Span span;
};

struct Pack {
    uint32_t count;
    AxisNote *axes[RANK_MAX];
};

struct Dims { // sizes behind ..P
    uint32_t count;
    Value sizes[RANK_MAX];
    Str names[RANK_MAX];
};

enum { SPLIT_MAX = 4 };

struct Tensor {
    Str name;
    Mem mem; // {0}: absent
    DType dtype;
    uint8_t rank;
    bool writable;
    bool absent; // an optional one that was not given
    bool output;
    Value fallback; // an absent input's default; {0}: none
    Value sizes[RANK_MAX];
    uint8_t part_count[RANK_MAX]; // of a split dimension; 0: plain
    Value parts[RANK_MAX][SPLIT_MAX];
    bool view; // with fewer indices than dimensions, or slices
    uint8_t given_count;
    Value given[RANK_MAX]; // its indices, {0}: still to be given ...
    Value from[RANK_MAX];  // ... and then counted from here, within `sizes`; {0}: no slice
    uint32_t phase; // a view: of which phase
};

struct Variable {
    Str name;
    DType dtype; // may be a storage type: assignments round
    AxisSet axes;
    Value now;
    Value mask; // the path condition where it was declared
    uint32_t live_count;
    Span span;
};

struct Function {
    const Node *node; // FUNCTION or LAMBDA
    Env *env;
};

struct Tuple {
    uint32_t count;
    Thing *items;
};

struct Deferred {
    const Node *node; // an expression, or a BIND for an axis
    Env *env;
    Str name;
    uint32_t phase;                // where `thing` holds; 0: nowhere yet
    uint32_t aside;                // the trial in which `trial_thing` holds
    uint32_t part;                 // from 1: which item of a tuple; 0: all of it
    bool busy, constant, reported; // constant: of a file
    bool known;                    // a constant that was evaluated: its type and bits
    uint64_t bits;
    Thing thing, trial_thing;
};

typedef enum BuiltinRule {
    BUILTIN_MATH,     // of floats; integers become f32 first
    BUILTIN_NUMBER,   // of any number, kept
    BUILTIN_ROUNDING, // nothing for integers
    BUILTIN_INTEGER,  // of integers only
    BUILTIN_TEST,     // of a float, gives bool
    BUILTIN_PAIR,     // of two or more, folded from the left
    BUILTIN_QUOTIENT, // cdiv, floordiv, mod
    BUILTIN_TYPE,     // of types
    BUILTIN_SPECIAL,  // a case of its own in builtin_special
    BUILTIN_LATER     // not supported yet
} BuiltinRule;

struct Builtin {
    const char *name;
    uint8_t least, most;
    BuiltinRule rule;
    Op op;
};

typedef enum AxisForm {
    FORM_REDUCTION,
    FORM_SCAN,
    FORM_EDGE,   // first, last
    FORM_SORT,   // sort, argsort, topk
    FORM_CALLED, // reduce, scan: name[axes](f)(values)
    FORM_SEARCH  // lower_bound
} AxisForm;

typedef struct AxisBuiltin {
    const char *name;
    AxisForm form;
    ReduceKind kind;
} AxisBuiltin;

typedef enum Place {
    PLACE_PROLOGUE, // scalar arithmetic alone
    PLACE_TRIAL,    // a top-level let: is it scalar arithmetic?
    PLACE_PHASE
} Place;

typedef struct Live { // lanes whose dependent range goes on
    Axis axis;
    Value value;
} Live;

typedef struct Kept { // a value of one phase that others use: in a workspace
    Value value, loaded;
    Mem mem;
    uint32_t phase; // in which it is `loaded`
} Kept;

typedef struct ViewRead { // of a view of what the kernel may write
    Mem mem;
    uint32_t phase;
    Span span;
} ViewRead;

typedef struct Fill { // a tensor that a phase fills before others run
    const Tensor *tensor;
    Value value;
} Fill;

typedef struct DataGuard { // an `if` around nests on what tensors hold
    Thing condition;
    bool holds;
} DataGuard;

typedef struct IfCarry {
    AxisNote *note;
    uint32_t index;  // of its carries
    uint32_t branch; // that changes it
} IfCarry;

// A scalar `if` whose branches are being lowered: scans in them that carry on over the tiles of a
// loop around hand their states out.
typedef struct OpenIf {
    struct OpenIf *up;
    Region outer, branch, regions[2]; // where it stands; the branch that is open
    VEC(IfCarry) carries;
} OpenIf;

typedef struct CallFrame {
    const struct CallFrame *up;
    const Node *function;
    Span span;
} CallFrame;

typedef struct Lower {
    Arena *arena;
    Module *module;
    DiagList *diags;
    const InstanceSpec *spec;
    Func *f;
    Builder b;
    Env *file;          // names of all files
    Value mask;         // the path condition, {0}: always
    AxisSet bound;      // axes that reductions around bind anew
    AxisSet folded;     // axes of the indices that a fold around writes to
    AxisSet summed;     // those among what they depend on that its value reduced
    AxisNote *axes[64]; // by Axis.i
    VEC(Live) live;
    Place place;
    bool writes, reads_written, effects; // what a trial met
    uint32_t phase;                      // number of the phase that is open, 0: none
    Region phase_region;
    InstId first_phase;
    Value guard; // of a scalar `if` at top level
    VEC(DataGuard) data_guards;
    Value phase_guard; // what those say, in the open phase; {0}: nothing
    VEC(Kept) kept;
    VEC(ViewRead) view_reads;
    VEC(Fill) fills;
    uint32_t repeat_depth; // of `serial for` around
    const CallFrame *call;
    uint32_t depth, call_count; // of inlined calls
    OpenIf *open_if;
    uint32_t unrolls;           // in a function that combines: its loops are written out
    uint32_t phase_count;       // phases and trials so far
    uint32_t open_phase;        // the phase that is open, also during a trial
    bool aside;                 // something of the top level is tried, as if in a phase of its own
    uint32_t deferred_count;    // deferred things evaluated in phases
    Span span;                  // overrides places: the call of a library function; line 0: none
    uint32_t kernel_depth;
    bool returned;
    Thing result;
    uint32_t errors_before;
    bool failed;
    bool dropped;     // what is lowered is checked only
    bool stopped;     // too large: nothing more is emitted
    bool quiet;       // diagnostics were given already
    VEC(Str) unknown; // names reported once
    Diag *spare;      // what suppressed diagnostics write to
} Lower;

// ---- scope.c
Env *env_new(Lower *l, Env *parent, bool wall);
const Name *env_find(const Env *env, Str name);
const Name *env_find_callable(const Env *env, Str name); // functions and types only
void env_define(Lower *l, Env *env, Str name, Span span, Thing thing);
Diag *lower_error(Lower *l, DiagCode code, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void lower_hint(Lower *l, Diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
Thing lower_unsupported(Lower *l, Span span, const char *what);
// Whether there was something to say about what the name may mean.
void lower_hint_member(Lower *l, Diag *diag, Str name); // x.name
bool lower_hint_foreign(Lower *l, Diag *diag, const Env *env, Str name, const char *what);
Thing lower_unknown(Lower *l, const Env *env, const Node *name, const char *what);
bool lower_failed(const Lower *l);
Str axes_text(Lower *l, AxisSet axes);      // {m, n}
const char *thing_text(const Thing *thing); // "a tensor"

// ---- types.c
const Builtin *builtin_find(Str name);
const AxisBuiltin *axis_builtin_find(Str name);
void builtin_suggest(Str name, Str *best, size_t *distance);
bool type_in_class(DType t, Str class_); // f32 in "float", bf16 in "bf16"
DType type_of_class(Str class_);         // what stands for a class when nothing is known
bool class_known(Str class_);
DType lower_type(Lower *l, Env *env, const Node *type); // DTYPE_NONE after an error
Thing type_call(Lower *l, Span span, const Builtin *builtin, const Thing *args, uint32_t count);

// ---- lower_const.c: literals, types of operands
Thing thing_value(Value v);
Thing thing_poison(void);
Thing literal_int(Lower *l, int64_t x);
Thing literal_float(Lower *l, double x);
Thing literal_bool(Lower *l, bool x);
DType thing_dtype(const Lower *l, const Thing *t);
AxisSet thing_axes(const Lower *l, const Thing *t);
bool thing_const(const Lower *l, const Thing *t, uint64_t *bits);
const char *dtype_text(const Lower *l, const Thing *t);
Thing thing_settle(Lower *l, Thing t);            // a literal that met nothing: i64 or f32
Value thing_convert(Lower *l, Thing t, DType to); // between arithmetic types; literals exactly
bool lower_operands(Lower *l, Span span, Thing *a, Thing *b); // the same type for both
bool lower_coerce(Lower *l, Thing *t, DType to, Span span,
                  const char *what);            // as what `what` of dtype `to` holds
Value lower_round(Lower *l, Value v, DType to); // through a storage type, in place
bool lower_const_int(Lower *l, Env *env, const Node *node, int64_t *x, const char *what);

// ---- lower_expr.c
Thing lower_expr(Lower *l, Env *env, const Node *node);
Thing lower_value(Lower *l, Env *env, const Node *node); // VALUE or POISON
Thing thing_as_value(Lower *l, Thing thing, const Node *node);
Thing lower_integer(Lower *l, Env *env, const Node *node, const char *what); // i64
Thing lower_scalar(Lower *l, Env *env, const Node *node, const char *what);
bool lower_bool(Lower *l, Thing *t, Span span, const char *what);
Thing lower_binary(Lower *l, BinaryOp op, Thing a, Thing b, Span span);
Thing thing_resolve(Lower *l, Env *env, const Name *name, const Node *node);
void lower_at(Lower *l, const Node *node);

// ---- lower_call.c
Thing lower_call(Lower *l, Env *env, const Node *node);
Thing call_thing(Lower *l, Thing f, const Thing *args, uint32_t count, const Thing *axes,
                 uint32_t axis_count, const Node *node);
Thing lower_cast(Lower *l, Thing v, DType to, Span span);

// ---- lower_builtin.c
Thing call_builtin(Lower *l, const Builtin *builtin, bool loose, const Thing *args, uint32_t count,
                   const Node *node);
Thing lower_pair(Lower *l, Op op, Thing a, Thing b, Span span);
Thing lower_nearest(Lower *l, Thing type, Thing v, Span span);
Thing lower_bitcast(Lower *l, Thing type, Thing v, Span span);
void lower_check_divisor(Lower *l, Value a, Value b);

// ---- lower_reduce.c
typedef struct AxisItems {
    VEC(Thing) things; // AXIS or PACK, as written
    VEC(AxisNote *) axes;
    bool exclusive, reverse, descending, failed;
} AxisItems;
AxisItems lower_axis_items(Lower *l, Env *env, Env *inner, const Node *args);
bool reduction_axes_fit(Lower *l, AxisItems *items, const char *name, bool ordered,
                        const Node *node);
// Whether no axis that is left has a range that varies along those reduced; else an error.
bool lower_closed(Lower *l, AxisSet left, AxisSet axes, Value *mask, Span span);
Thing lower_axis_call(Lower *l, Env *env, const AxisBuiltin *builtin, const Node *node);
Value build_reduce(Lower *l, ReduceKind kind, AxisSet axes, Value v, Value mask, uint8_t flags);

// ---- lower_combine.c, lower_sort.c
Thing lower_scan(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node);
Thing lower_edge(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node);
Thing lower_combine_call(Lower *l, Env *env, const Node *node);
Thing lower_search(Lower *l, Env *env, Env *inner, const AxisItems *items, const Node *node);
Thing lower_sort(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node);

// ---- lower_axis.c
AxisSet axes_closure(const Lower *l, AxisSet axes);
Value lanes_for(
    Lower *l, AxisSet lanes,
    AxisSet keep); // when lanes over `lanes` take part, over axes in `keep`; {0}: always
Value lanes_and(Lower *l, Value a, Value b);
Value lanes_not(Lower *l, Value a);
Value lanes_any(Lower *l, Value mask, AxisSet keep);
void lanes_bind(Lower *l, AxisSet axes); // a reduction binds them anew: any lane of them counts
typedef struct Bind {
    Str name;
    Span span;
    const Node *range; // RANGE, or NULL: 0 .. size
    Value size;
    Str pack;            // set on the last of a pack: its name is defined behind it
    uint32_t pack_count; // how many binds before and with this one are the pack's
    bool is_pack;
} Bind;
typedef struct Binds {
    VEC(Bind) items;
    bool failed;
} Binds;
Binds binds_flatten(Lower *l, Env *env, const Node *list, uint32_t count);
// Evaluates the range where the builder stands: a new axis. NULL after an error.
AxisNote *axis_open(Lower *l, Env *env, const Bind *bind, AxisKind kind, bool scalar, Value *by);
void axis_mask(Lower *l, AxisNote *note);        // inside the axis: who is in range
Value axis_live(Lower *l, const AxisNote *note); // {0}: all
void binds_define(Lower *l, Env *env, const Binds *binds, uint32_t k, AxisNote *const *opened);
void lower_axis_statement(Lower *l, Env *env, const Node *node);
Thing lower_member(Lower *l, Env *env, const Node *node);
Value axis_index(Lower *l, const AxisNote *note);
Value axis_tile_info(Lower *l, const AxisNote *note, TileInfo kind);
bool axis_is_free(const Lower *l, const AxisNote *note); // a tile without `by`, or its twin
bool axes_are_twins(const AxisNote *a, const AxisNote *b);
Value axis_length(Lower *l, const AxisNote *note); // indices in the current tile, in range
AxisNote *axis_declare(Lower *l, Env *env, const Bind *bind); // whole, with its OP_AXIS

// ---- lower_index.c
Thing lower_subscript(Lower *l, Env *env, const Node *node);
Thing lower_load(Lower *l, Tensor *tensor, const Value *indices, const Node *node);
// Tensor and indices that a store goes to. False after an error.
bool lower_target(Lower *l, Env *env, const Node *target, Tensor **tensor, Value *indices);
typedef struct TensorAccess { // an element that is written
    Tensor *tensor;
    Value indices[RANK_MAX];
    AxisSet lanes, have; // of the indices; with what those depend on
    const char *what;
} TensorAccess;
bool lower_access(Lower *l, Env *env, const Node *target, TensorAccess *access);
void lower_store(Lower *l, Env *env, const Node *assign);
void lower_fold(Lower *l, Env *env, const Node *assign);

// ---- lower_local.c: local values at other indices
Thing lower_local(Lower *l, Env *env, Thing local, const Node *node); // p[j = l]
// x[i = r] = v for the variable x: its new value; POISON after an error.
Thing lower_local_set(Lower *l, Env *env, const Variable *var, const Node *assign);

Thing lower_combined(Lower *l, const Node *node, Thing old, Thing v);
bool lower_left_over(Lower *l, const Thing *v, AxisSet have, Span span, const char *what,
                     bool is_var); // true: an error

// ---- lower_atomic.c
Thing lower_atomic(Lower *l, Env *env, const Node *node, bool wants_old); // the old value

// ---- lower_stmt.c
void lower_block(Lower *l, Env *env, const Node *block);
void lower_statement(Lower *l, Env *env, const Node *node);
void lower_let(Lower *l, Env *env, const Node *node, Thing thing);
void lower_var(Lower *l, Env *env, const Node *node);
void lower_tune(Lower *l, Env *env, const Node *node);

// ---- lower_flow.c
void lower_if(Lower *l, Env *env, const Node *node, Thing condition);
void lower_loop(Lower *l, Env *env, const Node *node);
// Whether only scalar conditions stand between here and the body of the loop; the state that is
// the next one here goes through them.
bool carry_reaches(const Lower *l, const AxisNote *note);
void carry_through(Lower *l, AxisNote *note, uint32_t index);
void lower_while(Lower *l, Env *env, const Node *node);

// ---- lower_repeat.c
void lower_repeat(Lower *l, Env *env, const Node *node); // serial for i in range { nests }

// ---- lower_kernel.c
void lower_top_block(Lower *l, Env *env, const Node *block);
void lower_kernel_body(Lower *l, Env *env, const Node *block);
Thing lower_deferred(Lower *l, Deferred *deferred, const Node *use);
void phase_close(Lower *l);
// ---- lower_between.c
// A value of another phase as the open one has it; false: it varies along other than whole axes of
// the top level, whose sizes the launch knows.
bool lower_kept(Lower *l, Env *env, Thing *thing, const Node *node);
bool lower_kept_view(Lower *l, Env *env, Thing *thing, const Node *node); // its indices
Value lower_data_guard(Lower *l);        // at the head of the open phase
void lower_fold_starts(Lower *l);
void lower_check_views(Lower *l, Region phase); // of the open phase
// A scalar that the launch computes before any phase; POISON after an error.
Thing prologue_scalar(Lower *l, Env *env, const Node *node, const char *what);
typedef struct Trial { // code that may be thrown away, or moved
    Builder saved;
    Place place;
    bool writes, reads_written, effects;
    uint32_t axis_count, site_count, deferred_count;
    Value mask;
} Trial;
Region trial_begin(Lower *l, Trial *trial);
void trial_end(Lower *l, Trial *trial);
void trial_drop(Lower *l, const Trial *trial, Region region); // forgets its axes and sites too
void trial_hoist(Lower *l, Region region);                    // to the prologue

// ---- params.c, templates.c, instantiate.c
typedef struct Given { // what a parameter is bound to
    Str name;
    bool present;
    bool known; // dtype and rank are
    DType dtype;
    uint32_t rank;
    Thing thing; // of an inlined kernel: a TENSOR or VALUE; else POISON
} Given;
typedef struct Binding {
    const Node *kernel;
    Env *env;
    Given *params, *results; // in order
    bool inlined;            // by another kernel
    const Node *site;        // the INSTANCE or CALL_KERNEL
    Thing *templates;        // given ones, POISON: not given
} Binding;
bool templates_bind(Lower *l, Binding *binding);
bool params_bind(Lower *l, Binding *binding);
void kernel_lower(Lower *l, Binding *binding);
void lower_instance(Lower *l, Env *env, const Node *instance);
bool tensor_shape(Lower *l, Env *env, const Node *dims, Tensor *tensor); // sizes, in the prologue
Value tensor_init(Lower *l, Env *env, const Node *init, const Tensor *tensor); // {0}: an error
void tensor_start(Lower *l, const Tensor *t, Value v);
void tensor_declare(Lower *l, const Tensor *tensor); // its OP_TENSOR, in the prologue
Thing define_parse(Lower *l, Str name, Str value);
Env *file_env(Lower *l);
bool module_has_tunable(const Module *module, const Node *kernel, Str name);
void tune_value(Lower *l, Env *env, const Node *tune, Tunable *tunable);

#endif
