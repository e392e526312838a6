// Plans the loops of a segment: roots are put, in program order, into a tree of loops, sharing
// loops wherever the dependences allow it.
//
//   max[n](x), sum[n](e), y[i, n] = ...   ->   i { n { max }  n { e, sum }  n { store } }
#include "passes/schedule/sched.h"

enum { CHAIN_ROWS = 8, PACK_STEPS = 8 };

bool node_encloses(const Node *node, const Node *inner)
{
    for (; inner; inner = inner->parent)
        if (inner == node) return true;
    return false;
}

Node *root_home(const Root *root)
{
    Node *node = root->parent;
    while (node && (node->opened & root->reduced)) node = node->parent;
    return node;
}

Node *node_of_axis(const Node *node, Axis a)
{
    for (; node; node = node->parent)
        if (node->axis.i == a.i) return (Node *)node;
    return NULL;
}

typedef struct Head {
    Axis axis;
    bool vector;
    uint32_t alone;
} Head;

static Head head_of(const Sched *s, uint32_t index, unsigned depth)
{
    const Root *root = s->roots.data[index];
    if (depth >= root->order_count) return (Head){{0}, false, 0};
    Axis axis = root->order[depth];
    bool alone = root->kind == ROOT_SEARCH || (root_computes(root) && root->kind != ROOT_REDUCE &&
                                               (root->reduced & axis_bit(axis)));
    return (Head){axis, axis.i == root->vector.i, alone ? index + 1 : 0};
}

static bool fits_head(const Node *node, Head head)
{
    return node && node->axis.i == head.axis.i && node->vector == head.vector &&
           node->alone == head.alone;
}

// Whether the root may stand in the child's loops. A group deals perfectly nested loops: there only
// with roots that have the same ones.
static bool may_join(const Sched *s, const Node *child, const Root *root, Head head)
{
    if (!fits_head(child, head)) return false;
    for (uint32_t i = 0; group_shares(s) && i < child->roots.count; i++) {
        const Root *other = s->roots.data[child->roots.data[i]];
        if ((other->axes & ~other->reduced) != (root->axes & ~root->reduced)) return false;
    }
    return true;
}

static bool child_has(const Sched *s, const Child *child, uint32_t root)
{
    if (!child->node) return child->root == root;
    (void)s;
    for (uint32_t i = 0; i < child->node->roots.count; i++)
        if (child->node->roots.data[i] == root) return true;
    return false;
}

// The first child in which `root` may stand: after what it depends on, or with it in a loop that
// both may share.
static uint32_t earliest(const Sched *s, const Node *node, const Root *root, Head head)
{
    uint32_t at = 0;
    for (uint32_t d = 0; d < root->deps.count; d++) {
        const Dep *dep = &root->deps.data[d];
        for (uint32_t c = 0; c < node->children.count; c++) {
            const Child *child = &node->children.data[c];
            if (!child_has(s, child, dep->root)) continue;
            bool shares =
                may_join(s, child->node, root, head) && (dep->sharable & axis_bit(head.axis));
            uint32_t from = shares ? c : c + 1;
            if (from > at) at = from;
        }
    }
    return at;
}

// Whether the products that read what is packed begin with the same loop, which they then may
// share.
static bool leads_readers(const Sched *s, const Root *keep, Axis axis)
{
    const ValueState *state = &s->values[keep->value.i];
    for (uint32_t i = 0; i < state->users.count; i++) {
        const Root *reader = s->roots.data[state->users.data[i]];
        if (!reader->order_count || reader->order[0].i != axis.i) return false;
    }
    return true;
}

static bool packs_all(const Sched *s, const Child *child)
{
    for (uint32_t i = 0; child->node && i < child->node->roots.count; i++)
        if (!s->roots.data[child->node->roots.data[i]]->packs) return false;
    return child->node != NULL;
}

static void place(Sched *s, Node *node, uint32_t index, Head head)
{
    Root *root = s->roots.data[index];
    uint32_t at = earliest(s, node, root, head);
    if (!head.axis.i) {
        root->parent = node;
        vec_push(s->arena, &node->children, (Child){NULL, index});
        return;
    }
    for (uint32_t c = at; c < node->children.count; c++) {
        Node *child = node->children.data[c].node;
        if (!may_join(s, child, root, head)) continue;
        vec_push(s->arena, &child->roots, index);
        return;
    }
    Node *child = arena_new(s->arena, Node);
    *child = (Node){.parent = node,
                    .axis = head.axis,
                    .vector = head.vector,
                    .alone = head.alone,
                    .opened = node->opened | axis_bit(head.axis)};
    vec_push(s->arena, &child->roots, index);
    vec_push(s->arena, &node->children, (Child){child, 0});
    if (!root->packs || group_shares(s)) return;
    // Packing early keeps the loops around its users whole; last of all what shares a loop with
    // them.
    while (leads_readers(s, root, head.axis) && at + 1 < node->children.count &&
           packs_all(s, &node->children.data[at]))
        at++;
    for (uint32_t c = node->children.count - 1; c > at; c--)
        node->children.data[c] = node->children.data[c - 1];
    node->children.data[at] = (Child){child, 0};
}

// How many accumulators a block may have. What is no product is not added in one instruction: each
// then has a value beside it.
static unsigned block_registers(const Sched *s, const Root *block)
{
    unsigned all = s->context->machine->vector_registers >= 32 ? 24 : 12;
    return block && block->pair_kind == PAIR_OTHER ? all / 2 : all;
}

// Vectors that all columns of a contraction's tile take, if they are few; else 0.
static int64_t few_vectors(const Sched *s, const Root *root)
{
    enum { MOST = 3 };
    int64_t lanes = s->lanes > 1 ? s->lanes : 1, vectors = 1;
    AxisSet columns = contraction_columns(s, root) & ~root->reduced;
    for (; columns; columns &= columns - 1) {
        Axis a = {(uint32_t)__builtin_ctzll(columns)};
        int64_t size = s->axes[a.i].size_max, step = a.i == root->vector.i ? lanes : 1;
        if (size < 0 || size > MOST * step) return 0;
        vectors *= (size + step - 1) / step;
    }
    return vectors <= MOST ? vectors : 0;
}

// Registers bound the block of a contraction: rows * vectors accumulators, a row of operands and
// one more.
static unsigned block_rows(const Sched *s, const Root *root, unsigned products)
{
    Axis row = root->row;
    int64_t size = s->axes[row.i].size_max, vectors = few_vectors(s, root);
    int64_t rows = products > 1 ? 4 : 6, few = s->context->machine->vector_registers / 4;
    if (products == 1 && size > rows && size <= few) rows = size; // all at once
    if (products == 1 && vectors && !root->group && block_registers(s, root) / vectors > rows)
        rows = block_registers(s, root) / vectors;
    rows = config_get_axis(s->context->config, "unroll", axis_at(s->tile, row)->name, rows);
    if (size > 0 && rows > size) rows = size;
    return rows < 1 ? 1 : (unsigned)rows;
}

// Of products with lanes along the reduced axis: as many rows as columns or, where either are few,
// all of these and as many of the others as registers hold.
static unsigned square_rows(const Sched *s, const Root *root, Axis a, unsigned products)
{
    enum { FEW = 8 };
    int64_t size = s->axes[a.i].size_max, registers = block_registers(s, root);
    int64_t other = s->axes[a.i == root->row.i ? root->column.i : root->row.i].size_max;
    int64_t rows = products == 1 && s->context->machine->vector_registers >= 32 ? 4 : 2;
    if (products == 1 && size > rows && size <= FEW && size <= other)
        rows = size;
    else if (products == 1 && other > rows && other <= FEW)
        rows = registers / other;
    rows = config_get_axis(s->context->config, "unroll", axis_at(s->tile, a)->name, rows);
    return size > 0 && rows > size ? (unsigned)size : (unsigned)rows;
}

// How many products of a node's roots are in one inner loop with this one, and share its registers.
static unsigned companions(const Sched *s, const Node *node, const Root *root)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *other = s->roots.data[node->roots.data[i]];
        n += other->contraction && other->row.i == root->row.i &&
             other->vector.i == root->vector.i && other->reduced == root->reduced;
    }
    return n;
}

// A scan without lanes is a chain of dependent steps: several rows hide its latency.
static bool chains_rows(const Root *root, Axis a)
{
    if (root->kind != ROOT_COMBINE || root->vector.i) return false;
    for (unsigned k = 0; k + 1 < root->order_count; k++)
        if (root->order[k].i == a.i && !(root->reduced & axis_bit(a)))
            return (root->reduced & axis_bit(root->order[k + 1])) != 0;
    return false;
}

static unsigned chain_rows(const Sched *s, Axis a)
{
    int64_t size = s->axes[a.i].size_max, rows = CHAIN_ROWS;
    rows = config_get_axis(s->context->config, "unroll", axis_at(s->tile, a)->name, rows);
    return size > 0 && rows > size ? (unsigned)size : (unsigned)rows;
}

// Both factors vary along the lanes, which are so many products of their own: a vector serves no
// other vector, but other rows and other columns.
static bool is_batch(const Sched *s, const Root *root)
{
    AxisSet both = value_axes(s->tile, root->pair[0]) & value_axes(s->tile, root->pair[1]);
    return (both & axis_bit(root->vector)) != 0;
}

// Where the lanes' axis is too short for the block's vectors, columns of a further axis.
static unsigned more_columns(const Sched *s, const Node *node, const Root *root)
{
    if (!root->contraction || root->column.i || node->axis.i == root->row.i) return 1;
    if (!(contraction_columns(s, root) & ~root->reduced & axis_bit(node->axis))) return 1;
    unsigned lanes = s->lanes > 1 ? s->lanes : 1, products = companions(s, node, root);
    int64_t size = s->axes[node->axis.i].size_max, vectors = s->axes[root->vector.i].size_max;
    if (is_batch(s, root)) vectors = 1;
    if (vectors < 1) return 1;
    vectors = (vectors + lanes - 1) / lanes;
    int64_t count = block_registers(s, root) / (block_rows(s, root, products) * products) / vectors;
    const Str name = axis_at(s->tile, node->axis)->name;
    count = config_get_axis(s->context->config, "unroll", name, count);
    if (size > 0 && count > size) count = size;
    return count < 1 ? 1 : (unsigned)count;
}

static bool has_groups(const Sched *s, const Node *node)
{
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        if (root->group && root->group_axis.i == node->axis.i) return true;
    }
    return false;
}

// The axes of results along which a group's loops run: all roots of a node have the same. Packing
// copies as much at once as products use.
static AxisSet result_axes(const Sched *s, const Node *node)
{
    const Root *first = s->roots.data[node->roots.data[0]];
    return first->packs ? ~(AxisSet)0 : first->axes & ~first->reduced;
}

// Rows that are neighbours in memory, brought together for each of the reduced indices: of several
// indices at once, so that whole lines are written before they leave the cache.
static bool packs_across(const Root *root, Axis a)
{
    return root->packs && !root->vector.i && root->slot && root->slot->panel_axis.i &&
           root->slot->panel_axis.i != a.i && root->order_count > 1 &&
           root->order[root->order_count - 2].i == a.i;
}

static unsigned pack_steps(const Sched *s, Axis a)
{
    int64_t size = s->axes[a.i].size_max;
    return size >= 0 && size < PACK_STEPS ? (unsigned)(size < 1 ? 1 : size) : PACK_STEPS;
}

static unsigned row_count(const Sched *s, const Node *node)
{
    if (node->alone) return 1;
    unsigned products = 0, columns = 1,
             shared = group_count(s, node->axis, 1, result_axes(s, node));
    bool dots = false;
    const Root *block = NULL;
    if (shared) return shared;
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        if (root->turned.i && root->turned.i == node->axis.i) return s->lanes;
        if (chains_rows(root, node->axis)) return chain_rows(s, node->axis);
        if (root->group && root->group_axis.i == node->axis.i) return root->group;
        if (packs_across(root, node->axis)) return pack_steps(s, node->axis);
        bool row = root->row.i == node->axis.i, column = root->column.i == node->axis.i;
        unsigned more = more_columns(s, node, root);
        if (more > columns) columns = more;
        if (!root->contraction || !(row || column)) continue;
        unsigned n = companions(s, node, root);
        if (n > products) products = n, block = root;
        dots |= root->column.i != 0;
    }
    if (!products) return columns;
    return dots ? square_rows(s, block, node->axis, products) : block_rows(s, block, products);
}

static float root_cost(Sched *s, const Root *root)
{
    if (root->kind == ROOT_KEEP || root->kind == ROOT_CARRY) return value_cost(s, root->value);
    const Inst *in = inst_at(s->tile, root->inst);
    return in->arg_count ? value_cost(s, inst_arg(s->tile, in, 0)) : 0;
}

static unsigned root_group(Sched *s, const Root *root, Axis a)
{
    if (!root->inst.i) return coarse_group(s, root->value, a);
    const Inst *in = inst_at(s->tile, root->inst);
    return in->arg_count ? coarse_group(s, inst_arg(s->tile, in, 0), a) : 1;
}

static unsigned vector_count(Sched *s, const Node *node)
{
    unsigned rows = 1, products = 0, lanes = s->lanes > 1 ? s->lanes : 1;
    unsigned shared = group_count(s, node->axis, lanes, result_axes(s, node));
    if (shared) return shared;
    for (const Node *up = node->parent; up; up = up->parent) rows *= up->count ? up->count : 1;
    const Root *inner = NULL, *block = NULL; // inner: whose rows this node's loop goes around
    float cost = 0;
    unsigned group = 1;
    bool across = false; // each row gives as many vectors: more of its consecutive lines
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        unsigned n = root->contraction ? companions(s, node, root) : 0;
        if (n > products) products = n, block = root;
        unsigned own = root_group(s, root, node->axis);
        if (own > group && own <= 4) group = own;
        across |= root->kind == ROOT_REDUCE && !(root->reduced & axis_bit(node->axis));
        if (root->contraction && !node_of_axis(node->parent, root->row)) inner = root;
        if (!root->contraction) cost += root_cost(s, root);
    }
    if (inner) rows *= block_rows(s, inner, products);
    unsigned registers = block_registers(s, block);
    unsigned count = cost > 8 ? 2 : across ? 8 : 4;
    if (group_shares(s)) count = 1;   // neighbours are other work-items
    if (count < group) count = group; // so many vectors share one
    if (products)
        count = registers / (rows * products);
    else if (rows > 1)
        count = 1;
    if (count > 4 && rows > 1) count = 4;
    int64_t exact = s->axes[node->axis.i].size_const / lanes;
    for (unsigned fit = count; products && exact > count && fit * 2 > count; fit--)
        if (exact % fit == 0) { // no remainder's code, nor its time
            count = fit;
            break;
        }
    if (count > 8) count = 8;
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        bool update = root->kind == ROOT_ATOMIC;
        if (update && !s->owner[inst_at(s->tile, root->inst)->attr.ref].i)
            return 1; // each lane of one is code of its own
    }
    const Str name = axis_at(s->tile, node->axis)->name;
    count = (unsigned)config_get_axis(s->context->config, "vectors", name, count);
    int64_t size = s->axes[node->axis.i].size_max;
    if (size > 0 && count > (uint64_t)(size + lanes - 1) / lanes)
        count = (unsigned)((size + lanes - 1) / lanes);
    return count < 1 ? 1 : count;
}

static void grow(Sched *s, Node *node, unsigned depth)
{
    node->groups = node->axis.i && has_groups(s, node);
    if (node->axis.i) node->count = node->vector ? vector_count(s, node) : row_count(s, node);
    for (uint32_t i = 0; i < node->roots.count; i++) {
        uint32_t index = node->roots.data[i];
        place(s, node, index, head_of(s, index, depth));
    }
    for (uint32_t c = 0; c < node->children.count; c++)
        if (node->children.data[c].node) grow(s, node->children.data[c].node, depth + 1);
}

void tree_build(Sched *s, Segment *segment)
{
    Node *tree = arena_new(s->arena, Node);
    for (uint32_t i = 0; i < segment->roots.count; i++)
        vec_push(s->arena, &tree->roots, segment->roots.data[i]);
    segment->tree = tree;
    grow(s, tree, 0);
}
