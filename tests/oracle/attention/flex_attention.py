"""Attention with score and mask functions over lists of key blocks, query by query and key by key."""
import numpy as np
from case import Case, generator, rounded, wide


def lists(rng, mask, B, H, S, L, BM, BN, density):
    """Lists of the full and the partial key blocks of each block of queries; some blocks are dropped."""
    R, C = -(-S // BM), -(-L // BN)
    allowed = np.broadcast_to(mask(np.arange(S)[:, None], np.arange(L)[None, :]), (S, L))
    out = {f"{kind}_{what}": np.zeros((B, H, R) + ((C,) if what == "block" else ()), np.int32)
           for kind in ("full", "part") for what in ("count", "block")}
    for b, h, r, c in np.ndindex(B, H, R, C):
        block = allowed[r * BM:(r + 1) * BM, c * BN:(c + 1) * BN]
        if block.any() and rng.random() <= density:
            kind = "full" if block.all() else "part"
            out[kind + "_block"][b, h, r, out[kind + "_count"][b, h, r]] = c
            out[kind + "_count"][b, h, r] += 1
    return out


def reference(q, k, v, listed, score, mask, BM, BN):
    q, k, v = wide(q), wide(k), wide(v)
    (B, H, S, D), G, L = q.shape, k.shape[1], k.shape[2]
    o, lse = np.zeros((B, H, S, v.shape[-1])), np.full((B, H, S), -np.inf)
    for b, h, m in np.ndindex(B, H, S):
        g, r = h // (H // G), m // BM
        full, part = (set(listed[f"{kind}_block"][b, h, r, :listed[f"{kind}_count"][b, h, r]].tolist())
                      for kind in ("full", "part"))
        keys = [n for n in range(L) if n // BN in full or (n // BN in part and mask(m, n))]
        if keys:
            s = np.array([score(q[b, h, m] @ k[b, g, n] / np.sqrt(D), b, h, m, n) for n in keys])
            e = np.exp(s - s.max())
            o[b, h, m], lse[b, h, m] = e @ v[b, g, keys] / e.sum(), np.log(e.sum()) + s.max()
    return {"o": o, "lse": lse}


def everything(m, n):
    return (m >= 0) & (n >= 0)


MODS = (  # score, its source, mask, its source, share of the blocks that are listed
    (lambda s, b, h, m, n: s, None, everything, None, 1),
    (lambda s, b, h, m, n: np.tanh(s), "tanh", everything, None, 1),
    (lambda s, b, h, m, n: s, None, lambda m, n: m >= n, "fn(b, h, m, n) => (m >= n)", 1),
    (lambda s, b, h, m, n: s + 0.1 * (m - n) * h, "fn(s, b, h, m, n) => s + 0.1 * (m - n) * h",
     lambda m, n: (m + n) % 3 != 0, "fn(b, h, m, n) => ((m + n) % 3 != 0)", 0.6))


def cases():
    rng, normal = generator(34)
    for B, H, G, S, L, D, E, BM, BN in ((2, 4, 2, 17, 21, 4, 5, 4, 8), (1, 3, 3, 5, 3, 2, 2, 2, 8)):
        for score, score_text, mask, mask_text, density in MODS:
            for dtype in ("f32", "f16") if score_text == "tanh" else ("f32",):
                q, k, v = (rounded(x, dtype) for x in (normal(B, H, S, D), normal(B, G, L, D), normal(B, G, L, E)))
                listed = lists(rng, mask, B, H, S, L, BM, BN, density)
                defines = {"BM": BM, "BN": BN, "score_mod": score_text, "mask_mod": mask_text}
                tolerance = 5e-6 if dtype == "f32" else 2e-3
                yield Case("flex_attention", {"q": q, "k": k, "v": v, **listed},
                           reference(q, k, v, listed, score, mask, BM, BN),
                           defines={n: x for n, x in defines.items() if x}, dtypes=dict.fromkeys("qkv", dtype),
                           stored={"o": dtype}, rtol=tolerance, atol=tolerance)
