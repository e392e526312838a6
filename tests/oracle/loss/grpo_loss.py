"""Group relative policy optimisation: the loss by its formula, the gradient by differences of it in float64."""
import numpy as np
from case import Case, generator, rounded, wide

TEMPERATURE, BETA, LOW, HIGH = 0.7, 0.3, 0.1, 0.2
ARGS = {"temperature": TEMPERATURE, "beta": BETA, "low": LOW, "high": HIGH}


def log_probabilities(logits, ids):
    x = wide(logits)[:, :-1] / TEMPERATURE
    top = x.max(-1)
    lse = top + np.log(np.exp(x - top[..., None]).sum(-1))
    return lse, np.take_along_axis(x, ids[..., None], -1)[..., 0] - lse


def losses(logits, ids, adv, old=None, ref=None, mask=None):
    lse, logp = log_probabilities(logits, ids)
    r = np.exp(logp - (logp if old is None else old))
    plain, bounded = r * wide(adv)[:, None], np.clip(r, 1 - LOW, 1 + HIGH) * wide(adv)[:, None]
    gap = (logp if ref is None else ref) - logp
    keep = 1.0 if mask is None else mask
    kl = keep * (np.exp(gap) - gap - 1)
    loss = BETA * kl - keep * np.minimum(plain, bounded)
    return {"loss": loss, "kl": kl, "clipped": wide(plain < bounded), "lse": lse}


def gradient(logits, ids, adv, dloss, **options):
    """Without old and ref, logp stands for them as a constant."""
    logp = log_probabilities(logits, ids)[1]
    options = {"old": logp, "ref": logp, **options}
    x, d, h = wide(logits), np.zeros(logits.shape), 1e-5
    for v in range(x.shape[-1]):
        e = h * (np.arange(x.shape[-1]) == v)
        up, down = (losses(x + s * e, ids, adv, **options)["loss"] for s in (1, -1))
        d[:, :-1, v] = dloss * (up - down) / (2 * h)
    return d


def cases():
    rng, normal = generator(143)
    for b, l, v, shift in ((3, 5, 17, 0), (1, 1, 1, 0), (2, 3, 70, 0), (2, 4, 19, 300)):
        logits, ids = normal(b, l + 1, v) + np.float32(shift), rng.integers(0, v, (b, l))
        lse, logp = log_probabilities(logits, ids)
        near = lambda: (logp + 0.3 * rng.standard_normal((b, l))).astype(np.float32)
        given = {"logits": logits, "ids": ids, "adv": normal(b)}
        dloss = normal(b, l)
        tolerance = 2e-5 if shift else 5e-6
        for options in ({}, {"old": near(), "ref": near(), "mask": np.float32(rng.random((b, l)) < 0.7)}):
            yield Case("grpo_loss", {**given, **options}, losses(**given, **options), args=ARGS, rtol=tolerance * 20,
                       atol=tolerance * 20)
            yield Case("grpo_loss_bwd", {"dloss": dloss, **given, "lse": lse.astype(np.float32), **options},
                       {"dlogits": gradient(**given, dloss=dloss, **options)}, args=ARGS, rtol=tolerance * 20,
                       atol=tolerance * 20)
    logits, ids, adv = rounded(normal(2, 4, 33), "bf16"), rng.integers(0, 33, (2, 3)), normal(2)
    yield Case("grpo_loss", {"logits": logits, "ids": ids, "adv": adv}, losses(logits, ids, adv), args=ARGS,
               dtypes={"logits": "bf16"}, rtol=1e-5, atol=1e-5)
    yield Case("grpo_loss", {"logits": logits, "ids": ids + 33, "adv": adv}, {}, args=ARGS, dtypes={"logits": "bf16"},
               fails="HK0710")
