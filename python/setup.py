"""Builds libhako by the source tree's Makefile and puts it beside the module, so that `pip install ./python` is all."""
import os
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


class Build(build_py):
    def run(self):
        subprocess.run(["make", "-C", ROOT, "build/libhako.so"], check=True)
        super().run()
        target = os.path.join(self.build_lib, "hako")
        os.makedirs(target, exist_ok=True)
        shutil.copy(os.path.realpath(os.path.join(ROOT, "build", "libhako.so")), os.path.join(target, "libhako.so"))


class Binary(Distribution):
    """With a shared library inside, the wheel is for this platform alone."""

    def has_ext_modules(self):
        return True


setup(packages=["hako"], cmdclass={"build_py": Build}, distclass=Binary)
