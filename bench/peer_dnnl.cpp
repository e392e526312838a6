// oneDNN as a peer: matmul (f32, bf16, i8; bias, gelu and residual as post-ops; transposed or
// packed operands), softmax, layer_norm, eltwise, and attention made of two products and a softmax,
// which is what the library offers.
#include <dnnl.hpp>

#include <vector>

#include "bench/peer.h"

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;
using Type = memory::data_type;

static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
static dnnl::stream stream(engine);

struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> args;
};
using Steps = std::vector<Step>;

static void run(void *self)
{
    for (auto &step : *static_cast<Steps *>(self)) step.primitive.execute(stream, step.args);
    stream.wait();
}

// Filled with values that are no denormals in any type.
static memory filled(const memory::desc &desc)
{
    size_t bytes = desc.get_size();
    void *data = peer_alloc(bytes);
    if (desc.data_type() == Type::f32) {
        free(data);
        data = peer_floats(bytes / 4 + 1);
    } else {
        uint32_t state = 7;
        for (size_t k = 0; k + 1 < bytes; k += 2) {
            state = state * 1664525u + 1013904223u;
            uint16_t half = (uint16_t)(0x3f00 | ((state >> 20) & 0x7f)); // bf16 in 0.5 .. 1
            memcpy((char *)data + k, &half, 2);
        }
    }
    return memory(desc, engine, data);
}

static Type type_of(const char *name)
{
    return strcmp(name, "bf16") == 0  ? Type::bf16
           : strcmp(name, "u8") == 0  ? Type::u8
           : strcmp(name, "i8") == 0  ? Type::s8
           : strcmp(name, "i32") == 0 ? Type::s32
                                      : Type::f32;
}

static Steps matmul()
{
    int64_t m = peer_int("m", 1), n = peer_int("n", 1), k = peer_int("k", 1),
            batch = peer_int("batch", 1);
    Type in = type_of(peer_text("type", "f32")), out = type_of(peer_text("out", "f32"));
    Type left = in == Type::s8 ? Type::u8 : in;
    memory::desc a({batch, m, k}, left, peer_int("ta", 0) ? Tag::acb : Tag::abc);
    memory::desc b({batch, k, n}, in, peer_int("tb", 0) ? Tag::acb : Tag::abc),
        c({batch, m, n}, out, Tag::abc);
    if (peer_int("packed", 0)) b = memory::desc({batch, k, n}, in, Tag::any);
    dnnl::primitive_attr attr;
    dnnl::post_ops post;
    memory::desc bias({1, 1, n}, Type::f32, Tag::abc);
    bool fused = peer_int("fused", 0) != 0; // gelu(a b + bias) + residual
    if (fused) {
        post.append_eltwise(1.0f, dnnl::algorithm::eltwise_gelu_erf, 0, 0);
        post.append_binary(dnnl::algorithm::binary_add, c);
        attr.set_post_ops(post);
    }
    auto desc = fused ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    dnnl::matmul::primitive_desc pd(desc, attr, engine);
    Step step{dnnl::matmul(pd),
              {{DNNL_ARG_SRC, filled(a)},
               {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
               {DNNL_ARG_DST, filled(c)}}};
    if (fused) {
        step.args.insert({DNNL_ARG_BIAS, filled(bias)});
        step.args.insert({DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1, filled(c)});
    }
    return {step};
}

static Steps softmax()
{
    memory::desc x({peer_int("m", 1), peer_int("n", 1)}, type_of(peer_text("type", "f32")),
                   Tag::ab);
    dnnl::softmax_forward::primitive_desc pd({dnnl::prop_kind::forward_inference, x, 1}, engine);
    return {{dnnl::softmax_forward(pd), {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_DST, filled(x)}}}};
}

static Steps layer_norm()
{
    int64_t m = peer_int("m", 1), n = peer_int("n", 1);
    memory::desc x({m, n}, Type::f32, Tag::ab), row({m}, Type::f32, Tag::a),
        scale({n}, Type::f32, Tag::a);
    auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
    dnnl::layer_normalization_forward::primitive_desc pd(
        {dnnl::prop_kind::forward_inference, x, row, 1e-5f, flags}, engine);
    return {{dnnl::layer_normalization_forward(pd),
             {{DNNL_ARG_SRC, filled(x)},
              {DNNL_ARG_DST, filled(x)},
              {DNNL_ARG_SCALE, filled(scale)},
              {DNNL_ARG_SHIFT, filled(scale)}}}};
}

static Steps eltwise()
{
    memory::desc x({peer_int("n", 1)}, Type::f32, Tag::a);
    const char *op = peer_text("op", "exp");
    auto kind = strcmp(op, "gelu") == 0        ? dnnl::algorithm::eltwise_gelu_erf
                : strcmp(op, "gelu_tanh") == 0 ? dnnl::algorithm::eltwise_gelu_tanh
                : strcmp(op, "tanh") == 0      ? dnnl::algorithm::eltwise_tanh
                : strcmp(op, "swish") == 0     ? dnnl::algorithm::eltwise_swish
                                               : dnnl::algorithm::eltwise_exp;
    dnnl::eltwise_forward::primitive_desc pd(
        {dnnl::prop_kind::forward_inference, kind, x, 1.0f, 0.0f}, engine);
    return {{dnnl::eltwise_forward(pd), {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_DST, filled(x)}}}};
}

static Steps attention()
{
    int64_t b = peer_int("batch", 1), s = peer_int("s", 1), d = peer_int("d", 64);
    Type type = type_of(peer_text("type", "f32"));
    memory::desc q({b, s, d}, type, Tag::abc), kt({b, d, s}, type, Tag::acb),
        scores({b, s, s}, type, Tag::abc);
    dnnl::primitive_attr scaled;
    scaled.set_output_scales(0, {1.0f / sqrtf((float)d)});
    dnnl::matmul::primitive_desc first({q, kt, scores}, scaled, engine),
        second({scores, q, q}, engine);
    dnnl::softmax_forward::primitive_desc soft({dnnl::prop_kind::forward_inference, scores, 2},
                                               engine);
    memory between = filled(scores);
    return {{dnnl::matmul(first),
             {{DNNL_ARG_SRC, filled(q)}, {DNNL_ARG_WEIGHTS, filled(kt)}, {DNNL_ARG_DST, between}}},
            {dnnl::softmax_forward(soft), {{DNNL_ARG_SRC, between}, {DNNL_ARG_DST, between}}},
            {dnnl::matmul(second),
             {{DNNL_ARG_SRC, between}, {DNNL_ARG_WEIGHTS, filled(q)}, {DNNL_ARG_DST, filled(q)}}}};
}

int main(int argc, char **argv)
{
    peer_argc = argc, peer_argv = argv;
    const char *what = argc > 1 ? argv[1] : "";
    try {
        Steps steps = strcmp(what, "softmax") == 0      ? softmax()
                      : strcmp(what, "layer_norm") == 0 ? layer_norm()
                      : strcmp(what, "eltwise") == 0    ? eltwise()
                      : strcmp(what, "attention") == 0  ? attention()
                                                        : matmul();
        const dnnl_version_t *v = dnnl_version();
        char detail[64];
        snprintf(detail, sizeof detail, "%d.%d.%d", v->major, v->minor, v->patch);
        return peer_measure(run, &steps, detail);
    } catch (const dnnl::error &e) {
        fprintf(stderr, "oneDNN: %s\n", e.what());
        return 3;
    }
}
