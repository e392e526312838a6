#!/usr/bin/python3
"""The Python module over the built library: NumPy always, PyTorch where it is installed."""
import concurrent.futures
import os
import sys
import unittest

import numpy as np

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "python"))
import hako  # noqa: E402

try:
    import torch
    from torch import library
except ImportError:
    torch = library = None

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


if __name__ == "__main__":
    unittest.main()
