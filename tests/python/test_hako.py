#!/usr/bin/python3
"""The Python module over the built library: NumPy always, PyTorch where it is installed."""
import concurrent.futures
import os
import resource
import sys
import threading
import time
import unittest
import unittest.mock

import numpy as np

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if not os.environ.get("HAKO_INSTALLED"):  # else the module is the one that pip installed
    sys.path.insert(0, os.path.join(ROOT, "python"))
import hako  # noqa: E402
from hako import _arrays  # noqa: E402

try:
    import torch
    from torch import library
except ImportError:
    torch = library = None
try:
    import jax
except ImportError:
    jax = None

TEXT = """
kernel scale<T: float>(x: T[M, N], factor: f32 = 2) -> (y: T[M, N]) { tile m in M, n in N { y[m, n] = x[m, n] * factor; } }
kernel add<T: any>(a: T[..P], b: T[..P]) -> (y: T[..P]) { tile i in ..P { y[i] = a[i] + b[i]; } }
kernel moments(x: f32[M, N]) -> (mean: f32[M], square: f32[M], top: f32[M]?) {
    tile m in M {
        axis n in N;
        mean[m] = sum[n](x[m, n]) / N;
        square[m] = sum[n](x[m, n] * x[m, n]) / N;
        top[m] = max[n](x[m, n]);
    }
}
kernel descend(inout p: f32[N], g: f32[N]) { tile n in N { p[n] = p[n] - 0.5 * g[n]; } }
kernel iota(N: i64) -> (y: i64[N]) { tile n in N { y[n] = n; } }
kernel pick(w: f32[V], ids: i64[N]) -> (y: f32[N]) { tile n in N { y[n] = w[ids[n]]; } }
kernel twice<T: float>(x: T[N]) -> (y: T[N]) { tile n in N { y[n] = 2 * x[n]; } }
kernel poke(inout x: f32[N]) { require N > 3; tile n in 3 .. 4 { x[n] = x[n] + 1; } }
kernel square(a: f32[N, N]) -> (c: f32[N, N]) { tile m in N, n in N { c[m, n] = sum[k in N](a[m, k] * a[k, n]); } }
kernel mix<T: float>(x: T[N], y: T[N], s: T = 1, bias: T[N]? = 0) -> (z: T[N], w: T[N]) {
    tile n in N { z[n] = x[n] * y[n] * s + bias[n]; w[n] = x[n] + y[n]; }
}
kernel mix_bwd<T: float>(x: T[N], y: T[N], dz: T[N], dw: T[N], s: T) -> (dx: T[N], dy: T[N]) {
    tile n in N { dx[n] = dz[n] * y[n] * s + dw[n]; dy[n] = dz[n] * x[n] * s + dw[n]; }
}
"""


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


class Arrays(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.k = hako.loads(TEXT, "test.hk")

    def test_outputs_are_arrays_of_the_caller(self):
        x = normal(7, 13)
        y = self.k.scale(x)
        self.assertEqual((y.dtype, y.shape), (x.dtype, x.shape))
        np.testing.assert_array_equal(y, 2 * x)

    def test_scalars_and_names(self):
        x = normal(3, 4)
        np.testing.assert_array_equal(self.k.scale(x=x, factor=0.5), x / 2)
        np.testing.assert_array_equal(self.k.iota(5), np.arange(5))
        np.testing.assert_array_equal(self.k.iota(N=7), np.arange(7))

    def test_strides_and_dtypes(self):
        x = normal(20, 30)
        np.testing.assert_array_equal(self.k.scale(x.T[::-2, 1::3]), 2 * x.T[::-2, 1::3])
        for dtype in (np.float64, np.int32, np.int8, np.float16):
            a = (10 * normal(5, 6)).astype(dtype)
            np.testing.assert_array_equal(self.k.add(a, a), a + a)

    def test_no_copy(self):
        out = np.full((2, 3), 7, np.float32)
        same = self.k.scale(np.ones((2, 3), np.float32), out=out)
        self.assertIs(same, out)
        np.testing.assert_array_equal(out, 2)

    def test_a_gibibyte_is_not_copied(self):
        x = np.zeros(1 << 28, np.float32)  # untouched pages cost nothing
        self.assertEqual(_arrays.tensor_of(x, "x").data, x.ctypes.data)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.k.poke(x)
        self.k.poke(x)
        self.assertEqual((x[2], x[3], x[4]), (0, 2, 0))
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 256 << 10)

    def test_read_only(self):
        x, out = normal(3, 4), normal(3, 4)
        x.flags.writeable = out.flags.writeable = False
        np.testing.assert_array_equal(self.k.scale(x), 2 * x)
        with self.assertRaisesRegex(ValueError, "y: the array is read-only"):
            self.k.scale(x, out=out)
        p = np.ones(5, np.float32)
        self.k.descend(p, p + 1)
        p.flags.writeable = False  # after a call that went well
        with self.assertRaisesRegex(ValueError, "p: the array is read-only"):
            self.k.descend(p, p + 1)

    def test_calls_like_before(self):
        for turn in range(3):
            for n in (4, 5):
                x = normal(n, 3) + turn
                np.testing.assert_array_equal(self.k.scale(x, turn + 0.5), x * np.float32(turn + 0.5))
                np.testing.assert_array_equal(self.k.scale(x, turn), x * turn)
                np.testing.assert_array_equal(self.k.scale(x.T, 0.5), x.T / 2)
                np.testing.assert_array_equal(self.k.iota(n + turn), np.arange(n + turn))
        with unittest.mock.patch("hako.KEPT_MOST", 4):
            for n in range(9):
                self.k.iota(n)
                self.assertLessEqual(max(len(self.k.iota._calls), len(self.k.iota._execs)), 4)

    def test_the_interpreter_lock_is_released(self):
        square, a = self.k.square.bind(target="interp"), normal(360, 360)
        square(a)
        thread = threading.Thread(target=square, args=(a,))
        thread.start()
        turns = 0
        while thread.is_alive():
            time.sleep(0.001)
            turns += 1
        self.assertGreater(turns, 3)

    def test_several_and_optional_outputs(self):
        x = normal(9, 17)
        mean, square = self.k.moments(x)
        np.testing.assert_allclose(mean, x.mean(1), atol=1e-6)
        np.testing.assert_allclose(square, (x * x).mean(1), rtol=1e-5)
        top = self.k.moments(x, want=("top",))[2]
        np.testing.assert_array_equal(top, x.max(1))
        given = np.zeros(9, np.float32)
        self.assertIs(self.k.moments(x, out={"top": given})[2], given)
        np.testing.assert_array_equal(given, x.max(1))

    def test_inout(self):
        p = np.ones(5, np.float32)
        self.assertIsNone(self.k.descend(p, np.ones(5, np.float32)))
        np.testing.assert_array_equal(p, 0.5)

    def test_bind(self):
        matmul = hako.load(os.path.join(ROOT, "samples", "matmul.hk")).matmul
        a, b = normal(33, 21), normal(21, 45)
        relu = matmul.bind(epilogue="fn(s) => max(s, 0)", config="tile_m = 8", threads=1)
        np.testing.assert_allclose(relu(a, b), np.maximum(a @ b, 0), atol=1e-4)
        np.testing.assert_allclose(matmul.bind(target="interp")(a, b), a @ b, atol=1e-4)

    def test_errors(self):
        with self.assertRaises(hako.HakoError) as caught:
            self.k.add(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
        for part in ("argument b", "dimension 1", "4", "expected 3"):
            self.assertIn(part, str(caught.exception))
        self.assertEqual(caught.exception.diagnostics[0]["code"], "HK0707")
        with self.assertRaises(hako.HakoError) as caught:
            self.k.pick(np.ones(4, np.float32), np.array([0, 9]))
        self.assertEqual(caught.exception.status, 4)
        with self.assertRaises(hako.HakoError):
            hako.loads("kernel broken(")
        with self.assertRaises(hako.HakoError):
            hako.load("/nonexistent.hk")
        for wrong in (lambda: self.k.scale(), lambda: self.k.scale(normal(2, 2), factor=1, other=2)):
            with self.assertRaises((TypeError, hako.HakoError)):
                wrong()
        with self.assertRaises(AttributeError):
            self.k.none
        with self.assertRaises(TypeError):
            self.k.scale(np.array([["a"]]))

    def test_threads(self):
        xs = [normal(50 + i % 5, 40) for i in range(40)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for x, y in zip(xs, pool.map(self.k.scale, xs)):
                np.testing.assert_array_equal(y, 2 * x)

    def test_dlpack(self):
        class Foreign:
            """Nothing but DLPack."""

            def __init__(self, array):
                self.array = array

            def __dlpack__(self, stream=None):
                return self.array.__dlpack__()

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        x = normal(4, 5)
        np.testing.assert_array_equal(self.k.scale(Foreign(x)), 2 * x)


@unittest.skipUnless(torch, "PyTorch is not installed")
class Torch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.k = hako.loads(TEXT, "test.hk")

    def test_tensors(self):
        for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            x = torch.randn(6, 9).to(dtype)
            y = self.k.scale(x.T)
            self.assertEqual((y.dtype, tuple(y.shape)), (dtype, (9, 6)))
            self.assertTrue(torch.equal(y, 2 * x.T))

    @unittest.skipUnless(torch and hasattr(library, "custom_op"), "PyTorch is older than 2.4")
    def test_operator(self):
        import hako.torch
        twice = hako.torch.operator("hako_test::twice", self.k.twice, backward=lambda saved, dy: self.k.twice(dy))
        x = torch.randn(10, requires_grad=True)
        library.opcheck(twice, (x,))
        torch.compile(lambda v: twice(v + 1).sum(), backend="aot_eager")(x).backward()
        self.assertTrue(torch.equal(x.grad, torch.full((10,), 2.0)))

    @unittest.skipUnless(torch and hasattr(library, "custom_op"), "PyTorch is older than 2.4")
    def test_operator_with_several_arguments(self):
        import hako.torch
        seen = []

        def backward(saved, dz, dw):
            seen.append(sorted(saved))
            dx, dy = self.k.mix_bwd(saved["x"], saved["y"], dz, dw, s=saved["s"])
            return (dx, dy, dz) if "bias" in saved else (dx, dy)

        mix = hako.torch.operator("hako_test::mix", self.k.mix, backward)
        x, y, bias = (torch.randn(6, dtype=torch.float64, requires_grad=True) for _ in range(3))
        self.assertTrue(torch.autograd.gradcheck(lambda *v: mix(v[0], v[1], 0.5, v[2]), (x, y, bias)))
        self.assertTrue(torch.autograd.gradcheck(lambda *v: mix(*v, 2.0), (x, y)))
        self.assertEqual(seen[0], ["bias", "s", "w", "x", "y", "z"])
        library.opcheck(mix, (x, y, 0.5, bias))

        def model(x, y):
            z, w = mix(x.sin(), y, 3.0)
            return (z * w).sum()

        backend = "inductor" if os.environ.get("HAKO_INSTALLED") else "aot_eager"
        wanted = torch.autograd.grad(model(x, y), (x, y))
        got = torch.autograd.grad(torch.compile(model, backend=backend)(x, y), (x, y))
        for a, b in zip(got, wanted):
            torch.testing.assert_close(a, b)


@unittest.skipUnless(jax, "JAX is not installed")
class Jax(unittest.TestCase):
    def test_arrays(self):
        k = hako.loads(TEXT, "test.hk")
        x = jax.numpy.asarray(normal(3, 4))
        y = k.scale(x)
        self.assertIsInstance(y, jax.Array)
        np.testing.assert_array_equal(np.asarray(y), 2 * np.asarray(x))
        with self.assertRaisesRegex(ValueError, "never change"):
            k.scale(x, out=x)


if __name__ == "__main__":
    unittest.main()
