// A panel is packed on the way, by the first block of rows that reads it:
//
//   k { s = b }  m by 6 { k { acc += a * s } }
//     ->     k { s = b; acc += a * s }  m from 6 { k { acc += a * s } }
//
// so that memory brings it while there is something to compute, and one pass over it less is made.
// Only where all that reads it is one contraction, whose rows are of a known number; elsewhere a
// loop nest of its own packs it.
#include "passes/schedule/sched.h"

// The contraction that alone reads what `keep` packs: its rows' loop, beside the packing ones, goes
// over all of the panel in each turn, and over nothing else.
static Root *reader_of(const Sched *s, const Root *keep)
{
    const ValueState *state = &s->values[keep->value.i];
    if (state->users.count != 1) return NULL;
    Root *reader = s->roots.data[state->users.data[0]];
    if (!reader->contraction || reader->segment != keep->segment || reader->group) return NULL;
    const Node *rows = node_of_axis(reader->parent, reader->row);
    if (!rows || rows->vector || !rows->parent || !node_encloses(rows->parent, keep->parent))
        return NULL;
    AxisSet inside = reader->parent->opened & ~rows->parent->opened & ~axis_bit(reader->row);
    return inside == (keep->axes & ~rows->parent->opened) ? reader : NULL;
}

void first_rows_choose(Sched *s)
{
    for (uint32_t i = 0; i < s->roots.count; i++) {
        Root *root = s->roots.data[i];
        bool may = root->kind == ROOT_KEEP && root->on_the_way && !root->turned.i && !root->group &&
                   root->slot->dtype == value_dtype(s->tile, root->value);
        root->reader = may && !group_shares(s) ? reader_of(s, root) : NULL;
    }
}

static bool has_rows(const Sched *s, const Root *keep)
{
    return keep->reader && s->axes[keep->reader->row.i].size_const > 0;
}

bool first_rows_pack(const Sched *s, const Node *node)
{
    const Root *keep = s->roots.data[node->roots.data[0]];
    return node->roots.count == 1 && has_rows(s, keep);
}

bool first_rows_fill(Sched *s, const Node *rows, bool fills)
{
    bool any = false;
    for (uint32_t i = 0; i < s->roots.count; i++) {
        const Root *keep = s->roots.data[i];
        if (!has_rows(s, keep) || keep->reader->row.i != rows->axis.i ||
            !node_encloses(rows, keep->reader->parent))
            continue;
        s->values[keep->value.i].fills = fills;
        any = true;
    }
    return any;
}
